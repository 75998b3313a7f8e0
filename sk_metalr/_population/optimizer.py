"""Keras optimizers as pure functions.

On the TensorFlow backend Keras optimizers update ``tf.Variable`` objects in place. The
methods that do so override backend-neutral ones of the base class, which work on whatever
values a scope maps the variables to. Putting the base methods back makes every optimizer a
pure function of one member's weights, gradients and state, norms and exclusions included.
"""

from threading import Lock
from typing import Any

import keras
import numpy as np

from .._keras import StatelessOptimizer, has_schedule, spare_of_decay
from .._models.keras_model import build_optimizer
from ..exceptions import NotVectorizableError
from .scope import ValueScope

_building = Lock()

_NOT_YET = {
    "ema_overwrite_frequency": "averages that replace the weights (ema_overwrite_frequency)",
    "gradient_accumulation_steps": "gradient accumulation (gradient_accumulation_steps)",
    "loss_scale_factor": "a loss scale (loss_scale_factor)",
}
# ScheduleFreeAdamW reads its momentum after changing it, where TensorFlow holds the variables.
_NOT_YET_CLASSES = {"LossScaleOptimizer", "MultiOptimizer", "ScheduleFreeAdamW"}


def stateless_optimizer(model: keras.Model) -> Any:
    """Return an optimizer like the model's own for :func:`applied`.

    Parameters
    ----------
    model : keras.Model
        Built and compiled.

    Returns
    -------
    optimizer : keras.optimizers.Optimizer
        Built for the model's trainable variables. Its second variable is the
        learning rate.

    Raises
    ------
    NotVectorizableError
        If the optimizer keeps state that cannot be trained per member yet.
    """
    own = model.optimizer
    name = type(own).__name__
    if name in _NOT_YET_CLASSES:
        raise NotVectorizableError(
            f"The optimizer {name} keeps state that is no pure function of each step."
        )
    for setting, what in _NOT_YET.items():
        if getattr(own, setting, None):
            raise NotVectorizableError(
                f"The optimizer {name} with {what} keeps state that is no pure function of each "
                "step."
            )
    if type(own).apply_gradients is not keras.optimizers.Optimizer.apply_gradients:
        raise NotVectorizableError(f"The optimizer {name} applies gradients in a way of its own.")
    # A schedule has no variable of its own; the rate of each member is data here.
    config = own.get_config() | {"learning_rate": 1.0}
    stateless: Any = type(name, (type(own), StatelessOptimizer), {})
    optimizer = stateless.from_config(config)
    optimizer.build(model.trainable_variables)
    spare_of_decay(optimizer, model)
    return optimizer


def applied(
    optimizer: Any, gradients: list[Any], variables: list[Any], weights: list[Any], state: list[Any]
) -> tuple[list[Any], list[Any]]:
    """Return weights and state after an optimizer has applied gradients.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        What :func:`stateless_optimizer` returned.
    gradients, variables, weights : list
        Of the loss by each trainable variable, these, and their values.
    state : list of tensors
        Values of the optimizer's variables.
    """
    mapping = [*zip(variables, weights, strict=True), *zip(optimizer.variables, state, strict=True)]
    with ValueScope(state_mapping=mapping) as scope:
        optimizer.apply(gradients)
    return (
        [scope.get_current_value(variable) for variable in variables],
        [scope.get_current_value(variable) for variable in optimizer.variables],
    )


def initial_variables(model: keras.Model) -> list[Any]:
    """Return the values that the variables of a model's own optimizer have now.

    Parameters
    ----------
    model : keras.Model
        Built and compiled; its optimizer is built where it is not yet.

    Returns
    -------
    values : list of ndarray
        Iteration, learning rate (0 where a schedule stands in for it), and all others.
    """
    optimizer = model.optimizer
    with _building:  # threads train several members of one model
        build_optimizer(model)
    iteration, *others = [variable.numpy() for variable in optimizer.variables]
    if has_schedule(optimizer):
        others.insert(0, np.float32(0))
    return [iteration, *others]
