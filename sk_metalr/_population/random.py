"""Random states that belong to the caller.

It uses names of TensorFlow outside of its public interface; written for versions 2.17 to 2.21.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import numpy as np
from tensorflow.python.eager import context
from tensorflow.python.framework import config

_lock = RLock()


def has_started() -> bool:
    """Tell whether TensorFlow has computed anything in this process, for which it has threads."""
    return context.context_safe() is not None and context.context()._context_handle is not None


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Give the caller's random states back as they were. One thread at a time; others wait.

    SciKeras seeds Python, NumPy and TensorFlow globally while it builds a model. It restores the
    first two, but restarts TensorFlow's generator; and it leaves TensorFlow's op determinism
    switched on, because it asks whether that is on only after setting the environment variable
    that the first such question looks at.
    """
    with _lock:
        was_deterministic = config.is_op_determinism_enabled()
        eager = context.context()
        tensorflow_seed, tensorflow_rng = eager._seed, getattr(eager, "_rng", None)
        tensorflow_state = tensorflow_rng.getstate() if tensorflow_rng else None
        python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
        try:
            yield
        finally:
            if not was_deterministic:
                config.disable_op_determinism()
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
            eager._seed = tensorflow_seed
            if tensorflow_rng:  # there is none before the first call of tf.random.set_seed
                tensorflow_rng.setstate(tensorflow_state)
                eager._rng = tensorflow_rng
