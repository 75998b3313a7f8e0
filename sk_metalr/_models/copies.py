"""Copies of a Keras model that was given: what a config does not tell is carried over."""

from typing import Any

import keras
import numpy as np

from .._keras import copy_decay_exclusions_of_model, copy_loss, rate_of, replace_optimizer
from .strategy import at_rate

METHODS = (
    *("call", "compute_loss", "fit", "predict", "train_step", "predict_step"),
    *("make_train_function", "train_on_batch"),
)
"""Methods of models that subclasses override, and that some set on a model itself."""


def check_copy(given: keras.Model, copied: keras.Model) -> None:
    """Raise ValueError where the copy of a model that was given is another model."""
    of_its_own = [name for name in METHODS if name in vars(given)]
    if of_its_own:
        raise ValueError(
            "A Keras model that is given must have its methods from its class, as copies of it do. "
            f"Got one whose {of_its_own[0]} was set on the model itself instead; write a subclass "
            "of keras.Model, or give a function that builds the model."
        )
    if [tuple(one.shape) for one in given.weights] != [tuple(one.shape) for one in copied.weights]:
        raise ValueError(
            "A Keras model that is given must be one that Keras can copy. Got one whose copy has "
            f"{len(copied.weights)} arrays of weights instead of {len(given.weights)}, or of other "
            "shapes; give a function that builds the model."
        )


def copy_changes(given: keras.Model, copied: keras.Model) -> None:
    """Carry over to a copy of a model what is in no config: arguments of its losses, values of its
    variables, which of them train, penalties and constraints.
    """
    if given.compiled:
        copy_loss(given, copied)
    if len(given.weights) != len(copied.weights):
        return
    trained = len(copied.trainable_variables)
    for of_given, of_copy in zip(given.weights, copied.weights, strict=True):
        of_copy.assign(of_given)
        of_copy.trainable = of_given.trainable
        for name in ("regularizer", "constraint"):
            if _config_of(getattr(of_given, name)) != _config_of(getattr(of_copy, name)):
                setattr(of_copy, name, getattr(of_given, name))
    if copied.compiled and copied.optimizer is not None:
        if len(copied.trainable_variables) != trained:  # for which the optimizer was built
            replace_optimizer(copied, at_rate(copied.optimizer, rate_of(copied.optimizer)))
        copy_decay_exclusions_of_model(given, copied)


def _config_of(thing: Any) -> Any:
    """Return the class and the config of a regularizer or a constraint."""
    return thing if thing is None else (type(thing), getattr(thing, "get_config", dict)())


def build_as_keras_wrapper(
    model: Any, model_kwargs: dict[str, Any] | None, /, meta: dict[str, Any]
) -> keras.Model:
    """Build the model of one of ``keras.wrappers``, whose function is handed the training rows and
    the targets as the model takes them; `meta` holds both, see :class:`._scikeras.HandsOverRows`.
    """
    if isinstance(model, keras.Model):
        copy = keras.models.clone_model(model)
        copy.compile_from_config(model.get_compile_config())
        return copy
    X, y = meta["rows_"]
    targets = np.asarray(meta["target_encoder_"].transform(y))
    return model(X=X, y=targets.reshape(len(targets), -1), **(model_kwargs or {}))
