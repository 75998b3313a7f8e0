"""The strategy space."""

import keras
import numpy as np
import pytest
from scipy.stats import loguniform, norm, rv_continuous

from sk_metalr._space import RATE, Candidates, StrategySpace


def sample(learning_rates, n_candidates=16, seed=0):
    space = StrategySpace(learning_rates=learning_rates)
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
        (["fast"], "must be numbers"),
        (norm(), "positive support"),
    ],
)
def test_unusable_rates_are_refused(learning_rates, said):
    with pytest.raises(ValueError, match=said):
        sample(learning_rates)


LISTED = {
    "optimizer": ["sgd", keras.optimizers.Adam(name="mine")],
    "schedule": ["constant", "cosine"],
}


def test_every_optimizer_and_schedule_gets_the_rates():
    space = StrategySpace(LISTED, [0.1, 0.01])
    drawn = space.sample(None, np.random.RandomState(0))
    np.testing.assert_array_equal(drawn.learning_rates, [0.01, 0.1] * 4)
    np.testing.assert_array_equal(drawn.families, np.repeat(range(4), 2))
    assert drawn.params()[7] == {RATE: 0.1, "optimizer": "mine", "schedule": "cosine"}
    strategy = drawn.strategy(7)
    assert strategy.learning_rate == 0.1
    assert strategy.settings == {"optimizer": LISTED["optimizer"][1]}
    assert strategy.schedule.name == "cosine"


def test_only_what_is_searched_is_a_parameter():
    space = StrategySpace(learning_rates=[0.1])
    assert space.sample(1, np.random.RandomState(0)).params() == [{RATE: 0.1}]


def test_the_short_way_and_the_long_way_are_the_same():
    short, long = StrategySpace(learning_rates=[0.1, 0.2]), StrategySpace({RATE: [0.1, 0.2]})
    draws = [space.sample(None, np.random.RandomState(0)).params() for space in (short, long)]
    assert draws[0] == draws[1]


@pytest.mark.parametrize(("n", "expected"), [(16, [4] * 4), (10, [3, 3, 2, 2]), (4, [1] * 4)])
def test_candidates_are_counted_in_all_and_shared_out_evenly(n, expected):
    drawn = StrategySpace(LISTED).sample(n, np.random.RandomState(0))
    assert len(drawn) == n
    np.testing.assert_array_equal(np.bincount(drawn.families), expected)


def test_with_fewer_candidates_than_combinations_some_of_these_are_drawn():
    draws = [StrategySpace(LISTED).sample(2, np.random.RandomState(seed)) for seed in range(8)]
    assert {len(drawn) for drawn in draws} == {2}
    names = {(p["optimizer"], p["schedule"]) for drawn in draws for p in drawn.params()}
    assert len(names) == 4


def test_each_dict_of_a_list_has_rates_of_its_own():
    space = StrategySpace(
        [
            {"optimizer": ["sgd"], RATE: [1.0], "schedule": ["cosine"]},
            {"optimizer": ["adam"], RATE: loguniform(1e-4, 1e-2)},
        ]
    )
    drawn = space.sample(8, np.random.RandomState(0))
    params = drawn.params()
    assert params[0] == {RATE: 1.0, "optimizer": "sgd", "schedule": "cosine"}
    assert len(params) == 1 + 4
    for one in params[1:]:
        assert (one["optimizer"], one["schedule"]) == ("adam", "constant")
        assert 1e-4 <= one[RATE] <= 1e-2


def test_what_a_part_does_not_list_is_the_models_own():
    drawn = StrategySpace([{"optimizer": ["sgd"]}, {}], [0.1]).sample(2, np.random.RandomState(0))
    assert [one["optimizer"] for one in drawn.params()] == ["sgd", "the model's own"]
    assert drawn.strategy(1).settings == {}


def test_tables_are_joined_taken_sorted_and_read_back():
    space = StrategySpace(LISTED)
    one = space.family(3, np.array([0.1, 0.01]))
    other = space.family(0, np.array([1.0]))
    both = Candidates.concat([one, other])
    assert len(both) == 3
    np.testing.assert_array_equal(both.order(), [2, 1, 0])
    assert both.sort().params() == both.take([2, 1, 0]).params()
    assert space.named(both.params()).params() == both.params()
    beyond = both.with_rates([7.0], like=0)
    assert beyond.params() == [{RATE: 7.0, "optimizer": "mine", "schedule": "cosine"}]
    assert all(
        one.is_constant
        for one in (s.schedule for s in map(both.without_schedules().strategy, range(3)))
    )


@pytest.mark.parametrize(
    ("param_distributions", "learning_rates", "said"),
    [
        ({"optimizer": []}, None, "at least one optimizer"),
        ({"optimizer": ["sgd", "sgd"]}, None, "different names"),
        ({"optimizer": [3]}, None, "Got 3"),
        ({"optimizer": "sgd"}, None, "must be a list"),
        ({"schedule": []}, None, "at least one schedule"),
        ({"schedule": ["cosine", "cosine"]}, None, "different names"),
        ({"schedule": ["up"]}, None, "'one_cycle'.*Got 'up'"),
        ({"schedule": "cosine"}, None, "must be a list"),
        ({"schedule": [0.5]}, None, "Got 0.5"),
        ({"schedule": [lambda progress: -progress]}, None, "none below 0"),
        ({"schedule": [lambda progress: np.nan]}, None, "finite"),
        ({RATE: [0.1]}, [0.2], "must be given once"),
        ({"batch_size": 16}, None, "or a distribution"),
        ({"model__units": []}, None, "at least one"),
        ({"model__units": [8]}, "auto", "more than optimizers"),
        ([], None, "at least one dict"),
        (
            [
                {"optimizer": [keras.optimizers.SGD(name="a")]},
                {"optimizer": [keras.optimizers.Adam(name="a")]},
            ],
            None,
            "two that are called 'a'",
        ),
    ],
)
def test_unusable_spaces_are_refused(param_distributions, learning_rates, said):
    with pytest.raises(ValueError, match=said):
        StrategySpace(param_distributions, learning_rates)


def test_what_is_no_dict_is_refused():
    with pytest.raises(TypeError, match="must be a dict or a list of dicts"):
        StrategySpace("optimizer")
