"""The networks that are trained: two hidden layers throughout, and convolutions on images."""

import keras
from scikeras.wrappers import KerasClassifier, KerasRegressor
from sklearn.utils import ClassifierTags

DEFAULT_RATE = 1e-3
"""Keras's own learning rate of Adam."""


CONVOLUTIONS = "convolutions"
"""In place of a width: a small convolutional network on images of 8 × 8."""


def network(meta, width):
    if width == CONVOLUTIONS:
        return convolutions(meta)
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(width, activation="relu"),
            head(meta),
        ]
    )


def head(meta):
    """Return the output of a classifier, or of a regressor, which knows no classes."""
    if "n_classes_" in meta:
        return keras.layers.Dense(meta["n_classes_"], activation="softmax")
    return keras.layers.Dense(1)


def convolutions(meta):
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Reshape((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(32, 2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


def mlp(meta, units=128, dropout=0.0):
    """Return two hidden layers, of which width and dropout can be searched, and a head."""
    hidden = []
    for _ in range(2):
        hidden += [keras.layers.Dense(units, "relu"), keras.layers.Dropout(dropout)]
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), *hidden, head(meta)])


class TaggedKerasClassifier(KerasClassifier):
    """A KerasClassifier that scikit-learn 1.6 and later take for a classifier."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags()
        return tags


DEFAULTS = {"optimizer": "adam", "batch_size": 32, "verbose": 0}


def keras_classifier(epochs: int, width: int | str = 128, **params) -> KerasClassifier:
    """Return an unfitted classifier: Adam at its default rate, batches of 32."""
    defaults = DEFAULTS | {"loss": "sparse_categorical_crossentropy"}
    return KerasClassifier(network, model__width=width, epochs=epochs, **(defaults | params))


def keras_regressor(epochs: int, width: int = 128) -> KerasRegressor:
    """Return an unfitted regressor: Adam at its default rate, batches of 32."""
    defaults = DEFAULTS | {"loss": "mean_squared_error"}
    return KerasRegressor(network, model__width=width, epochs=epochs, **defaults)
