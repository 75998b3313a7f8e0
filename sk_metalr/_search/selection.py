"""The choice: from held-out losses to one learning rate and one number of epochs.

The strategy with the lowest loss on a few held-out rows is usually a lucky one.
Neighbouring learning rates and neighbouring epochs train nearly the same model, so
their losses carry information about each other: the choice is made on losses that
are averaged over splits and smoothed over both. And a model that was right on every
held-out row, and sure of it, may have been lucky: losses are cautious before.
"""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "Choice",
    "ResponseSurface",
    "View",
    "cautious_losses",
    "choose",
    "response_surface",
    "survivors",
    "usable_range",
]

RATE_BANDWIDTH = 0.25
"""Standard deviation of the Gaussian kernel over learning rates, in decades."""

FEW, BANDWIDTH_OF_FEW = 8, 0.15
"""The same where a family has fewer candidates than these. They are far apart, and the bend of the
curve between two of them is mistaken for noise: of four, it is often the outermost that gains."""

EPOCH_BANDWIDTH, OF_EPOCH = 2.0, 0.4
"""Standard deviation of the Gaussian kernel over epochs, in epochs, and its highest share of the
epoch. Where a model learns and overfits within a few epochs, its best epoch is like no other, and
a mean over others hides it; late epochs are all alike."""

MAX_COMPRESSED = 3.0
"""Highest compressed loss, in multiples of the no-skill loss."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and what it was chosen from.

    Attributes
    ----------
    index : int
        The chosen candidate.
    best : int
        The candidate with the lowest of `losses`; another one only for ``"one_se"``.
    n_epochs : ndarray of shape (n_candidates,)
        Best number of epochs of each candidate.
    losses : ndarray of shape (n_candidates,)
        Loss of each candidate at its number of epochs as the choice saw it, in nats.
    standard_error : float
        Standard error of the lowest smoothed loss, in nats.
    interval : tuple of (float, float)
        Lowest and highest of the learning rates of its family around the one with the
        lowest smoothed loss whose smoothed loss is within one standard error of it.
    """

    index: int
    best: int
    n_epochs: np.ndarray
    losses: np.ndarray
    standard_error: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class View:
    """What of a search's losses and scores the choice looks at.

    Attributes
    ----------
    n_held_out : int
        How many rows were held out, on all splits together.
    no_skill_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    metric : int or None
        Position of the score that chooses; None for the log-loss.
    cautious : bool
        Whether the log-loss is cautious, see :func:`cautious_losses`.
    """

    n_held_out: int
    no_skill_loss: float
    metric: int | None = None
    cautious: bool = True

    @property
    def worst_loss(self) -> float | None:
        """What :func:`choose` asks for as `no_skill_loss`."""
        return self.no_skill_loss if self.metric is None else None

    def losses(self, recorded: np.ndarray) -> np.ndarray:
        """Return losses of shape (n_candidates, n_splits, n_epochs).

        Parameters
        ----------
        recorded : ndarray of shape (2 + n_metrics, n_candidates, n_splits, n_epochs)
            Log-loss, its mean over all classes, scores.
        """
        if self.metric is not None:
            return -recorded[2 + self.metric]
        if self.cautious:
            return cautious_losses(recorded[0], recorded[1], self.n_held_out)
        return recorded[0]


def choose(
    losses: np.ndarray,
    learning_rates: np.ndarray,
    *,
    no_skill_loss: float | None,
    family: np.ndarray | None = None,
    n_resources: np.ndarray | None = None,
    selection: str = "smooth",
    tune_epochs: bool = True,
) -> Choice:
    """Choose a candidate and its number of epochs.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n_splits, n_epochs)
        Held-out log-loss after each epoch, in nats, as it is or cautious (see
        :func:`cautious_losses`); not finite once diverged, and where not trained. At
        least one candidate is finite on every split.
    learning_rates : ndarray of shape (n_candidates,)
        Learning rate of each candidate, in increasing order within a family.
    family : int ndarray of shape (n_candidates,) or None
        Candidates that differ in nothing but their rate bear the same number, and follow each
        other; losses are smoothed within a family. None: all are one.
    n_resources : int ndarray of shape (n_candidates,) or None
        Epochs that each candidate was trained for; only those that went all the way are
        chosen. None: all did.
    no_skill_loss : float or None
        Log-loss of always predicting the class frequencies, in nats; None where `losses`
        are no log-losses, but any score, negative.
    selection : {"smooth", "min", "one_se"}
        ``"smooth"``: lowest smoothed loss. ``"min"``: lowest mean loss, not
        smoothed. ``"one_se"``: the lowest learning rate whose smoothed loss is
        within one standard error of the lowest (Breiman et al., "Classification
        and Regression Trees", 1984, section 3.4.3).
    tune_epochs : bool
        Whether the number of epochs is chosen too; otherwise it is the last.

    Returns
    -------
    choice : Choice
    """
    surface = response_surface(losses, learning_rates, no_skill_loss, family, n_resources)
    eligible = surface.is_trained[:, -1] & ~surface.is_diverged
    if not eligible.any():  # all that were left diverged in the end
        eligible = ~surface.is_diverged
    epochs, curve = surface.lowest(surface.smoothed, tune_epochs)
    lowest = int(np.where(eligible, curve, np.inf).argmin())
    error = surface.standard_error(lowest, int(epochs[lowest]))
    inside = eligible & (surface.family == surface.family[lowest])
    low, high = _run_around(inside & (curve <= curve[lowest] + error), lowest)
    if selection == "min":
        epochs, curve = surface.lowest(surface.compressed, tune_epochs)
        lowest = int(np.where(eligible, curve, np.inf).argmin())
    return Choice(
        index=low if selection == "one_se" else lowest,
        best=lowest,
        n_epochs=epochs + 1,
        losses=curve,
        standard_error=error,
        interval=(float(learning_rates[low]), float(learning_rates[high])),
    )


def survivors(
    losses: np.ndarray,
    learning_rates: np.ndarray,
    n_resources: np.ndarray,
    *,
    no_skill_loss: float | None,
    family: np.ndarray,
    n_keep: int,
    n_epochs: int,
) -> np.ndarray:
    """Return the candidates that go on after a rung: the best so far, and one slow starter.

    Short training flatters high learning rates (Wu et al., "Understanding short-horizon bias
    in stochastic meta-optimization", 2018, arXiv:1803.02021). So beside the candidates with
    the lowest smoothed loss so far, that one of the others stays which promises most: its
    loss is carried on to the full budget in a straight line over the logarithm of epochs, as
    it fell during the second half of its training.

    Parameters
    ----------
    losses, learning_rates, n_resources, no_skill_loss, family
        See :func:`choose`.
    n_keep : int
        How many stay, the slow starter not counted.
    n_epochs : int
        The full budget, in epochs.

    Returns
    -------
    candidates : int ndarray of shape (n,), with n <= n_keep + 1
        In increasing order; fewer where others diverged.
    """
    surface = response_surface(losses, learning_rates, no_skill_loss, family, n_resources)
    trained = int(n_resources.max())
    _, lowest = surface.lowest(surface.smoothed)
    lowest = np.where(n_resources == trained, lowest, np.inf)
    order = lowest.argsort(kind="stable")
    order = order[np.isfinite(lowest[order])]
    best, rest = order[:n_keep], order[n_keep:]
    if rest.size:
        mean, half = surface.smoothed.mean(axis=1), max(1, trained // 2)
        slope = (mean[:, trained - 1] - mean[:, half - 1]) / np.log(max(2, trained / half))
        promised = mean[:, trained - 1] + slope * np.log(n_epochs / trained)
        best = np.append(best, rest[promised[rest].argmin()])
    return np.sort(best)


@dataclass(frozen=True)
class ResponseSurface:
    """Loss over learning rate and epochs.

    Attributes
    ----------
    compressed, smoothed : ndarray of shape (n_candidates, n_splits, n_epochs)
        Losses in nats; of no meaning where a candidate was not trained.
    is_trained : bool ndarray of shape (n_candidates, n_epochs)
        Which epochs each candidate was trained for.
    is_diverged : bool ndarray of shape (n_candidates,)
        Whether it diverged on any split while it was.
    over_rates : ndarray of shape (n_candidates, n_candidates)
        Weights that losses were smoothed with.
    family : int ndarray of shape (n_candidates,)
        Which candidates were smoothed together.
    """

    compressed: np.ndarray
    smoothed: np.ndarray
    is_trained: np.ndarray
    is_diverged: np.ndarray
    over_rates: np.ndarray
    family: np.ndarray

    def lowest(self, losses: np.ndarray, tune_epochs: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return the position of each candidate's best epoch, or last, and its loss there.

        Candidates that diverged have an infinite loss.
        """
        mean = np.where(self.is_trained, losses.mean(axis=1), np.inf)
        mean[self.is_diverged] = np.inf
        epochs = mean.argmin(axis=1) if tune_epochs else self.is_trained.sum(axis=1) - 1
        return epochs, mean[np.arange(len(mean)), epochs]

    def standard_error(self, index: int, epoch: int) -> float:
        """Return the standard error of the smoothed loss of one candidate at one epoch.

        Over splits where there are several. With one split, the scatter of the losses
        around the smoothed curve near that candidate stands in for it.
        """
        smoothed = self.smoothed[:, :, epoch]
        n_splits = smoothed.shape[1]
        if n_splits > 1:
            return float(smoothed[index].std(ddof=1) / np.sqrt(n_splits))
        near = self.over_rates[index] * self.is_trained[:, epoch]
        scatter = (self.compressed[:, 0, epoch] - smoothed[:, 0]) ** 2
        return float(np.sqrt(near @ scatter / near.sum()))


def response_surface(
    losses: np.ndarray,
    learning_rates: np.ndarray,
    no_skill_loss: float | None,
    family: np.ndarray | None = None,
    n_resources: np.ndarray | None = None,
) -> ResponseSurface:
    """Compress and smooth losses; the parameters are those of :func:`choose`."""
    n_candidates, _, n_epochs = losses.shape
    family = np.zeros(n_candidates, int) if family is None else family
    n_resources = np.full(n_candidates, n_epochs) if n_resources is None else n_resources
    is_trained = np.arange(n_epochs) < n_resources[:, None]
    if no_skill_loss is None:
        worst = losses[np.isfinite(losses)].max(initial=-np.inf)
        compressed = np.where(np.isfinite(losses), losses, worst)
    else:
        compressed = compress_losses(losses, no_skill_loss)
    over_rates = weights_over_rates(learning_rates, family)
    return ResponseSurface(
        compressed=compressed,
        smoothed=smooth_losses(compressed, over_rates, is_trained),
        is_trained=is_trained,
        is_diverged=(~np.isfinite(losses).all(axis=1) & is_trained).any(axis=1),
        over_rates=over_rates,
        family=family,
    )


def usable_range(
    learning_rates: np.ndarray, losses: np.ndarray, no_skill_loss: float
) -> tuple[float, float]:
    """Return the learning rates between no progress and divergence.

    Parameters
    ----------
    learning_rates : ndarray of shape (n,)
        Rates of a wide sweep, in increasing order; the lowest leaves a model as it was.
    losses : ndarray of shape (n,)
        Held-out log-loss after one epoch at each, in nats; not finite once diverged.
    no_skill_loss : float
        Log-loss of always predicting the class frequencies, in nats.

    Returns
    -------
    low, high : float
        The next rates below and above the best one that got nothing better by 1 %; two
        decades apart at least. 1e-5 … 1 where no rate got better.
    """
    losses = np.nan_to_num(losses, nan=np.inf)
    better = losses < losses[0] - 0.01 * no_skill_loss
    if not better.any():
        return 1e-5, 1.0
    first, last = _run_around(better, int(losses.argmin()))
    low = learning_rates[max(0, first - 1)]
    high = learning_rates[min(len(better) - 1, last + 1)]
    return float(min(low, high / 100)), float(high)


def cautious_losses(log_losses: np.ndarray, mean_losses: np.ndarray, n_rows: int) -> np.ndarray:
    """Return log-losses as if one more row had been held out whose class nobody knows.

    A learning rate that is far too high can be right on every held-out row, and so sure of
    itself that one error among other rows would cost more than all that it gained. Held-out
    rows without an error tell nothing about that. So one row is added, as in Laplace's rule
    of succession: its features are those of the rows that were held out, its class is each
    of the classes, in equal parts.

    Parameters
    ----------
    log_losses : ndarray
        Held-out log-loss, in nats.
    mean_losses : ndarray of the same shape
        The same with the mean over all classes in place of each row's class.
    n_rows : int
        How many rows were held out, on all splits together.

    Returns
    -------
    losses : ndarray of the same shape
        In nats.
    """
    return (n_rows * log_losses + mean_losses) / (n_rows + 1)


def compress_losses(losses: np.ndarray, no_skill_loss: float) -> np.ndarray:
    """Flatten losses above the no-skill level, keeping their order.

    Smoothing averages neighbours. A neighbour that diverged has a loss of thousands
    of nats, or none at all, and would push a good rate away by itself. Above
    L₀ = `no_skill_loss` a loss L becomes L₀ (1 + log(L / L₀)), at most 3 L₀.
    """
    ratio = np.where(np.isnan(losses), np.inf, losses) / no_skill_loss
    bent = np.minimum(1.0 + np.log(np.maximum(ratio, 1.0)), MAX_COMPRESSED)
    return np.where(ratio > 1.0, no_skill_loss * bent, losses)


def smooth_losses(losses: np.ndarray, over_rates: np.ndarray, is_trained: np.ndarray) -> np.ndarray:
    """Smooth losses over log10 learning rate and over epochs.

    A product of two Nadaraya-Watson estimators with Gaussian kernels (Nadaraya,
    "On estimating regression", 1964, doi:10.1137/1109020), evaluated where the
    losses are. Over epochs, the first few are smoothed hardly at all.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n_splits, n_epochs)
        Finite losses, in nats.
    over_rates : ndarray of shape (n_candidates, n_candidates)
        What :func:`weights_over_rates` returned.
    is_trained : bool ndarray of shape (n_candidates, n_epochs)
        Which losses there are; each smoothed one is a mean over those.

    Returns
    -------
    smoothed : ndarray of shape (n_candidates, n_splits, n_epochs)
        In nats.
    """
    epochs = np.arange(1, losses.shape[2] + 1)
    over_epochs = _kernel(epochs, np.minimum(OF_EPOCH * epochs, EPOCH_BANDWIDTH)[:, None])
    total = np.einsum("ij,jse,fe->isf", over_rates, losses * is_trained[:, None], over_epochs)
    return total / (over_rates @ is_trained @ over_epochs.T)[:, None]


def weights_over_rates(learning_rates: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Return weights of shape (n_candidates, n_candidates) that average over neighbours.

    Row i holds the weights of the candidates that candidate i is averaged with: those of
    its family, by their distance in log10 learning rate.
    """
    same = family[:, None] == family
    bandwidth = np.where(same.sum(axis=1) < FEW, BANDWIDTH_OF_FEW, RATE_BANDWIDTH)
    kernel = _kernel(np.log10(learning_rates), bandwidth[:, None]) * same
    return kernel / kernel.sum(axis=1, keepdims=True)


def _kernel(positions: np.ndarray, bandwidth: float | np.ndarray) -> np.ndarray:
    """Return values of a Gaussian of shape (n, n) at all distances; a bandwidth may be a row's."""
    return np.exp(-0.5 * ((positions[:, None] - positions) / bandwidth) ** 2)


def _run_around(inside: np.ndarray, index: int) -> tuple[int, int]:
    """Return first and last position of the unbroken run of True that holds `index`."""
    low = high = index
    while low > 0 and inside[low - 1]:
        low -= 1
    while high < len(inside) - 1 and inside[high + 1]:
        high += 1
    return low, high
