"""Names of SciKeras outside of its public interface; written for version 0.13."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
from scikeras import wrappers
from scikeras.utils import random_state
from scikeras.wrappers import KerasClassifier

READS_ROWS = "initialize", "_initialize", "_validate_data"
"""Methods of a KerasClassifier that look at more of the rows than their shape if overridden."""


def is_plain(estimator: KerasClassifier) -> bool:
    """Tell whether only the shape of rows counts when a model is built."""
    kind = type(estimator)
    return all(getattr(kind, name) is getattr(KerasClassifier, name) for name in READS_ROWS)


def has_loss(opened: KerasClassifier) -> bool:
    """Tell whether the model of an initialized estimator has a loss, or is going to have one."""
    model = opened.model_
    return bool(model.loss if model.compiled else opened._get_compile_kwargs().get("loss"))


def compile_model(opened: KerasClassifier) -> None:
    """Compile the model of an initialized estimator, where its function has not."""
    opened._ensure_compiled_model()


def seeded(opened: KerasClassifier) -> AbstractContextManager[Any]:
    """Seed global random states as SciKeras does while it builds the model."""
    seed = opened._random_state
    return nullcontext() if seed is None else wrappers.tensorflow_random_state(seed)


def callbacks_of(opened: KerasClassifier) -> Any:
    """Return the callbacks of an initialized estimator: a list, or a dict or list of such."""
    return opened._fit_callbacks


def begin_callbacks(fitted: KerasClassifier) -> None:
    """Make the callbacks of an estimator that was put together."""
    fitted._initialize_callbacks()


def fit_model(
    opened: KerasClassifier, x: Any, y: np.ndarray, weight: Any, n_epochs: int, callbacks: list[Any]
) -> None:
    """Train an opened model by ``Model.fit``, with the estimator's own arguments.

    SciKeras's own checks, of what was checked before, do not know subclassed models.
    """
    opened._fit_callbacks = callbacks
    opened._fit_keras_model(
        x, y, sample_weight=weight, warm_start=True, epochs=n_epochs, initial_epoch=0
    )


@contextmanager
def seeding_through(seed: Callable[[int], Any], is_mine: Callable[[], bool]) -> Iterator[None]:
    """Call a function with each seed that SciKeras sets meanwhile, and leave TensorFlow's switch.

    Parameters
    ----------
    seed : callable
        Takes the seed.
    is_mine : callable
        Tells whether the calling thread is the one that asked for this. In it, TensorFlow is not
        made to refuse whatever is not deterministic, in all threads.
    """
    seeded, deterministic = wrappers.tensorflow_random_state, random_state.tf_enable_op_determinism

    def also_seeded(value: int) -> Any:
        seed(value)
        return seeded(value)

    def not_here() -> Any:
        return True if is_mine() else deterministic()  # True: it was already

    wrappers.tensorflow_random_state = also_seeded
    random_state.tf_enable_op_determinism = not_here
    try:
        yield
    finally:
        random_state.tf_enable_op_determinism = deterministic
        wrappers.tensorflow_random_state = seeded
