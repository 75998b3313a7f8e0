"""Portfolios of joint strategies: a few of which one was good on every task before, or nearly so.

As those of learning rates (see :mod:`.portfolio`), but what is considered are the very strategies
that some search has tried. What one of them would have cost on another task is the mean of what its
neighbours cost there, which lie near it in learning rate and in all other hyperparameters.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .._space import RATE, Dimension, adapted, are_same, is_number, nearest_own, plain
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
    known = [one for one in records if _tells_of(one, names)]
    if records and not known:
        missing = [name for name in names if not any(name in one.others for one in records)]
        what = [*missing, "all of them together" if names else "learning rates alone"][0]
        return JointProposal([], [], [], f"none of them has searched {what}")
    near, weights, reason = alike(features, known)
    if not near:
        return JointProposal([], [], [], reason)
    nearest = nearest_own(searched, own)
    is_known = nearest.keys() == searched.keys()
    of_own = [{RATE: float(r)} | nearest for r in rate_grid(near, bounds)] if is_known else []
    every = [*of_own, *_tried(near, searched, bounds)]
    costs = _Costs(near, names, every)
    regrets = np.array([costs.on(number) / unit(one) for number, one in enumerate(near)])
    (some,) = np.nonzero((~np.isnan(regrets)).any(axis=0))
    if not some.size:
        return JointProposal([], [], [], "none of them has tried strategies of this space")
    regrets = with_means(regrets[:, some], weights)
    n_known = int(np.count_nonzero(some < len(of_own)))
    n_own = min(n_known, max(round(OWN_SHARE * n_strategies), int(n_strategies > 1)))
    begun = greedy_portfolio(regrets[:, :n_known], weights, n_own)
    left = [*begun, *range(n_known, len(some))]
    chosen = greedy_portfolio(regrets[:, left], weights, n_strategies, range(n_own))
    strategies = [every[some[left[i]]] for i in chosen]
    are_own = [is_known and are_same(nearest, {n: s[n] for n in nearest}) for s in strategies]
    return JointProposal(strategies, are_own, near)


def _tells_of(record: ExperienceRecord, names: list[str]) -> bool:
    """Tell whether a search has varied these parameters, or none where there are none."""
    return record.others.keys() >= set(names) if names else not record.others


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

    def __init__(
        self, records: list[ExperienceRecord], names: list[str], strategies: Strategies
    ) -> None:
        self.records = records
        self.rates = np.log10([one[RATE] for one in strategies])
        ends = np.cumsum([0, *(len(one.losses) for one in records)])
        self.places = [slice(*of_record) for of_record in pairwise(ends)]
        self.tried = [_Column([v for one in records for v in one.others[n]]) for n in names]
        self.asked = [
            column.like([plain(one[name]) for one in strategies])
            for name, column in zip(names, self.tried, strict=True)
        ]

    def on(self, number: int) -> np.ndarray:
        """Return how much more than the best of a record each strategy costs, in nats.

        They are of shape (n_strategies,), capped as those of rates are, and NaN where nothing like
        them was tried: a rate or a number further out than a bandwidth, a value that is not there.
        """
        record, place = self.records[number], self.places[number]
        known, away = _compared(self.rates, np.log10(record.learning_rates), RATE_BANDWIDTH)
        for (codes, ranks), column in zip(self.asked, self.tried, strict=True):
            tried_codes, tried_ranks = column.codes[place], column.ranks[place]
            is_same = codes[:, None] == tried_codes
            is_like, apart = _compared(ranks, tried_ranks, BANDWIDTH)
            is_number = ~np.isnan(apart)
            known &= np.where(np.isnan(ranks), is_same.any(axis=1), is_like)
            away += np.where(is_number, apart, np.where(is_same, 0.0, -2 * np.log(OF_OTHER)))
        lowest = record.losses.min()
        losses = np.minimum(record.losses, max(MAX_LOSS * record.baseline_loss, lowest))
        near = np.exp(-0.5 * (away - away.min(axis=1, keepdims=True)))
        return np.where(known, near @ losses / near.sum(axis=1) - lowest, np.nan)


class _Column:
    """Values of one parameter: `codes`, equal where they are, and `ranks` of those that are numbers
    among all that are, from 0 to 1, NaN of others; both are of shape (n_values,).
    """

    def __init__(self, values: list[Any]) -> None:
        self.known: dict[str, int] = {}
        self.numbers = np.sort([value for value in values if is_number(value)]).astype(float)
        self.codes, self.ranks = self.like(values)

    def like(self, values: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return codes and ranks of other values of the parameter."""
        codes = [self.known.setdefault(repr(value), len(self.known)) for value in values]
        numbers = np.array([value if is_number(value) else np.nan for value in values], float)
        sides = [np.searchsorted(self.numbers, numbers, side=side) for side in ("left", "right")]
        ranks = np.mean(sides, axis=0) / max(1, len(self.numbers))
        return np.array(codes), np.where(np.isnan(numbers), np.nan, ranks)


def _compared(
    asked: np.ndarray, tried: np.ndarray, bandwidth: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return which numbers are not further out than a bandwidth from all that were tried, bool
    (n_asked,), and the squares of their distances in bandwidths, (n_asked, n_tried). NaN are none.
    """
    lowest, highest = np.nanmin([np.inf, *tried]), np.nanmax([-np.inf, *tried])
    is_inside = (lowest - bandwidth <= asked) & (asked <= highest + bandwidth)
    return np.asarray(is_inside), ((asked[:, None] - tried) / bandwidth) ** 2
