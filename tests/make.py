"""What the tests make: Keras models, wrapped classifiers, blocks; at module level, so that they
pickle."""

from unittest import mock

import keras
import numpy as np
import pytest
from scikeras.wrappers import KerasClassifier, KerasRegressor

from sk_metalr._population import Block, Options, SplitSetup, lanes
from sk_metalr._space import RATE
from sk_metalr._space.schedules import CONSTANT
from sk_metalr._task import Classification

layers = keras.layers

SMALL_FITS_WARN = pytest.mark.filterwarnings(
    *(
        f"ignore::sk_metalr.exceptions.{name}"
        for name in ("EdgeOfSpaceWarning", "BaselineWarning", "BudgetWarning")
    )
)
"""For modules whose searches are too small to end well; test_estimator.py asks for each warning."""


def small_mlp(meta, hidden=8, activation="relu"):
    """Build an uncompiled network; SciKeras compiles it."""
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            layers.Dense(hidden, activation=activation),
            layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


def compiled_mlp(meta):
    """Build a network that is compiled already."""
    model = small_mlp(meta)
    model.compile("rmsprop", "sparse_categorical_crossentropy")
    return model


def compiled_mlp_for_iris():
    """Build a network without asking for anything."""
    return compiled_mlp({"n_features_in_": 4, "n_classes_": 3})


def mlp_for_keras_wrapper(X, y):
    """Build a network as keras.wrappers.SKLearnClassifier asks for it."""
    model = small_mlp({"n_features_in_": X.shape[1], "n_classes_": y.shape[1]})
    model.compile("adam", "categorical_crossentropy")
    return model


def logistic_regression(meta):
    """Build a single sigmoid unit that starts from zeros."""
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            layers.Dense(1, activation="sigmoid", kernel_initializer="zeros"),
        ]
    )


def small_classifier(model=small_mlp, **params):
    """Return a KerasClassifier that trains for a moment."""
    defaults = {
        "loss": "sparse_categorical_crossentropy",
        "optimizer": "adam",
        "epochs": 3,
        "batch_size": 16,
        "verbose": 0,
    }
    return KerasClassifier(model, **(defaults | params))


def small_numbers(meta, hidden=8, activation="relu", loss=None):
    """Build a network of numbers; SciKeras compiles it, unless it is given a loss."""
    model = keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            layers.Dense(hidden, activation=activation),
            layers.Dense(meta["n_outputs_"]),
        ]
    )
    if loss is not None:
        model.compile("adam", loss)
    return model


def small_regressor(model=small_numbers, **params):
    """Return a KerasRegressor that trains for a moment."""
    defaults = {
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "epochs": 3,
        "batch_size": 16,
        "verbose": 0,
    }
    return KerasRegressor(model, **(defaults | params))


class OwnScale(layers.Layer):
    """A layer that Keras has not been told of."""

    def __init__(self, factor=0.5, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        """Scale."""
        return self.factor * x

    def get_config(self):
        """Return what it takes to make another one."""
        return super().get_config() | {"factor": self.factor}


def own_activation(x):
    """Rectify."""
    return keras.ops.maximum(x, 0)


def own_loss(y_true, y_pred):
    """Cross-entropy."""
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


def own_parts(meta):
    """Build a network of which Keras does not know all parts."""
    hidden = layers.Dense(8, activation=own_activation)
    output = layers.Dense(meta["n_classes_"], activation="softmax")
    return keras.Sequential(
        [keras.Input((meta["n_features_in_"],)), OwnScale(0.25), hidden, output]
    )


def compiled_own_parts():
    """Build and compile such a network for iris."""
    model = own_parts({"n_features_in_": 4, "n_classes_": 3})
    model.compile("adam", own_loss)
    return model


class OwnModel(keras.Model):
    """A subclassed model."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.output_layer = OwnScale(0.25), layers.Dense(3, activation="softmax")

    def call(self, x):
        """Return probabilities."""
        return self.output_layer(self.scale(x))


def own_model(meta):
    """Build a subclassed model."""
    model = OwnModel()
    model(keras.ops.zeros((1, meta["n_features_in_"])))
    return model


def make_setup(model, X, classes, train, test, **changes):
    """Return one split of a table whose classes are numbered from 0."""
    target = classes.astype(np.int32)
    arguments = {
        "model": model,
        "x": X,
        "y": target[:, None].astype(np.float32),
        "target": target,
        "train": train,
        "test": test,
        "train_weight": np.ones(len(train), np.float32),
        "test_weight": np.ones(len(test), np.float32),
        "batch_size": 16,
        "seed": 5,
    }
    return SplitSetup(**(arguments | changes))


def make_block(setups, rates, schedules=None, others=None, from_logits=False, jit=None, **options):
    """Return candidates, untrained; `jit` says whether XLA compiles their program.

    `others` are member hyperparameters beside the learning rate.
    """
    options = {"task": Classification(from_logits), "budget": 3, "shuffle": True} | options
    least = lanes.MIN_STEPS_TO_COMPILE if jit is None else 0 if jit else 10**9
    with mock.patch.object(lanes, "MIN_STEPS_TO_COMPILE", least):
        schedules = schedules or [CONSTANT] * len(rates)
        values = {RATE: np.array(rates)} | (others or {})
        return Block(setups, values, schedules, Options(**options))
