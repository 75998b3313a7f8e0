"""What the structure of a Keras model allows, and when two structures are the same."""

import json
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import keras

from .._keras_model import is_builtin, loss_of
from ._convolution import CONVOLUTIONS, patch_bytes

__all__ = [
    "architecture_key",
    "convolutions",
    "has_loops",
    "may_pad",
    "suits_xla",
    "unknown_layers",
    "why_not_compilable",
    "why_not_vectorizable",
]

layers = keras.layers

MAX_PATCH_BYTES = 2**19
"""Patches of a batch up to which convolutions train faster as products, many members at once."""

MAX_XLA_PATCH_BYTES = 2**17
"""Patches of a batch up to which XLA's own convolution is faster than TensorFlow's."""

LOOPS = (layers.RNN, layers.Bidirectional)
"""Layers with a loop over time.

XLA cannot compile it once it is vectorised, and TensorFlow cannot vectorise it over one
member.
"""

ROWS_MEET = (layers.BatchNormalization, layers.ActivityRegularization, layers.Lambda)
"""Built-in layers in which the rows of a training batch see each other, or may."""

NAME_KEYS = {"name", "keras_history", "input_layers", "output_layers"}
"""Where a layer's config holds names of layers."""

MEAN_REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def _layers(model: keras.Model) -> list[Any]:
    return list(model._flatten_layers(include_self=False))


def why_not_compilable(model: keras.Model) -> str | None:
    """Say why a compiled program cannot train `model`, where it is known that it cannot."""
    if model.run_eagerly:
        return "The model was compiled with run_eagerly=True."
    if type(model).train_step is not keras.Model.train_step:
        return f"{type(model).__name__} has a train_step of its own."
    return None


def convolutions(model: keras.Model) -> list[Any]:
    """Return the layers of a model that convolve."""
    return [layer for layer in _layers(model) if isinstance(layer, CONVOLUTIONS)]


def why_not_vectorizable(model: keras.Model, batch_size: int) -> str | None:
    """Say why members of `model` cannot be trained at once, or are not, where it is known."""
    total = 0.0
    for layer in convolutions(model):
        total += patch_bytes(layer, batch_size)
        if total > MAX_PATCH_BYTES:
            why = "TensorFlow cannot vectorise convolutions whose filters differ by member"
            if total < float("inf"):
                why = f"patches of {total / 2**20:.1f} MB a batch train faster member by member"
            return f"Layer {layer.name!r} ({type(layer).__name__}): {why}."
    return None


def suits_xla(model: keras.Model, batch_size: int, vectorized: bool) -> bool:
    """Tell whether XLA would not be slower on `model`, or fail.

    Parameters
    ----------
    model : keras.Model
        Built.
    batch_size : int
        Rows per training step.
    vectorized : bool
        Whether convolutions are computed as products of patches.
    """
    if has_loops(model):
        return False
    total = sum(patch_bytes(layer, batch_size) for layer in convolutions(model))
    return vectorized or total <= MAX_XLA_PATCH_BYTES


def unknown_layers(model: keras.Model) -> list[str]:
    """Return names of the layers that are not Keras's own."""
    return [
        f"{layer.name!r} ({type(layer).__name__})"
        for layer in _layers(model)
        if not is_builtin(layer)
    ]


def has_loops(model: keras.Model) -> bool:
    """Tell whether a layer loops over time."""
    return any(isinstance(layer, LOOPS) for layer in _layers(model))


def may_pad(model: keras.Model) -> bool:
    """Tell whether rows of weight 0 leave a training step as it is.

    They do where every row is treated by itself and the loss is a mean over rows:
    with Keras's own layers, but for a few, and Keras's own losses.
    """
    if not all(_is_layer_graph(part) for part in [model, *_layers(model)]):
        return False
    for layer in _layers(model):
        if not is_builtin(layer) or isinstance(layer, ROWS_MEET):
            return False
        if getattr(layer, "activity_regularizer", None) is not None:
            return False
        if getattr(layer, "stateful", False):
            return False
    loss = _builtin_loss(model)
    return loss is not None and getattr(loss, "reduction", "mean") in MEAN_REDUCTIONS


def _is_layer_graph(part: Any) -> bool:
    """Tell whether a model is made of layers alone; a layer that is no model is."""
    if not isinstance(part, keras.Model) or isinstance(part, keras.Sequential):
        return True
    operations = getattr(part, "operations", [None])  # a subclass of Model has code of its own
    return all(isinstance(operation, layers.Layer) for operation in operations)


def _builtin_loss(model: keras.Model) -> Any:
    """Return the loss of a model, as a function or object, if it is one of Keras's own."""
    loss = loss_of(model)
    return loss if callable(loss) and is_builtin(loss) else None


def architecture_key(model: keras.Model) -> str | None:
    """Return a text that is equal for models which one program can serve.

    Names and the learning rate do not matter. None if the model holds layers or a loss
    that are not Keras's own, whose config may not tell all about them. Functions of the
    user's, as activations for instance, are told apart by their code.
    """
    try:
        config = keras.saving.serialize_keras_object(model)
    except (TypeError, ValueError, NotImplementedError):
        return None
    config.pop("compile_config", None)
    config["optimizer"] = keras.saving.serialize_keras_object(model.optimizer)
    config["optimizer"]["config"].pop("learning_rate", None)
    loss = _builtin_loss(model)
    if loss is None:
        return None
    config["loss"] = (loss.get_config() if isinstance(loss, keras.losses.Loss) else {}) | {
        "function": getattr(loss, "__name__", type(loss).__name__)
    }
    foreign = [m for m in _values(config, "module") if f"{m}.".split(".")[0] != "keras"]
    functions = _own_functions(model)
    if foreign != ["builtins"] * len(functions):
        return None
    config["functions"] = functions
    if any(hasattr(layer, "adapt") for layer in _layers(model)):
        return None  # what they were adapted to is in no config and in no variable
    config["loss_weights"] = getattr(model._compile_loss, "_user_loss_weights", None)
    names = {name: f"#{i}" for i, name in enumerate(dict.fromkeys(_values(config, "name")))}
    optimizer = model.optimizer
    excluded: set[Any] = getattr(optimizer, "_exclude_from_weight_decay", set())
    config["excluded"] = [
        i for i, v in enumerate(model.trainable_variables) if optimizer._var_key(v) in excluded
    ]
    config["excluded_pattern"] = str(getattr(optimizer, "_exclude_from_weight_decay_pattern", None))
    config["trainable"] = [bool(v.trainable) for v in model.variables]
    return json.dumps(_rename(config, names), sort_keys=True, default=str)


def _own_functions(model: keras.Model) -> list[str]:
    """Return what tells apart the user's functions that are attributes of layers."""
    functions = [
        value
        for layer in _layers(model)
        for value in vars(layer).values()
        if isinstance(value, FunctionType) and not value.__module__.startswith("keras.")
    ]
    return [
        # Equal code does the same only where nothing was handed to it when it was defined.
        f"{id(f)}" if f.__closure__ or f.__defaults__ or f.__kwdefaults__ else f"{id(f.__code__)}"
        for f in functions
    ]


def _values(config: Any, key: str) -> Iterator[str]:
    """Yield the text under `key` wherever it stands in a nested config."""
    if isinstance(config, dict):
        if isinstance(config.get(key), str):
            yield config[key]
        for value in config.values():
            yield from _values(value, key)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _values(value, key)


def _rename(config: Any, names: dict[str, str], is_name: bool = False) -> Any:
    """Replace names by their position, where names stand."""
    if isinstance(config, dict):
        return {
            key: _rename(value, names, is_name or key in NAME_KEYS) for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return [_rename(value, names, is_name) for value in config]
    return names.get(config, config) if is_name and isinstance(config, str) else config
