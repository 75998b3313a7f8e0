"""What a population is given and what it gives back: plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import keras
import numpy as np

__all__ = ["SplitTask", "TrainedMember"]


@dataclass(frozen=True)
class SplitTask:
    """One split: the model that its members start from, and the rows they are given.

    Attributes
    ----------
    model : keras.Model
        Built and compiled. Its variables are the initial state of every member.
    x : ndarray of shape (n_rows, ...), or a list or dict of such
        Features, encoded for the model.
    y : ndarray of shape (n_rows, ...)
        Targets, encoded for the loss.
    code : int ndarray of shape (n_rows,)
        Position of each row's class among the classes.
    train, test : int ndarray of shape (n_train,), (n_test,)
        Rows to train on and rows held out (none in a refit).
    train_weight, test_weight : ndarray of shape (n_train,), (n_test,)
        Their weights.
    batch_size : int
        Rows per step; if there are fewer rows, all of them.
    seed : int
        Seed of the order of rows.
    is_weighted : bool
        Whether weights were given, by the user or by classes; otherwise they are all 1.
    stops : sequence of keras.callbacks.EarlyStopping
        What ends the training of a member before its time.
    """

    model: keras.Model
    x: Any
    y: np.ndarray
    code: np.ndarray
    train: np.ndarray
    test: np.ndarray
    train_weight: np.ndarray
    test_weight: np.ndarray
    batch_size: int
    seed: int
    is_weighted: bool = True
    stops: Sequence[keras.callbacks.EarlyStopping] = ()

    @property
    def steps_per_epoch(self) -> int:
        """Steps that an epoch takes."""
        return ceil(len(self.train) / self.batch_size)


@dataclass(frozen=True)
class TrainedMember:
    """What training left of one member.

    Attributes
    ----------
    weights, buffers, optimizer_variables : list of ndarray
        Values of the model's trainable and non-trainable variables and of its
        optimizer's variables, in their order.
    epoch_losses : ndarray of shape (n_epochs,)
        Mean training loss of each epoch, in nats.
    is_finite : bool
        Whether every loss was finite.
    """

    weights: list[np.ndarray]
    buffers: list[np.ndarray]
    optimizer_variables: list[np.ndarray]
    epoch_losses: np.ndarray
    is_finite: bool
