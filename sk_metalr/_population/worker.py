"""Groups of a population, trained in a process of their own."""

import os
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import tensorflow as tf
from joblib import cpu_count

from .block import Block
from .snapshot import Snapshot


def train_snapshot(
    populate: Callable[[set[int], int], Block],
    snapshot: Snapshot,
    n_epochs: int,
    n_workers: int,
    parent: int,
) -> tuple[Snapshot, list[np.ndarray]]:
    """Train some groups of a population further.

    Parameters
    ----------
    populate : callable
        Takes numbers of splits and a number of threads; returns the untrained population, able to
        train on these splits. It brings all rows along: what a cluster is given to share is lost
        with the worker that holds it.
    snapshot : Snapshot
        The groups.
    n_epochs : int
        How long, in epochs.
    n_workers : int
        How many workers share the machine.
    parent : int
        Identity of the process that they work for.

    Returns
    -------
    after : Snapshot
        The same groups after training.
    losses : list of ndarray of shape (n_scores, n_candidates, n_epochs)
        One for each group, see :meth:`.Block.train`.
    """
    n_threads = _share(n_workers)
    if os.getpid() != parent:
        _settle(n_threads)
    block = populate({group.split for group in snapshot.groups}, n_threads)
    block.restore(snapshot)
    losses = block.train(n_epochs).values
    after = block.snapshot()
    return after, [losses[:, group.candidates, group.split] for group in after.groups]


def _share(n_workers: int) -> int:
    """Return how many threads a worker may use.

    joblib's processes, Dask's and Ray's workers are told so by this variable.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() and int(told) else max(1, cpu_count() // n_workers)


def _settle(n_threads: int) -> None:
    """Have TensorFlow take no more than its share, where it has not started yet."""
    with suppress(RuntimeError):  # it has
        tf.config.threading.set_intra_op_parallelism_threads(n_threads)
        tf.config.threading.set_inter_op_parallelism_threads(n_threads)
        for device in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(device, True)
