"""Early stopping of single members, against Keras's own fit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from make import SMALL_FITS_WARN, make_block, make_setup, small_classifier, small_mlp

from sk_metalr import MetaLRClassifier
from sk_metalr._population.group import Group, regrouped
from sk_metalr._population.member import SharedState
from sk_metalr._population.program import GroupState
from sk_metalr._population.stopping import Watch
from sk_metalr._recorded import EPOCHS_OF_MODEL, Recorded
from sk_metalr._space import RATE
from sk_metalr._space.schedules import check_schedule

pytestmark = SMALL_FITS_WARN


EPOCHS = 12
RATES = [0.003, 0.05, 0.2]


def setup_of(X, y, stops=()):
    keras.utils.set_random_seed(0)
    model = small_mlp({"n_features_in_": 2, "n_classes_": 3})
    model.compile("adam", "sparse_categorical_crossentropy")
    test = np.arange(0, 150, 3)
    train = np.setdiff1d(np.arange(150), test)
    X = X[:, :2].astype(np.float32)
    return make_setup(model, X, y, train, test, batch_size=20, seed=0, stops=stops)


def block_of(setup, **options):
    return make_block([setup], RATES, budget=EPOCHS, shuffle=False, **options)


STOPS = {
    "patient": {"patience": 2, "start_from_epoch": 2},
    "best weights": {"patience": 1, "restore_best_weights": True},
    "training loss": {"monitor": "loss", "min_delta": 0.02},
}


@pytest.mark.parametrize(
    ("name", "lane"),
    [
        ("patient", "vectorized"),
        ("patient", "keras"),
        pytest.param("best weights", "vectorized", marks=pytest.mark.long),
        pytest.param("training loss", "vectorized", marks=pytest.mark.long),
    ],
)
def test_members_stop_where_keras_stops(iris, name, lane):
    X, y = iris
    stop = keras.callbacks.EarlyStopping(**STOPS[name])
    setup = setup_of(X, y, [stop])
    losses = block_of(setup, engine=lane).train(EPOCHS)["log_loss"][:, 0]
    stopped = []
    for rate, curve in zip(RATES, losses, strict=True):
        model = setup_of(X, y).model
        model.optimizer.learning_rate = rate
        held_out = setup.x[setup.test], setup.y[setup.test]
        history = model.fit(
            setup.x[setup.train],
            setup.y[setup.train],
            batch_size=20,
            epochs=EPOCHS,
            shuffle=False,
            validation_data=held_out,
            callbacks=[keras.callbacks.EarlyStopping(**STOPS[name])],
            verbose=0,
        ).history["val_loss"]
        last = len(history) - 1
        stopped.append(len(history))
        np.testing.assert_allclose(curve[:last], history[:last], atol=1e-4)
        if last < EPOCHS - 1:
            end = model.evaluate(*held_out, verbose=0)  # of the weights that Keras ends with
            np.testing.assert_allclose(curve[last:], end, atol=1e-4)
    assert min(stopped) < EPOCHS
    assert stop.wait == 0  # the caller's own is as it was


def test_whichever_stops_the_best_weights_are_restored():
    first = keras.callbacks.EarlyStopping("loss", patience=2, min_delta=10)
    best = keras.callbacks.EarlyStopping("val_loss", patience=9, restore_best_weights=True)
    watch = Watch([first, best])
    for loss in (0.5, 0.25, 0.75):
        kept = watch.see(1.0, np.array([loss]))
    assert watch.has_stopped
    assert watch.end == 1
    assert kept == 0.25


def test_a_member_that_has_stopped_is_not_trained_on(iris):
    stop = keras.callbacks.EarlyStopping(start_from_epoch=2, min_delta=10)
    block = block_of(setup_of(*iris, [stop]))
    whole = block.train(EPOCHS).values
    assert block.member_epochs == 4 * len(RATES)
    np.testing.assert_array_equal(whole[..., 3:], np.repeat(whole[..., 3:4], EPOCHS - 3, axis=-1))


def test_those_who_stay_stop_as_if_all_had_stayed(iris):
    stop = keras.callbacks.EarlyStopping(patience=1)
    whole = block_of(setup_of(*iris, [stop])).train(EPOCHS).values
    halved = block_of(setup_of(*iris, [stop]))
    first = halved.train(4).values
    halved.keep(np.array([0, 2]), EPOCHS)
    second = halved.train(EPOCHS - 4).values
    found = np.concatenate([first, second], axis=-1)
    np.testing.assert_allclose(found[:, [0, 2]], whole[:, [0, 2]], rtol=0, atol=1e-6)


def test_early_stopping_saves_a_search_its_epochs(iris):
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=10, patience=2)
    wrapped = small_classifier(epochs=10, callbacks=[stop])
    fitted = MetaLRClassifier(wrapped, learning_rates=[0.01, 0.1], cv=2, random_state=0).fit(*iris)
    assert fitted.search_cost_["member_epochs"] < 2 * 2 * 10
    curves = fitted.learning_curves_
    np.testing.assert_array_equal(curves[..., 2:], np.repeat(curves[..., 2:3], 8, axis=-1))
    # The refit has no held-out rows of its own: nothing there to stop on, or to warn about.
    assert len(fitted.best_estimator_.history_["loss"]) == fitted.best_n_epochs_


class Counted(keras.callbacks.EarlyStopping):
    """Counts the epochs that it sees of models."""

    n_epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        Counted.n_epochs += isinstance(self.model, keras.Model)
        super().on_epoch_end(epoch, logs)


def test_early_stopping_acts_in_the_refit_where_it_can(iris, monkeypatch):
    monkeypatch.setattr(Counted, "n_epochs", 0)
    wrapped = small_classifier(epochs=10, callbacks=[Counted("loss", min_delta=0.001)])
    fitted = MetaLRClassifier(wrapped, learning_rates=[0.01, 0.1], cv=2, random_state=0).fit(*iris)
    assert Counted.n_epochs == len(fitted.best_estimator_.history_["loss"]) > 1


def test_what_stopped_early_is_refitted_for_as_long(iris):
    """Once a member has stopped, its curve is flat, and smoothing prefers flat curves."""
    X, y = iris
    y = np.random.RandomState(0).permutation(y)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    wrapped = small_classifier(epochs=40, callbacks=[stop], model__hidden=64)
    fitted = MetaLRClassifier(wrapped, learning_rates=[0.03, 0.1], cv=3, random_state=0).fit(X, y)
    longest = fitted.search_cost_["member_epochs"] / 6
    assert fitted.cv_results_["n_epochs"].max() <= longest < 40
    assert len(fitted.best_estimator_.history_["loss"]) == fitted.best_n_epochs_


def test_what_is_kept_for_an_ensemble_stops_early_too(iris):
    stop = keras.callbacks.EarlyStopping("loss", min_delta=10, patience=2)
    wrapped = small_classifier(epochs=24, callbacks=[stop])
    fitted = MetaLRClassifier(
        wrapped, learning_rates=[0.01, 0.03, 0.1], cv=2, n_models=3, random_state=0
    ).fit(*iris)
    assert {model["n_epochs"] for model in fitted.ensemble_} == {3}


def test_those_that_stop_before_anything_is_kept_make_an_ensemble(iris):
    X, y = iris
    y = np.where(np.random.default_rng(0).uniform(size=len(y)) < 0.15, (y + 1) % 3, y)
    stop = keras.callbacks.EarlyStopping("loss", min_delta=10, patience=2)
    fitted = MetaLRClassifier(
        small_classifier(epochs=24, callbacks=[stop]),
        learning_rates=[0.01, 0.03, 0.1, 0.3],
        cv=2,
        n_models=4,
        random_state=0,
    ).fit(X, y)
    assert len({model["index"] for model in fitted.ensemble_}) > 1


@pytest.mark.parametrize("name", STOPS)
def test_what_is_kept_is_of_the_models_whose_losses_are_recorded(iris, name):
    stop = keras.callbacks.EarlyStopping(**STOPS[name])
    block = block_of(setup_of(*iris, [stop]), keeps_predictions=True, averages=True)
    recorded = block.train(5)
    block.keep(np.arange(3), EPOCHS)
    recorded = Recorded.concat([recorded, block.train(EPOCHS - 5)], axis=2)
    assert recorded[EPOCHS_OF_MODEL].min(axis=(1, 2)).min() < recorded[EPOCHS_OF_MODEL].max()
    kept = block.held_out()
    for view, of_view in zip(recorded.views, kept.predictions, strict=True):
        for number, epoch in enumerate(kept.epochs):
            log_p = of_view[:, number, np.arange(len(kept.target)), kept.target]
            np.testing.assert_allclose(-log_p.mean(axis=1), view.loss[:, 0, epoch], rtol=0.01)


def test_groups_of_which_one_has_kept_nothing_are_put_together():
    """All of one stopped before the first predictions were kept; the other went on alone."""

    def group(n_members, kept):
        rates = np.full(n_members, 0.1, np.float32)
        state = GroupState(rates, SharedState(tf.constant(3), []), rates, rates > 0)
        candidates = np.arange(n_members)
        schedules = [check_schedule("constant")] * n_members
        return Group(0, candidates, {RATE: rates}, schedules, state=state, kept=kept)

    several, alone = group(4, []), group(1, [np.ones((2, 1, 5, 3), np.float16)])
    together = regrouped([(several, 3), (alone, 0)], size=4)
    assert together.ends is None
    (kept,) = together.kept
    assert np.isnan(kept[:, 0]).all()
    np.testing.assert_array_equal(kept[:, 1:], 1)
