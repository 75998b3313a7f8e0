"""Training data, validated."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from ._sklearn import check_sample_weight, num_samples
from ._task import TargetScaler, Task
from ._task.checks import check_sortable, check_unmasked


@dataclass(frozen=True)
class TrainingData:
    """Training data in which every row counts.

    Attributes
    ----------
    task : Task, what the targets are
    X : ndarray of shape (n_samples, ...)
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs), as the user gave it
    classes : ndarray of shape (n_classes,), or None where the targets are numbers
    target : ndarray of the shape of y, positions of labels among the classes, or the numbers
    sample_weight, groups : ndarray of shape (n_samples,), or None
    kept : bool ndarray of shape (n_given,), true for those of the given rows that these are
    """

    task: Task
    X: np.ndarray
    y: np.ndarray
    classes: Any
    target: np.ndarray
    sample_weight: np.ndarray | None
    groups: np.ndarray | None
    kept: np.ndarray

    @cached_property
    def baseline_loss(self) -> float:
        """Loss of the best constant prediction."""
        _, target = self.targets(np.arange(len(self.y)))
        return self.task.baseline_loss(target, self.sample_weight)

    @property
    def feature_scale(self) -> float:
        """Largest root mean square of a feature, on some ten thousand of the rows."""
        some = self.X[:: max(1, len(self.X) // 10_000)]
        columns = some.reshape(len(some), -1)
        squares = np.einsum("ij,ij->j", columns, columns, dtype=np.float64)
        return float(np.sqrt(squares.max(initial=0.0) / len(some)))

    def scaler(self, train: np.ndarray) -> TargetScaler | None:
        """Return what scales targets, learned from training rows of these numbers; or None."""
        weight = self.sample_weight
        return self.task.scaler(self.y[train], None if weight is None else weight[train])

    def targets(self, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the targets of all rows: for the estimator, and for scoring what is held out.

        Where they are scaled, it is learned from the training rows, whose numbers are given.
        """
        scaler = self.scaler(train)
        if scaler is None:
            return self.y, self.target
        scaled = scaler.transform(self.target).astype(self.X.dtype)
        return scaled, scaled.reshape(len(scaled), -1)


def check_training_data(
    task: Task, X: np.ndarray, y: np.ndarray, sample_weight: Any, groups: Any
) -> TrainingData:
    """Check targets, weights and groups, and leave out rows of weight 0.

    The features, of shape (n_samples, ...), have been validated; targets are of shape (n_samples,)
    or (n_samples, n_outputs), all else of (n_samples,). Raises ValueError if targets are none of
    the task's, or labels of one class only, weights are negative, all 0 or beyond the float type of
    X, or lengths differ; TypeError if labels or groups are of types that cannot be sorted.
    """
    y = task.cast(y)
    task.of(y)
    check_unmasked(sample_weight=sample_weight, groups=groups)
    check_consistent_length(y, groups)
    kept = np.ones(num_samples(X), bool)
    if groups is not None:
        groups = np.asarray(groups)
        if groups.ndim != 1:
            raise ValueError(f"groups must be of shape (n_samples,). Got {groups.shape} instead.")
        check_sortable(groups, "groups")
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        kept = sample_weight > 0
        if not kept.any():
            raise ValueError("Every sample_weight is 0; give rows that count a weight above 0.")
        _check_range(sample_weight[kept], X.dtype)
    if not kept.all():
        X, y, sample_weight = X[kept], y[kept], sample_weight[kept]
        groups = None if groups is None else groups[kept]
    task = task.of(y)
    classes, target = task.encode(y)
    return TrainingData(task, X, y, classes, target, sample_weight, groups, kept)


def with_validation_rows(
    data: TrainingData, X_val: np.ndarray, y_val: Any
) -> tuple[TrainingData, tuple[np.ndarray, np.ndarray]]:
    """Return training and validation rows together, and which rows are trained on and held out.

    The user's validation rows have validated features of shape (n_val, ...) and targets of shape
    (n_val, ...), and count with weight 1. Raises ValueError if lengths or shapes of rows differ, or
    targets are unlike those of the training rows; TypeError if labels are not of the type of those.
    """
    shape, given = data.X.shape[1:], X_val.shape[1:]
    if given != shape:
        raise ValueError(f"X_val must hold rows of the same shape as X, {shape}. Got {given}.")
    check_consistent_length(X_val, y_val)
    y_val, target = data.task.encode_more(y_val, data.y, data.classes)
    weight, n_train = data.sample_weight, len(data.y)
    together = replace(
        data,
        X=np.concatenate([data.X, X_val]),
        y=np.concatenate([data.y, y_val]),
        target=np.concatenate([data.target, target]),
        sample_weight=None if weight is None else np.append(weight, np.ones(len(y_val))),
    )
    rows = np.arange(n_train + len(y_val))
    return together, (rows[:n_train], rows[n_train:])


def check_no_times(X: Any) -> None:
    """Raise TypeError where features are dates or durations, which NumPy casts to numbers."""
    dtypes: Any = getattr(X, "dtypes", None)  # of a series it is a single one
    dtypes = list(dtypes) if hasattr(dtypes, "__iter__") else [getattr(X, "dtype", None)]
    times = [dtype for dtype in dtypes if getattr(dtype, "kind", "") in ("m", "M")]
    if times:
        raise TypeError(f"X holds times ({times[0]}); give numbers, such as days since a date.")


def _check_range(weights: np.ndarray, dtype: np.dtype) -> None:
    """Raise ValueError where weights above 0 vanish or overflow in the float type of training."""
    low, high = np.finfo(dtype).tiny, np.finfo(dtype).max
    if weights.min() < low or weights.sum(dtype=np.float64) > high:
        raise ValueError(
            f"sample_weight must be 0 or at least {low:.0e}, and add up to no more than "
            f"{high:.0e}: training computes in {dtype}. Got weights from {weights.min():.3g} to "
            f"{weights.max():.3g} instead; divide them by their mean."
        )
