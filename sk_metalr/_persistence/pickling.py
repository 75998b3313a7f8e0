"""Classes and functions that a pickled model needs beside itself, because they are not Keras's own.

SciKeras pickles a Keras model as a ``.keras`` file, which names layers of the user's but does not
bring them along. Pickle does, by reference, where they come first.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pickle import PicklingError
from types import FunctionType
from typing import Any

import keras

from .keras_models import is_keras_own, named_in, registered_name, short

PARTS = (
    *(keras.layers.Layer, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer),
    *(keras.initializers.Initializer, keras.regularizers.Regularizer),
    *(keras.constraints.Constraint, keras.optimizers.schedules.LearningRateSchedule),
)
"""Kinds of parts that models are made of."""


class Needed:
    """Classes and functions, by Keras's names for them, that are in its scope once unpickled."""

    def __init__(self, objects: dict[str, Any], in_scope: bool = False) -> None:
        self._objects = objects
        self._scope = ExitStack()
        if in_scope:
            self._scope.enter_context(keras.saving.CustomObjectScope(objects))

    def __reduce__(self) -> tuple[Any, ...]:
        return Needed, (self._objects, True)

    def leave(self) -> None:
        """Take them out of scope again, where they are in it."""
        self._scope.close()


def needed_by(model: keras.Model) -> dict[str, Any]:
    """Return what a model needs, by Keras's names; PicklingError if it could not be unpickled."""
    try:
        named = list(named_in(keras.saving.serialize_keras_object(model)))
    except Exception as error:  # whatever a layer of the user's may raise
        raise PicklingError(f"Keras cannot save the model: {short(error)}") from error
    own = {one.__name__: one for one in _within(model)}
    # SciKeras registers the class of a model by this name, once it pickles it.
    within, _, of_class = type(model).__qualname__.rpartition(".")
    objects = {f"{within}>{of_class}": type(model)}
    for one in named:
        name = registered_name(one)
        registered = keras.saving.get_registered_object(name)
        if one["class_name"] == "__lambda__":
            raise PicklingError(
                "The model has a lambda, which Keras would not load again. Write a layer as a "
                "subclass of keras.layers.Layer instead of a Lambda, and a function by its name."
            )
        if registered is not None or name in own:
            objects[name] = own[name] if registered is None else registered
        elif not is_keras_own(one):
            raise PicklingError(
                f"The model names {one.get('module')}.{name}, which Keras would not find again. "
                "Register it with keras.saving.register_keras_serializable."
            )
    return objects


def _within(model: keras.Model) -> Iterator[Any]:
    """Yield the functions and the classes of parts of a model that are not Keras's own."""
    waiting, seen = [model], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple | set):
            waiting.extend(one)
        elif isinstance(one, PARTS):
            waiting.extend(vars(one).values())
        thing = one if isinstance(one, FunctionType) else type(one)
        if isinstance(one, (FunctionType, *PARTS)) and thing.__module__.split(".")[0] != "keras":
            yield thing
