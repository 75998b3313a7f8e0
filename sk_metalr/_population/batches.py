"""Rows into batches, and batches into blocks of one shape.

A compiled program wants arrays of the same shape at every call, so batches are handed
to it in blocks of `n_steps` batches each, of which it uses the first few.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

import numpy as np
import tensorflow as tf

MAX_STEPS_PER_BLOCK = 64
"""Calls of a small program cost as much as a few of its steps."""

BYTES_PER_BLOCK = 2**24
SCORE_BATCHES_PER_BLOCK = 4
MIN_SCORE_ROWS, MAX_SCORE_ROWS = 32, 128
MAX_ROWS_TOGETHER = 512
"""Held-out rows that are scored in one batch where they may see each other."""


@dataclass(frozen=True)
class Block:
    """A few batches of equal shape.

    Attributes
    ----------
    rows : int ndarray of shape (n_steps, batch_size)
        Which rows the batches hold.
    weight : ndarray of shape (n_steps, batch_size)
        Weight of each of them.
    n_rows : ndarray of shape (n_steps,)
        How many rows of each batch are no padding.
    n_steps : int
        How many of the batches are used.
    """

    rows: np.ndarray
    weight: np.ndarray
    n_rows: np.ndarray
    n_steps: int


def shuffled(n_rows: int, seed: tuple[int, ...], shuffle: bool) -> np.ndarray:
    """Return the order of rows in one epoch; the same seed gives the same order."""
    return np.random.default_rng(seed).permutation(n_rows) if shuffle else np.arange(n_rows)


def steps_per_block(x: Any, batch_size: int) -> int:
    """Return how many batches of features a block holds.

    Parameters
    ----------
    x : ndarray of shape (n_rows, ...), or a list or dict of such
        Features.
    batch_size : int
        Rows in a batch.
    """
    row_bytes = sum(array[:1].nbytes for array in tf.nest.flatten(x))
    return max(1, min(MAX_STEPS_PER_BLOCK, BYTES_PER_BLOCK // (batch_size * max(1, row_bytes))))


def training_blocks(
    rows: np.ndarray, weight: np.ndarray, batch_size: int, n_steps: int, *, may_pad: bool
) -> Iterator[Block]:
    """Cut rows into batches for training, the last one smaller, as Keras does.

    Parameters
    ----------
    rows : int ndarray of shape (n_rows,)
        In the order they are trained on.
    weight : ndarray of shape (n_rows,)
        Their weights.
    batch_size : int
        Rows in a full batch.
    n_steps : int
        Batches in a block.
    may_pad : bool
        If True, a last batch of r rows is filled up with copies of its rows at weight
        0, and its weights are scaled by ``batch_size / r``: the mean over the batch is
        then the mean over the r rows. If False, because the rows of a batch see each
        other or the loss is no mean, it comes as a block of its own shape.
    """
    n_full, rest = divmod(len(rows), batch_size)
    full = n_full * batch_size
    table = rows[:full].reshape(n_full, batch_size)
    weights = weight[:full].reshape(n_full, batch_size)
    n_rows = np.full(n_full, batch_size)
    if rest and may_pad:
        last = np.resize(rows[full:], batch_size)
        last_weight = np.zeros(batch_size, weight.dtype)
        last_weight[:rest] = weight[full:] * (batch_size / rest)
        table, weights = np.vstack([table, last]), np.vstack([weights, last_weight])
        n_rows = np.append(n_rows, rest)
    yield from _in_blocks(table, weights, n_rows, n_steps)
    if rest and not may_pad:
        yield Block(rows[None, full:], weight[None, full:], np.array([rest]), 1)


def score_blocks(rows: np.ndarray, weight: np.ndarray, *, may_pad: bool) -> Iterator[Block]:
    """Cut held-out rows into batches for scoring.

    Parameters
    ----------
    rows : int ndarray of shape (n_rows,)
    weight : ndarray of shape (n_rows,)
        Their weights.
    may_pad : bool
        Whether batches may be filled up at weight 0: what is predicted for a row depends on no
        other. If not, there are no others among them, and batches are larger.
    """
    if not may_pad:
        for start in range(0, len(rows), MAX_ROWS_TOGETHER):
            some = slice(start, start + MAX_ROWS_TOGETHER)
            yield Block(rows[None, some], weight[None, some], np.array([len(rows[some])]), 1)
        return
    # A power of two, so that splits of nearly the same size share a program.
    batch_size = 2 ** ceil(log2(max(1, len(rows))))
    batch_size = min(max(batch_size, MIN_SCORE_ROWS), MAX_SCORE_ROWS)
    n_batches = ceil(len(rows) / batch_size)
    table = np.resize(rows, (n_batches, batch_size))
    weights = np.zeros(n_batches * batch_size, weight.dtype)
    weights[: len(rows)] = weight
    yield from _in_blocks(
        table, weights.reshape(table.shape), np.full(n_batches, batch_size), SCORE_BATCHES_PER_BLOCK
    )


def _in_blocks(
    rows: np.ndarray, weight: np.ndarray, n_rows: np.ndarray, n_steps: int
) -> Iterator[Block]:
    for start in range(0, len(rows), n_steps):
        part = slice(start, start + n_steps)
        used = len(rows[part])
        fill = [(0, n_steps - used), (0, 0)]
        yield Block(
            np.pad(rows[part], fill, mode="edge"),
            np.pad(weight[part], fill),
            np.pad(n_rows[part], fill[0]),
            used,
        )


def take(arrays: Any, rows: np.ndarray) -> Any:
    """Take rows from an array, or from every array of a list or dict."""
    return tf.nest.map_structure(lambda array: np.take(array, rows, axis=0), arrays)
