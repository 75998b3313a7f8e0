"""Fitted models as one Keras model that gives what the estimator predicts."""

from collections.abc import Sequence

import keras
from keras import ops
from scikeras.wrappers import BaseWrapper

from .._keras import called, layers_of
from .._task import TargetScaler, Task
from .keras_model import overrides, suited
from .rows import is_identity


def exported(
    task: Task,
    fitted: list[BaseWrapper],
    temperatures: Sequence[float],
    temperature: float,
    scaler: TargetScaler | None,
) -> keras.Model:
    """Return a model that gives the mean of the predictions of fitted ones at a temperature.

    Each of them has a temperature of its own; the scaler is that of the targets. The model shares
    their layers, and is made of Keras's own operations beside these. Raises ValueError where a
    feature encoder stands before the models, or they predict in a way of their own.
    """
    first = fitted[0]
    if overrides(first.model_, "predict_step"):
        raise ValueError(
            f"{type(first.model_).__name__} has a predict_step of its own, which is lost when it "
            "is called by another model; have its call give what it should predict."
        )
    if not is_identity(first.feature_encoder_):
        raise ValueError(
            f"The wrapped {type(first).__name__} encodes features before its model sees them, "
            "which no Keras model can do; encode in a Pipeline, or take the columns apart in the "
            "model: x[:, :2]."
        )
    inputs = getattr(first.model_, "inputs", None)  # which a subclassed model has not
    features = keras.Input(first.X_shape_[1:], dtype=inputs[0].dtype if inputs else None)
    each = [
        suited(task, model).exported(called(model, features, training=False), of_one)
        for model, of_one in zip(_named_apart(fitted), temperatures, strict=True)
    ]
    predictions = each[0] if len(each) == 1 else ops.mean(ops.stack(each), axis=0)
    predictions = task.exported_tempered(predictions, temperature)
    if scaler is not None:
        layer = keras.layers.Rescaling(scaler.scale.tolist(), scaler.mean.tolist())
        predictions = layer(predictions)
    return keras.Model(features, predictions)


def _named_apart(fitted: list[BaseWrapper]) -> list[keras.Model]:
    """Return the models of fitted ones; a copy where one before bears the same name."""
    named: dict[str, keras.Model] = {}
    for number, one in enumerate(fitted):
        model = one.model_
        if model.name in named:
            model = keras.models.clone_model(one.model_)
            model.name = f"{one.model_.name}_of_{number}"
            model.set_weights(one.model_.get_weights())
            for layer in layers_of(model):
                if isinstance(layer, keras.layers.Normalization):
                    layer.finalize_state()  # from its weights
        named[model.name] = model
    return list(named.values())
