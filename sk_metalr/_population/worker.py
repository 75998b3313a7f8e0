"""Groups of a population, trained in a process of their own."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from joblib import cpu_count

from .block import Block
from .snapshot import Snapshot


def _set_keras(settings: dict[str, Any]) -> None:
    keras.config.set_floatx(settings["floatx"])
    keras.config.set_epsilon(settings["epsilon"])
    keras.config.set_image_data_format(settings["image_data_format"])
    keras.config.set_dtype_policy(keras.dtype_policies.deserialize(settings["dtype_policy"]))


def train_snapshot(
    populate: Callable[[set[int], int], Block],
    snapshot: Snapshot,
    n_epochs: int,
    n_workers: int,
    parent: int,
    settings: dict[str, Any],
) -> tuple[Snapshot, list[np.ndarray]]:
    """Train some groups of a block further, in one of the workers that share the machine.

    `populate` takes numbers of splits and a number of threads, and returns the untrained block,
    able to train on these splits. It brings all rows along: what a cluster is given to share is
    lost with the worker that holds it. `parent` is the process that the workers work for, and
    `settings` are its :func:`.keras_settings`. Return a
    snapshot of the groups after training, and what was recorded of each, of shape
    (n_recorded, n_candidates, n_epochs); see :meth:`.Block.train`.
    """
    # joblib's processes, Dask's and Ray's workers are told their share by this variable.
    told = os.environ.get("OMP_NUM_THREADS", "")
    n_threads = int(told) if told.isdecimal() and int(told) else max(1, cpu_count() // n_workers)
    if os.getpid() != parent:
        _set_keras(settings)
        with suppress(RuntimeError):  # TensorFlow has started, and can no longer be told
            tf.config.threading.set_intra_op_parallelism_threads(n_threads)
            tf.config.threading.set_inter_op_parallelism_threads(n_threads)
            for device in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(device, True)
    block = populate({group.split for group in snapshot.groups}, n_threads)
    block.restore(snapshot)
    losses = block.train(n_epochs).values
    after = block.snapshot()
    return after, [losses[:, group.candidates, group.split] for group in after.groups]
