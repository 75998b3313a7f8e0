"""The wrapped estimator opened: its model built, compiled and checked."""

import re
import warnings
from typing import Any

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.base import clone

from ._scikeras import compile_model, has_loss, seeded
from .given import models_given
from .keras_model import (
    Rate,
    check_loss,
    check_outputs,
    model_features,
    optimizer_settings,
    set_strategy,
)
from .plan import TrainingPlan
from .rows import encode, encode_features
from .seeds import seeds_of_its_own


def clone_quietly(estimator: KerasClassifier) -> KerasClassifier:
    """Clone without the warning that Keras has for a compiled but untrained model.

    Raises
    ------
    ValueError
        If it holds a model that Keras cannot copy.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        try:
            return clone(estimator)
        except Exception as error:  # whatever a layer of the user's may raise
            if not models_given(estimator):
                raise
            raise ValueError(
                "The Keras model that was given cannot be copied, as every candidate needs it to "
                f"be: {str(error).strip().splitlines()[-1][:300]} Register layers and functions of "
                "your own with keras.saving.register_keras_serializable, or give a function that "
                "builds the model."
            ) from error


def open_estimator(
    estimator: KerasClassifier,
    X: np.ndarray,
    y: np.ndarray,
    *,
    seed: int | None = None,
    rate: Rate | None = None,
    settings: dict[str, Any] | None = None,
) -> KerasClassifier:
    """Return a clone whose model is freshly built and compiled.

    SciKeras seeds global random states meanwhile; see ``preserved_random_state``.

    Parameters
    ----------
    estimator : KerasClassifier
        Left as it is.
    X : ndarray of shape (n_samples, ...)
        Training rows.
    y : ndarray of shape (n_samples,)
        Their labels, every class among them.
    seed : int or None
        Seed of the initial weights; None keeps the ``random_state`` of `estimator`.
    rate : float, keras LearningRateSchedule or None
        Learning rate of the model's optimizer; None keeps it.
    settings : dict of str to object, or None
        Other parameters of a strategy: ``optimizer``, and what begins with ``optimizer__``.

    Raises
    ------
    TypeError
        If the function of `estimator` does not return a Keras model.
    ValueError
        If the model cannot be called on such rows, or has no loss.
    """
    opened = clone_quietly(estimator)
    if seed is not None:
        opened.set_params(random_state=seed)
    with seeds_of_its_own():
        opened.initialize(X, y)
        _check_is_model(opened.model_)
        if not getattr(opened.model_, "inputs", None):
            _build(opened, X[:1])
    # SciKeras refuses float64 after float32, though Keras casts either.
    opened.X_dtype_ = np.promote_types(opened.X_dtype_, np.float64)
    _check_has_loss(opened)
    compile_model(opened)
    optimizer, of_optimizer = optimizer_settings(settings or {})
    set_strategy(opened.model_, rate, optimizer, **of_optimizer)
    return opened


def _build(opened: KerasClassifier, X: np.ndarray) -> None:
    """Have a model build layers that wait for rows, as its own ``fit`` would."""
    with seeded(opened):
        _outputs(opened.model_, encode_features(opened, X), X.shape[1:])


def _outputs(model: keras.Model, x: Any, shape: tuple[int, ...]) -> Any:
    """Return what a model gives for rows of this shape, or say clearly why it does not."""
    try:
        return model(x, training=False)
    except Exception as error:
        reason = str(error).partition("Arguments received by")[0].strip()
        reason = re.sub(r"\x1b\[\d+m", "", reason)  # which is bold on a terminal
        raise ValueError(
            f"The wrapped Keras model cannot be called on rows of shape {shape}: {reason}"
        ) from error


def _check_is_model(model: Any) -> None:
    """Raise TypeError where the user's function built something else."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            "The function that the wrapped KerasClassifier calls must return a keras.Model. Got "
            f"an object of type {type(model).__name__!r} instead; does it end with 'return model'?"
        )


def _check_has_loss(opened: KerasClassifier) -> None:
    """Raise ValueError where neither the model nor the KerasClassifier has a loss."""
    if not has_loss(opened):
        raise ValueError(
            "The wrapped Keras model has no loss. Give KerasClassifier one, such as "
            "loss='sparse_categorical_crossentropy', or compile the model with it."
        )


def check_model(opened: KerasClassifier, X: np.ndarray, y: np.ndarray) -> None:
    """Raise a clear error where an opened estimator does not suit the data.

    Parameters
    ----------
    opened : KerasClassifier
        What :func:`open_estimator` returned.
    X : ndarray of shape (n_rows, ...)
        A few training rows.
    y : ndarray of shape (n_samples,)
        Labels of all of them, every class among them.

    Raises
    ------
    ValueError
        If the model cannot be called on such rows, its loss is no cross-entropy, or its
        outputs are not what the loss and the classes ask for.
    """
    model, classes = opened.model_, np.unique(y)
    if not np.array_equal(opened.classes_, classes):
        raise ValueError(
            f"The target encoder of the wrapped KerasClassifier has the classes {opened.classes_} "
            f"where y has {classes}; let it keep them sorted."
        )
    x_rows, y_rows = encode(opened, X, y[: len(X)])
    with keras.StatelessScope():  # a look must not move the model's random generators
        outputs = _outputs(model, x_rows, X.shape[1:])
    shape: Any = getattr(outputs, "shape", ())
    if len(shape) != 2:
        raise ValueError(
            "The wrapped Keras model must have one output of shape (batch, classes). Got "
            f"{_outputs_in_words(outputs)}."
        )
    width, n_classes = shape[1], len(classes)
    if width != n_classes and not (width == 1 and n_classes == 2):
        expected = "1 or 2" if n_classes == 2 else str(n_classes)
        raise ValueError(
            f"The wrapped Keras model has an output of width {width} but y has {n_classes} "
            f"classes. Give its last layer {expected} units; a model-building function finds the "
            'number of classes in meta["n_classes_"].'
        )
    check_loss(model, width, np.shape(y_rows)[-1])
    check_outputs(model, np.asarray(outputs, dtype=np.float64))


def _outputs_in_words(outputs: Any) -> str:
    """Return what a model has returned in place of one matrix, and what to do."""
    if isinstance(outputs, dict):
        names = list(outputs)
        return (
            f"a dict with the keys {names} instead; have the model return the tensor itself: "
            f"keras.Model(inputs, outputs[{names[0]!r}])"
            if len(names) == 1
            else f"a dict with the keys {names} instead; keep the one that classifies"
        )
    if isinstance(outputs, list | tuple):
        return f"{len(outputs)} outputs instead; keep the one that classifies"
    return f"an output of shape {(None, *outputs.shape[1:])} instead"


def task_features(opened: KerasClassifier, plan: TrainingPlan) -> dict[str, Any]:
    """Return meta-features of model and training.

    Parameters
    ----------
    opened : KerasClassifier
        What :func:`open_estimator` returned.
    plan : TrainingPlan
        How it trains.

    Returns
    -------
    features : dict
        Those of :func:`.model_features`, and ``batch_size`` (None for all rows at once),
        ``n_epochs``.
    """
    of_plan = {"batch_size": plan.batch_size, "n_epochs": plan.n_epochs}
    return model_features(opened.model_) | of_plan
