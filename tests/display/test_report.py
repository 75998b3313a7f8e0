"""The report: what the page says, that it is safe to open, and how a browser shows it."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import sklearn
from make import SMALL_FITS_WARN, small_classifier
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sk_metalr
from sk_metalr import Halving, LearningCurvesDisplay, MetaLRClassifier, report
from sk_metalr.exceptions import ForgottenParametersWarning

pytestmark = SMALL_FITS_WARN


ATTACK = "<script>alert(1)</script>"
RATE = "optimizer__learning_rate"
N_EPOCHS = 4


def attack(progress):
    return 1 - progress / 2


attack.__name__ = f"{ATTACK} $\\frac$"  # schedules go by the name of their function


def own_scorer(estimator, X, y):
    return float((estimator.predict(X) == y).mean())


@pytest.fixture(scope="module")
def fitted(iris):
    """Two families, halving, three scorers, diverged candidates, names full of HTML."""
    X, y = iris
    names = [f"<b>{name}</b>" for name in "abcd"]
    scorers = {"log_loss": "neg_log_loss", "accuracy": "accuracy", ATTACK: "balanced_accuracy"}
    return MetaLRClassifier(
        small_classifier(epochs=N_EPOCHS),
        {RATE: [1e-3, 1e-2, 1e-1, 1e30], "schedule": ["constant", attack]},
        search=Halving(min_epochs=1),
        scoring=scorers,
        cv=2,
        random_state=0,
    ).fit(pd.DataFrame(X, columns=names), np.array([ATTACK, "a & b", "c"], dtype=object)[y])


@pytest.fixture(scope="module")
def plain(iris):
    """A Pipeline, one family, one split, no refit, a random_state that is not an int."""
    classifier = MetaLRClassifier(
        small_classifier(),
        learning_rates=[1e-3, 1e-2],
        cv=0.2,
        refit=False,
        random_state=np.random.RandomState(0),
    )
    return make_pipeline(StandardScaler(), classifier).fit(*iris)


@pytest.fixture(scope="module")
def written(fitted, tmp_path_factory):
    return report(fitted, tmp_path_factory.mktemp("report") / "search.html")


@pytest.fixture(scope="module")
def plain_page(plain, tmp_path_factory):
    return read(report(plain, tmp_path_factory.mktemp("report") / "plain.html"))


@pytest.fixture(scope="module")
def strange_page(fitted, tmp_path_factory):
    """A page with a hostile parameter, many labels, one of half a character, and odd numbers."""
    results = dict(fitted.cv_results_)
    results["mean_test_accuracy"] = np.array([np.inf, -np.inf, np.nan, 1 / 3, 0, 0, 0, 0])
    strange = changed(
        fitted,
        cv_results_=results,
        search_cost_=fitted.search_cost_ | {"member_epochs": 1234567},
        classes_=np.array(["half \udc80", *range(1, 100)], dtype=object),
        verbose=f'{ATTACK}"\udc80',
    )
    return read(report(strange, tmp_path_factory.mktemp("report") / "strange.html"))


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

    def columns(self):
        """Return the columns of the table of candidates: exact value and text of each cell."""
        heads = [text for _, text in self.find("th", scope="col")]
        cells = [(one.get("data-value"), text) for one, text in self.find("td") if "class" in one]
        return {head: cells[i :: len(heads)] for i, head in enumerate(heads)}

    def messages(self):
        """Return what is worth knowing."""
        return [text for _, text in self.find("li")]


def read(path):
    return Page(Path(path).read_text(encoding="utf-8"))


def changed(fitted, **attributes):
    """Return a copy of a fitted classifier with other attributes."""
    copy = clone(fitted)
    copy.__dict__ |= vars(fitted) | attributes
    return copy


def test_what_was_chosen_and_what_it_cost_is_what_the_estimator_says(fitted, written):
    page = read(written)
    tiles = page.tiles()
    assert tiles["Learning rate"] == f"{fitted.best_learning_rate_:.3g}"
    assert tiles["Epochs"] == str(fitted.best_n_epochs_)
    assert tiles["Schedule"] == fitted.best_params_["schedule"]
    assert tiles["Held-out log-loss (nats)"] == f"{-fitted.best_score_:.4g}"
    assert tiles["Searched"] == "8 × 2"
    assert tiles["Refitted"] == "one model"
    pairs, cost = page.pairs(), fitted.search_cost_
    assert cost.keys() <= pairs.keys()
    assert pairs["member_epochs"] == str(cost["member_epochs"])
    assert pairs["total_seconds"] == f"{cost['total_seconds']:.4g}"
    assert pairs["lane_reason"] == cost["lane_reason"]
    assert {name: pairs[name] for name in ("sk_metalr", "scikit-learn", "numpy")} == {
        "sk_metalr": sk_metalr.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }
    assert page.find("title")[0][1] == f"Search report: learning rate {tiles['Learning rate']}"


def test_the_table_holds_every_number_of_cv_results(fitted, written):
    page, results = read(written), fitted.cv_results_
    columns = page.columns()
    assert sorted(columns) == sorted({"row", *results} - {"params"})
    for name in results.keys() - {"params"}:
        exact, texts = zip(*columns[name], strict=True)
        if np.asarray(results[name]).dtype.kind in "iuf":
            numbers = [float(value or "nan") for value in exact]
            np.testing.assert_array_equal(numbers, np.asarray(results[name]))
        elif name in ("diverged", "averaged"):
            assert texts == tuple("yes" if one else "no" for one in results[name])
        else:
            assert texts == tuple(results[name])
    diverged = results["diverged"]
    assert diverged.sum() == 2
    texts = np.array(columns["mean_test_accuracy"])[:, 1]
    np.testing.assert_array_equal(texts == "–", diverged)
    (marked,) = page.find("tr", **{"class": "marked"})
    assert marked[1].split()[0] == str(fitted.best_index_)


def test_numbers_are_written_for_people_and_for_the_script(strange_page):
    assert strange_page.columns()["mean_test_accuracy"][:4] == [
        ("Infinity", "inf"),
        ("-Infinity", "-inf"),
        ("", "–"),
        (repr(1 / 3), "0.3333"),
    ]
    assert strange_page.pairs()["member_epochs"] == "1,234,567"


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
    ((_, script),) = page.find("script")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert [directive.split() for directive in policy["content"].split(";")] == [
        ["default-src", "'none'"],
        ["img-src", "data:"],
        ["style-src", "'unsafe-inline'"],
        ["script-src", f"'sha256-{digest}'"],
    ]


def test_names_are_text_whatever_they_hold(fitted, written):
    page = read(written)
    assert ATTACK not in written.read_text(encoding="utf-8")
    assert len(page.find("script")) == 1
    assert page.find("b") == []
    assert page.pairs()["3 classes"] == f"{ATTACK}, a & b, c"
    assert page.pairs()["4 features"] == "<b>a</b>, <b>b</b>, <b>c</b>, <b>d</b>"
    assert f"mean_test_{ATTACK}" in page.columns()
    assert attack.__name__ in [text for _, text in page.columns()["param_schedule"]]
    assert any(attack.__name__ in message for message in page.messages())


def test_parameters_are_text_whatever_they_hold(strange_page):
    assert len(strange_page.find("script")) == 1
    assert strange_page.pairs()["verbose"] == repr(f'{ATTACK}"\udc80')


def test_of_many_labels_the_first_are_listed_even_if_utf_8_cannot_encode_them(strange_page):
    listed = strange_page.pairs()["100 classes"]
    assert listed.startswith("half \N{REPLACEMENT CHARACTER}, 1, 2,")
    assert listed.endswith("28, 29 and 70 more")


def test_the_repr_is_whole_and_without_addresses(written, plain_page):
    ((_, text),) = read(written).find("pre")
    assert text.startswith("MetaLRClassifier(")
    assert "KerasClassifier(" in text
    assert "random_state=0" in text
    assert " at 0x" not in written.read_text(encoding="utf-8")
    ((_, text),) = plain_page.find("pre")
    assert text.startswith("Pipeline(")
    assert "..." not in text


def test_what_is_worth_knowing_is_told(written, plain_page):
    messages = read(written).messages()
    told = (
        "2 of 8 candidates diverged. The lowest learning rate that did: 1e+30 with constant; 1e+30"
    )
    assert any(message.startswith(told) for message in messages)
    messages = plain_page.messages()
    assert any("is the highest that was tried" in message for message in messages)
    assert any("whole budget, 3" in message for message in messages)
    assert not any("diverged" in message for message in messages)
    assert plain_page.tiles()["Refitted"] == "none"
    assert any("is not an int" in text for _, text in plain_page.find("p"))


def test_a_search_without_trouble_says_so(fitted, tmp_path):
    sound = fitted.cv_results_ | {"diverged": np.zeros(8, bool)}
    calm = changed(fitted, cv_results_=sound, baseline_loss_=1e6)  # beside it, nothing falls
    (message,) = read(report(calm, tmp_path / "a.html")).messages()
    assert message.startswith("Nothing")
    hopeless = changed(fitted, cv_results_=sound, baseline_loss_=1e-6)
    messages = read(report(hopeless, tmp_path / "a.html")).messages()
    assert any(message.startswith("No learning rate did better") for message in messages)
    early = sound | {name: np.minimum(sound[name], 2) for name in ("n_epochs", "n_resources")}
    stopped = changed(calm, cv_results_=early)
    (message,) = read(report(stopped, tmp_path / "a.html")).messages()
    assert message == f"The search ended after 2 of {N_EPOCHS} epochs."


@pytest.mark.parametrize(
    "settings",
    [
        {"search": "portfolio", "n_candidates": 2},
        {
            "param_distributions": {"optimizer": ["sgd", "adam"], "schedule": ["linear", "cosine"]},
            "n_models": 2,
        },
        {"n_candidates": 1, "learning_rates": [1e-2]},
    ],
    ids=["portfolio", "families", "one candidate"],
)
@pytest.mark.filterwarnings("ignore:The experience holds no:sk_metalr.exceptions.ExperienceWarning")
def test_every_kind_of_search_has_a_report(iris, settings, tmp_path):
    settings = {"n_candidates": 4, "cv": 0.2, "random_state": 0} | settings
    fitted = MetaLRClassifier(small_classifier(epochs=1), **settings).fit(*iris)
    page = read(report(fitted, tmp_path / "a.html"))
    assert len(page.find("tr", **{"class": "marked"})) == 1
    models = {1: "one model", 2: "2 models"}[len(fitted.estimators_)]
    assert page.tiles()["Refitted"] == models
    names = {"optimizer", "schedule"} & fitted.best_params_.keys()
    assert all(page.tiles()[name.capitalize()] == fitted.best_params_[name] for name in names)
    learned = any("versions and experience give the same" in text for _, text in page.find("p"))
    assert learned == (settings.get("search") == "portfolio")


def test_a_score_that_is_not_the_log_loss_is_named_even_where_its_scorer_is_forgotten(
    iris, tmp_path
):
    classifier = MetaLRClassifier(
        small_classifier(epochs=1),
        learning_rates=[1e-2, 1e-1],
        search="hypergradient",
        scoring={"accuracy": "accuracy", "mine": own_scorer},
        refit="mine",
        cv=2,
        random_state=0,
    )
    fitted = classifier.fit(*iris)
    path = fitted.save(tmp_path / "fitted.metalr")
    with pytest.warns(ForgottenParametersWarning):
        loaded = MetaLRClassifier.load(path)
    for estimator in (fitted, loaded):
        page = read(report(estimator, tmp_path / "a.html"))
        assert page.tiles()["Held-out mine"] == f"{fitted.best_score_:.4g}"
        assert "The choice was made on mine; the curves show the log-loss." in page.messages()


def test_the_same_estimator_gives_the_same_page_in_any_style(fitted, written, tmp_path):
    path = tmp_path / "again.html"
    path.write_text("old")
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30}):
        assert report(fitted, str(path)) == path
    assert path.read_bytes() == written.read_bytes()
    other = tmp_path / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode, "others can read it"


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


def test_an_estimator_that_is_not_fitted_is_not_reported_on(tmp_path):
    for estimator in (MetaLRClassifier(), make_pipeline(StandardScaler(), MetaLRClassifier())):
        with pytest.raises(NotFittedError, match="not fitted"):
            report(estimator, tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_must_exist_and_the_file_must_not_be_a_folder(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        report(fitted, tmp_path / "missing" / "a.html")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        report(fitted, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("owner", "name"),
    [(LearningCurvesDisplay, "from_estimator"), (os, "fsync"), (os, "replace")],
    ids=["drawing", "writing", "replacing"],
)
def test_an_error_leaves_the_old_file_and_nothing_else(fitted, tmp_path, monkeypatch, owner, name):
    path = tmp_path / "a.html"
    path.write_text("old")

    def fail(*_, **__):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, fail)
        with pytest.raises(OSError, match="no space left"):
            report(fitted, path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_a_report_says_what_to_install(fitted, tmp_path, monkeypatch, missing):
    for name in [*sys.modules, missing]:
        if name.split(".")[0] == missing:
            monkeypatch.setitem(sys.modules, name, None)
    told = r"^A report needs jinja2 and matplotlib: pip install 'jinja2>=3.1' 'matplotlib>=3.8'\.$"
    with pytest.raises(ImportError, match=told):
        report(fitted, tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_the_package_is_imported_without_its_optional_dependencies():
    code = "import sys; sys.modules |= dict.fromkeys(['jinja2', 'matplotlib']); import sk_metalr"
    subprocess.run([sys.executable, "-c", code], check=True)


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
