"""Predictions of held-out rows, kept for an ensemble."""

from dataclasses import dataclass, replace

import numpy as np

MAX_ROWS = 2_000
"""Held-out rows, on all splits together, whose predictions are kept at most."""

MAX_NUMBERS = 50_000
"""How many numbers, such as probabilities, rows times classes, are kept of a member after an epoch
at most."""

MAX_EPOCHS = 6
"""Number of epochs after which they are kept, spread over the budget. On 26 tables, three divisions
each (benchmarks/suites/aside), ensembles of twelve or of four were as good, to 0.0003 nats."""


@dataclass(frozen=True)
class HeldOut:
    """Predictions of held-out rows by members that have not trained on them.

    Attributes
    ----------
    epochs : tuple of int, after which they are kept, counted from 0
    predictions : float16 or float32 ndarray of shape (n_views, n_candidates, n_kept, n_rows, n)
        By the weights, and by their averages where there are some, as :meth:`.Task.kept` says; NaN
        where a member diverged, or is not trained any more.
    target : ndarray of shape (n_rows, ...), encoded and scaled
    weight : ndarray of shape (n_rows,)
    """

    epochs: tuple[int, ...]
    predictions: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    def take(self, candidates: np.ndarray) -> "HeldOut":
        """Return the predictions of some candidates."""
        return replace(self, predictions=self.predictions[:, candidates])

    def unknown(self, n_candidates: int) -> "HeldOut":
        """Return what is known of so many candidates that are not trained any more: nothing."""
        n_views, _, *others = self.predictions.shape
        nothing = np.full((n_views, n_candidates, *others), np.nan, self.predictions.dtype)
        return replace(self, predictions=nothing)

    @staticmethod
    def concat(parts: list["HeldOut"]) -> "HeldOut":
        """Put predictions of the same rows together, candidate after candidate."""
        both = np.concatenate([part.predictions for part in parts], axis=1)
        return replace(parts[0], predictions=both)


def kept_epochs(budget: int) -> tuple[int, ...]:
    """Return epochs, counted from 0, spread evenly over a budget, the last one among them."""
    ends = np.linspace(0, budget, min(budget, MAX_EPOCHS) + 1)[1:]
    return tuple((ends.round().astype(int) - 1).tolist())


def kept_rows(n_test: int, n_splits: int, width: int) -> np.ndarray:
    """Return positions among the held-out rows of a split whose predictions are kept.

    A prediction of a row has `width` numbers.
    """
    n_rows = min(n_test, max(1, min(MAX_ROWS, MAX_NUMBERS // width) // n_splits))
    return np.linspace(0, n_test - 1, n_rows).round().astype(int)
