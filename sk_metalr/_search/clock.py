"""The time limit of a fit, of which a part is kept for the refit."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any

from .._progress import Stage, Step, silent

PROBE_EPOCHS = 2


class Clock:
    """Tells whether there is time for another epoch of the search, and the refit after it.

    All of a fit, which began at `start` by ``time.perf_counter``, may take `max_time` seconds.
    """

    def __init__(self, max_time: float, start: float) -> None:
        self.end = start + max_time
        self.search_epoch = self.refit_epoch = self.refit_rest = 0.0

    def measure_refit(self, fit: Callable[[int, Stage], Any]) -> None:
        """Measure what a refit takes by a few epochs of it: `fit` refits for so many."""
        fit(1, silent)  # compiles
        begun: list[float] = []
        ticks: list[float] = []

        def timed(name: str, n_steps: int) -> AbstractContextManager[Step]:
            begun.append(perf_counter())
            return nullcontext(lambda seen: ticks.append(perf_counter()))

        start = perf_counter()
        fit(PROBE_EPOCHS, timed)
        whole = perf_counter() - start
        self.refit_epoch = whole / PROBE_EPOCHS
        if len(ticks) >= PROBE_EPOCHS:  # not by Keras's loop, which tells of whole fits only
            self.refit_epoch = (ticks[-1] - begun[0]) / PROBE_EPOCHS
        self.refit_rest = max(0.0, whole - PROBE_EPOCHS * self.refit_epoch)

    def allows(self, n_epochs: int, more: int = 1) -> bool:
        """Tell whether the search may train up to an epoch, from 1, the last `more` at once."""
        # The refit takes as many epochs as the search has seen, at most.
        refit = self.refit_rest + n_epochs * self.refit_epoch
        return perf_counter() + more * self.search_epoch + refit <= self.end
