"""The response surface: held-out losses over learning rates and epochs, compressed and smoothed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

RATE_BANDWIDTH = 0.25
"""Standard deviation of the Gaussian kernel over learning rates, in decades."""

FEW, BANDWIDTH_OF_FEW = 8, 0.15
"""The same where a family has fewer candidates than these. They are far apart, and the bend of the
curve between two of them is mistaken for noise: of four, it is often the outermost that gains."""

POSITION_BANDWIDTH, OF_KIN = 1.0, 0.6
"""The same over other numbers, as a share of all that were drawn, and the share with which
candidates of other static settings count. In a joint space, candidates are few and far apart: not
smoothed, losses make lucky ones win, most of them of high rates. On set-aside tables, bandwidths
below 0.5 were worse by 0.02 nats, and without other settings it was worse by 0.005."""

EPOCH_BANDWIDTH, OF_EPOCH = 2.0, 0.4
"""Standard deviation of the Gaussian kernel over epochs, in epochs, and its highest share of the
epoch. Where a model learns and overfits within a few epochs, its best epoch is like no other, and
a mean over others hides it; late epochs are all alike."""

EPOCHS_AROUND, EPOCHS_AT_ONCE = 80, 1000
"""How far epochs count at all, and how many are smoothed at once."""

MAX_COMPRESSED = 3.0
"""Compressed loss, in multiples of the baseline loss, above which others hardly rise."""


@dataclass(frozen=True)
class ResponseSurface:
    """Loss over learning rate and epochs.

    Attributes
    ----------
    compressed, smoothed : ndarray of shape (n_candidates, n_splits, n_epochs), in nats
        Losses; of no meaning where a candidate was not trained.
    is_trained : bool ndarray of shape (n_candidates, n_epochs), for which epochs
    is_diverged : bool ndarray of shape (n_candidates,), on any split while it was trained
    over_rates : ndarray of shape (n_candidates, n_candidates), weights of the smoothing
    family : int ndarray of shape (n_candidates,), which candidates were smoothed together
    is_averaged : bool ndarray of shape (n_candidates, n_epochs)
        Where the losses are those of averages of the weights.
    """

    compressed: np.ndarray
    smoothed: np.ndarray
    is_trained: np.ndarray
    is_diverged: np.ndarray
    over_rates: np.ndarray
    family: np.ndarray
    is_averaged: np.ndarray

    @property
    def lowest(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions and smoothed losses of the best epochs, inf if diverged: (n_candidates,)."""
        mean = np.where(self.is_trained, self.smoothed.mean(axis=1), np.inf)
        mean[self.is_diverged] = np.inf
        epochs = mean.argmin(axis=1)
        return epochs, mean[np.arange(len(mean)), epochs]

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard errors of the smoothed losses at the best epochs, in nats: (n_candidates,)."""
        epochs, _ = self.lowest
        return np.array([self.standard_error(i, int(epoch)) for i, epoch in enumerate(epochs)])

    def standard_error(self, index: int, epoch: int) -> float:
        """Return the standard error of one candidate's smoothed loss at one epoch, in nats.

        With a single split, the scatter of the losses around the smoothed curve near that
        candidate stands in for it.
        """
        smoothed = self.smoothed[:, :, epoch]
        n_splits = smoothed.shape[1]
        if n_splits > 1:
            return float(smoothed[index].std(ddof=1) / np.sqrt(n_splits))
        near = self.over_rates[index] * self.is_trained[:, epoch]
        some = near > 0  # others may have no smoothed loss at all
        if not some.any():
            return float("nan")
        scatter = (self.compressed[some, 0, epoch] - smoothed[some, 0]) ** 2
        return float(np.sqrt(near[some] @ scatter / near[some].sum()))


def response_surface(
    losses: np.ndarray,
    learning_rates: np.ndarray,
    *,
    baseline_loss: float | None,
    family: np.ndarray | None = None,
    n_resources: np.ndarray | None = None,
    positions: np.ndarray | None = None,
    kin: np.ndarray | None = None,
) -> ResponseSurface:
    """Compress and smooth held-out losses of shape (n_candidates, n_splits, n_epochs), in nats.

    They are not finite once a candidate diverged, and where it was not trained: each was trained
    for `n_resources` epochs (n_candidates,), None for all. Candidates that differ in nothing but
    their rate bear the same number in `family` (n_candidates,), None where all do; they follow
    each other, their learning rates (n_candidates,) increase, and losses are smoothed among them,
    over rates and over the `positions` (n_candidates, n) of other numbers, from 0 to 1 each. Other
    families that bear the same number in `kin` (n_candidates,) count for less; None for no others.
    The baseline loss, in nats, is the log-loss of always predicting the class frequencies; None
    where the losses are no log-losses, but any score, negative.
    """
    n_candidates, _, n_epochs = losses.shape
    family = np.zeros(n_candidates, int) if family is None else family
    n_resources = np.full(n_candidates, n_epochs) if n_resources is None else n_resources
    is_trained = np.arange(n_epochs) < n_resources[:, None]
    if baseline_loss is None:
        worst = losses[np.isfinite(losses)].max(initial=-np.inf)
        compressed = np.where(np.isfinite(losses), losses, worst)
    else:
        compressed = compress_losses(losses, baseline_loss)
    over_rates = weights_over_rates(learning_rates, family, positions, kin)
    smoothed = smooth_losses(compressed, over_rates, is_trained)
    is_diverged = (~np.isfinite(losses).all(axis=1) & is_trained).any(axis=1)
    is_averaged = np.zeros_like(is_trained)
    return ResponseSurface(
        compressed, smoothed, is_trained, is_diverged, over_rates, family, is_averaged
    )


def lower_of(surfaces: Sequence[ResponseSurface]) -> ResponseSurface:
    """Return the lower one, at each epoch, of the surfaces of weights and of their averages."""
    first, *others = surfaces
    for other in others:
        lowest, mean = (
            np.where(one.is_diverged[:, None], np.inf, one.smoothed.mean(axis=1))
            for one in (first, other)
        )
        is_lower = mean < lowest
        first = replace(
            first,
            compressed=np.where(is_lower[:, None], other.compressed, first.compressed),
            smoothed=np.where(is_lower[:, None], other.smoothed, first.smoothed),
            is_averaged=first.is_averaged | is_lower,
        )
    return first


def compress_losses(losses: np.ndarray, baseline_loss: float) -> np.ndarray:
    """Flatten losses above the baseline, keeping their order.

    Smoothing averages neighbours. A neighbour that diverged has a loss of thousands of nats, or
    none at all, and would push a good rate away by itself. Above L₀ = `baseline_loss` a loss L
    becomes L₀ (1 + log(L / L₀)), and hardly more than 3 L₀: from there on, the logarithm counts a
    thousandth, which still tells bad losses apart where all are bad.
    """
    ratio = np.where(np.isnan(losses), np.inf, losses) / baseline_loss
    bent = 1.0 + np.log(np.clip(ratio, 1.0, np.finfo(np.float32).max))
    bent = np.minimum(bent, MAX_COMPRESSED) + 0.001 * np.maximum(bent - MAX_COMPRESSED, 0.0)
    return np.where(ratio > 1.0, baseline_loss * bent, losses)


def smooth_losses(losses: np.ndarray, over_rates: np.ndarray, is_trained: np.ndarray) -> np.ndarray:
    """Smooth finite losses of shape (n_candidates, n_splits, n_epochs) over rates and epochs.

    A product of two Nadaraya-Watson estimators with Gaussian kernels (Nadaraya, "On estimating
    regression", 1964, doi:10.1137/1109020), evaluated where the losses are. Over epochs, the first
    few are smoothed hardly at all. Over rates, :func:`weights_over_rates` returned the weights
    (n_candidates, n_candidates).

    Each candidate was trained up to an epoch: `is_trained` of shape (n_candidates, n_epochs). Those
    that go on are those that were lucky so far. So that they do not look better for the mere
    absence of the others, means over rates are chained, as price indices are: the mean of an epoch
    is that of the epoch before, plus the mean change of those that were trained for both.
    """
    share = (over_rates @ is_trained)[:, None]
    changes = np.diff(losses, axis=2, prepend=0.0) * is_trained[:, None]
    total = np.einsum("ij,jse->ise", over_rates, changes)
    steps = np.divide(total, share, out=np.zeros_like(total), where=share > 0)
    with np.errstate(invalid="ignore"):  # far from all epochs that were trained
        return over_epochs(share * steps.cumsum(axis=2)) / over_epochs(share)


def over_epochs(values: np.ndarray) -> np.ndarray:
    """Return sums of values (..., n_epochs) over epochs, with weights of those around each.

    Weights of epochs that are far away are 0; of many epochs, they are not even kept.
    """
    n_epochs = values.shape[-1]
    parts = []
    for start in range(0, n_epochs, EPOCHS_AT_ONCE):
        mine = np.arange(start, min(start + EPOCHS_AT_ONCE, n_epochs))
        near = np.arange(max(0, start - EPOCHS_AROUND), min(n_epochs, mine[-1] + EPOCHS_AROUND + 1))
        weights = np.stack([weights_around(epoch + 1, near + 1) for epoch in mine])
        parts.append(values[..., near] @ weights.T)
    return np.concatenate(parts, axis=-1)


def weights_around(epoch: int, epochs: np.ndarray) -> np.ndarray:
    """Return weights (n_epochs,), not normalized, of epochs in the mean around one of them."""
    bandwidth = min(OF_EPOCH * epoch, EPOCH_BANDWIDTH)
    return np.asarray(np.exp(-0.5 * ((epochs - epoch) / bandwidth) ** 2))


def weights_over_rates(
    learning_rates: np.ndarray,
    family: np.ndarray,
    positions: np.ndarray | None = None,
    kin: np.ndarray | None = None,
) -> np.ndarray:
    """Return weights (n_candidates, n_candidates) that average over neighbours: row i for i.

    Neighbours are of one family, or of `kin`, weighted by their distance in log10 learning rate,
    and in the `positions` (n_candidates, n) of other numbers, from 0 to 1 each, where there are
    some.
    """
    same = (family[:, None] == family).astype(float)
    if kin is not None:
        same = np.where(same, 1.0, OF_KIN * (kin[:, None] == kin))
    is_few = (same > 0).sum(axis=1) < FEW
    if positions is not None and positions.shape[1]:
        is_few[:] = False  # the bend over rates is not the only thing that tells them apart
    bandwidth = np.where(is_few, BANDWIDTH_OF_FEW, RATE_BANDWIDTH)
    kernel = _kernel(np.log10(learning_rates), bandwidth[:, None]) * same
    for column in () if positions is None else positions.T:
        kernel = kernel * _kernel(column, POSITION_BANDWIDTH)
    return kernel / kernel.sum(axis=1, keepdims=True)


def _kernel(positions: np.ndarray, bandwidth: float | np.ndarray) -> np.ndarray:
    """Return values of a Gaussian of shape (n, n) at all distances; a bandwidth may be a row's."""
    return np.exp(-0.5 * ((positions[:, None] - positions) / bandwidth) ** 2)
