"""Diagnosis of a search: reasons to doubt what it found, in words."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .._data import TrainingData
from .._space import RATE
from ..exceptions import (
    BaselineWarning,
    BudgetWarning,
    EdgeOfSpaceWarning,
    InterruptedSearchWarning,
    ScaleWarning,
)
from .loop import SearchResult

NOTICEABLE = 0.01
"""Fall of the loss over the last quarter of the budget, in multiples of the baseline loss, from
which on more epochs are worth a try. On nine tables with budgets of 4 to 40 epochs, twice the
budget then gained that much in 54 % of the searches, and in 97 % of those whose rates were all low.
"""

LARGE, SMALL = 10.0, 0.01
"""Root mean squares beyond which features are off the scale. Networks start from about 1."""

FAR_WORSE = 3.0
"""Loss of a network that large features make sure and wrong from its start, in multiples of the
baseline loss: 4 to 12 on five tables with raw or blown-up features, 0.8 to 1.3 with scaled ones and
behind an embedding."""

HARMED_BY_LARGE, HARMED_BY_SMALL = 0.1, 0.5
"""Losses, in multiples of the baseline loss, up to which features off the scale did no harm that
would be seen: digits of 0 … 16 end at 0.04, as scaled ones do, those of 0 … 255 at 0.24."""


def diagnose(
    result: SearchResult, data: TrainingData, n_candidates: int | None
) -> Iterator[UserWarning]:
    """Yield reasons to doubt what a search found.

    Parameters
    ----------
    result : SearchResult
        What it found.
    data : TrainingData
        All rows.
    n_candidates : int or None
        The parameter of the classifier.
    """
    feature_scale, baseline_loss = data.feature_scale, data.baseline_loss
    history, choice = result.history, result.choice
    n_epochs, n_seen = history.budget, history.n_resources.max()
    if n_seen < n_epochs:
        yield InterruptedSearchWarning(
            f"The search ended after {n_seen} of {n_epochs} epochs, out of time; the choice was "
            "made on these."
        )
    rates, family = history.candidates.learning_rates, history.candidates.families
    at_edge = edge_message(rates[choice.index], rates[family == family[choice.index]])
    if at_edge and not is_edge_known(n_candidates, result.costs):
        yield EdgeOfSpaceWarning(at_edge)
    losses, loss = history.recorded["log_loss"], choice.losses[choice.index]
    how = off_scale(feature_scale, losses, rates, baseline_loss)
    at_baseline = ""
    if history.baseline_loss is not None:
        at_baseline = baseline_message(loss, baseline_loss, how)
    n_chosen = choice.n_epochs[choice.index]
    chosen = losses[choice.index, :, n_chosen - 1].mean()
    harm = scale_message(how, chosen, baseline_loss, feature_scale)
    if at_baseline:
        yield BaselineWarning(at_baseline)
    elif harm:
        yield ScaleWarning(harm)
    too_short = budget_message(losses, choice.index, n_chosen, baseline_loss)
    if too_short:
        yield BudgetWarning(too_short)


def family_of(params: list[dict[str, Any]], index: int) -> tuple[float, list[float]]:
    """Return the learning rate of a candidate, and those of all candidates of its family."""
    others = [one | {RATE: None} for one in params]
    family = [
        one[RATE] for one, other in zip(params, others, strict=True) if other == others[index]
    ]
    return params[index][RATE], family


def edge_message(best: float, rates: Sequence[float]) -> str:
    """Say that the best learning rate is the lowest or the highest; empty if it is not.

    Parameters
    ----------
    best : float
        The one with the lowest loss.
    rates : sequence of float
        All that were tried with its optimizer and schedule, in increasing order.
    """
    if len(rates) < 2 or rates[0] < best < rates[-1]:
        return ""
    edge, direction = ("lowest", "lower") if best == rates[0] else ("highest", "higher")
    return (
        f"The best learning rate, {best:.3g}, is the {edge} that was tried; "
        f"{direction} ones may be better still: raise n_candidates or widen learning_rates, which "
        "learning_rates='auto' does by itself."
    )


def is_edge_known(n_candidates: int | None, cost: dict[str, Any]) -> bool:
    """Tell whether rates beyond the edge were known and not asked for.

    That of a portfolio of so many rates is not the edge of what the experience knows.

    Parameters
    ----------
    n_candidates : int or None
        The parameter of the classifier.
    cost : dict of str to number or str
        What is in ``search_cost_`` of the experience.
    """
    return n_candidates is not None and cost.get("n_drawn_at_random") == 0


def budget_message(losses: np.ndarray, index: int, n_epochs: int, baseline_loss: float) -> str:
    """Say that the loss was still falling at the end of the budget; empty if it was not.

    A candidate is often chosen at its last epoch without a reason for more: among several learning
    rates there is one for which the budget is just long enough. So it is empty, too, where some
    candidate was as good before the last quarter of the budget.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n_splits, n_epochs)
        Held-out log-losses, in nats; as many epochs as the budget has.
    index : int
        The chosen candidate.
    n_epochs : int
        For how many of them it was chosen.
    baseline_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    """
    _, n_splits, budget = losses.shape
    if n_epochs < budget or budget < 2:
        return ""
    quarter = max(1, budget // 4)
    chosen = losses[index]
    last = chosen[:, -quarter:].mean(axis=1)
    falls = chosen[:, -2 * quarter : -quarter].mean(axis=1) - last
    error = falls.std(ddof=1) / np.sqrt(n_splits) if n_splits > 1 else 0.0
    early = losses[:, :, :-quarter].mean(axis=1)
    was_as_good = (early <= last.mean()).any()
    if was_as_good or not falls.mean() > max(error, NOTICEABLE * baseline_loss):
        return ""
    return (
        f"The chosen number of epochs is the whole budget, {budget}, and the held-out loss was "
        f"still falling there, by {falls.mean():.2g} nats over its last quarter: more may be "
        "better; raise the epochs of the estimator."
    )


def off_scale(
    feature_scale: float, losses: np.ndarray, rates: np.ndarray, baseline_loss: float
) -> str:
    """Say how features are off the scale that a network starts from; empty if they are not.

    A network that begins with an embedding, a normalization or a rescaling takes features of any
    size. So large ones count only where the network begins far worse than the class frequencies.

    Parameters
    ----------
    feature_scale : float
        Largest root mean square of a feature.
    losses : ndarray of shape (n_candidates, n_splits, n_epochs)
        Held-out log-losses, in nats.
    rates : ndarray of shape (n_candidates,)
        Learning rates; the lowest one shows how the network begins.
    baseline_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    """
    begins = losses[np.argmin(rates), :, 0].mean()
    if feature_scale > LARGE and not begins < FAR_WORSE * baseline_loss:
        return (
            f"the features have root mean squares of up to {feature_scale:.2g}, and the network "
            f"begins at a loss of {begins:.3g} nats"
        )
    if feature_scale < SMALL:
        return f"the features have root mean squares of {feature_scale:.2g} at most"
    return ""


def scale_message(how: str, loss: float, baseline_loss: float, feature_scale: float) -> str:
    """Say that features off the scale did harm; empty if they are not, or did not.

    Parameters
    ----------
    how : str
        What :func:`off_scale` returned.
    loss : float
        Held-out log-loss of the chosen candidate, in nats.
    baseline_loss, feature_scale
        As for :func:`off_scale`.
    """
    harmed = HARMED_BY_LARGE if feature_scale > LARGE else HARMED_BY_SMALL
    if not how or loss <= harmed * baseline_loss:
        return ""
    return (
        f"The scale of the features makes the network hard to train: {how}. Scale them in a "
        "Pipeline, for instance with sklearn.preprocessing.StandardScaler."
    )


def baseline_message(loss: float, baseline_loss: float, how_off_scale: str | None = None) -> str:
    """Say that the lowest loss is no better than the class frequencies'; empty if it is.

    Parameters
    ----------
    loss : float
        The lowest loss, in nats, as the choice saw it.
    baseline_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    how_off_scale : str or None
        What :func:`off_scale` returned; None where nobody knows the features.
    """
    if loss < baseline_loss:
        return ""
    scaled = "scale the features in a Pipeline, "
    remedies = "train for more epochs, or doubt that the features tell anything."
    if how_off_scale is not None:
        scaled = f"{how_off_scale}; {scaled}" if how_off_scale else ""
    return (
        f"No learning rate did better on held-out rows ({loss:.3g} nats) than always predicting "
        f"the class frequencies ({baseline_loss:.3g} nats): {scaled}{remedies}"
    )
