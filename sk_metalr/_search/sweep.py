"""A sweep that finds where usable learning rates lie."""

from dataclasses import replace

import numpy as np
from scipy.stats import loguniform

from .._space import StrategySpace
from .evaluation import Evaluation
from .execution import Execution, Run
from .selection import run_around

SWEPT_RATES = np.geomspace(1e-8, 1e3, 23)
"""What a sweep tries: two rates a decade."""


def swept(
    space: StrategySpace, evaluation: Evaluation, execution: Execution, baseline_loss: float
) -> StrategySpace:
    """Return an open space over the learning rates that are usable, found on one split.

    One epoch for each combination whose rates are left open, without their schedules.
    """
    first = replace(evaluation, splits=evaluation.splits[:1])
    found: dict[str, object] = {}
    ranges = {}
    for number in filter(space.is_family_open, range(space.n_families)):
        candidates = space.family(number, SWEPT_RATES).without_schedules()
        key = repr(candidates.params()[0])
        if key not in found:
            run = Run(first.populate(candidates), execution)
            run.train(1, "sweep of learning rates")
            run.finish()
            assert run.recorded is not None
            losses = run.recorded.loss[:, 0, 0]
            found[key] = loguniform(*usable_range(SWEPT_RATES, losses, baseline_loss))
        ranges[number] = found[key]
    return space.over(ranges)


def usable_range(
    learning_rates: np.ndarray, losses: np.ndarray, baseline_loss: float
) -> tuple[float, float]:
    """Return the lowest and the highest learning rate between no progress and divergence.

    These are the next rates below and above the best one at which the held-out log-loss got better
    by less than 1 % of the baseline loss; they are two decades apart at least, and 1e-5 … 1 where
    no rate got better. A wide sweep gave the losses (n,) after one epoch, in nats, not finite once
    diverged, of rates (n,) in increasing order, the lowest of which leaves a model as it was.
    """
    losses = np.nan_to_num(losses, nan=np.inf)
    better = losses < losses[0] - 0.01 * baseline_loss
    if not better.any():
        return 1e-5, 1.0
    first, last = run_around(better, int(losses.argmin()))
    low = learning_rates[max(0, first - 1)]
    high = learning_rates[min(len(better) - 1, last + 1)]
    return float(min(low, high / 100)), float(high)
