"""Members trained one after another by Keras's own loop: what no compiled program can train.

Models that run eagerly, train in a way of their own, or have an optimizer that is no pure
function of its state. It is as slow as so many fits with Keras, and takes them all.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .._keras_model import set_strategy
from ._member import (
    MemberState,
    SharedState,
    cosine,
    held_out_losses,
    probabilities_of,
    split_buffers,
)
from ._program import GroupState

__all__ = ["KerasLoop"]


class KerasLoop:
    """Stands in for :class:`._program.Program`, for groups of one member.

    Parameters
    ----------
    model : keras.Model
        Built and compiled. All members are trained in it by turns.
    from_logits : bool
        Whether the model's outputs are logits.
    """

    jit = False
    seconds_compiling = 0.0

    def __init__(self, model: keras.Model, from_logits: bool) -> None:
        self.model = model
        self.from_logits = from_logits
        if not isinstance(model.optimizer._learning_rate, keras.Variable):
            set_strategy(model, 1.0)  # a schedule; the rate of each member is data here
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._optimizer_start = [variable.numpy() for variable in model.optimizer.variables]
        self._starts: dict[int, GroupState] = {}

    def initial_state(self, model: keras.Model, n_members: int) -> GroupState:
        """Return the state of a member that starts from `model`."""
        assert n_members == 1
        if id(model) not in self._starts:  # asked before the first member trains in it
            no_loss, is_finite = tf.zeros(1), tf.ones(1, tf.bool)
            self._starts[id(model)] = _state(model, self._optimizer_start, no_loss, is_finite)
        return self._starts[id(model)]

    def train(
        self,
        state: GroupState,
        rates: np.ndarray,
        x: Any,
        y: np.ndarray,
        weight: np.ndarray,
        n_rows: np.ndarray,
        n_steps: int,
    ) -> GroupState:
        """Train a member on a block of batches; see :meth:`._program.Program.train`."""
        if not bool(state.is_finite[0]):
            return state
        self._load(state)
        loss_sum, is_finite = float(state.loss_sum[0]), True
        for step in range(n_steps):
            batch = tf.nest.map_structure(lambda array, step=step: array[step], x)
            self.model.optimizer.learning_rate = rates[step, 0]
            self.model.reset_metrics()  # the loss that Keras returns is a mean since then
            logs = self.model.train_on_batch(batch, y[step], weight[step], return_dict=True)
            loss = float(logs.get("loss", 0.0))
            is_finite = bool(np.isfinite(loss))
            if not is_finite:
                break
            loss_sum += loss * n_rows[step]
        slots = [variable.numpy() for variable in self.model.optimizer.variables]
        return _state(self.model, slots, tf.constant([loss_sum]), tf.constant([is_finite]))

    def score(
        self, state: GroupState, x: Any, code: np.ndarray, weight: np.ndarray, n_steps: int
    ) -> np.ndarray:
        """Return the sums of the held-out losses; see :meth:`._program.Program.score`."""
        self._load(state)
        total = np.zeros((1, 2))
        for step in range(n_steps):
            batch = tf.nest.map_structure(lambda array, step=step: array[step], x)
            outputs = self.model(batch, training=False)
            total += held_out_losses(outputs, code[step], weight[step], self.from_logits).numpy()
        return total

    def predict(self, state: GroupState, x: Any) -> np.ndarray:
        """Return probabilities; see :meth:`._program.Program.predict`."""
        self._load(state)
        outputs = self.model(x, training=False)
        return probabilities_of(outputs, self.from_logits).numpy()[None]

    def align(
        self, state: GroupState, before: list[Any], x: Any, code: np.ndarray, weight: np.ndarray
    ) -> np.ndarray:
        """Return the cosine (1,); see :meth:`._program.Program.align`."""
        self._load(state)
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.model(x, training=False)
            loss = held_out_losses(outputs, code, weight, self.from_logits)[0]
        gradients = tape.gradient(loss, [variable.value for variable in weights])
        after = [value[0] for value in state.members.weights]
        return np.array([cosine(gradients, after, [value[0] for value in before])])

    def _variables(self) -> list[Any]:
        floats, others = split_buffers(self.model)
        return [*self.model.trainable_variables, *floats, *self.model.optimizer.variables, *others]

    def _load(self, state: GroupState) -> None:
        values = [value[0] for value in tf.nest.flatten(state.members)] + state.shared.seeds
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)


def _state(
    model: keras.Model, slots: list[np.ndarray], loss_sum: Any, is_finite: Any
) -> GroupState:
    """Return the state that a model's variables hold now, with that of an optimizer."""
    floats, others = split_buffers(model)
    return GroupState(
        members=MemberState(
            [_first(variable.numpy()) for variable in model.trainable_variables],
            [_first(variable.numpy()) for variable in floats],
            [_first(value) for value in slots],
        ),
        shared=SharedState(tf.constant(0), [tf.constant(v.numpy()) for v in others]),
        loss_sum=loss_sum,
        is_finite=is_finite,
    )


def _first(value: np.ndarray) -> Any:
    """Return a value as that of the first and only member of a group."""
    return tf.constant(value[None])
