"""A search algorithm from outside of the package, as the page on extending describes it."""

import numpy as np
import pytest
from make import SMALL_FITS_WARN, small_classifier
from sklearn.base import clone

from sk_metalr import BaseSearch, Halving, MetaLRClassifier

pytestmark = SMALL_FITS_WARN


class BetterHalf(BaseSearch):
    """All candidates train for a part of the budget, the better half of them to the end."""

    def __init__(self, part=0.5):
        self.part = part

    def promote(self, rung):
        if not rung.n_trained:
            return rung.staying, max(1, int(rung.budget * self.part))
        order = rung.losses[rung.staying, :, -1].mean(axis=1).argsort()
        return rung.staying[order[: (len(order) + 1) // 2]], rung.budget


class TenfoldLower(BaseSearch):
    """A first candidate, and then one at a tenth of the best rate while that is better."""

    def propose(self, problem, history):
        if history is None:
            return problem.space.family(0, np.array([1.0]))
        best = history.candidates.learning_rates[history.choice.index]
        if best > history.candidates.learning_rates.min():
            return None
        return history.candidates.with_rates([best / 10], like=history.choice.index)


def make(search, epochs=4, **params):
    defaults = {"n_candidates": 6, "cv": 2, "random_state": 0}
    return MetaLRClassifier(small_classifier(epochs=epochs), search=search, **defaults | params)


def test_an_algorithm_that_promotes(iris):
    fitted = make(BetterHalf()).fit(*iris)
    n_resources = fitted.cv_results_["n_resources"]
    np.testing.assert_array_equal(np.sort(n_resources), [2, 2, 2, 4, 4, 4])
    half = fitted.learning_curves_[:, :, 1].mean(axis=1)
    assert half[n_resources == 4].max() <= half[n_resources == 2].min()
    assert n_resources[fitted.best_index_] == 4
    assert fitted.score(*iris) > 0.5


def test_an_algorithm_that_proposes(iris):
    fitted = make(TenfoldLower(), epochs=8).fit(*iris)
    rates = fitted.cv_results_["param_optimizer__learning_rate"].data
    np.testing.assert_allclose(rates, 10.0 ** np.arange(1 - len(rates), 1))
    assert len(rates) > 2
    assert fitted.best_learning_rate_ > rates.min()


def test_its_parameters_are_within_reach(iris):
    model = make(BetterHalf()).set_params(search__part=0.25)
    assert clone(model).search.part == 0.25
    assert set(model.fit(*iris).cv_results_["n_resources"]) == {1, 4}
    assert model.search.get_params() == {"part": 0.25}
    assert make(Halving()).set_params(search__factor=4).search.factor == 4


def test_it_is_known_to_a_search_that_goes_on(iris, tmp_path):
    fits = [make(BetterHalf(), checkpoint_dir=folder).fit(*iris) for folder in (None, tmp_path)]
    np.testing.assert_array_equal(*(fit.learning_curves_ for fit in fits))


def test_what_is_no_algorithm_is_refused(iris):
    with pytest.raises(ValueError, match="'search' parameter"):
        make("grid").fit(*iris)
    with pytest.raises(TypeError, match=r"Got the class Halving instead; call it: Halving\(\)"):
        make(Halving).fit(*iris)
