"""A member trained by ``Model.fit`` itself: what a population is compared with."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from .._models.strategy import free_rate
from .._space import RATE
from .._task import Task
from .batches import shuffled, take
from .numbers import places_of, put
from .prediction import outputs_of
from .setups import SplitSetup


def trained_by_keras(
    setup: SplitSetup,
    values: dict[str, np.ndarray],
    *,
    task: Task,
    shuffle: bool,
    uses_xla: bool,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Train the model of a split by ``Model.fit``; return losses and the values of its variables.

    `values` holds member hyperparameters, each of shape (n_epochs, n_steps); all but the learning
    rate stay as they are at first. `shuffle` asks for another order of rows in every epoch. XLA
    draws other random numbers from a seed than TensorFlow. The losses, of shape (n_epochs,), are
    held-out log-losses in nats, of what ``fit`` would deliver if it ended after an epoch: NaN where
    the training loss was not finite, and where no rows are held out.
    """
    model = setup.model
    free_rate(model)
    put(places_of(model), {n: float(value[0, 0]) for n, value in values.items() if n != RATE})
    model.jit_compile = uses_xla and not model.run_eagerly
    batches = _Batches(setup, shuffle)
    follow = _Follow(batches, task, values[RATE])
    epochs = len(values[RATE])
    model.fit(batches, epochs=epochs, callbacks=[follow, *callbacks], shuffle=False, verbose=0)
    return np.array(follow.losses), [variable.numpy() for variable in model.variables]


class _Batches(keras.utils.PyDataset):
    """The training rows of a split, in the order of each epoch."""

    def __init__(self, setup: SplitSetup, shuffle: bool) -> None:
        super().__init__()
        self.setup = setup
        self._shuffle = shuffle
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Put rows in the order of an epoch."""
        self.epoch = epoch
        self._order = shuffled(len(self.setup.train), (self.setup.seed, epoch), self._shuffle)

    def __len__(self) -> int:
        return self.setup.steps_per_epoch

    def __getitem__(self, step: int) -> tuple[Any, ...]:
        setup = self.setup
        order = self._order[step * setup.batch_size :][: setup.batch_size]
        rows = setup.train[order]
        batch = take(setup.x, rows), np.take(setup.y, rows, axis=0)
        return (*batch, setup.train_weight[order]) if setup.is_weighted else batch


class _Follow(keras.callbacks.Callback):
    """Sets the learning rate of each step, and takes down the held-out loss of each epoch."""

    def __init__(self, batches: _Batches, task: Task, rates: np.ndarray) -> None:
        super().__init__()
        self._batches = batches
        self._task = task
        self._rates = rates
        self.losses: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batches.begin(epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = self._rates[self._batches.epoch, batch]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # All of them: a recurrent layer with dropout draws random numbers as it predicts, too.
        variables = self.model.variables
        before = [variable.numpy() for variable in variables]
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        setup, loss = self._batches.setup, np.nan
        if len(setup.test) and np.isfinite((logs or {}).get("loss", 0.0)):
            (outputs,) = outputs_of([self.model], [take(setup.x, setup.test)])
            losses = self._task.losses(outputs, setup.target[setup.test], setup.test_weight)
            loss = float(losses[0]) / float(setup.test_weight.sum())
        self.losses.append(loss)
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
