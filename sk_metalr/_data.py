"""Training data, validated."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_consistent_length

__all__ = ["TrainingData", "check_training_data"]


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
