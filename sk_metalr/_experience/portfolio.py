"""Portfolios: a few learning rates of which one was good on every task before, or nearly so.

Every recorded response curve says what each rate would have cost. The rates that go together best
are found greedily: the first has the lowest mean regret over tasks, each further one lowers the
mean regret of the best so far the most (Feurer, Eggensperger, Falkner, Lindauer & Hutter,
"Auto-sklearn 2.0: hands-free AutoML via meta-learning", 2022, arXiv:2007.04074, section 3.1).
Tasks like the one at hand count for more; a task that was recorded several times counts once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .fingerprint import are_stratified_alike
from .meta_features import coordinates, distances, largest_difference
from .records import ExperienceRecord

GRID_STEP = 0.125  # distance of the rates that are considered, in decades
BANDWIDTH = 0.7  # distance at which a task counts for 0.6 of one just like it
MAX_DISTANCE = 2.0  # a task that is further away is not like the one at hand
MIN_TASKS = 3  # with fewer alike, there is no experience to speak of
SAME_DISTANCE = 0.1  # folds of one table are no further apart
OTHER_SCHEDULE = 1.0  # distance between two schedules
MAX_LOSS = 1.5  # highest loss that counts, in baseline losses: one task must not rule
SECOND_AIM = 1e-3  # weight of a rate's own mean regret, which decides where nothing is left to gain


@dataclass(frozen=True)
class Proposal:
    """Learning rates (n,), increasing, and the records behind them; or why there are none."""

    learning_rates: np.ndarray
    records: list[ExperienceRecord]
    reason: str = ""


def proposal(
    features: dict[str, Any],
    records: list[ExperienceRecord],
    n_rates: int,
    bounds: tuple[float, float] = (0.0, np.inf),
) -> Proposal:
    """Return `n_rates` learning rates to try on a task, or fewer where the bounds leave no more.

    `features` are meta-features of the search at hand, `bounds` its lowest and highest rate.
    Records of other optimizers tell nothing about its rates; those of other schedules do, and
    count for less.
    """
    near, weights, reason = alike(features, [one for one in records if not one.others])
    if not near:
        return Proposal(np.empty(0), [], reason)
    grid = rate_grid(near, bounds)
    if not grid.size:
        return Proposal(np.empty(0), [], "none of them has tried rates within these bounds")
    known = np.array([regrets(record, grid) / unit(record) for record in near])
    chosen = greedy_portfolio(with_means(known, weights), weights, n_rates)
    return Proposal(np.sort(grid[chosen]), near)


def alike(
    features: dict[str, Any], records: list[ExperienceRecord]
) -> tuple[list[ExperienceRecord], np.ndarray, str]:
    """Return the records of tasks like the one at hand, and their weights (n_records,).

    None, and why, where they are of too few tasks to speak of.
    """
    curves = [one for one in records if len(one.losses) > 1 and np.isfinite(one.losses).any()]
    # Losses of classes, of numbers and of labels have nothing to do with each other.
    same_task = [one for one in curves if _kind(one.features) == _kind(features)]
    records = [one for one in same_task if one.features["optimizer"] == features["optimizer"]]
    away = distances(features, [record.features for record in records])
    is_other = [record.features["schedule"] != features["schedule"] for record in records]
    away = np.hypot(away, OTHER_SCHEDULE * np.array(is_other, float))
    near = [records[i] for i in np.flatnonzero(away <= MAX_DISTANCE)]
    share = 1 / n_repeats(near)
    if share.sum() < MIN_TASKS - 1e-9:
        return [], np.empty(0), _reason(features, records, away)
    return near, share * np.exp(-0.5 * (away[away <= MAX_DISTANCE] / BANDWIDTH) ** 2), ""


def unit(record: ExperienceRecord) -> float:
    """Return what losses of a record are measured in: nats, or the baseline loss of numbers."""
    is_number = _kind(record.features)[1] != ""
    return record.baseline_loss if is_number else 1.0


def _kind(features: dict[str, Any]) -> tuple[bool, str]:
    """Return what tells kinds of targets apart: several classes or one, numbers and their loss."""
    output = str(features.get("output"))
    return features["n_classes"] > 1, output if output.startswith("numbers") else ""


def _reason(features: dict[str, Any], records: list[ExperienceRecord], away: np.ndarray) -> str:
    """Say why there is no experience to speak of."""
    if not records:
        return "none of them is of such targets with this optimizer"
    few = f"fewer than {MIN_TASKS} other tables or networks were like it"
    unlike = np.flatnonzero(away > MAX_DISTANCE)
    if not unlike.size:
        return few
    nearest = records[unlike[away[unlike].argmin()]]
    return f"{few}; the next one differs most in {largest_difference(features, nearest.features)}"


def n_repeats(records: list[ExperienceRecord]) -> np.ndarray:
    """Return how many records are of each one's task, as those of other folds are: (n_records,)."""
    places = np.array([coordinates(record.features) for record in records])
    counts = np.ones(len(records), int)
    for i, one in enumerate(records):
        near = np.linalg.norm(places - places[i], axis=1) <= SAME_DISTANCE
        counts[i] = sum(
            record.features["schedule"] == one.features["schedule"]
            and (record is one or are_stratified_alike(record.fingerprint, one.fingerprint))
            for record in (records[j] for j in np.flatnonzero(near))
        )
    return counts


def regrets(record: ExperienceRecord, rates: np.ndarray) -> np.ndarray:
    """Return how much more than the best recorded rate each of some rates costs, in nats.

    A loss counts as no higher than 1.5 times that of always predicting the class frequencies,
    which is also what is assumed of rates that diverged; at least one did not. Rates and regrets
    are of shape (n_rates,). Of rates outside the range that was tried nothing is known: NaN.
    """
    lowest = record.losses.min()
    losses = np.minimum(record.losses, max(MAX_LOSS * record.baseline_loss, lowest))
    tried = np.log(record.learning_rates)
    return np.interp(np.log(rates), tried, losses, left=np.nan, right=np.nan) - lowest


def with_means(regrets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return regrets whose NaN are filled with the mean of the tasks that tell.

    `regrets` is of shape (n_tasks, n_columns), with at least one number in each column; `weights`
    are of shape (n_tasks,), above 0.
    """
    is_known = ~np.isnan(regrets)
    means = weights @ np.where(is_known, regrets, 0) / (weights @ is_known)
    return np.where(is_known, regrets, means)


def greedy_portfolio(
    regrets: np.ndarray, weights: np.ndarray, n: int, begun: Sequence[int] = ()
) -> list[int]:
    """Return the columns that go together best, the best first: `n`, or all where there are fewer.

    `regrets`, in nats, is of shape (n_tasks, n_columns); `weights` are of shape (n_tasks,). The
    columns that a portfolio has `begun` with come first.
    """
    alone = weights @ regrets
    chosen = list(begun)
    best_so_far = regrets[:, chosen].min(axis=1, initial=np.inf)
    for _ in range(min(n, regrets.shape[1]) - len(chosen)):
        cost = weights @ np.minimum(best_so_far[:, None], regrets) + SECOND_AIM * alone
        cost[chosen] = np.inf
        chosen.append(int(cost.argmin()))
        best_so_far = np.minimum(best_so_far, regrets[:, chosen[-1]])
    return chosen


def rate_grid(records: list[ExperienceRecord], bounds: tuple[float, float]) -> np.ndarray:
    """Return the rates that are considered: those within the bounds and what was tried."""
    ends = [(one.learning_rates.min(), one.learning_rates.max()) for one in records]
    low = max(bounds[0], min(lowest for lowest, _ in ends))
    high = min(bounds[1], max(highest for _, highest in ends))
    if low > high:
        return np.empty(0)
    n_steps = max(1, round(np.log10(high / low) / GRID_STEP))
    grid = np.unique(np.geomspace(low, high, n_steps + 1).clip(low, high))
    # Between records of narrow ranges there may be rates that none has tried.
    tried = [(lowest <= grid) & (grid <= highest) for lowest, highest in ends]
    return np.asarray(grid[np.any(tried, axis=0)])
