"""Plain data: the start of members, their options, and their state after training."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import keras
import numpy as np

from .._recorded import EPOCHS_OF_MODEL, name_of_averaged
from .._task import Task


@dataclass(frozen=True)
class SplitSetup:
    """One split: the model that its members start from, and the rows they are given.

    Attributes
    ----------
    model : keras.Model, built and compiled; its variables are the initial state of every member
    x : ndarray of shape (n_rows, ...), or a list or dict of such, encoded for the model
    y : ndarray of shape (n_rows, ...), targets, encoded for the loss
    target : ndarray of shape (n_rows, ...), what held-out rows are scored by, as the task has it
    train, test : int ndarray of shape (n_train,), (n_test,), rows (none are held out in a refit)
    train_weight, test_weight : ndarray of shape (n_train,), (n_test,)
    batch_size : int, rows per step; if there are fewer rows, all of them
    seed : int, of the order of rows
    is_weighted : bool, whether weights were given, by the user or by classes; if not, all are 1
    stops : sequence of keras.callbacks.EarlyStopping, which end a member's training early
    """

    model: keras.Model
    x: Any
    y: np.ndarray
    target: np.ndarray
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
class Options:
    """Options of training and scoring that all members of a population share.

    Attributes
    ----------
    task : Task, which scores held-out rows
    budget : int, the epochs that schedules are laid over
    shuffle : bool, whether rows are shuffled before every epoch
    metrics : callable or None
        Takes the number of a split and predictions for its held-out rows, and returns scores
        (n_metrics,); its ``names`` are as many.
    keeps_states : bool
        Whether members can be trained further, or handed out, after the first call of ``train``;
        otherwise each group's memory is free once it is trained.
    adapts_rates : bool, whether members move their own rates; see :meth:`.Member.alignment`
    averages : bool, whether averages of their weights are kept, and scored beside these
    keeps_predictions : bool, whether predictions of held-out rows are kept; see :class:`.HeldOut`
    max_memory : float, bytes that the members that train at a time may take
    n_rows_later : int
        How many rows a single member of the same architecture will be trained on later, in batches
        of the same size, so that its program is compiled beside the first training; 0 for none.
    n_threads : int or None, groups that train at a time; None for as many as there are cores
    engine : {"auto", "vectorized", "compiled", "keras"}
        Many at once, in turn by a program, in turn by Keras's loop, or the first of these that can.
    """

    task: Task
    budget: int
    shuffle: bool
    metrics: Any = None
    keeps_states: bool = True
    adapts_rates: bool = False
    averages: bool = False
    keeps_predictions: bool = False
    max_memory: float = np.inf
    n_rows_later: int = 0
    n_threads: int | None = None
    engine: str = "auto"

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of what is recorded of held-out rows."""
        names = (*self.task.recorded, *(self.metrics.names if self.metrics else ()))
        averaged = map(name_of_averaged, names) if self.averages else ()
        return (*names, *averaged, EPOCHS_OF_MODEL)


@dataclass(frozen=True)
class TrainedMember:
    """State of one member after training: the values of all variables, in their order.

    `epoch_losses`, of shape (n_epochs,), are the mean training losses in nats; `is_finite` tells
    whether every loss was finite.
    """

    weights: list[np.ndarray]
    non_trainable: list[np.ndarray]
    optimizer_variables: list[np.ndarray]
    epoch_losses: np.ndarray
    is_finite: bool
