"""The reliability diagram, and what reports tell of ensembles."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from make import SMALL_FITS_WARN, small_classifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_metalr import MetaLRClassifier, ReliabilityDisplay, report

pytestmark = SMALL_FITS_WARN


@pytest.fixture(scope="module")
def fitted(iris):
    """An ensemble of a few models, in a Pipeline."""
    classifier = small_classifier(epochs=10)
    search = MetaLRClassifier(classifier, n_candidates=6, cv=2, n_models=3, random_state=0)
    return make_pipeline(StandardScaler(), search).fit(*iris)


@pytest.fixture
def sure(iris, monkeypatch):
    """A classifier that is sure by 0.8 of the class of four rows, and right on three of them."""
    one = MetaLRClassifier(small_classifier(epochs=1), learning_rates=[1e-3], cv=2).fit(*iris)
    probabilities = np.full((4, 3), 0.1) + 0.7 * np.eye(3)[[0, 1, 2, 0]]
    monkeypatch.setattr(one, "predict_proba", lambda X: probabilities)
    return one


def test_confidence_is_compared_with_accuracy(sure):
    sure.temperature_ = 1.0
    display = ReliabilityDisplay.from_estimator(sure, np.zeros((4, 4)), [0, 1, 2, 1])
    ((label, curve),) = display.curves.items()
    assert label == "as predicted"
    np.testing.assert_allclose(curve.confidence, [0.8])
    np.testing.assert_allclose(curve.accuracy, [0.75])
    assert curve.error == pytest.approx(0.05)
    again = ReliabilityDisplay.from_estimator(sure, np.zeros((4, 4)), [[0], [1], [2], [1]])
    assert again.curves[label].error == curve.error


def test_before_calibration_logits_are_as_they_were(sure):
    sure.temperature_ = 2.0
    display = ReliabilityDisplay.from_estimator(sure, np.zeros((4, 4)), [0, 1, 2, 1])
    before, after = display.curves.values()
    np.testing.assert_allclose(after.confidence, [0.8])
    np.testing.assert_allclose(before.confidence, [0.64 / (0.64 + 2 * 0.01)])
    assert before.error > after.error


def test_rows_that_are_all_right_are_drawn(sure):
    display = ReliabilityDisplay.from_estimator(sure, np.zeros((4, 4)), [0, 1, 2, 0])
    assert all(curve.accuracy == [1.0] for curve in display.curves.values())
    assert display.ax_.get_xlabel() == "mean predicted probability"


def test_rows_and_labels_of_other_lengths_are_refused(sure):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ReliabilityDisplay.from_estimator(sure, np.zeros((4, 4)), [0, 1])


def test_a_pipeline_predicts_for_the_rows_it_is_given(fitted, iris):
    X, y = iris
    display = ReliabilityDisplay.from_estimator(fitted, X, y, n_bins=4, strategy="quantile")
    assert all(len(curve.confidence) <= 4 for curve in display.curves.values())


def test_a_report_shows_reliability_and_the_models_of_an_ensemble(fitted, iris, tmp_path):
    page = report(fitted, tmp_path / "page.html", *iris).read_text(encoding="utf-8")
    assert "Reliability: how often" in page
    assert "<h2>Ensemble</h2>" in page
    table = page.partition("<h2>Ensemble</h2>")[2].partition("</table>")[0]
    assert table.count("<tr>") == 1 + len(fitted[-1].estimators_)
    with pytest.raises(ValueError, match=r"'X' and 'y'.*together"):
        report(fitted, tmp_path / "page.html", iris[0])
