import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from make import SMALL_FITS_WARN
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedKFold

pytestmark = SMALL_FITS_WARN


ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def benchmarks_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


RATES = np.geomspace(1e-5, 1, 11)


@pytest.mark.parametrize("at", [2, 5, 8])
def test_steepest_finds_the_cliff(at):
    from benchmarks.suites.quality.range_test import steepest

    assert steepest(RATES, np.where(np.arange(11) > at, 1.0, 2.0)) == RATES[at]


def test_valley_is_half_a_third_past_the_first_third_of_the_fall():
    from benchmarks.suites.quality.range_test import valley

    losses = np.r_[np.linspace(2, 1, 8), [3.0, 4.0, 5.0]]  # falls over positions 0 … 7
    assert valley(RATES, losses) == pytest.approx(RATES[2])


def test_valley_is_that_of_the_longest_fall():
    from benchmarks.suites.quality.range_test import valley

    losses = np.array([1.0, 0.5, 9, 8, 7, 6, 5, 4, 3, 10, 11])
    assert RATES[2] < valley(RATES, losses) < RATES[8]


def test_lowest_is_the_lowest_mean_of_those_that_never_diverged():
    from benchmarks.suites.quality.measure import lowest

    curves = np.full((3, 2, 4), 1.0)
    curves[0, :, 2] = 0.1, 0.7  # mean 0.4
    curves[1, :, 3] = 0.0, 0.9  # the lowest loss of all, on one split
    curves[2, :, 1], curves[2, 0, 3] = 0.0, np.nan
    assert lowest(RATES[:3], curves) == (RATES[0], 3)
    assert lowest(RATES[:3], curves[:, :1]) == (RATES[1], 4)


@pytest.mark.parametrize("n_splits", [1, 3])
def test_choices_of_some_splits_are_those_of_a_fit_on_them(n_splits):
    from benchmarks.harness.networks import keras_classifier
    from benchmarks.suites.quality.measure import ours, smoothed_curves
    from sk_metalr import MetaLRClassifier

    X, y = load_iris(return_X_y=True)
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, y))
    estimator = MetaLRClassifier(
        keras_classifier(6, 8, random_state=0),
        n_candidates=8,
        refit=False,
        calibrate=False,
        random_state=0,
    )
    on_all = clone(estimator).set_params(cv=folds).fit(X, y)
    on_some = clone(estimator).set_params(cv=folds[:n_splits]).fit(X, y)
    np.testing.assert_allclose(
        smoothed_curves(on_all, folds, n_splits), on_some.laplace_learning_curves_, rtol=1e-5
    )
    best = on_some.best_learning_rate_, on_some.best_n_epochs_
    assert ours(on_all, folds, n_splits) == best
    lowest_rate, _ = on_some.learning_rate_interval_
    assert ours(on_all, folds, n_splits, within_one_error=True)[0] == lowest_rate


def test_refitted_choices_predict_as_they_were_scored_in_their_epoch(monkeypatch):
    from benchmarks.harness import refitting, scores
    from benchmarks.harness.tables import Table

    X, y = load_iris(return_X_y=True)
    X = X.astype(np.float32)
    train, test = next(StratifiedKFold(4, shuffle=True, random_state=0).split(X, y))
    table = Table("iris", X[train], X[test], y[train], y[test])
    monkeypatch.setattr(refitting, "EPOCHS", 4)
    choices = {"early": (0.01, 2), "late": (0.02, 4)}
    rates = np.array([0.001, 0.01, 0.02])
    curves, predictions = refitting._refitted(table, 0, choices, rates)
    assert curves.shape == (3, 4)
    for name, (rate, n_epochs) in choices.items():
        loss = scores.score(table.y_test, predictions[name])["log_loss"]
        assert loss == pytest.approx(curves[rates == rate, n_epochs - 1], rel=1e-4)


def bars(*table):
    from benchmarks.suites.speed.report import speed_bars

    frame = pd.DataFrame(table, columns=["setting", "contender", "ratio"])
    return [holds for _, _, holds in speed_bars(frame)]


def test_speed_bars_hold_or_not():
    from benchmarks.suites.speed.report import FIVE_SPLITS, ONE_SPLIT, speed

    ours = (speed.MAIN, ONE_SPLIT, 0.5)
    assert bars(ours) == [True]
    assert bars((speed.MAIN, ONE_SPLIT, 1.1)) == [False]
    assert bars(ours, (speed.MAIN, "Optuna TPE", 6.1)) == [True, True]
    assert bars(ours, (speed.MAIN, "Optuna TPE", 5.9)) == [True, False]
    # Five folds are compared with five splits.
    five = (speed.MAIN, "RandomizedSearchCV, cv=5, n_jobs=2", 20.0)
    assert bars(ours, (speed.MAIN, FIVE_SPLITS, 2.0), five) == [True, True, False]


def test_exponent_of_a_power_law():
    from benchmarks.suites.scaling.report import exponent

    values = np.array([1.0, 10, 100, 1000])
    assert exponent(values, np.r_[7.0, values[1:] ** 1.5]) == pytest.approx(1.5)


def quality_scores(ours, default, portfolio=0.2, early=0.3):
    from benchmarks.suites.quality import report

    losses = dict.fromkeys(report.CHOOSING, 0.5)
    losses |= {
        report.quality.OURS: ours,
        report.quality.UNCALIBRATED: ours + 0.02,
        report.calibrated.ENSEMBLES[10]: ours - 0.01,
        report.calibrated.SAME_CHOICE[10]: ours,
        report.quality.FIVE_MODELS: ours + 0.01,
        **dict.fromkeys(report.calibrated.CHOSEN_ON_TEST.values(), 0.1),
        report.quality.HINDSIGHT: 0.6,
        report.quality.DEFAULT: default,
        report.quality.PORTFOLIO: portfolio,
        report.quality.EARLY_STOPPING: early,
    }
    scores = pd.DataFrame(
        [
            {"table": t, "seed": 0, "method": m, "log_loss": loss, "excess": loss - 0.19}
            for t in ("one", "two")
            for m, loss in losses.items()
        ]
    )
    good, bad = ["accuracy", "balanced_accuracy"], ["calibration_error", "brier"]
    scores = scores.assign(**dict.fromkeys(bad, scores.log_loss), **dict.fromkeys(good, 1.0))
    scores.loc[scores.method == report.quality.HINDSIGHT, good + bad] = np.nan
    return scores


@pytest.mark.parametrize(
    ("scores", "held"),
    [
        ((0.2, 0.3), 19),
        ((0.2, 0.24), 18),
        ((0.22, 0.3), 18),
        ((0.6, 0.3), 12),
        ((0.2, 0.3, 0.25), 17),
    ],
)
def test_quality_bars_hold_or_not(scores, held):
    from benchmarks.suites.quality.report import quality_bars

    scores = quality_scores(*scores)
    assert sum(holds for _, _, holds in quality_bars(scores, quick=False)) == held


@pytest.mark.parametrize(
    ("method", "table", "change", "missed"),
    [
        ("OURS", "one", 0.0, set()),
        ("OURS", "one", 0.05, {"nats below", "no table", "Brier", "calibration error"}),
        ("FIVE_MODELS", "two", -0.05, {"nats below", "no table"}),
        ("HINDSIGHT", "two", -0.9, {"hindsight"}),
    ],
)
def test_calibration_bars_hold_or_not(method, table, change, missed):
    from benchmarks.suites.quality import report

    scores = quality_scores(0.2, 0.3)
    at = (scores.method == getattr(report.quality, method)) & (scores.table == table)
    scores.loc[at, ["log_loss", "brier", "calibration_error"]] += change
    bars = list(report.calibration_bars(scores))
    found = {bar for bar, _, holds in bars if not holds}
    assert len(found) == len(missed)
    assert all(any(words in bar for bar in found) for words in missed)


@pytest.mark.parametrize(("above", "held"), [(0.0, 2), (0.04, 1), (0.2, 0)])
def test_bars_of_many_divisions_hold_or_not(above, held, tmp_path):
    from benchmarks.suites.divisions import report

    ten = report.ENSEMBLES[10]
    losses = {report.OURS: 0.2, ten: 0.2, report.UNCALIBRATED: 0.2, report.FIVE_MODELS: 0.2}
    losses |= {ten: 0.2 + above, report.OURS: 0.2 + above / 4}  # means over two divisions
    records = {
        name: {
            "arguments": {"table": name},
            "result": [
                {"seed": seed, "method": method, "log_loss": 0.2 + (loss - 0.2) * seed * worse}
                for seed in (0, 1)
                for method, loss in losses.items()
            ],
        }
        for name, worse in (("one", 0), ("two", 1))
    }
    (part,), bars = report.report(records, False, tmp_path)
    assert sum(holds for _, _, holds in bars) == held
    assert f"{above / 2:.4f}" in part


@pytest.mark.parametrize(
    ("four", "unlike", "says_so", "held"),
    [(0.1, 0.1, 1.0, 7), (0.1, 0.1, 0.0, 6), (0.105, 0.1, 1.0, 6), (0.1, 0.12, 1.0, 6)],
)
def test_portfolio_bars_hold_or_not(four, unlike, says_so, held):
    from benchmarks.suites.portfolio import report

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


@pytest.mark.parametrize(
    ("growth", "choices", "missed"), [(0.1, 1, 0), (6.0, 1, 1), (0.1, 2, 1), (6.0, 2, 2)]
)
def test_a_missed_bar_is_told_and_marked_on_the_page(growth, choices, missed, tmp_path, capsys):
    from benchmarks.harness import pages

    memory = {"resident_megabytes": [1.0] * 10, "growth": growth, "retracing_warnings": 0}
    seconds = {"here": 2.0, "dask": 2.0}
    workers = {"seconds": seconds, "first_seconds": seconds, "n_choices": choices}
    results = {"memory": memory, "workers": workers | {"largest_difference": 0.0}}
    records = {s: {s: {"result": result, "seconds": 60.0}} for s, result in results.items()}
    held = pages.write(records, {"machine": "this"}, "command", False, tmp_path, "RESULTS")
    assert held == (missed == 0)
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.count("**missed**") == missed
    assert page.index("## Bars") < page.index("## Memory") < page.index("## Workers")
    assert capsys.readouterr().out.count("MISSED") == missed
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["records"] == {"memory": records["memory"]["memory"], **records["workers"]}
    # A later version shows these bars beside its own.
    (tmp_path / "1.0").mkdir()
    (tmp_path / "results-bars.json").rename(tmp_path / "1.0" / "results-bars.json")
    before = f"{growth:.2f} MB, 0 warnings"
    records["memory"]["memory"]["result"] = memory | {"growth": 0.3}
    pages.write(records, {"machine": "this"}, "command", False, tmp_path, "RESULTS")
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| bar | measured |  | 1.0 |" in page
    assert f"| 0.30 MB, 0 warnings | holds | {before} |" in page


def test_the_command_exits_non_zero_where_a_bar_is_missed(monkeypatch, tmp_path):
    from benchmarks import run
    from benchmarks.harness import pages

    monkeypatch.setattr(sys, "argv", ["run.py", "--quick", "--out", str(tmp_path)])
    monkeypatch.setattr(run, "environment", dict)
    monkeypatch.setattr(run, "measure_all", lambda suites, *_: {s: {} for s in suites})
    assert run.main() == 0
    monkeypatch.setattr(pages, "write", lambda *_: False)
    assert run.main() == 1


def test_a_record_counts_for_the_same_cell_and_fingerprint_only(monkeypatch, tmp_path):
    from benchmarks.harness import cells
    from benchmarks.suites.memory import measure

    monkeypatch.setattr(measure, "cells", lambda quick: {"memory": {"n_fits": 1 if quick else 2}})
    monkeypatch.setattr(cells, "fingerprint", lambda suite, of: of["code"])
    measured = []

    def run(suite, arguments, path, stamp):
        measured.append(arguments["n_fits"])
        record = {"fingerprint": stamp, "arguments": arguments, "seconds": 0.0, "result": 1}
        path.write_text(json.dumps(record))
        return stamp != "broken"

    monkeypatch.setattr(cells, "_run", run)
    for quick, code in [(True, "a"), (True, "a"), (False, "a"), (True, "b"), (False, "a")]:
        found = cells.measure_all(["memory"], quick, tmp_path, {"code": code})
        assert found["memory"]["memory"]["fingerprint"] == code
    assert measured == [1, 2, 1]
    with pytest.raises(SystemExit, match="Failed: memory"):
        cells.measure_all(["memory"], True, tmp_path, {"code": "broken"})


def test_fingerprints_are_of_what_a_suite_measures_with():
    from benchmarks.harness.fingerprint import BENCHMARKS, fingerprint, sources

    suites = BENCHMARKS / "suites"
    found = sources(suites / "speed" / "measure.py")
    assert suites / "speed" / "peers.py" in found  # by itself
    assert BENCHMARKS / "harness" / "networks.py" in found
    assert suites / "speed" / "report.py" not in found
    assert fingerprint("memory", {}) == fingerprint("memory", {})
    assert fingerprint("memory", {}) != fingerprint("memory", {"python": "4"})
    assert fingerprint("memory", {}) != fingerprint("workers", {})


def test_every_suite_names_its_cells_and_writes_a_report():
    from benchmarks.suites import SUITES

    for suite in SUITES:
        measure = importlib.import_module(f"benchmarks.suites.{suite}.measure")
        report = importlib.import_module(f"benchmarks.suites.{suite}.report")
        cells = measure.cells(quick=False)
        assert cells
        inspect.signature(report.report).bind({}, False, ROOT)
        for arguments in [*cells.values(), *measure.cells(quick=True).values()]:
            assert json.loads(json.dumps(arguments)) == arguments
            inspect.signature(measure.measure).bind(**arguments)


def test_strategies_try_16_rates_for_each_optimizer_and_schedule():
    from benchmarks.suites.strategies.measure import N_CANDIDATES, VARIANTS
    from sk_metalr import MetaLRClassifier
    from sk_metalr._space import StrategySpace

    for params in VARIANTS.values():
        MetaLRClassifier().set_params(**params)
        space = StrategySpace(params.get("param_distributions"), params.get("learning_rates"))
        wanted = params.get("n_candidates", N_CANDIDATES)
        assert {n for _, n in space.shares(wanted, np.random.RandomState(0))} == {16}


def test_a_search_is_recorded_for_the_shipped_experience(monkeypatch, tmp_path):
    from benchmarks import build_experience as build
    from sk_metalr import Experience

    monkeypatch.setattr(build, "SEARCHES", tmp_path)
    monkeypatch.setattr(build, "RATES", np.geomspace(1e-3, 1e-1, 3))
    cell = build.Cell("iris", "1 x 32", "momentum", 32, 10, 400)
    build.search(cell)
    (record,) = Experience.load(cell.path)
    assert record.source == "iris"
    assert record.features["optimizer"] == "SGD(momentum=0.9)"
    np.testing.assert_allclose(record.learning_rates, build.RATES)
    assert [path.name for path in tmp_path.iterdir()] == [cell.path.name]
    monkeypatch.setattr(build, "cells", lambda: [cell])
    monkeypatch.setattr(sys, "argv", ["build_experience.py", "--out", str(tmp_path / "all.jsonl")])
    build.main()
    assert (tmp_path / "all.jsonl").read_text() == cell.path.read_text()


@pytest.mark.parametrize("script", ["run.py", "build_experience.py"])
def test_scripts_run_from_any_folder(script, tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / script), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--out" in done.stdout
