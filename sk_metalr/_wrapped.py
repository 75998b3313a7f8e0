"""All that is known about the wrapped estimator: SciKeras stays in this file.

SciKeras has had no release since April 2024. What is taken from it here: how a
``KerasClassifier`` builds and compiles its model, its encoders, its class weights and
its training parameters; and how a trained model is handed back to it.
"""

import functools
import inspect
import warnings
from collections import defaultdict
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_sample_weight

__all__ = [
    "TrainingPlan",
    "check_wrapped",
    "class_probabilities",
    "default_estimator",
    "encode",
    "has_logits",
    "input_dtype",
    "load_trained",
    "open_estimator",
    "refits_with_keras",
    "training_plan",
    "training_weights",
    "with_strategy",
]

KERAS_DEFAULT_BATCH_SIZE = 32


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
        build_mlp,
        loss="sparse_categorical_crossentropy",
        optimizer="adam",
        batch_size=32,
        epochs=40,
        verbose=0,
    )


def build_mlp(meta: dict[str, Any]) -> keras.Model:
    """Build a multi-layer perceptron of 2 × 128 rectified units with a softmax output."""
    return keras.Sequential(
        [
            keras.Input((int(np.prod(meta["X_shape_"][1:])),)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(len(meta["classes_"]), activation="softmax"),
        ]
    )


def input_dtype() -> np.dtype:
    """Return the dtype that features are cast to, once."""
    return np.dtype(keras.config.floatx())


def check_wrapped(estimator: Any) -> None:
    """Raise a clear error where `estimator` is not a KerasClassifier."""
    if not isinstance(estimator, KerasClassifier):
        raise TypeError(
            "The 'estimator' parameter of MetaLRClassifier must be a "
            f"scikeras.wrappers.KerasClassifier or None. Got {estimator!r} instead; wrap the "
            "Keras model: MetaLRClassifier(KerasClassifier(model, ...))."
        )


def training_plan(estimator: KerasClassifier) -> TrainingPlan:
    """Read epochs, batch size and shuffling as SciKeras routes them to ``Model.fit``."""

    def routed(name: str) -> Any:
        return getattr(estimator, f"fit__{name}", getattr(estimator, name))

    n_epochs, batch_size = routed("epochs"), routed("batch_size")
    if not _is_count(n_epochs):
        raise ValueError(
            "The 'epochs' parameter of the wrapped KerasClassifier must be an int of at least 1. "
            f"Got {n_epochs!r} instead."
        )
    if batch_size is None:
        batch_size = KERAS_DEFAULT_BATCH_SIZE
    elif batch_size == -1:
        return TrainingPlan(int(n_epochs), None, bool(routed("shuffle")))
    elif not _is_count(batch_size):
        raise ValueError(
            "The 'batch_size' parameter of the wrapped KerasClassifier must be an int of at least "
            f"1, -1 for all rows, or None. Got {batch_size!r} instead."
        )
    return TrainingPlan(int(n_epochs), int(batch_size), bool(routed("shuffle")))


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def _clone(estimator: KerasClassifier) -> KerasClassifier:
    """Clone without the warning that Keras has for a compiled but untrained model."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        return clone(estimator)


def open_estimator(
    estimator: KerasClassifier, X: np.ndarray, y: np.ndarray, seed: int | None
) -> KerasClassifier:
    """Return a clone whose model is freshly built, compiled and known to suit the data.

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

    Raises
    ------
    ValueError
        If the model is not compiled, or its output does not suit the classes.
    """
    opened = _clone(estimator)
    if seed is not None:
        opened.set_params(random_state=seed)
    opened.initialize(X, y)
    opened._ensure_compiled_model()
    _check_model(opened, X, y)
    return opened


def _check_model(opened: KerasClassifier, X: np.ndarray, y: np.ndarray) -> None:
    model, n_classes = opened.model_, len(np.unique(y))
    if not model.built:
        model.build((None, *X.shape[1:]))
    x_row, y_row = encode(opened, X[:1], y[:1])
    shape = _output_shape(model, x_row)
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise ValueError(
            "The wrapped Keras model must have one output of shape (batch, classes); it has "
            f"{shape}."
        )
    width = shape[1]
    if width != n_classes and not (width == 1 and n_classes == 2):
        expected = "1 or 2" if n_classes == 2 else str(n_classes)
        raise ValueError(
            f"The wrapped Keras model has an output of width {width} but y has {n_classes} "
            f"classes. Give its last layer {expected} units; a model-building function finds the "
            'number of classes in meta["n_classes_"].'
        )
    loss = _loss_of(model)
    wants_one_hot = getattr(loss, "__name__", type(loss).__name__).lower().startswith("categorical")
    if wants_one_hot and np.shape(y_row)[-1] != width:
        raise ValueError(
            "A categorical cross-entropy needs one-hot targets, and SciKeras encodes them only for "
            "three classes or more and where it is told: use 'sparse_categorical_crossentropy', or "
            "pass loss='categorical_crossentropy' to KerasClassifier too."
        )


def _output_shape(model: keras.Model, x_row: Any) -> Any:
    """Return the shape of a model's output, or a list of them; a subclass must be called."""
    try:
        return model.output_shape
    except AttributeError:
        outputs = model(x_row, training=False)
        if isinstance(outputs, list | tuple | dict):
            return [output.shape for output in keras.tree.flatten(outputs)]
        return tuple(outputs.shape)


def encode(opened: KerasClassifier, X: np.ndarray, y: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return features and targets as the Keras model takes them.

    Features may come back as a list or dict of arrays, one for each model input.
    """
    encoder = opened.feature_encoder_
    is_identity = type(encoder) is FunctionTransformer and encoder.func is None
    x = X if is_identity else encoder.transform(X)
    return x, np.asarray(opened.target_encoder_.transform(y))


def training_weights(
    opened: KerasClassifier, y: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray:
    """Return the weight of each row in the training loss: sample weight × class weight.

    Returns
    -------
    weights : ndarray of shape (n_samples,)
    """
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if opened.class_weight is not None:
        weights = weights * compute_sample_weight(opened.class_weight, y)
    return weights.astype(input_dtype())


def _loss_of(model: keras.Model) -> Any:
    """Return the loss the model was compiled with, as an object."""
    loss = model.loss
    while isinstance(loss, list | tuple) and len(loss) == 1:
        loss = loss[0]
    return keras.losses.get(loss) if isinstance(loss, str) else loss


def has_logits(model: keras.Model) -> bool:
    """Tell whether the model's outputs are logits; otherwise they are probabilities."""
    return bool(getattr(_loss_of(model), "from_logits", False))


def class_probabilities(fitted: KerasClassifier, X: np.ndarray) -> np.ndarray:
    """Return probabilities of shape (n_samples, n_classes), also from logits or one sigmoid."""
    outputs = np.asarray(fitted._predict_raw(X, verbose=0), dtype=np.float64)
    outputs = outputs.reshape(len(X), -1)
    if outputs.shape[1] == 1:
        positive = expit(outputs) if has_logits(fitted.model_) else outputs
        return np.hstack([1 - positive, positive])
    if has_logits(fitted.model_):
        return softmax(outputs, axis=1)
    return outputs / outputs.sum(axis=1, keepdims=True)


def with_strategy(
    estimator: KerasClassifier, learning_rate: float, n_epochs: int, seed: int | None
) -> KerasClassifier:
    """Return an unfitted clone that trains at `learning_rate` for `n_epochs`.

    The rate is set by the ``optimizer`` parameters where SciKeras hands those to the
    model, and on the optimizer of the finished model otherwise; so a later ``fit``
    of the clone trains at the same rate.
    """
    tuned = _clone(estimator)
    tuned.set_params(epochs=n_epochs)
    if hasattr(tuned, "fit__epochs"):
        tuned.set_params(fit__epochs=n_epochs)
    if seed is not None and tuned.random_state is None:
        tuned.set_params(random_state=seed)
    if isinstance(tuned.optimizer, keras.optimizers.Optimizer):
        config = tuned.optimizer.get_config() | {"learning_rate": learning_rate}
        tuned.set_params(optimizer=type(tuned.optimizer).from_config(config))
    else:
        tuned.set_params(optimizer__learning_rate=learning_rate)
    if isinstance(tuned.model, keras.Model):
        _set_learning_rate(tuned.model, learning_rate)
    elif tuned.model is not None:
        build = functools.partial(
            build_at_rate, build_model=tuned.model, learning_rate=learning_rate
        )
        tuned.set_params(model=build)
    return tuned


def build_at_rate(
    build_model: Any,
    learning_rate: float,
    *,
    meta: Any = None,
    compile_kwargs: Any = None,
    params: Any = None,
    **model_params: Any,
) -> keras.Model:
    """Build a model with the user's function and set its learning rate."""
    offered = {"meta": meta, "compile_kwargs": compile_kwargs, "params": params}
    accepted = inspect.signature(build_model).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    wanted = {name: value for name, value in offered.items() if takes_all or name in accepted}
    model = build_model(**model_params, **wanted)
    _set_learning_rate(model, learning_rate)
    return model


def _set_learning_rate(model: keras.Model, learning_rate: float) -> None:
    """Give a compiled model an optimizer like its own at a constant `learning_rate`."""
    if not model.compiled or model.optimizer is None:
        return
    if isinstance(model.optimizer._learning_rate, keras.Variable):
        model.optimizer.learning_rate = learning_rate
        return
    config = model.optimizer.get_config() | {"learning_rate": learning_rate}
    model.optimizer = type(model.optimizer).from_config(config)


def refits_with_keras(opened: KerasClassifier) -> bool:
    """Tell whether the refit needs Keras's own loop: callbacks, metrics, arguments of ``fit``."""
    plain = {"fit__epochs", "fit__batch_size", "fit__shuffle", "fit__verbose"}
    params = opened.get_params(deep=False)
    has_fit_arguments = any(name.startswith("fit__") and name not in plain for name in params)
    metrics = getattr(opened.model_, "_compile_metrics", None)
    return bool(
        opened._fit_callbacks or metrics is not None or opened.validation_split or has_fit_arguments
    )


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
        optimizer's variables, in their order.
    epoch_losses : ndarray of shape (n_epochs,)
        Mean training loss of each epoch, in nats.
    """
    model = opened.model_
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    for variables, values in [
        (model.trainable_variables, weights),
        (model.non_trainable_variables, buffers),
        (model.optimizer.variables, optimizer_variables),
    ]:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    opened.history_ = defaultdict(list, loss=[float(loss) for loss in epoch_losses])
    return opened
