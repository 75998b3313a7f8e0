"""Names of Keras outside of its public interface; written for versions 3.8 to 3.15."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.random import seed_generator
from keras.src.utils.naming import to_snake_case


class StatelessOptimizer(keras.optimizers.Optimizer):
    """Backend-neutral methods of optimizers in place of TensorFlow's own: a subclass of an
    optimizer and of this class looks here after the optimizer itself, which may override the same
    methods, and before ``keras.optimizers.Optimizer``.
    """

    assign = BaseOptimizer.assign
    assign_add = BaseOptimizer.assign_add
    assign_sub = BaseOptimizer.assign_sub
    _var_key = BaseOptimizer._var_key
    _apply_weight_decay = BaseOptimizer._apply_weight_decay
    _backend_update_step = BaseOptimizer._backend_update_step
    _overwrite_model_variables_with_average_value = (
        BaseOptimizer._overwrite_model_variables_with_average_value
    )


def has_schedule(optimizer: keras.optimizers.Optimizer) -> bool:
    """Tell whether a schedule, instead of a variable, holds the learning rate of an optimizer."""
    return not isinstance(_inner(optimizer)._learning_rate, keras.Variable)


def rate_of(optimizer: Any) -> Any:
    """Return the learning rate of an optimizer as a float, or its schedule."""
    rate = _inner(optimizer)._learning_rate
    return float(rate) if isinstance(rate, keras.Variable) else rate


def clock_of(optimizer: Any) -> tuple[Any, Any]:
    """Return the variables of an optimizer's step and, without a schedule, of its learning rate."""
    rate = optimizer._learning_rate
    return optimizer.iterations, rate if isinstance(rate, keras.Variable) else None


def _inner(optimizer: Any) -> Any:
    """Return an optimizer, or the one inside of a LossScaleOptimizer."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def replace_optimizer(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Replace the optimizer of a compiled model, also in what is saved of it."""
    model.optimizer = optimizer
    if hasattr(model, "_compile_config"):
        model._compile_config.config["optimizer"] = optimizer


def copy_decay_exclusions(source: Any, target: Any) -> None:
    """Carry over ``exclude_from_weight_decay``, which is no part of an optimizer's config."""
    source, target = _inner(source), _inner(target)
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))


def has_decay_exclusions(optimizer: Any) -> bool:
    """Tell whether an optimizer was asked to spare some weights of decay."""
    return hasattr(_inner(optimizer), "_exclude_from_weight_decay")


def copy_decay_exclusions_of_model(source: keras.Model, target: keras.Model) -> None:
    """Have the optimizer of a copy of a model spare the weights that the model's own spares."""
    if not source.built:
        copy_decay_exclusions(source.optimizer, target.optimizer)
    if spared := spared_of_decay(source):
        optimizer, variables = _inner(target.optimizer), target.trainable_variables
        keys = {optimizer._var_key(variables[number]) for number in spared}
        optimizer._exclude_from_weight_decay = keys


def copy_loss(source: keras.Model, target: keras.Model) -> None:
    """Give a copy of a compiled model the loss of the model itself, whose config may not tell all
    of its arguments.
    """
    if source._compile_loss is not None:
        set_loss(target, deepcopy(source.loss))


def set_loss(model: keras.Model, loss: Any) -> None:
    """Replace the loss of a compiled model."""
    names = model._compile_loss.output_names
    whole = type(model._compile_loss)(loss, loss_weights(model), output_names=names)
    vars(model).update(loss=loss, _compile_loss=whole)  # untracked, as ``compile`` has them


def spared_of_decay(model: keras.Model) -> list[int]:
    """Return the numbers of the trainable variables whose weights do not decay."""
    uses_decay = getattr(_inner(model.optimizer), "_use_weight_decay", lambda variable: True)
    variables = enumerate(model.trainable_variables)
    return [number for number, variable in variables if not uses_decay(variable.value)]


def spare_of_decay(optimizer: Any, model: keras.Model) -> None:
    """Have another optimizer spare the weights that the one of a model spares, which is asked as in
    a training step: a name may exclude other variables by TensorFlow's names than by Keras's.
    """
    optimizer._exclude_from_weight_decay = {
        optimizer._var_key(model.trainable_variables[number]) for number in spared_of_decay(model)
    }
    optimizer._exclude_from_weight_decay_pattern = None


def called(model: keras.Model, x: Any, training: bool) -> Any:
    """Return the outputs of a model, called as its own steps call it: a ``call`` that takes no
    ``training`` is not told, and then neither are the layers inside.
    """
    return model(x, training=training) if model._call_has_training_arg else model(x)


def training_loss(model: keras.Model, x: Any, y: Any, outputs: Any, weight: Any) -> Any:
    """Return the training loss of a model, computed as its own ``train_step`` does; unlike
    ``compute_loss``, this also works for overrides from before that took ``training``.
    """
    return model._compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weight, training=True)


def loss_weights(model: keras.Model) -> Any:
    """Return the ``loss_weights`` that a model was compiled with."""
    return getattr(model._compile_loss, "_user_loss_weights", None)


def noise_shape(layer: Any, inputs: Any) -> Any:
    """Return the shape of the mask of a dropout layer; None for that of its inputs."""
    is_spatial = hasattr(layer, "_get_noise_shape")
    return layer._get_noise_shape(inputs) if is_spatial else layer.noise_shape


def loss_arguments(loss: Any) -> dict[str, Any]:
    """Return the arguments that one of Keras's loss objects hands to its function."""
    return getattr(loss, "_fn_kwargs", {})


def has_metrics(model: keras.Model) -> bool:
    """Tell whether a model was compiled with metrics."""
    return getattr(model, "_compile_metrics", None) is not None


def layers_of(model: keras.Model, include_self: bool = False) -> list[Any]:
    """Return all layers of a model, also those inside of others."""
    return list(model._flatten_layers(include_self=include_self))


def input_shapes(layer: Any) -> list[Any]:
    """Return the shape of the first input at each place where a functional model has a layer."""
    return [node.input_tensors[0].shape for node in layer._inbound_nodes]


def output_activation(model: keras.Model) -> str:
    """Return the name of the activation that a model's output comes through.

    "linear" where there is none, or it is not known, as of a subclassed model.
    """
    outputs = getattr(model, "outputs", None)
    last = outputs[0]._keras_history.operation if outputs else None
    if isinstance(last, keras.Model):
        return output_activation(last)
    if getattr(last, "negative_slope", None):  # of a ReLU
        return "linear"
    named = keras.layers.ReLU, keras.layers.Softmax, keras.layers.Rescaling
    if isinstance(last, (*named, keras.layers.Normalization)):
        return type(last).__name__.lower()
    name = getattr(getattr(last, "activation", None), "__name__", "linear")
    if type(last).__module__.startswith(("keras.src.ops.", "keras.src.activations.")):
        name = to_snake_case(type(last).__name__)  # keras.ops.softplus(x), for instance
    return {"exp": "exponential", "re_lu": "relu"}.get(name, name)


def seed_states(model: keras.Model) -> set[int]:
    """Return the identities of the variables that are states of random generators."""
    return {
        id(generator.state)
        for layer in layers_of(model, include_self=True)
        for generator in getattr(layer, "_seed_generators", [])
    }


@contextmanager
def random_at_zero() -> Iterator[None]:
    """Have layers of dropout and noise made meanwhile that draw seeds at a rate of 0, too: without,
    they have no state, and layers after them draw other initial weights.
    """
    dropout, noise = keras.layers.Dropout, keras.layers.GaussianNoise
    of_dropout, of_noise = dropout.__init__, noise.__init__

    # Keras reads the signatures.
    def make_dropout(
        self: Any, rate: Any, noise_shape: Any = None, seed: Any = None, **kwargs: Any
    ) -> None:
        of_dropout(self, 0.5 if rate == 0 else rate, noise_shape, seed, **kwargs)
        self.rate = rate

    def make_noise(self: Any, stddev: Any, seed: Any = None, **kwargs: Any) -> None:
        of_noise(self, 0.5 if stddev == 0 else stddev, seed, **kwargs)
        self.stddev = stddev

    dropout.__init__, noise.__init__ = make_dropout, make_noise
    try:
        yield
    finally:
        dropout.__init__, noise.__init__ = of_dropout, of_noise


@contextmanager
def seeds_drawn_from(generator: Any) -> Iterator[None]:
    """Have Keras draw seeds meanwhile from a generator that has the methods of ``random``, and
    begin its own global generator of seeds anew.
    """
    of_keras = "global_seed_generator"  # newer versions have a constant of this value
    before = seed_generator.python_random, global_state.get_global_attribute(of_keras)
    seed_generator.python_random = generator
    global_state.set_global_attribute(of_keras, None)
    try:
        yield
    finally:
        seed_generator.python_random = before[0]
        global_state.set_global_attribute(of_keras, before[1])
