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

from ..exceptions import NotVectorizableError
from .scope import ValueScope

__all__ = ["applied", "initial_variables", "spared_of_decay", "stateless_optimizer"]

_building = Lock()

_Base: Any = next(
    base for base in keras.optimizers.Optimizer.__mro__ if base.__name__ == "BaseOptimizer"
)


class _Stateless(keras.optimizers.Optimizer):
    """Backend-neutral methods in place of TensorFlow's own.

    A subclass of an optimizer and this class looks here after the optimizer itself,
    which may override the same methods, and before ``keras.optimizers.Optimizer``.
    """

    assign = _Base.assign
    assign_add = _Base.assign_add
    assign_sub = _Base.assign_sub
    _var_key = _Base._var_key
    _apply_weight_decay = _Base._apply_weight_decay
    _backend_update_step = _Base._backend_update_step
    _overwrite_model_variables_with_average_value = (
        _Base._overwrite_model_variables_with_average_value
    )


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
    stateless: Any = type(name, (type(own), _Stateless), {})
    optimizer = stateless.from_config(config)
    optimizer.build(model.trainable_variables)
    _copy_weight_decay_exclusions(optimizer, model)
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
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
    iteration, *others = [variable.numpy() for variable in optimizer.variables]
    if not isinstance(optimizer._learning_rate, keras.Variable):
        others.insert(0, np.float32(0))
    return [iteration, *others]


def _copy_weight_decay_exclusions(optimizer: Any, model: keras.Model) -> None:
    """Carry over ``exclude_from_weight_decay``, which is no part of an optimizer's config.

    Which variables a name excludes depends on whether it is looked for in that of a variable of
    Keras or of TensorFlow, so the optimizer itself is asked, as its training step does.
    """
    optimizer._exclude_from_weight_decay = {
        optimizer._var_key(model.trainable_variables[number]) for number in spared_of_decay(model)
    }
    optimizer._exclude_from_weight_decay_pattern = None


def spared_of_decay(model: keras.Model) -> list[int]:
    """Return the numbers of the trainable variables whose weights do not decay."""
    uses_decay = getattr(model.optimizer, "_use_weight_decay", lambda variable: True)
    variables = enumerate(model.trainable_variables)
    return [number for number, variable in variables if not uses_decay(variable.value)]
