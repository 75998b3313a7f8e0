"""The search: for each rung, train, score, keep.

Random search has one rung, at the full budget, and keeps everyone until then.
"""

from typing import Protocol

import numpy as np

__all__ = ["Trainable", "random_search"]


class Trainable(Protocol):
    """What a search needs of a population."""

    def train(self, n_epochs: int) -> np.ndarray:
        """Train all members further; return losses (2, n_candidates, n_splits, n_epochs)."""


def random_search(population: Trainable, n_epochs: int) -> np.ndarray:
    """Train every candidate for the full budget.

    Parameters
    ----------
    population : Trainable
        Candidates × splits, untrained.
    n_epochs : int
        The full budget, in epochs.

    Returns
    -------
    losses : ndarray of shape (2, n_candidates, n_splits, n_epochs)
        Held-out log-loss after each epoch, and the same with the mean over all classes in
        place of each row's class, in nats; NaN from where a member has diverged on, even
        where its loss was finite again later.
    """
    losses = population.train(n_epochs)
    diverged = np.logical_or.accumulate(~np.isfinite(losses).all(axis=0), axis=2)
    return np.where(diverged, np.nan, losses)
