"""Rows as the wrapped estimator takes them."""

from typing import Any

import numpy as np
from scikeras.wrappers import BaseWrapper, KerasRegressor
from sklearn import config_context
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_sample_weight

from .._task.labels import is_one_hot
from ._scikeras import is_plain
from .given import input_dtype
from .heads import takes_one_hot


def encode(opened: BaseWrapper, X: np.ndarray, y: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return features, see :func:`encode_features`, and targets as the Keras model takes them.

    SciKeras makes classes one-hot only for a categorical cross-entropy that it is told of.
    """
    with config_context(transform_output="default"):
        targets = np.asarray(opened.target_encoder_.transform(y))
    if isinstance(opened, KerasRegressor):
        # A loss of a user's own need not know that a column and a row of numbers are alike.
        return encode_features(opened, X), targets.reshape(len(targets), -1)
    if takes_one_hot(opened.model_) and targets.ndim == 2 and targets.shape[1] == 1:
        targets = np.eye(opened.n_classes_, dtype=input_dtype())[targets[:, 0].astype(int)]
    return encode_features(opened, X), targets


def encode_features(opened: BaseWrapper, X: np.ndarray) -> Any:
    """Return features as the Keras model takes them: an array, or a list or dict of arrays."""
    encoder = opened.feature_encoder_
    if is_identity(encoder):
        return X
    with config_context(transform_output="default"):  # arrays, whatever Pipelines are to return
        return encoder.transform(X)


def is_identity(encoder: Any) -> bool:
    """Tell whether a feature encoder is SciKeras's own, which leaves features as they are."""
    return type(encoder) is FunctionTransformer and encoder.func is None


def features_to_open(estimator: BaseWrapper, X: np.ndarray, rows: Any) -> np.ndarray:
    """Return the training rows (n_train, ...) among `X` (n_samples, ...), for `open_estimator`.

    `rows` is a slice or an int ndarray of shape (n_train,). A feature encoder of the user's is
    fitted on the training rows. Otherwise only their shape counts, and the first one stands for
    all: a view, not to be written to, where the rows themselves would be a copy.
    """
    looks_at_shapes = is_plain(estimator) and is_identity(estimator.feature_encoder)
    if isinstance(rows, slice) or not looks_at_shapes:
        return X[rows]
    return np.broadcast_to(X[rows[:1]], (len(rows), *X.shape[1:]))


def check_row_shape(fitted: BaseWrapper, X: np.ndarray) -> None:
    """Raise ValueError where rows are not of the shape of those that were trained on."""
    if X.shape[1:] != fitted.X_shape_[1:]:
        raise ValueError(
            f"X must hold rows of shape {fitted.X_shape_[1:]}, as in fit. Got rows of shape "
            f"{X.shape[1:]} instead."
        )


def has_weights(opened: BaseWrapper, sample_weight: np.ndarray | None) -> bool:
    """Tell whether training is given weights: of rows, or of classes."""
    return sample_weight is not None or _class_weight(opened) is not None


def training_weights(
    opened: BaseWrapper, y: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray:
    """Return each row's weight in the training loss (n_samples,): sample weight × class weight;
    raise ValueError if a class weight is negative, or the weights are not finite or all 0.
    """
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    class_weight = _class_weight(opened)
    if class_weight is not None:
        is_known = isinstance(class_weight, dict) or class_weight == "balanced"
        if is_known:
            weights = weights * compute_sample_weight(class_weight, _classes_of(y))
        highest = np.finfo(input_dtype()).max
        if not (is_known and weights.min() >= 0 and 0 < weights.sum() <= highest):
            raise ValueError(
                "The 'class_weight' parameter of the wrapped KerasClassifier must be 'balanced', "
                "None, or a dict of class to weight: finite, at least 0 and not all of them 0. Got "
                f"{class_weight!r} instead."
            )
    return weights.astype(input_dtype())


def _classes_of(y: np.ndarray) -> np.ndarray:
    """Return the class of each row; of one-hot rows, the number of the column, as Keras does."""
    if y.ndim == 1 or y.shape[1] == 1:
        return y.ravel()
    if not is_one_hot(y):
        raise ValueError(
            "The 'class_weight' parameter of the wrapped KerasClassifier must be None where rows "
            "have several labels, each of which is a class of its own. Give fit a sample_weight."
        )
    return y.argmax(axis=1)


def _class_weight(opened: BaseWrapper) -> Any:
    """Return the class weights of an estimator; a regressor has none."""
    return getattr(opened, "class_weight", None)
