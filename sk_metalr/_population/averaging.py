"""Averages of weights over the course of training, beside the weights themselves.

An average over the last steps is about as good as a lower learning rate would have been, at no cost
in speed (Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", 1992,
doi:10.1137/0330046; Morales-Brotons et al., "Exponential moving average of weights in deep
learning", 2024, arXiv:2411.18704). It is scored beside the weights after each epoch.
"""

from collections.abc import Iterator
from math import ceil, exp
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from .batches import steps_per_block
from .member import MemberState
from .recent import Recent
from .setups import SplitSetup

HORIZON = 0.2
"""Time over which weights are averaged, as a share of the budget. Of 0.025, 0.05, 0.1, 0.2 and 0.4,
this was best on six tables of 112 to 1,500 rows."""


_functions = Recent(n_kept=32)


class Averages(NamedTuple):
    """Averages over training so far, and the sum of what they were weighted with.

    `weights` and `non_trainable` are lists of tensors of shape (n_members, ...), in the order of a
    :class:`.MemberState`; of numbers that are no floats, the latest stands there. `total` is of
    shape (n_members,).
    """

    weights: list[Any]
    non_trainable: list[Any]
    total: Any

    def of(self, members: MemberState) -> MemberState:
        """Return members with the averages in place of their weights and statistics."""
        return members._replace(weights=self.weights, non_trainable=self.non_trainable)


def averaged(before: Averages | None, members: MemberState, decay: float, jit: bool) -> Averages:
    """Return averages that take in the members as they are now, by XLA if `jit`."""
    if before is None:
        total = tf.ones(members.weights[0].shape[0])
        return Averages(members.weights, members.non_trainable, total)
    values = [*members.weights, *members.non_trainable]
    key = len(members.weights), jit, *((tuple(value.shape), value.dtype) for value in values)
    arguments = before, members.weights, members.non_trainable, tf.constant(decay)
    # Traced for each shape by itself, TensorFlow has no reason to warn of repeated tracing.
    function = _functions.get(
        key,
        lambda: tf.function(_moved, jit_compile=jit, autograph=False).get_concrete_function(
            *arguments
        ),
    )
    return Averages(*function(*arguments))


def _moved(before: Averages, weights: list[Any], others: list[Any], decay: Any) -> Any:
    total = decay * before.total + 1.0

    def moved(old: Any, new: Any) -> Any:
        if not new.dtype.is_floating:
            return new
        share = tf.reshape(1.0 / total, [-1] + [1] * (len(new.shape) - 1))
        return tf.where(new == old, old, old + tf.cast(share, new.dtype) * (new - old))

    return (
        [moved(old, new) for old, new in zip(before.weights, weights, strict=True)],
        [moved(old, new) for old, new in zip(before.non_trainable, others, strict=True)],
        total,
    )


class Averaging:
    """The times at which averages of a split's members take them in, and the decay between them.

    They do so at the end of each epoch, and after every block of batches in it, so that the decay
    depends on how long an epoch is.
    """

    def __init__(self, setup: SplitSetup, budget: int) -> None:
        self.n_steps = setup.steps_per_epoch
        self.stride = steps_per_block(setup.x, setup.batch_size)
        per_epoch = ceil(self.n_steps / self.stride)
        self.decay = exp(-1.0 / (HORIZON * budget * per_epoch))

    def is_due(self, step: int) -> bool:
        """Tell whether averages take members in after so many steps of an epoch."""
        return step % self.stride == 0 or step == self.n_steps


def may_be_averaged(model: keras.Model) -> bool:
    """Tell whether averages of a model's weights are models like it.

    They are not scored where the optimizer delivers averages of its own, and where a constraint
    holds for weights but not for their mean, as that of a unit norm.
    """
    optimizer, convex = model.optimizer, (keras.constraints.MaxNorm, keras.constraints.NonNeg)
    finalize = type(optimizer).finalize_variable_values
    has_own = finalize is not keras.optimizers.Optimizer.finalize_variable_values
    constraints = [variable.constraint for variable in model.trainable_variables]
    is_kept = all(one is None or isinstance(one, convex) for one in constraints)
    return is_kept and not (has_own or getattr(optimizer, "use_ema", False))


class DeliverAverages(keras.callbacks.Callback):
    """Callback that puts the averages of a model's weights in their place after training.

    An epoch may have fewer steps than `averaging` expects, where some rows are held out.
    """

    def __init__(self, averaging: Averaging) -> None:
        super().__init__()
        self._averaging = averaging
        self._averages: list[np.ndarray] = []
        self._total = 0.0
        self._is_taken_in = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Take the weights in, where that is due."""
        self._is_taken_in = self._averaging.is_due(batch + 1)
        if self._is_taken_in:
            self._take_in()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take the weights in, where its last step has not."""
        if not self._is_taken_in:
            self._take_in()

    def _take_in(self) -> None:
        self._total = self._averaging.decay * self._total + 1.0
        values = [variable.numpy() for variable in self._variables()]
        pairs = zip(self._averages or values, values, strict=True)
        self._averages = [
            # What is infinite stays so.
            np.where(new == old, old, old + (new - old) / self._total).astype(new.dtype)
            for old, new in pairs
        ]

    def on_train_end(self, logs: Any = None) -> None:
        """Replace the weights by their averages."""
        for variable, value in zip(self._variables(), self._averages, strict=True):
            variable.assign(value)

    def _variables(self) -> Iterator[Any]:
        """Yield the variables that are averaged: those of floats."""
        for variable in [*self.model.trainable_variables, *self.model.non_trainable_variables]:
            if variable.value.dtype.is_floating:
                yield variable
