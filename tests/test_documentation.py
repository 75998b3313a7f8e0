"""What is written down is true."""

import doctest
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import matplotlib
import pytest
from numpydoc.validate import validate
from packaging.version import Version

from sk_metalr import (
    Experience,
    ExperienceRecord,
    LearningCurvesDisplay,
    LearningRateDisplay,
    MetaLRClassifier,
    _estimator,
    _experience,
    _report,
)
from sk_metalr.exceptions import __all__ as exceptions

matplotlib.use("Agg")

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "user_guide"
PAGES = sorted(
    page
    for page in (ROOT / "docs").rglob("*.md")
    if "```python" in page.read_text(encoding="utf-8")
)
"""Pages whose code is run; what others include from elsewhere is not theirs."""

CLASSES = (
    *(MetaLRClassifier, LearningRateDisplay, LearningCurvesDisplay),
    *(Experience, ExperienceRecord),
)
METHODS = [
    (owner, name)
    for owner in CLASSES
    for name, member in vars(owner).items()
    # scikit-learn writes the set_..._request methods, and their docstrings.
    if not name.startswith("_") and callable(getattr(owner, name)) and "_request" not in name
]
PUBLIC = [
    "sk_metalr.report",
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


@pytest.mark.parametrize("module", [_estimator, _experience, _report])
def test_the_examples_in_docstrings_run(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


def test_the_examples_in_the_readme_run(capsys):
    first, wider = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    names = {}
    exec(compile(first, str(README), "exec"), names)
    rate, n_epochs = capsys.readouterr().out.split()
    assert 1e-5 < float(rate) < 1
    assert 1 <= int(n_epochs) <= 20
    exec(compile(wider, str(README), "exec"), names)
    smaller = {"estimator__epochs": 3, "n_candidates": 3, "n_splits": 1}
    scaled = names["model"][:-1].transform(names["X"])
    fitted = names["wider"].set_params(**smaller).fit(scaled, names["y"])
    assert len(fitted.cv_results_["params"]) == 3 * 3 * 2
    assert len(fitted.estimators_) == 5


def python_blocks(page):
    """Return the code of a page, block by block."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_the_code_of_a_page_runs(page, monkeypatch):
    """As it stands, but for a shorter budget, fewer candidates and fewer splits."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(ROOT)
    defaults = MetaLRClassifier.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "n_candidates", 3)
    monkeypatch.setitem(defaults, "n_splits", 2)
    blocks = python_blocks(page)
    if page.parent == GUIDE and page.name != "index.md":
        blocks = python_blocks(GUIDE / "index.md") + blocks
    names = {"__name__": "__main__"}
    for block in blocks:
        smaller = block.replace("epochs=20", "epochs=2").replace("candidates=16", "candidates=3")
        exec(compile(smaller, str(page), "exec"), names)
    plt.close("all")


def test_tensorflows_own_lines_can_be_switched_off_as_documented():
    (silence,) = [b for b in python_blocks(GUIDE / "progress.md") if "TF_CPP_MIN_LOG_LEVEL" in b]
    fit = """
from sk_metalr import MetaLRClassifier
MetaLRClassifier(learning_rates=[1e-3, 1e-2], n_splits=1).fit([[0.0], [1.0]] * 20, [0, 1] * 20)
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


def test_the_numbers_of_the_pages_are_those_of_the_benchmarks():
    """All with three decimals, outside of code and of the tutorial, which prints its own."""
    names = "RESULTS.md", "STRATEGIES.md", "PORTFOLIO.md"
    reports = [ROOT / "benchmarks" / name for name in names]
    measured = set(re.findall(r"\d\.\d{3,}", "".join(report.read_text() for report in reports)))
    pages = [ROOT / "docs" / "comparison.md", *sorted(GUIDE.glob("*.md"))]
    stale = {}
    for page in pages:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        stale[page.name] = set(re.findall(r"\b\d\.\d{3}\b", text)) - measured
    assert {name: numbers for name, numbers in stale.items() if numbers} == {}


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
        documented = re.search(rf"^{parameter.name} : .*default=(\S+)$", text, flags=re.MULTILINE)
        assert documented, f"{parameter.name} is not documented with a default"
        assert documented.group(1) == repr(parameter.default)


def test_every_parameter_is_documented_with_its_default():
    text = inspect.getdoc(MetaLRClassifier).replace("\\\n", " ")
    for name, parameter in inspect.signature(MetaLRClassifier).parameters.items():
        found = re.search(rf"^{name} : (.*?)default=(\S+)$", text, flags=re.MULTILINE | re.DOTALL)
        assert found, f"{name} is not documented with a default"
        assert found.group(2) == repr(parameter.default).replace("'", '"')


def test_the_floors_are_versions_in_which_a_plain_keras_classifier_fits_in_a_pipeline():
    """The quickstart and the tutorial put one there; SciKeras 0.13 fails on scikit-learn 1.6."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    floors = dict(re.findall(r"([\w-]+)>=([\d.]+)", " ".join(project["dependencies"])))
    assert Version(floors["scikit-learn"]) >= Version("1.7")
    assert Version(floors["keras"]) >= Version("3.8")
