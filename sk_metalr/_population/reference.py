"""A member trained by ``Model.fit`` itself: what a population is compared with."""

from typing import Any

import keras
import numpy as np

from .._models.keras_model import free_rate
from .._space import RATE
from .._task import Classification
from .batches import shuffled, take
from .hyperparameters import of_optimizer
from .prediction import outputs_of
from .setups import SplitSetup


def trained_by_keras(
    setup: SplitSetup,
    values: dict[str, np.ndarray],
    *,
    task: Classification,
    shuffle: bool,
    uses_xla: bool,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Train one member by ``Model.fit``, on the rows of a split in its order.

    Parameters
    ----------
    setup : SplitSetup
        Its model is trained.
    values : dict of str to ndarray of shape (n_epochs, n_steps)
        Member hyperparameters at each step; all but the learning rate stay as they are.
    task : Classification
        What held-out rows are scored by.
    shuffle : bool
        Whether rows are shuffled before every epoch.
    uses_xla : bool
        Whether XLA compiles the training step. It draws other random numbers from a seed.

    Returns
    -------
    losses : ndarray of shape (n_epochs,)
        Held-out log-loss after each epoch, in nats, of what ``fit`` would deliver if it ended
        there; NaN where the training loss was not finite, and where no rows are held out.
    values : list of ndarray
        Of all variables of the model, after training.
    """
    model = setup.model
    free_rate(model)
    settings = {name: float(value[0, 0]) for name, value in of_optimizer(values).items()}
    vars(model.optimizer).update(settings)
    rates = values[RATE]
    model.jit_compile = uses_xla and not model.run_eagerly
    batches = _Batches(setup, shuffle)
    follow = _Follow(setup, task, batches, rates)
    model.fit(batches, epochs=len(rates), callbacks=[follow], shuffle=False, verbose=0)
    return np.array(follow.losses), [variable.numpy() for variable in model.variables]


class _Batches(keras.utils.PyDataset):
    """The training rows of a split, in the order of each epoch."""

    def __init__(self, setup: SplitSetup, shuffle: bool) -> None:
        super().__init__()
        self._setup = setup
        self._shuffle = shuffle
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Put rows in the order of an epoch."""
        setup = self._setup
        self._order = shuffled(len(setup.train), (setup.seed, epoch), self._shuffle)

    def __len__(self) -> int:
        return self._setup.steps_per_epoch

    def __getitem__(self, step: int) -> tuple[Any, ...]:
        setup = self._setup
        order = self._order[step * setup.batch_size :][: setup.batch_size]
        rows = setup.train[order]
        batch = take(setup.x, rows), np.take(setup.y, rows, axis=0)
        return (*batch, setup.train_weight[order]) if setup.is_weighted else batch


class _Follow(keras.callbacks.Callback):
    """Sets the learning rate of each step, and takes down the held-out loss of each epoch."""

    def __init__(
        self, setup: SplitSetup, task: Classification, batches: _Batches, rates: np.ndarray
    ) -> None:
        super().__init__()
        self._setup = setup
        self._task = task
        self._batches = batches
        self._rates = rates
        self._epoch = 0
        self.losses: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._batches.begin(epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = self._rates[self._epoch, batch]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # All of them: a recurrent layer with dropout draws random numbers as it predicts, too.
        variables = self.model.variables
        before = [variable.numpy() for variable in variables]
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        is_finite = np.isfinite((logs or {}).get("loss", 0.0))
        self.losses.append(self._held_out_loss() if is_finite else np.nan)
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)

    def _held_out_loss(self) -> float:
        setup = self._setup
        if not len(setup.test):
            return np.nan
        (outputs,) = outputs_of([self.model], [take(setup.x, setup.test)])
        losses = self._task.losses(outputs, setup.target[setup.test], setup.test_weight)
        return float(losses[0]) / float(setup.test_weight.sum())
