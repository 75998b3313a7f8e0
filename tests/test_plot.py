"""Displays: what is drawn, and that it can be drawn."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from models import small_classifier
from sklearn.exceptions import NotFittedError

from sk_metalr import LearningCurvesDisplay, LearningRateDisplay, MetaLRClassifier
from sk_metalr._plot import ResponseCurve, response_curves


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


def test_learning_curves_mark_who_left(fitted_in_families):
    display = LearningCurvesDisplay.from_estimator(fitted_in_families)
    table = fitted_in_families.cv_results_
    left = (table["n_resources"] < 9) & ~table["diverged"]
    crosses = [line for line in display.ax_.lines if line.get_marker() == "x"]
    assert len(crosses) >= left.sum() > 0
    display.figure_.canvas.draw()


@pytest.mark.parametrize("display", [LearningRateDisplay, LearningCurvesDisplay])
def test_what_is_not_fitted_is_not_drawn(display):
    with pytest.raises(NotFittedError):
        display.from_estimator(MetaLRClassifier())
