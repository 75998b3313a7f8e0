"""Keras models and wrapped classifiers for the tests; at module level, so that they pickle."""

import keras
from scikeras.wrappers import KerasClassifier

layers = keras.layers


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
