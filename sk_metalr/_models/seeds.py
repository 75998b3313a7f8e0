"""Seeds of a model that is built: those that SciKeras asks for, whatever other threads do.

SciKeras seeds the random states of the whole process while a model is built, and Keras draws the
seed of every initial weight from Python's. Other threads draw from it, too: the event loops of
Dask and Tornado do. So a model would now and then start from other weights.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from scikeras import wrappers
from scikeras.utils import random_state as of_scikeras

__all__ = ["seeds_of_its_own"]

GLOBAL_SEED_GENERATOR = "global_seed_generator"
"""Name of Keras's own generator of seeds; newer versions have a constant of this value."""


class _OwnRandom:
    """Python's ``random`` as one thread's own; other threads go on with the global one."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.state = random.Random()
        self.state.setstate(random.getstate())

    @property
    def is_mine(self) -> bool:
        """Tell whether the calling thread is the one that made this."""
        return get_ident() == self.thread

    def __getattr__(self, name: str) -> Any:
        return getattr(self.state if self.is_mine else random, name)


@contextmanager
def seeds_of_its_own() -> Iterator[None]:
    """Let this thread build a model that other threads neither disturb nor notice.

    Keras draws from a generator that SciKeras's seed has seeded and that no other thread sees,
    its global ``SeedGenerator`` begins anew, and TensorFlow is not made to refuse whatever is not
    deterministic, in all threads. What a model-building function itself draws from Python's or
    NumPy's global state is seeded, but other threads can still draw in between.

    One thread at a time, as in ``preserved_random_state``.
    """
    own = _OwnRandom()
    before = seed_generator.python_random
    seeded, deterministic = wrappers.tensorflow_random_state, of_scikeras.tf_enable_op_determinism
    generator = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)

    def also_own(seed: int) -> Any:
        if own.is_mine:
            own.state.seed(seed)
        return seeded(seed)

    def not_here() -> Any:
        return True if own.is_mine else deterministic()  # True: it was already

    wrappers.tensorflow_random_state = also_own
    of_scikeras.tf_enable_op_determinism = not_here
    seed_generator.python_random = own
    global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, None)
    try:
        yield
    finally:
        global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, generator)
        seed_generator.python_random = before
        of_scikeras.tf_enable_op_determinism = deterministic
        wrappers.tensorflow_random_state = seeded
