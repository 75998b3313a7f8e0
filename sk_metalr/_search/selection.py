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
    index : int
        The chosen candidate: that of the lowest smoothed loss.
    n_epochs : ndarray of shape (n_candidates,)
        Best number of epochs of each candidate.
    losses, standard_errors : ndarray of shape (n_candidates,)
        Smoothed loss of each candidate at its number of epochs, and its standard error, in nats.
    interval : tuple of (float, float)
        Lowest and highest of the learning rates of its family around the chosen one whose
        smoothed loss is within one standard error of it.
    """

    index: int
    n_epochs: np.ndarray
    losses: np.ndarray
    standard_errors: np.ndarray
    interval: tuple[float, float]


def choose(surface: ResponseSurface, learning_rates: np.ndarray) -> Choice:
    """Choose the candidate of the lowest smoothed loss, and its number of epochs.

    Only candidates that were trained for all epochs are chosen; others, where all of those have
    diverged in the end.

    Parameters
    ----------
    surface : ResponseSurface
        At least one candidate is finite on every split.
    learning_rates : ndarray of shape (n_candidates,)
        Learning rate of each candidate, in increasing order within a family.
    """
    eligible = surface.is_trained[:, -1] & ~surface.is_diverged
    if not eligible.any():  # all that were left diverged in the end
        eligible = ~surface.is_diverged
    epochs, losses = surface.lowest
    errors = surface.standard_errors
    index = int(np.where(eligible, losses, np.inf).argmin())
    inside = eligible & (surface.family == surface.family[index])
    low, high = run_around(inside & (losses <= losses[index] + errors[index]), index)
    return Choice(
        index=index,
        n_epochs=epochs + 1,
        losses=losses,
        standard_errors=errors,
        interval=(float(learning_rates[low]), float(learning_rates[high])),
    )


def run_around(inside: np.ndarray, index: int) -> tuple[int, int]:
    """Return first and last position of the unbroken run of True that holds `index`."""
    low = high = index
    while low > 0 and inside[low - 1]:
        low -= 1
    while high < len(inside) - 1 and inside[high + 1]:
        high += 1
    return low, high
