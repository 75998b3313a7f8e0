"""The network that is trained throughout: two hidden layers, as Keras trains it by default."""

import keras
from scikeras.wrappers import KerasClassifier

DEFAULT_RATE = 1e-3
"""Keras's own learning rate of Adam."""


def network(meta, width):
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


def keras_classifier(epochs: int, width: int = 128, **params) -> KerasClassifier:
    """Return an unfitted classifier: Adam at its default rate, batches of 32."""
    defaults = {
        "loss": "sparse_categorical_crossentropy",
        "optimizer": "adam",
        "batch_size": 32,
        "verbose": 0,
    }
    return KerasClassifier(network, model__width=width, epochs=epochs, **(defaults | params))
