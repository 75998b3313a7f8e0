"""Execution settings of a search: progress, time limit, workers, checkpoint."""

from collections import Counter
from dataclasses import dataclass, field
from math import ceil
from time import perf_counter
from typing import Any

import numpy as np

from .._population import Population
from .._progress import Score, Seen, Stage, Step, silent
from .._recorded import Recorded
from .checkpoint import Checkpoint
from .clock import Clock

SAVE_SECONDS, TIMES_A_SAVE = 20.0, 10.0
"""About how long is trained between two saves: so many seconds, or times what a save takes."""


@dataclass(frozen=True)
class Execution:
    """Execution settings of a search, and what it has cost so far.

    `n_workers` of joblib's workers train; 1 for none but this process. At each rung, the best mean
    of the score `told` is told. `seconds` counts those of each part, and ``member_epochs``.
    """

    stage: Stage = silent
    clock: Clock | None = None
    checkpoint: Checkpoint | None = None
    n_workers: int = 1
    told: Score | None = None
    seconds: Any = field(default_factory=Counter)

    @property
    def trains_in_parts(self) -> bool:
        """Tell whether populations may be trained further after they were asked for losses."""
        return self.clock is not None or self.checkpoint is not None

    def has_time(self, n_epochs: int, more: int = 1) -> bool:
        """Tell whether there is time to train up to an epoch, counted from 1, the last `more`."""
        return self.clock is None or self.clock.allows(n_epochs, more)

    def add_seconds(self, start: float, searched: float) -> None:
        """Add the seconds of a fit that began at `start` and had searched at `searched`."""
        now = perf_counter()
        self.seconds.update(search=searched - start, refit=now - searched, total=now - start)


class Run:
    """A population that is trained under an execution, and goes on from where it was saved."""

    def __init__(self, population: Population, execution: Execution) -> None:
        self.population = population
        self.recorded: Recorded | None = None  # before the end of the first epoch
        self._parts: Recorded | None = None
        self._left: tuple[np.ndarray, Recorded] | None = None
        self._share = 0.0  # of the first epoch, after the last part
        self._execution = execution
        self._number, self._saved, self._saved_at = 0, None, perf_counter()
        self._epoch_seconds, self._save_after = 1.0, SAVE_SECONDS
        if execution.checkpoint is not None:
            self._number, self._saved = execution.checkpoint.begin(population)

    @property
    def n_epochs(self) -> int:
        """Epochs trained so far."""
        return 0 if self.recorded is None else self.recorded.shape[-1]

    def train(self, n_epochs: int, name: str) -> None:
        """Train up to an epoch, counted from 1, or as far as there is time: one at least."""
        left = n_epochs - self.n_epochs
        with self._execution.stage(name, left * self.population.n_groups) as step:
            left -= self._replay(left, step)
            while left and (stride := self._stride(left)):
                self._train(stride, step)
                left -= stride
                self._save_if_due(left)

    def train_part(self, share: float, name: str) -> Recorded:
        """Train up to a share of the first epoch; return what was recorded after all parts."""
        with self._execution.stage(name, self.population.n_groups) as step:
            recorded = self.population.train_part(share, step)
        self._share = share
        parts = [recorded] if self._parts is None else [self._parts, recorded]
        self._parts = Recorded.concat(parts, axis=2)
        return self._parts

    def leave(self, has_left: np.ndarray, recorded: Recorded) -> None:
        """Record the last losses of those that left in the first epoch: bool (n_candidates,)."""
        self._left = has_left, recorded

    def keep(self, candidates: np.ndarray, until: int) -> None:
        """Go on with these candidates only, up to some epoch, unless it was saved after that."""
        if self.population.n_epochs == self.n_epochs:
            self.population.keep(candidates, until)

    def finish(self) -> None:
        """Add up what the population has cost."""
        self._execution.seconds.update(self.population.seconds)
        self._execution.seconds["member_epochs"] += self.population.member_epochs

    def _stride(self, left: int) -> int:
        """Return how many epochs are trained before the clock is looked at again; 0 for no more."""
        execution, done = self._execution, self.n_epochs
        if not execution.trains_in_parts:
            return left
        if not done:
            return 1
        if execution.clock is None:
            return min(left, max(1, int(SAVE_SECONDS / self._epoch_seconds)))
        # One, or up to a tenth of all, where they are sent to workers each time.
        stride = min(left, 1 if execution.n_workers == 1 else ceil((done + left) / 10))
        while stride and not execution.has_time(done + stride, stride):
            stride //= 2
        return stride

    def _train(self, n_epochs: int, step: Step) -> None:
        start, compiled = perf_counter(), self.population.seconds["compiling"]
        recorded = self.population.train(n_epochs, step)
        compiling = self.population.seconds["compiling"] - compiled
        trained = n_epochs if self.recorded is not None else n_epochs - self._share
        self._epoch_seconds = max(1e-6, perf_counter() - start - compiling) / trained
        if self._execution.clock is not None:
            self._execution.clock.search_epoch = self._epoch_seconds
        self._add(recorded)

    def _add(self, recorded: Recorded) -> None:
        if self.recorded is None and self._left is not None:
            has_left, then = self._left
            recorded.values[:, has_left, :, :1] = then.values[:, has_left]
        parts = [recorded] if self.recorded is None else [self.recorded, recorded]
        self.recorded = Recorded.concat(parts, axis=2)

    def _replay(self, n_epochs: int, step: Step) -> int:
        """Show again what was saved of the next epochs; return of how many."""
        if self._saved is None:
            return 0
        shown = slice(self.n_epochs, self.n_epochs + n_epochs)
        recorded = self._saved.take(shown, axis=2)
        n_candidates, n_splits, n_shown = recorded.shape
        for column in range(n_shown):
            for group in range(self.population.n_groups):
                seen = None
                if group < n_splits:
                    of_split = recorded.take(column, axis=2).take(group, axis=1)
                    seen = Seen(of_split, np.arange(n_candidates), group, self.n_epochs + column)
                step(seen)
        if n_shown:
            self._add(recorded)
        return n_shown

    def _save_if_due(self, left: int) -> None:
        checkpoint = self._execution.checkpoint
        start = perf_counter()
        if checkpoint is None or (left and start - self._saved_at < self._save_after):
            return
        assert self.recorded is not None
        checkpoint.save(self._number, self.recorded, self.population.snapshots())
        self._saved_at = perf_counter()
        self._save_after = max(SAVE_SECONDS, TIMES_A_SAVE * (self._saved_at - start))
