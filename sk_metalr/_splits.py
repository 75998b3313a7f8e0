"""Held-out splits: on which rows candidates are trained and on which they are scored."""

from collections.abc import Iterable
from itertools import islice
from math import ceil
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.model_selection import (
    GroupShuffleSplit,
    PredefinedSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    check_cv,
)

from ._progress import warn
from .exceptions import RareClassWarning

MAX_AUTO_SPLITS = 5
AUTO_FRACTION = 0.2
AUTO_HELD_OUT_ROWS = 2_000
ENOUGH_HELD_OUT_ROWS, ENOUGH_OF_CLASS = 20_000, 100
"""Rows, and rows of the rarest class, beyond which "auto" holds out no more, even if that is less
than a fifth. Of half a million rows, 5,000 led to the same choice as 100,000, four times out of
four; scoring takes as long as there are rows."""

FOLD_TOLERANCE = 0.02
"""A third may be written as 0.33."""

Split = tuple[np.ndarray, np.ndarray]


def n_auto_splits(n_rows: int) -> int:
    """Return how many folds of a fifth hold out about 2,000 rows in all: from 1 to 5."""
    held_out = max(1, round(AUTO_FRACTION * n_rows))
    return min(MAX_AUTO_SPLITS, ceil(AUTO_HELD_OUT_ROWS / held_out))


def make_splits(
    cv: Any,
    X: np.ndarray,
    y: np.ndarray,
    *,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None,
    random_state: np.random.RandomState,
) -> list[Split]:
    """Return the row numbers of every split, (n_train,) and (n_test,), all of them usable.

    A class of one row, or in one group only, cannot be both trained on and held out: its rows stay
    in every training part, and a warning says so. `cv` is as for ``MetaLRClassifier``; features and
    targets are of shape (n_samples, ...), groups of (n_samples,). Groups are not torn apart. A
    splitter is handed features, targets and groups. The `strata` (n_samples,) are the classes of
    rows, None where they are the targets.

    Raises ValueError if a split is no pair of row numbers, has no held-out rows, lacks a class in
    its training rows, or holds out rows that it also trains on, or if there is no split; TypeError
    if `cv` is a class.
    """
    is_drawn = isinstance(cv, str | Real)
    if not (is_drawn or hasattr(cv, "split")):
        groups = None  # pairs are taken as they are
    if groups is not None and len(np.unique(groups)) < 2:
        raise ValueError("All rows are of the same group; give at least two groups.")
    classes, code = np.unique(y if strata is None else strata, return_inverse=True)
    rare = _rare_classes(code, groups)
    if len(classes) < 2:
        rare = rare[:0]  # rows of one stratum are not told apart
    kept = _with_their_groups(np.isin(code, rare), groups)
    if kept.all():
        raise ValueError(_nothing_to_hold_out(classes[rare], groups))
    rows = np.flatnonzero(~kept) if is_drawn else np.arange(len(y))
    of_rows = None if groups is None else groups[rows]
    if is_drawn:
        drawn = _drawn(cv, code[rows], of_rows, random_state)
    else:
        drawn = _asked(cv).split(X, y, groups)
    pairs = _row_numbers(drawn, len(rows))
    splits, has_moved = [], is_drawn
    for number, (train, test) in enumerate(pairs):
        _check_apart(number, train, test, len(rows))
        split = _moved((rows[train], rows[test]), kept)
        has_moved |= len(split[0]) > len(train)
        missing = np.setdiff1d(np.arange(len(classes)), np.unique(code[split[0]]))
        if missing.size and not is_drawn:
            raise ValueError(
                f"Class {classes[missing].tolist()[0]!r} is in no training row of split {number}. "
                "Merge or drop classes that are this rare, or pass a cv that keeps every class in "
                "every training part."
            )
        if missing.size:
            # Folds of whole groups may hold out all that a class is in.
            rare = np.union1d(rare, missing)
            split = _moved(split, _with_their_groups(np.isin(code, missing), groups))
        if not split[1].size:
            raise ValueError(_nothing_to_hold_out(classes[rare], groups))
        splits.append(split)
    if has_moved and rare.size:
        _warn_of_rare(classes[rare], groups)
    return splits


def _rare_classes(code: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the classes, as codes, that are in one row or one group only."""
    if groups is None:
        return np.flatnonzero(np.bincount(code) == 1)
    group = np.unique(groups, return_inverse=True)[1]
    classes, n_groups = np.unique(np.unique(np.stack([code, group]), axis=1)[0], return_counts=True)
    return classes[n_groups == 1]


def _with_their_groups(chosen: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return a mask of the chosen rows and all of their groups."""
    return chosen if groups is None else np.isin(groups, groups[chosen])


def _moved(split: Split, kept: np.ndarray) -> Split:
    """Return a split whose training part has all rows of a mask, and its held-out part none."""
    train, test = split
    lacking = kept.copy()
    lacking[train] = False
    return np.append(train, np.flatnonzero(lacking)), test[~kept[test]]


def _nothing_to_hold_out(rare: np.ndarray, groups: np.ndarray | None) -> str:
    where = "has only 1 row" if groups is None else "is in only 1 group"
    return (
        f"Class {rare.tolist()[0]!r} {where}, so it cannot be both trained on and held out, and "
        f"beside such {'rows' if groups is None else 'groups'} there are none to hold out. Merge "
        "or drop classes that are this rare."
    )


def _warn_of_rare(rare: np.ndarray, groups: np.ndarray | None) -> None:
    labels = rare.tolist()
    named = ", ".join(map(repr, labels[:5])) + (", …" if len(labels) > 5 else "")
    units = "rows" if groups is None else "groups"
    warn(
        RareClassWarning(
            f"These classes have too few {units} to be both trained on and held out: {named}. All "
            f"of their {units} are in every training part and never held out, so the choice does "
            "not look at how well they are predicted. Merge or drop them, or give more rows."
        ),
        stacklevel=7,
    )


def _asked(cv: Any) -> Any:
    """Return a splitter, or one that yields pairs; raise TypeError for a class."""
    if isinstance(cv, type):
        raise TypeError(
            "The 'cv' parameter must be a number, a splitter, or pairs (train, "
            f"test) of row numbers. Got the class {cv.__name__} instead; call it: {cv.__name__}()."
        )
    return check_cv(cv)


def _drawn(
    cv: str | Real,
    code: np.ndarray,
    groups: np.ndarray | None,
    random_state: np.random.RandomState,
) -> Iterable[Split]:
    """Return splits of rows, of strata (n_samples,), drawn at random; see :func:`make_splits`."""
    X = np.zeros((len(code), 1))
    if isinstance(cv, str):
        fraction, n_splits = AUTO_FRACTION, n_auto_splits(len(code))
        if groups is None:
            fraction = min(fraction, _enough(code))
    elif isinstance(cv, Integral):
        fraction, n_splits = 1 / int(cv), int(cv)
    else:
        fraction, n_splits = float(cv), 1
    if groups is not None:
        n_groups = len(np.unique(groups))
        if isinstance(cv, Real) and not _is_fold(fraction):
            at_random = GroupShuffleSplit(1, test_size=fraction, random_state=random_state)
            return at_random.split(X, code, groups)
        n_folds = n_splits if isinstance(cv, Integral) else min(n_groups, round(1 / fraction))
        n_folds = max(2, n_folds)
        if n_groups < n_folds:
            raise ValueError(
                f"{n_folds} folds of whole groups need at least as many groups to hold out. Got "
                f"{n_groups} instead; give more groups, or a lower cv."
            )
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)
        return islice(folds.split(X, code, groups), n_splits)
    class_counts = np.unique(code, return_counts=True)[1]
    n_classes = len(class_counts)
    held_out = max(ceil(fraction * len(code)), n_classes)
    n_train = len(code) - held_out
    if n_train < n_classes:
        of_classes = f" for {n_classes} classes" * (n_classes > 1)
        raise ValueError(
            f"{len(code)} rows are too few: {held_out} are held out, which leaves {n_train} to "
            f"train on{of_classes}. Give more rows, or hold out a smaller part: cv=0.1."
        )
    n_folds = round(min(1 / fraction, len(code) + 1))
    if _is_fold(fraction) and 2 <= n_folds <= class_counts.min():
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
        return islice(folds.split(X, code), n_splits)
    at_random = StratifiedShuffleSplit(n_splits, test_size=held_out, random_state=random_state)
    return at_random.split(X, code)


def _enough(code: np.ndarray) -> float:
    """Return which fraction of many rows is enough to hold out."""
    rarest = np.unique(code, return_counts=True)[1].min()
    return max(ENOUGH_HELD_OUT_ROWS / len(code), ENOUGH_OF_CLASS / int(rarest))


def _is_fold(fraction: float) -> bool:
    """Tell whether a fraction is about one over a number of folds."""
    n = round(1 / fraction)
    return n >= 2 and bool(np.isclose(n * fraction, 1, atol=FOLD_TOLERANCE))


def renumbered(cv: Any, kept: np.ndarray) -> Any:
    """Return `cv` for the rows that a mask (n_samples,) keeps.

    Only a PredefinedSplit and an iterable of pairs speak of particular rows; anything else is
    returned as it is.
    """
    if isinstance(cv, PredefinedSplit) and len(cv.test_fold) == len(kept):
        return PredefinedSplit(cv.test_fold[kept])
    if isinstance(cv, str | Real) or hasattr(cv, "split"):
        return cv
    new_number = np.cumsum(kept) - 1
    pairs = _row_numbers(cv, len(kept))
    return [(new_number[train[kept[train]]], new_number[test[kept[test]]]) for train, test in pairs]


def _row_numbers(pairs: Any, n_rows: int) -> list[Split]:
    """Return pairs of row numbers, from what may also be masks or count from the end."""
    rows = np.arange(n_rows)
    splits = []
    for number, pair in enumerate(pairs):
        try:
            train, test = (rows[part] for part in pair)
            if train.ndim != 1 or test.ndim != 1:
                raise IndexError("one of them is not flat")
        except (TypeError, ValueError, IndexError) as error:
            raise ValueError(
                f"Split {number} of cv must be a pair (train, test) of flat arrays: of row "
                f"numbers, ints below {n_rows}, or of one bool for each of the {n_rows} rows. It "
                f"is not: {error}."
            ) from error
        splits.append((train, test))
    if not splits:
        raise ValueError("cv yields no split; give at least one pair (train, test).")
    return splits


def _check_apart(number: int, train: np.ndarray, test: np.ndarray, n_rows: int) -> None:
    """Raise ValueError where a split holds out nothing, or what it trains on."""
    is_trained_on = np.zeros(n_rows, bool)
    is_trained_on[train] = True
    if test.size == 0:
        raise ValueError(f"Split {number} of cv holds out no rows; give it at least one.")
    if is_trained_on[test].any():
        raise ValueError(
            f"Split {number} of cv trains on rows that it also holds out, so its scores would "
            "be too good; keep the two apart."
        )
