import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in [n for n, m in sys.modules.items() if _is_benchmark(m)]:
        del sys.modules[name]


def _is_benchmark(module):
    return str(getattr(module, "__file__", None) or "").startswith(str(BENCHMARKS))


RATES = np.geomspace(1e-5, 1, 11)


@pytest.mark.parametrize("at", [2, 5, 8])
def test_steepest_finds_the_cliff(at):
    from rate_range import steepest

    assert steepest(RATES, np.where(np.arange(11) > at, 1.0, 2.0)) == RATES[at]


def test_valley_is_half_a_third_past_the_first_third_of_the_fall():
    from rate_range import valley

    losses = np.r_[np.linspace(2, 1, 8), [3.0, 4.0, 5.0]]  # falls over positions 0 … 7
    assert valley(RATES, losses) == pytest.approx(RATES[2])


def test_valley_is_that_of_the_longest_fall():
    from rate_range import valley

    losses = np.array([1.0, 0.5, 9, 8, 7, 6, 5, 4, 3, 10, 11])
    assert RATES[2] < valley(RATES, losses) < RATES[8]


def bars(*table):
    from report_speed import speed_bars

    frame = pd.DataFrame(table, columns=["setting", "contender", "ratio"])
    return [holds for _, _, holds in speed_bars(frame)]


def test_speed_bars_hold_or_not():
    from report_speed import FIVE_SPLITS, ONE_SPLIT, speed

    ours = (speed.MAIN, ONE_SPLIT, 0.5)
    assert bars(ours) == [True]
    assert bars((speed.MAIN, ONE_SPLIT, 1.1)) == [False]
    assert bars(ours, (speed.MAIN, "Optuna TPE", 6.1)) == [True, True]
    assert bars(ours, (speed.MAIN, "Optuna TPE", 5.9)) == [True, False]
    # Five folds are compared with five splits.
    five = (speed.MAIN, "RandomizedSearchCV, cv=5, n_jobs=2", 20.0)
    assert bars(ours, (speed.MAIN, FIVE_SPLITS, 2.0), five) == [True, True, False]


def test_exponent_of_a_power_law():
    from report_scaling import exponent

    values = np.array([1.0, 10, 100, 1000])
    assert exponent(values, np.r_[7.0, values[1:] ** 1.5]) == pytest.approx(1.5)


def quality_scores(ours, default, portfolio=0.2, early=0.3):
    pytest.importorskip("optuna")
    import report_quality as report

    losses = dict.fromkeys(report.CHOOSING, 0.5)
    losses |= {
        report.quality.OURS: ours,
        report.quality.DEFAULT: default,
        report.quality.PORTFOLIO: portfolio,
        report.quality.EARLY_STOPPING: early,
    }
    return pd.DataFrame(
        [
            {"table": t, "seed": 0, "method": m, "log_loss": loss, "excess": loss - 0.19}
            for t in ("one", "two")
            for m, loss in losses.items()
        ]
    )


@pytest.mark.parametrize(
    ("scores", "held"),
    [((0.2, 0.3), 9), ((0.2, 0.24), 8), ((0.22, 0.3), 8), ((0.6, 0.3), 2), ((0.2, 0.3, 0.25), 7)],
)
def test_quality_bars_hold_or_not(scores, held):
    scores = quality_scores(*scores)
    from report_quality import quality_bars

    assert sum(holds for _, _, holds in quality_bars(scores, quick=False)) == held


@pytest.mark.parametrize(
    ("four", "unlike", "says_so", "held"),
    [(0.1, 0.1, 1.0, 7), (0.1, 0.1, 0.0, 6), (0.105, 0.1, 1.0, 6), (0.1, 0.12, 1.0, 6)],
)
def test_portfolio_bars_hold_or_not(four, unlike, says_so, held):
    pytest.importorskip("optuna")
    import report_portfolio as report

    excess = dict.fromkeys(report.LIKE, four)
    rows = [
        {"table": table, "task": task, "method": method, "excess": value, "without_skill": says_so}
        for table in ("one", "two")
        for task in ["2 x 128, Adam", "labels shuffled", "linear, Adam"]
        for method, value in {
            report.RANDOM: 0.1,
            report.FOUR: 0.1,
            report.TAUGHT: excess.get(task, unlike if task == "linear, Adam" else 0.1),
        }.items()
    ]
    bars = report.portfolio_bars(pd.DataFrame(rows))
    assert sum(holds for _, _, holds in bars) == held
