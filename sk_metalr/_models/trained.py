"""The wrapped estimator with the chosen strategy, trained by Keras or by the population."""

from collections import defaultdict
from numbers import Integral
from typing import Any

import keras
import numpy as np
from scikeras.wrappers import BaseWrapper

from .._keras import has_metrics, has_schedule
from .._task import TargetScaler
from ._scikeras import callbacks_of, fit_model
from .opened import cloned
from .plan import asks_for_keras_loop
from .rows import encode, has_weights, training_weights
from .strategy import (
    BuildWithStrategy,
    Rate,
    at_rate,
    build_optimizer,
    optimizer_settings,
    set_strategy,
    settings_of_estimator,
    takes_settings,
)


def with_strategy(
    estimator: BaseWrapper, rate: Rate, n_epochs: int, seed: int, settings: dict[str, Any]
) -> BaseWrapper:
    """Return an unfitted clone that trains with a strategy, for `n_epochs`.

    A later ``fit`` of the clone trains at that rate too: it is set by the ``optimizer``
    parameters where SciKeras hands those to the model, and otherwise on the optimizer of
    the model that its function builds. (A ``_keras_build_fn`` of a subclass is left alone.)
    """
    optimizer, of_optimizer = optimizer_settings(settings)
    tuned = cloned(estimator).set_params(**settings_of_estimator(settings))
    tuned.set_params(epochs=n_epochs)
    if hasattr(tuned, "fit__epochs"):
        tuned.set_params(fit__epochs=n_epochs)
    if hasattr(tuned, "fit__batch_size") and "batch_size" in settings:
        tuned.set_params(fit__batch_size=settings["batch_size"])
    if tuned.random_state is None:
        tuned.set_params(random_state=seed)
    elif isinstance(tuned.random_state, Integral):  # SciKeras takes no NumPy integer
        tuned.set_params(random_state=int(tuned.random_state))
    name = "compile__optimizer" if hasattr(tuned, "compile__optimizer") else "optimizer"
    own = getattr(tuned, name) if optimizer is None else optimizer
    if optimizer is not None:  # which has its settings already
        for routed in [one for one in vars(tuned) if one.startswith("optimizer__")]:
            delattr(tuned, routed)
    is_named = isinstance(own, str | type) and optimizer is None
    if name == "compile__optimizer" or not is_named:
        tuned.set_params(**{name: at_rate(own, rate, **of_optimizer)})
    else:
        tuned.set_params(optimizer__learning_rate=rate)
        # Where it does not take them, the function compiles with another one.
        if of_optimizer and takes_settings(own, of_optimizer):
            named = {f"optimizer__{name}": value for name, value in of_optimizer.items()}
            tuned.set_params(**named)
    for name in ("model", "build_fn"):
        build = getattr(tuned, name)
        if isinstance(build, keras.Model):
            set_strategy(build, rate, settings)
        elif build is not None:
            tuned.set_params(**{name: BuildWithStrategy(build, rate, settings)})
    return tuned


def early_stops(opened: BaseWrapper) -> list[keras.callbacks.EarlyStopping]:
    """Return those callbacks of an opened estimator that are able to stop members of a search."""
    callbacks = keras.tree.flatten(callbacks_of(opened))
    stops = [one for one in callbacks if isinstance(one, keras.callbacks.EarlyStopping)]
    return [one for one in stops if one.monitor in ("loss", "val_loss")]


def rate_setters(estimator: BaseWrapper) -> list[str]:
    """Return the names of the callbacks of an estimator that set the learning rate."""
    setters = keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau
    given = [estimator.callbacks, getattr(estimator, "fit__callbacks", None)]
    kinds = [one if isinstance(one, type) else type(one) for one in keras.tree.flatten(given)]
    return [kind.__name__ for kind in kinds if issubclass(kind, setters)]


def _acting_callbacks(opened: BaseWrapper) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a refit: those that stop on held-out rows only where it has some."""
    callbacks = keras.tree.flatten(callbacks_of(opened))
    params = opened.get_params(deep=False)
    names = "validation_split", "fit__validation_split", "fit__validation_data"
    if any(params.get(name) for name in names):
        return callbacks
    stops = [one for one in callbacks if isinstance(one, keras.callbacks.EarlyStopping)]
    idle = [one for one in stops if one.monitor.startswith("val_")]
    return [one for one in callbacks if one not in idle]


def has_callbacks(estimator: BaseWrapper) -> bool:
    """Tell whether an estimator has callbacks."""
    return bool(estimator.callbacks or getattr(estimator, "fit__callbacks", None))


def without_callbacks(estimator: BaseWrapper) -> BaseWrapper:
    """Return a clone that has no callbacks."""
    names = [name for name in ("callbacks", "fit__callbacks") if hasattr(estimator, name)]
    return cloned(estimator).set_params(**dict.fromkeys(names))


def refits_with_keras(opened: BaseWrapper) -> bool:
    """Tell whether the refit needs Keras's own loop, for callbacks and the model's metrics too."""
    wants_it = asks_for_keras_loop(opened) or _acting_callbacks(opened)
    return bool(wants_it or has_metrics(opened.model_))


def fit_with_keras(
    opened: BaseWrapper,
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    callbacks: list[keras.callbacks.Callback],
    scaler: TargetScaler | None,
) -> None:
    """Train an opened estimator through Keras's own ``fit``, with its callbacks and metrics.

    Further `callbacks` are called after its own. The `scaler` is that of the targets, which those
    of the user's ``fit__validation_data`` are scaled by, too.
    """
    weights = None
    if has_weights(opened, sample_weight):
        weights = training_weights(opened, y, sample_weight)
    n_epochs = getattr(opened, "fit__epochs", opened.epochs)
    build_optimizer(opened.model_)
    x, targets = encode(opened, X, y)
    callbacks = [*_acting_callbacks(opened), *callbacks]
    held_out = getattr(opened, "fit__validation_data", None)
    if scaler is not None and isinstance(held_out, list | tuple):
        rows, held_out_targets, *weight = held_out
        scaled = scaler.transform(np.asarray(held_out_targets, np.float64)).astype(targets.dtype)
        opened.fit__validation_data = rows, scaled.reshape(len(scaled), -1), *weight
    try:
        fit_model(opened, x, targets, weights, n_epochs, callbacks)
    finally:
        if held_out is not None:
            opened.fit__validation_data = held_out


def is_finite(fitted: BaseWrapper) -> bool:
    """Tell whether a fitted estimator kept a finite loss and finite weights.

    What does not train may be infinite from the start, as a mask of attention is.
    """
    trained = [variable.numpy() for variable in fitted.model_.trainable_variables]
    others = [variable.numpy() for variable in fitted.model_.non_trainable_variables]
    is_finite = all(np.isfinite(values).all() for values in [fitted.history_["loss"], *trained])
    return is_finite and not any(np.isnan(values).any() for values in others)


def load_trained(opened: BaseWrapper, member: Any) -> BaseWrapper:
    """Make an opened estimator a fitted one, with all that a TrainedMember holds."""
    model = opened.model_
    build_optimizer(model)
    of_optimizer = member.optimizer_variables
    if has_schedule(model.optimizer):  # and so no variable for the learning rate
        of_optimizer = [of_optimizer[0], *of_optimizer[2:]]
    for variables, values in [
        (model.trainable_variables, member.weights),
        (model.non_trainable_variables, member.non_trainable),
        (model.optimizer.variables, of_optimizer),
    ]:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    opened.history_ = defaultdict(list, loss=[float(loss) for loss in member.epoch_losses])
    return opened
