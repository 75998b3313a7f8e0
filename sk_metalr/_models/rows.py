"""Rows as the wrapped estimator takes them, and probabilities as it gives them."""

from typing import Any

import numpy as np
from scikeras.wrappers import KerasClassifier
from scipy.special import expit, softmax
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_sample_weight

from .._task import Classification
from ._scikeras import is_plain
from .given import input_dtype
from .keras_model import has_logits


def encode(opened: KerasClassifier, X: np.ndarray, y: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return features, see :func:`encode_features`, and targets as the Keras model takes them."""
    return encode_features(opened, X), np.asarray(opened.target_encoder_.transform(y))


def encode_features(opened: KerasClassifier, X: np.ndarray) -> Any:
    """Return features as the Keras model takes them: an array, or a list or dict of arrays."""
    encoder = opened.feature_encoder_
    return X if is_identity(encoder) else encoder.transform(X)


def is_identity(encoder: Any) -> bool:
    """Tell whether a feature encoder is SciKeras's own, which leaves features as they are."""
    return type(encoder) is FunctionTransformer and encoder.func is None


def features_to_open(estimator: KerasClassifier, X: np.ndarray, rows: Any) -> np.ndarray:
    """Return the training rows (n_train, ...) among `X` (n_samples, ...), for `open_estimator`.

    `rows` is a slice or an int ndarray of shape (n_train,). A feature encoder of the user's is
    fitted on the training rows. Otherwise only their shape counts, and the first one stands for
    all: a view, not to be written to, where the rows themselves would be a copy.
    """
    looks_at_shapes = is_plain(estimator) and is_identity(estimator.feature_encoder)
    if isinstance(rows, slice) or not looks_at_shapes:
        return X[rows]
    return np.broadcast_to(X[rows[:1]], (len(rows), *X.shape[1:]))


def check_row_shape(fitted: KerasClassifier, X: np.ndarray) -> None:
    """Raise ValueError where rows are not of the shape of those that were trained on."""
    if X.shape[1:] != fitted.X_shape_[1:]:
        raise ValueError(
            f"X must hold rows of shape {fitted.X_shape_[1:]}, as in fit. Got rows of shape "
            f"{X.shape[1:]} instead."
        )


def has_weights(opened: KerasClassifier, sample_weight: np.ndarray | None) -> bool:
    """Tell whether training is given weights: of rows, or of classes."""
    return sample_weight is not None or opened.class_weight is not None


def training_weights(
    opened: KerasClassifier, y: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray:
    """Return each row's weight in the training loss (n_samples,): sample weight × class weight;
    raise ValueError if a class weight is negative, or the weights are not finite or all 0.
    """
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if opened.class_weight is not None:
        is_known = isinstance(opened.class_weight, dict) or opened.class_weight == "balanced"
        if is_known:
            weights = weights * compute_sample_weight(opened.class_weight, y)
        highest = np.finfo(input_dtype()).max
        if not (is_known and weights.min() >= 0 and 0 < weights.sum() <= highest):
            raise ValueError(
                "The 'class_weight' parameter of the wrapped KerasClassifier must be 'balanced', "
                "None, or a dict of class to weight: finite, at least 0 and not all of them 0. Got "
                f"{opened.class_weight!r} instead."
            )
    return weights.astype(input_dtype())


def to_probabilities(
    fitted: KerasClassifier, outputs: np.ndarray, temperature: float = 1.0
) -> np.ndarray:
    """Return probabilities (..., n_classes) from the float64 outputs of a fitted model, which are
    (..., n_classes) or (..., 1), probabilities or logits; logits are divided by the temperature.
    """
    if temperature != 1.0:
        logits = Classification(has_logits(fitted.model_)).logits(outputs)
        return softmax(np.asarray(logits) / temperature, axis=-1)
    if outputs.shape[-1] == 1:
        positive = expit(outputs) if has_logits(fitted.model_) else outputs
        return np.concatenate([1 - positive, positive], axis=-1)
    if has_logits(fitted.model_):
        return softmax(outputs, axis=-1)
    return outputs / outputs.sum(axis=-1, keepdims=True)
