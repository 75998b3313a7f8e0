"""MetaLRClassifier by itself."""

import os
import pickle
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
from make import (
    SMALL_FITS_WARN,
    compiled_mlp,
    compiled_mlp_for_iris,
    logistic_regression,
    mlp_for_keras_wrapper,
    small_classifier,
    small_mlp,
)
from scikeras.wrappers import KerasClassifier
from scipy.sparse import csr_matrix
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    log_loss,
    make_scorer,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_metalr import Halving, LearningCurvesDisplay, MetaLRClassifier, exceptions, verify
from sk_metalr import _models as models
from sk_metalr._population import Block, lanes
from sk_metalr._search import loop, sweep
from sk_metalr._search.selection import choose
from sk_metalr._space import RATE

pytestmark = SMALL_FITS_WARN


layers = keras.layers


def make(estimator=None, param_distributions=None, **params):
    defaults = {"n_candidates": 4, "cv": 2, "random_state": 0}
    estimator = estimator or small_classifier()
    return MetaLRClassifier(estimator, param_distributions, **(defaults | params))


@pytest.fixture(scope="module")
def fitted(iris):
    return make(small_classifier(epochs=6), n_candidates=8).fit(*iris)


def test_fitted_attributes(fitted, iris):
    table = fitted.cv_results_
    assert fitted.learning_curves_.shape == (8, 2, 6)
    assert fitted.best_learning_rate_ == table["param_optimizer__learning_rate"][fitted.best_index_]
    assert fitted.best_params_ == table["params"][fitted.best_index_]
    assert fitted.best_score_ == table["mean_test_score"][fitted.best_index_]
    assert fitted.best_n_epochs_ == table["n_epochs"][fitted.best_index_]
    low, high = fitted.learning_rate_interval_
    assert low <= fitted.best_learning_rate_ <= high
    assert 1 <= fitted.best_n_epochs_ <= 6
    assert fitted.search_cost_["member_epochs"] == 8 * 2 * 6
    cost = fitted.search_cost_
    assert cost["training_seconds"] > 0
    assert cost["scoring_seconds"] > 0
    parts = cost["compiling_seconds"] + cost["training_seconds"] + cost["scoring_seconds"]
    assert parts <= cost["search_seconds"] <= cost["total_seconds"]
    np.testing.assert_array_equal(fitted.classes_, [0, 1, 2])
    assert fitted.n_features_in_ == 4
    assert is_classifier(fitted)
    assert fitted.score_name_ == "neg_log_loss"
    assert fitted.calibrated_learning_curves_.shape == (8, 2, 6)


def test_without_calibration_scores_are_raw_log_losses(iris):
    fitted = make(calibrate=False).fit(*iris)
    losses = fitted.learning_curves_[fitted.best_index_, :, fitted.best_n_epochs_ - 1]
    np.testing.assert_allclose(-fitted.best_score_, losses.mean())
    assert (fitted.temperature_, fitted.uses_averages_) == (1.0, False)
    assert not hasattr(fitted, "calibrated_learning_curves_")


def test_predictions_agree_with_each_other(fitted, iris):
    X, y = iris
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (150, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.predict(X), probabilities.argmax(axis=1))
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(X)), probabilities)
    np.testing.assert_allclose(fitted.predict_proba(X[:1]), probabilities[:1], atol=1e-6)
    assert fitted.score(X, y) > 0.8


def test_the_refitted_classifier_is_one_in_every_respect(iris):
    X, y = iris
    best = make(small_classifier(epochs=6)).fit(X, y).best_estimator_
    assert isinstance(best, KerasClassifier)
    assert len(best.history_["loss"]) == best.current_epoch == best.epochs
    assert best.history_["loss"][-1] < best.history_["loss"][0]
    assert int(best.model_.optimizer.iterations) == best.epochs * 10
    before = best.predict_proba(X)
    copied = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(copied.predict_proba(X), before)
    assert best.score(X, y) == np.mean(best.predict(X) == y)
    best.partial_fit(X, y)
    assert len(best.history_["loss"]) == best.epochs + 1
    assert not np.allclose(best.predict_proba(X), before)
    rate = float(best.model_.optimizer.learning_rate)
    best.fit(X, y)
    assert float(best.model_.optimizer.learning_rate) == rate


def test_the_compiled_refit_equals_keras_own(iris, monkeypatch):
    """From the same initial weights, on full batches, where the order of rows is nothing."""
    X, y = iris
    estimator = small_classifier(batch_size=-1, epochs=5)
    ours = make(estimator).fit(X, y)
    monkeypatch.setattr(models, "refits_with_keras", lambda _: True)
    theirs = make(estimator).fit(X, y)
    assert ours.best_learning_rate_ == theirs.best_learning_rate_
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(
        ours.best_estimator_.history_["loss"], theirs.best_estimator_.history_["loss"], atol=1e-5
    )


def halve(progress):
    return 1 - progress / 2


OPTIMIZERS = ["sgd", keras.optimizers.AdamW(weight_decay=0.1, name="decaying")]
SPACE = {
    RATE: [1e-3, 1e-2, 1e-1],
    "optimizer": OPTIMIZERS,
    "schedule": ["constant", "cosine", halve],
}


@pytest.fixture(scope="module")
def fitted_in_a_wide_space(iris):
    return make(param_distributions=SPACE, n_candidates=None).fit(*iris)


def test_optimizers_and_schedules_are_strategies_too(fitted_in_a_wide_space):
    fitted = fitted_in_a_wide_space
    table = pd.DataFrame(fitted.cv_results_)
    assert len(table) == 3 * 2 * 3 == fitted.search_cost_["n_candidates"]
    assert list(table.param_optimizer.unique()) == ["sgd", "decaying"]
    assert list(table.param_schedule.unique()) == ["constant", "cosine", "halve"]
    assert fitted.best_params_ == table.params[fitted.best_index_]
    assert set(fitted.best_params_) == {RATE, "optimizer", "schedule"}
    assert fitted.best_index_ == table.selection_score.idxmax()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_candidate_trains_as_it_would_alone(iris, fitted_in_a_wide_space, optimizer):
    classifier = small_classifier(optimizer=optimizer)
    alone = make(classifier, learning_rates=[1e-2], param_distributions={"schedule": [halve]}).fit(
        *iris
    )
    row = 7 if optimizer == "sgd" else 16
    np.testing.assert_allclose(
        alone.learning_curves_[0], fitted_in_a_wide_space.learning_curves_[row], atol=1e-5
    )


@pytest.mark.parametrize("n_models", [1, pytest.param(2, marks=pytest.mark.long)])
def test_no_keras_classifier_is_turned_away(iris, n_models):
    X, y = iris
    classifier = small_classifier(optimizer="ScheduleFreeAdamW", run_eagerly=True, epochs=4)
    space = {RATE: [1e-4, 1e-1], "schedule": ["constant", "cosine"]}
    fitted = make(classifier, param_distributions=space, cv=0.2, n_models=n_models).fit(X, y)
    assert fitted.search_cost_["lane"] == "keras"
    assert "run_eagerly" in fitted.search_cost_["lane_reason"]
    assert fitted.best_learning_rate_ == 1e-1
    assert fitted.score(X, y) > 0.8


@pytest.mark.long
def test_a_function_is_enough(iris):
    X, y = iris
    fitted = make(compiled_mlp_for_iris).fit(X, y)
    assert fitted.learning_curves_.shape == (4, 2, 40)
    assert fitted.score(X, y) > 0.9
    loaded = pickle.loads(pickle.dumps(clone(fitted).fit(X, y)))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


def test_keras_own_wrapper_is_searched_too(cancer):
    X, y = cancer
    given = keras.wrappers.SKLearnClassifier(
        mlp_for_keras_wrapper, fit_kwargs={"epochs": 5, "verbose": 0}
    )
    fitted = make(given, cv=0.2).fit(X, np.array(["benign", "malign"])[y])
    assert fitted.score(X, np.array(["benign", "malign"])[y]) > 0.9
    assert fitted.predict_proba(X).shape == (len(y), 2)


def test_the_users_own_validation_rows_are_held_out(iris):
    X, y = iris
    order = np.random.default_rng(0).permutation(150)
    train, val = order[:100], order[100:]
    given = make(cv="auto").fit(X[train], y[train], X_val=X[val], y_val=y[val])
    assert given.learning_curves_.shape == (4, 1, 3)
    alone = make(cv=[(np.arange(100), np.arange(100, 150))], refit=False).fit(X[order], y[order])
    np.testing.assert_allclose(given.learning_curves_, alone.learning_curves_, atol=1e-6)
    # The refit has the training rows, and no more.
    short = {"estimator": small_classifier(epochs=1), "learning_rates": [0.01], "calibrate": False}
    refitted = make(cv="auto", **short).fit(X[train], y[train], X_val=X[val], y_val=y[val])
    without = make(**short).fit(X[train], y[train])
    np.testing.assert_allclose(refitted.predict_proba(X), without.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    ("X_val", "y_val", "params", "said"),
    [
        (np.ones((3, 4)), None, {}, "together"),
        (None, [0, 1, 2], {}, "together"),
        (np.ones((3, 4)), [0, 1, 2], {"cv": 3}, "cv"),
        (np.ones((3, 5)), [0, 1, 2], {}, "5 features"),
        (np.ones((3, 4)), [0, 1], {}, "inconsistent"),
        (np.ones((3, 4)), [0, 1, 7], {}, "class 7"),
    ],
)
def test_unusable_validation_rows_are_refused(iris, monkeypatch, X_val, y_val, params, said):
    monkeypatch.setattr(Block, "train", no_training)
    with pytest.raises(ValueError, match=said):
        make(**{"cv": "auto"} | params).fit(*iris, X_val=X_val, y_val=y_val)


def test_validation_rows_go_through_a_pipeline(iris):
    X, y = iris
    with config_context(enable_metadata_routing=True):
        classifier = make(cv="auto").set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), classifier, transform_input=["X_val"])
        pipeline.fit(X * 100, y, X_val=X * 100, y_val=y)
        alone = make(cv="auto").fit(X, y, X_val=X, y_val=y)
    np.testing.assert_allclose(
        pipeline[-1].learning_curves_, alone.learning_curves_, rtol=1e-3, atol=1e-4
    )


def n_classes_predicted(classifier, X, y):
    return -float(len(set(classifier.predict(X))))


@pytest.mark.long
def test_several_scores_are_reported_and_one_chooses(iris):
    scoring = {"loss": "neg_log_loss", "balanced": "balanced_accuracy", "few": n_classes_predicted}
    rates = [1e-4, 1e-2, 1e-1]
    fits = {
        name: make(learning_rates=rates, scoring=scoring, refit=name).fit(*iris) for name in scoring
    }
    table = pd.DataFrame(fits["balanced"].cv_results_)
    for name in scoring:
        columns = [f"mean_test_{name}", f"std_test_{name}", f"rank_test_{name}"]
        assert {*columns, f"split1_test_{name}"} <= set(table)
        fit = fits[name]
        assert fit.best_score_ == fit.cv_results_[f"mean_test_{name}"][fit.best_index_]
        assert fit.best_index_ == np.nanargmax(fit.cv_results_["selection_score"])
    assert table.mean_test_balanced.between(0, 1).all()
    np.testing.assert_allclose(fits["loss"].learning_curves_, fits["few"].learning_curves_)
    with_loss = make(learning_rates=rates).fit(*iris)
    assert with_loss.best_params_ == fits["loss"].best_params_


SCORES = {
    "accuracy": lambda y, P: accuracy_score(y, P[:, 1] > 0.5),
    "roc_auc": lambda y, P: roc_auc_score(y, P[:, 1]),
    "average_precision": lambda y, P: average_precision_score(y, P[:, 1]),
}


@pytest.mark.parametrize("engine", ["vectorized", "compiled"])
def test_scores_are_scikit_learns(cancer, engine):
    seen = []

    def spy(classifier, X, y):
        seen.append((y, classifier.predict_proba(X)))
        return 0.0

    scoring = {name: name for name in SCORES} | {"spy": spy}
    cv = [(np.arange(300), np.arange(300, 569))]
    short = {"estimator": small_classifier(epochs=1), "learning_rates": [1e-3], "cv": cv}
    fitted = make(scoring=scoring, engine=engine, refit=False, **short).fit(*cancer)
    y, probabilities = seen[-1]
    np.testing.assert_array_equal(y, cancer[1][300:])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    for name, score in SCORES.items():
        found = fitted.cv_results_[f"mean_test_{name}"][0]
        np.testing.assert_allclose(found, score(y, probabilities), atol=1e-6)


def test_scores_are_weighted(iris):
    X, y = iris
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y))
    fits = [
        make(learning_rates=[1e-2], scoring="accuracy", cv=0.2).fit(X, y, sample_weight=w)
        for w in (np.ones(len(y)), weight)
    ]
    assert fits[0].best_score_ != fits[1].best_score_


def weighted_or_not(y_true, y_pred):
    return float((y_true == y_pred).mean())


def test_a_score_need_not_know_weights(iris):
    X, y = iris
    weight = np.linspace(1, 2, len(y))
    make(scoring=make_scorer(weighted_or_not), cv=0.2).fit(X, y, sample_weight=weight)


def test_a_score_that_cannot_be_is_refused_before_training(iris, monkeypatch):
    monkeypatch.setattr(Block, "train", no_training)
    X, y = iris
    two = y < 2
    said = r"'scoring'.*'roc_auc_ovr'.*cannot score the rows of split 0"
    with pytest.raises(ValueError, match=said):
        make(scoring="roc_auc_ovr", cv="auto").fit(X, y, X_val=X[two], y_val=y[two])


def test_a_score_that_is_never_a_number_is_an_error(iris):
    with pytest.raises(ValueError, match="gave no number"):
        make(scoring=lambda classifier, X, y: np.nan).fit(*iris)


def test_a_learned_trajectory_is_replayed_in_the_refit(iris, monkeypatch):
    X, y = iris
    space = {"search": "hypergradient", "learning_rates": [1e-3]}
    classifier = small_classifier(shuffle=False, epochs=5)
    fitted = make(classifier, **space).fit(X, y)
    trajectory = fitted.learning_rate_trajectories_
    assert trajectory.shape == (1, 2, 5)
    assert trajectory[0, 0, -1] > trajectory[0, 0, 0]
    assert fitted.best_params_ == {RATE: pytest.approx(1e-3)}
    last = float(fitted.best_estimator_.model_.optimizer.learning_rate)
    np.testing.assert_allclose(
        last, np.sqrt(trajectory[0, :, fitted.best_n_epochs_ - 1].prod()), rtol=1e-3
    )
    monkeypatch.setattr(models, "refits_with_keras", lambda _: True)
    through_keras = make(classifier, **space).fit(X, y)
    np.testing.assert_allclose(fitted.predict_proba(X), through_keras.predict_proba(X), atol=1e-5)
    without = make(classifier, learning_rates=[1e-3]).fit(X, y)
    assert not hasattr(without, "learning_rate_trajectories_")


@pytest.mark.parametrize("optimizers", [None, ["sgd", "adam"]])
def test_a_space_left_open_is_found(cancer, optimizers):
    X, y = cancer
    space = {} if optimizers is None else {"param_distributions": {"optimizer": optimizers}}
    n_candidates = 6 * len(optimizers or [None])
    fitted = make(learning_rates="auto", n_candidates=n_candidates, cv=0.2, **space).fit(X, y)
    rates = fitted.cv_results_["param_optimizer__learning_rate"].data
    # A sweep of 23 rates for each optimizer, then all for three epochs.
    swept = 23 * len(optimizers or [None])
    assert fitted.search_cost_["member_epochs"] == swept + 3 * len(rates)
    assert fitted.score(X, y) > 0.9
    assert rates.max() / rates.min() > 10
    assert 1e-8 < rates.min() < fitted.best_learning_rate_ < rates.max() < 1e3
    if optimizers:
        of_sgd = fitted.cv_results_["param_optimizer"].data == "sgd"
        assert of_sgd.sum() >= 6 <= (~of_sgd).sum()
        assert not np.intersect1d(rates[of_sgd], rates[~of_sgd]).size  # each has its own


@pytest.mark.long
def test_a_space_left_open_grows_while_the_best_is_at_its_edge(cancer, monkeypatch):
    monkeypatch.setattr(sweep, "usable_range", lambda *_: (1e-6, 1e-4))
    X, y = cancer
    fitted = make(learning_rates="auto", n_candidates=4, cv=0.2).fit(X, y)
    rates = fitted.cv_results_["param_optimizer__learning_rate"].data
    assert (np.diff(rates) > 0).all()
    assert rates.max() > 1e-3
    assert len(rates) > 6
    assert fitted.learning_curves_.shape[0] == len(rates)
    assert fitted.best_learning_rate_ < rates.max()


@pytest.mark.parametrize("params", [{}, {"search": "hypergradient"}, {"n_models": 2}])
def test_a_fit_can_be_verified(iris, params):
    fitted = make(learning_rates=[1e-3, 1e-2, 1e-1], **params).fit(*iris)
    before = vars(fitted).copy()
    found = verify(fitted, *iris, n_candidates=2)
    assert found["candidates"] == [0, 2]
    assert found["splits"] == [0, 1]
    assert found["max_weight_difference"] < 1e-4
    assert found["max_loss_difference"] < 1e-4
    assert vars(fitted) == before


def test_what_cannot_be_verified_is_refused(iris, tmp_path):
    X, y = iris
    with pytest.raises(NotFittedError):
        verify(make(), X, y)
    with pytest.raises(TypeError, match="must be a fitted MetaLRClassifier"):
        verify(StandardScaler(), X, y)
    fitted = make().fit(X, y)
    for other in ((X[:120], y[:120]), (X + 1, y)):
        with pytest.raises(ValueError, match="must be those that the estimator was fitted on"):
            verify(fitted, *other)
    with pytest.raises(ValueError, match=r"at least 1\. Got 0"):
        verify(fitted, X, y, n_candidates=0)
    with pytest.warns(exceptions.ForgottenParametersWarning):
        loaded = MetaLRClassifier.load(fitted.save(tmp_path / "fitted.metalr"))
    with pytest.raises(ValueError, match="loaded from a file"):
        verify(loaded, X, y)


def test_halving_trains_the_better_ones_for_longer(iris):
    classifier = small_classifier(epochs=9)
    rates = list(np.geomspace(1e-4, 1e-1, 9))
    every = make(classifier, learning_rates=rates, n_candidates=9).fit(*iris)
    some = make(classifier, learning_rates=rates, n_candidates=9, search="halving").fit(*iris)
    table = some.cv_results_
    np.testing.assert_array_equal(np.unique(table["n_resources"]), [1, 3, 9])
    np.testing.assert_array_equal(np.unique(table["iter"]), [0, 1, 2])
    assert table["n_resources"][some.best_index_] == 9
    assert some.search_cost_["member_epochs"] == 2 * table["n_resources"].sum()
    assert some.search_cost_["member_epochs"] < 0.6 * every.search_cost_["member_epochs"]
    is_trained = np.arange(9) < table["n_resources"][:, None, None]
    np.testing.assert_allclose(
        some.learning_curves_, np.where(is_trained, every.learning_curves_, np.nan), atol=1e-5
    )
    assert not table["diverged"].any()
    np.testing.assert_array_equal(every.cv_results_["n_resources"], 9)


def test_halving_of_a_long_epoch(iris):
    X, y = np.tile(iris[0], (3, 1)), np.tile(iris[1], 3)
    space = [
        {"optimizer": ["adam"], "optimizer__learning_rate": list(np.geomspace(1e-4, 1e-2, 8))},
        {"optimizer": ["sgd"], "optimizer__learning_rate": list(np.geomspace(1e-9, 1e-7, 8))},
    ]
    classifier = small_classifier(epochs=1, batch_size=1)
    params = {"param_distributions": space, "n_candidates": 16, "search": "halving", "cv": 0.2}
    fitted = make(classifier, **params).fit(X, y)
    table = fitted.cv_results_
    left = table["n_resources"] == 0
    assert 8 < left.sum() < 16
    assert left[table["param_optimizer"] == "sgd"].all()  # which is slow
    assert np.isfinite(table["mean_test_score"]).all()
    assert np.isfinite(table["selection_score"]).all()
    assert np.isfinite(table["selection_standard_error"][~left]).all()
    assert table["iter"][left].max() < table["iter"][~left].min()
    assert fitted.search_cost_["member_epochs"] < 12
    assert verify(fitted, X, y, n_candidates=4)["max_loss_difference"] < 1e-4
    display = LearningCurvesDisplay.from_estimator(fitted)
    ends = [line for line in display.ax_.get_lines() if line.get_marker() == "x"]
    assert len(ends) == left.sum()


@pytest.mark.long
def test_halving_is_not_fooled_by_a_short_horizon():
    rng = np.random.default_rng(0)
    scale = np.geomspace(1, 0.1, 20)  # directions that low rates are slow to learn
    X = rng.normal(size=(400, 20)) * scale
    probability = 1 / (1 + np.exp(-X @ (rng.normal(size=20) / scale)))
    y = (rng.uniform(size=400) < probability).astype(int)
    classifier = small_classifier(
        logistic_regression, loss="binary_crossentropy", optimizer="sgd", epochs=40, batch_size=8
    )
    space = {"learning_rates": list(np.geomspace(1e-3, 10, 12)), "n_candidates": 12}
    space["calibrate"] = False  # over-confidence of high rates is part of the trap
    every = make(classifier, refit=False, **space).fit(X, y)
    some = make(classifier, refit=False, search="halving", **space).fit(X, y)
    losses = every.learning_curves_.mean(axis=1)
    early, late = losses[:, 1].argmin(), losses[:, -1].argmin()
    assert space["learning_rates"][early] > 2 * space["learning_rates"][late]
    chosen = losses[some.best_index_, some.best_n_epochs_ - 1]
    assert chosen < losses.min() + 0.02
    assert some.search_cost_["member_epochs"] < every.search_cost_["member_epochs"] / 2


def test_halving_goes_across_optimizers(iris):
    space = {RATE: [1e-5, 1e-1], "optimizer": ["sgd", "adam"]}
    fitted = make(small_classifier(epochs=9), space, search=Halving(4)).fit(*iris)
    assert fitted.best_params_["optimizer__learning_rate"] == 1e-1
    assert set(fitted.cv_results_["n_resources"]) < {1, 3, 9}


@pytest.mark.long
@pytest.mark.parametrize("build", [small_mlp, compiled_mlp])
def test_a_schedule_is_the_same_through_keras_loop(iris, monkeypatch, build):
    X, y = iris
    space = SPACE | {"schedule": ["cosine"], RATE: [1e-2]}
    estimator = small_classifier(build, shuffle=False)
    ours = make(estimator, space).fit(X, y)
    monkeypatch.setattr(models, "refits_with_keras", lambda _: True)
    theirs = make(estimator, space).fit(X, y)
    assert ours.best_params_ == theirs.best_params_
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    # The classifier that is handed out trains with the chosen strategy too.
    again = clone(ours.best_estimator_).fit(X, y)
    assert again.model_.optimizer.name == ours.best_params_["optimizer"]
    if ours.best_n_epochs_ > 1:
        assert float(again.model_.optimizer.learning_rate) < 1e-2
    loaded = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(loaded.predict_proba(X), ours.predict_proba(X))


@pytest.mark.parametrize(
    "through",
    ["the compiled program", pytest.param("Keras's loop", marks=pytest.mark.long)],
)
def test_several_refits_predict_as_one(iris, through):
    X, y = iris
    callbacks = [keras.callbacks.TerminateOnNaN()] if through == "Keras's loop" else None
    wrapped = small_classifier(callbacks=callbacks)
    one, three = (make(wrapped, n_models=n, calibrate=False).fit(X, y) for n in (1, 3))
    first, second, third = three.estimators_
    assert first is three.best_estimator_
    for mine, alone in zip(
        first.model_.get_weights(), one.best_estimator_.model_.get_weights(), strict=True
    ):
        np.testing.assert_allclose(mine, alone, atol=1e-5)
    assert not np.allclose(second.model_.get_weights()[0], third.model_.get_weights()[0])
    each = [np.asarray(estimator.predict_proba(X)) for estimator in three.estimators_]
    np.testing.assert_allclose(three.predict_proba(X), np.mean(each, axis=0), atol=1e-6)
    loaded = pickle.loads(pickle.dumps(three))
    np.testing.assert_array_equal(loaded.predict_proba(X), three.predict_proba(X))


def test_callbacks_and_metrics_run_in_the_refit(iris):
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(sorted(logs))

    estimator = small_classifier(callbacks=Recorder, metrics=["accuracy"])
    fitted = make(estimator).fit(*iris)
    assert seen == [["accuracy", "loss"]] * fitted.best_n_epochs_
    assert len(fitted.best_estimator_.history_["accuracy"]) == fitted.best_n_epochs_


@pytest.mark.parametrize("with_xla", [False, True])
@pytest.mark.parametrize("engine", ["vectorized", "compiled"])
def test_the_same_seed_gives_the_same_fit(iris, monkeypatch, engine, with_xla):
    monkeypatch.setattr(lanes, "MIN_STEPS_TO_COMPILE", 0 if with_xla else 10**9)
    X, y = iris
    first, second = (make(engine=engine).fit(X, y) for _ in range(2))
    assert first.best_learning_rate_ == second.best_learning_rate_
    np.testing.assert_array_equal(first.learning_curves_, second.learning_curves_)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


@pytest.mark.long
def test_other_seeds_and_no_seed_give_other_fits(iris):
    np.random.seed(None)  # noqa: NPY002  # other tests have set it to 0
    rates = {make(random_state=seed).fit(*iris).best_learning_rate_ for seed in (0, 1, None, None)}
    assert len(rates) == 4


def test_without_a_seed_the_refit_starts_elsewhere_each_time(iris):
    options = {"random_state": None, "learning_rates": [1e-9]}
    first, second = (make(**options).fit(*iris).best_estimator_ for _ in range(2))
    assert not np.allclose(first.model_.get_weights()[0], second.model_.get_weights()[0], atol=0.1)


def test_what_the_user_does_to_the_fitted_model_harms_no_later_fit(iris):
    first = make(small_classifier(optimizer="adagrad")).fit(*iris)
    expected = first.predict_proba(iris[0])
    first.best_estimator_.model_.layers[0].trainable = False
    again = make(small_classifier(optimizer="adagrad")).fit(*iris)
    np.testing.assert_array_equal(again.predict_proba(iris[0]), expected)


@pytest.mark.long
def test_fits_in_threads_are_the_fits_one_by_one(iris):
    X, y = iris
    alone = [make(random_state=seed).fit(X, y).predict_proba(X) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        fitted = list(threads.map(lambda seed: make(random_state=seed).fit(X, y), range(4)))
    for one, other in zip(alone, fitted, strict=True):
        np.testing.assert_array_equal(other.predict_proba(X), one)


@pytest.mark.filterwarnings("ignore::sk_metalr.exceptions.ScaleWarning")
@pytest.mark.parametrize("params", [{}, {"metrics": ["accuracy"]}])
def test_a_refit_that_diverges_is_said_so(iris, monkeypatch, params):
    monkeypatch.setattr(loop, "choose", choose_badly)
    with pytest.raises(exceptions.AllDivergedError, match="refit on all rows diverged"):
        make(small_classifier(optimizer="sgd", **params)).fit(iris[0] * 100, iris[1])


def choose_badly(surface, rates, *others):
    choice = choose(surface, rates, *others)
    rates[choice.index] = 1e36
    return choice


def test_the_wrapped_seed_decides_the_refit(iris):
    best = make(small_classifier(random_state=11)).fit(*iris).best_estimator_
    assert best.random_state == 11


SCRIPT = """
import sys, pickle, numpy as np
sys.path.insert(0, {tests!r})
from sklearn.datasets import load_iris
from test_estimator import make
X, y = load_iris(return_X_y=True)
with open({path!r}, "rb") as file:
    loaded = pickle.load(file)
again = make().fit(X, y)
np.savez({out!r}, loaded=loaded.predict_proba(X), again=again.predict_proba(X),
         rate=again.best_learning_rate_)
"""


def test_another_process_loads_and_repeats_it(tmp_path):
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(with_mean=False, with_std=False), make()).fit(X, y)
    path, out = tmp_path / "fitted.pkl", tmp_path / "out.npz"
    path.write_bytes(pickle.dumps(pipeline))
    code = SCRIPT.format(tests=str(Path(__file__).parent), path=str(path), out=str(out))
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    expected = pipeline.predict_proba(X)
    with np.load(out) as results:
        np.testing.assert_array_equal(results["loaded"], expected)
        assert results["rate"] == pipeline[-1].best_learning_rate_
        np.testing.assert_array_equal(results["again"], expected)


@pytest.mark.parametrize(
    ("backend", "before", "said"),
    [
        ("tensorflow", "keras.config.backend = lambda: 'jax'", "Got the backend 'jax'"),
        ("jax", "sys.modules['jax'] = None", "with the backend 'jax'.*jax"),
        ("nonsense", "", "with the backend 'nonsense'"),
    ],
)
def test_another_backend_is_refused_on_import(backend, before, said):
    imports = "import keras" if backend == "tensorflow" else "import sys"
    result = subprocess.run(
        [sys.executable, "-c", f"{imports}\n{before}\nimport sk_metalr"],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert re.search(rf"^ImportError: sk_metalr trains .* KERAS_BACKEND .*{said}", last)


def test_a_zero_weight_equals_a_dropped_row(iris):
    X, y = iris
    weight = np.ones(len(y))
    weight[::7] = 0
    kept = weight > 0
    weighted = make(small_classifier(class_weight="balanced")).fit(X, y, sample_weight=weight)
    dropped = make(small_classifier(class_weight="balanced")).fit(X[kept], y[kept])
    np.testing.assert_array_equal(weighted.predict_proba(X), dropped.predict_proba(X))


def test_weights_count_in_training_and_in_the_choice(iris):
    X, y = iris
    weight = np.where(y == 2, 10.0, 0.1)
    before = weight.copy()
    options = {"learning_rates": [0.01]}
    weighted = make(small_classifier(epochs=10), **options).fit(X, y, sample_weight=weight)
    plain = make(small_classifier(epochs=10), **options).fit(X, y)
    np.testing.assert_array_equal(weight, before)
    assert weighted.predict_proba(X)[:, 2].mean() > plain.predict_proba(X)[:, 2].mean() + 0.1
    assert not np.allclose(weighted.learning_curves_, plain.learning_curves_)


def test_class_weights_count_in_training(iris):
    X, y = iris
    class_weight = {0: 0.1, 1: 0.1, 2: 10.0}
    options = {"learning_rates": [0.01]}
    heavy = make(small_classifier(epochs=10, class_weight=class_weight), **options).fit(X, y)
    plain = make(small_classifier(epochs=10), **options).fit(X, y)
    assert heavy.predict_proba(X)[:, 2].mean() > plain.predict_proba(X)[:, 2].mean() + 0.1


LABELS = {
    "strings": lambda y: np.array(["no", "maybe", "yes"])[y],
    "objects": lambda y: np.array(["no", "maybe", "yes"], dtype=object)[y],
    "booleans": lambda y: y == 1,
    "spread integers": lambda y: np.array([-5, 100, 7])[y],
    "a pandas series": lambda y: pd.Series(np.array(["no", "maybe", "yes"])[y]),
    "a list": lambda y: y.tolist(),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back_as_they_were(iris, kind):
    X, y = iris
    labels = LABELS[kind](y)
    fitted = make(small_classifier(epochs=10)).fit(X, labels)
    predicted = fitted.predict(X)
    np.testing.assert_array_equal(fitted.classes_, np.unique(np.asarray(labels)))
    assert np.isin(predicted, fitted.classes_).all()
    assert fitted.score(X, labels) > 0.6
    np.testing.assert_array_equal(fitted.best_estimator_.predict(X.astype(np.float32)), predicted)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_data_frames_keep_their_names(iris, frame):
    X, y = iris
    names = ["a", "b", "c", "d"]
    table = frame(dict(zip(names, X.T, strict=True)))
    fitted = make().fit(table, y)
    np.testing.assert_array_equal(fitted.feature_names_in_, names)
    np.testing.assert_array_equal(fitted.predict_proba(table), make().fit(X, y).predict_proba(X))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.float16])
def test_any_number_type_is_cast_once(iris, dtype):
    X, y = iris
    fitted = make().fit(X.astype(dtype), y)
    for other in (np.float64, np.float32):
        assert fitted.predict_proba(X.astype(dtype).astype(other)).shape == (150, 3)


def test_read_only_and_non_contiguous_input_is_left_alone(iris):
    X, y = np.asfortranarray(iris[0]), iris[1].copy()
    X.setflags(write=False)
    y.setflags(write=False)
    make().fit(X, y)


def image_model(meta):
    return keras.Sequential(
        [
            keras.Input(meta["X_shape_"][1:]),
            layers.Flatten(),
            layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


def test_images_keep_their_shape(digits):
    X, y = digits
    images = X.reshape(-1, 8, 8, 1)
    fitted = make(small_classifier(image_model, epochs=5)).fit(images, y)
    assert fitted.score(images, y) > 0.7


class TwoInputs(KerasClassifier):
    """Splits the features in two halves, one for each input of the model."""

    @property
    def feature_encoder(self):
        from sklearn.preprocessing import FunctionTransformer

        return FunctionTransformer(lambda X: [X[:, :2], X[:, 2:]])


def two_input_model():
    left, right = keras.Input((2,)), keras.Input((2,))
    hidden = layers.Concatenate()([layers.Dense(4)(left), layers.Dense(4)(right)])
    model = keras.Model([left, right], layers.Dense(3, "softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_a_feature_encoder_feeds_several_inputs(iris):
    estimator = TwoInputs(two_input_model, epochs=10, batch_size=16, verbose=0)
    assert make(estimator, n_candidates=8).fit(*iris).score(*iris) > 0.7


def test_one_sigmoid_predicts_two_columns(cancer):
    X, y = cancer
    model = keras.Sequential([keras.Input((30,)), layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    fitted = make(KerasClassifier(model, epochs=5, verbose=0)).fit(X, y)
    assert fitted.predict_proba(X).shape == (569, 2)
    assert fitted.score(X, y) > 0.9


def test_logits_become_probabilities(iris):
    X, y = iris
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fitted = make(KerasClassifier(model, epochs=5, verbose=0)).fit(X, y)
    probabilities = fitted.predict_proba(X)
    assert (probabilities >= 0).all()
    assert log_loss(y, probabilities) < 1.1


def test_a_compiled_model_is_never_changed(iris):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    before = model.get_weights()
    estimator = KerasClassifier(model, epochs=2, verbose=0)
    fitted = make(estimator).fit(*iris)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.learning_rate) == 0.5
    assert not hasattr(estimator, "model_")
    assert fitted.best_estimator_.model_ is not model


def test_the_four_rate_list_works_as_it_stands(iris):
    fitted = make(learning_rates=[0.001, 0.01, 0.1, 1.0], n_candidates=16).fit(*iris)
    np.testing.assert_array_equal(
        fitted.cv_results_["param_optimizer__learning_rate"], [0.001, 0.01, 0.1, 1.0]
    )


def test_a_rate_that_the_search_replaces_is_named(iris):
    model = make(small_classifier(optimizer__learning_rate=0.5), learning_rates=[0.01, 0.02])
    with pytest.warns(exceptions.IgnoredRateWarning, match=r"rate=0.5 .* no effect") as caught:
        fitted = model.fit(*iris)
    assert caught[0].filename == __file__
    assert float(fitted.best_estimator_.model_.optimizer.learning_rate) != pytest.approx(0.5)


def test_an_optimizer_that_has_a_rate_is_no_reason_to_warn(iris, recwarn):
    make(small_classifier(optimizer=keras.optimizers.Adam(0.5))).fit(*iris)
    assert not [one for one in recwarn if one.category is exceptions.IgnoredRateWarning]


def test_several_refits_need_fresh_weights(iris):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="fresh initial weights"):
        make(KerasClassifier(model), n_models=2).fit(*iris)


def test_a_fit_without_refit_forgets_the_model_of_the_fit_before(iris):
    estimator = make().fit(*iris)
    estimator.set_params(refit=False).fit(*iris)
    assert not hasattr(estimator, "estimators_")
    with pytest.raises(AttributeError, match="refit=False"):
        estimator.predict(iris[0])


def test_without_refit_there_is_a_choice_but_no_prediction(iris):
    fitted = make(refit=False).fit(*iris)
    assert fitted.best_learning_rate_ > 0
    assert not hasattr(fitted, "best_estimator_")
    with pytest.raises(AttributeError, match="refit=False"):
        fitted.predict(iris[0])


def test_the_edge_of_the_space_is_named(iris):
    rates = [1e-6, 1e-5, 1e-2]
    with pytest.warns(exceptions.EdgeOfSpaceWarning, match=r"0\.01, is the highest") as record:
        make(learning_rates=rates).fit(*iris)
    assert record[0].filename == __file__


def test_a_budget_that_ends_too_early_is_named(iris):
    with pytest.warns(exceptions.BudgetWarning, match="is the whole budget, 3, and") as record:
        make(learning_rates=[1e-4, 1e-3, 1e-2], cv=0.2).fit(*iris)
    assert all(one.filename == __file__ for one in record)


def test_a_budget_that_is_long_enough_is_not_named(iris):
    with warnings.catch_warnings():
        warnings.simplefilter("error", exceptions.BudgetWarning)
        make(small_classifier(epochs=12), learning_rates=[1e-2, 1e-1, 1.0], cv=0.2).fit(*iris)


@pytest.mark.parametrize("learning_rates", [None, [1e-3, 1e-2], "auto"])
def test_a_single_rate_that_is_drawn_at_random_is_named(iris, learning_rates):
    with pytest.warns(
        exceptions.SingleCandidateWarning, match=r"learning_rates=\[1e-3\]"
    ) as record:
        make(learning_rates=learning_rates, n_candidates=1, cv=0.2).fit(*iris)
    assert all(one.filename == __file__ for one in record)


def test_a_single_rate_that_was_given_is_trained_without_a_warning(iris):
    fitted = make(learning_rates=[3e-3], n_candidates=1, cv=0.2).fit(*iris)
    assert fitted.best_learning_rate_ == 3e-3
    assert make(learning_rates=[3e-3], cv=0.2).fit(*iris).best_learning_rate_ == 3e-3


def test_features_that_tell_nothing_are_named_and_their_scale(iris):
    y = np.random.default_rng(0).permutation(iris[1])
    searching = make(small_classifier(epochs=1), learning_rates=[1e-6, 1e-5, 1e-4])
    told = "up to 1e\\+04, and the network begins at .*; scale the features"
    with pytest.warns(exceptions.BaselineWarning, match=told):
        searching.fit(iris[0] * 1e4, y)
    with pytest.warns(exceptions.BaselineWarning) as record:
        searching.fit(iris[0], y)
    assert not any("scale" in str(one.message) for one in record)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda X: X * 1e4, "up to 1e+04"),
        (lambda X: X * np.array([1, 1, 1, 1e4]), "up to 1e+04"),
        (lambda X: X + np.array([0, 0, 0, 1e4]), "up to 1e+04"),
        (lambda X: X * 1e-5, "1e-05 at most"),
    ],
    ids=["large", "one large", "far off zero", "small"],
)
def test_features_whose_scale_does_harm_are_named(iris, change, told):
    with pytest.warns((exceptions.ScaleWarning, exceptions.BaselineWarning)) as record:
        make(n_candidates=8).fit(change(iris[0]), iris[1])
    assert any(told in str(one.message) for one in record)
    assert all(one.filename == __file__ for one in record)


def tokens_model(meta):
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            layers.Embedding(1000, 8),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )


def pixels_model(meta):
    scaled = [keras.Input((meta["n_features_in_"],)), layers.Rescaling(1 / 255)]
    return keras.Sequential([*scaled, layers.Dense(10, activation="softmax")])


@pytest.mark.long
def test_features_that_a_model_scales_itself_are_not_named(digits):
    tokens = np.random.default_rng(0).integers(0, 1000, size=(200, 4))
    for model, X, y in (
        (tokens_model, tokens, tokens[:, 0] > 500),
        (pixels_model, digits[0][:500] * 255, digits[1][:500]),
    ):
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always")
            make(small_classifier(model), cv=0.2).fit(X, y)
        assert not any("scale" in str(one.message) for one in record)


def recurrent(meta):
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Reshape((4, 1)),
            layers.LSTM(3),
            layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.mark.long
def test_a_recurrent_model_is_searched_and_refitted(iris):
    fitted = make(small_classifier(recurrent), cv=0.2, n_candidates=2).fit(*iris)
    assert fitted.predict_proba(iris[0]).shape == (150, 3)


@pytest.mark.filterwarnings("ignore::sk_metalr.exceptions.ScaleWarning")
def test_the_diverged_are_recorded_and_not_chosen(iris):
    estimator = small_classifier(optimizer="sgd")
    fitted = make(estimator, learning_rates=[1e-2, 1e30]).fit(iris[0] * 100, iris[1])
    np.testing.assert_array_equal(fitted.cv_results_["diverged"], [False, True])
    assert fitted.cv_results_["diverged_epoch"][1] == 1
    assert fitted.best_learning_rate_ == 1e-2


def test_if_all_diverge_the_lowest_rate_is_named(iris):
    estimator = make(small_classifier(optimizer="sgd"), learning_rates=[1e20, 1e30])
    with pytest.raises(exceptions.AllDivergedError, match="lowest learning rate tried \\(1e\\+20"):
        estimator.fit(iris[0] * 100, iris[1])
    with pytest.raises(NotFittedError):
        estimator.predict(iris[0])


def test_verbose_says_what_was_chosen(iris, capsys):
    make(verbose=1).fit(*iris)
    assert "learning rate" in capsys.readouterr().out
    make().fit(*iris)
    assert capsys.readouterr().out == ""


def bad_width(meta):
    return keras.Sequential([keras.Input((4,)), layers.Dense(7, "softmax")])


def without_loss(meta):
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax")])


def with_convolution(meta):
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Reshape((4, 1)),
            layers.SeparableConv1D(2, 2),
            layers.Flatten(),
            layers.Dense(3, "softmax"),
        ]
    )


BAD_PARAMETERS = [
    ({"n_candidates": 0}, "n_candidates"),
    ({"n_candidates": 2.5}, "n_candidates"),
    ({"learning_rates": 0.1}, "learning_rates"),
    ({"learning_rates": [0.1, -1]}, "Got -1.0 instead"),
    ({"param_distributions": {"optimizer": "sgd"}}, "optimizer"),
    ({"param_distributions": {"optimizer": ["fast"]}}, "param_distributions .* 'fast'"),
    (
        {
            "param_distributions": {"optimizer": ["sgd", "ScheduleFreeAdamW"]},
            "engine": "vectorized",
        },
        "ScheduleFreeAdamW",
    ),
    ({"param_distributions": {"schedule": ["up"]}}, "'up'"),
    ({"param_distributions": {"units": [8, 16]}}, "Got 'units' too"),
    ({"param_distributions": 3}, "must be a dict or a list of dicts"),
    ({"search": Halving(1)}, "factor"),
    ({"search": Halving}, r"call it: Halving\(\)"),
    ({"search": Halving(min_epochs=0)}, "min_epochs"),
    (
        {"search": "hypergradient", "param_distributions": {"schedule": ["cosine"]}},
        "learns a schedule itself",
    ),
    ({"learning_rates": "wide"}, "learning_rates"),
    ({"max_memory": 0}, "max_memory"),
    ({"search": "grid"}, "search"),
    ({"scoring": "fast"}, "scoring"),
    ({"scoring": []}, "at least one scorer"),
    ({"scoring": ["accuracy", "fast"]}, "'scoring'.*Got 'fast'"),
    ({"scoring": [3]}, "'scoring'.*Got 3"),
    ({"scoring": ["accuracy"], "refit": "recall"}, "refit"),
    ({"refit": "yes"}, "refit"),
    ({"n_models": 0}, "n_models"),
    ({"cv": 0}, "'cv'"),
    ({"cv": 1}, "'cv'"),
    ({"cv": 0.0}, "'cv'"),
    ({"cv": "five"}, "'cv'"),
    ({"random_state": "zero"}, "random_state"),
    ({"verbose": "loud"}, "verbose"),
    ({"estimator": "mlp"}, "estimator"),
    ({"estimator": StandardScaler()}, "estimator"),
    ({"estimator": small_classifier(bad_width)}, "width 7"),
    ({"estimator": small_classifier(without_loss, loss=None)}, "loss"),
    ({"estimator": small_classifier(with_convolution), "engine": "vectorized"}, "Conv1D"),
    ({"engine": "fast"}, "engine"),
    ({"estimator": small_classifier(epochs=0)}, "epochs"),
]


def test_every_engine_makes_the_same_choice(iris):
    fits = [make(engine=engine).fit(*iris) for engine in ("vectorized", "compiled")]
    assert [fit.search_cost_["lane"] for fit in fits] == ["vectorized", "compiled"]
    assert fits[0].best_params_ == fits[1].best_params_
    assert fits[0].best_n_epochs_ == fits[1].best_n_epochs_
    np.testing.assert_allclose(fits[0].learning_curves_, fits[1].learning_curves_, rtol=1e-3)


def test_a_convolutional_network_is_searched_too(iris):
    fitted = make(estimator=small_classifier(with_convolution)).fit(*iris)
    assert fitted.search_cost_["lane"] == "compiled"
    assert "Conv1D" in fitted.search_cost_["lane_reason"]
    assert fitted.predict_proba(iris[0]).shape == (150, 3)


class OwnConvolution(layers.Layer):
    """Nobody can tell from its type that it does not vectorise."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(2, shape[-1], 3))

    def call(self, x):
        return keras.ops.conv(x, self.kernel)


def with_own_convolution(meta):
    hidden = [layers.Reshape((4, 1)), OwnConvolution(), layers.Flatten()]
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3, "softmax")])


@pytest.mark.long
def test_what_turns_out_not_to_vectorise_is_searched_and_refitted(iris):
    fitted = make(small_classifier(with_own_convolution)).fit(*iris)
    assert fitted.search_cost_["lane"] == "compiled"
    assert "OwnConvolution" in fitted.search_cost_["lane_reason"]
    assert fitted.predict_proba(iris[0]).shape == (150, 3)


def no_training(*_, **__):
    raise AssertionError("training was started")


@pytest.mark.parametrize(("params", "said"), BAD_PARAMETERS)
def test_bad_parameters_are_refused_before_training(iris, monkeypatch, params, said):
    monkeypatch.setattr(Block, "train", no_training)
    estimator = make(**params)
    before = sorted(vars(estimator))
    with pytest.raises((ValueError, TypeError), match=said):
        estimator.fit(*iris)
    assert sorted(vars(estimator)) == before


X_BAD = np.ones((150, 4))
X_NAN, X_INF = X_BAD.copy(), X_BAD.copy()
X_NAN[3, 1], X_INF[3, 1] = np.nan, np.inf
Y_GOOD = np.tile([0, 1, 2], 50)
BAD_DATA = [
    (X_NAN, Y_GOOD, {}, "NaN"),
    (X_INF, Y_GOOD, {}, "infinity"),
    (X_BAD, np.zeros(150), {}, "one class"),
    (X_BAD[:1], Y_GOOD[:1], {}, "minimum of 2"),
    (X_BAD, Y_GOOD[:-1], {}, "inconsistent numbers"),
    (X_BAD, np.linspace(0, 1, 150), {}, "Unknown label type"),
    (X_BAD, np.where(Y_GOOD == 0, np.nan, Y_GOOD), {}, "NaN"),
    (X_BAD[:3], Y_GOOD[:3], {}, "Class 0 has only 1 row"),
    (X_BAD, Y_GOOD, {"sample_weight": -np.ones(150)}, "[Nn]egative"),
    (X_BAD, Y_GOOD, {"sample_weight": np.ones(3)}, "sample_weight"),
    (X_BAD, Y_GOOD, {"sample_weight": np.zeros(150)}, "sample_weight is 0|zero"),
    (X_BAD, Y_GOOD, {"groups": np.ones(3)}, "inconsistent numbers"),
    (X_BAD, Y_GOOD, {"epochs": 3}, r"'epochs' .* KerasClassifier\(build_model, epochs="),
    (X_BAD, Y_GOOD, {"callbacks": []}, r"KerasClassifier\(build_model, callbacks="),
    (X_BAD, Y_GOOD, {"initial_epoch": 1}, r"KerasClassifier\(build_model, fit__initial_epoch="),
    (X_BAD, Y_GOOD, {"validation_data": (X_BAD, Y_GOOD)}, r"fit\(X, y, X_val=..., y_val="),
    (X_BAD, Y_GOOD, {"validation_split": 0.1}, r"MetaLRClassifier\(cv="),
    (csr_matrix(X_BAD), Y_GOOD, {}, r"OneHotEncoder\(sparse_output=False\).*toarray\(\)"),
    (X_BAD.astype(str), Y_GOOD * 1.0, {}, None),
    (np.full((150, 4), "red"), Y_GOOD, {}, "could not convert string .*'red'.*OneHotEncoder"),
]


@pytest.mark.parametrize(("X", "y", "params", "said"), BAD_DATA)
def test_bad_data_is_refused_before_training(monkeypatch, X, y, params, said):
    monkeypatch.setattr(Block, "train", no_training)
    estimator = make()
    before = sorted(vars(estimator))
    if said is None:  # numbers written as text are numbers, as scikit-learn has it
        with pytest.raises(AssertionError, match="training was started"):
            estimator.fit(X, y, **params)
        return
    with pytest.raises((ValueError, TypeError), match=said):
        estimator.fit(X, y, **params)
    assert sorted(vars(estimator)) == before


def test_a_float_type_that_numpy_lacks_is_refused_before_training(iris, monkeypatch):
    monkeypatch.setattr(Block, "train", no_training)
    keras.config.set_floatx("bfloat16")
    try:
        with pytest.raises(ValueError, match=r"'bfloat16'.*set_floatx\('float32'\)"):
            make().fit(*iris)
    finally:
        keras.config.set_floatx("float32")


def test_a_failed_fit_leaves_the_last_one_in_place(iris):
    X, y = iris
    estimator = make().fit(X, y)
    before = estimator.predict_proba(X)
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.full((150, 7), np.nan), y)
    np.testing.assert_array_equal(estimator.predict_proba(X), before)


def test_cloning_copies_parameters_only(fitted):
    copied = clone(fitted)
    assert not hasattr(copied, "best_learning_rate_")
    assert copied.get_params(deep=False).keys() == fitted.get_params(deep=False).keys()


def test_parameters_of_the_wrapped_classifier_are_within_reach(iris):
    estimator = make().set_params(estimator__epochs=2, learning_rates=loguniform(1e-3, 1e-2))
    assert estimator.fit(*iris).learning_curves_.shape == (4, 2, 2)


def test_ready_made_network_learns(cancer):
    X, y = cancer
    fitted = MetaLRClassifier(cv=0.2, n_candidates=8, random_state=0).fit(X, y)
    assert fitted.score(X, y) > 0.97
    assert isinstance(small_mlp({"n_features_in_": 3, "n_classes_": 2}), keras.Model)


def test_verify_says_where_the_splitter_holds_out_other_rows(iris):
    fitted = make(cv=StratifiedKFold(2, shuffle=True)).fit(*iris)
    with pytest.raises(ValueError, match="give it a random_state"):
        verify(fitted, *iris)


def test_a_score_that_refuses_weights_is_computed_without(iris):
    X, y = iris
    weight = np.linspace(1, 2, len(y))
    fitted = make(scoring="roc_auc_ovo").fit(X, y, sample_weight=weight)
    assert 0.5 < fitted.best_score_ <= 1


@pytest.mark.filterwarnings("error::sk_metalr.exceptions.ScaleWarning")
def test_a_rare_class_is_no_sign_of_features_off_the_scale(cancer):
    """Equal probabilities are far worse than frequencies then, whatever the features are."""
    X, y = cancer
    rare = np.r_[np.flatnonzero(y == 1), np.flatnonzero(y == 0)[:8]]
    estimator = small_classifier(model=behind_a_rescaling, epochs=4)
    make(estimator, cv=2).fit(X[rare] * 1000, y[rare])


def behind_a_rescaling(meta):
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            layers.Rescaling(1e-3),
            layers.Dense(4, activation="relu"),
            layers.Dense(2, activation="softmax"),
        ]
    )


def test_whole_numbers_that_are_rounded_are_warned_of(iris):
    X, y = iris
    ids = np.arange(2**24, 2**24 + len(y))[:, None]
    with pytest.warns(exceptions.ScaleWarning, match="up to 16,777,365.*OrdinalEncoder"):
        make(cv=0.2).fit(ids, y)
    with pytest.warns(exceptions.ScaleWarning, match="up to 16,777,365"):
        make(cv=0.2).fit(pd.DataFrame({"id": ids[:, 0], "length": X[:, 0]}), y)


def test_a_series_is_no_table_of_features(iris):
    X, y = iris
    with pytest.raises(ValueError, match="Expected a 2-dimensional container"):
        make().fit(pd.Series(X[:, 0]), y)
