"""Fitted models as one Keras model that gives calibrated probabilities."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
from scikeras.wrappers import KerasClassifier

from .._task import Classification
from .keras_model import has_logits
from .rows import is_identity


def exported(
    fitted: list[KerasClassifier], temperatures: Sequence[float], temperature: float
) -> keras.Model:
    """Return a model that gives the mean of the probabilities of fitted ones at a temperature.

    Each of them has a temperature of its own. The model shares their layers, and is made of
    Keras's own operations beside these. Raises ValueError where a feature encoder stands before
    the models.
    """
    first = fitted[0]
    if not is_identity(first.feature_encoder_):
        raise ValueError(
            f"The wrapped {type(first).__name__} encodes features before its model sees them, "
            "which no Keras model can do; encode in a Pipeline, or take the columns apart in the "
            "model: x[:, :2]."
        )
    shape = first.X_shape_[1:]
    features = keras.Input(shape, dtype=getattr(first.model_.inputs[0], "dtype", None))
    each = [
        _probabilities(one.model_, features, of_one, number)
        for number, (one, of_one) in enumerate(zip(fitted, temperatures, strict=True))
    ]
    probabilities = each[0] if len(each) == 1 else ops.mean(ops.stack(each), axis=0)
    if temperature != 1.0:
        probabilities = ops.softmax(ops.log(ops.maximum(probabilities, 1e-37)) / temperature)
    return keras.Model(features, probabilities)


def _probabilities(model: keras.Model, features: Any, temperature: float, number: int) -> Any:
    layer: Any = model
    if number:  # models of one function may bear one name, of which there can be one in a model
        layer = keras.models.clone_model(model)
        layer.name = f"{model.name}_of_{number}"
        layer.set_weights(model.get_weights())
    task = Classification(has_logits(model))
    return ops.softmax(task.logits(layer(features, training=False)) / temperature)
