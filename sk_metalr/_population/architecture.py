"""What the structure of a Keras model is equal to: models that one program can serve."""

import json
import re
import warnings
from collections.abc import Callable, Collection, Iterator
from itertools import count
from threading import Lock
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import keras

from .._keras import layers_of, loss_arguments, loss_weights, spared_of_decay
from .._models.keras_model import is_builtin
from .numbers import without
from .suitability import OVERRIDDEN, builtin_loss, own_functions

OF_FUNCTIONS = ("keras", "tensorflow", "numpy")
"""Libraries whose functions do the same at every call."""

NAME_KEYS = {"name", "keras_history", "input_layers", "output_layers"}
"""Keys under which a layer's config holds names of layers."""

AUTOMATIC_NAME = r"(input_layer|keras_tensor)(_\d+)?$"
"""What Keras calls an input that was not given a name; it differs from build to build."""

_counter = count()

_numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""Numbers of code, which, unlike its places in memory, are never given again."""

_numbering = Lock()


def architecture_key(
    model: keras.Model,
    data: Collection[str] = (),
    number_of: Callable[[CodeType], Any] | None = None,
) -> str | None:
    """Return a text that is equal for models which one program can serve.

    Names and the learning rate do not matter, nor do the numbers that the program takes as `data`;
    see :func:`.numbers_of`. None if the model holds layers or a loss that are not Keras's own,
    whose config may not tell all about them. Functions of the user's, as activations for instance,
    are told apart by what they were handed and by what `number_of` returns for their code; without
    it, the text is one of this process alone.
    """
    with without(model, data):
        key = _key(model, number_of or _number_of)
    return None if key is None else f"{key} {sorted(data)}"


def _key(model: keras.Model, number_of: Callable[[Any], Any]) -> str | None:
    loss = builtin_loss(model)
    if loss is None or any(hasattr(layer, "adapt") for layer in layers_of(model)):
        return None  # what layers were adapted to is in no config and in no variable
    if {"call", "compute_loss", *OVERRIDDEN} & vars(model).keys():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of lambdas, which nobody is going to load
            config = keras.saving.serialize_keras_object(model)
    except (TypeError, ValueError, NotImplementedError):
        return None
    config.pop("compile_config", None)
    config["optimizer"] = keras.saving.serialize_keras_object(model.optimizer)
    config["optimizer"]["config"].pop("learning_rate", None)
    settings = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    config["loss"] = settings | {"function": getattr(loss, "__name__", type(loss).__name__)}
    config["loss_arguments"] = dict(loss_arguments(loss))  # not all of which are in the config
    foreign = [m for m in _values(config, "module") if f"{m}.".split(".")[0] != "keras"]
    functions = own_functions(model)
    if foreign != ["builtins"] * len(functions) or not all(map(_is_closed, functions)):
        return None
    # Equal code does the same where what was handed to it when it was defined is equal, too.
    config["functions"] = [[number_of(f.__code__), _in_words(_handed_to(f))] for f in functions]
    if any(handed is None for _, handed in config["functions"]):
        return None
    config["penalties"] = _penalties(model)
    if config["penalties"] is None:
        return None
    config["named_inputs"] = _named_inputs(model)
    # A policy goes by its name in a config, where names do not matter.
    config["dtypes"] = [(one.compute_dtype, one.variable_dtype) for one in layers_of(model)]
    config["settings"] = keras_settings()
    config["loss_weights"] = loss_weights(model)
    names = {name: f"#{i}" for i, name in enumerate(dict.fromkeys(_values(config, "name")))}
    config["spared_of_decay"] = spared_of_decay(model)
    config["trainable"] = [bool(v.trainable) for v in model.variables]
    return json.dumps(_rename(config, names), sort_keys=True, default=str)


def _number_of(code: CodeType) -> int:
    """Return a number that no other code has or will have in this process."""
    with _numbering:
        return _numbers.setdefault(code, next(_counter))


def _named_inputs(model: keras.Model) -> list[str]:
    """Return the names of several inputs that were given some: a dict of rows is read by them."""
    names = [str(one.name) for one in getattr(model, "inputs", None) or []]
    return [name for name in names if not re.match(AUTOMATIC_NAME, name)] if names[1:] else []


def keras_settings() -> dict[str, Any]:
    """Return the settings of Keras in this process that models and their training depend on."""
    return {
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "image_data_format": keras.config.image_data_format(),
        "dtype_policy": keras.dtype_policies.serialize(keras.config.dtype_policy()),
    }


def _is_closed(function: FunctionType) -> bool:
    """Tell whether a function, with those defined in it, reads nothing global but libraries."""
    for name in set(names_read(function.__code__)) & function.__globals__.keys():
        value = function.__globals__[name]
        is_module = isinstance(value, ModuleType)
        home = value.__name__ if is_module else getattr(value, "__module__", "")
        if str(home).split(".")[0] not in OF_FUNCTIONS:
            return False
    return True


def _handed_to(function: FunctionType) -> tuple[Any, ...]:
    """Return what a function was handed when it was defined: defaults, and what it closes over."""
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    defaults = tuple((function.__kwdefaults__ or {}).items())
    return function.__defaults__ or (), defaults, cells


def _in_words(value: Any) -> str | None:
    """Return a text that equal values have in common; None for what is no number, text, function of
    a library, or tuple of such, and may change in place.
    """
    if isinstance(value, tuple):
        parts = [_in_words(one) for one in value]
        return None if None in parts else str(parts)
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, ModuleType):
        home, name = value.__name__, ""
    elif isinstance(value, FunctionType | BuiltinFunctionType | type):
        home, name = str(value.__module__), value.__qualname__
    else:
        return None
    return f"{home} {name}" if home.split(".")[0] in OF_FUNCTIONS else None


def _penalties(model: keras.Model) -> list[Any] | None:
    """Return configs of the regularizer and the constraint of each variable, which need not be
    those that its layer shows; None where they are not Keras's own, and no layer shows them.
    """
    shown = {id(value) for layer in layers_of(model) for value in vars(layer).values()}
    found = []
    for variable in model.trainable_variables:
        for one in (variable.regularizer, variable.constraint):
            if one is None or is_builtin(one):
                found.append(one and keras.saving.serialize_keras_object(one))
            elif id(one) in shown:  # and is in the layer's config
                found.append(type(one).__name__)
            else:
                return None
    return found


def names_read(code: CodeType) -> Iterator[str]:
    """Yield the names that code, and the functions and comprehensions in it, look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_read(constant)


def _values(config: Any, key: str) -> Iterator[str]:
    """Yield the text under `key` wherever it stands in a nested config."""
    if isinstance(config, dict):
        if isinstance(config.get(key), str):
            yield config[key]
        config = list(config.values())
    if isinstance(config, list | tuple):
        for value in config:
            yield from _values(value, key)


def _rename(config: Any, names: dict[str, str], is_name: bool = False) -> Any:
    """Replace names by their position, where names stand."""
    if isinstance(config, dict):
        return {k: _rename(value, names, is_name or k in NAME_KEYS) for k, value in config.items()}
    if isinstance(config, list | tuple):
        return [_rename(value, names, is_name) for value in config]
    return names.get(config, config) if is_name and isinstance(config, str) else config
