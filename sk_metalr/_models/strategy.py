"""A strategy, set on a model: its learning rate, its optimizer and the settings of both."""

import inspect
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, Self

import keras
import numpy as np
from sklearn.base import clone

from .._keras import copy_decay_exclusions, has_decay_exclusions, has_schedule, replace_optimizer
from .keras_model import is_built, is_builtin, overrides


def optimizer_label(optimizer: Any) -> str:
    """Return an optimizer's class and those settings that are not the default ones, without
    learning rate and weight decay: ``SGD(momentum=0.9)``.
    """
    ignored = {"name", "learning_rate", "weight_decay"}
    optimizer = keras.optimizers.get(optimizer)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    config = {k: v for k, v in optimizer.get_config().items() if k not in ignored}
    default = type(optimizer)().get_config() if is_builtin(optimizer) else {}
    changed = [f"{k}={v}" for k, v in sorted(config.items()) if k not in default or v != default[k]]
    return type(optimizer).__name__ + (f"({', '.join(changed)})" if changed else "")


@keras.saving.register_keras_serializable(package="sk_metalr")
class TabulatedRate(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate times a factor for each step, from the `factors` (n_steps,) of a
    :class:`.Schedule`; after the last step, the last factor.
    """

    def __init__(self, learning_rate: float, factors: Any, name: str = "tabulated") -> None:
        self.learning_rate = learning_rate
        self.factors = np.asarray(factors, np.float32)
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at a step."""
        step = keras.ops.minimum(keras.ops.cast(step, "int32"), len(self.factors) - 1)
        factors = keras.ops.convert_to_tensor(self.factors * np.float32(self.learning_rate))
        return keras.ops.take(factors, step)

    def get_config(self) -> dict[str, Any]:
        """Return what it takes to make another one like this."""
        factors = self.factors.tolist()
        return {"learning_rate": self.learning_rate, "factors": factors, "name": self.name}


Rate = Any  # a float, or one of Keras's learning-rate schedules


def at_rate(optimizer: Any, rate: Rate, **settings: Any) -> keras.optimizers.Optimizer:
    """Return a new optimizer, like this one or of this name, at a learning rate."""
    optimizer = keras.optimizers.get(optimizer)
    if hasattr(optimizer, "inner_optimizer"):
        return _scaled_like(optimizer, at_rate(optimizer.inner_optimizer, rate, **settings))
    config = optimizer.get_config()
    copy = type(optimizer).from_config(config | settings | {"learning_rate": rate})
    copy_decay_exclusions(optimizer, copy)
    untold = untold_settings(optimizer, copy)
    vars(copy).update({name: v for name, v in untold.items() if name not in settings})
    return copy


def untold_settings(optimizer: Any, copy: Any) -> dict[str, Any]:
    """Return what an optimizer of the user's own has other than a copy that was made by its config:
    settings by name.
    """
    if is_builtin(optimizer):
        return {}
    left_out = {"name", "built", "_learning_rate"}
    left_out |= {name for name in vars(keras.optimizers.Optimizer(1.0)) if name[0] == "_"}
    return {
        name: value
        for name, value in vars(optimizer).items()
        if name not in left_out
        and not name.startswith("_exclude_from_weight_decay")  # see copy_decay_exclusions
        and _is_setting(value)
        and not _is_alike(value, vars(copy).get(name))
    }


def _is_setting(value: Any) -> bool:
    """Tell whether a value is made of numbers, texts and functions, and so no state."""
    if isinstance(value, dict):
        return all(_is_setting(one) for pair in value.items() for one in pair)
    if isinstance(value, list | tuple | set):
        return all(_is_setting(one) for one in value)
    return value is None or isinstance(value, bool | Real | str) or inspect.isfunction(value)


def _is_alike(value: Any, other: Any) -> bool:
    """Tell whether settings are alike: functions by code; what is empty is like what is missing."""
    if inspect.isfunction(value) and inspect.isfunction(other):
        return value.__code__ is other.__code__ and value.__closure__ == other.__closure__
    return bool(value == other) or (other is None and isinstance(value, list | dict) and not value)


def _scaled_like(scaling: Any, inner: keras.optimizers.Optimizer) -> Any:
    """Return an optimizer within one that scales losses as another LossScaleOptimizer does."""
    config = scaling.get_config()
    config.pop("inner_optimizer")
    return type(scaling)(inner, **config)


def takes_settings(optimizer: Any, settings: dict[str, Any]) -> bool:
    """Tell whether an optimizer, by name or class, has settings of these names."""
    try:
        at_rate(optimizer() if isinstance(optimizer, type) else optimizer, 0.1, **settings)
    except (TypeError, ValueError):
        return False
    return True


def optimizer_settings(settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the optimizer of a strategy, None for the model's own, and its settings by name."""
    prefix = "optimizer__"
    of_it = {n.removeprefix(prefix): v for n, v in settings.items() if n.startswith(prefix)}
    return settings.get("optimizer"), of_it


def with_routed_settings(estimator: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a strategy and, where it names an optimizer, those that a wrapped
    estimator routes to whatever optimizer it names; raise ValueError if that takes no such.
    """
    optimizer = settings.get("optimizer")
    if not isinstance(optimizer, str):
        return settings
    prefix, params = "optimizer__", estimator.get_params(deep=False)
    given = {n.removeprefix(prefix): v for n, v in params.items() if n.startswith(prefix)}
    given.pop("learning_rate", None)
    if not takes_settings(optimizer, given):
        raise ValueError(
            "The wrapped estimator's parameters optimizer__* must suit every optimizer that "
            f"param_distributions names. Got {given!r} for {optimizer!r} instead; leave them out, "
            "or list instances such as keras.optimizers.SGD(momentum=0.9)."
        )
    return {f"{prefix}{name}": value for name, value in given.items()} | settings


def settings_of_estimator(settings: dict[str, Any]) -> dict[str, Any]:
    """Return those settings of a strategy that an estimator is given before its model is built.

    They are copies, as those of scikit-learn's searches are: a function may use a list up, and what
    belongs to one model, such as a layer, is none of the next one's.
    """
    given = {name: v for name, v in settings.items() if name.split("__")[0] != "optimizer"}
    return {name: _copied(value) for name, value in given.items()}


def _copied(value: Any) -> Any:
    """Return a copy, or the value itself where there is none to be had or it is an array."""
    if isinstance(value, np.ndarray):
        return value
    try:
        return clone(value, safe=False)
    except Exception:  # whatever a class of the user's may raise
        return value


def set_strategy(
    model: keras.Model, rate: Rate | None, settings: dict[str, Any] | None = None
) -> None:
    """Set the learning rate and the other settings of a strategy; None keeps what a model has."""
    if not model.compiled or model.optimizer is None:
        return
    optimizer, of_optimizer = optimizer_settings(settings or {})
    if optimizer is not None or of_optimizer:
        own = model.optimizer
        rate = 1.0 if rate is None else rate
        new = at_rate(own if optimizer is None else optimizer, rate, **of_optimizer)
        if optimizer is not None and not has_decay_exclusions(new):
            copy_decay_exclusions(own, new)  # those that a function has asked for
        if hasattr(own, "inner_optimizer") and not hasattr(new, "inner_optimizer"):
            new = _scaled_like(own, new)  # as Keras does for models that compute in float16
        replace_optimizer(model, new)
    elif isinstance(rate, float) and not has_schedule(model.optimizer):
        model.optimizer.learning_rate = rate
    elif rate is not None:  # a schedule on either side, which Keras does not let one replace
        replace_optimizer(model, at_rate(model.optimizer, rate))


def build_optimizer(model: keras.Model) -> None:
    """Have the optimizer of a compiled model make its variables, where it has not: if a first
    training step made them, state that starts from the weights would be lost. A step of the model's
    own may make weights, too, and has to come first.
    """
    waits = overrides(model, "train_step") and not is_built(model)
    if not (model.optimizer.built or waits):
        model.optimizer.build(model.trainable_variables)


def free_rate(model: keras.Model) -> None:
    """Give a model an optimizer that is built and whose learning rate can be set at each step."""
    if has_schedule(model.optimizer):
        set_strategy(model, 1.0)
    build_optimizer(model)


def build_with_strategy(
    build_model: Callable[..., keras.Model], rate: Rate, settings: dict[str, Any], /, **params: Any
) -> keras.Model:
    """Build a model with the user's function, and set its learning rate and other settings."""
    model = build_model(**params)
    set_strategy(model, rate, settings)
    return model


class BuildWithStrategy(partial):
    """``build_with_strategy`` with all but the params of a function, whose signature it shows.

    SciKeras takes functions and partial ones, and hands over what their signatures ask for.
    """

    def __new__(
        cls, build_model: Callable[..., keras.Model], rate: Rate, settings: dict[str, Any]
    ) -> Self:
        """Return a function that takes what `build_model` takes."""
        return super().__new__(cls, build_with_strategy, build_model, rate, settings)

    def __reduce__(self) -> Any:
        """Return what it is made of, for pickles and copies."""
        return type(self), self.args

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.args[0])
