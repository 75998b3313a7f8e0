"""Names of SciKeras outside of its public interface; written for version 0.13."""

import random
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from copyreg import __newobj__  # type: ignore[attr-defined]
from threading import get_ident
from typing import Any

import keras
import numpy as np
from scikeras import _saving_utils, wrappers
from scikeras.utils import random_state
from scikeras.wrappers import BaseWrapper, KerasClassifier, KerasRegressor

from .._keras import seeds_drawn_from, set_loss
from .copies import copy_changes

READY_MADE = {
    KerasClassifier: "sparse_categorical_crossentropy",
    KerasRegressor: "mean_squared_error",
}
"""Losses that most models are trained on."""


# SciKeras copies and pickles losses and models by their configs. These leave out the ``delta`` of a
# Huber loss, whatever a class of the user's does not tell, and what was changed of a model's
# variables. So the methods that it has put into Keras's classes are replaced by these.


def _reduced_loss(loss: keras.losses.Loss) -> tuple[Any, ...]:
    """Return what pickles of a loss are made of: its class and all that it holds."""
    return __newobj__, (type(loss),), loss.__getstate__()


def _copied_loss(loss: keras.losses.Loss, memo: dict[Any, Any]) -> keras.losses.Loss:
    """Return a copy of a loss and all that it holds, or else of what its config tells."""
    try:
        state = deepcopy(vars(loss), memo)
    except TypeError:  # a lock or a table, for instance
        return type(loss).from_config(loss.get_config())
    copy = __newobj__(type(loss))
    vars(copy).update(state)
    return copy


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out Keras's warning of a compiled but untrained model."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        yield


def _copied_model(model: keras.Model, memo: dict[Any, Any]) -> keras.Model:
    """Return a copy of a model, with what is in no config."""
    with _quietly():
        copy = _saving_utils.deepcopy_model(model, memo)
    copy_changes(model, copy)
    return copy


def _reduced_model(model: keras.Model) -> tuple[Any, ...]:
    """Return what pickles of a model are made of: what SciKeras's are, its losses, and which of its
    variables train.
    """
    losses = keras.tree.flatten(getattr(model, "loss", None))
    has_losses = any(isinstance(one, keras.losses.Loss) for one in losses)
    trainable = [variable.trainable for variable in model.weights]
    made_of = _saving_utils.pack_keras_model(model)
    return _unpickled, (made_of, model.loss if has_losses else None, trainable)


def _unpickled(made_of: tuple[Any, ...], loss: Any, trainable: list[bool]) -> keras.Model:
    unpack, arguments = made_of
    with _quietly():
        model = unpack(*arguments)
    for variable, trains in zip(model.weights, trainable, strict=False):
        variable.trainable = trains
    if loss is not None:
        set_loss(model, loss)
    return model


keras.losses.Loss.__reduce__, keras.losses.Loss.__deepcopy__ = _reduced_loss, _copied_loss
keras.Model.__reduce__, keras.Model.__deepcopy__ = _reduced_model, _copied_model


def is_plain(estimator: BaseWrapper) -> bool:
    """Tell whether only the shape of rows counts when a model is built."""
    reads_rows = "initialize", "_initialize", "_validate_data"
    kind, own = type(estimator), own_kind(estimator)
    return all(getattr(kind, name) is getattr(own, name) for name in reads_rows)


def own_kind(estimator: BaseWrapper) -> type[BaseWrapper]:
    """Return SciKeras's own class that an estimator is of, or derived from."""
    return KerasClassifier if isinstance(estimator, KerasClassifier) else KerasRegressor


class SeesRows:
    """A mixin for wrappers whose model is told the training rows once it is built."""

    def _initialize(self: Any, X: np.ndarray, y: np.ndarray | None = None) -> Any:
        rows = super()._initialize(X, y)  # type: ignore[misc]
        self.see(rows[0])
        return rows


class HandsOverRows:
    """A mixin for wrappers whose ``meta`` holds the training rows and their targets: ``rows_``."""

    def _initialize(self: Any, X: np.ndarray, y: np.ndarray | None = None) -> Any:
        self.rows_ = X, y
        try:
            return super()._initialize(X, y)  # type: ignore[misc]
        finally:
            del self.rows_


def compile_model(opened: BaseWrapper) -> None:
    """Compile the model of an initialized estimator, where its function has not."""
    model = opened.model_
    if not model.compiled:
        arguments = opened._get_compile_kwargs()
        if arguments["loss"]:
            model.compile(**arguments)
    if not getattr(model, "loss", None):
        raise ValueError(
            f"The wrapped Keras model has no loss. Give {own_kind(opened).__name__} one, such as "
            f"loss={READY_MADE[own_kind(opened)]!r}, or compile the model with it."
        )


def seeded(opened: BaseWrapper) -> AbstractContextManager[Any]:
    """Seed global random states as SciKeras does while it builds the model."""
    seed = opened._random_state
    return nullcontext() if seed is None else wrappers.tensorflow_random_state(seed)


def callbacks_of(opened: BaseWrapper) -> Any:
    """Return the callbacks of an initialized estimator: a list, or a dict or list of such."""
    return opened._fit_callbacks


def begin_callbacks(fitted: BaseWrapper) -> None:
    """Make the callbacks of an estimator that was put together."""
    fitted._initialize_callbacks()


def fit_model(
    opened: BaseWrapper, x: Any, y: np.ndarray, weight: Any, n_epochs: int, callbacks: list[Any]
) -> None:
    """Train an opened model by ``Model.fit`` with the estimator's own arguments, but without
    SciKeras's checks, which repeat earlier ones and do not know subclassed models.
    """
    opened._fit_callbacks = callbacks
    opened._fit_keras_model(
        x, y, sample_weight=weight, warm_start=True, epochs=n_epochs, initial_epoch=0
    )


class _OwnRandom:
    """Python's ``random`` as one thread's own; other threads go on with the global one."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.state = random.Random()
        self.state.setstate(random.getstate())

    def is_mine(self) -> bool:
        """Tell whether the calling thread is the one that made this."""
        return get_ident() == self.thread

    def __getattr__(self, name: str) -> Any:
        return getattr(self.state if self.is_mine() else random, name)


@contextmanager
def seeds_of_its_own() -> Iterator[None]:
    """Let this thread build a model that other threads neither disturb nor notice.

    SciKeras seeds the random states of the whole process while a model is built, and Keras draws
    the seed of every initial weight from Python's. Other threads draw from it, too: the event loops
    of Dask and Tornado do. So Keras draws here from a generator that SciKeras's seed has seeded and
    that no other thread sees, its global ``SeedGenerator`` begins anew, and TensorFlow is not made
    to refuse whatever is not deterministic. Other threads can only disturb what a model-building
    function itself draws from Python's or NumPy's global state.

    Only one thread at a time may be in here, as in ``preserved_random_state``.
    """
    own = _OwnRandom()
    seeded, deterministic = wrappers.tensorflow_random_state, random_state.tf_enable_op_determinism

    def also_seeded(value: int) -> Any:
        if own.is_mine():
            own.state.seed(value)
        return seeded(value)

    def not_here() -> Any:
        return True if own.is_mine() else deterministic()  # True: it was already

    wrappers.tensorflow_random_state = also_seeded
    random_state.tf_enable_op_determinism = not_here
    try:
        with seeds_drawn_from(own):
            yield
    finally:
        random_state.tf_enable_op_determinism = deterministic
        wrappers.tensorflow_random_state = seeded
