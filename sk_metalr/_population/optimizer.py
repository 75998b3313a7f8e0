"""Keras optimizers as pure functions.

On the TensorFlow backend Keras optimizers update ``tf.Variable`` objects in place. The methods that
do so override backend-neutral ones of the base class, which work on whatever values a scope maps
the variables to. Putting the base methods back makes every optimizer a pure function of one
member's weights, gradients and state, norms and exclusions included.
"""

from inspect import isfunction
from typing import Any

import keras

from .._keras import StatelessOptimizer, spare_of_decay
from .._models.keras_model import is_builtin
from .._models.strategy import untold_settings
from ..exceptions import NotVectorizableError
from .architecture import names_read
from .scope import ValueScope

_NOT_YET = {
    "ema_overwrite_frequency": "averages that replace the weights (ema_overwrite_frequency)",
    "gradient_accumulation_steps": "gradient accumulation (gradient_accumulation_steps)",
    "loss_scale_factor": "a loss scale (loss_scale_factor)",
}
# ScheduleFreeAdamW reads its momentum after changing it, where TensorFlow holds the variables.
_NOT_YET_CLASSES = {"LossScaleOptimizer", "MultiOptimizer", "ScheduleFreeAdamW"}


BEFORE_STEPS = "__init__", "build", "get_config", "from_config"
"""Methods of optimizers in which names are those of settings, or of Keras's variables."""


def stateless_optimizer(model: keras.Model) -> Any:
    """Return an optimizer for :func:`applied` like that of a compiled model, built for its weights.

    Its second variable is the learning rate. Raises NotVectorizableError if the model's own
    optimizer keeps state that cannot be trained per member yet.
    """
    own = model.optimizer
    name = type(own).__name__
    kept = [f"{name} with {what}" for setting, what in _NOT_YET.items() if getattr(own, setting, 0)]
    if name in _NOT_YET_CLASSES:
        kept = [name]
    if kept:
        raise NotVectorizableError(
            f"The optimizer {kept[0]} keeps state that is no pure function of each step."
        )
    if type(own).apply_gradients is not keras.optimizers.Optimizer.apply_gradients:
        raise NotVectorizableError(f"The optimizer {name} applies gradients in a way of its own.")
    if names := _names_read_by(own):
        raise NotVectorizableError(
            f"The optimizer {name} reads the {names[0]} of variables, which is another one in a "
            "compiled program."
        )
    optimizer = _made_again(own)
    optimizer.build(model.trainable_variables)
    spare_of_decay(optimizer, model)
    return optimizer


def _names_read_by(own: Any) -> list[str]:
    """Return which names the steps of a user's own optimizer look at, of variables presumably."""
    classes = [kind for kind in type(own).__mro__ if not is_builtin(kind) and kind is not object]
    functions = [
        one
        for kind in classes
        for name, one in vars(kind).items()
        if isfunction(one) and name not in BEFORE_STEPS
    ]
    read = {name for one in functions for name in names_read(one.__code__)}
    return [name for name in ("name", "path") if name in read]


def _made_again(own: Any) -> Any:
    """Return an optimizer of the settings of another one, with Keras's backend-neutral methods."""
    stateless: Any = type(type(own).__name__, (type(own), StatelessOptimizer), {})
    # A schedule has no variable of its own; the rate of each member is data here.
    config = own.get_config() | {"learning_rate": 1.0}
    if is_builtin(own):
        return stateless.from_config(config)
    try:
        optimizer = stateless.from_config(config)
    except Exception as error:  # whatever a class of the user's may raise
        raise NotVectorizableError(
            f"The optimizer {type(own).__name__} cannot be made anew from its config: {error}"
        ) from error
    if untold := untold_settings(own, optimizer):
        raise NotVectorizableError(
            f"The optimizer {type(own).__name__} has settings that its config does not tell: "
            f"{untold}"
        )
    return optimizer


def applied(
    optimizer: Any,
    gradients: list[Any],
    variables: list[Any],
    weights: list[Any],
    state: list[Any],
) -> tuple[list[Any], list[Any]]:
    """Return weights and state after an optimizer of :func:`stateless_optimizer` took a step.

    `gradients` are those of the loss by each of the trainable `variables`, `weights` their values,
    and `state` holds the values of the optimizer's variables: all are tensors.
    """
    mapping = [*zip(variables, weights, strict=True), *zip(optimizer.variables, state, strict=True)]
    with ValueScope(state_mapping=mapping) as scope:
        optimizer.apply(gradients)
    return (
        [scope.get_current_value(variable) for variable in variables],
        [scope.get_current_value(variable) for variable in optimizer.variables],
    )
