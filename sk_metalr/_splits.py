"""Held-out splits: on which rows candidates are trained and on which they are scored."""

from itertools import islice
from math import ceil
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    check_cv,
)

__all__ = ["check_splitter", "make_splits", "renumbered"]

MAX_AUTO_SPLITS = 5
AUTO_HELD_OUT_ROWS = 2_000
FOLD_TOLERANCE = 0.02
"""A third may be written as 0.33."""

Split = tuple[np.ndarray, np.ndarray]


def n_auto_splits(n_rows: int, validation_fraction: float) -> int:
    """Return how many splits hold out about 2,000 rows in all: from 1 to 5."""
    held_out = max(1, round(validation_fraction * n_rows))
    return min(MAX_AUTO_SPLITS, ceil(AUTO_HELD_OUT_ROWS / held_out))


def check_splitter(
    cv: Any,
    y: np.ndarray,
    *,
    n_splits: int | str,
    validation_fraction: float,
    groups: np.ndarray | None,
    random_state: np.random.RandomState,
) -> Any:
    """Return a splitter for these labels.

    Parameters
    ----------
    cv : int, splitter, iterable of (train, test) index arrays, or None
        When given it is used as it is and the next two parameters are ignored.
    y : ndarray of shape (n_samples,)
        Labels.
    n_splits : int or "auto"
        Number of held-out splits.
    validation_fraction : float
        Fraction of the rows that each split holds out. Where it is one k-th of them, the
        splits hold out the k folds of a cross-validation in turn: rows that are held out
        once each tell more than rows drawn again and again.
    groups : ndarray of shape (n_samples,) or None
        Groups of rows that must not be torn apart. Each split then holds out one of
        about ``1 / validation_fraction`` folds of whole groups.
    random_state : numpy.random.RandomState
        Randomness of the splits.

    Returns
    -------
    splitter : object with a method ``split``
    """
    if isinstance(cv, type):
        raise TypeError(
            "The 'cv' parameter of MetaLRClassifier must be an int, a splitter, or pairs (train, "
            f"test) of row numbers. Got the class {cv.__name__} instead; call it: {cv.__name__}()."
        )
    if cv is not None:
        return check_cv(cv, y, classifier=True)
    if n_splits == "auto":
        n_splits = n_auto_splits(len(y), validation_fraction)
    assert isinstance(n_splits, Integral)
    if groups is not None:
        n_folds = _n_group_folds(groups, validation_fraction)
        return _RepeatedFolds(StratifiedGroupKFold, n_folds, int(n_splits), random_state)
    class_counts = np.unique(y, return_counts=True)[1]
    held_out = max(ceil(validation_fraction * len(y)), len(class_counts))
    _check_class_counts(y, held_out)
    n_folds = round(min(1 / validation_fraction, len(y) + 1))
    if np.isclose(n_folds * validation_fraction, 1, atol=FOLD_TOLERANCE) and (
        2 <= n_folds <= class_counts.min()
    ):
        return _RepeatedFolds(StratifiedKFold, n_folds, int(n_splits), random_state)
    return StratifiedShuffleSplit(int(n_splits), test_size=held_out, random_state=random_state)


def renumbered(cv: Any, kept: np.ndarray) -> Any:
    """Return `cv` for the rows that are kept.

    Parameters
    ----------
    cv : int, splitter, iterable of (train, test) index arrays, or None
        Only an iterable speaks of particular rows; anything else is returned as it is.
    kept : bool ndarray of shape (n_samples,)
        Which rows are kept.
    """
    if cv is None or isinstance(cv, Integral) or hasattr(cv, "split"):
        return cv
    new_number = np.cumsum(kept) - 1
    pairs = _row_numbers(cv, len(kept))
    return [(new_number[train[kept[train]]], new_number[test[kept[test]]]) for train, test in pairs]


def make_splits(splitter: Any, y: np.ndarray, groups: Any = None) -> list[Split]:
    """Return the (train, test) row indices of every split, all of them usable.

    Parameters
    ----------
    splitter : object with a method ``split``
        What :func:`check_splitter` returned.
    y : ndarray of shape (n_samples,)
        Labels.
    groups : array-like of shape (n_samples,) or None
        Group of each row, for splitters that want it.

    Returns
    -------
    splits : list of (ndarray of shape (n_train,), ndarray of shape (n_test,))

    Raises
    ------
    ValueError
        If a split is no pair of row numbers, has no held-out rows, lacks a class in its
        training rows, or holds out rows that it also trains on.
    """
    splits = _row_numbers(splitter.split(np.zeros((len(y), 1)), y, groups), len(y))
    if not splits:
        raise ValueError("cv yields no split; give at least one pair (train, test).")
    classes = np.unique(y)
    for number, (train, test) in enumerate(splits):
        if test.size == 0:
            raise ValueError(f"Split {number} of cv holds out no rows; give it at least one.")
        if np.intersect1d(train, test).size:
            raise ValueError(
                f"Split {number} of cv trains on rows that it also holds out, so its scores would "
                "be too good; keep the two apart."
            )
        missing = np.setdiff1d(classes, y[train])
        if missing.size:
            raise ValueError(
                f"Class {missing.tolist()[0]!r} is in no training row of split {number}. Merge "
                "or drop classes that are this rare, lower validation_fraction, or pass a cv that "
                "keeps every class in every training part."
            )
    return splits


def _row_numbers(pairs: Any, n_rows: int) -> list[Split]:
    """Return pairs of row numbers, from what may also be masks or count from the end."""
    rows = np.arange(n_rows)
    splits = []
    for number, pair in enumerate(pairs):
        try:
            train, test = (rows[part] for part in pair)
        except (TypeError, ValueError, IndexError) as error:
            raise _no_split(number, n_rows, str(error)) from error
        if train.ndim != 1 or test.ndim != 1:
            raise _no_split(number, n_rows, "one of them is not flat")
        splits.append((train, test))
    return splits


def _no_split(number: int, n_rows: int, reason: str) -> ValueError:
    return ValueError(
        f"Split {number} of cv must be a pair (train, test) of flat arrays: of row numbers, ints "
        f"below {n_rows}, or of one bool for each of the {n_rows} rows. It is not: {reason}."
    )


def _check_class_counts(y: np.ndarray, held_out: int) -> None:
    """Raise a clear error where a stratified held-out split cannot be drawn."""
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"Class {classes.tolist()[counts.argmin()]!r} has only 1 row, so it cannot be both "
            "trained on and held out. Merge or drop it, or pass your own cv."
        )
    n_train = len(y) - held_out
    if n_train < len(classes):
        raise ValueError(
            f"{len(y)} rows are too few: {held_out} are held out, which leaves {n_train} to train "
            f"on for {len(classes)} classes. Give more rows or a lower validation_fraction."
        )


def _n_group_folds(groups: np.ndarray, validation_fraction: float) -> int:
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise ValueError(
            "All rows are of the same group, so none can be held out; give at least two groups."
        )
    return max(2, round(min(n_groups, 1 / validation_fraction)))


class _RepeatedFolds:
    """The first `n_splits` of stratified folds, shuffled again when used up."""

    def __init__(
        self, kind: Any, n_folds: int, n_splits: int, random_state: np.random.RandomState
    ) -> None:
        self.kind = kind
        self.n_folds = n_folds
        self.n_splits = n_splits
        self.random_state = random_state

    def split(self, X: Any, y: Any, groups: Any) -> list[Split]:
        splits: list[Split] = []
        while len(splits) < self.n_splits:
            folds = self.kind(self.n_folds, shuffle=True, random_state=self.random_state)
            splits += islice(folds.split(X, y, groups), self.n_splits - len(splits))
        return splits
