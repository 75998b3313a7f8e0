"""Estimators that a user may give, as a KerasClassifier."""

import functools
from typing import Any

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.base import BaseEstimator, TransformerMixin

from .keras_model import build_as_keras_wrapper, build_mlp

DEFAULT_TRAINING = {"batch_size": 32, "epochs": 40, "verbose": 0}


def input_dtype() -> np.dtype:
    """Return the dtype that features are cast to, once; raise ValueError if NumPy lacks it."""
    name = keras.config.floatx()
    if name == "bfloat16":
        raise ValueError(
            "Keras's float type must be one that NumPy has. Got 'bfloat16' from "
            "keras.config.floatx() instead; call keras.config.set_floatx('float32'), and give the "
            "layers of the model dtype='mixed_bfloat16' where they should compute in bfloat16."
        )
    return np.dtype(name)


def as_keras_classifier(estimator: Any) -> KerasClassifier:
    """Return the estimator that a user gave as a KerasClassifier, or raise TypeError; None stands
    for the ready-made network.
    """
    if estimator is None:
        return KerasClassifier(
            build_mlp, loss="sparse_categorical_crossentropy", optimizer="adam", **DEFAULT_TRAINING
        )
    if isinstance(estimator, KerasClassifier):
        return estimator
    if isinstance(estimator, keras.wrappers.SKLearnClassifier):
        return _from_keras_wrapper(estimator)
    is_function = callable(estimator) and not isinstance(estimator, type)
    if isinstance(estimator, keras.Model) or (is_function and not hasattr(estimator, "fit")):
        return KerasClassifier(estimator, **DEFAULT_TRAINING)
    raise TypeError(
        "The 'estimator' parameter of MetaLRClassifier must be a scikeras.wrappers."
        "KerasClassifier, a keras.wrappers.SKLearnClassifier, a compiled Keras model, a function "
        f"that returns one, or None. Got an object of type {type(estimator).__name__!r} instead; "
        "wrap what builds your model: MetaLRClassifier(KerasClassifier(build_model, ...))."
    )


class OneHotTargets(TransformerMixin, BaseEstimator):
    """Encodes targets as keras.wrappers.SKLearnClassifier does: one column a class."""

    def fit(self, y: Any) -> "OneHotTargets":
        """Learn the classes."""
        self.classes_ = np.unique(y)
        return self

    def transform(self, y: Any) -> np.ndarray:
        """Return an array of shape (n_samples, n_classes)."""
        return (np.reshape(y, (-1, 1)) == self.classes_).astype(input_dtype())

    def inverse_transform(self, y: np.ndarray, return_proba: bool = False) -> np.ndarray:
        """Return classes, or the probabilities that were given."""
        return y if return_proba else self.classes_[y.argmax(axis=1)]

    def get_metadata(self) -> dict[str, Any]:
        """Return the attributes that SciKeras asks for."""
        counts = {"n_classes_": len(self.classes_), "n_outputs_": 1, "n_outputs_expected_": 1}
        return {"classes_": self.classes_, **counts}


class OneHotKerasClassifier(KerasClassifier):
    """A KerasClassifier in place of a keras.wrappers.SKLearnClassifier."""

    @property
    def target_encoder(self) -> OneHotTargets:
        """Encoder of the targets."""
        return OneHotTargets()


def _from_keras_wrapper(estimator: Any) -> KerasClassifier:
    own = {"epochs", "batch_size", "shuffle", "verbose", "callbacks", "validation_split"}
    params = {
        name if name in own else f"fit__{name}": value
        for name, value in (estimator.fit_kwargs or {}).items()
    }
    build = functools.partial(build_as_keras_wrapper, estimator.model, estimator.model_kwargs)
    return OneHotKerasClassifier(build, **params)


def models_given(estimator: Any) -> list[keras.Model]:
    """Return the Keras models that a user has built and given, alone or in a wrapper."""
    given = [estimator, getattr(estimator, "model", None), getattr(estimator, "build_fn", None)]
    return [one for one in given if isinstance(one, keras.Model)]


def check_fresh(estimator: KerasClassifier) -> None:
    """Raise ValueError where each model of `estimator` starts from the same weights."""
    if models_given(estimator):
        raise ValueError(
            "Several refits (n_models) need fresh initial weights for each, but the wrapped "
            "KerasClassifier holds a Keras model that is built already. Give it a function that "
            "builds the model: KerasClassifier(lambda: keras.Sequential(...), ...)."
        )
