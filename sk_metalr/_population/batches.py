"""Rows into batches, and batches into blocks of one shape.

A compiled program wants arrays of the same shape at every call, so it is handed blocks of equally
many batches, of which it uses the first few.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import tensorflow as tf

MAX_STEPS_PER_BLOCK = 64
"""Calls of a small program cost as much as a few of its steps."""

BYTES_PER_BLOCK = 2**24
SCORE_BATCHES_PER_BLOCK = 4
MAX_SCORE_ROWS, SCORE_ROWS_STEP = 128, 32
MAX_ROWS_TOGETHER = 512
"""Held-out rows that are scored in one batch where they may see each other."""


@dataclass(frozen=True)
class Batches:
    """A block of batches of equal shape, of which the first `n_steps` are used.

    `rows` holds the numbers of their rows, and `weight` the weights of these, both of shape
    (n_batches, batch_size). `n_rows`, of shape (n_batches,), counts rows that are no padding.
    """

    rows: np.ndarray
    weight: np.ndarray
    n_rows: np.ndarray
    n_steps: int


def shuffled(n_rows: int, seed: tuple[int, ...], shuffle: bool) -> np.ndarray:
    """Return the order of rows in one epoch; the same seed gives the same order."""
    return np.random.default_rng(seed).permutation(n_rows) if shuffle else np.arange(n_rows)


def steps_per_block(x: Any, batch_size: int) -> int:
    """Return how many batches of `x`, (n_rows, ...) or a list or dict of such, a block holds."""
    row_bytes = sum(array[:1].nbytes for array in tf.nest.flatten(x))
    return max(1, min(MAX_STEPS_PER_BLOCK, BYTES_PER_BLOCK // (batch_size * max(1, row_bytes))))


def training_blocks(
    rows: np.ndarray, weight: np.ndarray, batch_size: int, n_steps: int, *, may_pad: bool
) -> Iterator[Batches]:
    """Cut rows into batches for training, the last one smaller, as Keras does.

    `rows`, in the order they are trained on, and `weight` are of shape (n_rows,); a block holds
    `n_steps` batches. If `may_pad`, a last batch of r rows is filled up with copies of its rows at
    weight 0, and its weights are scaled by ``batch_size / r``: the mean over the batch is then the
    mean over the r rows. If not, because rows of a batch see each other or the loss is no mean, it
    comes as a block of its own shape.
    """
    n_full, rest = divmod(len(rows), batch_size)
    full = n_full * batch_size
    table = rows[:full].reshape(n_full, batch_size)
    weights = weight[:full].reshape(n_full, batch_size)
    n_rows = np.full(n_full, batch_size)
    if rest and may_pad:
        scaled = (weight[full:] * (batch_size / rest)).astype(weight.dtype)
        table = np.vstack([table, np.resize(rows[full:], batch_size)])
        weights = np.vstack([weights, np.pad(scaled, (0, batch_size - rest))])
        n_rows = np.append(n_rows, rest)
    yield from _in_blocks(table, weights, n_rows, n_steps)
    if rest and not may_pad:
        yield Batches(rows[None, full:], weight[None, full:], np.array([rest]), 1)


def rows_per_score_batch(n_rows: int) -> int:
    """Return how many of `n_rows` held-out rows, those of the largest split, a batch holds.

    Few are added to fill the last one up, and searches of nearly as many rows share a program.
    """
    n_batches = max(1, ceil(n_rows / MAX_SCORE_ROWS))
    return SCORE_ROWS_STEP * max(1, ceil(n_rows / n_batches / SCORE_ROWS_STEP))


def score_blocks(rows: np.ndarray, weight: np.ndarray, batch_size: int | None) -> Iterator[Batches]:
    """Cut held-out rows and their weights, both of shape (n_rows,), into batches for scoring.

    With a batch size, because what is predicted for a row depends on no other, batches are filled
    up at weight 0. Without, they hold these rows only, and are larger.
    """
    if batch_size is None:
        for start in range(0, len(rows), MAX_ROWS_TOGETHER):
            some = slice(start, start + MAX_ROWS_TOGETHER)
            yield Batches(rows[None, some], weight[None, some], np.array([len(rows[some])]), 1)
        return
    n_batches = ceil(len(rows) / batch_size)
    table = np.resize(rows, (n_batches, batch_size))
    weights = np.pad(weight, (0, table.size - len(rows))).reshape(table.shape)
    yield from _in_blocks(table, weights, np.full(n_batches, batch_size), SCORE_BATCHES_PER_BLOCK)


def _in_blocks(
    rows: np.ndarray, weight: np.ndarray, n_rows: np.ndarray, n_steps: int
) -> Iterator[Batches]:
    """Cut batches into blocks of `n_steps`, the last one filled up."""
    for start in range(0, len(rows), n_steps):
        part = slice(start, start + n_steps)
        used = len(rows[part])
        fill = [(0, n_steps - used), (0, 0)]
        filled_rows = np.pad(rows[part], fill, mode="edge")
        yield Batches(filled_rows, np.pad(weight[part], fill), np.pad(n_rows[part], fill[0]), used)


def take(arrays: Any, rows: np.ndarray) -> Any:
    """Take rows from an array, or from every array of a list or dict."""
    return tf.nest.map_structure(lambda array: np.take(array, rows, axis=0), arrays)
