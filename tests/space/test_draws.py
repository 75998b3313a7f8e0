"""Draws from joint spaces."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import loguniform, randint, uniform

from sk_metalr._space import RATE, SCHEDULE, Candidates, StrategySpace
from sk_metalr._space.distributions import UNKNOWN, Dimension

SPACE = {
    "model__dropout": uniform(0, 0.6),
    "optimizer__weight_decay": loguniform(1e-6, 1e-1),
    "model__units": [32, 64, 128],
    "batch_size": [16, 32, 64],
}
MEMBERS = {"model__dropout", "optimizer__weight_decay"}


def drawn(space=SPACE, n=None, members=MEMBERS, seed=0):
    return StrategySpace(space).with_members(members).sample(n, np.random.RandomState(seed))


def test_numbers_are_spread_over_all_that_there_is():
    candidates = drawn()
    assert len(candidates) == 32
    quantiles = {
        RATE: (np.log10(candidates.learning_rates) + 5) / 5,
        "model__dropout": candidates.columns["model__dropout"] / 0.6,
        "optimizer__weight_decay": (np.log10(candidates.columns["optimizer__weight_decay"]) + 6)
        / 5,
    }
    for column in quantiles.values():
        np.testing.assert_array_equal(np.sort((column * 32).astype(int)), np.arange(32))


@pytest.mark.parametrize("seed", range(3))
def test_few_static_settings_share_the_candidates(seed):
    params = drawn(seed=seed).params()
    settings = Counter((one["model__units"], one["batch_size"]) for one in params)
    assert sorted(settings.values()) == [8, 8, 8, 8]
    assert {units for units, _ in settings} == {32, 64, 128}
    assert {batch_size for _, batch_size in settings} == {16, 32, 64}
    for setting in settings:  # each has low, middling and high rates
        rates = [one[RATE] for one in params if (one["model__units"], one["batch_size"]) == setting]
        assert min(rates) < 1e-3 < max(rates)


def test_more_candidates_meet_more_settings_up_to_all_of_them():
    for n, expected in ((1, 1), (4, 2), (16, 2), (72, 9), (200, 9)):
        assert len(np.unique(drawn(n=n).families)) == expected


@pytest.mark.parametrize("n_values", [2, 3, 5, 8])
def test_every_listed_value_is_as_likely_as_the_others(n_values):
    space = {"model__units": list(range(1, n_values + 1))}
    units = [one["model__units"] for seed in range(60) for one in drawn(space, seed=seed).params()]
    shares = np.bincount(units, minlength=n_values + 1)[1:] / len(units)
    np.testing.assert_allclose(shares, 1 / n_values, atol=0.05)


def test_a_few_candidates_meet_more_than_one_setting():
    params = drawn({"model__units": range(16, 65, 16)}, n=8).params()
    assert len({one["model__units"] for one in params}) == 2


def test_schedules_come_in_equal_shares():
    candidates = drawn({SCHEDULE: ["constant", "cosine"], "model__dropout": uniform(0, 0.5)})
    counts = np.bincount(candidates.columns[SCHEDULE])
    assert sorted(counts) == [16, 16]


def test_listed_numbers_are_numbers_or_levels():
    space = {"model__dropout": [0.0, 0.2, 0.5], "model__activation": ["relu", "tanh"]}
    candidates = drawn(space, 12, {"model__dropout"})
    assert Counter(candidates.columns["model__dropout"].tolist()) == {0.0: 4, 0.2: 4, 0.5: 4}
    assert {one["model__activation"] for one in candidates.params()} <= {"relu", "tanh"}
    assert drawn(space, 12, set()).columns["model__dropout"].dtype == int


def test_a_distribution_of_a_static_parameter_gives_values_of_its_own():
    candidates = drawn({"model__units": randint(8, 64)}, 24, set())
    units = [one["model__units"] for one in candidates.params()]
    assert len(set(units)) == 3
    assert all(isinstance(one, int) and 8 <= one < 64 for one in units)
    assert candidates.strategy(0).settings == {"model__units": units[0]}


def test_each_part_has_parameters_of_its_own():
    space = StrategySpace(
        [
            {"optimizer": ["sgd"], "optimizer__momentum": uniform(0.5, 0.4)},
            {"optimizer": ["adam"]},
        ]
    ).with_members({"optimizer__momentum"})
    candidates = space.sample(16, np.random.RandomState(0))
    strategies = [candidates.strategy(i) for i in range(16)]
    assert Counter(one.params["optimizer"] for one in strategies) == {"sgd": 8, "adam": 8}
    for one in strategies:
        assert ("optimizer__momentum" in one.params) == (one.params["optimizer"] == "sgd")
    assert len(np.unique(candidates.families)) == 2


def test_what_was_drawn_is_read_back_from_results():
    candidates = drawn()
    again = StrategySpace(SPACE).with_members(MEMBERS).named(candidates.params())
    assert again.params() == candidates.params()
    assert again.strategy(5).settings == candidates.strategy(5).settings
    np.testing.assert_array_equal(again.families, candidates.families)


OWN = {"model__dropout": 0.2, "optimizer__weight_decay": 0.0, "model__units": 64, "batch_size": 48}


def test_a_quarter_differs_in_rates_alone():
    space = StrategySpace(SPACE).with_members(MEMBERS, OWN)
    params = space.sample(None, np.random.RandomState(0)).params()
    own = {
        "model__dropout": 0.2,
        "optimizer__weight_decay": 1e-6,  # the nearest one that the space holds
        "model__units": 64,
        "batch_size": 32,
    }
    rates = [one[RATE] for one in params if {name: one[name] for name in own} == own]
    assert len(rates) == 8
    candidates = space.sample(None, np.random.RandomState(0))
    assert candidates.learning_rates[candidates.is_own].tolist() == sorted(rates)
    assert min(rates) < 1e-3 < 1e-1 < max(rates)
    assert len({one["model__dropout"] for one in params}) == 1 + 24


@pytest.mark.parametrize(
    ("space", "own", "expected"),
    [
        ({"model__dropout": uniform(0, 0.6)}, {"model__dropout": 0.2}, 4),
        ({"model__dropout": uniform(0, 0.6)}, {}, 0),  # what the function does without is not known
        ({"model__dropout": uniform(0, 0.6), "optimizer": ["sgd"]}, {"model__dropout": 0.2}, 4),
        (
            {"model__dropout": uniform(0, 0.6), "optimizer": ["sgd", "adam"]},
            {"model__dropout": 0.2},
            0,
        ),
        ({"model__dropout": uniform(0, 0.6), "schedule": ["constant", "cosine"]}, OWN, 0),
        ({"batch_size": [64]}, {"batch_size": 32}, 16),  # all differ in their rates alone
        ([{"model__dropout": uniform(0, 0.6)}, {}], {"model__dropout": 0.2}, 2 + 8),
        (
            [{"model__dropout": uniform(0, 0.6), "optimizer": [one]} for one in ("sgd", "adam")],
            {"model__dropout": 0.2},
            0,
        ),
        (
            [{"model__dropout": uniform(0, 0.3)}, {"model__dropout": uniform(0.4, 0.1)}],
            {"model__dropout": 0.2},
            2,
        ),
    ],
)
def test_only_what_is_known_of_the_estimator_is_its_own(space, own, expected):
    space = StrategySpace(space).with_members({"model__dropout"}, own)
    candidates = space.sample(16, np.random.RandomState(0))
    assert candidates.is_own.sum() == expected


def test_a_quarter_is_as_the_estimator_where_only_numbers_are_searched():
    space = StrategySpace({"model__dropout": uniform(0, 0.6)})
    space = space.with_members({"model__dropout"}, {"model__dropout": 0.9})
    dropout = space.sample(16, np.random.RandomState(0)).columns["model__dropout"]
    assert (dropout == 0.6).sum() == 4


@pytest.mark.parametrize(
    ("values", "own", "nearest"),
    [
        ([0.1, 0.4], 0.3, 0.4),
        ([8, 16], 16, 16),
        (["relu", "tanh"], "tanh", "tanh"),
        (["relu", "tanh"], "elu", UNKNOWN),
        ([None, 1], None, None),
        ([None, 1], 3, UNKNOWN),
        (uniform(0, 0.5), 0.7, 0.5),
        (randint(4, 9), 128, 8),
        (uniform(0, 0.5), None, UNKNOWN),
    ],
)
def test_the_nearest_value_of_a_space(values, own, nearest):
    assert Dimension("model__x", values).nearest(own) == nearest


def test_the_same_seed_draws_the_same():
    assert drawn(seed=3).params() == drawn(seed=3).params()
    assert drawn(seed=3).params() != drawn(seed=4).params()


def test_positions_are_about_the_quantiles():
    candidates = drawn()
    dropout = candidates.columns["model__dropout"]
    np.testing.assert_allclose(candidates.positions[:, 0], dropout / 0.6, atol=1 / 32)
    assert drawn({}, 4, set()).positions.shape == (4, 0)


def test_what_lists_bring_twice_is_one_candidate():
    space = {RATE: [1e-3, 1e-2, 1e-1], "optimizer__momentum": [0.0, 0.4, 0.9]}
    candidates = drawn(space, members={"optimizer__momentum"})
    pairs = {(one[RATE], one["optimizer__momentum"]) for one in candidates.params()}
    assert len(pairs) == len(candidates) == 9


def test_lists_that_hold_few_candidates_are_used_up():
    units = [16, 32, 64, 128, 256, 512]
    space = {RATE: [1e-3], "model__units": units}
    assert sorted(one["model__units"] for one in drawn(space).params()) == units
    space |= {"batch_size": [16, 32, 64]}
    assert len(drawn(space)) == 18
    assert len(drawn(space, n=10)) == 10


def test_equal_candidates_keep_that_one_has_the_own_values():
    columns = {RATE: np.array([0.1, 0.1, 0.2, 0.1]), "units": np.array([np.nan, np.nan, 1, 2])}
    distinct = Candidates(columns, {}, np.array([False, True, False, False])).distinct()
    np.testing.assert_array_equal(distinct.learning_rates, [0.1, 0.2, 0.1])
    np.testing.assert_array_equal(distinct.is_own, [True, False, False])
