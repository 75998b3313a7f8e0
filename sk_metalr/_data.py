"""Training data, validated."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ._sklearn import check_sample_weight, num_samples
from ._task import Classification


@dataclass(frozen=True)
class TrainingData:
    """Training data in which every row counts.

    Attributes
    ----------
    X : ndarray of shape (n_samples, ...)
    y, sample_weight, groups : ndarray of shape (n_samples,); the latter two may be None
    classes : ndarray of shape (n_classes,)
    target : int ndarray of shape (n_samples,), positions of the labels among the classes
    kept : bool ndarray of shape (n_given,), true for those of the given rows that these are
    """

    X: np.ndarray
    y: np.ndarray
    classes: np.ndarray
    target: np.ndarray
    sample_weight: np.ndarray | None
    groups: np.ndarray | None
    kept: np.ndarray

    @property
    def baseline_loss(self) -> float:
        """Log-loss of always predicting the class frequencies, in nats."""
        return Classification.baseline_loss(self.target, self.sample_weight)

    @property
    def feature_scale(self) -> float:
        """Largest root mean square of a feature, on some ten thousand of the rows."""
        some = self.X[:: max(1, len(self.X) // 10_000)]
        columns = some.reshape(len(some), -1)
        squares = np.einsum("ij,ij->j", columns, columns, dtype=np.float64)
        return float(np.sqrt(squares.max(initial=0.0) / len(some)))


def check_training_data(
    X: np.ndarray, y: np.ndarray, sample_weight: Any, groups: Any
) -> TrainingData:
    """Check labels, weights and groups, and leave out rows of weight 0.

    The features, of shape (n_samples, ...), have been validated; all else has the shape
    (n_samples,). Raises ValueError if labels are no classes or of one class only, weights are
    negative, all 0 or beyond the float type of X, or lengths differ; TypeError if labels or groups
    are of types that cannot be sorted.
    """
    _check_labels(y)
    check_unmasked(sample_weight=sample_weight, groups=groups)
    check_consistent_length(y, groups)
    kept = np.ones(num_samples(X), bool)
    if groups is not None:
        groups = np.asarray(groups)
        if groups.ndim != 1:
            raise ValueError(f"groups must be of shape (n_samples,). Got {groups.shape} instead.")
        _check_sortable(groups, "groups")
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        kept = sample_weight > 0
        if not kept.any():
            raise ValueError("Every sample_weight is 0; give rows that count a weight above 0.")
        _check_range(sample_weight[kept], X.dtype)
    if not kept.all():
        X, y, sample_weight = X[kept], y[kept], sample_weight[kept]
        groups = None if groups is None else groups[kept]
    classes, target = Classification.encode(y)
    if len(classes) < 2:
        raise ValueError(f"y holds one class only ({classes.tolist()[0]!r}); give at least 2.")
    return TrainingData(X, y, classes, target, sample_weight, groups, kept)


def with_validation_rows(
    data: TrainingData, X_val: np.ndarray, y_val: Any
) -> tuple[TrainingData, tuple[np.ndarray, np.ndarray]]:
    """Return training and validation rows together, and which rows are trained on and held out.

    The user's validation rows have validated features of shape (n_val, ...) and labels of shape
    (n_val,), and count with weight 1. Raises ValueError if lengths or shapes of rows differ, or a
    label is no class of the training rows; TypeError if labels are not of the type of those.
    """
    shape, given = data.X.shape[1:], X_val.shape[1:]
    if given != shape:
        raise ValueError(f"X_val must hold rows of the same shape as X, {shape}. Got {given}.")
    check_unmasked(y_val=y_val)
    y_val = column_or_1d(y_val, dtype=data.y.dtype if data.y.dtype == object else None)
    check_consistent_length(X_val, y_val)
    try:
        unknown = np.setdiff1d(y_val, data.classes)
    except TypeError as error:
        raise TypeError(
            f"y_val must hold labels of the type that y holds, such as {data.y.tolist()[0]!r}."
        ) from error
    if unknown.size:
        raise ValueError(
            f"y_val holds the class {unknown.tolist()[0]!r}, which y does not; leave its rows out "
            "of X_val and y_val."
        )
    weight, n_train = data.sample_weight, len(data.y)
    together = replace(
        data,
        X=np.concatenate([data.X, X_val]),
        y=np.concatenate([data.y, y_val]),
        target=np.append(data.target, np.searchsorted(data.classes, y_val)).astype(np.int32),
        sample_weight=None if weight is None else np.append(weight, np.ones(len(y_val))),
    )
    rows = np.arange(n_train + len(y_val))
    return together, (rows[:n_train], rows[n_train:])


def check_unmasked(**given: Any) -> None:
    """Raise ValueError where an array has masked values, which NumPy would unmask silently."""
    for name, values in given.items():
        if np.ma.is_masked(values):
            raise ValueError(
                f"{name} holds masked values; fill them in, or leave out their rows: "
                f"{name}.filled(...)."
            )


def check_no_times(X: Any) -> None:
    """Raise TypeError where features are dates or durations, which NumPy casts to numbers."""
    dtypes = getattr(X, "dtypes", None)
    dtypes = [getattr(X, "dtype", None)] if dtypes is None else list(dtypes)
    times = [dtype for dtype in dtypes if getattr(dtype, "kind", "") in ("m", "M")]
    if times:
        raise TypeError(f"X holds times ({times[0]}); give numbers, such as days since a date.")


def _check_labels(y: np.ndarray) -> None:
    """Raise a clear error where labels are no classes."""
    if y.dtype.kind == "V":
        raise ValueError(f"y must hold one label in each row, number or string. Got {y.dtype}.")
    if y.dtype.kind in "mM" and np.isnat(y).any():
        raise ValueError("y holds NaT (not a time); leave out rows without a label.")
    if y.dtype.kind == "O":
        _check_sortable(y, "y")
    with np.errstate(invalid="ignore"):  # of huge floats scikit-learn asks whether they are ints
        check_classification_targets(y)


def _check_range(weights: np.ndarray, dtype: np.dtype) -> None:
    """Raise ValueError where weights above 0 vanish or overflow in the float type of training."""
    low, high = np.finfo(dtype).tiny, np.finfo(dtype).max
    if weights.min() < low or weights.sum(dtype=np.float64) > high:
        raise ValueError(
            f"sample_weight must be 0 or at least {low:.0e}, and add up to no more than "
            f"{high:.0e}: training computes in {dtype}. Got weights from {weights.min():.3g} to "
            f"{weights.max():.3g} instead; divide them by their mean."
        )


def _check_sortable(values: np.ndarray, name: str) -> None:
    """Raise TypeError where values are of types that cannot be compared."""
    try:
        np.unique(values)
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in values.tolist()})
        raise TypeError(
            f"{name} must hold values of one type, so that they can be sorted. Got the types "
            f"{kinds} instead; turn them all into strings, and leave out what is missing."
        ) from error
