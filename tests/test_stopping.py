"""Early stopping of single members, against Keras's own fit."""

import keras
import numpy as np
import pytest
from models import small_classifier, small_mlp

from sk_metalr import MetaLRClassifier
from sk_metalr._population import Population, SplitTask

EPOCHS = 12
RATES = [0.003, 0.05, 0.2]


def task_for(X, y, stops=()):
    keras.utils.set_random_seed(0)
    model = small_mlp({"n_features_in_": 2, "n_classes_": 3})
    model.compile("adam", "sparse_categorical_crossentropy")
    test = np.arange(0, 150, 3)
    train = np.setdiff1d(np.arange(150), test)
    return SplitTask(
        model=model,
        x=X[:, :2].astype(np.float32),
        y=y[:, None].astype(np.float32),
        code=y.astype(np.int32),
        train=train,
        test=test,
        train_weight=np.ones(100, np.float32),
        test_weight=np.ones(50, np.float32),
        batch_size=20,
        seed=0,
        stops=stops,
    )


def population_of(task, **settings):
    return Population(
        [task], np.array(RATES), n_epochs=EPOCHS, from_logits=False, shuffle=False, **settings
    )


STOPS = {
    "patient": {"patience": 2, "start_from_epoch": 2},
    "best weights": {"patience": 1, "restore_best_weights": True},
    "training loss": {"monitor": "loss", "min_delta": 0.02},
}


@pytest.mark.parametrize(
    ("name", "lane"), [*((name, "vectorized") for name in STOPS), ("patient", "keras")]
)
def test_members_stop_where_keras_stops(iris, name, lane):
    X, y = iris
    stop = keras.callbacks.EarlyStopping(**STOPS[name])
    task = task_for(X, y, [stop])
    losses = population_of(task, engine=lane).train(EPOCHS)[0, :, 0]
    stopped = []
    for rate, curve in zip(RATES, losses, strict=True):
        model = task_for(X, y).model
        model.optimizer.learning_rate = rate
        held_out = task.x[task.test], task.y[task.test]
        history = model.fit(
            task.x[task.train],
            task.y[task.train],
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


def test_a_member_that_has_stopped_is_not_trained_on(iris):
    stop = keras.callbacks.EarlyStopping(start_from_epoch=2, min_delta=10)
    population = population_of(task_for(*iris, [stop]))
    whole = population.train(EPOCHS)
    assert population.member_epochs == 4 * len(RATES)
    np.testing.assert_array_equal(whole[..., 3:], np.repeat(whole[..., 3:4], EPOCHS - 3, axis=-1))


def test_those_who_stay_stop_as_if_all_had_stayed(iris):
    stop = keras.callbacks.EarlyStopping(patience=1)
    whole = population_of(task_for(*iris, [stop])).train(EPOCHS)
    halved = population_of(task_for(*iris, [stop]))
    first = halved.train(4)
    halved.keep(np.array([0, 2]))
    second = halved.train(EPOCHS - 4)
    np.testing.assert_allclose(np.concatenate([first, second], axis=-1)[:, 0], whole[:, 0])
    np.testing.assert_allclose(np.concatenate([first, second], axis=-1)[:, 2], whole[:, 2])


def test_early_stopping_saves_a_search_its_epochs(iris):
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=10, patience=2)
    wrapped = small_classifier(epochs=10, callbacks=[stop])
    fitted = MetaLRClassifier(wrapped, learning_rates=[0.01, 0.1], n_splits=2, random_state=0).fit(
        *iris
    )
    assert fitted.search_cost_["member_epochs"] < 2 * 2 * 10
    curves = fitted.learning_curves_
    np.testing.assert_array_equal(curves[..., 2:], np.repeat(curves[..., 2:3], 8, axis=-1))
    # The refit has no held-out rows of its own: nothing there to stop on, or to warn about.
    assert len(fitted.best_estimator_.history_["loss"]) == fitted.best_n_epochs_


def test_early_stopping_acts_in_the_refit_where_it_can(iris):
    stop = keras.callbacks.EarlyStopping("loss", min_delta=10)
    wrapped = small_classifier(epochs=10, callbacks=[stop])
    fitted = MetaLRClassifier(
        wrapped, learning_rates=[0.01, 0.1], n_splits=2, tune_epochs=False, random_state=0
    ).fit(*iris)
    assert len(fitted.best_estimator_.history_["loss"]) == 2
