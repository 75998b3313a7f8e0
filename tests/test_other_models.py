"""Models that other people bring: what `fit` records and delivers is what Model.fit would.

`verify` trains members and refits again by ``Model.fit`` on fresh models; its own tests come first.
"""

import os
import pickle
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from make import SMALL_FITS_WARN
from scikeras.wrappers import KerasClassifier, KerasRegressor
from scipy.special import softmax
from sklearn.base import clone
from sklearn.metrics import log_loss

from sk_metalr import MetaLRClassifier, MetaLRRegressor, verify
from sk_metalr._population import lanes, program
from sk_metalr.exceptions import CallbackWarning

pytestmark = [SMALL_FITS_WARN, pytest.mark.long]


CROSS_ENTROPY = "sparse_categorical_crossentropy"
RNG = np.random.RandomState(0)
X = RNG.randn(100, 8).astype("float32")
Y = (X @ RNG.randn(8, 3)).argmax(axis=1)
TOKENS = RNG.randint(1, 20, (100, 8)).astype("float32")
TOKENS[:40, 5:] = 0  # padding
RATES = [3e-3, 3e-2]


def sequential(*hidden, optimizer="adam", loss=CROSS_ENTROPY, **settings):
    model = keras.Sequential([keras.Input((8,)), *hidden, layers.Dense(3, activation="softmax")])
    model.compile(optimizer, loss, **settings)
    return model


def fit(build, X=X, y=Y, fit_params=None, epochs=2, wrapped=None, verified=1, **params):
    """Fit, and have some candidates trained again by ``Model.fit``."""
    # As Model.fit trains them; test_calibration.py has averages.
    defaults = {"learning_rates": RATES, "cv": 0.2, "random_state": 0, "calibrate": False}
    classifier = KerasClassifier(build, epochs=epochs, batch_size=32, verbose=0, **(wrapped or {}))
    given = fit_params or {}
    fitted = MetaLRClassifier(classifier, **(defaults | params)).fit(X, y, **given)
    if verified:
        fitted.checked = verify(fitted, X, y, n_candidates=verified, **given)
    return fitted


def assert_as_keras(fitted, lane=None, atol=1e-4):
    assert fitted.checked["max_loss_difference"] < atol
    assert fitted.checked["max_weight_difference"] < atol
    if lane is not None:
        assert fitted.search_cost_["lane"] == lane


class RandomFeatures(layers.Layer):
    """Draws constants when it is built."""

    def build(self, shape):
        drawn = np.random.normal(0, 0.3, (shape[-1], 32))  # noqa: NPY002
        self.projection = ops.convert_to_tensor(drawn.astype("float32"))

    def call(self, x):
        return ops.cos(ops.matmul(x, self.projection))


def embedded_positions():
    """Build a functional model that holds the vectors of positions as a constant."""
    inputs = keras.Input((8,))
    positions = layers.Embedding(8, 4)(ops.arange(8))
    x = layers.Flatten()(layers.Embedding(20, 4)(inputs) + positions)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    model.compile("adam", CROSS_ENTROPY)
    return model


# 1: constants


@pytest.mark.parametrize(
    ("build", "X"),
    [
        (lambda: sequential(RandomFeatures()), X),
        pytest.param(embedded_positions, TOKENS, marks=pytest.mark.long),
    ],
    ids=["drawn in build", "computed in a functional model"],
)
def test_models_with_constants_of_their_own_train_and_predict_apart(build, X):
    fitted = fit(build, X, cv=2, verified=2, n_models=2)
    assert_as_keras(fitted, "vectorized")
    alone = [np.asarray(one.model_.predict(X, verbose=0), np.float64) for one in fitted.estimators_]
    np.testing.assert_allclose(fitted.predict_proba(X), np.mean(alone, axis=0), atol=1e-6)


@pytest.mark.parametrize("batch_size", [16, 12])
def test_biases_of_the_second_of_three_axes(batch_size):
    """TensorFlow vectorises these wrongly."""

    def build(meta):
        inputs = keras.Input((16,))
        x = layers.EinsumDense("bf,fk->bfk", (16, 1), bias_axes="fk", activation="tanh")(inputs)
        return keras.Model(inputs, layers.Dense(2, "softmax")(layers.Flatten()(x)))

    random = np.random.default_rng(0)
    rows = random.normal(size=(96, 16)).astype(np.float32)
    y = (rows[:, 0] > 0).astype(int)
    how = {"batch_size": batch_size, "epochs": 3, "optimizer": "adam", "verbose": 0}
    wrapped = KerasClassifier(build, loss="sparse_categorical_crossentropy", **how)
    fitted = MetaLRClassifier(
        wrapped, learning_rates=[1e-2, 1e-1], cv=3, n_models=2, random_state=0
    ).fit(rows, y)
    assert fitted.search_cost_["lane"] == "vectorized"
    assert verify(fitted, rows, y, n_candidates=2)["max_loss_difference"] < 1e-5
    of_each = [one.predict_proba(rows) for one in fitted.estimators_]
    calibrated = [
        softmax(np.log(one) / model["temperature"], axis=1)
        for one, model in zip(of_each, fitted.ensemble_, strict=True)
    ]
    mean = np.log(np.mean(calibrated, axis=0)) / fitted.temperature_
    np.testing.assert_allclose(fitted.predict_proba(rows), softmax(mean, axis=1), atol=1e-5)


def test_equal_constants_of_layers_of_ones_own_share_a_program(monkeypatch):
    class Doubled(layers.Layer):
        def build(self, shape):
            self.factor = ops.convert_to_tensor(np.full(200, 2, "float32"))

        def call(self, x):
            return x * self.factor[:1]

    made = []
    init = program.Program.__init__
    monkeypatch.setattr(
        program.Program, "__init__", lambda self, *a, **k: made.append(1) or init(self, *a, **k)
    )
    fit(lambda: sequential(Doubled()), cv=3, refit=False, verified=0)
    assert len(made) == 1


@pytest.mark.parametrize(
    "code",
    [
        "def activation(x):\n    return x * SCALE['by']",
        pytest.param(
            "def activation(x):\n    return (lambda: x * SCALE['by'])()", marks=pytest.mark.long
        ),
    ],
    ids=["itself", "inside"],
)
def test_a_function_that_reads_globals_is_never_taken_for_another(code):
    scale = {"by": 1.0}
    namespace = {"SCALE": scale}
    exec(code, namespace)
    namespace["activation"].__module__ = __name__

    def build():
        return sequential(layers.Dense(4, activation=namespace["activation"]))

    fit(build)
    scale["by"] = -3.0
    assert_as_keras(fit(build))


# 2: averages of the weights


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Adam(use_ema=True, ema_momentum=0.9),
        lambda: keras.optimizers.SGD(use_ema=True, ema_momentum=0.8, momentum=0.9),
    ],
    ids=["Adam", "SGD"],
)
@pytest.mark.parametrize("engine", ["vectorized", "compiled", "keras"])
def test_averaged_weights_are_scored_and_delivered(optimizer, engine):
    fitted = fit(lambda: sequential(layers.Dense(4, "relu"), optimizer=optimizer()), engine=engine)
    assert_as_keras(fitted, engine)


@pytest.mark.skipif(
    not hasattr(keras.optimizers, "ScheduleFreeAdamW"), reason="of Keras 3.14 and later"
)
def test_schedule_free_training_starts_from_the_weights_of_each_split():
    optimizer = keras.optimizers.ScheduleFreeAdamW
    fitted = fit(lambda: sequential(optimizer=optimizer()), cv=2, verified=2)
    assert_as_keras(fitted, "keras")


def test_averages_that_replace_the_weights_now_and_then_go_through_keras():
    optimizer = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 2}
    fitted = fit(lambda: sequential(optimizer=keras.optimizers.Adam(**optimizer)))
    assert_as_keras(fitted, "keras")


def test_the_winner_is_chosen_on_averaged_weights():
    rates = [3e-3, 3e-2, 3e-1]

    def build():
        return sequential(
            layers.Dense(16, "relu"),
            optimizer=keras.optimizers.Adam(use_ema=True, ema_momentum=0.9),
        )

    fitted = fit(build, learning_rates=rates, epochs=1, refit=False)
    assert_as_keras(fitted)
    means = fitted.learning_curves_[:, :, -1].mean(axis=1)
    assert fitted.best_learning_rate_ == rates[int(means.argmin())]


# 3: assigned weights


class Halved(layers.Layer):
    """Halves its weight at every training step, before it is used and trained."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x, training=False):
        before = x * self.scale
        if training:
            self.scale.assign(0.5 * self.scale)
        return before + x * self.scale


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.SpectralNormalization(layers.Dense(8)),
        pytest.param(Halved, marks=pytest.mark.long),
    ],
    ids=["SpectralNormalization", "of one's own"],
)
@pytest.mark.parametrize("engine", ["auto", "compiled"])
def test_weights_that_a_layer_assigns_stay_assigned(layer, engine):
    fitted = fit(lambda: sequential(layer()), engine=engine)
    assert_as_keras(fitted, None if engine == "auto" else engine)


# 4: integers


class Counted(layers.Layer):
    """Scales by how many positive numbers it has seen in training, an integer."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4))
        self.seen = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, x, training=False):
        x = ops.matmul(x, self.kernel)
        if training:
            self.seen.assign_add(ops.sum(ops.cast(x > 0, "int32")))
        return x / (1.0 + ops.cast(self.seen, "float32") / 100)


@pytest.mark.parametrize("engine", ["vectorized", "compiled"])
def test_integers_that_depend_on_data_belong_to_each_member(engine):
    assert_as_keras(fit(lambda: sequential(Counted()), verified=2, engine=engine), engine)


def test_random_generators_are_shared_as_before():
    fitted = fit(lambda: sequential(layers.Dense(8), layers.Dropout(0.3)))
    assert_as_keras(fitted, "vectorized")


# 5: state that Keras does not list


class TwoOptimizers(keras.Model):
    """Trains its body with an optimizer of its own, and a layer that no call knows."""

    def __init__(self):
        super().__init__()
        self.body, self.head = layers.Dense(6, "relu"), layers.Dense(3, activation="softmax")
        self.auxiliary = layers.Dense(3)
        self.second = keras.optimizers.Adagrad(0.05)
        self.counters = [tf.Variable(0.0, trainable=False)]

    def call(self, x):
        return self.head(self.body(x))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
            loss += ops.mean(self.auxiliary(self.body(x)) ** 2) / (1.0 + self.counters[0])
        head, body = self.head.trainable_variables, self.body.trainable_variables
        body = [*body, *self.auxiliary.trainable_variables]
        self.optimizer.apply_gradients(zip(tape.gradient(loss, head), head, strict=True))
        self.second.apply_gradients(zip(tape.gradient(loss, body), body, strict=True))
        self.counters[0].assign_add(1.0)
        return {"loss": loss}


def two_optimizers():
    model = TwoOptimizers()
    model.compile("sgd", CROSS_ENTROPY)
    return model


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called:UserWarning")
def test_members_of_keras_loop_share_no_state():
    together = fit(two_optimizers, verified=2)
    assert_as_keras(together, "keras")
    alone = fit(two_optimizers, learning_rates=RATES[1:], refit=False)
    np.testing.assert_allclose(together.learning_curves_[1:], alone.learning_curves_, atol=1e-6)


class Drifting(layers.Layer):
    """Changes a variable that Keras does not list."""

    def __init__(self):
        super().__init__()
        self.drift = tf.Variable(1.0, trainable=False)

    def call(self, x, training=False):
        if training:
            self.drift.assign(0.9 * self.drift)
        return x * self.drift


def test_a_layer_that_changes_a_variable_of_its_own_trains_through_keras():
    fitted = fit(lambda: sequential(Drifting()))
    assert_as_keras(fitted, "keras")
    assert "tf.Variable" in fitted.search_cost_["lane_reason"]


def test_unseeded_random_numbers_in_a_layer_are_new_at_every_step():
    class Noisy(layers.Layer):
        def call(self, x, training=False):
            return x + (keras.random.normal((8,)) if training else 0.0)

    assert fit(lambda: sequential(Noisy()), verified=0).search_cost_["lane"] == "keras"


# 6: verify


def test_verify_sees_a_wrong_curve_and_a_wrong_refit(monkeypatch):
    train = program.Program.train

    def wrong(self, state, *arguments):
        state = train(self, state, *arguments)
        weights = [value * 1.01 for value in state.members.weights]
        return state._replace(members=state.members._replace(weights=weights))

    assert_as_keras(fit(lambda: sequential(layers.Dense(4, "relu"))))
    monkeypatch.setattr(program.Program, "train", wrong)
    checked = fit(lambda: sequential(layers.Dense(4, "relu")), cv=2, verified=2).checked
    assert checked["splits"] == [0, 1]
    assert checked["max_loss_difference"] > 1e-3
    assert checked["max_weight_difference"] > 1e-3


@pytest.mark.parametrize(
    "params",
    [
        {"search": "hypergradient"},
        {
            "param_distributions": {"schedule": ["cosine"]},
            "fit_params": {"sample_weight": np.linspace(0.5, 1.5, 100)},
        },
        {
            "wrapped": {"callbacks": [keras.callbacks.EarlyStopping("val_loss", patience=1)]},
            "epochs": 8,
            "learning_rates": [1.0],
            "refit": False,
        },
        {"search": "halving", "epochs": 4, "wrapped": {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}},
    ],
    ids=["hypergradient", "schedule and weights", "early stopping", "halving and class weights"],
)
def test_verify_trains_what_searches_have_made_of_rates_and_ends(params):
    assert_as_keras(fit(lambda: sequential(layers.Dense(4, "relu")), **params))


# 7: padded batches


def unit_rows(axis):
    return lambda: sequential(layers.Dense(6), layers.UnitNormalization(axis=axis))


def masked(loss=CROSS_ENTROPY):
    return sequential(layers.Masking(), layers.Dense(6, "relu"), loss=loss)


ZEROS = X * (np.arange(100) % 3 > 0)[:, None]


@pytest.mark.parametrize(
    ("build", "X"),
    [
        (unit_rows(0), X),
        (unit_rows(-2), X),
        (lambda: sequential(layers.Dense(6), layers.Softmax(axis=0)), X),
        (lambda: sequential(layers.Dense(6, activation=lambda x: x - ops.mean(x, 0))), X),
        (masked, ZEROS.astype("float32")),
        (
            lambda: sequential(loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=1)),
            X,
        ),
    ],
    ids=["unit 0", "unit -2", "softmax 0", "activation", "mask", "ignore_class"],
)
def test_a_partial_last_batch_trains_as_it_is(build, X):
    """80 training rows: two batches of 32 and one of 16."""
    assert_as_keras(fit(build, X), "vectorized")


def test_a_loss_of_all_rows_of_a_batch_sees_no_others():
    def build():
        model = keras.Sequential([keras.Input((8,)), layers.Dense(5, activation="sigmoid")])
        model.compile("adam", keras.losses.Dice())
        return model

    masks = (X[:, :5] > 0).astype("float32")
    wrapped = KerasRegressor(build, epochs=2, batch_size=32, verbose=0)
    found = MetaLRRegressor(wrapped, learning_rates=RATES, cv=0.2, random_state=0)
    found.set_params(standardize=False).fit(X, masks)
    assert verify(found, X, masks, n_candidates=1)["max_loss_difference"] < 1e-4


# 9: callbacks that set the rate


@pytest.mark.parametrize(
    "callback",
    [
        lambda: keras.callbacks.LearningRateScheduler(lambda epoch, rate: 1e-3),
        lambda: keras.callbacks.ReduceLROnPlateau("loss"),
    ],
    ids=["LearningRateScheduler", "ReduceLROnPlateau"],
)
def test_a_callback_that_sets_the_rate_of_the_refit_is_warned_of(callback):
    with pytest.warns(CallbackWarning, match="'schedule'"):
        fit(lambda: sequential(), wrapped={"callbacks": [callback()]}, verified=0, epochs=1)


# 11: recurrent layers above layers with weights


RECURRENT = {
    "embedding, LSTM": lambda: [layers.Embedding(20, 4), layers.LSTM(4)],
    "masked GRU": lambda: [layers.Embedding(20, 4, mask_zero=True), layers.GRU(4)],
    "stacked LSTM": lambda: [
        layers.Embedding(20, 4, mask_zero=True),
        layers.LSTM(4, return_sequences=True),
        layers.LSTM(3),
    ],
    "bidirectional": lambda: [
        layers.Embedding(20, 4, mask_zero=True),
        layers.Bidirectional(layers.LSTM(3)),
    ],
    "dense, SimpleRNN": lambda: [
        layers.Reshape((8, 1)),
        layers.Dense(4),
        layers.SimpleRNN(4),
    ],
    "convolution, GRU": lambda: [
        layers.Reshape((8, 1)),
        layers.Conv1D(4, 3),
        layers.GRU(4, go_backwards=True),
    ],
    "RNN of a cell": lambda: [layers.Embedding(20, 4), layers.RNN(layers.LSTMCell(4))],
    "stacked cells": lambda: [
        layers.Embedding(20, 4),
        layers.RNN([layers.GRUCell(4), layers.GRUCell(3)]),
    ],
    "time distributed": lambda: [
        layers.Embedding(20, 4),
        layers.TimeDistributed(layers.Dense(3)),
        layers.LSTM(3, return_state=False),
    ],
    "ConvLSTM": lambda: [
        layers.Reshape((4, 2, 1)),
        layers.Dense(2),
        layers.ConvLSTM1D(2, 1),
        layers.Flatten(),
    ],
}


OFTEN = {"stacked LSTM"}


@pytest.mark.parametrize(
    "kind", [k if k in OFTEN else pytest.param(k, marks=pytest.mark.long) for k in RECURRENT]
)
def test_recurrent_layers_train_above_layers_with_weights(kind):
    assert_as_keras(fit(lambda: sequential(*RECURRENT[kind]()), TOKENS / 4))


@pytest.mark.long
def test_loops_over_time_are_unrolled_where_that_pays(monkeypatch):
    monkeypatch.setattr(lanes, "MIN_STEPS_TO_UNROLL", 1)
    fitted = fit(lambda: sequential(*RECURRENT["bidirectional"]()), TOKENS)
    assert_as_keras(fitted, "vectorized")
    layer = fitted.best_estimator_.model_.layers[1]
    assert not layer.forward_layer.unroll


# 12: down to Keras's own loop


class Python(layers.Layer):
    """Runs as Python only: TensorFlow can trace nothing of it."""

    def call(self, x):
        return x * float(np.asarray(x[0, 0]) > -1e9)


def test_what_fails_while_it_is_traced_goes_down_to_keras():
    def build():
        return sequential(Python(), run_eagerly=True)

    fitted = fit(build)
    assert_as_keras(fitted, "keras")

    class Odd(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            if not isinstance(variable, tf.Variable):
                raise AttributeError("only a tf.Variable will do")
            super().update_step(gradient, variable, learning_rate)

    fitted = fit(lambda: sequential(optimizer=Odd()), verified=0)
    assert fitted.search_cost_["lane"] == "keras"
    assert "only a tf.Variable will do" in fitted.search_cost_["lane_reason"]


def test_an_error_of_the_model_is_shown_as_keras_shows_it():
    class Broken(layers.Layer):
        def call(self, x, training=False):
            if training:
                raise ZeroDivisionError("of the user's own")
            return x

    with pytest.raises(ZeroDivisionError, match="of the user's own"):
        fit(lambda: sequential(Broken()))


# 13, 14: ways of training


class OwnTrainStep(keras.Sequential):
    """Trains as most people write it."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def own_train_step():
    model = OwnTrainStep([keras.Input((8,)), layers.Dense(3, activation="softmax")])
    model.compile("adam", CROSS_ENTROPY)
    return model


def test_a_train_step_is_given_weights_only_where_there_are_some():
    assert_as_keras(fit(own_train_step), "keras")
    with pytest.raises(ValueError, match="unpack"):
        fit(own_train_step, fit_params={"sample_weight": np.ones(100)})


def test_compute_loss_need_not_know_training():
    class Old(keras.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            assert sample_weight is None
            return 2.0 * super().compute_loss(x, y, y_pred, sample_weight)

    def build():
        model = Old([keras.Input((8,)), layers.Dense(3, activation="softmax")])
        model.compile("sgd", CROSS_ENTROPY)
        return model

    assert_as_keras(fit(build), "vectorized")


# 15: subclassed models


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.features = layers.Dense(6, activation="relu")
        self.head = layers.Dense(3, activation="softmax")

    def call(self, x):
        return self.head(self.features(x))


def subclassed(built=False, **settings):
    model = Subclassed()
    if built:
        model.build((None, 8))
    model.compile("adam", CROSS_ENTROPY, **settings)
    return model


@pytest.mark.parametrize(
    "settings",
    [{}, {"metrics": ["accuracy"]}, {"run_eagerly": True}, {"built": True}],
    ids=lambda settings: next(iter(settings), "plain"),
)
@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called:UserWarning")
def test_subclassed_models_are_trained(settings):
    fitted = fit(lambda: subclassed(**settings))
    assert_as_keras(fitted)
    assert log_loss(Y, fitted.predict_proba(X)) < 2


class Untold(keras.Model):
    """A model whose layers are not told whether they are trained, as its own call is not."""

    def __init__(self):
        super().__init__()
        self.features = layers.Dense(6, activation="relu")
        self.normalized, self.dropped = layers.BatchNormalization(), layers.Dropout(0.5)
        self.head = layers.Dense(3, activation="softmax")

    def call(self, x):
        return self.head(self.dropped(self.normalized(self.features(x))))


def test_a_call_that_takes_no_training_is_not_told():
    def build():
        model = Untold()
        model(X[:1])
        model.compile("adam", CROSS_ENTROPY)
        return model

    assert_as_keras(fit(build), "vectorized")


class Powered(keras.optimizers.SGD):
    """An optimizer whose config does not tell all about it."""

    def __init__(self, learning_rate=0.01, power=1.0, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.power = power

    def update_step(self, gradient, variable, learning_rate):
        gradient = ops.sign(gradient) * ops.abs(gradient) ** self.power
        super().update_step(gradient, variable, learning_rate)


class PoweredAsConfigured(Powered):
    """An optimizer whose config does."""

    def get_config(self):
        return super().get_config() | {"power": self.power}


@pytest.mark.parametrize(
    ("kind", "lane"), [(Powered, "keras"), (PoweredAsConfigured, "vectorized")]
)
def test_an_optimizer_of_ones_own_keeps_its_settings(kind, lane):
    assert_as_keras(fit(lambda: sequential(optimizer=kind(power=0.5))), lane)


def test_an_optimizer_of_ones_own_may_be_built():
    def build():
        model = sequential(optimizer=PoweredAsConfigured(power=0.5))
        model.optimizer.build(model.trainable_variables)
        return model

    assert_as_keras(fit(build), "vectorized")


def test_a_schedule_leaves_an_optimizer_its_settings():
    fitted = fit(
        lambda: sequential(optimizer=Powered(power=0.5)),
        param_distributions={"schedule": ["linear"]},
        learning_rates=[3e-3, 3e-2],
    )
    assert_as_keras(fitted, "keras")
    assert fitted.best_estimator_.model_.optimizer.power == 0.5


def test_a_prediction_step_that_is_set_on_a_model_is_what_is_scored():
    def build():
        model = sequential()
        plain = model.predict_step
        model.predict_step = lambda data: ops.flip(plain(data), axis=-1)
        return model

    fitted = fit(build, verified=0)
    of_keras = fitted.best_estimator_.model_.predict(X, verbose=0)
    np.testing.assert_allclose(fitted.predict_proba(X), of_keras, atol=1e-6)


def test_penalties_that_were_set_on_variables_count():
    def build(l2=0.0):
        model = sequential(layers.Dense(6))
        for layer in model.layers:
            layer.kernel.regularizer = keras.regularizers.L2(l2)
        return model

    plain, penalised = (fit(lambda l2=l2: build(l2)) for l2 in (0.0, 10.0))
    assert_as_keras(penalised, "vectorized")
    assert not np.allclose(plain.learning_curves_, penalised.learning_curves_, atol=0.01)
    wrapped = {"estimator": KerasClassifier(build, epochs=2, verbose=0), "n_candidates": 8}
    space = {"model__l2": [0.0, 10.0]}
    found = MetaLRClassifier(param_distributions=space, cv=0.2, random_state=0, **wrapped)
    assert verify(found.fit(X, Y), X, Y, n_candidates=3)["max_loss_difference"] < 1e-4


def test_what_a_function_closes_over_may_change_between_fits():
    curves, slope = [], None

    def sloping(x):
        return slope * ops.tanh(x)

    for value in (1.0, -3.0):
        slope = value
        fitted = fit(lambda: sequential(layers.Dense(6, activation=sloping)))
        assert_as_keras(fitted, "vectorized")
        curves.append(fitted.learning_curves_)
    assert not np.allclose(*curves, atol=1e-3)


def test_models_that_wait_for_rows_are_built_from_them():
    def build():
        model = keras.Sequential([layers.Dense(4), layers.Dense(3, activation="softmax")])
        model.compile("adam", CROSS_ENTROPY)
        return model

    assert_as_keras(fit(build, n_models=2), "vectorized")


def test_a_prediction_step_of_ones_own_is_what_is_scored():
    class Tempered(keras.Sequential):
        def predict_step(self, data):
            p = super().predict_step(data) ** 0.5
            return p / ops.sum(p, axis=-1, keepdims=True)

    def build():
        model = Tempered([keras.Input((8,)), layers.Dense(3, activation="softmax")])
        model.compile("adam", CROSS_ENTROPY)
        return model

    fitted = fit(build, verified=0)
    expected = fitted.best_estimator_.model_.predict(X, verbose=0)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-5)


# 16: forked processes


FORKED = """
import os, sys
import numpy as np
from sk_metalr import MetaLRClassifier
X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
model = MetaLRClassifier(learning_rates=[1e-2], cv=0.2, random_state=0)
if sys.argv[1] == "after":
    model.fit(X, y)
child = os.fork()
if not child:
    try:
        model.fit(X, y) if sys.argv[2] == "fit" else model.predict(X)
        os._exit(0)
    except RuntimeError as error:
        assert "spawn" in str(error), error
        os._exit(7)
    except BaseException:
        os._exit(9)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize(
    ("when", "what"), [("after", "fit"), pytest.param("after", "predict", marks=pytest.mark.long)]
)
def test_a_forked_child_of_a_process_that_has_fitted_says_so(when, what):
    """Before, it waited for ever for threads that it does not have."""
    command = [sys.executable, "-W", "ignore", "-c", FORKED, when, what]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            assert process.wait(120) == 7
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


# 9: what copies and programs may lose


def test_a_loss_keeps_arguments_that_its_config_does_not_tell():
    """Huber's delta is in no config, and this class tells nothing at all."""

    class Scaled(keras.losses.Loss):
        def __init__(self, factor=1.0):
            super().__init__()
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * ops.mean(ops.abs(y_true - y_pred), axis=-1)

    def build():
        return keras.Sequential([keras.Input((8,)), layers.Dense(1)])

    def weights(wrapped):
        model = MetaLRRegressor(wrapped, learning_rates=[3e-2], cv=0.2, random_state=0)
        return clone(model).fit(X, X[:, 0] * 3).best_estimator_.model_.get_weights()

    def compiled(loss):
        model = build()
        model.compile("sgd", loss)
        return model

    for loss, other in [
        (keras.losses.Huber(delta=0.05), keras.losses.Huber()),
        (Scaled(0.1), Scaled()),
    ]:
        inside = weights(KerasRegressor(lambda loss=loss: compiled(loss), epochs=2, verbose=0))
        for one, is_alike in ((loss, True), (other, False)):
            outside = weights(KerasRegressor(build, loss=one, optimizer="sgd", epochs=2, verbose=0))
            assert np.allclose(outside[0], inside[0]) == is_alike
    given = compiled(keras.losses.Huber(delta=0.05))
    model = clone(MetaLRRegressor(given, learning_rates=[3e-2], cv=0.2, random_state=0))
    copies = [model.fit(X, X[:, 0]).best_estimator_.model_, pickle.loads(pickle.dumps(given))]
    for copied in copies:
        assert copied.loss._fn_kwargs == copied._compile_loss._user_loss._fn_kwargs
        assert copied.loss._fn_kwargs == {"delta": 0.05}


def test_held_out_rows_of_the_refit_are_scaled_as_its_targets_are():
    target = X[:, 0] * 3000 + 10_000

    def build():
        return keras.Sequential([keras.Input((8,)), layers.Dense(1)])

    held_out = X[:20], target[:20]
    wrapped = KerasRegressor(
        build, loss="mse", epochs=3, verbose=0, fit__validation_data=held_out, metrics=["mae"]
    )
    fitted = MetaLRRegressor(wrapped, learning_rates=[3e-2], cv=0.2, random_state=0)
    fitted.fit(X, target)
    assert max(fitted.best_estimator_.history_["val_loss"]) < 10
    np.testing.assert_array_equal(fitted.best_estimator_.fit__validation_data[1], held_out[1])


class OnlyInTraining(keras.Model):
    """Has a layer that is called in training alone."""

    def __init__(self):
        super().__init__()
        self.hidden, self.aside = layers.Dense(8, "relu"), layers.Dense(1)
        self.out = layers.Dense(3, "softmax")

    def call(self, x, training=False):
        hidden = self.hidden(x)
        if training:
            self.add_loss(0.01 * ops.mean(ops.square(self.aside(hidden))))
        return self.out(hidden)


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called:UserWarning")
@pytest.mark.parametrize("settings", [{}, {"metrics": ["accuracy"]}])
def test_layers_that_only_training_calls_are_trained(settings):
    def build():
        model = OnlyInTraining()
        model.compile("adam", CROSS_ENTROPY, **settings)
        return model

    assert_as_keras(fit(build, cv=2), "vectorized")


class HeadOfItsOwn(keras.Model):
    """Has a layer that is called in its own training step alone."""

    def __init__(self):
        super().__init__()
        self.hidden, self.aside = layers.Dense(8, "relu"), layers.Dense(3)
        self.out = layers.Dense(3, "softmax")

    def call(self, x):
        return self.out(self.hidden(x))

    def train_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            hidden = self.hidden(x)
            loss = ops.mean(keras.losses.sparse_categorical_crossentropy(y, self.out(hidden)))
            loss += ops.mean(ops.square(self.aside(hidden)))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called:UserWarning")
def test_layers_that_only_a_training_step_calls_are_trained():
    def build():
        model = HeadOfItsOwn()
        model.compile("adam", CROSS_ENTROPY)
        return model

    assert_as_keras(fit(build), "keras")


class WarmedUp(keras.Model):
    """Has a penalty that grows with the steps of its optimizer."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(3, "softmax")

    def call(self, x):
        return self.out(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        step = ops.cast(self.optimizer.iterations, "float32")
        rate = ops.cast(self.optimizer.learning_rate, "float32")
        return loss + (step + 100 * rate) * ops.mean(ops.square(self.out.kernel))


@pytest.mark.parametrize("engine", ["vectorized", "compiled"])
def test_a_loss_may_ask_for_the_step_and_the_rate(engine):
    def build():
        model = WarmedUp()
        model.compile("sgd", CROSS_ENTROPY)
        return model

    assert_as_keras(fit(build, engine=engine), engine)


def test_a_given_model_keeps_what_was_changed_of_its_variables():
    def given():
        return sequential(layers.Dense(6, "relu"))

    model = given()
    model.layers[0].kernel.trainable = False
    fitted = MetaLRClassifier(model, learning_rates=[3e-2], cv=0.2, random_state=0).fit(X, Y)
    kernel, bias, _, _ = fitted.best_estimator_.model_.get_weights()
    np.testing.assert_array_equal(kernel, model.layers[0].kernel.numpy())
    assert bias.any()
    assert fitted.search_cost_["lane"] == "vectorized"
    for copied in (clone(fitted).estimator, pickle.loads(pickle.dumps(model))):
        assert [one.trainable for one in copied.weights] == [False, True, True, True]

    model = given()
    model.layers[0].enable_lora(2)
    model.compile("adam", CROSS_ENTROPY)
    fitted = MetaLRClassifier(model, learning_rates=[3e-2], cv=0.2, random_state=0).fit(X, Y)
    assert fitted.best_estimator_.model_.layers[0].lora_kernel_b.numpy().any()

    model = given()
    model.train_step = lambda data: {"loss": 0.0}
    with pytest.raises(ValueError, match="train_step was set on the model itself"):
        MetaLRClassifier(model).fit(X, Y)


class ByLayer(keras.optimizers.SGD):
    """Has factors for the rates of single layers, which its config does not tell."""

    def __init__(self, factors=None, **kwargs):
        super().__init__(**kwargs)
        self.factors = factors or {}

    def update_step(self, gradient, variable, learning_rate):
        factor = self.factors.get(len(variable.shape), 1.0)
        super().update_step(gradient, variable, learning_rate * factor)


class ByName(keras.optimizers.SGD):
    """Trains no weights whose names have "first" in them."""

    def update_step(self, gradient, variable, learning_rate):
        factor = 0.0 if "first" in variable.name else 1.0
        super().update_step(gradient, variable, learning_rate * factor)


def first_layer_rests(names):
    return any("first" in name for name in names)


class ByNames(ByName):
    """Does so in a comprehension."""

    def update_step(self, gradient, variable, learning_rate):
        rests = first_layer_rests([one.name for one in [variable]])
        keras.optimizers.SGD.update_step(self, gradient, variable, 0.0 if rests else learning_rate)


@pytest.mark.parametrize("optimizer", [lambda: ByLayer({2: 0.0}), ByName, ByNames])
def test_an_optimizer_of_ones_own_may_treat_variables_apart(optimizer):
    def build():
        return sequential(layers.Dense(6, "relu", name="first"), optimizer=optimizer())

    fitted = fit(build)
    assert_as_keras(fitted, "keras")
    np.testing.assert_array_equal(
        fitted.best_estimator_.model_.layers[0].kernel,
        fit(build, epochs=1, verified=0).best_estimator_.model_.layers[0].kernel,
    )


def test_tokens_beyond_the_vocabulary_are_refused():
    def build():
        return sequential(layers.Embedding(20, 4), layers.Flatten())

    for row in range(0, 100, 25):  # held out or not
        beyond = TOKENS.copy()
        beyond[row, 3] = 20
        with pytest.raises(ValueError, match=r"20 is not in \[0, 20\)"):
            fit(build, beyond)


def test_layers_that_are_shared_by_builds_cannot_be_refitted_several_times():
    shared = layers.Dense(6, "relu")
    shared.build((None, 8))

    def build():
        return sequential(shared)

    with pytest.raises(ValueError, match="share some"):
        fit(build, n_models=2, calibrate=True)


def test_keras_loop_leaves_shared_layers_as_they_were():
    shared = layers.Dense(6, "relu")
    shared.build((None, 8))
    before = shared.kernel.numpy()
    seen = []

    def build():
        seen.append(shared.kernel.numpy())
        return sequential(shared, run_eagerly=True)

    fit(build, refit=True, verified=0)
    assert all((one == before).all() for one in seen)


def test_weights_that_must_have_a_norm_are_not_averaged():
    def build():
        constraint = keras.constraints.UnitNorm(axis=0)
        return sequential(layers.Dense(6, "relu", kernel_constraint=constraint))

    fitted = fit(build, calibrate=True, epochs=6, verified=0)
    assert not fitted.cv_results_["averaged"].any()
    kernel = fitted.best_estimator_.model_.layers[0].kernel.numpy()
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 1, atol=1e-5)


class Counting(keras.losses.Loss):
    """Counts its calls, and weighs losses by that."""

    def __init__(self):
        super().__init__()
        self.step = keras.Variable(0.0, trainable=False)

    def call(self, y_true, y_pred):
        self.step.assign_add(1.0)
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred) / self.step


def test_the_state_of_a_loss_is_of_each_member():
    fitted = fit(lambda: sequential(loss=Counting()), verified=2)
    assert_as_keras(fitted, "keras")


class ManyTimes(keras.Model):
    """Predicts by the mean over masks of dropout."""

    def __init__(self):
        super().__init__()
        self.drop, self.out = layers.Dropout(0.5, seed=0), layers.Dense(3, "softmax")

    def call(self, x, training=False):
        return self.out(self.drop(x, training=training))

    def predict(self, x, **kwargs):
        return 0.5 * super().predict(x, **kwargs) + 0.5 / 3


class FitsItself(ManyTimes):
    """Has a way of its own to be fitted."""

    def fit(self, *args, **kwargs):
        return super().fit(*args, **kwargs)


def test_predict_of_ones_own_is_what_is_scored_and_fit_is_refused():
    def build(kind=ManyTimes):
        model = kind()
        model.compile("adam", CROSS_ENTROPY)
        return model

    fitted = fit(build, verified=0)
    assert fitted.search_cost_["lane"] == "keras"
    assert fitted.predict_proba(X).min() > 1 / 6
    assert fitted.learning_curves_.max() < np.log(6)  # of the least probability that there is
    with pytest.raises(ValueError, match="fit of its own"):
        fit(lambda: build(FitsItself))


@pytest.mark.skipif(not hasattr(keras.optimizers, "MultiOptimizer"), reason="an older Keras")
def test_an_optimizer_of_several_rates_is_refused():
    def build():
        model = sequential()
        several = keras.optimizers.MultiOptimizer(lambda variable: keras.optimizers.SGD())
        model.compile(several, CROSS_ENTROPY)
        return model

    with pytest.raises(ValueError, match="one learning rate"):
        fit(build)


class Masked(layers.Layer):
    """Adds weights that do not train, some of them infinite."""

    def build(self, shape):
        self.mask = self.add_weight(
            shape=(2,), initializer=lambda *_, **__: ops.array([0.0, -np.inf]), trainable=False
        )

    def call(self, x):
        return x * ops.max(ops.softmax(self.mask))


def test_weights_that_do_not_train_may_be_infinite():
    assert_as_keras(fit(lambda: sequential(Masked())))
