"""Diagnosis of a search: reasons to doubt what it found, in words."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import exceptions
from .._data import TrainingData
from .._space import OPTIMIZER, RATE, SCHEDULE
from .._task import Task
from .loop import SearchResult

NOTICEABLE = 0.01
"""Fall of the loss over the last quarter of the budget, in multiples of the baseline loss, from
which on more epochs are worth a try. On nine tables with budgets of 4 to 40 epochs, twice the
budget then gained that much in 54 % of searches, and in 97 % of those whose rates were all low."""

LARGE, SMALL = 10.0, 0.01
"""Root mean squares beyond which features are off the scale. Networks start from about 1."""

FAR_WORSE = 3.0
"""Loss of a network that large features make sure and wrong from its start, in multiples of that of
one that knows nothing: 4 to 12 on five tables with raw or blown-up features, 0.8 to 1.3 with scaled
ones and behind an embedding."""

HARMED_BY_LARGE, HARMED_BY_SMALL = 0.1, 0.5
"""Losses, in multiples of the baseline loss, up to which features off the scale did no harm that
would be seen: digits of 0 … 16 end at 0.04, as scaled ones do, those of 0 … 255 at 0.24."""


def diagnose(
    result: SearchResult, data: TrainingData, n_candidates: int | None, scales_itself: bool
) -> Iterator[UserWarning]:
    """Yield reasons to doubt what a search found; `n_candidates` is the classifier's parameter.

    A network that `scales_itself` takes features of any size.
    """
    feature_scale, baseline_loss = data.feature_scale, data.baseline_loss
    history, choice, best = result.history, result.choice, result.choice.index
    n_epochs, n_seen = history.budget, history.n_resources.max()
    if n_seen < n_epochs:
        yield exceptions.InterruptedSearchWarning(
            f"The search ended after {n_seen} of {n_epochs} epochs, out of time; the choice was "
            "made on these."
        )
    at_edge = edge_message(*history.rate_in_family(best))
    if at_edge and not is_edge_known(n_candidates, result.costs):
        yield exceptions.EdgeOfSpaceWarning(at_edge)
    losses, n_chosen = history.recorded.loss, choice.n_epochs[best]
    task, rates = data.task, history.candidates.learning_rates
    how = ""
    if not scales_itself:
        how = off_scale(feature_scale, losses, rates, baseline_loss, task, data.classes)
    is_own_score, loss = history.baseline_loss is not None, choice.losses[best]
    at_baseline = baseline_message(loss, baseline_loss, how, task) if is_own_score else ""
    harm = scale_message(how, losses[best, :, n_chosen - 1].mean(), baseline_loss, feature_scale)
    if at_baseline:
        yield exceptions.BaselineWarning(at_baseline)
    elif harm:
        yield exceptions.ScaleWarning(harm)
    if too_short := budget_message(losses, best, n_chosen, baseline_loss, task):
        yield exceptions.BudgetWarning(too_short)


def family_of(results: dict[str, Any], index: int) -> tuple[float, list[float]]:
    """Return the learning rate of a candidate, and those it is compared with, in order.

    The `results` are ``cv_results_``; see :meth:`.History.rate_in_family`.
    """
    params = results["params"]
    listed = [name for name in (OPTIMIZER, SCHEDULE) if name in params[0]]
    if any(len(one) > 1 + len(listed) for one in params):
        listed = [name for name in listed if name == OPTIMIZER]
    mine = [one for one in params if all(one[n] == params[index][n] for n in listed)]
    return params[index][RATE], sorted(one[RATE] for one in mine)


def edge_message(best: float, rates: Sequence[float] | np.ndarray) -> str:
    """Say that the best rate is the lowest or the highest of its sorted family; empty if not."""
    if len(rates) < 2 or rates[0] < best < rates[-1]:
        return ""
    edge, direction = ("lowest", "lower") if best == rates[0] else ("highest", "higher")
    return (
        f"The best learning rate, {best:.3g}, is the {edge} that was tried; "
        f"{direction} ones may be better still: raise n_candidates or widen learning_rates. "
        "learning_rates='auto' does that by itself, where nothing but rates, optimizers and "
        "schedules is searched."
    )


def is_edge_known(n_candidates: int | None, cost: dict[str, Any]) -> bool:
    """Tell whether rates beyond the edge were known, but only `n_candidates` were asked for."""
    return n_candidates is not None and cost.get("n_drawn_at_random") == 0


def budget_message(
    losses: np.ndarray, index: int, n_epochs: int, baseline_loss: float, task: Task
) -> str:
    """Say that the loss was still falling at the end of the budget; empty if it was not.

    A candidate is often chosen at its last epoch without a reason for more: among several learning
    rates there is one for which the budget is just long enough. So it is empty, too, where some
    candidate was as good before the last quarter of the budget.

    The held-out losses, of shape (n_candidates, n_splits, n_epochs), cover the whole budget; the
    candidate at `index` was chosen, for `n_epochs` of it.
    """
    _, n_splits, budget = losses.shape
    if n_epochs < budget or budget < 2:
        return ""
    quarter = max(1, budget // 4)
    chosen = losses[index]
    last = chosen[:, -quarter:].mean(axis=1)
    falls = chosen[:, -2 * quarter : -quarter].mean(axis=1) - last
    error = falls.std(ddof=1) / np.sqrt(n_splits) if n_splits > 1 else 0.0
    was_as_good = (losses[:, :, :-quarter].mean(axis=1) <= last.mean()).any()
    if was_as_good or not falls.mean() > max(error, NOTICEABLE * baseline_loss):
        return ""
    return (
        f"The chosen number of epochs is the whole budget, {budget}, and the held-out loss was "
        f"still falling there, by {falls.mean():.2g}{task.unit} over its last quarter: more may be "
        "better; raise the epochs of the estimator."
    )


def off_scale(
    feature_scale: float,
    losses: np.ndarray,
    rates: np.ndarray,
    baseline_loss: float,
    task: Task,
    classes: Any,
) -> str:
    """Say how features are off the scale that a network starts from; empty if they are not.

    A network that begins with an embedding, a normalization or a rescaling takes features of any
    size. So large ones, by their largest root mean square, count only where the network begins far
    worse than one that knows nothing, be that the baseline or equal probabilities of all classes,
    as the lowest of the rates (n_candidates,) shows. The held-out losses are of shape
    (n_candidates, n_splits, n_epochs).
    """
    knowing_nothing = max(baseline_loss, task.uninformed_loss(classes))
    begins = losses[np.argmin(rates), :, 0].mean()
    if feature_scale > LARGE and not begins < FAR_WORSE * knowing_nothing:
        return (
            f"the features have root mean squares of up to {feature_scale:.2g}, and the network "
            f"begins at a loss of {begins:.3g}{task.unit}"
        )
    if feature_scale < SMALL:
        return f"the features have root mean squares of {feature_scale:.2g} at most"
    return ""


def scale_message(how: str, loss: float, baseline_loss: float, feature_scale: float) -> str:
    """Say that features off the scale, as :func:`off_scale` said, did harm; empty if they did not.

    The loss is the held-out one of the chosen candidate.
    """
    harmed = HARMED_BY_LARGE if feature_scale > LARGE else HARMED_BY_SMALL
    if not how or loss <= harmed * baseline_loss:
        return ""
    return (
        f"The scale of the features makes the network hard to train: {how}. Scale them in a "
        "Pipeline, for instance with sklearn.preprocessing.StandardScaler."
    )


def baseline_message(loss: float, baseline_loss: float, how_off_scale: str, task: Task) -> str:
    """Say that the lowest loss is no better than that of the best constant; empty if it is.

    Features may be to blame, as :func:`off_scale` said.
    """
    if loss < baseline_loss:
        return ""
    scaled = f"{how_off_scale}; scale the features in a Pipeline, " if how_off_scale else ""
    return (
        f"No learning rate did better on held-out rows ({loss:.3g}{task.unit}) than always "
        f"predicting {task.trivially} ({baseline_loss:.3g}{task.unit}): {scaled}train for more "
        "epochs, or doubt that the features tell anything."
    )
