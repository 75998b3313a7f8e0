"""Displays: what is drawn, and that it can be drawn."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from models import small_classifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_metalr import LearningCurvesDisplay, LearningRateDisplay, MetaLRClassifier
from sk_metalr._display.plots import ResponseCurve, response_curves


@pytest.fixture(scope="module")
def fitted(iris):
    rates = list(np.geomspace(1e-4, 1, 6))
    return MetaLRClassifier(
        small_classifier(epochs=9), learning_rates=rates, n_splits=2, random_state=0
    ).fit(*iris)


@pytest.fixture(scope="module")
def fitted_in_families(iris):
    return MetaLRClassifier(
        small_classifier(epochs=9),
        learning_rates=[1e-3, 1e-2, 1e-1, 1e30],
        optimizers=["sgd", "adam"],
        search="halving",
        n_splits=1,
        random_state=0,
    ).fit(*iris)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def test_the_response_curve_is_what_the_choice_saw(fitted):
    (curve,) = response_curves(fitted)
    table = fitted.cv_results_
    assert curve.label == ""
    np.testing.assert_array_equal(curve.learning_rates, table["param_learning_rate"])
    np.testing.assert_allclose(curve.smoothed, -table["selection_score"])
    assert curve.losses.shape == (6, 2)
    assert curve.learning_rates[curve.smoothed.argmin()] == fitted.best_learning_rate_
    assert (curve.error >= 0).all()


def test_each_family_has_a_curve(fitted_in_families):
    sgd, adam = response_curves(fitted_in_families)
    assert (sgd.label, adam.label) == ("sgd", "adam")
    assert sgd.diverged[-1]
    assert (adam.error == 0).all()


def test_the_response_curve_is_drawn(fitted):
    display = LearningRateDisplay.from_estimator(fitted, default_rate=1e-3)
    ax = display.ax_
    assert display.figure_ is ax.figure
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "held-out log-loss (nats)"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[0] == "smoothed mean"
    assert any(label.startswith("chosen") for label in labels)
    assert "default: 0.001" in labels
    (line,) = [line for line in ax.lines if line.get_label() == "smoothed mean"]
    np.testing.assert_allclose(line.get_ydata(), display.curves[0].smoothed)


def test_displays_draw_where_they_are_told(fitted_in_families):
    _, (left, right) = plt.subplots(1, 2)
    assert LearningRateDisplay.from_estimator(fitted_in_families, ax=left).ax_ is left
    assert LearningCurvesDisplay.from_estimator(fitted_in_families, ax=right).ax_ is right
    left.figure.canvas.draw()
    assert any("diverges" in text.get_text() for text in left.texts)


def test_a_single_rate_is_drawn_in_the_middle_and_a_name_is_no_formula():
    one = np.array([0.01])
    curve = ResponseCurve("a $\\frac$", one, one[:, None], one, one, np.array([False]))
    display = LearningRateDisplay(
        curves=[curve], best_learning_rate=0.01, interval=(0.01, 0.01), no_skill_loss=1.0
    ).plot()
    display.figure_.canvas.draw()
    np.testing.assert_allclose(display.ax_.get_xlim(), (0.001, 0.1))


def legend(display):
    """Return the labels of a legend."""
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_learning_curves_mark_who_left_and_who_diverged(fitted_in_families):
    display = LearningCurvesDisplay.from_estimator(fitted_in_families)
    table = fitted_in_families.cv_results_
    left = (table["n_resources"] < 9) & ~table["diverged"]
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
    chosen = f"chosen: {best['learning_rate']:.2g} with {best['optimizer']}"
    curves = LearningCurvesDisplay.from_estimator(fitted_in_families)
    assert {chosen, "sgd", "adam"} <= set(legend(curves))
    styles = {line.get_linestyle() for line in curves.ax_.lines if line.get_color() != "black"}
    assert {"-", "--"} <= styles
    assert chosen in legend(LearningRateDisplay.from_estimator(fitted_in_families))


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 5, 9, 20, 400])
def test_epochs_are_whole_and_losses_need_not_begin_at_zero(n_epochs):
    display = LearningCurvesDisplay(
        losses=np.full((1, n_epochs), 0.9),
        learning_rates=np.array([0.1]),
        best_index=0,
        best_n_epochs=n_epochs,
        no_skill_loss=1.0,
    ).plot()
    ticks = display.ax_.get_xticks()
    np.testing.assert_array_equal(ticks, ticks.round())
    bottom, top = display.ax_.get_ylim()
    assert 0.5 < bottom < 0.9 < 1.0 < top


def test_where_nothing_has_skill_the_class_frequencies_are_on_the_axis():
    losses = np.full((1, 3), 11.7)
    display = LearningCurvesDisplay(
        losses=losses,
        learning_rates=np.array([0.1]),
        best_index=0,
        best_n_epochs=1,
        no_skill_loss=1.0,
    ).plot()
    bottom, top = display.ax_.get_ylim()
    assert bottom < 1.0 < 11.7 < top


@pytest.mark.parametrize("display", [LearningRateDisplay, LearningCurvesDisplay])
def test_what_is_not_fitted_is_not_drawn(display):
    for unfitted in (
        MetaLRClassifier(),
        make_pipeline(StandardScaler(), MetaLRClassifier()),
        GridSearchCV(MetaLRClassifier(), {"n_refits": [1, 2]}),
    ):
        with pytest.raises(NotFittedError):
            display.from_estimator(unfitted)


@pytest.mark.parametrize("display", [LearningRateDisplay, LearningCurvesDisplay])
def test_what_is_inside_of_other_estimators_is_drawn(iris, display):
    X, y = iris
    inner = MetaLRClassifier(
        small_classifier(), learning_rates=[1e-2, 1e-1], n_splits=1, random_state=0
    )
    pipeline = make_pipeline(StandardScaler(), inner)
    grid = GridSearchCV(pipeline, {"metalrclassifier__n_refits": [1]}, cv=2).fit(X, y)
    for fitted in (grid.best_estimator_, make_pipeline("passthrough", grid), FrozenEstimator(grid)):
        assert display.from_estimator(fitted).ax_.get_ylabel() == "held-out log-loss (nats)"


@pytest.mark.parametrize("display", [LearningRateDisplay, LearningCurvesDisplay])
@pytest.mark.parametrize("other", [LogisticRegression(), make_pipeline(StandardScaler()), None])
def test_what_holds_no_search_is_refused(display, other):
    with pytest.raises(TypeError, match=f"{display.__name__} takes a fitted MetaLRClassifier"):
        display.from_estimator(other)
