"""The search: for each rung, train, score, keep.

Random search has one rung, at the full budget, and keeps everyone until then. Successive
halving has several, and keeps the better part at each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Protocol

import numpy as np

__all__ = ["Record", "Trainable", "halving_search", "random_search", "rungs"]


class Trainable(Protocol):
    """What a search needs of a population."""

    def train(self, n_epochs: int) -> np.ndarray:
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
    def is_bad(self) -> np.ndarray:
        """Tell which epochs a candidate had diverged in: bool (n_candidates, n_epochs)."""
        n_epochs = self.losses.shape[-1]
        is_trained = np.arange(n_epochs) < self.n_resources[:, None]
        return ~np.isfinite(self.losses[0]).all(axis=1) & is_trained

    @property
    def is_diverged(self) -> np.ndarray:
        """Tell which candidates diverged: bool (n_candidates,)."""
        return np.asarray(self.is_bad.any(axis=1))


def random_search(population: Trainable, n_epochs: int) -> Record:
    """Train every candidate for the full budget.

    Parameters
    ----------
    population : Trainable
        Candidates × splits, untrained.
    n_epochs : int
        The full budget, in epochs.
    """
    losses = _diverged_for_good(population.train(n_epochs))
    n_candidates = losses.shape[1]
    return Record(losses, np.full(n_candidates, n_epochs), np.zeros(n_candidates, int))


def halving_search(
    population: Trainable,
    n_epochs: int,
    survivors: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
    *,
    factor: float,
    min_epochs: int | None,
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
    """
    parts: list[np.ndarray] = []
    done = 0
    for number, rung in enumerate(rungs(n_epochs, factor, min_epochs)):
        if number == 0:
            parts.append(population.train(rung))
            n_candidates = parts[0].shape[1]
            staying = np.arange(n_candidates)
            n_resources = np.zeros(n_candidates, int)
            iteration = np.zeros(n_candidates, int)
        else:
            so_far = _diverged_for_good(np.concatenate(parts, axis=-1))
            staying = survivors(so_far, n_resources, ceil(len(staying) / factor))
            if not len(staying):
                break  # all diverged
            population.keep(staying)
            parts.append(population.train(rung - done))
        n_resources[staying], iteration[staying] = rung, number
        done = rung
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
