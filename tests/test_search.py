"""The search, on a population that is a table."""

import numpy as np

from sk_metalr._search import random_search


class FakePopulation:
    """Losses that were written down beforehand."""

    def __init__(self, losses):
        self.losses = losses
        self.n_epochs = 0

    def train(self, n_epochs):
        self.n_epochs += n_epochs
        return self.losses[..., self.n_epochs - n_epochs : self.n_epochs]


def test_everyone_trains_for_the_full_budget():
    losses = np.random.default_rng(0).uniform(size=(2, 4, 2, 7))
    population = FakePopulation(losses)
    np.testing.assert_array_equal(random_search(population, 7), losses)
    assert population.n_epochs == 7


def test_divergence_is_for_good():
    losses = np.ones((2, 2, 1, 4))
    losses[0, 0, 0, 1] = np.inf
    found = random_search(FakePopulation(losses), 4)
    np.testing.assert_array_equal(found[:, 0, 0], [[1, np.nan, np.nan, np.nan]] * 2)
    np.testing.assert_array_equal(found[:, 1, 0], 1)
