"""The strategy space."""

import numpy as np
import pytest
from scipy.stats import loguniform, norm, rv_continuous

from sk_metalr._space import StrategySpace


def sample(learning_rates, n_candidates=16, seed=0):
    return StrategySpace(learning_rates).sample(n_candidates, np.random.RandomState(seed))


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
