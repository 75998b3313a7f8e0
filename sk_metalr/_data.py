"""Training data, validated."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_consistent_length,
    column_or_1d,
)

__all__ = ["TrainingData", "check_training_data", "with_validation_rows"]


@dataclass(frozen=True)
class TrainingData:
    """Training data in which every row counts.

    Attributes
    ----------
    X : ndarray of shape (n_samples, ...)
        Features.
    y : ndarray of shape (n_samples,)
        Labels.
    classes : ndarray of shape (n_classes,)
        The different labels.
    code : int ndarray of shape (n_samples,)
        Position of each row's label among the classes.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights, all above 0.
    groups : ndarray of shape (n_samples,) or None
        Groups of rows.
    kept : bool ndarray of shape (n_given,)
        Which of the rows that were given these are.
    """

    X: np.ndarray
    y: np.ndarray
    classes: np.ndarray
    code: np.ndarray
    sample_weight: np.ndarray | None
    groups: np.ndarray | None
    kept: np.ndarray

    @property
    def no_skill_loss(self) -> float:
        """Log-loss of always predicting the class frequencies, in nats: their entropy."""
        frequency = np.bincount(self.code, weights=self.sample_weight)
        frequency = frequency / frequency.sum()
        return float(-(frequency * np.log(frequency)).sum())


def check_training_data(
    X: np.ndarray, y: np.ndarray, sample_weight: Any, groups: Any
) -> TrainingData:
    """Check labels, weights and groups, and leave out rows of weight 0.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        Validated features.
    y : ndarray of shape (n_samples,)
        Labels.
    sample_weight : array-like of shape (n_samples,) or None
        Weights.
    groups : array-like of shape (n_samples,) or None
        Groups.

    Returns
    -------
    data : TrainingData

    Raises
    ------
    ValueError
        If labels are no classes or of one class only, weights are negative or all 0, or
        lengths differ.
    """
    check_classification_targets(y)
    check_consistent_length(y, groups)
    kept = np.ones(_num_samples(X), bool)
    if groups is not None:
        groups = np.asarray(groups)
    if sample_weight is not None:
        sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        kept = sample_weight > 0
        if not kept.any():
            raise ValueError("Every sample_weight is 0; give rows that count a weight above 0.")
    if not kept.all():
        X, y, sample_weight = X[kept], y[kept], sample_weight[kept]
        groups = None if groups is None else groups[kept]
    classes, code = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class only ({classes.tolist()[0]!r}); a classifier needs at least 2."
        )
    return TrainingData(X, y, classes, code.astype(np.int32), sample_weight, groups, kept)


def with_validation_rows(
    data: TrainingData, X_val: np.ndarray, y_val: Any
) -> tuple[TrainingData, tuple[np.ndarray, np.ndarray]]:
    """Return training rows and validation rows together, and which are which.

    Parameters
    ----------
    data : TrainingData
        Training rows.
    X_val : ndarray of shape (n_val, ...)
        Validated features of the user's own validation rows; each counts with weight 1.
    y_val : array-like of shape (n_val,)
        Their labels.

    Returns
    -------
    together : TrainingData
    split : tuple of int ndarrays of shape (n_samples,), (n_val,)
        Rows to train on and rows held out.

    Raises
    ------
    ValueError
        If lengths differ or a label is no class of the training rows.
    """
    y_val = column_or_1d(y_val, dtype=data.y.dtype if data.y.dtype == object else None)
    check_consistent_length(X_val, y_val)
    unknown = np.setdiff1d(y_val, data.classes)
    if unknown.size:
        raise ValueError(
            f"y_val holds the class {unknown.tolist()[0]!r}, which y does not; leave its rows out "
            "of X_val and y_val."
        )
    weight = data.sample_weight
    n_train = len(data.y)
    together = replace(
        data,
        X=np.concatenate([data.X, X_val]),
        y=np.concatenate([data.y, y_val]),
        code=np.concatenate([data.code, np.searchsorted(data.classes, y_val)]).astype(np.int32),
        sample_weight=None if weight is None else np.append(weight, np.ones(len(y_val))),
    )
    rows = np.arange(n_train + len(y_val))
    return together, (rows[:n_train], rows[n_train:])
