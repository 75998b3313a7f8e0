"""A few rates from many curves."""

from itertools import count

import numpy as np
import pytest
from test_meta_features import TASK

from sk_metalr import ExperienceRecord
from sk_metalr._experience.fingerprint import Fingerprint
from sk_metalr._experience.portfolio import (
    greedy_portfolio,
    n_repeats,
    proposal,
    regrets,
    with_means,
)

RATES = np.geomspace(1e-5, 1, 21)


NUMBERS = count(100)


def record(best=1e-3, *, rates=RATES, losses=None, baseline_loss=0.7, n=None, **features):
    """Return a search whose loss rises by 0.1 nats with each decade from the best rate.

    On a table of `n` rows of the first of two classes; None: of another number each time.
    """
    if losses is None:
        losses = 0.3 + 0.1 * np.abs(np.log10(rates / best))
    task = TASK | {"optimizer": "Adam", "schedule": "constant"} | features
    n = 2 * next(NUMBERS) if n is None else n
    return ExperienceRecord(
        Fingerprint(1000, 5, (n, 1000 - n), {}),
        task,
        rates,
        losses,
        np.zeros(len(rates)),
        np.ones(len(rates), int),
        baseline_loss,
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


def test_regrets_are_capped_and_unknown_outside_what_was_tried():
    rates = np.array([1e-3, 1e-2, 1e-1])
    one = record(rates=rates, losses=np.array([0.5, 0.3, np.inf]))
    asked = np.array([1e-4, 1e-3, 10**-2.5, 1e-2, 1e-1, 1.0])
    np.testing.assert_allclose(regrets(one, asked), [np.nan, 0.2, 0.1, 0, 0.75, np.nan])


def test_what_a_task_does_not_know_it_takes_from_the_others():
    nan = np.nan
    known = np.array([[nan, 0.2, 0.5], [0.4, 0.1, nan], [0.1, nan, 0.3]])
    filled = with_means(known, np.array([1.0, 2, 1]))
    np.testing.assert_allclose(filled, [[0.3, 0.2, 0.5], [0.4, 0.1, 0.4], [0.1, 0.4 / 3, 0.3]])


def test_a_narrow_search_does_not_speak_against_what_it_has_not_tried():
    wide = [record(1e-4) for _ in range(3)]
    narrow = [record(rates=RATES[12:16], losses=np.array([0.5, 0.45, 0.5, 0.6])) for _ in range(4)]
    assert proposal(HERE, wide + narrow, 1).learning_rates == pytest.approx(1e-4, rel=0.4)


def test_a_task_without_skill_tells_which_rates_are_worse():
    one = record(rates=RATES[:3], losses=np.array([0.9, 0.75, 0.8]))
    np.testing.assert_allclose(regrets(one, RATES[:3]), [0.15, 0, 0.05])


def test_it_holds_a_good_rate_for_every_task():
    records = [record(best) for best in (1e-4, 1e-3, 1e-2) for _ in range(2)]
    found = proposal(HERE, records, 3)
    np.testing.assert_allclose(found.learning_rates, [1e-4, 1e-3, 1e-2], rtol=0.4)
    assert found.records == records


def test_tasks_alike_count_for_more():
    near = [record(1e-4) for _ in range(3)]
    far = [record(1e-2, n_rows=3_000, n_parameters=200_000) for _ in range(3)]
    assert proposal(HERE, near + far, 1).learning_rates == pytest.approx(1e-4, rel=0.2)
    assert proposal(HERE, near + far, 1).records == near + far


def test_folds_of_one_table_are_one_task():
    folds = [record(1e-2, n=500 + fold % 2, n_rows=1000 + fold % 2) for fold in range(10)]
    assert n_repeats([*folds, record()]).tolist() == [10] * 10 + [1]
    others = [record(1e-4) for _ in range(2)]
    assert proposal(HERE, folds + others[:1], 1).learning_rates.size == 0  # two tasks
    found = proposal(HERE, folds + others, 1)
    assert found.learning_rates == pytest.approx(1e-4, rel=0.2)
    networks = [record(n=500, n_parameters=10**i) for i in range(3, 6)]
    assert n_repeats(networks).tolist() == [1, 1, 1]
    scheduled = [record(n=500, schedule=name) for name in ("constant", "cosine")]
    assert n_repeats(scheduled).tolist() == [1, 1]


def test_another_schedule_counts_for_less_and_another_optimizer_for_nothing():
    same = [record(1e-4) for _ in range(3)]
    scheduled = [record(1e-2, schedule="cosine") for _ in range(3)]
    other = [record(1e-1, optimizer="SGD") for _ in range(9)]
    found = proposal(HERE, same + scheduled + other, 1)
    assert found.learning_rates == pytest.approx(1e-4, rel=0.2)
    assert found.records == same + scheduled
    cosine = proposal(HERE | {"schedule": "cosine"}, same + scheduled, 1)
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
        [record(n=500) for _ in range(5)],  # one task, five times
    ],
)
def test_a_task_unlike_all_has_no_portfolio(records):
    assert proposal(HERE, records, 4).learning_rates.size == 0


def test_bounds_hold():
    records = [record(1e-4) for _ in range(3)]
    rates = proposal(HERE, records, 4, bounds=(1e-2, 1e-1)).learning_rates
    assert len(rates) == 4
    assert rates.min() == pytest.approx(1e-2)
    assert rates.max() <= 1e-1
    for elsewhere in [(2.0, 3.0), (1e-8, 1e-6)]:  # where nothing was tried
        assert proposal(HERE, records, 4, bounds=elsewhere).learning_rates.size == 0
    assert proposal(HERE, records, 4, bounds=(1e-3, 1e-3)).learning_rates == pytest.approx([1e-3])
