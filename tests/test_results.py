"""Records of a search."""

import numpy as np
import pandas as pd

from sk_metalr._results import cv_results
from sk_metalr._search import Record
from sk_metalr._selection import choose

RATES = np.array([1e-3, 1e-2, 1e-1])


def results():
    losses = np.array(
        [
            [[0.9, 0.8], [0.7, 0.6]],
            [[0.5, 0.6], [0.3, 0.4]],
            [[0.4, 0.4], [0.4, np.nan]],
        ]
    )
    choice = choose(losses, RATES, no_skill_loss=1.0, selection="min")
    params = [{"learning_rate": rate, "optimizer": "sgd"} for rate in RATES]
    record = Record(np.stack([losses, losses]), np.full(3, 2), np.zeros(3, int))
    return cv_results(record, params, choice), choice


def test_scores_are_negative_losses_at_each_candidates_epoch():
    table, choice = results()
    assert choice.index == 1
    np.testing.assert_array_equal(table["n_epochs"][:2], [2, 1])
    np.testing.assert_array_equal(table["split0_test_score"], [-0.8, -0.5, np.nan])
    np.testing.assert_array_equal(table["split1_test_score"], [-0.6, -0.3, np.nan])
    np.testing.assert_allclose(table["mean_test_score"], [-0.7, -0.4, np.nan])
    np.testing.assert_allclose(table["std_test_score"], [0.1, 0.1, np.nan])


def test_the_diverged_rank_last_and_say_when():
    table, _ = results()
    np.testing.assert_array_equal(table["rank_test_score"], [2, 1, 3])
    np.testing.assert_array_equal(table["diverged"], [False, False, True])
    np.testing.assert_array_equal(table["diverged_epoch"], [0, 0, 2])


def test_pandas_takes_it_as_it_stands():
    table, _ = results()
    frame = pd.DataFrame(table)
    assert len(frame) == 3
    assert frame.params[1] == {"learning_rate": 0.01, "optimizer": "sgd"}
    assert frame.param_learning_rate.dtype == float
    assert list(frame.param_optimizer) == ["sgd"] * 3
