"""What is written down is true."""

import doctest
import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from decimal import ROUND_HALF_UP, Decimal
from importlib import import_module
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import matplotlib
import pytest
from make import SMALL_FITS_WARN
from numpydoc.validate import validate
from packaging.version import Version

import sk_metalr
from sk_metalr import (
    BaseSearch,
    Experience,
    ExperienceRecord,
    Halving,
    Hypergradient,
    LearningCurvesDisplay,
    LearningRateDisplay,
    MetaLRClassifier,
    MetaLRRegressor,
    Portfolio,
    RandomSearch,
    _splits,
    verify,
)
from sk_metalr._models import given
from sk_metalr.exceptions import __all__ as exceptions

pytestmark = SMALL_FITS_WARN


matplotlib.use("Agg")

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
GUIDE = DOCS / "user_guide"
GENERATED = DOCS / "api", DOCS / "gallery", DOCS / "_build"
PAGES = [
    README,
    *sorted(
        page
        for page in DOCS.rglob("*.md")
        if not any(page.is_relative_to(folder) for folder in GENERATED)
        and "```{include}" not in page.read_text(encoding="utf-8")
    ),
]
"""Pages that are written by hand; what others include from elsewhere is not theirs."""

WITH_CODE = [p for p in PAGES if p != README and "```python" in p.read_text(encoding="utf-8")]
"""Pages whose code is run; the README has a test of its own."""

SEARCHES = RandomSearch, Halving, Portfolio, Hypergradient
CLASSES = (
    *(MetaLRClassifier, MetaLRRegressor, BaseSearch, *SEARCHES),
    *(LearningRateDisplay, LearningCurvesDisplay),
    *(Experience, ExperienceRecord),
)
METHODS = [
    (owner, name)
    for owner in CLASSES
    if owner not in SEARCHES  # whose methods BaseSearch documents
    for name, method in inspect.getmembers(owner, callable)
    # scikit-learn writes the set_..._request methods, and their docstrings.
    if not name.startswith("_") and getattr(method, "__module__", "").startswith("sk_metalr")
]
PUBLIC = [
    *("sk_metalr.report", "sk_metalr.verify"),
    *(f"sk_metalr.{owner.__name__}" for owner in CLASSES),
    *(f"sk_metalr.{owner.__name__}.{name}" for owner, name in METHODS),
    *(f"sk_metalr.exceptions.{name}" for name in exceptions),
]

NOT_ASKED_FOR = {
    "ES01",  # an extended summary, where one sentence says it
    "EX01",  # an example for each method
    "RT02",  # what is returned has a name, as in scikit-learn
    "SA01",  # See Also
}
WITH_EXAMPLES = (
    *("classifier", "regressor", "verification", "_persistence.saving", "_experience.store"),
    *("_display.report", "_display.learning_rate", "_display.strategy", "_display.reliability"),
    *("_search.random", "_search.halving", "_search.portfolio", "_search.hypergradient"),
)


def page_name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("name", WITH_EXAMPLES)
@pytest.mark.filterwarnings("ignore:The experience holds no:sk_metalr.exceptions.ExperienceWarning")
def test_the_examples_in_docstrings_run(name, monkeypatch):
    """As they stand, but for a shorter budget of the ready-made network."""
    monkeypatch.setitem(given.DEFAULT_TRAINING, "epochs", 4)
    results = doctest.testmod(import_module(f"sk_metalr.{name}"))
    assert results.attempted > 0
    assert results.failed == 0


def test_no_docstring_with_an_example_is_left_out():
    package = ROOT / "sk_metalr"
    with_examples = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if ">>> " in path.read_text(encoding="utf-8")
    }
    assert with_examples == set(WITH_EXAMPLES)


def python_blocks(page):
    """Return the code of a page, block by block."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def test_the_examples_in_the_readme_run(capsys):
    first, wider = python_blocks(README)
    names = {}
    exec(compile(first, str(README), "exec"), names)
    rate, n_epochs = capsys.readouterr().out.split()
    assert 1e-5 < float(rate) < 1
    assert 1 <= int(n_epochs) <= 20
    exec(compile(wider, str(README), "exec"), names)
    smaller = {"estimator__epochs": 3, "n_candidates": 16, "cv": 0.2}
    scaled = names["model"][:-1].transform(names["X"])
    fitted = names["wider"].set_params(**smaller).fit(scaled, names["y"])
    results = fitted.cv_results_
    settings = {(params["optimizer"], params["batch_size"]) for params in results["params"]}
    assert len(settings) == 2
    assert len(set(results["param_optimizer__weight_decay"].data)) == 1 + 8
    assert len(fitted.estimators_) == 5


SLOW_PAGES = {
    *("tutorial.md", "migration.md", "workers.md", "data.md", "spaces.md"),
    *("searches.md", "saving.md", "lanes.md"),
}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page_name(page), marks=pytest.mark.long)
        if page.name in SLOW_PAGES
        else pytest.param(page, id=page_name(page))
        for page in WITH_CODE
    ],
)
# Pages are run for two epochs, and few recorded searches were that short.
@pytest.mark.filterwarnings("ignore:The experience holds no:sk_metalr.exceptions.ExperienceWarning")
def test_the_code_of_a_page_runs(page, monkeypatch):
    """As it stands, but for a shorter budget, fewer candidates and fewer splits."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(given.DEFAULT_TRAINING, "epochs", 2)
    for estimator in (MetaLRClassifier, MetaLRRegressor):
        monkeypatch.setitem(estimator.__init__.__kwdefaults__, "n_candidates", 3)
    # Not the default of cv, beside which X_val would be refused.
    monkeypatch.setattr(_splits, "MAX_AUTO_SPLITS", 2)
    blocks = python_blocks(page)
    if page.parent == GUIDE and page.name != "index.md":
        blocks = python_blocks(GUIDE / "index.md") + blocks
    names = {"__name__": "__main__"}
    for block in blocks:
        smaller = block.replace("epochs=20", "epochs=2").replace("candidates=16", "candidates=3")
        exec(compile(smaller, str(page), "exec"), names)
    plt.close("all")


def test_the_example_of_a_search_algorithm_is_short():
    (code,) = [block for block in python_blocks(GUIDE / "extend.md") if "BaseSearch):" in block]
    assert len(code.splitlines()) <= 30


@pytest.mark.long
def test_tensorflows_own_lines_can_be_switched_off_as_documented():
    (silence,) = [b for b in python_blocks(GUIDE / "progress.md") if "TF_CPP_MIN_LOG_LEVEL" in b]
    fit = """
from sk_metalr import MetaLRClassifier
MetaLRClassifier(learning_rates=[1e-3, 1e-2], cv=0.2).fit([[0.0], [1.0]] * 20, [0, 1] * 20)
"""
    told = {}
    for name, code in {"as it is": fit, "silenced": silence + fit}.items():
        environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
        environment["PYTHONPATH"] = str(ROOT)
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env=environment,
            capture_output=True,
            check=True,
            text=True,
        )
        told[name] = run.stderr
    assert told["as it is"] != ""
    assert told["silenced"] == ""


def without_code(page):
    """Return the text of a page on one line, without blocks of code and bold type."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return " ".join(text.replace("**", "").split())


COST_OF_JOINT = "Cost of joint searches"
MILLION = "A million rows"
MANY = "Many divisions of small tables"
REPORTS = {
    **dict.fromkeys(["Bars", "Speed", "Quality", MANY, MILLION], "RESULTS.md"),
    **dict.fromkeys(["Strategies"], "STRATEGIES.md"),
    **dict.fromkeys(["Portfolio", "Folds"], "PORTFOLIO.md"),
    **dict.fromkeys(["Regression"], "REGRESSION.md"),
    **dict.fromkeys(["Rivals on the first division", "Rivals on all divisions"], "RIVALS.md"),
    **dict.fromkeys(["Joint searches", COST_OF_JOINT], "JOINT.md"),
    **dict.fromkeys(["Rules of the choice"], "ASIDE.md"),
}
"""Which report of the benchmarks holds a section."""

OURS = "Quality/MetaLRClassifier"
UNCALIBRATED = f"{OURS}, calibrate=False"
ONE_SPLIT = f"{UNCALIBRATED}, 1 split"
ON_TEST = f"{OURS}, chosen on the test rows"
TEN_ON_TEST = f"{OURS}, n_models=10, chosen on the test rows"
OF_IRIS = f"{MANY}/MetaLRClassifier, n_models=10/MetaLRClassifier, calibrate=False, n_models=5/iris"
OF_FOUR = f"{UNCALIBRATED}, portfolio of 4 from the other tables"
DEFAULT_RATE = "Quality/default rate"
NO_PRIOR = "Rules of the choice/prior of temperatures: 1000.0"
STRATEGIES = {
    "default": "Strategies/default",
    "halving": "Strategies/search=halving",
    "five models": "Strategies/n_models=5",
    "hypergradient": "Strategies/search=hypergradient",
}
"""Rows, as the reports call them."""

RENAMED = {"n_models=5": "n_refits=5"}
"""What reports called rows until their suites were renamed; goes once all are measured anew."""

DIGITS = "Speed/digits, width 128"
TIMES = "× one plain fit (range)"
COST = [
    f"| `MetaLRClassifier`, every later fit, as in `cross_val_score` "
    f"| «{DIGITS}/MetaLRClassifier, 1 split/{TIMES}» "
    f"| «{DIGITS}/MetaLRClassifier, 5 splits/{TIMES}:1» |",
    f'| the same with `search="portfolio"` | '
    f"| «{DIGITS}/MetaLRClassifier, portfolio, 5 splits/{TIMES}:1» |",
    f"| `MetaLRClassifier`, first fit in a process, compiling included "
    f"| «{DIGITS}/MetaLRClassifier, 1 split/first fit:1» "
    f"| «{DIGITS}/MetaLRClassifier, 5 splits/first fit:1» |",
    f"| `HalvingRandomSearchCV` over epochs, `n_jobs=2` "
    f"| «{DIGITS}/HalvingRandomSearchCV over epochs, n_jobs=2/{TIMES}:1» | |",
    f"| `RandomizedSearchCV`, `n_jobs=2` "
    f"| «{DIGITS}/RandomizedSearchCV, one split, n_jobs=2/{TIMES}:1» "
    f"| «{DIGITS}/RandomizedSearchCV, cv=5, n_jobs=2/{TIMES}:0» |",
]
WIDTH = "Speed/digits, width"
AT_512 = f"«{WIDTH} 512/RandomizedSearchCV, one split, n_jobs=2/{TIMES}:0»"
CONVOLUTIONS = (
    "16 candidates with halving on five splits cost "
    f"«Speed/digits, convolutions/MetaLRClassifier, halving, default splits/{TIMES}:1» ×"
)
HALVING = (
    f"mean test log-loss{{}} «{STRATEGIES['halving']}/log-loss» against "
    f"«{STRATEGIES['default']}/log-loss» nats, most of the difference on two tables{{}} with "
    f"«{STRATEGIES['halving']}/single fits:0» instead of "
    f"«{STRATEGIES['default']}/single fits:0» single fits"
)
OF_FIVE_MODELS = f"«{STRATEGIES['five models']}/tables better than the default» of 15 tables"
RIVALS, AT_FIRST = "Rivals on all divisions", "Rivals on the first division"
TEN_MODELS = f"{RIVALS}/MetaLRClassifier, n_models=10"
LARGE_BATCHES = f"«{MILLION}/1024/random/× one plain fit»"
DASK = "two Dask workers against one process, fits of ten seconds: time ≤ 1.1 ×, the same choice"
GROWTH = "Bars/from 1 to 64 candidates, width 32: time grows < 2 ×/measured"


def gains(rows, *columns):
    """Return the rows of a table of gains: labels and cells of the report on quality."""
    return [
        f"| {label} | " + " | ".join(f"«{row}/{column}»" for column in columns) + " |"
        for label, row in rows.items()
    ]


QUOTED = {
    "README.md": [
        "root mean squared error is «Regression/MetaLRRegressor/mean excess» standard deviations",
        "over the same candidates "
        "«Regression/RandomizedSearchCV(KerasRegressor), five folds/mean excess».",
        "it is «Regression/MetaLRRegressor, n_models=10/mean excess»,",
        "CatBoost and RealMLP («Regression/RealMLP/mean excess» each) and TabM "
        "(«Regression/TabM/mean excess») included",
        *COST,
        f"| `RandomizedSearchCV` | «{DIGITS}/RandomizedSearchCV, one split/{TIMES}:1» | |",
        f"| Optuna TPE; with Hyperband pruner | «{DIGITS}/Optuna TPE/{TIMES}:1»; "
        f"«{DIGITS}/Optuna TPE, Hyperband pruner/{TIMES}:1» | |",
        f"| KerasTuner RandomSearch; Hyperband | «{DIGITS}/KerasTuner RandomSearch/{TIMES}:0»; "
        f"«{DIGITS}/KerasTuner Hyperband/{TIMES}:0» | |",
        "| `RandomizedSearchCV` over scikit-learn's own `MLPClassifier`, `n_jobs=2` "
        f"| «{DIGITS}/RandomizedSearchCV(MLPClassifier), one split, n_jobs=2/{TIMES}:1» | |",
        f"costs «{WIDTH} 32/MetaLRClassifier, 1 split/{TIMES}» × a plain fit at width 32 and "
        f"«{WIDTH} 512/MetaLRClassifier, 1 split/{TIMES}:1» × at width 512, where "
        f"`RandomizedSearchCV` with two jobs costs {AT_512} ×",
        *gains(
            {
                "`MetaLRClassifier()`": OURS,
                "default rate, number of epochs from five splits": (
                    "Quality/default rate, epoch of five splits"
                ),
                "default rate, early stopping on one 20 % split": (
                    "Quality/default rate, early stopping"
                ),
                "`RandomizedSearchCV`, five folds": "Quality/RandomizedSearchCV, cv=5",
                "`RandomizedSearchCV`, one 20 % split (the textbook recipe)": (
                    "Quality/RandomizedSearchCV, one split"
                ),
                "Optuna TPE, one 20 % split": "Quality/Optuna TPE, one split",
                "five folds, lowest (rate, epoch)": "Quality/five folds, lowest (rate, epoch)",
                "default rate, all epochs": "Quality/default rate, all epochs",
                'learning-rate range test, "valley"': "Quality/range test, valley",
            },
            *("mean excess", "worst table", "mean rank:1"),
        ),
        *gains(
            {
                "`MetaLRClassifier(n_models=10)`: an ensemble from the search": (
                    f"{OURS}, n_models=10"
                ),
                "`MetaLRClassifier(n_models=5)`": f"{OURS}, n_models=5",
                "ten refits of the choice of `MetaLRClassifier()`": (
                    f"{OURS}, mean of 10 refits of its choice"
                ),
                "`MetaLRClassifier(calibrate=False, n_models=5)`: five refits": (
                    f"{UNCALIBRATED}, n_models=5"
                ),
                "default rate, calibrated epochs from five splits, five refits": (
                    f"{DEFAULT_RATE}, calibrated epoch of five splits, mean of 5 refits"
                ),
                "default rate, epochs from five splits, five refits": (
                    f"{DEFAULT_RATE}, epoch of five splits, mean of 5 refits"
                ),
                "`MetaLRClassifier(calibrate=False)`": UNCALIBRATED,
                '`MetaLRClassifier(calibrate=False, search="portfolio")`: rates from the other '
                "tables": f"{UNCALIBRATED}, search=portfolio from the other tables",
                "`MetaLRClassifier(calibrate=False, cv=0.2)`": ONE_SPLIT,
            },
            *("mean excess", "worst table"),
        ),
        "(" + HALVING.format("", ")"),
        f"«{STRATEGIES['five models']}/log-loss» nats, better on {OF_FIVE_MODELS}",
        "(p = «Quality/RandomizedSearchCV, cv=5/p:2»)",
        f"mean log-loss («{TEN_MODELS}/log-loss» nats) and the best mean rank («{TEN_MODELS}/mean "
        f"rank:1» of ten), before CatBoost («{RIVALS}/CatBoost/log-loss»; "
        f"«{RIVALS}/CatBoost/mean rank:1»), a random forest («{RIVALS}/RandomForest, calibrated/"
        f"log-loss»), LightGBM («{RIVALS}/LightGBM/log-loss»), RealMLP («{RIVALS}/RealMLP/log-loss»"
        f") and XGBoost («{RIVALS}/XGBoost/log-loss»). CatBoost takes "
        f"«{RIVALS}/CatBoost/median seconds:1» seconds instead of "
        f"«{TEN_MODELS}/median seconds:1», and is better on four tables",
    ],
    "docs/index.md": [
        f"cost «{DIGITS}/MetaLRClassifier, 1 split/{TIMES}» × one plain Keras fit on one split and "
        f"«{DIGITS}/MetaLRClassifier, 5 splits/{TIMES}:1» × on five splits, once compiled; "
        f"«{DIGITS}/MetaLRClassifier, 1 split/first fit:1» × and "
        f"«{DIGITS}/MetaLRClassifier, 5 splits/first fit:1» × in the first fit",
    ],
    "docs/tutorial.md": [
        "is «Quality/default rate, all epochs/mean excess» nats for the default rate with all "
        "epochs, «Quality/default rate, early stopping/mean excess» with early stopping, and "
        f"«{OURS}/mean excess» for `MetaLRClassifier`",
    ],
    "docs/benchmarks.md": [
        f"takes «{COST_OF_JOINT}/numbers alone/later fits/× one plain fit» × a plain fit instead "
        "of 2 ×. Where units and batch size are searched, too, its first fit in a process takes "
        f"«{COST_OF_JOINT}/all/first fit in a process/× one plain fit» × instead of 8 ×",
        "of one model by «Joint searches/joint/against rate alone:3» nats instead of −0.004",
        "by «Joint searches/joint, halving/against rate alone:3», and the worst table's by "
        "«Joint searches/joint, halving/worst table against it:3»",
        f"time grows by «{GROWTH}» × instead of 2 ×",
        f"a fit of 16 random candidates takes {LARGE_BATCHES} × a plain fit instead of 2 ×",
        f"tables: «{OURS}/log-loss» against «{UNCALIBRATED}/log-loss», and "
        f"«{OURS}, n_models=10/log-loss» against «{UNCALIBRATED}, n_models=5/log-loss».",
        f"one model ends at «{ON_TEST}/log-loss» nats and ten at «{TEN_ON_TEST}/log-loss».",
        f"is higher: «{OURS}/ECE» against «{UNCALIBRATED}/ECE». Where the test rows decide, it is "
        f"«{ON_TEST}/ECE».",
        f"differs from that of five refits by «{OF_IRIS}/difference:3» ± "
        f"«{OF_IRIS}/± standard error:3» nats",
        f"the excess is «{OURS}/worst table» nats, and «{UNCALIBRATED}/worst table» without",
    ],
    "docs/comparison.md": [
        f"| `MetaLRClassifier`, later fit | «{DIGITS}/MetaLRClassifier, 1 split/{TIMES}» "
        f"| «{DIGITS}/MetaLRClassifier, 5 splits/{TIMES}:1» | «{ONE_SPLIT}/mean excess» "
        f"| «{OURS}/mean excess» |",
        "| `MetaLRClassifier`, first fit in a process "
        f"| «{DIGITS}/MetaLRClassifier, 1 split/first fit:1» "
        f"| «{DIGITS}/MetaLRClassifier, 5 splits/first fit:1» | | |",
        "| SciKeras, `RandomizedSearchCV`, `n_jobs=2` "
        f"| «{DIGITS}/RandomizedSearchCV, one split, n_jobs=2/{TIMES}:1» "
        f"| «{DIGITS}/RandomizedSearchCV, cv=5, n_jobs=2/{TIMES}:0» "
        "| «Quality/RandomizedSearchCV, one split/mean excess» "
        "| «Quality/RandomizedSearchCV, cv=5/mean excess» |",
        "| SciKeras, `HalvingRandomSearchCV`, `n_jobs=2` "
        f"| «{DIGITS}/HalvingRandomSearchCV over epochs, n_jobs=2/{TIMES}:1» | | | |",
        f"| Optuna, TPE | «{DIGITS}/Optuna TPE/{TIMES}:1» | "
        "| «Quality/Optuna TPE, one split/mean excess» | |",
        f"| Optuna, TPE, Hyperband pruner | «{DIGITS}/Optuna TPE, Hyperband pruner/{TIMES}:1» |",
        f"| KerasTuner, RandomSearch | «{DIGITS}/KerasTuner RandomSearch/{TIMES}:0» |",
        f"| KerasTuner, Hyperband | «{DIGITS}/KerasTuner Hyperband/{TIMES}:0» |",
        "| default rate, early stopping | | | «Quality/default rate, early stopping/mean excess» |",
        "| default rate, epochs from splits | | "
        "| «Quality/default rate, epoch of one split/mean excess» "
        "| «Quality/default rate, epoch of five splits/mean excess» |",
        '| range test, "valley" | | | «Quality/range test, valley/mean excess» |',
        "| schedule-free AdamW, early stopping | | "
        "| «Quality/schedule-free AdamW, early stopping/mean excess» |",
        "| default rate, all epochs | 1 | | «Quality/default rate, all epochs/mean excess» |",
        "random search does («Quality/Optuna TPE, one split/mean excess» and "
        "«Quality/RandomizedSearchCV, one split/mean excess»)",
        'at a mean excess of «Quality/range test, valley/mean excess» ("valley") and '
        '«Quality/range test, steepest/mean excess» ("steepest"), which is worse than the default '
        "rate with all epochs («Quality/default rate, all epochs/mean excess»)",
        "mean excess of «Quality/schedule-free AdamW, early stopping/mean excess» nats",
        "no search, a mean excess of «Quality/default rate, early stopping/mean excess» nats",
        *(
            f"| {label} | «{RIVALS}/{row}/log-loss» | «{RIVALS}/{row}/mean rank:1» "
            f"| «{RIVALS}/{row}/median seconds:{decimals}» |"
            for label, row, decimals in (
                ("`MetaLRClassifier(n_models=10)`", "MetaLRClassifier, n_models=10", 0),
                ("CatBoost", "CatBoost", 0),
                ("`MetaLRClassifier()`", "MetaLRClassifier", 0),
                (
                    "`MetaLRClassifier()` around 2 × 128 units",
                    "MetaLRClassifier around 2 × 128 units",
                    0,
                ),
                ("random forest, calibrated", "RandomForest, calibrated", 0),
                ("RealMLP", "RealMLP", 0),
                ("LightGBM", "LightGBM", 1),
                ("SVC, calibrated", "SVC, calibrated", 1),
                ("`HistGradientBoostingClassifier`", "HistGradientBoosting", 1),
                ("XGBoost", "XGBoost", 1),
            )
        ),
        f"({{doc}}`rivals`): «{AT_FIRST}/early stopping, CalibratedClassifierCV by temperature/"
        "log-loss» nats for early stopping calibrated by "
        f"`CalibratedClassifierCV`, and «{AT_FIRST}/TabM/log-loss» for TabM, against "
        f"«{AT_FIRST}/MetaLRClassifier, n_models=10/log-loss» for ten models",
    ],
    "docs/paper.md": [
        f"takes «{DIGITS}/RandomizedSearchCV, one split, n_jobs=2/{TIMES}:1» times as long as one "
        f"plain fit. `MetaLRClassifier` takes «{DIGITS}/MetaLRClassifier, 1 split/{TIMES}» times "
        f"as long on one split and «{DIGITS}/MetaLRClassifier, 5 splits/{TIMES}:1» times on five.",
        "is «Quality/RandomizedSearchCV, cv=5/mean excess» nats for `RandomizedSearchCV` on five "
        f"folds and «{OURS}/mean excess» for `MetaLRClassifier`",
    ],
    "docs/user_guide/choice.md": [
        *gains(
            {
                "lowest loss over rate and epoch, one split": (
                    "Quality/lowest (rate, epoch), 1 split"
                ),
                "lowest loss over rate and epoch, five splits": (
                    "Quality/five folds, lowest (rate, epoch)"
                ),
                "`RandomizedSearchCV`, one split, all epochs": (
                    "Quality/RandomizedSearchCV, one split"
                ),
                "`RandomizedSearchCV`, five folds, all epochs": "Quality/RandomizedSearchCV, cv=5",
                "default rate, early stopping on one split": "Quality/default rate, early stopping",
                "`MetaLRClassifier(calibrate=False, cv=0.2)`": ONE_SPLIT,
                "default rate, number of epochs from five splits": (
                    "Quality/default rate, epoch of five splits"
                ),
                "`MetaLRClassifier()` without averages of weights": (
                    f"{OURS}, averages of weights left out"
                ),
                "`MetaLRClassifier(calibrate=False)`": UNCALIBRATED,
                "`MetaLRClassifier()`": OURS,
                "ten refits of the choice of `MetaLRClassifier()`": (
                    f"{OURS}, mean of 10 refits of its choice"
                ),
                "`MetaLRClassifier(n_models=10)`": f"{OURS}, n_models=10",
                "*one model, chosen on the test rows themselves*": ON_TEST,
                "*ten models, chosen on the test rows themselves*": TEN_ON_TEST,
            },
            *("mean excess", "worst table"),
        ),
        f"log-loss there is «{NO_PRIOR}/against the default:3» nats higher, and the worst table is "
        f"«{NO_PRIOR}/worst table against it:3» instead of "
        "«Rules of the choice/default/worst table against it:3» nats",
    ],
    "docs/user_guide/cost.md": [
        *COST,
        f"| 32 | «{WIDTH} 32/MetaLRClassifier, 1 split/{TIMES}» |",
        f"| 128 | «{WIDTH} 128/MetaLRClassifier, 1 split/{TIMES}» |",
        f"| 512 | «{WIDTH} 512/MetaLRClassifier, 1 split/{TIMES}:1» |",
        f"`RandomizedSearchCV` with two jobs costs {AT_512} ×",
        f"(«{ONE_SPLIT}/mean excess» against «{UNCALIBRATED}/mean excess» nats)",
        f"it grows by «{GROWTH}:1» × at width 32",
    ],
    "docs/user_guide/experience.md": [
        f"| 16 rates at random | «{UNCALIBRATED}/mean excess» "
        f"| «{UNCALIBRATED}/worst table» | 80 |",
        f"| portfolio of 4 | «{OF_FOUR}/mean excess» | «{OF_FOUR}/worst table» | 20 |",
        *(
            f"| {label} | «Portfolio/{task}/16 random/mean excess» "
            f"| «Portfolio/{task}/portfolio/mean excess» "
            f"| «Portfolio/{task}/portfolio/single fits» |"
            for label, task in {
                "2 × 128 units, Adam": "2 x 128, Adam",
                "2 × 128 units, SGD with momentum": "2 x 128, momentum",
                "linear, Adam": "linear, Adam",
                "6 × 64 units, Adam": "6 x 64, Adam",
                "convolutions (digits), Adam": "convolutions, Adam",
                "labels shuffled": "labels shuffled",
            }.items()
        ),
        "too few for linear models: «Portfolio/linear, Adam/portfolio of 4/mean excess»,",
        *(
            f"| of a {n}-fold cross-validation without stratification "
            f"| «Folds/training parts of {n} folds, not stratified/said to be of one table» % |"
            for n in (10, 5, 3)
        ),
        "| quarters of a table drawn at random, which share no row "
        "| «Folds/quarters of a table, which share no row/said to be of one table» %",
    ],
    "docs/user_guide/lanes.md": [
        f"cost «{DIGITS}/MetaLRClassifier, 5 splits/{TIMES}:1» × a plain fit on digits",
        CONVOLUTIONS,
        "it grows by «Bars/memory over 100 fits: < 5 MB a fit after the tenth, no warning of "
        "retracing/measured» MB a fit",
    ],
    "docs/user_guide/large.md": [
        f"| {label} | «{MILLION}/{size}/random/× one plain fit» "
        f"| «{MILLION}/{size}/halving/× one plain fit» |"
        for label, size in {"32": 32, "256": 256, "1,024": 1024}.items()
    ],
    "docs/user_guide/workers.md": [f"two Dask workers took «Bars/{DASK}/measured» × the time"],
    "docs/user_guide/limits.md": [
        f"(«Quality/HistGradientBoosting/accuracy» and «Quality/RandomForest/accuracy» against "
        f"«{OURS}/accuracy»), at a worse log-loss («Quality/HistGradientBoosting/log-loss» and "
        f"«Quality/RandomForest/log-loss» against «{OURS}/log-loss»)",
        "a mean excess of «Quality/default rate, early stopping/mean excess» and of "
        f"«{OURS}/mean excess» nats",
    ],
    "docs/user_guide/refits.md": [
        f"a mean test log-loss of «{STRATEGIES['five models']}/log-loss» against "
        f"«{STRATEGIES['default']}/log-loss» nats, better on {OF_FIVE_MODELS}",
    ],
    "docs/user_guide/regression.md": [
        "A fit took «Regression/MetaLRRegressor/median seconds:0» seconds at the median, "
        "«Regression/MetaLRRegressor, n_models=10/median seconds:0» with ten models; CatBoost took "
        "«Regression/CatBoost/median seconds:0», LightGBM less than 1, RealMLP "
        "«Regression/RealMLP/median seconds:0» and TabM «Regression/TabM/median seconds:0».",
        *gains(
            {
                "`MetaLRRegressor(n_models=10)`": "Regression/MetaLRRegressor, n_models=10",
                "`MetaLRRegressor()`": "Regression/MetaLRRegressor",
                "CatBoost": "Regression/CatBoost",
                "RealMLP": "Regression/RealMLP",
                "TabM, first division only": "Regression/TabM",
                "`HistGradientBoostingRegressor`": "Regression/HistGradientBoosting",
                "LightGBM": "Regression/LightGBM",
                "default rate, early stopping on one 20 % split": (
                    "Regression/default rate, early stopping on one 20 % split"
                ),
                "random forest": "Regression/RandomForest",
                "`RandomizedSearchCV`, five folds": (
                    "Regression/RandomizedSearchCV(KerasRegressor), five folds"
                ),
                "default rate, all epochs": "Regression/default rate, all epochs",
                "SVR": "Regression/SVR",
                "`MLPRegressor`": "Regression/MLPRegressor",
                "Ridge": "Regression/Ridge",
            },
            *("mean excess", "worst excess", "mean rank:1", "R²"),
        ),
    ],
    "docs/user_guide/searches.md": [
        "a " + HALVING.format(" of", ","),
        f"ends at «{STRATEGIES['hypergradient']}/log-loss» nats, for the same "
        f"«{STRATEGIES['hypergradient']}/single fits:0» single fits",
    ],
    "docs/user_guide/spaces.md": [
        f"| default: 16 rates of Adam | «{STRATEGIES['default']}/log-loss» "
        f"| «{STRATEGIES['default']}/single fits:0» | |",
        *(
            f"| {label} | «Strategies/{row}/log-loss» | «Strategies/{row}/single fits:0» "
            f"| «Strategies/{row}/tables better than the default» of 15 |"
            for label, row in {
                "three optimizers": "optimizers: sgd, adam, adamw",
                "two schedules": "schedules: constant, cosine",
                "one cycle instead of a constant rate": "schedules: one_cycle",
                '`learning_rates="auto"`': "learning_rates=auto",
                "three optimizers, two schedules, halving": (
                    "three optimizers, two schedules, halving"
                ),
            }.items()
        ),
        "the first two rows is «Joint searches/joint/± standard error:3» nats:",
        "| 16 rates | «Joint searches/rate alone/log-loss:3» | |",
        *(
            f"| {label} | «Joint searches/{row}/log-loss:3» "
            f"| «Joint searches/{row}/against rate alone:3» |"
            for label, row in {
                "the joint space": "joint",
                "the joint space, by halving": "joint, halving",
                "the joint space, by the lowest last loss, as `RandomizedSearchCV` does": (
                    "joint, by the lowest last loss, as RandomizedSearchCV, cv=5"
                ),
                "16 rates, `n_models=10`": "rate alone, n_models=10",
                "the joint space, `n_models=10`": "joint, n_models=10",
                "the joint space by halving, `n_models=10`": "joint, halving, n_models=10",
            }.items()
        ),
    ],
}
"""Passages of pages, with «section/row/column:decimals» in place of numbers of the benchmarks.

A row is named by its first cell, or its first two. Without decimals, a number is as in its cell.
"""


def tables_of(section):
    """Yield the tables of a section of the benchmarks' reports, as lists of rows of cells."""
    report = (ROOT / "benchmarks" / "results" / REPORTS[section]).read_text(encoding="utf-8")
    (text,) = re.findall(rf"^## {section}$(.*?)(?=^## |\Z)", report, re.DOTALL | re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]
        yield [rows[0], *rows[2:]]


def measured(name):
    """Return the number that a cell begins with, by its name in QUOTED."""
    section, *row, column = name.split("/")
    column, _, how = column.partition(":")
    before = [RENAMED.get(label, label) for label in row]
    found = [
        cells[head.index(column)]
        for head, *rows in tables_of(section)
        for cells in rows
        if column in head and cells[: len(row)] in (row, before)
    ]
    assert len(found) == 1, f"{REPORTS[section]} holds {len(found)} cells {name!r}"
    number = re.match(r"-?[\d.]+", found[0].replace(",", "")).group()
    if how:
        number = str(Decimal(number).quantize(Decimal(10) ** -int(how), ROUND_HALF_UP))
    return number.replace("-", "−")


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_the_numbers_of_a_page_are_those_of_the_benchmarks(page):
    """All with three decimals, and all multiples, that the page does not print itself."""
    text = without_code(page)
    for quoted in QUOTED.get(page_name(page), []):
        passage = re.sub("«(.*?)»", lambda match: measured(match[1]), quoted)
        assert passage in text
        text = text.replace(passage, "")
    printed = re.findall(r"^```text\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    own = set(re.findall(r"\b\d\.\d{3}\b", "".join(printed)))
    assert set(re.findall(r"\b\d\.\d{3}\b", text)) <= own
    assert re.findall(r"\b\d+(?:\.\d+)? ×(?! \d)", text) == []


def test_the_pages_name_no_parameter_that_there_is_not():
    known = {"resource", "learning_rate", "like", "use_ema", "TF_CPP_MIN_LOG_LEVEL"}  # of others
    for function in (*CLASSES, MetaLRClassifier.fit, MetaLRClassifier.load, verify):
        known |= set(inspect.signature(function).parameters)
    for page in PAGES:
        for code in re.findall(r"`([^`]+)`", without_code(page)):
            named = {name.split("__")[-1] for name in re.findall(r"(\w+)=(?!=)", code)}
            assert named <= known, page


def test_the_reference_lists_every_public_name():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   (\w+)$", text, flags=re.MULTILINE))
    public = set(sk_metalr.__all__) - {"__version__", "exceptions"}
    assert listed == public | set(exceptions)


@pytest.mark.parametrize("page", [DOCS / "architecture.md", GUIDE / "extend.md"], ids=page_name)
def test_the_files_that_a_page_names_are_there(page):
    named = set(re.findall(r"`(?:sk_metalr/)?(_?\w*/?\w*\.py|_\w+/)`", without_code(page)))
    assert len(named) > 5
    roots = ROOT / "sk_metalr", ROOT / "tests"
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_are_valid(name):
    errors = [error for error in validate(name)["errors"] if error[0] not in NOT_ASKED_FOR]
    assert errors == []


@pytest.mark.parametrize(("owner", "name"), METHODS)
def test_every_parameter_of_a_method_is_documented_with_its_default(owner, name):
    method = getattr(owner, name)
    text = inspect.getdoc(method).partition("Returns\n")[0]
    for parameter in inspect.signature(method).parameters.values():
        if parameter.name == "self" or parameter.default is parameter.empty:
            continue
        if method == Experience.record and parameter.name in inspect.signature(verify).parameters:
            continue  # as for fit
        documented = re.search(rf"^{parameter.name} : .*default=(\S+)$", text, flags=re.MULTILINE)
        assert documented, f"{parameter.name} is not documented with a default"
        assert documented.group(1) == repr(parameter.default)


@pytest.mark.parametrize("owner", [MetaLRClassifier, Halving, Portfolio])
def test_every_parameter_is_documented_with_its_default(owner):
    text = inspect.getdoc(owner).replace("\\\n", " ")
    for name, parameter in inspect.signature(owner).parameters.items():
        found = re.search(rf"^{name} : (.*?)default=(\S+)$", text, flags=re.MULTILINE | re.DOTALL)
        assert found, f"{name} is not documented with a default"
        assert found.group(2) == repr(parameter.default).replace("'", '"')


def test_the_floors_are_versions_in_which_a_plain_keras_classifier_fits_in_a_pipeline():
    """The quickstart and the tutorial put one there; SciKeras 0.13 fails on scikit-learn 1.6."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    floors = dict(re.findall(r"([\w-]+)>=([\d.]+)", " ".join(project["dependencies"])))
    assert Version(floors["scikit-learn"]) >= Version("1.7")
    assert Version(floors["keras"]) >= Version("3.8")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, its examples not run."""
    pytest.importorskip("pydata_sphinx_theme")
    copy = tmp_path_factory.mktemp("site") / "copy"  # pages are generated beside the sources
    left_out = shutil.ignore_patterns(".*", "*.egg-info", "records", "_build", "api", "gallery")
    shutil.copytree(ROOT, copy, ignore=left_out)
    command = ["-m", "sphinx", "-q", "-D", "plot_gallery=0", str(copy / "docs"), str(copy / "site")]
    subprocess.run([sys.executable, *command], check=True)
    return copy / "site"


@pytest.mark.long
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("page", ["index.html", "gallery/index.html", "gallery/plot_churn.html"])
def test_a_browser_shows_the_site(browser, site, page, width):
    size = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((site / page).as_uri())
    assert "sk_metalr" in browser.title
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    broken = "return [...document.images].filter((one) => !one.naturalWidth).map((one) => one.src)"
    assert browser.execute_script(broken) == []
    links = "return [...document.querySelectorAll('article a.internal')].map((one) => one.href)"
    for link in browser.execute_script(links):
        assert Path(url2pathname(urlparse(link).path)).exists(), link
    errors = [one["message"] for one in browser.get_log("browser") if one["level"] == "SEVERE"]
    # The theme says so of every visitor's first page.
    assert [one for one in errors if "invalid theme mode" not in one] == []
