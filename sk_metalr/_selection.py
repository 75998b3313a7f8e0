"""The choice: from held-out losses to one learning rate and one number of epochs.

The strategy with the lowest loss on a few held-out rows is usually a lucky one.
Neighbouring learning rates and neighbouring epochs train nearly the same model, so
their losses carry information about each other: the choice is made on losses that
are averaged over splits and smoothed over both. And a model that was right on every
held-out row, and sure of it, may have been lucky: losses are cautious before.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Choice", "cautious_losses", "choose", "smooth_losses"]

RATE_BANDWIDTH = 0.25
"""Standard deviation of the Gaussian kernel over learning rates, in decades."""

EPOCH_BANDWIDTH = 2.0
"""Standard deviation of the Gaussian kernel over epochs, in epochs."""

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


def choose(
    losses: np.ndarray,
    learning_rates: np.ndarray,
    *,
    no_skill_loss: float,
    family: np.ndarray | None = None,
    selection: str = "smooth",
    tune_epochs: bool = True,
) -> Choice:
    """Choose a candidate and its number of epochs.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n_splits, n_epochs)
        Held-out log-loss after each epoch, in nats, as it is or cautious (see
        :func:`cautious_losses`); not finite once diverged. At least one candidate is
        finite on every split.
    learning_rates : ndarray of shape (n_candidates,)
        Learning rate of each candidate, in increasing order within a family.
    family : int ndarray of shape (n_candidates,) or None
        Candidates that differ in nothing but their rate bear the same number, and follow each
        other; losses are smoothed within a family. None: all are one.
    no_skill_loss : float
        Log-loss of always predicting the class frequencies, in nats.
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
    if family is None:
        family = np.zeros(len(losses), int)
    compressed = compress_losses(losses, no_skill_loss)
    over_rates = weights_over_rates(learning_rates, family)
    smoothed = smooth_losses(compressed, over_rates)
    diverged = ~np.isfinite(losses).all(axis=(1, 2))

    def curve_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        surface = np.where(diverged[:, None], np.inf, values.mean(axis=1))
        last = np.full(len(surface), surface.shape[1] - 1)
        epochs = surface.argmin(axis=1) if tune_epochs else last
        curve = surface[np.arange(len(surface)), epochs]
        return epochs, curve, int(curve.argmin())

    epochs, curve, lowest = curve_of(smoothed)
    at = (slice(None), slice(None), int(epochs[lowest]))
    error = _standard_error(compressed[at], smoothed[at], over_rates, lowest)
    low, high = _run_around((curve <= curve[lowest] + error) & (family == family[lowest]), lowest)
    if selection == "min":
        epochs, curve, lowest = curve_of(compressed)
    return Choice(
        index=low if selection == "one_se" else lowest,
        best=lowest,
        n_epochs=epochs + 1,
        losses=curve,
        standard_error=error,
        interval=(float(learning_rates[low]), float(learning_rates[high])),
    )


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


def smooth_losses(losses: np.ndarray, over_rates: np.ndarray) -> np.ndarray:
    """Smooth losses over log10 learning rate and over epochs.

    A product of two Nadaraya-Watson estimators with Gaussian kernels (Nadaraya,
    "On estimating regression", 1964, doi:10.1137/1109020), evaluated where the
    losses are.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n_splits, n_epochs)
        Finite losses, in nats.
    over_rates : ndarray of shape (n_candidates, n_candidates)
        What :func:`weights_over_rates` returned.

    Returns
    -------
    smoothed : ndarray of shape (n_candidates, n_splits, n_epochs)
        In nats.
    """
    over_epochs = _normalised(_kernel(np.arange(losses.shape[2]), EPOCH_BANDWIDTH))
    return np.einsum("ij,jse,fe->isf", over_rates, losses, over_epochs)


def weights_over_rates(learning_rates: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Return weights of shape (n_candidates, n_candidates) that average over neighbours.

    Row i holds the weights of the candidates that candidate i is averaged with: those of
    its family, by their distance in log10 learning rate.
    """
    kernel = _kernel(np.log10(learning_rates), RATE_BANDWIDTH)
    return _normalised(kernel * (family[:, None] == family))


def _kernel(positions: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return values of a Gaussian of shape (n, n) at all distances."""
    return np.exp(-0.5 * ((positions[:, None] - positions) / bandwidth) ** 2)


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(axis=1, keepdims=True)


def _standard_error(
    losses: np.ndarray, smoothed: np.ndarray, over_rates: np.ndarray, index: int
) -> float:
    """Return the standard error of the smoothed loss of one candidate at one epoch.

    Over splits where there are several. With one split, the scatter of the losses
    around the smoothed curve near that candidate stands in for it.

    Parameters
    ----------
    losses, smoothed : ndarray of shape (n_candidates, n_splits)
        In nats.
    over_rates : ndarray of shape (n_candidates, n_candidates)
        The weights that the losses were smoothed with.
    index : int
        The candidate.
    """
    n_splits = losses.shape[1]
    if n_splits > 1:
        return float(smoothed[index].std(ddof=1) / np.sqrt(n_splits))
    return float(np.sqrt(over_rates[index] @ (losses[:, 0] - smoothed[:, 0]) ** 2))


def _run_around(inside: np.ndarray, index: int) -> tuple[int, int]:
    """Return first and last position of the unbroken run of True that holds `index`."""
    low = high = index
    while low > 0 and inside[low - 1]:
        low -= 1
    while high < len(inside) - 1 and inside[high + 1]:
        high += 1
    return low, high
