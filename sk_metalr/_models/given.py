"""Estimators that a user may give, as one of SciKeras's wrappers."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scikeras.wrappers import BaseWrapper, KerasClassifier, KerasRegressor
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline

from ._scikeras import READY_MADE, HandsOverRows
from .copies import build_as_keras_wrapper
from .ready_made import build_network, ready_made

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


@dataclass(frozen=True)
class Wrappers:
    """What an estimator of one kind may wrap.

    `own` is SciKeras's class, `of_keras` the one that Keras has; `convert` makes the former of it.
    """

    own: type[BaseWrapper]
    of_keras: type
    convert: Callable[[Any], BaseWrapper]


def as_wrapper(estimator: Any, kind: Wrappers) -> BaseWrapper:
    """Return the estimator that a user gave as one of SciKeras's, or raise TypeError; None stands
    for the ready-made network.
    """
    if estimator is None:
        loss = READY_MADE[kind.own]
        wrapper = ready_made(kind.own)
        return wrapper(build_network, loss=loss, optimizer="adam", **DEFAULT_TRAINING)
    if isinstance(estimator, kind.own):
        _check_target_encoder(estimator)
        return estimator
    if isinstance(estimator, kind.of_keras):
        return kind.convert(estimator)
    is_function = callable(estimator) and not isinstance(estimator, type)
    if isinstance(estimator, keras.Model):
        return kind.own(estimator, **DEFAULT_TRAINING)
    if is_function and not hasattr(estimator, "fit"):
        is_known = inspect.isfunction(estimator) or isinstance(estimator, functools.partial)
        build = estimator if is_known else functools.partial(estimator)  # a method, for instance
        return kind.own(build, **DEFAULT_TRAINING)
    name, of_keras = kind.own.__name__, kind.of_keras.__name__
    is_other = isinstance(estimator, BaseWrapper | keras.wrappers.SKLearnRegressor)
    is_other |= isinstance(estimator, keras.wrappers.SKLearnClassifier)
    wrap = f"wrap what builds your model: {name}(build_model, ...)"
    if is_other:
        wrap = "classes are for MetaLRClassifier, numbers for MetaLRRegressor"
    if isinstance(estimator, Pipeline):
        wrap = "put the Pipeline around this estimator, and give this one its last step"
    raise TypeError(
        f"The 'estimator' parameter must be a scikeras.wrappers.{name}, a keras.wrappers."
        f"{of_keras}, a compiled Keras model, a function that returns one, or None. Got an object "
        f"of type {type(estimator).__name__!r} instead; {wrap}."
    )


def _check_target_encoder(estimator: BaseWrapper) -> None:
    """Raise ValueError where a regressor of the user's encodes targets in a way of its own."""
    is_own = type(estimator).target_encoder is not KerasRegressor.target_encoder
    if isinstance(estimator, KerasRegressor) and is_own:
        raise ValueError(
            f"The wrapped {type(estimator).__name__} has a target_encoder of its own, whose "
            "numbers MetaLRRegressor would scale and score in place of yours. Leave it out, and "
            "put sklearn.compose.TransformedTargetRegressor around MetaLRRegressor."
        )


class OneHotTargets(TransformerMixin, BaseEstimator):
    """Encodes targets as keras.wrappers.SKLearnClassifier does: one column a class.

    Several labels in a row have a column each, and are left as they are.
    """

    def fit(self, y: Any) -> "OneHotTargets":
        """Learn the classes."""
        self.has_labels = np.ndim(y) == 2 and np.shape(y)[1] > 1
        self.classes_ = np.arange(np.shape(y)[1]) if self.has_labels else np.unique(y)
        return self

    def transform(self, y: Any) -> np.ndarray:
        """Return an array of shape (n_samples, n_classes)."""
        if self.has_labels:
            return np.asarray(y, input_dtype())
        return (np.reshape(y, (-1, 1)) == self.classes_).astype(input_dtype())

    def inverse_transform(self, y: np.ndarray, return_proba: bool = False) -> np.ndarray:
        """Return classes or labels, or the probabilities that were given."""
        if return_proba:
            return y
        return (y > 0.5).astype(int) if self.has_labels else self.classes_[y.argmax(axis=1)]

    def get_metadata(self) -> dict[str, Any]:
        """Return the attributes that SciKeras asks for."""
        counts = {"n_classes_": len(self.classes_), "n_outputs_": 1, "n_outputs_expected_": 1}
        return {"classes_": self.classes_, **counts}


class OneHotKerasClassifier(HandsOverRows, KerasClassifier):
    """A KerasClassifier in place of a keras.wrappers.SKLearnClassifier."""

    @property
    def target_encoder(self) -> OneHotTargets:
        """Encoder of the targets."""
        return OneHotTargets()


class RowsKerasRegressor(HandsOverRows, KerasRegressor):
    """A KerasRegressor in place of a keras.wrappers.SKLearnRegressor."""


def _params_of(estimator: Any) -> dict[str, Any]:
    """Return the ``fit_kwargs`` of one of Keras's wrappers as parameters of SciKeras's."""
    own = {"epochs", "batch_size", "shuffle", "verbose", "callbacks", "validation_split"}
    return {
        name if name in own else f"fit__{name}": value
        for name, value in (estimator.fit_kwargs or {}).items()
    }


def _classifier(estimator: Any) -> KerasClassifier:
    build = functools.partial(build_as_keras_wrapper, estimator.model, estimator.model_kwargs)
    return OneHotKerasClassifier(build, **_params_of(estimator))


def _regressor(estimator: Any) -> KerasRegressor:
    build = functools.partial(build_as_keras_wrapper, estimator.model, estimator.model_kwargs)
    return RowsKerasRegressor(build, **_params_of(estimator))


CLASSIFIERS = Wrappers(
    own=KerasClassifier,
    of_keras=keras.wrappers.SKLearnClassifier,
    convert=_classifier,
)
REGRESSORS = Wrappers(
    own=KerasRegressor,
    of_keras=keras.wrappers.SKLearnRegressor,
    convert=_regressor,
)


def keep_fit_kwargs(estimator: Any, copy: Any) -> None:
    """Give a clone of one of Keras's wrappers its ``fit_kwargs``, which Keras leaves out."""
    if isinstance(estimator, keras.wrappers.SKLearnClassifier | keras.wrappers.SKLearnRegressor):
        copy.fit_kwargs = estimator.fit_kwargs and dict(estimator.fit_kwargs)


def models_given(estimator: Any) -> list[keras.Model]:
    """Return the Keras models that a user has built and given, alone or in a wrapper."""
    given = [estimator, getattr(estimator, "model", None), getattr(estimator, "build_fn", None)]
    return [one for one in given if isinstance(one, keras.Model)]


def check_apart(opened: list[BaseWrapper]) -> None:
    """Raise ValueError where opened estimators train variables in common."""
    seen: set[int] = set()
    for one in opened:
        variables = {id(variable) for variable in one.model_.trainable_variables}
        if seen & variables:
            raise ValueError(
                "Several refits (n_models) need layers of their own for each, but those that the "
                "wrapped estimator's function returns share some. Make all layers, those of a "
                "pretrained part, too, inside of the function."
            )
        seen |= variables


def check_fresh(estimator: BaseWrapper) -> None:
    """Raise ValueError where each model of `estimator` starts from the same weights."""
    if models_given(estimator):
        raise ValueError(
            "Several refits (n_models) need fresh initial weights for each, but the wrapped "
            "estimator holds a Keras model that is built already. Give it a function that builds "
            "the model: lambda: keras.Sequential(...)."
        )
