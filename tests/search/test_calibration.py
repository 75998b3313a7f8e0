"""Calibration: temperatures, the losses at them, and averages of weights beside them."""

import pickle
from dataclasses import replace

import keras
import numpy as np
import pytest
from make import SMALL_FITS_WARN, make_block, make_setup, own_model, small_classifier
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from sk_metalr import MetaLRClassifier, verify
from sk_metalr._population import HeldOut, lanes
from sk_metalr._population.averaging import HORIZON
from sk_metalr._population.held_out import kept_rows
from sk_metalr._progress import silent
from sk_metalr._recorded import Recorded
from sk_metalr._refit import Refit, chosen_refit
from sk_metalr._search.calibration import (
    at_positions,
    best_positions,
    restrained,
    temperature_at,
)
from sk_metalr._search.ensemble import select
from sk_metalr._search.surface import response_surface
from sk_metalr._task import Classification
from sk_metalr._task.classification import TEMPERATURES
from sk_metalr.exceptions import ForgottenParametersWarning

pytestmark = SMALL_FITS_WARN
layers = keras.layers


def rows(scale=3.0, n_rows=200, n_classes=4, seed=0):
    """Return logits that are too sure of themselves by a factor, classes and weights."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_rows, n_classes))
    target = np.array([rng.choice(n_classes, p=p) for p in softmax(logits, axis=1)])
    return scale * logits, target, rng.uniform(0.5, 2.0, n_rows)


def loss_at(logits, target, weight, temperature):
    surprise = -log_softmax(logits / temperature, axis=1)[np.arange(len(target)), target]
    return np.average(surprise, weights=weight)


def recorded_of(task, outputs, target, weight):
    sums = np.asarray(task.losses(outputs.astype(np.float32), target, weight.astype(np.float32)))
    return Recorded(Classification().recorded, sums / weight.sum())


def outputs_as(kind, logits):
    if kind == "logits":
        return Classification(from_logits=True), logits
    if kind == "probabilities":
        return Classification(), softmax(logits, axis=1)
    difference = logits[:, 1:2] - logits[:, :1]
    if kind == "one logit":
        return Classification(from_logits=True), difference
    return Classification(), 1 / (1 + np.exp(-difference))


@pytest.mark.parametrize("kind", ["logits", "probabilities", "one logit", "one probability"])
def test_log_losses_at_temperatures_are_those_of_divided_logits(kind):
    n_classes = 2 if "one" in kind else 4
    logits, target, weight = rows(n_classes=n_classes)
    recorded = recorded_of(*outputs_as(kind, logits), target, weight)
    expected = [loss_at(logits, target, weight, t) for t in TEMPERATURES]
    np.testing.assert_allclose(Classification.at_temperatures(recorded), expected, rtol=1e-4)
    at_one = list(TEMPERATURES).index(1.0)
    np.testing.assert_allclose(recorded["log_loss"], expected[at_one], rtol=1e-4)
    smoothed = Classification.at_temperatures(recorded, n_rows=50)
    np.testing.assert_allclose(smoothed[at_one], Classification().smoothed(recorded, 50), rtol=1e-4)


@pytest.mark.parametrize("y", [[0, 1, 1, 0], np.eye(2)[[0, 1, 1, 0]], np.eye(4)[:, :3]])
def test_without_calibration_nothing_is_recorded_of_temperatures(y):
    y = np.array(y)
    task = Classification(with_temperatures=False).of(y)
    task = task.suited("categorical_crossentropy", "softmax")
    known = Classification().of(y).suited("categorical_crossentropy", "softmax")
    assert type(task) is type(known)
    assert task.recorded == known.recorded[:2] == ("log_loss", "uniform_log_loss")
    target = task.encode(y)[1]
    outputs = np.full((4, task.width(target)), 0.4, np.float32)
    losses, all_of_it = (one.losses(outputs, target, np.ones(4)) for one in (task, known))
    np.testing.assert_array_equal(losses, all_of_it[:2])


@pytest.mark.parametrize("scale", [0.1, 0.4, 1.0, 3.0, 30.0])
def test_the_best_temperature_is_found_between_those_on_trial(scale):
    logits, target, weight = rows(scale)
    losses = np.array([loss_at(logits, target, weight, t) for t in TEMPERATURES])
    position = best_positions(losses)
    found = temperature_at(position, TEMPERATURES)
    bounds = TEMPERATURES[[0, -1]]
    best = minimize_scalar(lambda t: loss_at(logits, target, weight, t), bounds, bounds=bounds)
    assert np.log(found / best.x) == pytest.approx(0, abs=0.05)
    assert at_positions(losses, position) == pytest.approx(best.fun, abs=1e-3)


def test_few_rows_compare_models_near_a_temperature_of_1():
    logits, target, weight = rows()
    losses = np.array([loss_at(logits, target, weight, t) for t in TEMPERATURES])
    best = temperature_at(best_positions(losses), TEMPERATURES)
    found = [
        temperature_at(best_positions(restrained(losses, TEMPERATURES, n)), TEMPERATURES)
        for n in (2, 50, 500, 10**6)
    ]
    assert (np.diff(found) > 0).all()
    assert found[0] < 1.1 < 2.0 < best
    assert found[-1] == pytest.approx(best, rel=1e-3)
    # Of two models that a temperature makes equal, the surer one costs more on few rows.
    both = np.array([losses, [loss_at(logits / 3, target, weight, t) for t in TEMPERATURES]]).T
    few = at_positions(both, best_positions(restrained(both, TEMPERATURES, 50)))
    assert few[0] > few[1] + 0.01


def test_losses_that_are_not_finite_have_no_temperature():
    losses = np.ones((len(TEMPERATURES), 2))
    losses[3, 1] = np.inf
    np.testing.assert_array_equal(np.isnan(best_positions(losses)), [False, True])
    assert np.isnan(at_positions(losses, best_positions(losses))[1])


def overconfident(iris, **params):
    X, y = iris
    y = np.where(np.random.default_rng(0).uniform(size=len(y)) < 0.2, (y + 1) % 3, y)
    wrapped = small_classifier(epochs=30, hidden=32)
    params = {"learning_rates": [0.1], "cv": 3, "random_state": 0} | params
    return MetaLRClassifier(wrapped, **params).fit(X, y), X, y


def test_probabilities_are_those_of_the_model_at_the_temperature(iris):
    fitted, X, _ = overconfident(iris)
    assert fitted.temperature_ > 1.1
    raw = fitted.best_estimator_.predict_proba(X)
    expected = softmax(np.log(raw) / fitted.temperature_, axis=1)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-5)
    np.testing.assert_array_equal(fitted.predict(X), raw.argmax(axis=1))
    as_it_is, *_ = overconfident(iris, calibrate=False)
    assert fitted.best_score_ > as_it_is.best_score_
    calibrated, raw = fitted.calibrated_learning_curves_, fitted.laplace_learning_curves_
    assert (calibrated.mean(axis=1) <= raw.mean(axis=1) + 1e-5).all()
    assert (calibrated.mean(axis=1) < raw.mean(axis=1) - 0.01).any()


def test_the_score_is_the_held_out_log_loss_of_calibrated_probabilities(iris):
    X, y = iris
    train, test = np.arange(0, 150, 2), np.arange(1, 150, 2)
    wrapped = small_classifier(epochs=4)
    params = {"learning_rates": [0.05], "random_state": 0}
    searched = MetaLRClassifier(wrapped, cv=[(train, test)], refit=False, **params).fit(X, y)
    seen = []

    def spy(classifier, X, y):
        seen.append(classifier.predict_proba(X))
        return 0.0

    spied = MetaLRClassifier(
        wrapped, cv=[(train, test)], refit="loss", scoring={"loss": "neg_log_loss", "spy": spy}
    ).set_params(**params)
    spied.fit(X, y)
    assert spied.temperature_ == pytest.approx(searched.temperature_)
    views = [seen[1::2], seen[2::2]]  # after one look at equal probabilities
    raw = views[int(spied.uses_averages_)][spied.best_n_epochs_ - 1]
    losses = [log_loss(y[test], softmax(np.log(raw) / t, axis=1)) for t in np.linspace(0.3, 4, 400)]
    assert -searched.best_score_ == pytest.approx(min(losses), abs=5e-3)


@pytest.mark.parametrize("rate", [1e-6, 10.0])
def test_a_temperature_is_finite_whatever_is_held_out(rate):
    X = np.linspace(-1, 1, 30)[:, None]
    y = (X[:, 0] > 0).astype(int)
    params = {"learning_rates": [rate], "random_state": 0}
    for cv in (3, [(np.arange(2, 30), np.array([0, 1]))], 0.1):
        fitted = MetaLRClassifier(small_classifier(), cv=cv, **params).fit(X, y)
        assert 0.2 <= fitted.temperature_ <= 10
        assert np.isfinite(fitted.predict_proba(X)).all()


def normalised():
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(8, activation="relu"), layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("engine", ["vectorized", "compiled", "keras"])
def test_averages_are_decaying_means_over_epochs(iris, engine):
    X, y = iris
    train, test = np.arange(0, 150, 2), np.arange(1, 150, 2)

    def block():
        setup = make_setup(normalised(), X.astype(np.float32), y, train, test)
        return make_block([setup], [1e-2, 3e-2], budget=10, engine=engine, averages=True)

    averaged, plain = block(), block()
    recorded = averaged.train(4)
    weights, statistics = [], []
    for _ in range(4):
        plain.train(1)
        member = plain.trained_member(1, 0)
        weights.append(member.weights)
        statistics.append(member.non_trainable)
    share = np.exp(-np.arange(3, -1, -1) / (HORIZON * 10))
    found = averaged.trained_member(1, 0, with_averages=True)
    for mine, of_epochs in [(found.weights, weights), (found.non_trainable, statistics)]:
        for value, values in zip(mine, zip(*of_epochs, strict=True), strict=True):
            np.testing.assert_allclose(value, np.average(values, 0, share), atol=1e-5)
    alone, of_averages = recorded.views
    np.testing.assert_allclose(alone["log_loss"][:, :, 0], of_averages["log_loss"][:, :, 0])
    assert not np.allclose(alone["log_loss"][:, :, 3], of_averages["log_loss"][:, :, 3])
    raw = averaged.trained_member(1, 0).weights
    assert not np.allclose(raw[0], found.weights[0])


def test_a_refit_delivers_averages_where_they_are_chosen(iris):
    # A high rate, at which averages do better.
    params = {"learning_rates": [0.3], "cv": 3, "random_state": 0}
    fitted = MetaLRClassifier(small_classifier(epochs=20), **params).fit(*iris)
    assert fitted.uses_averages_
    assert fitted.cv_results_["averaged"][0]
    assert verify(fitted, *iris, n_candidates=1)["max_weight_difference"] < 1e-4


def test_averages_are_the_same_through_keras_loop(iris):
    X, y = iris
    wrapped = small_classifier(epochs=8, shuffle=False)  # whose order of rows is its own otherwise
    params = {"learning_rates": [0.05], "cv": 3, "random_state": 0}
    fitted = MetaLRClassifier(wrapped, **params).fit(X, y)
    prepared = fitted._prepared_again(X, y, None, None, (None, None))
    (planned,) = chosen_refit(fitted, prepared).models
    weights = {
        (engine, uses_averages): Refit(prepared, [replace(planned, uses_averages=uses_averages)])
        .train(engine, silent)
        .fitted[0]
        .model_.get_weights()
        for engine in ("auto", "keras")
        for uses_averages in (True, False)
    }
    for mine, theirs in zip(weights["auto", True], weights["keras", True], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert not np.allclose(weights["auto", True][0], weights["auto", False][0], atol=1e-3)


def test_averages_are_delivered_where_the_refit_holds_rows_out(iris):
    wrapped = small_classifier(epochs=20, validation_split=0.2)
    fitted = MetaLRClassifier(wrapped, learning_rates=[0.3], cv=3, random_state=0).fit(*iris)
    assert fitted.uses_averages_
    assert "val_loss" in fitted.best_estimator_.history_
    assert np.isfinite(fitted.predict_proba(iris[0])).all()


@pytest.mark.long
def test_the_choice_and_the_temperature_are_the_same_in_chunks(iris, monkeypatch):
    def fit(**params):
        wrapped = small_classifier(epochs=6)
        return MetaLRClassifier(wrapped, n_candidates=6, cv=2, random_state=0, **params).fit(*iris)

    whole, compiled = fit(search="halving"), fit(search="halving", engine="compiled")
    monkeypatch.setattr(lanes, "_group_size", lambda *_: 2)
    chunks = fit(search="halving")
    for other in (compiled, chunks):
        assert other.best_params_ == whole.best_params_
        assert other.uses_averages_ == whole.uses_averages_
        assert other.temperature_ == pytest.approx(whole.temperature_, rel=1e-3)


def held_out(options, target):
    """Return predictions of candidates that were kept once."""
    kept = np.log(np.array(options))[None, :, None].astype(np.float16)
    return HeldOut((0,), kept, np.array(target), np.ones(len(target)))


def surface_for(losses):
    return response_surface(
        np.array(losses)[:, None, None], np.geomspace(1e-4, 1, len(losses)), baseline_loss=0.69
    )


AS_LONG = np.ones((4, 1), int)
"""Epochs that each model was trained for."""


def test_an_ensemble_is_of_models_that_make_up_for_each_other():
    target = [0, 0, 1, 1] * 10
    right, wrong = [0.9, 0.1], [0.4, 0.6]
    first = [right, wrong, right[::-1], wrong[::-1]] * 10
    second = [wrong, right, wrong[::-1], right[::-1]] * 10
    middling = [[0.65, 0.35], [0.65, 0.35], [0.35, 0.65], [0.35, 0.65]] * 10
    bad = [[0.2, 0.8], [0.2, 0.8], [0.8, 0.2], [0.8, 0.2]] * 10
    kept = held_out([first, middling, bad, second], target)
    chosen, temperature = select(
        Classification(), kept, surface_for([0.5, 0.9, 1.2, 0.5]), AS_LONG, n_models=4
    )
    assert {model.index for model in chosen} == {0, 3}
    assert 0.25 <= temperature <= 8


def test_where_one_candidate_is_best_there_is_no_ensemble():
    target = [0, 1] * 20
    sure, unsure = [[0.9, 0.1], [0.1, 0.9]] * 20, [[0.6, 0.4], [0.6, 0.4]] * 20
    kept = held_out([sure, unsure], target)
    assert select(Classification(), kept, surface_for([0.1, 0.6]), AS_LONG, n_models=5)[0] == []


def test_candidates_that_diverged_take_no_part():
    target = [0, 1] * 20
    one, other = [[0.8, 0.2], [0.4, 0.6]] * 20, [[0.4, 0.6], [0.2, 0.8]] * 20
    unknown = np.full(np.shape(one), np.nan)
    kept = held_out([one, unknown, other], target)
    chosen, _ = select(Classification(), kept, surface_for([0.4, np.nan, 0.4]), AS_LONG, n_models=3)
    assert {model.index for model in chosen} <= {0, 2}


def test_all_that_were_trained_to_the_end_take_part_where_others_were_stopped():
    target = [0, 0, 1, 1] * 10
    right, wrong, unsure = [0.9, 0.1], [0.4, 0.6], [[0.5, 0.5]] * 40
    one = [right, wrong, right[::-1], wrong[::-1]] * 10
    other = [wrong, right, wrong[::-1], right[::-1]] * 10
    kept = held_out([unsure, one, unsure, unsure, other, unsure], target)
    surface = surface_for([0.6, 0.4, 0.4, 0.6, 0.6, 0.6])
    is_trained = surface.is_trained.copy()
    is_trained[[0, 3, 5], -1] = False
    surface = replace(surface, is_trained=is_trained)
    chosen, _ = select(Classification(), kept, surface, np.ones((6, 1), int), n_models=3)
    assert {model.index for model in chosen} == {1, 4}


def test_predictions_of_a_block_that_is_not_trained_any_more_are_unknown():
    kept = held_out([[[0.5, 0.5]] * 4, [[0.6, 0.4]] * 4], [0, 1] * 2)
    joined = HeldOut.concat([kept, kept.unknown(3)])
    assert joined.predictions.shape[1] == 5
    assert np.isnan(joined.predictions[:, 2:]).all()
    assert joined.predictions.dtype == kept.predictions.dtype


@pytest.fixture(scope="module")
def ensemble(iris):
    X, y = iris
    y = np.where(np.random.default_rng(0).uniform(size=len(y)) < 0.15, (y + 1) % 3, y)
    space = {"optimizer": ["adam", "sgd"]}
    params = {"n_candidates": 12, "cv": 3, "n_models": 4, "random_state": 0}
    return MetaLRClassifier(small_classifier(epochs=12), space, **params).fit(X, y), X, y


def test_an_ensemble_predicts_by_the_mean_of_its_models(ensemble):
    fitted, X, _ = ensemble
    assert len(fitted.estimators_) == len(fitted.ensemble_) == 4
    assert len({(model["index"], model["n_epochs"]) for model in fitted.ensemble_}) > 1
    for model, estimator in zip(fitted.ensemble_, fitted.estimators_, strict=True):
        assert len(estimator.history_["loss"]) == model["n_epochs"]
    each = [
        softmax(np.log(estimator.predict_proba(X)) / model["temperature"], axis=1)
        for model, estimator in zip(fitted.ensemble_, fitted.estimators_, strict=True)
    ]
    mean = np.average(each, axis=0, weights=fitted.ensemble_weights_)
    expected = softmax(np.log(mean) / fitted.temperature_, axis=1)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-5)


def test_an_ensemble_is_saved_pickled_and_verified(ensemble, tmp_path):
    fitted, X, y = ensemble
    expected = fitted.predict_proba(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), expected)
    with pytest.warns(ForgottenParametersWarning):
        loaded = MetaLRClassifier.load(fitted.save(tmp_path / "ensemble.metalr"))
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    assert loaded.ensemble_ == fitted.ensemble_
    assert verify(fitted, X, y, n_candidates=1)["max_weight_difference"] < 1e-4


def test_an_ensemble_is_exported_as_one_model(ensemble, tmp_path):
    fitted, X, _ = ensemble
    exported = fitted.export_model()
    exported.save(tmp_path / "exported.keras")
    loaded = keras.saving.load_model(tmp_path / "exported.keras")
    for model in (exported, loaded):
        found = model.predict(X.astype(np.float32), verbose=0)
        np.testing.assert_allclose(found, fitted.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "logits"])
def test_a_single_model_is_exported_with_its_temperature(cancer, output):
    X, y = cancer
    units = 1 if output == "sigmoid" else 2

    def build():
        activation = None if output == "logits" else output
        model = keras.Sequential([keras.Input((30,)), layers.Dense(units, activation)])
        kind = "Binary" if units == 1 else "SparseCategorical"
        loss = getattr(keras.losses, f"{kind}Crossentropy")(from_logits=output == "logits")
        model.compile("adam", loss)
        return model

    fitted = MetaLRClassifier(build, n_candidates=3, cv=0.2, random_state=0)
    fitted.set_params(estimator=small_classifier(build, epochs=4)).fit(X, y)
    found = fitted.export_model().predict(X.astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, fitted.predict_proba(X), atol=1e-5)


@pytest.mark.long
def test_workers_make_the_same_ensemble(iris):
    params = {"n_candidates": 6, "cv": 2, "n_models": 3, "random_state": 0}
    here = MetaLRClassifier(small_classifier(epochs=4), **params).fit(*iris)
    there = MetaLRClassifier(small_classifier(epochs=4), n_jobs=2, **params).fit(*iris)
    assert [one["index"] for one in there.ensemble_] == [one["index"] for one in here.ensemble_]
    np.testing.assert_allclose(there.predict_proba(iris[0]), here.predict_proba(iris[0]), atol=1e-4)


def test_a_subclassed_model_is_exported(iris):
    params = {"learning_rates": [0.01], "cv": 0.2, "random_state": 0}
    fitted = MetaLRClassifier(small_classifier(own_model), n_models=2, **params).fit(*iris)
    found = fitted.export_model().predict(iris[0].astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, fitted.predict_proba(iris[0]), atol=1e-5)


def test_models_of_one_name_that_were_adapted_are_exported(iris):
    X, y = iris
    scale = layers.Normalization()
    scale.adapt(X)

    def build(meta):
        head = layers.Dense(3, "softmax")
        return keras.Sequential([keras.Input((4,)), scale, head], name="network")

    params = {"learning_rates": [0.01], "n_models": 2, "cv": 0.2, "random_state": 0}
    fitted = MetaLRClassifier(small_classifier(build), **params).fit(X, y)
    found = fitted.export_model().predict(X.astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, fitted.predict_proba(X), atol=1e-5)


def test_without_a_refit_the_temperature_is_that_of_the_choice(iris):
    params = {"n_candidates": 4, "cv": 2, "refit": False, "random_state": 0}
    one, several = (
        MetaLRClassifier(small_classifier(epochs=4), n_models=n, **params).fit(*iris)
        for n in (1, 3)
    )
    assert several.temperature_ == one.temperature_ != 1


class Halved(keras.Sequential):
    """Predicts in a way of its own."""

    def predict_step(self, data):
        return super().predict_step(data) / 2


def test_what_an_export_would_lose_is_refused(iris):
    def build():
        return Halved([keras.Input((4,)), layers.Dense(3, activation="softmax")])

    params = {"learning_rates": [0.01], "cv": 0.2, "random_state": 0}
    fitted = MetaLRClassifier(small_classifier(build), **params).fit(*iris)
    with pytest.raises(ValueError, match="predict_step of its own"):
        fitted.export_model()


@pytest.mark.parametrize(("n_classes", "n_rows"), [(2, 400), (10, 400), (100, 100), (10**6, 1)])
def test_what_is_kept_of_predictions_is_bounded(n_classes, n_rows):
    rows = kept_rows(1_000, n_splits=5, width=n_classes)
    assert len(rows) == n_rows == len(np.unique(rows))
    assert 0 <= rows.min() <= rows.max() < 1_000
