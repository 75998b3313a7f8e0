"""Meta-features: what a task is like, in numbers that say which tasks are alike.

A task is a table, a model and a way to train it. What is asked of a Keras model comes from
``keras_model.py``.
"""

from math import ceil, log2, log10
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

SPARSE = 0.9
"""A column is sparse where its most frequent value, its lowest or highest, fills this share."""

MAX_VALUES = 2**20
"""Number of values of a table that are looked at at a time, to save memory."""


def data_features(X: np.ndarray, code: np.ndarray) -> dict[str, Any]:
    """Return meta-features of a table.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        Finite numbers, as the classifier sees them.
    code : int ndarray of shape (n_samples,)
        Class of each row, counted from 0.

    Returns
    -------
    features : dict of str to number
        ``n_rows``, ``n_features``, ``n_classes``, ``class_entropy`` (nats), ``share_binary`` and
        ``share_sparse`` of the columns, ``scale`` (root of the mean square of all values).
    """
    X = X.reshape(len(X), -1)
    low, high = X.min(axis=0), X.max(axis=0)
    n_low, n_high, n_either = np.zeros((3, X.shape[1]), int)
    squares = 0.0
    for rows in gen_batches(len(X), max(1, MAX_VALUES // X.shape[1])):
        is_low, is_high = np.equal(X[rows], low), np.equal(X[rows], high)
        n_low += is_low.sum(axis=0)
        n_high += is_high.sum(axis=0)
        n_either += (is_low | is_high).sum(axis=0)
        squares += np.square(X[rows], dtype=np.float64).sum()
    filled = np.maximum(n_low, n_high) / len(X)
    frequency = np.bincount(code) / len(code)
    frequency = frequency[frequency > 0]
    return {
        "n_rows": len(X),
        "n_features": X.shape[1],
        "n_classes": len(frequency),
        "class_entropy": float(-(frequency * np.log(frequency)).sum()),
        "share_binary": float((n_either == len(X)).mean()),
        "share_sparse": float((filled >= SPARSE).mean()),
        "scale": float(np.sqrt(squares / X.size)),
    }


def coordinates(features: dict[str, Any]) -> np.ndarray:
    """Return the place of a task among others: numbers of about the same weight.

    Parameters
    ----------
    features : dict of str to number or str
        Of data, model and training.

    Returns
    -------
    place : ndarray of shape (n_coordinates,)
        One unit is a factor of 10 in rows, features, parameters or scale, of 4 in steps, batch
        size and depth, a kind of layer more or less that normalises or regularises; two, any
        other kind.
    """
    rows_per_batch = min(features["batch_size"] or features["n_rows"], features["n_rows"])
    n_steps = features["n_epochs"] * ceil(features["n_rows"] / rows_per_batch)
    families = features["layers"].split("+")
    return np.array(
        [
            log10(features["n_rows"]),
            log10(features["n_features"]),
            log10(max(1, features["n_parameters"])),
            log10(max(1e-6, features["scale"])),
            log2(n_steps) / 2,
            log2(rows_per_batch) / 2,
            log2(1 + features["depth"]) / 2,
            log2(features["n_classes"]) / 2,
            features["class_entropy"] / np.log(features["n_classes"]),
            *(weight * (family in families) for family, weight in FAMILIES.items()),
        ]
    )


PLACES = (
    *("the number of rows", "the number of columns", "the number of parameters"),
    *("the scale of the features", "the number of steps", "the batch size", "the depth"),
    *("the number of classes", "the balance of classes"),
)
"""The first coordinates in words; the others are kinds of layers."""

FAMILIES = {
    **{"attention": 2.0, "convolutional": 2.0, "custom": 2.0, "embedding": 2.0, "rnn": 2.0},
    **{"normalization": 1.0, "regularization": 1.0},
}
"""Kinds of layers beside dense ones, by their names in Keras, and how much each sets apart."""


def distances(task: dict[str, Any], others: list[dict[str, Any]]) -> np.ndarray:
    """Return how unlike a task is to each of some others: (n_others,), 0 for one just like it."""
    here = coordinates(task)
    places = np.array([coordinates(other) for other in others]).reshape(-1, len(here))
    return np.asarray(np.linalg.norm(places - here, axis=1))


def largest_difference(task: dict[str, Any], other: dict[str, Any]) -> str:
    """Say in what a task differs most from another one."""
    apart = np.abs(coordinates(task) - coordinates(other))
    return (*PLACES, *(f"layers of the kind {name!r}" for name in FAMILIES))[int(apart.argmax())]
