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

from .._keras import seeds_drawn_from
from ._scikeras import seeding_through


class _OwnRandom:
    """Python's ``random`` as one thread's own; other threads go on with the global one."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.state = random.Random()
        self.state.setstate(random.getstate())

    def is_mine(self) -> bool:
        """Tell whether the calling thread is the one that made this."""
        return get_ident() == self.thread

    def begin(self, seed: int) -> None:
        """Seed the thread's own state."""
        if self.is_mine():
            self.state.seed(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.state if self.is_mine() else random, name)


@contextmanager
def seeds_of_its_own() -> Iterator[None]:
    """Let this thread build a model that other threads neither disturb nor notice.

    Keras draws from a generator that SciKeras's seed has seeded and that no other thread sees,
    its global ``SeedGenerator`` begins anew, and TensorFlow is not made to refuse whatever is not
    deterministic. What a model-building function itself draws from Python's or NumPy's global
    state is seeded, but other threads can still draw in between.

    One thread at a time, as in ``preserved_random_state``.
    """
    own = _OwnRandom()
    with seeding_through(own.begin, own.is_mine), seeds_drawn_from(own):
        yield
