"""All that is known about the wrapped estimator: SciKeras stays in this file.

SciKeras has had no release since April 2024. What is taken from it here: how a
``KerasClassifier`` builds and compiles its model, its encoders, its class weights and
its training parameters; and how a trained model is handed back to it.
"""

import functools
import re
import warnings
from collections import defaultdict
from dataclasses import dataclass
from math import ceil, floor
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np
from scikeras.utils.transformers import ClassifierLabelEncoder
from scikeras.wrappers import KerasClassifier
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight

from ._keras_model import (
    Rate,
    TabulatedRate,
    at_rate,
    build_as_keras_wrapper,
    build_mlp,
    build_with_strategy,
    check_loss,
    check_optimizers,
    check_outputs,
    has_logits,
    model_features,
    optimizer_label,
    set_strategy,
)
from ._schedules import Schedule

__all__ = [
    "FittedParts",
    "TrainingPlan",
    "as_keras_classifier",
    "asks_for_keras_loop",
    "check_fresh",
    "check_model",
    "check_optimizers",
    "check_row_shape",
    "early_stops",
    "encode",
    "encode_features",
    "features_to_open",
    "fit_with_keras",
    "has_logits",
    "input_dtype",
    "is_finite",
    "load_trained",
    "open_estimator",
    "put_together",
    "refits_with_keras",
    "scheduled_rate",
    "taken_apart",
    "task_features",
    "to_probabilities",
    "training_plan",
    "training_weights",
    "with_strategy",
    "without_callbacks",
]

KERAS_DEFAULT_BATCH_SIZE = 32
MAX_EPOCHS = 10**6
DEFAULT_TRAINING = {"batch_size": 32, "epochs": 40, "verbose": 0}


@dataclass(frozen=True)
class TrainingPlan:
    """How the wrapped estimator trains.

    Attributes
    ----------
    n_epochs : int
        The full budget, in epochs.
    batch_size : int or None
        Rows per step; None for all rows at once.
    shuffle : bool
        Whether rows are shuffled before every epoch.
    """

    n_epochs: int
    batch_size: int | None
    shuffle: bool

    def rows_per_batch(self, n_rows: int) -> int:
        """Return how many rows a full batch holds when there are `n_rows`."""
        return n_rows if self.batch_size is None else min(self.batch_size, n_rows)


def default_estimator() -> KerasClassifier:
    """Return the classifier that stands in for ``estimator=None``."""
    return KerasClassifier(
        build_mlp, loss="sparse_categorical_crossentropy", optimizer="adam", **DEFAULT_TRAINING
    )


def input_dtype() -> np.dtype:
    """Return the dtype that features are cast to, once."""
    return np.dtype(keras.config.floatx())


def as_keras_classifier(estimator: Any) -> KerasClassifier:
    """Return what a user gave as a KerasClassifier.

    Parameters
    ----------
    estimator : KerasClassifier, keras.wrappers.SKLearnClassifier, keras.Model, callable or None
        None stands for the ready-made network.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if estimator is None:
        return default_estimator()
    if isinstance(estimator, KerasClassifier):
        return estimator
    if isinstance(estimator, keras.wrappers.SKLearnClassifier):
        return _from_keras_wrapper(estimator)
    is_function = callable(estimator) and not isinstance(estimator, type)
    if isinstance(estimator, keras.Model) or (is_function and not hasattr(estimator, "fit")):
        return KerasClassifier(estimator, **DEFAULT_TRAINING)
    raise TypeError(
        "The 'estimator' parameter of MetaLRClassifier must be a scikeras.wrappers."
        "KerasClassifier, a keras.wrappers.SKLearnClassifier, a compiled Keras model, a function "
        f"that returns one, or None. Got an object of type {type(estimator).__name__!r} instead; "
        "wrap what builds your model: MetaLRClassifier(KerasClassifier(build_model, ...))."
    )


class OneHotTargets(TransformerMixin, BaseEstimator):
    """Encodes targets as keras.wrappers.SKLearnClassifier does: one column a class."""

    def fit(self, y: Any) -> "OneHotTargets":
        """Learn the classes."""
        self.classes_ = np.unique(y)
        return self

    def transform(self, y: Any) -> np.ndarray:
        """Return an array of shape (n_samples, n_classes)."""
        return (np.reshape(y, (-1, 1)) == self.classes_).astype(input_dtype())

    def inverse_transform(self, y: np.ndarray, return_proba: bool = False) -> np.ndarray:
        """Return classes, or the probabilities that were given."""
        return y if return_proba else self.classes_[y.argmax(axis=1)]

    def get_metadata(self) -> dict[str, Any]:
        """Return what SciKeras asks for."""
        return {
            "classes_": self.classes_,
            "n_classes_": len(self.classes_),
            "n_outputs_": 1,
            "n_outputs_expected_": 1,
        }


class OneHotKerasClassifier(KerasClassifier):
    """A KerasClassifier in place of a keras.wrappers.SKLearnClassifier."""

    @property
    def target_encoder(self) -> OneHotTargets:
        """Encoder of the targets."""
        return OneHotTargets()


def _from_keras_wrapper(estimator: Any) -> KerasClassifier:
    own = {"epochs", "batch_size", "shuffle", "verbose", "callbacks", "validation_split"}
    params = {
        name if name in own else f"fit__{name}": value
        for name, value in (estimator.fit_kwargs or {}).items()
    }
    build = functools.partial(build_as_keras_wrapper, estimator.model, estimator.model_kwargs)
    return OneHotKerasClassifier(build, **params)


def check_fresh(estimator: KerasClassifier) -> None:
    """Raise ValueError where each model of `estimator` starts from the same weights."""
    if isinstance(estimator.model, keras.Model) or isinstance(estimator.build_fn, keras.Model):
        raise ValueError(
            "Several refits (n_refits) need fresh initial weights for each, but the wrapped "
            "KerasClassifier holds a Keras model that is built already. Give it a function that "
            "builds the model: KerasClassifier(lambda: keras.Sequential(...), ...)."
        )


def training_plan(estimator: KerasClassifier) -> TrainingPlan:
    """Read epochs, batch size and shuffling as SciKeras routes them to ``Model.fit``."""

    def routed(name: str) -> Any:
        return getattr(estimator, f"fit__{name}", getattr(estimator, name))

    if getattr(estimator, "fit__class_weight", None) is not None:
        raise ValueError(
            "The search would not see fit__class_weight of the wrapped KerasClassifier; use its "
            "'class_weight' parameter."
        )
    _check_refit_settings(estimator.random_state, routed("validation_split"))
    n_epochs, batch_size = routed("epochs"), routed("batch_size")
    if not _is_count(n_epochs) or n_epochs > MAX_EPOCHS:
        raise ValueError(
            "The 'epochs' parameter of the wrapped KerasClassifier must be an int of at least 1 "
            f"and at most {MAX_EPOCHS:,}, of which each is recorded. Got {n_epochs!r} instead."
        )
    if batch_size is None:
        batch_size = KERAS_DEFAULT_BATCH_SIZE
    elif np.ndim(batch_size) == 0 and batch_size == -1:
        return TrainingPlan(int(n_epochs), None, bool(routed("shuffle")))
    elif not _is_count(batch_size):
        raise ValueError(
            "The 'batch_size' parameter of the wrapped KerasClassifier must be an int of at least "
            f"1, -1 for all rows, or None. Got {batch_size!r} instead."
        )
    return TrainingPlan(int(n_epochs), int(batch_size), bool(routed("shuffle")))


def _check_refit_settings(random_state: Any, validation_split: Any) -> None:
    """Raise ValueError for what would end the refit, after all of the search."""
    try:
        check_random_state(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The 'random_state' parameter of the wrapped KerasClassifier must be an int from 0 to "
            f"2**32 - 1, a RandomState or None. Got {random_state!r} instead."
        ) from error
    is_real = isinstance(validation_split, Real) and not isinstance(validation_split, bool)
    if validation_split is not None and not (is_real and 0 <= validation_split < 1):
        raise ValueError(
            "The 'validation_split' parameter of the wrapped KerasClassifier must be a float, at "
            f"least 0 and less than 1. Got {validation_split!r} instead."
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def _clone(estimator: KerasClassifier) -> KerasClassifier:
    """Clone without the warning that Keras has for a compiled but untrained model."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        return clone(estimator)


def open_estimator(
    estimator: KerasClassifier,
    X: np.ndarray,
    y: np.ndarray,
    *,
    seed: int | None = None,
    rate: Rate | None = None,
    optimizer: Any = None,
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
    optimizer : str, keras.optimizers.Optimizer or None
        Optimizer of the model; None keeps it.

    Raises
    ------
    TypeError
        If the function of `estimator` does not return a Keras model.
    ValueError
        If the model is not built, or has no loss.
    """
    opened = _clone(estimator)
    if seed is not None:
        opened.set_params(random_state=seed)
    opened.initialize(X, y)
    # SciKeras refuses float64 after float32, though Keras casts either.
    opened.X_dtype_ = np.promote_types(opened.X_dtype_, np.float64)
    _check_is_model(opened.model_)
    _check_has_loss(opened)
    opened._ensure_compiled_model()
    if not opened.model_.built:
        raise ValueError(
            "The wrapped Keras model has no weights yet, because it does not know the shape of "
            "its input: begin it with keras.Input((n_features,))."
        )
    set_strategy(opened.model_, rate, optimizer)
    return opened


def _check_is_model(model: Any) -> None:
    """Raise TypeError where the user's function built something else."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            "The function that the wrapped KerasClassifier calls must return a keras.Model. Got "
            f"an object of type {type(model).__name__!r} instead; does it end with 'return model'?"
        )


def _check_has_loss(opened: KerasClassifier) -> None:
    """Raise ValueError where neither the model nor the KerasClassifier has a loss."""
    model = opened.model_
    if not (model.loss if model.compiled else opened._get_compile_kwargs().get("loss")):
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
    try:
        outputs = model(x_rows, training=False)
    except Exception as error:
        reason = str(error).partition("Arguments received by")[0].strip()
        reason = re.sub(r"\x1b\[\d+m", "", reason)  # which is bold on a terminal
        raise ValueError(
            f"The wrapped Keras model cannot be called on rows of shape {X.shape[1:]}: {reason}"
        ) from error
    shape: Any = getattr(outputs, "shape", ())
    if len(shape) != 2:
        raise ValueError(
            "The wrapped Keras model must have one output of shape (batch, classes); it has "
            f"{model.output_shape}."
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


def task_features(
    opened: KerasClassifier, plan: TrainingPlan, optimizers: list[Any]
) -> list[dict[str, Any]]:
    """Return meta-features of model and training, for each optimizer.

    Parameters
    ----------
    opened : KerasClassifier
        What :func:`open_estimator` returned.
    plan : TrainingPlan
        How it trains.
    optimizers : list of str, keras.optimizers.Optimizer or None
        None for its own.

    Returns
    -------
    features : list of dict
        Those of :func:`._keras_model.model_features`, and ``optimizer``, ``batch_size`` (None for
        all rows at once), ``n_epochs``.
    """
    shared = model_features(opened.model_) | {
        "batch_size": plan.batch_size,
        "n_epochs": plan.n_epochs,
    }
    own = opened.model_.optimizer
    return [shared | {"optimizer": optimizer_label(own if o is None else o)} for o in optimizers]


def encode(opened: KerasClassifier, X: np.ndarray, y: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return features and targets as the Keras model takes them.

    Features may come back as a list or dict of arrays, one for each model input.
    """
    return encode_features(opened, X), np.asarray(opened.target_encoder_.transform(y))


def encode_features(opened: KerasClassifier, X: np.ndarray) -> Any:
    """Return features as the Keras model takes them: an array, or a list or dict of such."""
    encoder = opened.feature_encoder_
    return X if _is_identity(encoder) else encoder.transform(X)


def _is_identity(encoder: Any) -> bool:
    """Tell whether a feature encoder is SciKeras's own, which leaves features as they are."""
    return type(encoder) is FunctionTransformer and encoder.func is None


def features_to_open(estimator: KerasClassifier, X: np.ndarray, rows: Any) -> np.ndarray:
    """Return training rows for :func:`open_estimator`, where it looks at them.

    A feature encoder of the user's is fitted on them. Otherwise only their shape counts, and
    the first one stands for all: a view, where the rows themselves would be a copy.

    Parameters
    ----------
    estimator : KerasClassifier
        To be opened.
    X : ndarray of shape (n_samples, ...)
        All rows.
    rows : slice or int ndarray of shape (n_train,)
        Which of them are trained on.

    Returns
    -------
    X_train : ndarray of shape (n_train, ...)
        Not to be written to.
    """
    looks = "initialize", "_initialize", "_validate_data"
    is_plain = all(getattr(type(estimator), n) is getattr(KerasClassifier, n) for n in looks)
    if isinstance(rows, slice) or not (is_plain and _is_identity(estimator.feature_encoder)):
        return X[rows]
    return np.broadcast_to(X[rows[:1]], (len(rows), *X.shape[1:]))


def check_row_shape(fitted: KerasClassifier, X: np.ndarray) -> None:
    """Raise ValueError where rows are not of the shape of those that were trained on."""
    if X.shape[1:] != fitted.X_shape_[1:]:
        raise ValueError(
            f"X must hold rows of shape {fitted.X_shape_[1:]}, as in fit. Got rows of shape "
            f"{X.shape[1:]} instead."
        )


def training_weights(
    opened: KerasClassifier, y: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray:
    """Return the weight of each row in the training loss: sample weight × class weight.

    Returns
    -------
    weights : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If a class weight is negative, or the weights cannot be counted with.
    """
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if opened.class_weight is not None:
        if not (isinstance(opened.class_weight, dict) or opened.class_weight == "balanced"):
            raise ValueError(
                "The 'class_weight' parameter of the wrapped KerasClassifier must be a dict of "
                f"class to weight, 'balanced' or None. Got {opened.class_weight!r} instead."
            )
        weights = weights * compute_sample_weight(opened.class_weight, y)
        if not (weights.min() >= 0 and 0 < weights.sum() <= np.finfo(input_dtype()).max):
            raise ValueError(
                "The 'class_weight' parameter of the wrapped KerasClassifier must hold weights of "
                f"at least 0, finite and not all of them 0. Got {opened.class_weight!r} instead."
            )
    return weights.astype(input_dtype())


def to_probabilities(fitted: KerasClassifier, outputs: np.ndarray) -> np.ndarray:
    """Return probabilities of shape (..., n_classes), also from logits or one sigmoid.

    Parameters
    ----------
    fitted : KerasClassifier
        Whose model gave the outputs.
    outputs : float64 ndarray of shape (..., n_classes) or (..., 1)
    """
    if outputs.shape[-1] == 1:
        positive = expit(outputs) if has_logits(fitted.model_) else outputs
        return np.concatenate([1 - positive, positive], axis=-1)
    if has_logits(fitted.model_):
        return softmax(outputs, axis=-1)
    return outputs / outputs.sum(axis=-1, keepdims=True)


def scheduled_rate(
    estimator: KerasClassifier, learning_rate: float, schedule: Schedule, n_rows: int
) -> Rate:
    """Return the learning rate of a fit on `n_rows` rows: itself, or a Keras schedule."""
    if schedule.is_constant:
        return learning_rate
    plan = training_plan(estimator)
    fraction = getattr(estimator, "fit__validation_split", estimator.validation_split) or 0.0
    n_trained = floor(n_rows * (1.0 - fraction))  # as Keras counts
    n_steps = plan.n_epochs * ceil(n_trained / plan.rows_per_batch(n_trained))
    return TabulatedRate(learning_rate, schedule.factors(n_steps), schedule.name)


def with_strategy(
    estimator: KerasClassifier, rate: Rate, n_epochs: int, seed: int, optimizer: Any = None
) -> KerasClassifier:
    """Return an unfitted clone that trains at a learning rate, with an optimizer, for `n_epochs`.

    A later ``fit`` of the clone trains at that rate too: it is set by the ``optimizer``
    parameters where SciKeras hands those to the model, and otherwise on the optimizer of
    the model that its function builds. (A ``_keras_build_fn`` of a subclass is left alone.)
    """
    tuned = _clone(estimator)
    tuned.set_params(epochs=n_epochs)
    if hasattr(tuned, "fit__epochs"):
        tuned.set_params(fit__epochs=n_epochs)
    if tuned.random_state is None:
        tuned.set_params(random_state=seed)
    elif isinstance(tuned.random_state, Integral):  # SciKeras takes no NumPy integer
        tuned.set_params(random_state=int(tuned.random_state))
    name = "compile__optimizer" if hasattr(tuned, "compile__optimizer") else "optimizer"
    own = getattr(tuned, name) if optimizer is None else optimizer
    is_named = isinstance(own, str | type) and optimizer is None
    if name == "compile__optimizer" or not is_named:
        tuned.set_params(**{name: at_rate(own, rate)})
    else:
        tuned.set_params(optimizer__learning_rate=rate)
    for name in ("model", "build_fn"):
        build = getattr(tuned, name)
        if isinstance(build, keras.Model):
            set_strategy(build, rate, optimizer)
        elif build is not None:
            built = functools.partial(build_with_strategy, build, rate, optimizer)
            tuned.set_params(**{name: built})
    return tuned


def early_stops(opened: KerasClassifier) -> list[keras.callbacks.EarlyStopping]:
    """Return those callbacks of an opened estimator that are able to stop members of a search."""
    return [
        callback
        for callback in keras.tree.flatten(opened._fit_callbacks)
        if isinstance(callback, keras.callbacks.EarlyStopping)
        and callback.monitor in ("loss", "val_loss")
    ]


def _acting_callbacks(opened: KerasClassifier) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a refit: those that stop on held-out rows only where it has some."""
    callbacks = keras.tree.flatten(opened._fit_callbacks)
    params = opened.get_params(deep=False)
    names = "validation_split", "fit__validation_split", "fit__validation_data"
    if any(params.get(name) for name in names):
        return callbacks
    return [
        callback
        for callback in callbacks
        if not isinstance(callback, keras.callbacks.EarlyStopping)
        or not callback.monitor.startswith("val_")
    ]


def without_callbacks(estimator: KerasClassifier) -> KerasClassifier:
    """Return a clone that has no callbacks."""
    return _clone(estimator).set_params(callbacks=None)


def asks_for_keras_loop(estimator: KerasClassifier) -> bool:
    """Tell whether metrics or arguments of ``fit`` want Keras's own loop."""
    plain = {"fit__epochs", "fit__batch_size", "fit__shuffle", "fit__verbose", "fit__callbacks"}
    params = estimator.get_params(deep=False)
    has_fit_arguments = any(
        name.startswith("fit__") and name.count("__") == 1 and name not in plain for name in params
    )
    return bool(estimator.metrics or estimator.validation_split or has_fit_arguments)


def refits_with_keras(opened: KerasClassifier) -> bool:
    """Tell whether the refit needs Keras's own loop, for callbacks and the model's metrics too."""
    metrics = getattr(opened.model_, "_compile_metrics", None)
    return bool(asks_for_keras_loop(opened) or _acting_callbacks(opened) or metrics is not None)


def fit_with_keras(
    opened: KerasClassifier, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None
) -> KerasClassifier:
    """Train an opened estimator through Keras's own ``fit``, with its callbacks and metrics."""
    weights = None
    if sample_weight is not None or opened.class_weight is not None:
        weights = training_weights(opened, y, sample_weight)
    n_epochs = getattr(opened, "fit__epochs", opened.epochs)
    opened._fit_callbacks = _acting_callbacks(opened)
    opened._fit(X, y, sample_weight=weights, warm_start=True, epochs=n_epochs, initial_epoch=0)
    return opened


def is_finite(fitted: KerasClassifier) -> bool:
    """Tell whether a fitted estimator kept a finite loss and finite weights."""
    weights = fitted.model_.get_weights()
    return all(np.isfinite(values).all() for values in [fitted.history_["loss"], *weights])


def load_trained(
    opened: KerasClassifier,
    weights: list[np.ndarray],
    buffers: list[np.ndarray],
    optimizer_variables: list[np.ndarray],
    epoch_losses: np.ndarray,
) -> KerasClassifier:
    """Make an opened estimator a fitted one.

    Parameters
    ----------
    opened : KerasClassifier
        What :func:`open_estimator` returned.
    weights, buffers, optimizer_variables : list of ndarray
        Values of the model's trainable and non-trainable variables and of the
        optimizer's variables (iteration, learning rate, its state), in their order.
    epoch_losses : ndarray of shape (n_epochs,)
        Mean training loss of each epoch, in nats.
    """
    model = opened.model_
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    if not isinstance(model.optimizer._learning_rate, keras.Variable):  # but a schedule
        iteration, _, *slots = optimizer_variables
        optimizer_variables = [iteration, *slots]
    for variables, values in [
        (model.trainable_variables, weights),
        (model.non_trainable_variables, buffers),
        (model.optimizer.variables, optimizer_variables),
    ]:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    opened.history_ = defaultdict(list, loss=[float(loss) for loss in epoch_losses])
    return opened


NOT_OF_DATA = "model_", "target_encoder_", "feature_encoder_"


@dataclass(frozen=True)
class FittedParts:
    """What a fitted KerasClassifier consists of, without code.

    Attributes
    ----------
    model : keras.Model
        The trained model.
    targets : {"labels", "one-hot labels", "one-hot"}
        How targets are encoded: as SciKeras does for a sparse loss and for a categorical one, or
        as keras.wrappers.SKLearnClassifier does.
    params : dict
        Parameters, without the function that builds the model.
    state : dict
        Further attributes that a fit leaves.
    """

    model: keras.Model
    targets: str
    params: dict[str, Any]
    state: dict[str, Any]


def taken_apart(fitted: KerasClassifier) -> FittedParts:
    """Return the parts of a fitted estimator.

    Raises
    ------
    ValueError
        If it has an encoder of the user's own, which is code.
    """
    encoder, features = fitted.target_encoder_, fitted.feature_encoder_
    is_identity = type(features) is FunctionTransformer and features.func is None
    if not is_identity or type(encoder) not in (ClassifierLabelEncoder, OneHotTargets):
        own = encoder if is_identity else features
        raise ValueError(
            f"The wrapped {type(fitted).__name__} encodes its data with a {type(own).__name__}, "
            "which is code and cannot be saved. Encode features in a Pipeline before "
            "MetaLRClassifier, and give it plain labels."
        )
    width = np.shape(encoder.transform(fitted.classes_))[-1]
    targets = "labels" if width == 1 else "one-hot labels"
    state = {
        name: dict(value) if name == "history_" else value
        for name, value in vars(fitted).items()
        if name.endswith("_") and not name.startswith("_") and name not in NOT_OF_DATA
    }
    params = fitted.get_params(deep=False)
    return FittedParts(
        model=fitted.model_,
        targets="one-hot" if type(encoder) is OneHotTargets else targets,
        params={k: v for k, v in params.items() if k not in ("model", "build_fn")},
        state=state,
    )


def put_together(parts: FittedParts) -> KerasClassifier:
    """Return a fitted estimator that predicts as the one that was taken apart.

    It does not know how its model is built, and so cannot be fitted again.
    """
    if parts.targets == "one-hot":
        fitted, encoder = OneHotKerasClassifier(**parts.params), OneHotTargets()
    else:
        fitted = KerasClassifier(**parts.params)
        loss = "categorical_crossentropy" if parts.targets == "one-hot labels" else None
        encoder = ClassifierLabelEncoder(loss=loss)
    fitted.__dict__.update(parts.state)
    fitted.history_ = defaultdict(list, fitted.history_)
    # More rows than classes, or they would not look like labels.
    rows = np.repeat(fitted.classes_, 3)
    fitted.target_encoder_ = encoder.fit(rows)
    fitted.feature_encoder_ = FunctionTransformer().fit(np.zeros((1, 1)))
    fitted.model_ = parts.model
    fitted._initialize_callbacks()
    return fitted
