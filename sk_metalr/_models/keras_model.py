"""Questions to a Keras model, whoever wraps it: its loss, outputs, optimizer, learning rate."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from numbers import Real
from typing import Any, Self

import keras
import numpy as np

from .._keras import (
    copy_decay_exclusions,
    copy_decay_exclusions_of_model,
    copy_loss,
    has_schedule,
    layers_of,
    output_activation,
    rate_of,
    replace_optimizer,
)
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


METHODS = (
    *("call", "compute_loss", "fit", "predict", "train_step", "predict_step"),
    *("make_train_function", "train_on_batch"),
)
"""Methods of models that subclasses override, and that some set on a model itself."""


def check_copy(given: keras.Model, copied: keras.Model) -> None:
    """Raise ValueError where the copy of a model that was given is another model."""
    of_its_own = [name for name in METHODS if name in vars(given)]
    if of_its_own:
        raise ValueError(
            "A Keras model that is given must have its methods from its class, as copies of it do. "
            f"Got one whose {of_its_own[0]} was set on the model itself instead; write a subclass "
            "of keras.Model, or give a function that builds the model."
        )
    if [tuple(one.shape) for one in given.weights] != [tuple(one.shape) for one in copied.weights]:
        raise ValueError(
            "A Keras model that is given must be one that Keras can copy. Got one whose copy has "
            f"{len(copied.weights)} arrays of weights instead of {len(given.weights)}, or of other "
            "shapes; give a function that builds the model."
        )


def copy_changes(given: keras.Model, copied: keras.Model) -> None:
    """Carry over to a copy of a model what is in no config: arguments of its losses, values of its
    variables, which of them train, penalties and constraints.
    """
    if given.compiled:
        copy_loss(given, copied)
    if len(given.weights) != len(copied.weights):
        return
    trained = len(copied.trainable_variables)
    for of_given, of_copy in zip(given.weights, copied.weights, strict=True):
        of_copy.assign(of_given)
        of_copy.trainable = of_given.trainable
        for name in ("regularizer", "constraint"):
            if _config_of(getattr(of_given, name)) != _config_of(getattr(of_copy, name)):
                setattr(of_copy, name, getattr(of_given, name))
    if copied.compiled and copied.optimizer is not None:
        if len(copied.trainable_variables) != trained:  # for which the optimizer was built
            replace_optimizer(copied, at_rate(copied.optimizer, rate_of(copied.optimizer)))
        copy_decay_exclusions_of_model(given, copied)


def _config_of(thing: Any) -> Any:
    """Return the class and the config of a regularizer or a constraint."""
    return thing if thing is None else (type(thing), getattr(thing, "get_config", dict)())


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
    """Return those settings of a strategy that an estimator is given before its model is built."""
    return {name: v for name, v in settings.items() if name.split("__")[0] != "optimizer"}


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
        if hasattr(own, "inner_optimizer") and not hasattr(new, "inner_optimizer"):
            new = _scaled_like(own, new)  # as Keras does for models that compute in float16
        replace_optimizer(model, new)
    elif isinstance(rate, float) and not has_schedule(model.optimizer):
        model.optimizer.learning_rate = rate
    elif rate is not None:  # a schedule on either side, which Keras does not let one replace
        replace_optimizer(model, at_rate(model.optimizer, rate))


def is_built(model: keras.Model) -> bool:
    """Tell whether all layers of a model have their variables."""
    return all(layer.built for layer in layers_of(model, include_self=True))


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


def build_as_keras_wrapper(
    model: Any, model_kwargs: dict[str, Any] | None, /, meta: dict[str, Any]
) -> keras.Model:
    """Build the model of one of ``keras.wrappers``, whose function is handed the training rows and
    the targets as the model takes them; `meta` holds both, see :class:`._scikeras.HandsOverRows`.
    """
    if isinstance(model, keras.Model):
        copy = keras.models.clone_model(model)
        copy.compile_from_config(model.get_compile_config())
        return copy
    X, y = meta["rows_"]
    targets = np.asarray(meta["target_encoder_"].transform(y))
    return model(X=X, y=targets.reshape(len(targets), -1), **(model_kwargs or {}))


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
