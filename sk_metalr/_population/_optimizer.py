"""Keras optimizers as pure functions.

On the TensorFlow backend Keras optimizers update ``tf.Variable`` objects in place and
refuse ``stateless_apply``. The methods that do so override backend-neutral ones of the
base class, which work on whatever values a ``StatelessScope`` maps the variables to.
Putting the base methods back makes every optimizer a pure function of one member's
weights, gradients and state, norms and exclusions included.
"""

from typing import Any

import keras

from ..exceptions import NotVectorizableError

__all__ = ["stateless_optimizer"]

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
    stateless_apply = _Base.stateless_apply
    _var_key = _Base._var_key
    _apply_weight_decay = _Base._apply_weight_decay
    _backend_update_step = _Base._backend_update_step


_NOT_YET = {
    "use_ema": "an exponential moving average of the weights (use_ema=True)",
    "gradient_accumulation_steps": "gradient accumulation (gradient_accumulation_steps)",
    "loss_scale_factor": "a loss scale (loss_scale_factor)",
}
_NOT_YET_CLASSES = {"LossScaleOptimizer", "MultiOptimizer", "ScheduleFreeAdamW"}


def stateless_optimizer(model: keras.Model) -> Any:
    """Return an optimizer like the model's own whose ``stateless_apply`` works.

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
    # A schedule has no variable of its own; the rate of each member is data here.
    config = own.get_config() | {"learning_rate": 1.0}
    stateless: Any = type(name, (type(own), _Stateless), {})
    optimizer = stateless.from_config(config)
    optimizer.build(model.trainable_variables)
    _copy_weight_decay_exclusions(own, optimizer, model)
    return optimizer


def _copy_weight_decay_exclusions(own: Any, optimizer: Any, model: keras.Model) -> None:
    """Carry over ``exclude_from_weight_decay``, which is no part of an optimizer's config."""
    excluded: set[Any] = getattr(own, "_exclude_from_weight_decay", set())
    optimizer._exclude_from_weight_decay = {
        optimizer._var_key(variable)
        for variable in model.trainable_variables
        if own._var_key(variable) in excluded
    }
    optimizer._exclude_from_weight_decay_pattern = getattr(
        own, "_exclude_from_weight_decay_pattern", None
    )
