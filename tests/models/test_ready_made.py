"""The ready-made network: parts, scales, and what becomes of it."""

import keras
import numpy as np
import pytest
from make import SMALL_FITS_WARN
from sklearn.base import clone
from sklearn.datasets import make_regression

from sk_metalr import MetaLRClassifier, MetaLRRegressor
from sk_metalr._models.ready_made import BINS, MAX_BINS, build_network, set_scales

pytestmark = SMALL_FITS_WARN
SHORT, RATES = 12, [3e-4, 3e-3, 1e-2]


def meta(n_features=4, **others):
    return {"X_shape_": (20, n_features), "n_outputs_": 1} | others


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


@pytest.fixture(scope="module")
def fitted(iris):
    space = {"epochs": [SHORT], "optimizer__learning_rate": RATES}
    return MetaLRClassifier(None, space, cv=0.3, random_state=0).fit(*iris)


def names(model):
    return [layer.name for layer in model.layers]


def test_parts_can_be_left_out():
    assert BINS in names(build_network(meta()))
    assert BINS not in names(build_network(meta(), n_bins=0))
    assert BINS not in names(build_network(meta(MAX_BINS + 1)))
    assert build_network(meta(200)).get_layer(BINS).output.shape == (None, 200, 2)
    assert kinds(build_network(meta(), n_layers=3)).count("Dense") == 4
    assert "Rescaling" in kinds(build_network(meta()))
    assert "Rescaling" not in kinds(build_network(meta(), weighs_features=False))


def test_bins_begin_with_as_many_rows_each():
    rows = np.random.default_rng(0).exponential(10.0, (20_001, 3)).astype(np.float32)
    rows[:, 1] = rows[:, 1] > 5  # of two values, all bins are one
    rows[:, 2] = 7.0
    network = build_network(meta(3))
    set_scales(network, rows)
    bins = keras.Model(network.input, network.get_layer(BINS).output)
    seen = np.asarray(bins(rows))
    assert np.isfinite(seen).all()
    np.testing.assert_allclose(
        (seen[:, 0] > 0.5).mean(axis=0), 1 - (np.arange(8) + 0.5) / 8, atol=0.03
    )
    np.testing.assert_allclose(seen[rows[:, 1] == 0, 1], 1 / (1 + np.exp(2)), atol=1e-3)
    np.testing.assert_allclose(seen[rows[:, 1] == 1, 1], 1 / (1 + np.exp(-2)), atol=1e-3)
    assert np.ptp(seen[:, 2]) == 0


def test_thresholds_are_found():
    rows = np.random.default_rng(0).uniform(0, 1, (300, 3)).astype(np.float32)
    y = (rows[:, 0] > 0.3) ^ (rows[:, 1] > 0.8)
    found = MetaLRClassifier(random_state=0, cv=0.2, n_candidates=8).fit(rows, y)
    assert found.best_estimator_.score(rows, y) > 0.95


def test_features_are_standardised_and_clipped():
    rows = np.random.default_rng(0).normal(5.0, 100.0, (500, 4))
    rows[:, 2] = np.where(rows[:, 2] > 150, 30.0, 10.0)  # two values, one of them rare
    rows[:, 3] = 7.0  # a constant
    network = build_network(meta())
    set_scales(network, rows.astype(np.float32))
    clipped = keras.Model(network.input, network.layers[4].output)
    seen = np.asarray(clipped(rows))
    standard = (rows - rows.mean(axis=0)) / np.where(rows.std(axis=0) > 0, rows.std(axis=0), 1)
    standard[:, 2] = rows[:, 2] == 30
    np.testing.assert_allclose(seen, 3 * np.tanh(standard / 3), atol=1e-4)
    assert np.abs(np.asarray(clipped(np.full((1, 4), 1e9)))).max() <= 3


def test_scales_make_no_difference(iris, fitted):
    X, y = iris
    scaled = X * [1.0, 1e3, 1e-6, 1e5] + [0.0, -7.0, 0.0, 1e3]
    other = clone(fitted).fit(scaled, y)
    assert other.best_params_ == fitted.best_params_
    np.testing.assert_allclose(other.predict_proba(scaled), fitted.predict_proba(X), atol=0.02)


def test_what_was_delivered_can_be_fitted_again(iris, fitted):
    X, y = iris
    again = clone(fitted.best_estimator_).fit(X * 100, y)
    assert again.score(X * 100, y) > 0.9


def test_scales_are_those_of_the_rows_of_a_fit(fitted, iris):
    mean, variance = fitted.best_estimator_.model_.get_layer("scales").get_weights()
    np.testing.assert_allclose(mean, iris[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(variance, 9 * iris[0].var(axis=0), rtol=1e-5)


def test_every_lane_chooses_alike(iris, fitted):
    for engine in ("compiled", "keras"):
        other = clone(fitted).set_params(engine=engine).fit(*iris)
        assert other.best_params_ == fitted.best_params_
        np.testing.assert_allclose(other.learning_curves_, fitted.learning_curves_, atol=1e-3)


def test_its_export_needs_nothing_of_this_package(fitted, iris, tmp_path):
    path = tmp_path / "model.keras"
    fitted.export_model().save(path)
    loaded = keras.models.load_model(path)
    np.testing.assert_allclose(
        loaded.predict(iris[0], verbose=0), fitted.predict_proba(iris[0]), atol=1e-6
    )
    assert all(type(layer).__module__.startswith("keras.") for layer in loaded.layers)


def test_images_and_numbers():
    X, y = make_regression(80, 16, noise=1.0, random_state=0)
    regressor = MetaLRRegressor(
        None, {"epochs": [SHORT], "optimizer__learning_rate": [1e-4, 1e-2, 1.0]}, cv=0.3
    )
    assert regressor.fit(X.reshape(-1, 4, 4), y).predict(X.reshape(-1, 4, 4)).shape == (80,)
