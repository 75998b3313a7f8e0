"""Displays: what they draw, and what they can be drawn from."""

import sys
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from make import SMALL_FITS_WARN, small_classifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_metalr import Halving, LearningCurvesDisplay, LearningRateDisplay, MetaLRClassifier

pytestmark = SMALL_FITS_WARN

BOTH = pytest.mark.parametrize("display", [LearningRateDisplay, LearningCurvesDisplay])
RATE = "optimizer__learning_rate"


@pytest.fixture(scope="module")
def fitted(iris):
    """One family on two splits, without a candidate that diverged or was left behind."""
    rates = list(np.geomspace(1e-4, 1, 6))
    classifier = small_classifier(epochs=4)
    return MetaLRClassifier(classifier, learning_rates=rates, cv=2, random_state=0).fit(*iris)


@pytest.fixture(scope="module")
def fitted_in_families(iris):
    """Two families on one split, with candidates that diverged or were left behind."""
    return MetaLRClassifier(
        small_classifier(epochs=4),
        {"optimizer": ["sgd", "adam"], RATE: [1e-3, 1e-2, 1e-1, 1e30]},
        search=Halving(min_epochs=1),
        cv=0.2,
        random_state=0,
    ).fit(*iris)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def legend(display):
    """Return the labels of a legend."""
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize("name", ["fitted", "fitted_in_families"])
def test_the_response_curves_are_what_the_choice_was_made_on(name, request):
    fitted = request.getfixturevalue(name)
    curves = LearningRateDisplay.from_estimator(fitted).curves
    table = fitted.cv_results_

    def joined(column):
        return np.concatenate([getattr(curve, column) for curve in curves])

    sound = ~joined("diverged")
    np.testing.assert_array_equal(sound, ~table["diverged"])
    np.testing.assert_array_equal(joined("learning_rates"), table[f"param_{RATE}"])
    np.testing.assert_allclose(joined("smoothed")[sound], -table["selection_score"][sound])
    error = table["selection_standard_error"]
    np.testing.assert_allclose(joined("error")[sound], error[sound])
    assert joined("losses").shape == fitted.learning_curves_.shape[:2]
    assert np.isnan(joined("losses")[~sound]).all()


def test_each_family_has_a_curve(fitted, fitted_in_families):
    for estimator, labels in ((fitted, [""]), (fitted_in_families, ["sgd", "adam"])):
        display = LearningRateDisplay.from_estimator(estimator)
        assert [curve.label for curve in display.curves] == labels


def test_the_response_curve_is_drawn(fitted):
    display = LearningRateDisplay.from_estimator(fitted, default_rate=1e-3)
    ax = display.ax_
    assert display.figure_ is ax.figure
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "held-out log-loss (nats)"
    labels = legend(display)
    assert labels[0] == "smoothed mean"
    assert f"chosen: {fitted.best_learning_rate_:.2g}" in labels
    assert "default: 0.001" in labels
    (line,) = [line for line in ax.lines if line.get_label() == "smoothed mean"]
    np.testing.assert_allclose(line.get_xdata(), fitted.cv_results_[f"param_{RATE}"])
    np.testing.assert_allclose(line.get_ydata(), -fitted.cv_results_["selection_score"])


def test_a_curve_whose_candidates_all_diverged_is_drawn(fitted_in_families):
    display = LearningRateDisplay.from_estimator(fitted_in_families)
    first, second = display.curves
    nothing = np.full_like(first.smoothed, np.nan)
    diverged = replace(first, smoothed=nothing, diverged=np.ones(len(nothing), bool))
    bottom, top = replace(display, curves=[diverged, second]).plot().ax_.get_ylim()
    assert bottom < np.nanmin(second.smoothed) < top


def test_rates_increase_though_several_blocks_of_numbers_share_a_curve(iris):
    decay = {"optimizer__weight_decay": [1e-3, 1e-2]}
    spaces = [decay, decay | {"optimizer__clipnorm": [1.0, 2.0]}]
    found = MetaLRClassifier(small_classifier(epochs=2), spaces, n_candidates=8, cv=0.2)
    for curve in LearningRateDisplay.from_estimator(found.fit(*iris)).curves:
        assert (np.diff(curve.learning_rates) >= 0).all()


def test_displays_draw_where_they_are_told(fitted_in_families):
    _, (left, right) = plt.subplots(1, 2)
    assert LearningRateDisplay.from_estimator(fitted_in_families, ax=left).ax_ is left
    assert LearningCurvesDisplay.from_estimator(fitted_in_families, ax=right).ax_ is right
    left.figure.canvas.draw()


def test_a_rate_at_which_several_families_diverge_is_labelled_once(fitted_in_families):
    ax = LearningRateDisplay.from_estimator(fitted_in_families).ax_
    assert [text.get_text() for text in ax.texts].count("diverges") == 1
    lines = [line for line in ax.lines if np.all(np.array(line.get_xdata()) == 1e30)]
    assert len({line.get_color() for line in lines}) == 2


def test_a_single_rate_is_drawn_in_the_middle_and_a_name_is_no_formula(fitted):
    (curve,) = LearningRateDisplay.from_estimator(fitted).curves
    one = np.array([0.01])
    columns = {"learning_rates": one, "losses": one[:, None], "smoothed": one, "error": one}
    curve = replace(curve, label="a $\\frac$", diverged=np.array([False]), raw=None, **columns)
    display = LearningRateDisplay(
        curves=[curve], best_learning_rate=0.01, interval=(0.01, 0.01), baseline_loss=1.0
    ).plot()
    display.figure_.canvas.draw()
    np.testing.assert_allclose(display.ax_.get_xlim(), (0.001, 0.1))


def test_learning_curves_mark_who_was_left_behind_and_who_diverged(fitted_in_families):
    display = LearningCurvesDisplay.from_estimator(fitted_in_families)
    table = fitted_in_families.cv_results_
    left = (table["n_resources"] < 4) & ~table["diverged"]
    markers = [line.get_marker() for line in display.ax_.lines]
    assert markers.count("x") == left.sum() > 0
    assert markers.count("^") == table["diverged"].sum() > 0
    assert {"left behind", "diverged"} <= set(legend(display))
    bottom, top = display.ax_.get_ylim()
    marks = [line for line in display.ax_.lines if line.get_marker() in ("x", "^")]
    assert all(bottom <= line.get_ydata()[0] <= top for line in marks)
    display.figure_.canvas.draw()


def test_learning_curves_without_marks_do_not_explain_them(fitted):
    assert legend(LearningCurvesDisplay.from_estimator(fitted)) == [
        f"chosen: {fitted.best_learning_rate_:.2g}",
        f"{fitted.best_n_epochs_} epochs",
    ]


def test_displays_tell_families_apart_and_which_is_chosen(fitted_in_families):
    best = fitted_in_families.best_params_
    chosen = f"chosen: {best[RATE]:.2g} with {best['optimizer']}"
    curves = LearningCurvesDisplay.from_estimator(fitted_in_families)
    assert {chosen, "sgd", "adam"} <= set(legend(curves))
    styles = {line.get_linestyle() for line in curves.ax_.lines if line.get_color() != "black"}
    assert {"-", "--"} <= styles
    response = legend(LearningRateDisplay.from_estimator(fitted_in_families))
    assert {chosen, "smoothed mean: sgd", "smoothed mean: adam"} <= set(response)


def learning_curve(losses, best_n_epochs):
    """Draw a single learning curve, with a baseline loss of 1."""
    return LearningCurvesDisplay(
        losses=np.array([losses]),
        learning_rates=np.array([0.1]),
        best_index=0,
        best_n_epochs=best_n_epochs,
        baseline_loss=1.0,
    ).plot()


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 5, 9, 20, 400])
def test_epochs_are_whole_and_losses_need_not_begin_at_zero(n_epochs):
    ax = learning_curve(np.full(n_epochs, 0.9), n_epochs).ax_
    ticks = ax.get_xticks()
    np.testing.assert_array_equal(ticks, ticks.round())
    bottom, top = ax.get_ylim()
    assert 0.5 < bottom < 0.9 < 1.0 < top


def test_the_baseline_is_on_the_axis_even_if_every_loss_is_above_it():
    bottom, top = learning_curve(np.full(3, 11.7), 1).ax_.get_ylim()
    assert bottom < 1.0 < 11.7 < top


@BOTH
def test_an_estimator_that_is_not_fitted_is_not_drawn(display):
    for unfitted in (
        MetaLRClassifier(),
        make_pipeline(StandardScaler(), MetaLRClassifier()),
        GridSearchCV(MetaLRClassifier(), {"n_models": [1, 2]}),
    ):
        with pytest.raises(NotFittedError):
            display.from_estimator(unfitted)


@BOTH
def test_a_classifier_inside_other_estimators_is_drawn(fitted, iris, display):
    pipeline = make_pipeline(StandardScaler(), FrozenEstimator(fitted))
    grid = GridSearchCV(pipeline, {}, cv=2).fit(*iris)
    for outer in (pipeline, grid, make_pipeline("passthrough", grid), FrozenEstimator(grid)):
        assert f"chosen: {fitted.best_learning_rate_:.2g}" in legend(display.from_estimator(outer))


@BOTH
@pytest.mark.parametrize("other", [LogisticRegression(), make_pipeline(StandardScaler()), None])
def test_an_estimator_that_holds_no_classifier_of_ours_is_refused(display, other):
    with pytest.raises(TypeError, match=f"{display.__name__} takes a fitted MetaLRClassifier"):
        display.from_estimator(other)


@BOTH
def test_without_matplotlib_displays_say_what_to_install(fitted, display, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'matplotlib>=3\.8'"):
        display.from_estimator(fitted)
