"""The ready-made network: what is trained where a user brings no model."""

from typing import Any

import keras
import numpy as np
from keras import layers
from scikeras.wrappers import BaseWrapper, KerasClassifier, KerasRegressor
from sklearn.utils import gen_batches

from ._scikeras import SeesRows

CLIPPED_AT = 3.0
"""Where features are clipped, in standard deviations from the mean."""

MAX_BINS = 512
"""Of all features together: most of the weights, and of the time, would be those of bins."""

LEARN_FASTER = 6.0
"""How much faster the weights of features are learned than others, by Adam."""

WIDTHS = 1e-18, 1e18
"""Standard deviations whose squares float32 can tell from 0 and from infinity."""

ROWS_AT_ONCE = 10_000
"""Of which float64 copies are made, for their scales."""

ROWS_FOR_BINS, NARROWEST = 4_000, 1e-3
"""Rows whose quantiles are taken, and the least width of a bin, in standard deviations."""

SCALES, BINS = "scales", "bins"


def build_network(
    meta: dict[str, Any],
    units: int = 128,
    n_layers: int = 2,
    activation: str = "relu",
    dropout: float = 0.0,
    n_bins: int = 8,
    weighs_features: bool = True,
) -> keras.Model:
    """Build a multi-layer perceptron of 2 × 128 rectified units for rows of numbers.

    Features are standardised inside and clipped smoothly, so that an outlier moves little
    (Holzmüller et al., "Better by default", 2024, arXiv:2407.04491). Beside each of them stand
    bins: sigmoids that begin with as many rows each and are learned, so that thresholds are learned
    sooner (Gorishniy et al., "On embeddings for numerical features in tabular deep learning", 2022,
    arXiv:2203.05556). What is of no use is weighed down: each has a weight that is learned faster
    than others (Holzmüller et al.). :func:`set_scales` tells the network the rows.

    Outputs are probabilities of classes or of labels, or numbers, as the targets are. All arguments
    but `meta` can be searched: ``model__units``, ``model__dropout``, ``model__n_bins``.
    """
    inputs = keras.Input(meta["X_shape_"][1:])
    x = layers.Flatten()(inputs)
    n_features = x.shape[1]
    x = _scaled(by=1.0, name=SCALES)(x)
    x = layers.Activation("tanh")(x)
    x = _scaled(by=CLIPPED_AT)(x)
    n_bins = min(n_bins, MAX_BINS // n_features)
    if n_bins > 0:
        shape = n_features, n_bins
        bins = layers.EinsumDense("bf,fk->bfk", shape, "sigmoid", bias_axes="fk", name=BINS)(x)
        x = layers.Concatenate()([x, layers.Flatten()(bins)])
    if weighs_features:
        start = keras.initializers.Constant(1 / LEARN_FASTER)
        x = layers.EinsumDense("bf,f->bf", x.shape[1:], kernel_initializer=start)(x)
        x = layers.Rescaling(LEARN_FASTER)(x)
    for _ in range(n_layers):
        x = layers.Dense(units, activation)(x)
        x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, _output_layer(meta)(x))


def _scaled(by: float, name: str | None = None) -> keras.layers.Layer:
    """Return a layer that multiplies features, and learns nothing from batches.

    It is of Keras's own, and keeps its statistics as they are.
    """
    return layers.BatchNormalization(
        center=False,
        scale=False,
        epsilon=0.0,
        moving_variance_initializer=keras.initializers.Constant(by**-2),
        trainable=False,
        name=name,
    )


def _output_layer(meta: dict[str, Any]) -> keras.layers.Layer:
    if "classes_" not in meta:
        return layers.Dense(meta["n_outputs_"])
    has_labels = meta["target_type_"] == "multilabel-indicator"
    return layers.Dense(len(meta["classes_"]), "sigmoid" if has_labels else "softmax")


def set_scales(model: keras.Model, X: np.ndarray) -> None:
    """Let the network take each feature's mean for 0, and its standard deviation for 1, and have
    its bins begin with as many rows each.

    Of features with two values, such as those of encoded categories, the lower one is 0 and the
    higher one 1: a rare category is not to be far away. `X` are the training rows,
    (n_samples, ...).
    """
    rows = X.reshape(len(X), -1)
    low, high = rows.min(axis=0), rows.max(axis=0)
    mean = rows.mean(axis=0, dtype=np.float64)
    has_two_values, squares = np.ones(len(mean), bool), np.zeros(len(mean))
    for part in gen_batches(len(rows), ROWS_AT_ONCE):
        has_two_values &= ((rows[part] == low) | (rows[part] == high)).all(axis=0)
        squares += np.square(rows[part] - mean).sum(axis=0)
    zero = np.where(has_two_values, low, mean)
    apart = np.subtract(high, low, dtype=np.float64)
    width = np.where(has_two_values, apart, np.sqrt(squares / len(rows)))
    width = CLIPPED_AT * np.where(width > 0, width, 1.0).clip(*WIDTHS)
    model.get_layer(SCALES).set_weights([zero, width**2])
    if any(layer.name == BINS for layer in model.layers):
        some = rows[:: -(-len(rows) // ROWS_FOR_BINS)]
        _set_bins(model.get_layer(BINS), CLIPPED_AT * np.tanh((some - zero) / width))


def _set_bins(layer: keras.layers.EinsumDense, values: np.ndarray) -> None:
    """Have each sigmoid rise where the values (n_rows, n_features) of one bin lie."""
    slope, bias = layer.get_weights()
    n_bins = slope.shape[1]
    for feature, column in enumerate(values.T):
        edges = np.unique(column)
        if len(edges) > n_bins + 1:
            edges = np.unique(np.quantile(column, np.linspace(0, 1, n_bins + 1)))
        if len(edges) == 1:
            edges = np.append(edges, edges + 1)
        low, high = np.resize(edges[:-1], n_bins), np.resize(edges[1:], n_bins)
        slope[feature] = 4 / np.maximum(high - low, NARROWEST)  # 1 to either side in the middle
        bias[feature] = -slope[feature] * (low + high) / 2
    layer.set_weights([slope, bias])


class _KnowsScales(SeesRows):
    """A wrapper whose network knows the scales of rows."""

    def see(self: Any, X: np.ndarray) -> None:
        set_scales(self.model_, X)


class ReadyMadeClassifier(_KnowsScales, KerasClassifier):
    """SciKeras's classifier around the ready-made network."""


class ReadyMadeRegressor(_KnowsScales, KerasRegressor):
    """SciKeras's regressor around the ready-made network."""


def ready_made(own: type[BaseWrapper]) -> type[BaseWrapper]:
    """Return the wrapper of the ready-made network that is derived from one of SciKeras's."""
    return ReadyMadeRegressor if own is KerasRegressor else ReadyMadeClassifier
