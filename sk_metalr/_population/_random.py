"""Random states that belong to the caller."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from tensorflow.python.eager import context

__all__ = ["preserved_random_state"]


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Give the caller's random states back as they were.

    SciKeras seeds Python, NumPy and TensorFlow globally while it builds a model. It
    restores the first two, but restarts TensorFlow's generator.
    """
    eager = context.context()
    tensorflow_seed, tensorflow_rng = eager._seed, getattr(eager, "_rng", None)
    tensorflow_state = tensorflow_rng.getstate() if tensorflow_rng else None
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        eager._seed = tensorflow_seed
        if tensorflow_rng:  # there is none before the first call of tf.random.set_seed
            tensorflow_rng.setstate(tensorflow_state)
            eager._rng = tensorflow_rng
