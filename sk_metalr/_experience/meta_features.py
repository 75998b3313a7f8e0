"""Meta-features: what a task is like, in numbers that say which tasks are alike.

A task is a table, a model and a way to train it; ``_models/keras_model.py`` describes the model.
"""

from collections.abc import Iterator
from math import ceil, log2, log10
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

SPARSE = 0.9  # a column is sparse where its lowest or its highest value fills this share of it
MAX_VALUES = 2**20  # number of values of a table that are looked at at a time, to save memory

FAMILIES = {
    **{"attention": 2.0, "convolutional": 2.0, "custom": 2.0, "embedding": 2.0, "rnn": 2.0},
    **{"normalization": 1.0, "regularization": 1.0},
}
"""Kinds of layers beside dense ones, by their names in Keras, and how much each sets apart."""

PLACES = (
    *("the number of rows", "the number of columns", "the number of parameters"),
    *("the scale of the features", "the number of steps", "the batch size", "the depth"),
    *("the number of classes", "the balance of classes"),
    *(f"layers of the kind {name!r}" for name in FAMILIES),
)
"""The coordinates of a task in words."""


def batches(X: np.ndarray) -> Iterator[slice]:
    """Yield slices of the rows of a table (n_samples, n_columns) that are looked at at a time."""
    return gen_batches(len(X), max(1, MAX_VALUES // X.shape[1]))


def data_features(X: np.ndarray, code: np.ndarray) -> dict[str, Any]:
    """Return meta-features of a table of finite numbers of shape (n_samples, ...), by their names.

    `code`, of shape (n_samples,), is the class of each row, counted from 0; those without rows do
    not count, and there is one where targets are numbers. ``class_entropy`` is in nats;
    ``share_binary`` and ``share_sparse`` are of columns; ``scale`` is the root of the mean square
    of all values.
    """
    X = X.reshape(len(X), -1)
    low, high = X.min(axis=0), X.max(axis=0)
    n_low, n_high, n_either = np.zeros((3, X.shape[1]), int)
    squares = 0.0
    for rows in batches(X):
        is_low, is_high = np.equal(X[rows], low), np.equal(X[rows], high)
        n_low += is_low.sum(axis=0)
        n_high += is_high.sum(axis=0)
        n_either += (is_low | is_high).sum(axis=0)
        squares += np.square(X[rows], dtype=np.float64).sum()
    frequency = np.unique(code, return_counts=True)[1] / len(code)
    return {
        "n_rows": len(X),
        "n_features": X.shape[1],
        "n_classes": len(frequency),
        "class_entropy": float(-(frequency * np.log(frequency)).sum()),
        "share_binary": float((n_either == len(X)).mean()),
        "share_sparse": float((np.maximum(n_low, n_high) / len(X) >= SPARSE).mean()),
        "scale": float(np.sqrt(squares / X.size)),
    }


def coordinates(features: dict[str, Any]) -> np.ndarray:
    """Return the place of a task among others, (n_coordinates,), by its meta-features.

    One unit is a factor of 10 in rows, features, parameters or scale, of 4 in steps, batch size,
    depth or classes, a kind of layer more or less that normalises or regularises; two units are any
    other kind.
    """
    rows_per_batch = min(features["batch_size"] or features["n_rows"], features["n_rows"])
    n_steps = features["n_epochs"] * ceil(features["n_rows"] / rows_per_batch)
    families = features["layers"].split("+")
    place = [
        log10(features["n_rows"]),
        log10(features["n_features"]),
        log10(max(1, features["n_parameters"])),
        log10(max(1e-6, features["scale"])),
        log2(n_steps) / 2,
        log2(rows_per_batch) / 2,
        log2(1 + features["depth"]) / 2,
        log2(features["n_classes"]) / 2,
        features["class_entropy"] / np.log(max(2, features["n_classes"])),
        *(weight * (family in families) for family, weight in FAMILIES.items()),
    ]
    return np.array(place)


def distances(task: dict[str, Any], others: list[dict[str, Any]]) -> np.ndarray:
    """Return how unlike a task is to each of some others: (n_others,), 0 for one just like it."""
    here = coordinates(task)
    places = np.array([coordinates(other) for other in others]).reshape(-1, len(here))
    return np.asarray(np.linalg.norm(places - here, axis=1))


def largest_difference(task: dict[str, Any], other: dict[str, Any]) -> str:
    """Say in what a task differs most from another one."""
    return PLACES[int(np.abs(coordinates(task) - coordinates(other)).argmax())]
