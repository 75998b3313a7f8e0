"""Records of a search."""

import numpy as np
import pandas as pd

from sk_metalr._recorded import Recorded
from sk_metalr._search.diagnostics import (
    baseline_message,
    budget_message,
    edge_message,
    family_of,
)
from sk_metalr._search.history import History
from sk_metalr._search.results import cv_results
from sk_metalr._search.selection import Choice
from sk_metalr._space import OPTIMIZER, RATE, Candidates, Level
from sk_metalr._task import Classification

RATES = np.array([1e-3, 1e-2, 1e-1])
TASK = Classification()


def results():
    losses = np.array(
        [
            [[0.9, 0.8], [0.7, 0.6]],
            [[0.5, 0.6], [0.3, 0.4]],
            [[0.4, 0.4], [0.4, np.nan]],
        ]
    )
    lowest = np.array([0.7, 0.4, np.inf])
    averaged = np.array([False, False, True])
    choice = Choice(1, np.array([2, 1, 1]), lowest, np.full(3, 0.1), (1e-2, 1e-2), averaged)
    columns = {RATE: RATES, OPTIMIZER: np.zeros(3, int)}
    history = History(
        Candidates(columns, {OPTIMIZER: [Level("sgd", "sgd")]}),
        Recorded(("log_loss",), losses[None]),
        n_resources=np.full(3, 2),
        iteration=np.zeros(3, int),
        n_rounds=1,
        choice=choice,
        baseline_loss=1.0,
        trained=[],
    )
    return cv_results(history, choice, [{"score": -losses}, {"score": 1 - losses}]), choice


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
    assert frame.params[1] == {RATE: 0.01, OPTIMIZER: "sgd"}
    assert frame[f"param_{RATE}"].dtype == float
    assert list(frame.param_optimizer) == ["sgd"] * 3


def test_a_family_differs_in_its_rates_only():
    params = [{RATE: r, OPTIMIZER: o} for o in ("sgd", "adam") for r in (0.1, 0.2)]
    assert family_of({"params": params}, 3) == (0.2, [0.1, 0.2])
    assert family_of({"params": [{RATE: 0.1}]}, 0) == (0.1, [0.1])
    units = [one | {"model__units": n} for n, one in enumerate(params)]
    assert family_of({"params": units}, 3) == (0.2, [0.1, 0.2])


def test_what_is_worth_a_warning():
    assert "is the lowest that was tried; lower" in edge_message(1, [1, 2, 3])
    assert "is the highest that was tried; higher" in edge_message(3, [1, 2, 3])
    assert edge_message(2, [1, 2, 3]) == edge_message(1, [1]) == ""
    assert "(1.5 nats)" in baseline_message(1.5, 1.0, "", TASK)
    assert baseline_message(0.5, 1.0, "", TASK) == ""


def test_a_budget_is_too_short_where_the_loss_still_falls_at_its_end():
    falling = np.linspace(1.0, 0.2, 20)[None, None]
    assert "whole budget, 20, and" in budget_message(falling, 0, 20, 1.0, TASK)
    assert budget_message(falling, 0, 19, 1.0, TASK) == ""
    flat = 0.2 + 0.8 * np.exp(-np.arange(20))[None, None]
    assert budget_message(flat, 0, 20, 1.0, TASK) == ""
    assert budget_message(falling, 0, 20, 100.0, TASK) == ""  # not worth mentioning
    assert budget_message(np.array([[[0.9, 0.5]]]), 0, 2, 1.0, TASK) != ""
    assert budget_message(np.array([[[0.9]]]), 0, 1, 1.0, TASK) == ""


def test_a_fall_within_the_noise_of_splits_is_no_reason_for_more_epochs():
    at_odds = np.stack([np.linspace(1.0, 0.5, 20), np.linspace(0.6, 0.9, 20)])[None]
    assert budget_message(at_odds, 0, 20, 1.0, TASK) == ""
    alike = np.stack([np.linspace(1.0, 0.5, 20), np.linspace(1.0, 0.6, 20)])[None]
    assert budget_message(alike, 0, 20, 1.0, TASK) != ""


def test_a_budget_is_long_enough_where_another_rate_was_as_good_earlier():
    slow, fast = np.linspace(1.0, 0.2, 20), np.linspace(0.2, 0.5, 20)
    diverged = np.full(20, np.nan)
    losses = np.stack([slow, fast, diverged])[:, None]
    assert budget_message(losses, 0, 20, 1.0, TASK) == ""
    assert budget_message(losses[[0, 2]], 0, 20, 1.0, TASK) != ""
