"""Successive halving."""

from math import ceil, sqrt
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from .._sklearn import Interval
from .history import Rung
from .random import RandomSearch

LOWEST_FACTOR = 3.0
"""Of 16 rates, a factor of 4 trains 30 % less than one of 3, and its choices were worse by 0.007
nats; of 32 candidates of a joint space they were as good (21 set-aside tables)."""

N_RUNGS, MIN_STEPS = 3, 100
"""Rungs by default, and the steps of training before the first of them where that is in the first
epoch. Where epochs are short, the first of three comes after more steps than that."""


class Halving(RandomSearch):
    """All candidates are trained for a short while, the better part longer, the best to the end.

    Successive halving with epochs as the resource: those who stay go on from where they are. It
    saves most where training takes long: wide networks, convolutions, many rows. Short training
    flatters high learning rates, so one slow starter stays at each rung beside the best.

    Parameters
    ----------
    factor : float or None, default=None
        At each rung, about one candidate in `factor` stays, for `factor` times as many epochs.
        None: 3, and the square root of half their number for more than 18 candidates, so that about
        three and a slow starter are trained to the end.
    min_epochs : int or None, default=None
        Epochs of the first rung, at least. None: the budget over `factor` squared. If epochs are
        few and long, that may be a part of the first one, of about 100 steps or more.

    References
    ----------
    Jamieson & Talwalkar, "Non-stochastic best arm identification and hyperparameter
    optimization", 2016, arXiv:1502.07943. Wu et al., "Understanding short-horizon bias in
    stochastic meta-optimization", 2018, arXiv:1803.02021.

    Examples
    --------
    >>> from sk_metalr import Halving, MetaLRClassifier
    >>> MetaLRClassifier(search=Halving(factor=4))
    MetaLRClassifier(search=Halving(factor=4))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "factor": [Interval(Real, 1.0, 1e6, closed="right"), None],
        "min_epochs": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, factor: float | None = None, min_epochs: int | None = None) -> None:
        self.factor = factor
        self.min_epochs = min_epochs

    def promote(self, rung: Rung) -> tuple[np.ndarray, float]:
        """Return the best so far and one slow starter, and the next rung."""
        if rung.n_rounds:
            return rung.staying, rung.budget  # a few beyond the edge
        factor = self.factor
        if factor is None:
            factor = max(LOWEST_FACTOR, sqrt(len(rung.candidates) / 2))
        epochs = rungs(rung.budget, factor, self.min_epochs, rung.steps_per_epoch)
        later = [epoch for epoch in epochs if epoch > rung.n_trained]
        if not rung.n_trained:
            return rung.staying, later[0]
        return survivors(rung, ceil(len(rung.staying) / factor)), later[0]


def rungs(
    n_epochs: int, factor: float, min_epochs: int | None, steps_per_epoch: int = 0
) -> list[float]:
    """Return the epochs, counted from the start, at which candidates are compared.

    The last rung is the full budget, each has `factor` times as many epochs as the one before, and
    the first no fewer than `min_epochs`; None for the budget over `factor` squared. In that case,
    where there are fewer than three, the first ones are shares of an epoch that has enough steps.
    """
    lowest = ceil(n_epochs / factor ** (N_RUNGS - 1)) if min_epochs is None else min_epochs
    result: list[float] = [n_epochs]
    while lowest <= (epoch := ceil(result[0] / factor)) < result[0]:
        result.insert(0, epoch)
    while min_epochs is None and steps_per_epoch and len(result) < N_RUNGS:
        share = result[0] / factor
        if share >= 1 or share < MIN_STEPS / steps_per_epoch:
            break
        result.insert(0, share)
    return result


def survivors(rung: Rung, n_keep: int) -> np.ndarray:
    """Return the candidates that go on after a rung: the best so far, and one slow starter.

    Beside the candidates with the lowest smoothed loss so far, that one of the others stays which
    promises most: its loss is carried on to the full budget in a straight line over the logarithm
    of epochs, as it fell during the second half of its training. In increasing order, these are
    `n_keep` and the slow starter, or fewer where others diverged. Of those that differ from the
    estimator in their rates alone one goes on, too, as the choice may prefer it; see
    :func:`.choose`.
    """
    trained, times = rung.n_trained, rung.times
    _, lowest = rung.surface.lowest
    lowest = np.where(rung.n_resources == len(times), lowest, np.inf)
    order = lowest.argsort(kind="stable")
    order = order[np.isfinite(lowest[order])]
    best, rest = order[:n_keep], order[n_keep:]
    is_own = rung.candidates.is_own
    if is_own is not None and is_own[rest].any() and not is_own[best].any():
        best = np.append(best[: max(1, n_keep - 1)], rest[is_own[rest]][:1])
        rest = order[~np.isin(order, best)]
    if rest.size:
        mean = rung.surface.smoothed.mean(axis=1)
        half = max(0, int(np.searchsorted(times, trained / 2, side="right")) - 1)
        slope = (mean[:, -1] - mean[:, half]) / np.log(max(2, trained / times[half]))
        promised = mean[:, -1] + slope * np.log(rung.budget / trained)
        best = np.append(best, rest[promised[rest].argmin()])
    return np.sort(best)
