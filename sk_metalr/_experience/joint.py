"""Portfolios of joint strategies: a few of which one was good on every task before, or nearly so.

As those of learning rates (see :mod:`.portfolio`), but what is considered are the very strategies
that some search has tried. What one of them would have cost on another task is the mean of what its
neighbours cost there, which lie near it in learning rate and in all other hyperparameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._space import RATE, Dimension, adapted, are_same, is_number, nearest_own, recorded_name
from .portfolio import MAX_LOSS, alike, greedy_portfolio, rate_grid, unit, with_means
from .records import ExperienceRecord

RATE_BANDWIDTH, BANDWIDTH = 0.25, 0.15
"""Standard deviations of the Gaussian kernel over learning rates, in decades, and over ranks of
other numbers, as a share of all."""

OF_OTHER = 0.5
"""What a neighbour that has another of several named values counts for."""

OWN_SHARE = 0.25
"""Share of the strategies that differ from the estimator in their rate alone, if there are any."""

Strategies = list[dict[str, Any]]


@dataclass(frozen=True)
class JointProposal:
    """Strategies, as values by parameter, which of them differ from the estimator in their rate
    alone, and the records behind them; or why there are none.
    """

    strategies: Strategies
    are_own: list[bool]
    records: list[ExperienceRecord]
    reason: str = ""


def joint_proposal(
    features: dict[str, Any],
    records: list[ExperienceRecord],
    n_strategies: int,
    searched: dict[str, Dimension],
    own: dict[str, Any],
    bounds: tuple[float, float] = (0.0, np.inf),
) -> JointProposal:
    """Return `n_strategies` strategies to try on a task, or fewer where no more are known.

    `features` are meta-features of the search at hand, `searched` the parameters that it searches
    beside the rate, whose `bounds` are its lowest and highest. The estimator has its `own` values
    of them, as far as these are known. A recorded value stands for the nearest that is searched.
    """
    names = list(searched)
    known = [one for one in records if one.others.keys() >= set(names)]
    if records and not known:
        missing = [name for name in names if not any(name in one.others for one in records)]
        what = missing[0] if missing else "all of them together"
        return JointProposal([], [], [], f"none of them has searched {what}")
    near, weights, reason = alike(features, known)
    if not near:
        return JointProposal([], [], [], reason)
    nearest = nearest_own(searched, own)
    is_known = nearest.keys() == searched.keys()
    of_own = [{RATE: float(r)} | nearest for r in rate_grid(near, bounds)] if is_known else []
    every = [*of_own, *_tried(near, searched, bounds)]
    costs = _Costs(near, names)
    regrets = np.array([costs.of(one, every) / unit(one) for one in near])
    (some,) = np.nonzero((~np.isnan(regrets)).any(axis=0))
    if not some.size:
        return JointProposal([], [], [], "none of them has tried strategies of this space")
    regrets = with_means(regrets[:, some], weights)
    n_known = int(np.count_nonzero(some < len(of_own)))
    n_own = min(n_known, max(1, round(OWN_SHARE * n_strategies)))
    begun = greedy_portfolio(regrets[:, :n_known], weights, n_own)
    left = [*begun, *range(n_known, len(some))]
    chosen = greedy_portfolio(regrets[:, left], weights, n_strategies, range(n_own))
    strategies = [every[some[left[i]]] for i in chosen]
    are_own = [is_known and are_same(nearest, {n: s[n] for n in nearest}) for s in strategies]
    return JointProposal(strategies, are_own, near)


def _tried(
    records: list[ExperienceRecord],
    searched: dict[str, Dimension],
    bounds: tuple[float, float],
) -> Strategies:
    """Return the different strategies of records that the space at hand holds, or ones like it."""
    found: dict[str, dict[str, Any]] = {}
    for one in records:
        for i in np.flatnonzero(np.isfinite(one.losses)).tolist():
            values = adapted(searched, {name: one.others[name][i] for name in searched})
            rate = float(one.learning_rates[i])
            if values is not None and bounds[0] <= rate <= bounds[1]:
                found.setdefault(repr((rate, values)), {RATE: rate} | values)
    return list(found.values())


class _Costs:
    """What strategies would have cost, by what was recorded of their neighbours."""

    def __init__(self, records: list[ExperienceRecord], names: Sequence[str]) -> None:
        self.names = names
        every = {name: [v for one in records for v in one.others[name]] for name in names}
        self.numbers = {
            name: np.sort(np.array(values, float))
            for name, values in every.items()
            if all(map(is_number, values))
        }

    def of(self, record: ExperienceRecord, strategies: Strategies) -> np.ndarray:
        """Return how much more than the best of a record each strategy costs, in nats.

        They are of shape (n_strategies,), capped as those of rates are, and NaN where nothing like
        them was tried: a rate or a number further out than a bandwidth, a value that is not there.
        """
        asked = np.log10([one[RATE] for one in strategies])
        known, away = _compared(asked, np.log10(record.learning_rates), RATE_BANDWIDTH)
        for name in self.names:
            values, tried = [one[name] for one in strategies], record.others[name]
            if name in self.numbers and all(map(is_number, values)):
                ranks = self._ranks(name, values), self._ranks(name, tried)
                is_like, apart = _compared(*ranks, BANDWIDTH)
            else:
                is_same = _are_same(values, tried)
                is_like = np.asarray(is_same.any(axis=1))
                apart = np.where(is_same, 0, -2 * np.log(OF_OTHER))
            known, away = known & is_like, away + apart
        lowest = record.losses.min()
        losses = np.minimum(record.losses, max(MAX_LOSS * record.baseline_loss, lowest))
        near = np.exp(-0.5 * (away - away.min(axis=1, keepdims=True)))
        return np.where(known, near @ losses / near.sum(axis=1) - lowest, np.nan)

    def _ranks(self, name: str, values: list[Any]) -> np.ndarray:
        """Return where numbers lie among all that were recorded, from 0 to 1."""
        every, numbers = self.numbers[name], np.array(values, float)
        sides = [np.searchsorted(every, numbers, side=side) for side in ("left", "right")]
        return np.asarray(np.mean(sides, axis=0) / len(every))


def _compared(
    asked: np.ndarray, tried: np.ndarray, bandwidth: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return which numbers are not further out than a bandwidth from all that were tried, bool
    (n_asked,), and the squares of their distances in bandwidths, (n_asked, n_tried).
    """
    is_inside = (tried.min() - bandwidth <= asked) & (asked <= tried.max() + bandwidth)
    return np.asarray(is_inside), ((asked[:, None] - tried) / bandwidth) ** 2


def _are_same(asked: list[Any], tried: list[Any]) -> np.ndarray:
    """Tell which values are those of a record: bool (n_asked, n_tried)."""
    number: dict[str, int] = {}
    codes = [
        np.array([number.setdefault(repr(recorded_name(v)), len(number)) for v in values])
        for values in (asked, tried)
    ]
    return np.asarray(codes[0][:, None] == codes[1])
