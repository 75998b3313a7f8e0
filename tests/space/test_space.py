"""The strategy space."""

import keras
import numpy as np
import pytest
from scipy.stats import loguniform, norm, rv_continuous

from sk_metalr._space.space import StrategySpace


def sample(learning_rates, n_candidates=16, seed=0):
    space = StrategySpace(learning_rates)
    return space.sample(n_candidates, np.random.RandomState(seed)).learning_rates


def test_a_short_list_is_tried_once_each():
    np.testing.assert_array_equal(sample([0.001, 0.01, 0.1, 1.0]), [0.001, 0.01, 0.1, 1.0])


def test_duplicates_in_a_list_count_once():
    np.testing.assert_array_equal(sample([0.1, 0.001, 0.1]), [0.001, 0.1])


def test_a_long_list_is_sampled_without_replacement():
    rates = np.geomspace(1e-4, 1, 30)
    drawn = sample(list(rates), n_candidates=10)
    assert len(np.unique(drawn)) == 10
    assert np.isin(drawn, rates).all()


@pytest.mark.parametrize(
    ("learning_rates", "low", "high"), [(None, 1e-5, 1.0), (loguniform(1e-3, 1e-2), 1e-3, 1e-2)]
)
def test_distributions_are_sampled_within_their_support(learning_rates, low, high):
    drawn = sample(learning_rates, n_candidates=200)
    assert len(drawn) == 200
    assert (np.diff(drawn) >= 0).all()
    assert low <= drawn[0] < low * 3
    assert high / 3 < drawn[-1] <= high


def test_a_distribution_leaves_no_part_of_its_range_untried():
    for seed in range(20):
        drawn = sample(None, n_candidates=10, seed=seed)
        np.testing.assert_array_equal(np.floor((np.log10(drawn) + 5) / 5 * 10), np.arange(10))


def test_a_distribution_without_quantiles_is_asked_to_draw():
    class Never(rv_continuous):
        def _rvs(self, size=None, random_state=None):
            return random_state.choice([1e-3, 1e-2], size)

        def _ppf(self, q):
            raise AssertionError("quantiles were asked for")

    assert set(sample(Never())) == {1e-3, 1e-2}


def test_an_object_that_only_draws_is_asked_to_draw():
    class Alternating:
        def rvs(self, random_state):
            return random_state.choice([1e-3, 1e-2])

    assert set(sample(Alternating())) == {1e-3, 1e-2}


def test_the_same_state_draws_the_same_candidates():
    np.testing.assert_array_equal(sample(None, seed=3), sample(None, seed=3))
    assert not np.array_equal(sample(None, seed=3), sample(None, seed=4))


@pytest.mark.parametrize(
    ("learning_rates", "said"),
    [
        ([0.1, 0.0], "Got 0.0"),
        ([0.1, -1.0], "Got -1.0"),
        ([0.1, np.nan], "Got nan"),
        ([np.inf], "Got inf"),
        ([], "at least"),
        ([[0.1, 0.2]], "flat list"),
        (["fast"], "must hold numbers"),
        (norm(), "positive support"),
    ],
)
def test_unusable_rates_are_refused(learning_rates, said):
    with pytest.raises(ValueError, match=said):
        sample(learning_rates)


def test_every_optimizer_and_schedule_gets_the_rates():
    adam = keras.optimizers.Adam(name="mine")
    space = StrategySpace([0.1, 0.01], ["sgd", adam], ["constant", "cosine"])
    drawn = space.sample(16, np.random.RandomState(0))
    np.testing.assert_array_equal(drawn.learning_rates, [0.01, 0.1] * 4)
    np.testing.assert_array_equal(drawn.optimizer, np.repeat([0, 1], 4))
    np.testing.assert_array_equal(drawn.schedule, [0, 0, 1, 1] * 2)
    np.testing.assert_array_equal(drawn.family, np.repeat(range(4), 2))
    assert space.params(drawn)[7] == {
        "learning_rate": 0.1,
        "optimizer": "mine",
        "schedule": "cosine",
    }
    strategy = space.strategy(drawn, 7)
    assert (strategy.learning_rate, strategy.optimizer) == (0.1, adam)
    assert strategy.schedule.name == "cosine"


def test_only_what_is_open_is_a_parameter():
    space = StrategySpace([0.1])
    assert space.params(space.sample(1, np.random.RandomState(0))) == [{"learning_rate": 0.1}]


def test_rates_may_be_given_by_optimizer():
    space = StrategySpace({"sgd": [1.0]}, ["sgd", "adam"])
    drawn = space.sample(3, np.random.RandomState(0))
    np.testing.assert_array_equal(drawn.optimizer, [0, 1, 1, 1])
    assert drawn.learning_rates[0] == 1.0
    assert (drawn.learning_rates[1:] < 1).all()


@pytest.mark.parametrize(
    ("optimizers", "schedules", "learning_rates", "said"),
    [
        ([], ["constant"], None, "at least one optimizer"),
        (["sgd", "sgd"], ["constant"], None, "different names"),
        ([3], ["constant"], None, "Got 3"),
        (None, [], None, "at least one schedule"),
        (None, ["cosine", "cosine"], None, "different names"),
        (None, ["up"], None, "'one_cycle'.*Got 'up'"),
        (None, [0.5], None, "Got 0.5"),
        (None, [lambda progress: -progress], None, "none below 0"),
        (None, [lambda progress: np.nan], None, "finite"),
        (["sgd"], ["constant"], {"adam": [0.1]}, "'adam'"),
        (None, ["constant"], {"adam": [0.1]}, "optimizers parameter"),
    ],
)
def test_unusable_spaces_are_refused(optimizers, schedules, learning_rates, said):
    with pytest.raises(ValueError, match=said):
        StrategySpace(learning_rates, optimizers, schedules)
