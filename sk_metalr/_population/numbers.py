"""Numbers of a model that a program takes as data: a value of its own for each member.

Rates of dropout and noise, penalties, label smoothing and the numbers of an optimizer are plain
numbers, which Keras reads where a training step is traced. They matter to training alone. So models
that differ in nothing else are members of one program, which reads tensors in their place.
"""

import operator
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from .._keras import layers_of, loss_arguments, noise_shape
from .._models.keras_model import is_builtin, loss_of
from .._space import is_number

layers, regularizers = keras.layers, keras.regularizers

OF_LAYERS = {
    layers.Dropout: "rate",
    layers.SpatialDropout1D: "rate",
    layers.SpatialDropout2D: "rate",
    layers.SpatialDropout3D: "rate",
    layers.GaussianNoise: "stddev",
}
"""Numbers of layers, by their very classes: subclasses may do anything."""

OF_REGULARIZERS = {
    regularizers.L1: ("l1",),
    regularizers.L2: ("l2",),
    regularizers.L1L2: ("l1", "l2"),
}

OF_OPTIMIZERS = (
    *("weight_decay", "momentum", "beta_1", "beta_2", "rho", "epsilon"),
    *("clipnorm", "clipvalue", "global_clipnorm"),
)

ABSENT_AT_0 = "momentum", "clipnorm", "clipvalue", "global_clipnorm"

PREFIX = "optimizer__"
"""Beginning of the names of an optimizer's numbers, as in ``set_params``, where the loss has its
own; those of layers begin with the number of the layer."""

SMOOTHING = "label_smoothing"
PLACEHOLDER = 0.5

Place = tuple[list[dict[str, Any]], str]
"""Namespaces of objects that hold a number, and the name that it has there."""


class Number:
    """A number that differs between members, in place of a plain one.

    Arithmetic with it gives tensors. Conditions take it for a number above 0, which is there: at 0,
    what Keras does then changes nothing.
    """

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    @property
    def dtype(self) -> Any:
        """Type of the tensor."""
        return self.tensor.dtype

    @property
    def shape(self) -> Any:
        """Shape of the tensor: ()."""
        return self.tensor.shape

    def __bool__(self) -> bool:
        return True

    def __gt__(self, other: Any) -> bool:
        return True

    def __ge__(self, other: Any) -> bool:
        return True

    def __lt__(self, other: Any) -> bool:
        return False

    def __le__(self, other: Any) -> bool:
        return False

    def __eq__(self, other: Any) -> bool:
        return False

    def __ne__(self, other: Any) -> bool:
        return True

    __hash__ = object.__hash__

    def __neg__(self) -> Any:
        return -self.tensor


def _arithmetic(name: str) -> None:
    function = getattr(operator, name)
    setattr(Number, f"__{name}__", lambda self, other: function(self.tensor, _tensor(other)))
    setattr(Number, f"__r{name}__", lambda self, other: function(_tensor(other), self.tensor))


def _tensor(value: Any) -> Any:
    return value.tensor if isinstance(value, Number) else value


for _name in ("add", "sub", "mul", "truediv", "pow"):
    _arithmetic(_name)


def _converted(value: Number, dtype: Any = None, name: Any = None, as_ref: bool = False) -> Any:
    """Return the tensor, where TensorFlow asks for one."""
    return value.tensor if dtype is None else tf.cast(value.tensor, dtype)


tf.register_tensor_conversion_function(Number, _converted)


def places_of(model: keras.Model, optimizer: Any = None) -> dict[str, Place]:
    """Return the places of a compiled model's numbers by name, those of another `optimizer` like
    its own if it is given.

    There are none but the optimizer's where a layer computes in anything but float32.
    """
    own = model.optimizer if optimizer is None else optimizer
    places: dict[str, Place] = {}
    if is_builtin(model.optimizer):
        names = [name for name in OF_OPTIMIZERS if is_number(getattr(own, name, None))]
        # Without momentum there are no variables for it, and Keras takes clipping at 0 for none.
        names = [n for n in names if n not in ABSENT_AT_0 or getattr(own, n) > 0]
        places = {f"{PREFIX}{name}": ([vars(own)], name) for name in names}
    every = layers_of(model)
    if any(layer.compute_dtype != "float32" for layer in every):
        return places
    for number, layer in enumerate(every):
        name = OF_LAYERS.get(type(layer))
        if name is not None and hasattr(layer, "seed_generator"):
            places[f"{number}.{name}"] = [vars(layer)], name
        for attribute, value in vars(layer).items():
            for name in OF_REGULARIZERS.get(type(value), ()):
                places[f"{number}.{attribute}.{name}"] = [vars(value)], name
    arguments = loss_arguments(loss_of(model))
    if is_number(arguments.get(SMOOTHING)):
        places[f"loss__{SMOOTHING}"] = [arguments, vars(loss_of(model))], SMOOTHING
    return {name: place for name, place in places.items() if is_number(_value(place))}


def numbers_of(model: keras.Model) -> dict[str, float]:
    """Return a compiled model's numbers by name."""
    return {name: float(_value(place)) for name, place in places_of(model).items()}


def _value(place: Place) -> Any:
    (first, *_), name = place
    return first.get(name)


def put(places: dict[str, Place], values: dict[str, Any]) -> None:
    """Put numbers in their places, those of other names aside."""
    for name in places.keys() & values.keys():
        namespaces, attribute = places[name]
        for one in namespaces:  # past setters, which would track tensors
            one[attribute] = values[name]


@contextmanager
def holding(places: dict[str, Place], values: dict[str, Any]) -> Iterator[None]:
    """Have places hold other values meanwhile; those of other names are left aside."""
    before = {name: _value(place) for name, place in places.items()}
    put(places, values)
    try:
        yield
    finally:
        put(places, before)


@contextmanager
def without(model: keras.Model, names: Collection[str]) -> Iterator[None]:
    """Have a model hold one and the same number meanwhile in places of these names."""
    places = {name: one for name, one in places_of(model).items() if name in names}
    with holding(places, dict.fromkeys(places, PLACEHOLDER)):
        yield


@contextmanager
def as_data(model: keras.Model, places: dict[str, Place], values: dict[str, Any]) -> Iterator[None]:
    """Have a step of a model traced with tensors of shape () in place of its numbers."""
    dropouts = [layer for layer in layers_of(model) if OF_LAYERS.get(type(layer)) == "rate"]
    with holding(places, {name: Number(value) for name, value in values.items()}):
        replaced = [layer for layer in dropouts if isinstance(layer.rate, Number)]
        for layer in replaced:  # Keras asks whether a rate is 1
            vars(layer)["call"] = partial(_drop, layer)
        try:
            yield
        finally:
            for layer in replaced:
                del vars(layer)["call"]


def _drop(layer: Any, inputs: Any, training: bool = False) -> Any:
    """Do what a dropout layer's own ``call`` does."""
    if not training:
        return inputs
    given, shape, rate = noise_shape(layer, inputs), tf.shape(inputs), layer.rate.tensor
    if given is not None:
        shape = [shape[axis] if size is None else size for axis, size in enumerate(given)]
    is_kept = keras.random.uniform(shape, seed=layer.seed_generator) >= rate
    return tf.where(is_kept, inputs * tf.math.divide_no_nan(1.0, 1.0 - rate), 0.0)
