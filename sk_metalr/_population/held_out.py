"""Predictions of held-out rows, kept for an ensemble."""

from dataclasses import dataclass, replace

import numpy as np

MAX_ROWS = 2_000
"""Held-out rows, on all splits together, whose predictions are kept at most."""

MAX_PROBABILITIES = 50_000
"""Number of probabilities, rows times classes, that are kept of a member after an epoch at most."""

MAX_EPOCHS = 12
"""Number of epochs after which they are kept, spread over the budget."""

LOWEST = -80.0
"""Logarithm of the lowest probability that is told from 0."""


@dataclass(frozen=True)
class HeldOut:
    """Predictions of held-out rows by members that have not trained on them.

    Attributes
    ----------
    epochs : tuple of int, after which they are kept, counted from 0
    log_probabilities : float16 ndarray of shape (n_views, n_candidates, n_kept, n_rows, n_classes)
        By the weights, and by their averages where there are some; NaN where a member diverged.
    target : int ndarray of shape (n_rows,), positions of classes
    weight : ndarray of shape (n_rows,)
    """

    epochs: tuple[int, ...]
    log_probabilities: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    def take(self, candidates: np.ndarray) -> "HeldOut":
        """Return the predictions of some candidates."""
        return replace(self, log_probabilities=self.log_probabilities[:, candidates])

    @staticmethod
    def concat(parts: list["HeldOut"]) -> "HeldOut":
        """Put predictions of the same rows together, candidate after candidate."""
        both = np.concatenate([part.log_probabilities for part in parts], axis=1)
        return replace(parts[0], log_probabilities=both)


def kept_epochs(budget: int) -> tuple[int, ...]:
    """Return epochs, counted from 0, spread evenly over a budget, the last one among them."""
    ends = np.linspace(0, budget, min(budget, MAX_EPOCHS) + 1)[1:]
    return tuple((ends.round().astype(int) - 1).tolist())


def kept_rows(n_test: int, n_splits: int, n_classes: int) -> np.ndarray:
    """Return positions among the held-out rows of a split whose predictions are kept."""
    n_rows = min(n_test, max(1, min(MAX_ROWS, MAX_PROBABILITIES // n_classes) // n_splits))
    return np.linspace(0, n_test - 1, n_rows).round().astype(int)


def as_log(probabilities: np.ndarray) -> np.ndarray:
    """Return the logarithms of probabilities as they are kept."""
    return np.log(np.maximum(probabilities, np.exp(LOWEST))).astype(np.float16)
