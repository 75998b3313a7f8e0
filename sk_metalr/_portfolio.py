"""Portfolios: a few learning rates of which one was good on every task before, or nearly so.

Every recorded response curve says what each rate would have cost. The rates that go together best
are found greedily: the first is the one with the lowest mean regret over tasks, each further one
the one that lowers the mean regret of the best rate so far the most (Feurer, Eggensperger,
Falkner, Lindauer & Hutter, "Auto-sklearn 2.0: hands-free AutoML via meta-learning", 2022,
arXiv:2007.04074, section 3.1). Tasks like the one at hand count for more.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._experience import ExperienceRecord
from ._meta_features import distances

__all__ = ["Portfolio", "greedy_portfolio", "portfolio", "regrets"]

GRID_STEP = 0.125
"""Distance of the rates that are considered, in decades."""

BANDWIDTH = 1.0
"""Distance at which a task counts for 0.6 of one just like it."""

MAX_DISTANCE = 2.0
"""A task that is further away than this is not like the one at hand."""

MIN_RECORDS = 3
"""With fewer alike, there is no experience to speak of."""

MAX_LOSS = 1.5
"""Highest loss that counts, in multiples of the no-skill loss: one task must not rule."""

OTHER_SCHEDULE = 1.0
"""Distance between two schedules."""

SECOND_AIM = 1e-3
"""Weight of a rate's own mean regret, which decides where nothing is left to gain."""


@dataclass(frozen=True)
class Portfolio:
    """Learning rates for a task, and what they rest on.

    Attributes
    ----------
    learning_rates : ndarray of shape (n,)
        In increasing order; empty where the task is unlike all that were recorded.
    n_records : int
        How many records of the same optimizer there are.
    nearest : float
        Distance of the nearest one; infinite where there is none.
    """

    learning_rates: np.ndarray
    n_records: int
    nearest: float


def portfolio(
    task: dict[str, Any],
    records: list[ExperienceRecord],
    n_rates: int,
    bounds: tuple[float, float] = (0.0, np.inf),
) -> Portfolio:
    """Return the learning rates to try on a task.

    Records of other optimizers tell nothing about this one's rates; those of other schedules do,
    and count for less.

    Parameters
    ----------
    task : dict of str to number or str
        Meta-features of the task at hand.
    records : list of ExperienceRecord
        Finished searches.
    n_rates : int
        How many rates to return; fewer where the bounds leave no more.
    bounds : tuple of (float, float)
        Lowest and highest rate.
    """
    records = [
        one for one in records if _is_curve(one) and one.features["optimizer"] == task["optimizer"]
    ]
    away = distances(task, [record.features for record in records])
    is_other = [record.features["schedule"] != task["schedule"] for record in records]
    away = np.hypot(away, OTHER_SCHEDULE * np.array(is_other, float))
    nearest = float(away.min(initial=np.inf))
    if np.count_nonzero(away <= MAX_DISTANCE) < MIN_RECORDS:
        return Portfolio(np.empty(0), len(records), nearest)
    grid = _grid(records, bounds)
    weights = np.exp(-0.5 * (away / BANDWIDTH) ** 2)
    on_grid = np.array([regrets(record, grid) for record in records])
    chosen = greedy_portfolio(on_grid, weights, n_rates)
    return Portfolio(np.sort(grid[chosen]), len(records), nearest)


def regrets(record: ExperienceRecord, rates: np.ndarray) -> np.ndarray:
    """Return how much more than the best recorded rate each of some rates costs, in nats.

    A loss counts as no higher than 1.5 times that of always predicting the class frequencies,
    which is also what is assumed of rates that diverged, and of those outside the range that was
    tried: nothing is known of them.

    Parameters
    ----------
    record : ExperienceRecord
        A finished search; at least one rate did not diverge.
    rates : ndarray of shape (n_rates,)
        Learning rates, in increasing order.

    Returns
    -------
    regrets : ndarray of shape (n_rates,)
    """
    lowest = record.losses.min()
    worst = max(MAX_LOSS * record.no_skill_loss, lowest)
    losses = np.minimum(record.losses, worst)
    between = np.interp(
        np.log(rates), np.log(record.learning_rates), losses, left=worst, right=worst
    )
    return np.asarray(between - lowest)


def greedy_portfolio(regrets: np.ndarray, weights: np.ndarray, n: int) -> list[int]:
    """Return the columns that go together best.

    Parameters
    ----------
    regrets : ndarray of shape (n_tasks, n_columns)
        What each column costs on each task, in nats.
    weights : ndarray of shape (n_tasks,)
        Weight of each task.
    n : int
        How many columns to choose; all, where there are fewer.

    Returns
    -------
    chosen : list of int
        The best first.
    """
    alone = weights @ regrets
    best_so_far = np.full(len(regrets), np.inf)
    chosen: list[int] = []
    for _ in range(min(n, regrets.shape[1])):
        cost = weights @ np.minimum(best_so_far[:, None], regrets) + SECOND_AIM * alone
        cost[chosen] = np.inf
        chosen.append(int(cost.argmin()))
        best_so_far = np.minimum(best_so_far, regrets[:, chosen[-1]])
    return chosen


def _is_curve(record: ExperienceRecord) -> bool:
    """Tell whether a record says anything about rates."""
    return len(record.losses) > 1 and bool(np.isfinite(record.losses).any())


def _grid(records: list[ExperienceRecord], bounds: tuple[float, float]) -> np.ndarray:
    """Return the rates that are considered: those within the bounds and the records."""
    low = max(bounds[0], min(record.learning_rates[0] for record in records))
    high = min(bounds[1], max(record.learning_rates[-1] for record in records))
    if low >= high:
        return np.array([low])
    n_steps = max(1, round(np.log10(high / low) / GRID_STEP))
    return np.geomspace(low, high, n_steps + 1)
