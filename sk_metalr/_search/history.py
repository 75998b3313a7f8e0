"""The state of a search: its history, and the rung at which candidates are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._population import HeldOut, Trained
from .._recorded import EPOCHS_OF_MODEL, Recorded
from .._space import Candidates
from .selection import Choice
from .surface import ResponseSurface, lower_of, response_surface


@dataclass(frozen=True)
class Rung:
    """Candidates that are trained together, at a point where they are compared.

    Attributes
    ----------
    candidates : Candidates, all of this round, those that have left, too
    losses : ndarray of shape (n_candidates, n_splits, n_times)
        Held-out losses after each epoch, as the choice sees them: those recorded unless another
        scorer chooses, lower is better; NaN where a candidate diverged or was not trained.
    n_resources : int ndarray of shape (n_candidates,), how many of these times each reached
    staying : int ndarray of shape (n_staying,), positions of those that are still trained
    budget : int, in epochs
    n_rounds : int, how many rounds of candidates there were before
    baseline_loss : float or None, of the best constant; None where another scorer chooses
    views : list of ndarray of shape (n_candidates, n_splits, n_trained)
        Losses of the weights, and of their averages; the lower of these are the `losses`.
    steps_per_epoch : int
        Steps of the shortest epoch; 0 where candidates cannot be compared before it is over.
    parts : tuple of float
        While the first epoch lasts, the shares of it after which there are losses.
    """

    candidates: Candidates
    losses: np.ndarray
    n_resources: np.ndarray
    staying: np.ndarray
    budget: int
    n_rounds: int
    baseline_loss: float | None
    views: Sequence[np.ndarray] = ()
    steps_per_epoch: int = 0
    parts: tuple[float, ...] = ()

    @property
    def times(self) -> np.ndarray:
        """Epochs after which there are losses: (n_times,)."""
        return np.array(self.parts or range(1, self.losses.shape[-1] + 1))

    @property
    def n_trained(self) -> float:
        """Epochs trained so far; below 1 while the first one lasts."""
        return self.parts[-1] if self.parts else int(self.losses.shape[-1])

    @cached_property
    def surface(self) -> ResponseSurface:
        """The losses, smoothed over learning rates and epochs."""
        views = self.views or [self.losses]
        return surface_of(self.candidates, views, self.n_resources, self.baseline_loss)


@dataclass(frozen=True)
class History:
    """All candidates that were tried, and what was seen of them.

    Attributes
    ----------
    candidates : Candidates, in order; see :meth:`.Candidates.order`
    recorded : Recorded, of shape (n_candidates, n_splits, n_epochs)
        What was recorded of held-out rows after each epoch. NaN from where a member has diverged
        on, even where its loss was finite again later, and where it was not trained.
    n_resources : int ndarray of shape (n_candidates,), epochs that each was trained for
    iteration : int ndarray of shape (n_candidates,), the last rung, from 0, that each reached
    n_rounds : int, how many rounds of candidates there were
    choice : Choice or None, the best; None where every one has diverged, or has no score
    baseline_loss : float or None, of the best constant; None where another scorer chooses
    trained : list of Trained, of length n_candidates, how each was trained
    trajectories : ndarray of shape (n_candidates, n_splits, n_epochs) or None
        Learning rate of each epoch; None where candidates do not move theirs.
    held_out : HeldOut or None, predictions of held-out rows, where an ensemble is made of them
    surface : ResponseSurface or None, that the choice was made on
    """

    candidates: Candidates
    recorded: Recorded
    n_resources: np.ndarray
    iteration: np.ndarray
    n_rounds: int
    choice: Choice | None
    baseline_loss: float | None
    trained: list[Trained]
    trajectories: np.ndarray | None = None
    held_out: HeldOut | None = None
    surface: ResponseSurface | None = None

    @property
    def budget(self) -> int:
        """The full budget, in epochs."""
        return self.recorded.shape[-1]

    @property
    def epochs_of_models(self) -> np.ndarray:
        """Epochs that models were trained for, the mean over splits, by the epochs that have
        passed: int (n_candidates, n_epochs). Those that stopped early lag behind.
        """
        passed = np.arange(1, self.budget + 1)
        means = self.recorded[EPOCHS_OF_MODEL].mean(axis=1)
        return np.where(np.isfinite(means), means, passed).round().astype(int)

    @property
    def beats_baseline(self) -> bool:
        """Tell whether the best candidate does better than the class frequencies."""
        if self.choice is None:
            return False
        loss = self.choice.losses[self.choice.index]
        return bool(self.baseline_loss is None or loss < self.baseline_loss)

    @property
    def is_bad(self) -> np.ndarray:
        """Tell which epochs a candidate had diverged in: bool (n_candidates, n_epochs)."""
        is_trained = np.arange(self.budget) < self.n_resources[:, None]
        return ~np.isfinite(self.recorded.loss).all(axis=1) & is_trained

    @property
    def is_diverged(self) -> np.ndarray:
        """Tell which candidates diverged: bool (n_candidates,)."""
        return np.asarray(self.is_bad.any(axis=1))

    def rate_in_family(self, index: int) -> tuple[float, np.ndarray]:
        """Return the learning rate of a candidate, and those of its family: (n,), increasing.

        Where more is searched than learning rate, optimizer and schedule, a family is of the same
        optimizer alone, because candidates of one static setting are few.
        """
        rates, kin = self.candidates.learning_rates, self.candidates.kin
        return float(rates[index]), np.sort(rates[kin == kin[index]])


def surface_of(
    candidates: Candidates,
    views: Sequence[np.ndarray],
    n_resources: np.ndarray,
    baseline_loss: float | None,
) -> ResponseSurface:
    """Return the response surface of candidates, the lower one of several views of their losses."""
    surfaces = [
        response_surface(
            losses,
            candidates.learning_rates,
            baseline_loss=baseline_loss,
            family=candidates.families,
            n_resources=n_resources,
            positions=candidates.positions,
            kin=candidates.kin,
        )
        for losses in views
    ]
    return lower_of(surfaces)


def lower_losses(views: Sequence[np.ndarray]) -> np.ndarray:
    """Return the losses of the view whose mean over splits is lower, at each epoch."""
    losses, *others = views
    for other in others:
        losses = np.where((other.mean(1) < losses.mean(1))[:, None], other, losses)
    return losses
