"""Which ways of training and predicting the structure of a Keras model allows."""

from types import FunctionType
from typing import Any

import keras

from .._keras import input_shapes, layers_of
from .._models.keras_model import family, is_builtin, loss_of, overrides
from .._task.losses import loss_name
from .convolution import CONVOLUTIONS, patch_bytes

layers = keras.layers

MAX_PATCH_BYTES = 2**19  # of a batch; up to this, products train faster, many members at once

MAX_XLA_PATCH_BYTES = 2**17  # of a batch; up to this, XLA's own convolution beats TensorFlow's

LOOPS = (layers.RNN, layers.Bidirectional)
"""Layers that loop over time: XLA cannot compile a vectorised loop, and TensorFlow cannot vectorise
one over a single member."""

ROW_BY_ROW = {
    *("activations", "attention", "convolutional", "core", "embedding", "merging"),
    *("normalization", "pooling", "regularization", "reshaping", "rnn"),
}
"""Families of layers that treat each row of a batch by itself."""

OF_BATCHES = {"dice", "tversky", "circle"}
"""Losses of all rows of a batch together."""

MEAN_REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")

OVERRIDDEN = ("train_step", "predict_step", "predict", "make_train_function", "train_on_batch")
"""Methods that a model trains or predicts by in ways that no compiled program knows."""


def why_not_compilable(model: keras.Model) -> str | None:
    """Say why a compiled program cannot train `model`, where it is known that it cannot."""
    if model.run_eagerly:
        return "The model was compiled with run_eagerly=True."
    for name in OVERRIDDEN:
        if overrides(model, name):
            return f"{type(model).__name__} has a {name} of its own."
    return None


def convolutions(model: keras.Model) -> list[Any]:
    """Return the layers of a model that convolve."""
    return [layer for layer in layers_of(model) if isinstance(layer, CONVOLUTIONS)]


def why_not_vectorizable(model: keras.Model, batch_size: int) -> str | None:
    """Say why members of `model` cannot or should not train at once, where that is known."""
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
    """Tell whether XLA neither fails on a model nor trains it more slowly than TensorFlow does."""
    total = sum(patch_bytes(layer, batch_size) for layer in convolutions(model))
    is_fast = vectorized or total <= MAX_XLA_PATCH_BYTES  # vectorised convolutions are products
    return is_fast and not has_loops(model)


def unknown_layers(model: keras.Model) -> list[str]:
    """Return names of the layers that are not Keras's own."""
    unknown = [layer for layer in layers_of(model) if not is_builtin(layer)]
    return [f"{layer.name!r} ({type(layer).__name__})" for layer in unknown]


def has_loops(model: keras.Model) -> bool:
    """Tell whether a layer loops over time."""
    return any(isinstance(layer, LOOPS) for layer in layers_of(model))


def loops(model: keras.Model) -> list[Any]:
    """Return the layers of a model that loop over time, and can write their loops out."""
    return [layer for layer in layers_of(model) if isinstance(layer, layers.RNN)]


def n_time_steps(model: keras.Model) -> float:
    """Return how many time steps all loops take together; infinity where that is not known."""
    pairs = [layer for layer in layers_of(model) if isinstance(layer, layers.Bidirectional)]
    halves = [half for pair in pairs for half in (pair.forward_layer, pair.backward_layer)]
    single = [layer for layer in loops(model) if layer not in halves]
    shapes = [input_shapes(layer) for layer in [*pairs, *pairs, *single]]
    lengths = [shape[1] for of_layer in shapes for shape in of_layer]
    return float("inf") if not all(shapes) or None in lengths else float(sum(lengths))


def predicts_by_row(model: keras.Model) -> bool:
    """Tell whether it is known that what a model predicts for a row depends on no other row."""
    for part in [model, *layers_of(model)]:
        is_known = _is_layer_graph if isinstance(part, keras.Model) else _is_row_by_row
        if not is_known(part):
            return False
    return not own_functions(model)


def may_pad(model: keras.Model) -> bool:
    """Tell whether rows of weight 0 leave a training step as it is.

    They do where every row is treated by itself and the loss is a mean over rows that counts no
    others: with those of Keras's own layers and losses of which that is known.
    """
    loss = builtin_loss(model)
    return (
        predicts_by_row(model)
        and not any(_sees_the_batch(layer) for layer in layers_of(model))
        and loss is not None
        and getattr(loss, "reduction", "mean") in MEAN_REDUCTIONS
        and getattr(loss, "ignore_class", None) is None
        and loss_name(loss) not in OF_BATCHES
    )


def _is_row_by_row(layer: Any) -> bool:
    """Tell whether it is known that a layer, as it predicts, treats each row by itself."""
    if not is_builtin(layer) or family(layer) not in ROW_BY_ROW:
        return False
    if isinstance(layer, layers.Lambda) or getattr(layer, "stateful", False):
        return False
    axes = keras.tree.flatten([getattr(layer, name, ()) for name in ("axis", "axes")])
    return all(_is_within_row(axis, layer) for axis in axes if axis is not None)


def _is_within_row(axis: int, layer: Any) -> bool:
    if axis >= -1:
        return axis != 0
    ranks = [len(shape) for shape in input_shapes(layer)]
    return bool(ranks) and axis + min(ranks) > 0


def _sees_the_batch(layer: Any) -> bool:
    """Tell whether rows see each other in a layer while it is trained, or in the loss."""
    makes_masks = isinstance(layer, layers.Masking) or getattr(layer, "mask_zero", False)
    return (
        isinstance(layer, layers.ActivityRegularization)
        # One that is not trained has statistics of its own.
        or (isinstance(layer, layers.BatchNormalization) and layer.trainable)
        or getattr(layer, "activity_regularizer", None) is not None
        or makes_masks  # which may reach the loss, whose mean is then over what is not masked
    )


def _is_layer_graph(model: keras.Model) -> bool:
    """Tell whether a model is one of Keras's own kinds, of layers alone."""
    if isinstance(model, keras.Sequential):
        return is_builtin(model)
    operations = getattr(model, "operations", [None])  # a subclass of Model has code of its own
    return is_builtin(model) and all(isinstance(one, layers.Layer) for one in operations)


def builtin_loss(model: keras.Model) -> Any:
    """Return the loss of a model, as a function or object, if it is one of Keras's own."""
    loss = loss_of(model)
    return loss if callable(loss) and is_builtin(loss) else None


def own_functions(model: keras.Model) -> list[FunctionType]:
    """Return the user's functions that are attributes of layers."""
    values = [value for layer in layers_of(model) for value in vars(layer).values()]
    functions = [value for value in values if isinstance(value, FunctionType)]
    return [function for function in functions if not function.__module__.startswith("keras.")]
