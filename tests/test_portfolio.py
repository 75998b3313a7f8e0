"""A few rates from many curves."""

import numpy as np
import pytest
from test_meta_features import TASK

from sk_metalr import ExperienceRecord
from sk_metalr._fingerprint import Fingerprint
from sk_metalr._portfolio import greedy_portfolio, portfolio, regrets

RATES = np.geomspace(1e-5, 1, 21)


def record(best=1e-3, *, rates=RATES, losses=None, no_skill_loss=0.7, **features):
    """Return a search whose loss rises by 0.1 nats with each decade from the best rate."""
    if losses is None:
        losses = 0.3 + 0.1 * np.abs(np.log10(rates / best))
    task = TASK | {"optimizer": "Adam", "schedule": "constant"} | features
    n = len(rates)
    return ExperienceRecord(
        Fingerprint(100, 5, {}), task, rates, losses, np.zeros(n), np.ones(n, int), no_skill_loss
    )


HERE = record().features


def test_one_rate_is_the_one_with_the_lowest_mean_regret():
    chosen = greedy_portfolio(np.array([[0, 0.2, 1], [1, 0.2, 0]]), np.ones(2), 1)
    assert chosen == [1]


def test_each_further_rate_is_the_one_that_adds_most():
    costs = np.array([[0.1, 0.05, 1, 1], [0.1, 0.4, 0.4, 1], [0.1, 0.5, 0.5, 0.0]])
    assert greedy_portfolio(costs, np.ones(3), 3) == [0, 3, 1]
    assert greedy_portfolio(costs, np.array([1, 1, 0]), 2) == [0, 1]


def test_without_anything_to_gain_the_next_best_is_taken():
    assert greedy_portfolio(np.array([[0.0, 0.5, 0.1, 0.3]]), np.ones(1), 3) == [0, 2, 3]
    assert greedy_portfolio(np.array([[0.0, 0.5]]), np.ones(1), 5) == [0, 1]


def test_regrets_are_capped_and_highest_outside_what_was_tried():
    rates = np.array([1e-3, 1e-2, 1e-1])
    one = record(rates=rates, losses=np.array([0.5, 0.3, np.inf]))
    asked = np.array([1e-4, 1e-3, 10**-2.5, 1e-2, 1e-1, 1.0])
    np.testing.assert_allclose(regrets(one, asked), [0.75, 0.2, 0.1, 0, 0.75, 0.75])


def test_a_task_without_skill_tells_which_rates_are_worse():
    one = record(rates=RATES[:3], losses=np.array([0.9, 0.75, 0.8]))
    np.testing.assert_allclose(regrets(one, RATES[:3]), [0.15, 0, 0.05])


def test_it_holds_a_good_rate_for_every_task():
    records = [record(best) for best in (1e-4, 1e-3, 1e-2) for _ in range(2)]
    found = portfolio(HERE, records, 3)
    np.testing.assert_allclose(found.learning_rates, [1e-4, 1e-3, 1e-2], rtol=0.4)
    assert (found.n_records, found.nearest) == (6, 0)


def test_tasks_alike_count_for_more():
    near = [record(1e-4) for _ in range(3)]
    far = [record(1e-2, n_rows=30_000, n_parameters=300_000) for _ in range(3)]
    assert portfolio(HERE, near + far, 1).learning_rates == pytest.approx(1e-4, rel=0.2)


def test_another_schedule_counts_for_less_and_another_optimizer_for_nothing():
    same = [record(1e-4) for _ in range(3)]
    scheduled = [record(1e-2, schedule="cosine") for _ in range(3)]
    other = [record(1e-1, optimizer="SGD") for _ in range(9)]
    found = portfolio(HERE, same + scheduled + other, 1)
    assert found.learning_rates == pytest.approx(1e-4, rel=0.2)
    assert found.n_records == 6
    cosine = portfolio(HERE | {"schedule": "cosine"}, same + scheduled, 1)
    assert cosine.learning_rates == pytest.approx(1e-2, rel=0.2)


@pytest.mark.parametrize(
    "records",
    [
        [],
        [record(), record()],  # too few
        [record(optimizer="SGD") for _ in range(5)],
        [record(layers="convolutional+dense+rnn", n_parameters=10**7) for _ in range(5)],
        [record(losses=np.full(len(RATES), np.inf)) for _ in range(5)],
        [record(rates=RATES[:1]) for _ in range(5)],
    ],
)
def test_a_task_unlike_all_has_no_portfolio(records):
    assert portfolio(HERE, records, 4).learning_rates.size == 0


def test_bounds_hold():
    records = [record(1e-4) for _ in range(3)]
    rates = portfolio(HERE, records, 4, bounds=(1e-2, 1e-1)).learning_rates
    assert len(rates) == 4
    assert rates.min() == pytest.approx(1e-2)
    assert rates.max() <= 1e-1
    assert portfolio(HERE, records, 4, bounds=(2.0, 3.0)).learning_rates == pytest.approx([2.0])
