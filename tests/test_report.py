"""The report: what the page says, that it is safe to open, and how a browser shows it."""

import base64
import json
import os
import shutil
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import sklearn
from models import small_classifier
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sk_metalr
from sk_metalr import MetaLRClassifier, report
from sk_metalr import _report as room
from sk_metalr._display.page import pairs, table

ATTACK = "<script>alert(1)</script>"


def attack(progress):
    return 1 - progress / 2


attack.__name__ = f"{ATTACK} $\\frac$"  # schedules go by the name of their function


@pytest.fixture(scope="module")
def fitted(iris):
    """Two families, halving, two scorers, a diverged candidate, names full of HTML."""
    X, y = iris
    names = [f"<b>{name}</b>" for name in "abcd"]
    return MetaLRClassifier(
        small_classifier(epochs=9),
        learning_rates=[1e-3, 1e-2, 1e-1, 1e30],
        schedules=["constant", attack],
        search="halving",
        scoring=["neg_log_loss", "accuracy"],
        n_splits=2,
        random_state=0,
    ).fit(pd.DataFrame(X, columns=names), np.array([ATTACK, "a & b", "c"], dtype=object)[y])


@pytest.fixture(scope="module")
def plain(iris):
    """No optimizers, no schedules, one split, no refit, a random_state that is no int."""
    classifier = MetaLRClassifier(
        small_classifier(),
        learning_rates=[1e-3, 1e-2],
        n_splits=1,
        refit=False,
        random_state=np.random.RandomState(0),
    )
    return make_pipeline(StandardScaler(), classifier).fit(*iris)


@pytest.fixture(scope="module")
def written(fitted, tmp_path_factory):
    return report(fitted, tmp_path_factory.mktemp("report") / "search.html")


class Page(HTMLParser):
    """Elements of a page, as (tag, attributes, text)."""

    EMPTY = ("meta", "img", "wbr")

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))
        if tag not in self.EMPTY:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, text in self._open:
            text.append(data)

    def find(self, tag, **attributes):
        """Return attributes and text of each element with these attributes."""
        return [
            (found, "".join(text))
            for name, found, text in self.elements
            if name == tag and attributes.items() <= found.items()
        ]

    def pairs(self):
        """Return names and values of all tables of pairs."""
        texts = [
            text
            for tag, found, text in self.elements
            if (tag == "td" and not found) or (tag, found) == ("th", {"scope": "row"})
        ]
        joined = ["".join(text) for text in texts]
        return dict(zip(joined[::2], joined[1::2], strict=True))

    def tiles(self):
        """Return names and values of the tiles."""
        names, values = self.find("dt"), self.find("dd", **{"class": "value"})
        return {name: value for (_, name), (_, value) in zip(names, values, strict=True)}


def read(path):
    return Page(Path(path).read_text(encoding="utf-8"))


def test_what_was_chosen_and_what_it_cost_is_what_the_estimator_says(fitted, written):
    page = read(written)
    tiles = page.tiles()
    assert tiles["Learning rate"] == f"{fitted.best_learning_rate_:.3g}"
    assert tiles["Epochs"] == str(fitted.best_n_epochs_)
    assert tiles["Schedule"] == fitted.best_params_["schedule"]
    assert tiles["Held-out log-loss (nats)"] == f"{-fitted.best_score_:.4g}"
    assert tiles["Refitted"] == "one model"
    pairs_ = page.pairs()
    cost = fitted.search_cost_
    assert pairs_["member_epochs"] == str(cost["member_epochs"])
    assert pairs_["total_seconds"] == f"{cost['total_seconds']:.4g}"
    assert pairs_["lane_reason"] == cost["lane_reason"]
    assert {name: pairs_[name] for name in ("sk_metalr", "scikit-learn", "numpy")} == {
        "sk_metalr": sk_metalr.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }
    assert page.find("title")[0][1] == f"Search report: learning rate {tiles['Learning rate']}"


def test_the_table_holds_every_number_of_cv_results(fitted, written):
    page = read(written)
    results = fitted.cv_results_
    heads = [text for _, text in page.find("th", scope="col")]
    assert sorted(heads) == sorted({"row", *results} - {"params"})
    cells = [(found.get("data-value"), text) for found, text in page.find("td") if "class" in found]
    rows = np.array(cells, dtype=object).reshape(-1, len(heads), 2)
    assert len(rows) == len(results["params"]) == 8
    numbers = [float(value or "nan") for value in rows[:, heads.index("mean_test_accuracy"), 0]]
    np.testing.assert_array_equal(numbers, results["mean_test_accuracy"])
    assert rows[:, heads.index("param_schedule"), 1].tolist() == list(results["param_schedule"])
    diverged = rows[:, heads.index("diverged"), 1] == "yes"
    np.testing.assert_array_equal(diverged, results["diverged"])
    (marked,) = page.find("tr", **{"class": "marked"})
    assert marked[1].startswith(str(fitted.best_index_))


def test_both_figures_are_drawn_into_the_page(written):
    images = [found for found, _ in read(written).find("img")]
    assert [image["alt"].split(":")[0] for image in images] == ["Response curve", "Learning curves"]
    for image in images:
        kind, _, data = image["src"].partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert b"<svg" in base64.b64decode(data)


def test_nothing_is_loaded_and_no_script_but_its_own_runs(written):
    page = read(written)
    references = [
        value
        for _, found, _ in page.elements
        for name, value in found.items()
        if name in ("src", "href", "srcset", "action", "data")
    ]
    assert references
    assert all(reference.startswith("data:") for reference in references)
    assert {"link", "iframe", "object", "base"}.isdisjoint(tag for tag, _, _ in page.elements)
    assert "url(" not in written.read_text(encoding="utf-8")
    assert "@import" not in written.read_text(encoding="utf-8")
    ((policy, _),) = page.find("meta", **{"http-equiv": "Content-Security-Policy"})
    assert "default-src 'none'" in policy["content"]


def test_names_are_text_whatever_they_hold(fitted, written):
    page = read(written)
    assert ATTACK not in written.read_text(encoding="utf-8")
    assert len(page.find("script")) == 1
    assert page.find("b") == []
    assert page.pairs()["3 classes"] == f"{ATTACK}, a & b, c"
    assert page.pairs()["4 features"] == "<b>a</b>, <b>b</b>, <b>c</b>, <b>d</b>"


def test_parameters_are_text_whatever_they_hold(fitted, tmp_path):
    strange = clone(fitted)
    strange.__dict__ |= vars(fitted)
    strange.set_params(verbose=f'{ATTACK}"\udc80')
    page = read(report(strange, tmp_path / "a.html"))
    assert len(page.find("script")) == 1
    assert page.pairs()["verbose"] == repr(f'{ATTACK}"\udc80')


def test_what_utf_8_cannot_say_does_not_end_in_an_error(fitted, tmp_path):
    strange = clone(fitted)
    strange.__dict__ |= vars(fitted)
    strange.classes_ = np.array(["half \udc80", "b", "c"], dtype=object)
    assert "half &#56448;" in report(strange, tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_repr_is_whole_and_without_addresses(plain, fitted, tmp_path, written):
    ((_, text),) = read(written).find("pre")
    assert text.startswith("MetaLRClassifier(estimator=KerasClassifier(")
    assert "random_state=0" in text
    assert " at 0x" not in written.read_text(encoding="utf-8")
    ((_, text),) = read(report(plain, tmp_path / "a.html")).find("pre")
    assert text.startswith("Pipeline(")
    assert "..." not in text


def test_worth_knowing(fitted, plain, written, tmp_path):
    items = [text for _, text in read(written).find("li")]
    assert any(item.startswith("2 of 8 candidates diverged") for item in items)
    page = read(report(plain, tmp_path / "a.html"))
    items = [text for _, text in page.find("li")]
    assert any("is the highest that was tried" in item for item in items)
    assert any("whole budget, 3" in item for item in items)
    assert page.tiles()["Refitted"] == "none"
    assert any("is no int" in text for _, text in page.find("p"))


def test_a_search_without_trouble_says_so(fitted, tmp_path):
    calm = clone(fitted)
    calm.__dict__ |= vars(fitted)
    results = fitted.cv_results_ | {"diverged": np.zeros(8, bool)}
    best = np.isin(results["param_learning_rate"], 1e-2)
    results["selection_score"] = np.where(best, -0.1, -0.5)
    results["n_resources"] = np.full(8, 9)
    calm.cv_results_, calm.best_n_epochs_ = results, 5
    (item,) = read(report(calm, tmp_path / "a.html")).find("li")
    assert item[1].startswith("Nothing")
    results["selection_score"] = np.where(best, -5.0, -6.0)
    (item,) = read(report(calm, tmp_path / "a.html")).find("li")
    assert item[1].startswith("No learning rate did better")


@pytest.mark.parametrize(
    "settings",
    [
        {"search": "hypergradient", "refit": "committee", "scoring": "accuracy", "n_splits": 2},
        {"optimizers": ["sgd", "adam"], "schedules": ["constant", "cosine"], "n_refits": 2},
        {"n_candidates": 1, "learning_rates": [1e-2], "verify": 1, "selection": "one_se"},
    ],
    ids=["hypergradient", "families", "one candidate"],
)
def test_every_kind_of_search_has_a_report(iris, settings, tmp_path):
    settings = {"learning_rates": [1e-3, 1e-2, 1e-1], "n_splits": 1, "random_state": 0} | settings
    fitted = MetaLRClassifier(small_classifier(), **settings).fit(*iris)
    page = read(report(fitted, tmp_path / "a.html"))
    assert len(page.find("tr", **{"class": "marked"})) == 1
    models = {1: "one model", 2: "2 models"}[len(fitted.estimators_)]
    assert page.tiles()["Refitted"] == models
    assert ("max_loss_difference" in page.pairs()) == hasattr(fitted, "verification_")
    scored = any(name == "Held-out accuracy" for name in page.tiles())
    assert scored == (settings.get("scoring") == "accuracy")


def test_the_same_estimator_gives_the_same_page_in_any_style(fitted, written, tmp_path):
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30}):
        again = report(fitted, str(tmp_path / "again.html"))
    assert again == tmp_path / "again.html"
    assert again.read_bytes() == written.read_bytes()


def test_numbers_in_tables():
    page = Page(
        table({"a": [1.0, np.nan, np.inf], "b": ["x", "", True]}, "", marked=1, not_printed="b")
    )
    cells = [(found.get("data-value"), text) for found, text in page.find("td")]
    assert cells[0::2] == [("1.0", "1"), ("", "–"), ("Infinity", "inf")]
    assert cells[1::2] == [(None, "x"), (None, ""), (None, "yes")]
    assert "<td>1,234</td>" in pairs({"n": 1234})


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LogisticRegression(), "Got LogisticRegression instead"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "ends in LogisticRegression"),
        (None, "Got NoneType"),
    ],
    ids=["classifier", "pipeline", "none"],
)
def test_only_a_meta_lr_classifier_is_reported_on(estimator, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        report(estimator, tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_fitted_is_not_reported_on(tmp_path):
    for estimator in (MetaLRClassifier(), make_pipeline(StandardScaler(), MetaLRClassifier())):
        with pytest.raises(NotFittedError, match="not fitted"):
            report(estimator, tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_exists_and_the_file_is_no_folder(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        report(fitted, tmp_path / "missing" / "a.html")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        report(fitted, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("where", ["drawing", "writing", "replacing"])
def test_an_error_leaves_what_was_there(fitted, tmp_path, monkeypatch, old, where):
    path = tmp_path / "a.html"
    if old:
        path.write_text(old)

    def fail(*_, **__):
        raise OSError("no space left")

    place, name = {
        "drawing": (room.LearningCurvesDisplay, "from_estimator"),
        "writing": (Path, "write_text"),
        "replacing": (os, "replace"),
    }[where]
    monkeypatch.setattr(place, name, fail)
    with pytest.raises(OSError, match="no space left"):
        report(fitted, path)
    assert [file.name for file in tmp_path.iterdir()] == (["a.html"] if old else [])
    assert not old or path.read_text() == old


def test_an_old_file_is_replaced_and_can_be_read_by_others(fitted, tmp_path, written):
    path = tmp_path / "a.html"
    path.write_text("old")
    report(fitted, path)
    assert path.read_bytes() == written.read_bytes()
    other = tmp_path / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_without_matplotlib_it_says_what_to_install(fitted, tmp_path, monkeypatch):
    def without(name):
        raise ImportError(name)

    monkeypatch.setattr("sk_metalr._display.plots.import_module", without)
    with pytest.raises(ImportError, match=r"pip install 'sk_metalr\[plot\]'"):
        report(fitted, tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, driven by its own driver; nothing is downloaded."""
    webdriver = pytest.importorskip("selenium.webdriver")
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.skip("chromium and chromedriver are not on the PATH; see CONTRIBUTING.md")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


COLUMN = """
const heads = [...document.querySelectorAll(".sortable thead th")];
const column = heads.findIndex((head) => head.textContent === arguments[0]);
return [...document.querySelectorAll(".sortable tbody tr")].map(
    (row) => row.cells[column].dataset.value ?? row.cells[column].textContent);
"""


def test_a_browser_shows_and_sorts_it(browser, fitted, written):
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(written.as_uri())
    assert browser.title == f"Search report: learning rate {fitted.best_learning_rate_:.3g}"
    page = "return document.documentElement."
    assert browser.execute_script(f"{page}scrollWidth") <= 360
    images = "return [...document.images].every((image) => image.naturalWidth > 0)"
    assert browser.execute_script(images)

    def click(name):
        script = (
            "[...document.querySelectorAll('.sortable button')]"
            f".find((button) => button.textContent === {json.dumps(name)}).click()"
        )
        browser.execute_script(script)
        return browser.execute_script(COLUMN, name)

    assert len(click("row")) == len(fitted.cv_results_["params"])
    accuracy = fitted.cv_results_["mean_test_accuracy"]
    known = np.sort(accuracy[~np.isnan(accuracy)])
    unknown = [""] * int(np.isnan(accuracy).sum())
    values = click("mean_test_accuracy")
    assert values[len(known) :] == unknown
    np.testing.assert_array_equal([float(value) for value in values[: len(known)]], known)
    values = click("mean_test_accuracy")
    assert values[len(known) :] == unknown
    np.testing.assert_array_equal([float(value) for value in values[: len(known)]], known[::-1])
    assert click("param_schedule") == sorted(fitted.cv_results_["param_schedule"])
    heads = browser.find_elements("css selector", "[aria-sort]")
    assert [head.get_attribute("aria-sort") for head in heads] == ["ascending"]
    assert browser.get_log("browser") == []
