"""The search, on a population that is a table."""

from types import SimpleNamespace

import numpy as np
import pytest

from sk_metalr import BaseSearch, Halving, RandomSearch
from sk_metalr._population import Trained
from sk_metalr._recorded import EPOCHS_OF_MODEL, Recorded
from sk_metalr._search import Execution, Problem, search
from sk_metalr._search.halving import rungs
from sk_metalr._space import StrategySpace
from sk_metalr._task import Classification
from sk_metalr.exceptions import AllDivergedError

NAMES = Classification().recorded


class FakePopulation:
    """Losses that were written down beforehand."""

    n_groups = 1
    steps_per_epoch = 0
    seconds = {"compiling": 0.0, "training": 0.0, "scoring": 0.0}  # noqa: RUF012
    trajectories = None

    def __init__(self, losses):
        self.losses = losses
        self.n_epochs = self.member_epochs = self.n_calls = 0
        self.staying, self.shares = np.arange(len(losses)), []
        self.trained = [Trained("vectorized", "it is a table", False)] * len(losses)

    def train(self, n_epochs, step=None):
        self.n_calls += 1
        self.n_epochs += n_epochs
        self.member_epochs += n_epochs * len(self.staying)
        losses = np.full((*self.losses.shape[:-1], n_epochs), np.nan)
        seen = slice(self.n_epochs - n_epochs, self.n_epochs)
        losses[self.staying] = self.losses[self.staying, :, seen]
        epochs = np.broadcast_to(np.arange(seen.start, seen.stop) + 1.0, losses.shape)
        names = *NAMES, EPOCHS_OF_MODEL
        return Recorded(names, np.stack([losses] * len(NAMES) + [epochs]))

    def train_part(self, share, step=None):
        """Losses in the first epoch are a tenth higher than at its end."""
        self.shares.append((share, len(self.staying)))
        losses = np.full((*self.losses.shape[:-1], 1), np.nan)
        losses[self.staying] = 1.1 * self.losses[self.staying, :, :1]
        names = *NAMES, EPOCHS_OF_MODEL
        return Recorded(names, np.stack([losses] * len(NAMES) + [np.full_like(losses, np.nan)]))

    def keep(self, candidates, until):
        self.staying = candidates

    def held_out(self):
        return None


class Table:
    """Stands in for evaluation and scoring; the rates are the numbers of its rows, from 1."""

    worst_loss = None
    options = SimpleNamespace(keeps_predictions=False, task=Classification())

    def __init__(self, losses):
        self.table = losses
        self.splits = [None] * losses.shape[1]
        self.n_epochs = losses.shape[2]
        self.populations = []

    def populate(self, candidates, **how):
        rows = candidates.learning_rates.astype(int) - 1
        self.populations.append(FakePopulation(self.table[rows]))
        return self.populations[-1]

    def losses(self, recorded):
        return [recorded.loss]

    def temperature(self, recorded, choice):
        return 1.0


def searched(losses, algorithm, execution=None, n_candidates=None):
    """Return what an algorithm found in a table, and what it trained."""
    table = Table(losses)
    problem = Problem(
        StrategySpace(learning_rates=list(range(1, len(losses) + 1))),
        was_open=False,
        n_candidates=n_candidates,
        budget=losses.shape[2],
        random_state=np.random.RandomState(0),
        describe=None,
        remember=None,
    )
    execution = execution or Execution()
    return search(algorithm, problem, table, table, execution), table.populations


def table(n_candidates=9, n_epochs=9):
    return np.random.default_rng(0).uniform(size=(n_candidates, 2, n_epochs))


def test_everyone_trains_for_the_full_budget():
    losses = table()
    result, (population,) = searched(losses, RandomSearch())
    np.testing.assert_array_equal(result.history.recorded["log_loss"], losses)
    np.testing.assert_array_equal(result.history.n_resources, 9)
    np.testing.assert_array_equal(result.history.iteration, 0)
    assert population.n_epochs == 9


def test_divergence_is_for_good():
    losses = np.ones((2, 1, 4))
    losses[0, 0, 1] = np.inf
    found = searched(losses, RandomSearch())[0].history
    np.testing.assert_array_equal(found.recorded["log_loss"][0, 0], [1, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(found.recorded["log_loss"][1, 0], 1)
    np.testing.assert_array_equal(found.is_diverged, [True, False])


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


@pytest.mark.parametrize(
    ("n_epochs", "factor", "min_epochs", "steps_per_epoch", "expected"),
    [
        (1, 3, None, 900, [1 / 9, 1 / 3, 1]),
        (1, 3, None, 899, [1 / 3, 1]),
        (1, 3, None, 299, [1]),
        (1, 3, 1, 10**6, [1]),
        (2, 4, None, 10**6, [1 / 4, 1, 2]),
        (3, 3, None, 10**6, [1 / 3, 1, 3]),
        (9, 3, None, 10**6, [1, 3, 9]),
        (9, 2, None, 10**6, [3, 5, 9]),
    ],
)
def test_rungs_in_a_long_epoch(n_epochs, factor, min_epochs, steps_per_epoch, expected):
    np.testing.assert_allclose(rungs(n_epochs, factor, min_epochs, steps_per_epoch), expected)


class Lowest(Halving):
    """Halving by the last loss, without a slow starter."""

    def promote(self, rung):
        _, until = super().promote(rung)
        if not rung.n_trained:
            return rung.staying, until
        last = rung.losses[rung.staying, :, -1].mean(axis=1)
        return rung.staying[last.argsort()[: len(last) // 3]], until


def test_the_better_part_goes_on_at_each_rung():
    losses = table()
    result, (population,) = searched(losses, Lowest())
    history = result.history
    assert sorted(history.n_resources) == [1] * 6 + [3] * 2 + [9]
    assert population.member_epochs == 9 * 1 + 3 * 2 + 1 * 6
    np.testing.assert_array_equal(history.iteration, np.log(history.n_resources) / np.log(3))
    recorded = history.recorded["log_loss"]
    for candidate, trained in enumerate(history.n_resources):
        np.testing.assert_array_equal(
            recorded[candidate, :, :trained], losses[candidate, :, :trained]
        )
        assert np.isnan(recorded[candidate, :, trained:]).all()
    first = losses[:, :, 0].mean(axis=1)
    assert first[history.n_resources > 1].max() < first[history.n_resources == 1].min()
    assert history.n_resources[result.choice.index] == 9


@pytest.fixture
def long_epochs(monkeypatch):
    monkeypatch.setattr(FakePopulation, "steps_per_epoch", 10_000)


def test_the_better_part_goes_on_within_a_long_epoch(long_epochs):
    losses = table(n_epochs=2)
    losses[1, 0, 0] = np.nan
    result, (population,) = searched(losses, Halving())
    history = result.history
    assert population.shares == [(1 / 3, 9)]
    # Of nine, three and a slow starter stay, and of these two and a slow starter.
    assert sorted(history.n_resources) == [0] * 4 + [1] * 2 + [2] * 3
    # The one that has diverged counts as trained for the epoch.
    assert np.flatnonzero((history.iteration == 0) & (history.n_resources == 1)) == 1
    recorded, left = history.recorded["log_loss"], history.n_resources == 0
    np.testing.assert_array_equal(recorded[left, :, 0], 1.1 * losses[left, :, 0])
    went_on = history.iteration > 0
    np.testing.assert_array_equal(recorded[went_on, :, 0], losses[went_on, :, 0])
    assert np.flatnonzero(history.is_diverged) == 1
    assert history.n_resources[result.choice.index] == 2


def test_an_algorithm_of_whole_epochs_knows_no_parts(long_epochs):
    _, (population,) = searched(table(n_epochs=3), Halving(min_epochs=1))
    assert not population.shares
    assert population.n_epochs == 3


@pytest.mark.parametrize(
    ("n_candidates", "rungs"),
    [(9, [1, 4, 12]), (18, [1, 4, 12]), (32, [1, 3, 12]), (72, [1, 2, 12])],
)
def test_of_many_candidates_as_few_are_trained_to_the_end(n_candidates, rungs):
    losses = table(n_candidates, n_epochs=12)
    seen = searched(losses, Halving(min_epochs=1), n_candidates=n_candidates)[0].history.n_resources
    assert set(rungs) <= set(seen)
    assert (seen == 12).sum() <= 4


def test_halving_ends_where_all_diverged():
    with pytest.raises(AllDivergedError, match="also the lowest learning rate tried"):
        searched(np.full((9, 2, 9), np.nan), Halving())


class Further(BaseSearch):
    """Proposes two candidates, then the one between them."""

    def propose(self, problem, history):
        if history is None:
            return problem.space.family(0, np.array([3.0, 1.0]))
        if history.n_rounds == 1:
            assert history.choice.index == 1
            return history.candidates.with_rates([2.0], like=0)
        return None


def test_rounds_are_joined_in_order():
    losses = table(3)
    losses[:, :, -1] = [[0.9], [0.1], [0.5]]
    losses[:, :, :-1] = 1.0
    result, populations = searched(losses, Further())
    assert [len(population.losses) for population in populations] == [2, 1]
    np.testing.assert_array_equal(result.history.candidates.learning_rates, [1, 2, 3])
    np.testing.assert_array_equal(result.history.recorded["log_loss"], losses)
    assert result.choice.index == 1


class Wrong(BaseSearch):
    """Answers what it was made with."""

    def __init__(self, staying=None, until=None):
        self.staying = staying
        self.until = until

    def promote(self, rung):
        if not rung.n_trained:
            return rung.staying, 2
        return self.staying, self.until


@pytest.mark.parametrize(
    ("staying", "until", "message"),
    [
        ([0], 2, r"Wrong\.promote must return an epoch after 2, up to the budget of 9"),
        ([0], 10, "an epoch after 2"),
        ([9], 4, r"positions out of rung\.staying"),
    ],
)
def test_an_algorithm_that_answers_nonsense_is_told_so(staying, until, message):
    with pytest.raises(ValueError, match=message):
        searched(table(), Wrong(staying, until))


class Patience:
    """A clock that allows so many epochs."""

    search_epoch = 0.0

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def allows(self, n_epochs, more=1):
        return n_epochs <= self.n_epochs


@pytest.mark.parametrize(("allowed", "seen"), [(0, 1), (1, 1), (5, 5), (9, 9)])
def test_a_search_ends_when_time_does(allowed, seen):
    losses = table()
    result, _ = searched(losses, RandomSearch(), Execution(clock=Patience(allowed)))
    recorded = result.history.recorded["log_loss"]
    np.testing.assert_array_equal(recorded[..., :seen], losses[..., :seen])
    assert np.isnan(recorded[..., seen:]).all()
    np.testing.assert_array_equal(result.history.n_resources, seen)


@pytest.mark.parametrize(("allowed", "seen"), [(0, 1), (2, 2), (4, 4), (8, 8), (30, 30)])
def test_workers_are_sent_several_epochs_at_a_time(allowed, seen):
    execution = Execution(clock=Patience(allowed), n_workers=2)
    result, (population,) = searched(table(n_epochs=30), RandomSearch(), execution)
    np.testing.assert_array_equal(result.history.n_resources, seen)
    assert population.n_calls <= 11


@pytest.mark.parametrize(
    ("allowed", "resources"), [(1, {1}), (2, {1, 2}), (3, {1, 3}), (4, {1, 3, 4})]
)
def test_halving_ends_within_a_rung(allowed, resources):
    result, _ = searched(table(), Lowest(), Execution(clock=Patience(allowed)))
    assert set(result.history.n_resources) == resources


class HalfAnEpoch(BaseSearch):
    """All are compared after half an epoch."""

    def __init__(self, looks=True):
        self.looks = looks

    def promote(self, rung):
        is_half = not rung.n_trained and (rung.steps_per_epoch or not self.looks)
        return rung.staying, 0.5 if is_half else rung.budget


def test_parts_are_refused_where_epochs_are_whole():
    with pytest.raises(ValueError, match=r"HalfAnEpoch\.promote must return a whole epoch"):
        searched(table(), HalfAnEpoch(looks=False))


def test_parts_of_an_epoch_are_asked_for_by_an_algorithm(long_epochs):
    result, (population,) = searched(table(), HalfAnEpoch())
    assert population.shares == [(0.5, 9)]
    np.testing.assert_array_equal(result.history.n_resources, 9)
    np.testing.assert_array_equal(result.history.iteration, 1)


def test_where_all_diverge_in_the_first_epoch_it_goes_on_to_its_end(long_epochs):
    losses = np.full((9, 1, 2), np.nan)
    with pytest.raises(AllDivergedError):
        searched(losses, Halving())
