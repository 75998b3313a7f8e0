"""The wrapped estimator opened: its model built, compiled and checked."""

import re
from contextlib import nullcontext, suppress
from typing import Any

import keras
import numpy as np
from scikeras.wrappers import BaseWrapper
from sklearn.base import clone

from .._keras import (
    called,
    copy_decay_exclusions,
    layers_of,
    random_at_zero,
    training_loss,
)
from .._task import Task
from ._scikeras import compile_model, seeded, seeds_of_its_own
from .copies import check_copy
from .given import models_given
from .heads import check_head
from .keras_model import is_built, model_features, overrides
from .plan import TrainingPlan
from .rows import encode, encode_features
from .strategy import Rate, set_strategy, settings_of_estimator, with_routed_settings

MAX_COLUMNS_TO_TRY, ROWS_TO_LOOK_AT = 32, 100_000
"""Columns up to which the extremes of each are tried, and rows that are looked at at a time."""


def cloned(estimator: BaseWrapper) -> BaseWrapper:
    """Return a clone; raise ValueError if the estimator holds a model that Keras cannot copy."""
    try:
        copy = clone(estimator)
    except Exception as error:  # whatever a layer of the user's may raise
        if not models_given(estimator):
            raise
        raise ValueError(
            "The Keras model that was given cannot be copied, as every candidate needs it to be: "
            f"{str(error).strip().splitlines()[-1][:300]} Register layers and functions of your "
            "own with keras.saving.register_keras_serializable, or give a function that builds the "
            "model."
        ) from error
    for name in ("optimizer", "compile__optimizer"):
        given = getattr(estimator, name, None)
        if isinstance(given, keras.optimizers.Optimizer):
            copy_decay_exclusions(given, getattr(copy, name))
    for given, copied in zip(models_given(estimator), models_given(copy), strict=True):
        check_copy(given, copied)
    return copy


def open_estimator(
    estimator: BaseWrapper,
    X: np.ndarray,
    y: np.ndarray,
    *,
    seed: int | None = None,
    rate: Rate | None = None,
    settings: dict[str, Any] | None = None,
    is_candidate: bool = False,
) -> BaseWrapper:
    """Return a clone whose model is freshly built and compiled.

    `X` are the training rows (n_samples, ...) and `y` their labels (n_samples,), every class among
    them. A `seed` of None keeps the ``random_state`` of `estimator`, and a `rate` of None keeps
    that of the model. `settings` are the other parameters of a strategy; where it `is_candidate`,
    layers whose rate they set to 0 are made like those of other rates. SciKeras seeds global
    random states meanwhile; see ``preserved_random_state``.

    Raises TypeError if the function of `estimator` does not return a Keras model, and ValueError
    if the model cannot be called on such rows, or has no loss.
    """
    settings = with_routed_settings(estimator, settings or {})
    of_estimator = settings_of_estimator(settings)
    opened = cloned(estimator).set_params(**of_estimator)
    if seed is not None:
        opened.set_params(random_state=seed)
    is_alike = is_candidate and bool(of_estimator)
    with seeds_of_its_own(), random_at_zero() if is_alike else nullcontext():
        opened.initialize(X, y)
        if not isinstance(opened.model_, keras.Model):
            raise TypeError(
                "The function that the wrapped estimator calls must return a keras.Model. "
                f"Got an object of type {type(opened.model_).__name__!r} instead; does it end with "
                "'return model'?"
            )
        if not getattr(opened.model_, "inputs", None):
            with seeded(opened):  # layers that wait for rows are built, as by the model's own fit
                _outputs(opened.model_, encode_features(opened, X[:1]), X.shape[1:])
    # SciKeras refuses float64 after float32, though Keras casts either.
    opened.X_dtype_ = np.promote_types(opened.X_dtype_, np.float64)
    compile_model(opened)
    _check_compiled(opened.model_)
    if not is_built(opened.model_):
        with seeds_of_its_own(), seeded(opened):
            _train_once(opened, X[:1], y[:1])
    set_strategy(opened.model_, rate, settings)
    return opened


def _check_compiled(model: keras.Model) -> None:
    """Raise ValueError where a compiled model is not to be trained as Keras trains models."""
    if overrides(model, "fit"):
        raise ValueError(
            f"The wrapped model, a {type(model).__name__}, must be trained by Keras's own fit. Got "
            "one with a fit of its own instead, which the search does not call; do what it does in "
            "train_step or before the data are given, or leave it out: keras.Model(model.inputs, "
            "model.outputs)."
        )
    if type(model.optimizer).__name__ == "MultiOptimizer":
        raise ValueError(
            "The optimizer of the wrapped model must have one learning rate. Got a MultiOptimizer "
            "instead; give the model a single optimizer."
        )


def _train_once(opened: BaseWrapper, X: np.ndarray, y: np.ndarray) -> None:
    """Have layers that only training calls make their variables, so that the optimizer knows them.

    Keras's variables do not change. What fails here fails in training, too, and is told there.
    """
    model = opened.model_
    with suppress(Exception), keras.StatelessScope():
        x, targets = encode(opened, X, y)
        training_loss(model, x, targets, called(model, x, training=True), None)


def _outputs(model: keras.Model, x: Any, shape: tuple[int, ...]) -> Any:
    """Return the outputs of a model for rows of this shape, or say clearly why it has none."""
    try:
        return called(model, x, training=False)
    except Exception as error:
        reason = str(error).partition("Arguments received by")[0].strip()
        reason = re.sub(r"\x1b\[\d+m", "", reason)  # which is bold on a terminal
        raise ValueError(
            f"The wrapped Keras model cannot be called on rows of shape {shape}: {reason}"
        ) from error


def rows_to_try(opened: BaseWrapper, X: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Return the numbers of a few rows, out of `every` number, that a model is tried on.

    Where it embeds tokens, those with the least and the greatest of each column are among them: a
    compiled program would take others than it knows for the last one.
    """
    first = every[:8]
    if not any(isinstance(one, keras.layers.Embedding) for one in layers_of(opened.model_)):
        return first
    found = [first]
    for start in range(0, len(every), ROWS_TO_LOOK_AT):
        rows = every[start : start + ROWS_TO_LOOK_AT]
        columns = X[rows].reshape(len(rows), -1)
        if columns.shape[1] > MAX_COLUMNS_TO_TRY:
            columns = np.stack([columns.min(axis=1), columns.max(axis=1)], axis=1)
        found += [rows[columns.argmin(axis=0)], rows[columns.argmax(axis=0)]]
    return np.unique(np.concatenate(found))


def check_model(
    opened: BaseWrapper, task: Task, X: np.ndarray, y_of_rows: np.ndarray, y: np.ndarray
) -> None:
    """Raise ValueError where an opened estimator does not suit data: a few rows `X` (n_rows, ...)
    and their targets, and the targets `y` (n_samples, ...) of all training rows, every class among
    them.

    This is so if the model cannot be called on such rows, or its loss or its outputs are not as the
    task requires.
    """
    x_rows, y_rows = encode(opened, X, y_of_rows)
    with keras.StatelessScope():  # a look must not move the model's random generators
        outputs = _outputs(opened.model_, x_rows, X.shape[1:])
    shape: Any = getattr(outputs, "shape", ())
    if len(shape) != 2:
        raise ValueError(
            "The wrapped Keras model must have one output of shape (batch, n), with a column for "
            f"each class or number. Got {_outputs_in_words(outputs)}."
        )
    check_head(task, opened, np.asarray(outputs, dtype=np.float64), y, y_rows)


def _outputs_in_words(outputs: Any) -> str:
    """Return a description of outputs that are not one matrix, with a remedy where there is one."""
    if isinstance(outputs, dict):
        names = list(outputs)
        return (
            f"a dict with the keys {names} instead; have the model return the tensor itself: "
            f"keras.Model(inputs, outputs[{names[0]!r}])"
            if len(names) == 1
            else f"a dict with the keys {names} instead; keep the one that predicts y"
        )
    if isinstance(outputs, list | tuple):
        return f"{len(outputs)} outputs instead; keep the one that predicts y"
    return f"an output of shape {(None, *outputs.shape[1:])} instead"


def task_features(opened: BaseWrapper, task: Task, plan: TrainingPlan) -> dict[str, Any]:
    """Return meta-features of an opened estimator's model and of its training, where a
    ``batch_size`` of None stands for all rows at once.
    """
    of_plan = {"batch_size": plan.batch_size, "n_epochs": plan.n_epochs}
    return model_features(opened.model_, task) | of_plan
