"""The search, on a population that is a table."""

import numpy as np
import pytest

from sk_metalr._search.rungs import halving_search, random_search, rungs


class FakePopulation:
    """Losses that were written down beforehand."""

    def __init__(self, losses):
        self.losses = losses
        self.n_epochs = 0
        self.staying = np.arange(losses.shape[1])
        self.member_epochs = self.n_calls = 0

    n_groups = 1
    seconds = {"compiling": 0.0}  # noqa: RUF012

    def train(self, n_epochs, step=None):
        self.n_calls += 1
        self.n_epochs += n_epochs
        self.member_epochs += n_epochs * len(self.staying)
        losses = np.full((*self.losses.shape[:-1], n_epochs), np.nan)
        seen = slice(self.n_epochs - n_epochs, self.n_epochs)
        losses[:, self.staying] = self.losses[:, self.staying, :, seen]
        return losses

    def keep(self, candidates):
        self.staying = candidates


def table(n_candidates=9, n_epochs=9):
    return np.random.default_rng(0).uniform(size=(2, n_candidates, 2, n_epochs))


def lowest(losses, n_resources, n_keep):
    """Keep those with the lowest last loss."""
    last = losses[0, :, :, n_resources.max() - 1].mean(axis=1)
    return np.sort(np.where(n_resources == n_resources.max(), last, np.inf).argsort()[:n_keep])


def test_everyone_trains_for_the_full_budget():
    losses = table()
    population = FakePopulation(losses)
    record = random_search(population, 9)
    np.testing.assert_array_equal(record.losses, losses)
    np.testing.assert_array_equal(record.n_resources, 9)
    np.testing.assert_array_equal(record.iteration, 0)
    assert population.n_epochs == 9


def test_divergence_is_for_good():
    losses = np.ones((2, 2, 1, 4))
    losses[0, 0, 0, 1] = np.inf
    found = random_search(FakePopulation(losses), 4).losses
    np.testing.assert_array_equal(found[:, 0, 0], [[1, np.nan, np.nan, np.nan]] * 2)
    np.testing.assert_array_equal(found[:, 1, 0], 1)


@pytest.mark.parametrize(
    ("n_epochs", "factor", "min_epochs", "expected"),
    [
        (40, 3, None, [5, 14, 40]),
        (9, 3, None, [1, 3, 9]),
        (9, 3, 2, [3, 9]),
        (9, 2, 1, [1, 2, 3, 5, 9]),
        (1, 3, None, [1]),
        (2, 3, None, [1, 2]),
        (10, 3, 11, [10]),
    ],
)
def test_rungs(n_epochs, factor, min_epochs, expected):
    assert rungs(n_epochs, factor, min_epochs) == expected


def test_the_better_part_goes_on_at_each_rung():
    losses = table()
    population = FakePopulation(losses)
    record = halving_search(population, 9, lowest, factor=3, min_epochs=None)
    assert sorted(record.n_resources) == [1] * 6 + [3] * 2 + [9]
    assert population.member_epochs == 9 * 1 + 3 * 2 + 1 * 6
    np.testing.assert_array_equal(record.iteration, np.log(record.n_resources) / np.log(3))
    for candidate, trained in enumerate(record.n_resources):
        np.testing.assert_array_equal(
            record.losses[:, candidate, :, :trained], losses[:, candidate, :, :trained]
        )
        assert np.isnan(record.losses[:, candidate, :, trained:]).all()
    first = losses[0, :, :, 0].mean(axis=1)
    assert first[record.n_resources > 1].max() < first[record.n_resources == 1].min()


def test_halving_ends_where_all_diverged():
    record = halving_search(
        FakePopulation(np.full((2, 9, 2, 9), np.nan)),
        9,
        lambda *_: np.arange(0),
        factor=3,
        min_epochs=None,
    )
    np.testing.assert_array_equal(record.n_resources, 1)
    assert record.losses.shape == (2, 9, 2, 9)
