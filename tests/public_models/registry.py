"""The list of models, and small data for them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier

__all__ = [
    "MODELS",
    "PublicModel",
    "clouds",
    "grey_images",
    "images",
    "imbalanced",
    "pairs",
    "public",
    "scores",
    "sequences",
    "softmax",
    "table",
    "tags",
    "texts",
    "two_classes",
    "videos",
]

N_ROWS = 144
SPARSE = "sparse_categorical_crossentropy"

Data = Callable[[], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class PublicModel:
    """A model as people write it, its data, and what it is trained with.

    Attributes
    ----------
    build : callable
        Takes SciKeras's ``meta``; returns a Keras model.
    data : callable
        Returns X and y.
    rates : list of float
        Learning rates, in increasing order.
    params : dict
        Of the KerasClassifier.
    wrapper : type
        KerasClassifier, or a subclass of it.
    """

    build: Callable[..., keras.Model]
    data: Data
    rates: list[float]
    params: dict[str, Any] = field(default_factory=dict)
    wrapper: type[KerasClassifier] = KerasClassifier

    def classifier(self, batch_size: int, epochs: int) -> KerasClassifier:
        """Return an unfitted classifier."""
        given = {"loss": SPARSE, "optimizer": "adam", "verbose": 0} | self.params
        return self.wrapper(self.build, batch_size=batch_size, epochs=epochs, **given)


MODELS: dict[str, PublicModel] = {}


def public(
    data: Data,
    rates: tuple[float, float] = (2e-3, 2e-2),
    wrapper: type[KerasClassifier] = KerasClassifier,
    **params: Any,
) -> Callable[[Any], Any]:
    """Put a function that builds a model on the list, under its name."""

    def listed(build: Any) -> Any:
        assert build.__name__ not in MODELS
        MODELS[build.__name__] = PublicModel(build, data, list(rates), params, wrapper)
        return build

    return listed


def softmax(meta: dict[str, Any], **options: Any) -> keras.layers.Dense:
    """Return the usual last layer."""
    return keras.layers.Dense(meta["n_classes_"], activation="softmax", **options)


def scores(meta: dict[str, Any]) -> keras.layers.Dense:
    """Return a last layer of logits."""
    return keras.layers.Dense(meta["n_classes_"])


def _labels(n_classes: int) -> np.ndarray:
    return np.random.default_rng(5).permutation(np.arange(N_ROWS) % n_classes)


@cache
def table() -> tuple[np.ndarray, np.ndarray]:
    """Return eight numbers a row, three classes."""
    y = _labels(3)
    centres = np.random.default_rng(1).normal(size=(3, 8))
    noise = np.random.default_rng(2).normal(size=(N_ROWS, 8))
    return (centres[y] + noise).astype(np.float32), y


@cache
def two_classes() -> tuple[np.ndarray, np.ndarray]:
    """Return eight numbers a row, two classes by name."""
    X, y = table()
    return X, np.where(y == 1, "yes", "no")


@cache
def imbalanced() -> tuple[np.ndarray, np.ndarray]:
    """Return eight numbers a row, two classes of which one is rare."""
    X, y = table()
    return X, ((y == 0) & (np.arange(N_ROWS) % 2 == 0)).astype(int)


@cache
def tags() -> tuple[np.ndarray, np.ndarray]:
    """Return four numbers and four categories (0 to 5) a row, three classes."""
    X, y = table()
    categories = (y[:, None] + np.random.default_rng(3).integers(4, size=(N_ROWS, 4))) % 6
    return np.hstack([X[:, :4], categories]).astype(np.float32), y


def _shapes(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    y = _labels(3)
    centres = np.random.default_rng(1).normal(size=(3, *shape))
    noise = np.random.default_rng(2).normal(size=(N_ROWS, *shape))
    return (0.5 + 0.15 * (centres[y] + noise)).astype(np.float32), y


@cache
def images() -> tuple[np.ndarray, np.ndarray]:
    """Return images of 8 × 8 pixels and 3 channels, three classes."""
    return _shapes(8, 8, 3)


@cache
def grey_images() -> tuple[np.ndarray, np.ndarray]:
    """Return images of 8 × 8 pixels and one channel, three classes."""
    return _shapes(8, 8, 1)


@cache
def videos() -> tuple[np.ndarray, np.ndarray]:
    """Return three frames of 6 × 6 pixels and one channel, three classes."""
    return _shapes(3, 6, 6, 1)


@cache
def sequences() -> tuple[np.ndarray, np.ndarray]:
    """Return ten steps of three numbers, three classes."""
    X, y = _shapes(10, 3)
    return (X - 0.5) * 4, y


@cache
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Return sixteen points in space a row, three classes by their spread."""
    y = _labels(3)
    points = np.random.default_rng(2).normal(size=(N_ROWS, 16, 3))
    return (points * (0.4 + 0.4 * y[:, None, None])).astype(np.float32), y


@cache
def texts() -> tuple[np.ndarray, np.ndarray]:
    """Return up to twelve of thirty tokens a row, filled up with 0, three classes."""
    y = _labels(3)
    rng = np.random.default_rng(2)
    tokens = 1 + (rng.integers(16, size=(N_ROWS, 12)) + 6 * y[:, None]) % 29
    lengths = rng.integers(4, 13, size=N_ROWS)
    return np.where(np.arange(12) < lengths[:, None], tokens, 0).astype(np.float32), y


@cache
def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Return two rows of four numbers side by side, and whether they are of one class."""
    X, y = table()
    partner = np.random.default_rng(3).permutation(N_ROWS)
    return np.hstack([X[:, :4], X[partner, :4]]), (y == y[partner]).astype(int)
