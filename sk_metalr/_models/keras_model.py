"""Questions to a Keras model, whoever wraps it: its loss, outputs, layers and methods."""

from collections.abc import Iterator
from typing import Any

import keras

from .._keras import layers_of, output_activation
from .._task import MultiLabel, Task


def loss_of(model: keras.Model) -> Any:
    """Return the loss the model was compiled with, as an object."""
    loss = model.loss
    while isinstance(loss, list | tuple | dict) and len(loss) == 1:
        (loss,) = loss.values() if isinstance(loss, dict) else loss
    return keras.losses.get(loss) if isinstance(loss, str) else loss


def is_builtin(thing: Any) -> bool:
    """Tell whether a layer, loss or function is one of Keras's own."""
    home = thing if hasattr(thing, "__module__") else type(thing)
    return str(home.__module__).split(".")[0] == "keras"


def overrides(model: keras.Model, name: str) -> bool:
    """Tell whether a model, or its class, has a method of its own in place of Keras's."""
    return name in vars(model) or getattr(type(model), name) is not getattr(keras.Model, name)


def suited(task: Task, model: keras.Model) -> Task:
    """Return the task of a compiled model."""
    return task.suited(loss_of(model), output_activation(model))


def n_outputs(model: keras.Model) -> int | None:
    """Return how many numbers a model gives for a row; None where it was subclassed."""
    shape = getattr(model, "output_shape", None)
    return shape[-1] if shape else None


def model_features(model: keras.Model, task: Task) -> dict[str, Any]:
    """Return meta-features of a model: numbers and strings.

    ``depth`` counts the layers with a matrix of weights. ``layers`` names "dense" and other kinds
    of layers that have weights or change training, by their folders in Keras. ``output`` is
    "logits", "sigmoid", "softmax", "numbers" or "numbers by their own loss".
    """
    plain = {"activations", "core", "pooling", "preprocessing", "reshaping"}
    layers = list(each_layer(model))
    families = {family(layer) for layer in layers} - plain
    deep = [one for one in layers if any(len(w.shape) > 1 for w in one.trainable_variables)]
    output = "sigmoid" if n_outputs(model) == 1 else "softmax"
    if not task.has_temperature:
        output = "numbers by their own loss" if task.by_training_loss else "numbers"
    elif getattr(suited(task, model), "from_logits", False):
        output = "logits"
    elif isinstance(task, MultiLabel):
        output = "sigmoid"
    return {
        "n_parameters": int(model.count_params()),
        "depth": len(deep),
        "layers": "+".join(sorted({"dense", *families})),
        "output": output,
    }


def each_layer(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, also of models inside it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from each_layer(layer)
        else:
            yield layer


def family(layer: Any) -> str:
    """Return the kind of a layer: the folder of Keras that it is in."""
    if isinstance(layer, keras.layers.Embedding):
        return "embedding"
    path = type(layer).__module__.split(".")
    return path[-2] if path[0] == "keras" and len(path) > 2 else "custom"


def is_built(model: keras.Model) -> bool:
    """Tell whether all layers of a model have their variables."""
    return all(layer.built for layer in layers_of(model, include_self=True))
