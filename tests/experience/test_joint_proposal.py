"""A few joint strategies from many searches."""

import numpy as np
import pytest
from scipy.stats import uniform
from test_proposal import record

from sk_metalr._experience import joint_proposal
from sk_metalr._space import RATE, StrategySpace

DROPOUT, UNITS, ACTIVATION = "model__dropout", "model__units", "model__activation"


def joint_record(best_rate, best_dropout, seed, of_activation=None, **features):
    """Return a search whose loss rises away from one rate and one rate of dropout."""
    random = np.random.RandomState(seed)
    rates, dropout = 10 ** random.uniform(-5, 0, 60), random.uniform(0, 0.6, 60)
    units = random.choice([32, 128], 60).tolist()
    activation = random.choice(["relu", "tanh"], 60).tolist()
    losses = 0.3 + 0.1 * np.abs(np.log10(rates / best_rate)) + np.abs(dropout - best_dropout)
    losses += [(of_activation or {}).get(name, 0.0) for name in activation]
    one = record(rates=rates, losses=losses, **features)
    others = {DROPOUT: dropout.tolist(), UNITS: units, ACTIVATION: activation}
    return type(one)(**vars(one) | {"others": others})


HERE = record().features
SIX = [joint_record(1e-3, 0.1, seed) for seed in range(4)]
SIX += [joint_record(1e-2, 0.5, seed) for seed in range(4, 6)]


def proposed(records, n, others, own=None, **bounds):
    (part,) = StrategySpace(others).parts
    return joint_proposal(HERE, records, n, part.others, own or {}, **bounds)


def test_strategies_go_together_over_all_that_is_searched():
    found = proposed(SIX, 2, {DROPOUT: uniform(0, 0.6)})
    assert (found.are_own, len(found.records), found.reason) == ([False] * 2, 6, "")
    one, other = found.strategies  # that of the four comes first
    assert 10**-3.7 < one[RATE] < 10**-2.3
    assert 10**-2.7 < other[RATE] < 10**-1.3
    assert one[DROPOUT] < 0.25
    assert other[DROPOUT] > 0.35


def test_what_a_search_did_with_a_named_value_tells_of_it():
    records = [joint_record(1e-3, 0.1, seed, {"tanh": 0.5}) for seed in range(4)]
    found = proposed(records, 3, {ACTIVATION: ["tanh", "relu"], UNITS: [32, 128]})
    assert [one[ACTIVATION] for one in found.strategies] == ["relu"] * 3
    assert {one[UNITS] for one in found.strategies} <= {32, 128}


def test_listed_numbers_stand_for_the_nearest_that_were_recorded():
    found = proposed(SIX, 4, {DROPOUT: [0.0, 0.1, 0.5], UNITS: [64]})
    assert [one[DROPOUT] for one in found.strategies[:2]] == [0.1, 0.5]
    assert {one[UNITS] for one in found.strategies} == {64}


def test_a_quarter_have_the_estimators_own_values():
    others = {DROPOUT: uniform(0, 0.6)}
    found = proposed(SIX, 8, others, {DROPOUT: 0.3})
    assert [one[DROPOUT] == 0.3 for one in found.strategies] == found.are_own
    assert found.are_own == [True] * 2 + [False] * 6
    others = {DROPOUT: uniform(0, 0.9), UNITS: [32, 64]}
    assert not any(proposed(SIX, 8, others, {DROPOUT: 0.3}).are_own)  # of units none are known


def test_rates_keep_to_the_bounds():
    found = proposed(SIX, 6, {DROPOUT: uniform(0, 0.6)}, {DROPOUT: 0.1}, bounds=(1e-4, 1e-3))
    assert len(found.strategies) == 6
    assert all(1e-4 <= one[RATE] <= 1e-3 for one in found.strategies)


@pytest.mark.parametrize(
    ("records", "others", "reason"),
    [
        (SIX, {"model__momentum": [0.0, 0.9]}, "none of them has searched model__momentum"),
        (SIX[:2], {DROPOUT: [0.1]}, "fewer than 3 other tables"),
        (SIX, {ACTIVATION: ["selu"]}, "none of them has tried strategies of this space"),
        ([record() for _ in range(3)], {DROPOUT: [0.1]}, "none of them has searched model__drop"),
        ([], {DROPOUT: [0.1]}, "none of them is of such targets with this optimizer"),
    ],
)
def test_why_there_are_none(records, others, reason):
    found = proposed(records, 4, others)
    assert not found.strategies
    assert found.reason.startswith(reason)
