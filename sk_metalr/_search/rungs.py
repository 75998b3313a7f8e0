"""The search: for each rung, train, score, keep.

Random search has one rung, at the full budget, and keeps everyone until then. Successive
halving has several, and keeps the better part at each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from time import perf_counter
from typing import Protocol

import numpy as np

from .._population import JoinedPopulation
from .._progress import Score, Step, Task, ignore, silent
from .checkpoint import Checkpoint, Kept
from .clock import Clock

__all__ = ["Conduct", "Record", "Trainable", "halving_search", "random_search", "rungs"]


class Trainable(Protocol):
    """What a search needs of a population."""

    @property
    def n_groups(self) -> int:
        """Return how many steps an epoch has."""

    @property
    def seconds(self) -> dict[str, float]:
        """Return how long was spent ``compiling``, among others."""

    def train(self, n_epochs: int, step: Step = ignore) -> np.ndarray:
        """Train all members further; return losses (n, n_candidates, n_splits, n_epochs)."""

    def keep(self, candidates: np.ndarray) -> None:
        """Leave all other candidates as they are from now on."""


@dataclass(frozen=True)
class Record:
    """What a search saw.

    Attributes
    ----------
    losses : ndarray of shape (2 + n_metrics, n_candidates, n_splits, n_epochs)
        Held-out log-loss after each epoch, and the same with the mean over all classes in
        place of each row's class, in nats, then scores, greater is better; NaN from where a
        member has diverged on, even where its loss was finite again later, and where it was
        not trained.
    n_resources : int ndarray of shape (n_candidates,)
        Epochs that each candidate was trained for.
    iteration : int ndarray of shape (n_candidates,)
        The last rung, counted from 0, that each candidate reached.
    """

    losses: np.ndarray
    n_resources: np.ndarray
    iteration: np.ndarray

    @property
    def is_complete(self) -> bool:
        """Tell whether the search went to the end of the budget."""
        return int(self.n_resources.max()) == self.losses.shape[-1]

    @property
    def is_bad(self) -> np.ndarray:
        """Tell which epochs a candidate had diverged in: bool (n_candidates, n_epochs)."""
        n_epochs = self.losses.shape[-1]
        is_trained = np.arange(n_epochs) < self.n_resources[:, None]
        return ~np.isfinite(self.losses[0]).all(axis=1) & is_trained

    @property
    def is_diverged(self) -> np.ndarray:
        """Tell which candidates diverged: bool (n_candidates,)."""
        return np.asarray(self.is_bad.any(axis=1))


@dataclass(frozen=True)
class Conduct:
    """How a search goes about its work.

    Attributes
    ----------
    task : callable
        Takes a name and a number of steps; see :meth:`._progress.Progress.task`.
    keeps_on_interrupt : bool
        Whether a KeyboardInterrupt ends the search with what it has, the epochs that every
        member has completed, if there are any.
    clock : Clock or None
        Ends the search early where time is short.
    told : Score or None
        Whose best mean over splits is told at each rung; None for none.
    n_workers : int
        How many of joblib's workers train; 1 for none but this process.
    checkpoint : Checkpoint or None
        Where the search is saved.
    """

    task: Task = silent
    keeps_on_interrupt: bool = False
    clock: Clock | None = None
    told: Score | None = None
    n_workers: int = 1
    checkpoint: Checkpoint | None = None

    @property
    def may_end_early(self) -> bool:
        """Tell whether a search may end before its budget does."""
        return self.keeps_on_interrupt or self.clock is not None

    @property
    def keeps_states(self) -> bool:
        """Tell whether populations are trained further after they were asked for losses."""
        return self.may_end_early or self.checkpoint is not None

    def kept(self, population: JoinedPopulation) -> JoinedPopulation | Kept:
        """Return a population that is saved while it trains, if the search is."""
        return population if self.checkpoint is None else self.checkpoint.kept(population)

    def has_time(self, n_epochs: int, more: int = 1) -> bool:
        """Tell whether there is time to train up to an epoch, counted from 1, the last `more`."""
        return self.clock is None or self.clock.allows(n_epochs, more)

    def _stride(self, done: int, left: int) -> int:
        """Return how many epochs are trained before the clock is looked at again; 0 for no more.

        One; or up to a tenth of all, where they are sent to workers each time.
        """
        stride = min(left, 1 if self.n_workers == 1 else ceil((done + left) / 10))
        while stride and not self.has_time(done + stride, stride):
            stride //= 2
        return stride

    def train(self, population: Trainable, n_epochs: int, name: str, done: int = 0) -> np.ndarray:
        """Train a population; return losses of the epochs that were completed, one at least.

        Parameters
        ----------
        population : Trainable
            Candidates × splits.
        n_epochs : int
            For how many epochs more.
        name : str
            Of the task.
        done : int
            Epochs that were trained before.
        """
        with self.task(name, n_epochs * population.n_groups) as step:
            if not self.may_end_early:
                return population.train(n_epochs, step)
            parts: list[np.ndarray] = []
            left, more = n_epochs, 1
            try:
                while more:
                    parts.append(self._train_epochs(population, more, step))
                    done, left = done + more, left - more
                    more = self._stride(done, left)
            except KeyboardInterrupt:
                if not (self.keeps_on_interrupt and parts):
                    raise
            return np.concatenate(parts, axis=-1)

    def _train_epochs(self, population: Trainable, n_epochs: int, step: Step) -> np.ndarray:
        start, compiled = perf_counter(), population.seconds["compiling"]
        losses = population.train(n_epochs, step)
        if self.clock is not None:
            compiling = population.seconds["compiling"] - compiled
            self.clock.search_epoch = (perf_counter() - start - compiling) / n_epochs
        return losses


def random_search(population: Trainable, n_epochs: int, conduct: Conduct = Conduct()) -> Record:
    """Train every candidate for the full budget.

    Parameters
    ----------
    population : Trainable
        Candidates × splits, untrained.
    n_epochs : int
        The full budget, in epochs.
    conduct : Conduct
        How.
    """
    seen = _diverged_for_good(conduct.train(population, n_epochs, "search"))
    _, n_candidates, _, n_seen = seen.shape
    losses = np.full((*seen.shape[:-1], n_epochs), np.nan)
    losses[..., :n_seen] = seen
    return Record(losses, np.full(n_candidates, n_seen), np.zeros(n_candidates, int))


def halving_search(
    population: Trainable,
    n_epochs: int,
    survivors: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
    *,
    factor: float,
    min_epochs: int | None,
    conduct: Conduct = Conduct(),
) -> Record:
    """Train all for a short while, the better part for longer, the best for the full budget.

    Successive halving (Jamieson & Talwalkar, "Non-stochastic best arm identification and
    hyperparameter optimization", 2016, arXiv:1502.07943) with epochs as the resource. Those
    who stay go on from where they are.

    Parameters
    ----------
    population : Trainable
        Candidates × splits, untrained.
    n_epochs : int
        The full budget, in epochs.
    survivors : callable
        Takes losses so far as in :class:`Record`, epochs trained (n_candidates,), and how
        many to keep; returns the candidates that stay.
    factor, min_epochs
        See :func:`rungs`. About one candidate in `factor` stays at each rung.
    conduct : Conduct
        How.
    """
    first, *others = rungs(n_epochs, factor, min_epochs)
    parts = [conduct.train(population, first, f"search, up to epoch {first}")]
    done, n_candidates = parts[0].shape[-1], parts[0].shape[1]
    staying = np.arange(n_candidates)
    n_resources, iteration = np.full(n_candidates, done), np.zeros(n_candidates, int)
    for number, rung in enumerate(others, start=1) if done == first else ():
        if not conduct.has_time(done + 1):
            break
        so_far = _diverged_for_good(np.concatenate(parts, axis=-1))
        staying = survivors(so_far, n_resources, ceil(len(staying) / factor))
        if not len(staying):
            break  # all diverged
        population.keep(staying)
        name = f"search, up to epoch {rung}: {len(staying)} of {n_candidates} candidates"
        try:
            parts.append(conduct.train(population, rung - done, name, done))
        except KeyboardInterrupt:
            if not conduct.keeps_on_interrupt:
                raise
            break
        done += parts[-1].shape[-1]
        n_resources[staying], iteration[staying] = done, number
        if done < rung:
            break  # interrupted, or out of time
    losses = np.full((*parts[0].shape[:-1], n_epochs), np.nan)
    losses[..., :done] = _diverged_for_good(np.concatenate(parts, axis=-1))
    return Record(losses, n_resources, iteration)


def rungs(n_epochs: int, factor: float, min_epochs: int | None) -> list[int]:
    """Return the epochs, counted from the start, at which candidates are compared.

    Parameters
    ----------
    n_epochs : int
        The full budget: the last rung.
    factor : float
        How many times more epochs each rung has than the one before.
    min_epochs : int or None
        The first rung has no fewer epochs. None: a budget over `factor` squared.
    """
    if min_epochs is None:
        min_epochs = ceil(n_epochs / factor**2)
    result = [n_epochs]
    while ceil(result[0] / factor) >= min_epochs and ceil(result[0] / factor) < result[0]:
        result.insert(0, ceil(result[0] / factor))
    return result


def _diverged_for_good(losses: np.ndarray) -> np.ndarray:
    diverged = np.logical_or.accumulate(~np.isfinite(losses[:2]).all(axis=0), axis=2)
    return np.where(diverged, np.nan, losses)
