"""The choice: from held-out losses to one candidate and one number of epochs.

The strategy with the lowest loss on a few held-out rows is usually a lucky one. Neighbouring
learning rates and neighbouring epochs train nearly the same model, so their losses carry
information about each other: the choice is made on losses that are averaged over splits and
smoothed over both. And a model that was right on every held-out row, and sure of it, may have been
lucky: losses are Laplace-smoothed before.
"""

from dataclasses import dataclass

import numpy as np

from .surface import ResponseSurface


@dataclass(frozen=True)
class Choice:
    """The chosen candidate, and the losses that it was chosen from.

    Attributes
    ----------
    index : int, the chosen candidate
    n_epochs : int ndarray of shape (n_candidates,), the best number for each candidate
    losses, standard_errors : ndarray of shape (n_candidates,)
        Smoothed loss of each candidate at its number of epochs, and its standard error, in nats.
    interval : tuple of (float, float)
        Lowest and highest of the learning rates of its family around the chosen one whose
        smoothed loss is within one standard error of it.
    is_averaged : bool ndarray of shape (n_candidates,), whether averages of the weights are better
    temperature : float, what the logits of the chosen candidate are divided by
    """

    index: int
    n_epochs: np.ndarray
    losses: np.ndarray
    standard_errors: np.ndarray
    interval: tuple[float, float]
    is_averaged: np.ndarray
    temperature: float = 1.0


def choose(
    surface: ResponseSurface, learning_rates: np.ndarray, is_own: np.ndarray | None = None
) -> Choice:
    """Choose the candidate of the lowest smoothed loss, and its number of epochs.

    One that `is_own`, bool (n_candidates,), because it differs from the estimator in its rate
    alone, gives way only to one whose loss is lower by more than a standard error of the
    difference: of many candidates, one is always lower by luck.

    Only candidates that were trained for all epochs are chosen; others, where all of those have
    diverged in the end. At least one has to be finite on every split. Learning rates, of shape
    (n_candidates,), are in increasing order within a family.
    """
    eligible = surface.is_trained[:, -1] & ~surface.is_diverged
    if not eligible.any():  # all that were left diverged in the end
        eligible = ~surface.is_diverged
    epochs, losses = surface.lowest
    errors = surface.standard_errors
    index = int(np.where(eligible, losses, np.inf).argmin())
    if is_own is not None and (eligible & is_own).any():
        own = int(np.where(eligible & is_own, losses, np.inf).argmin())
        ends = surface.smoothed[[index, own], :, epochs[[index, own]]]
        if ends.shape[1] > 1:
            error = (ends[0] - ends[1]).std(ddof=1) / np.sqrt(ends.shape[1])
        else:
            error = errors[own]
        if losses[own] <= losses[index] + error:
            index = own
    inside = eligible & (surface.family == surface.family[index])
    low, high = run_around(inside & (losses <= losses[index] + errors[index]), index)
    interval = float(learning_rates[low]), float(learning_rates[high])
    is_averaged = surface.is_averaged[np.arange(len(epochs)), epochs]
    return Choice(index, epochs + 1, losses, errors, interval, is_averaged)


def run_around(inside: np.ndarray, index: int) -> tuple[int, int]:
    """Return first and last position of the unbroken run of True that holds `index`."""
    outside = np.flatnonzero(~inside)
    low = outside[outside < index].max(initial=-1) + 1
    high = outside[outside > index].min(initial=len(inside)) - 1
    return low, high
