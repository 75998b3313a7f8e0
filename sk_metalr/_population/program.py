"""A compiled program that trains and scores a group of members.

The functions of :class:`.member.Member` are mapped over the members of a group with
``tf.vectorized_map``, looped over the batches of a block, and compiled. Where TensorFlow
cannot vectorise a model, a group is one member, and nothing is mapped. A program holds
no data and no results, so that it can serve every fit of the same architecture.
"""

from threading import Lock
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from .._task import Task
from ..exceptions import NotVectorizableError
from .convolution import as_products
from .member import Member, MemberState, SharedState
from .suitability import convolutions, loops
from .timing import Stopwatch
from .tracing import changes_variables, plain_biases, refusal, unrolled


class GroupState(NamedTuple):
    """State of the members of a group, in tensors of shape (n_members, ...), and what they share.

    `loss_sum`, of shape (n_members,), is the sum of the training loss over the rows since it was
    last set to 0, in nats. `is_finite`, of shape (n_members,), is False from the first step whose
    loss is not finite; the weights are frozen then.
    """

    members: MemberState
    shared: SharedState
    loss_sum: Any
    is_finite: Any


class Program:
    """Training and scoring of groups of members of one architecture.

    The program keeps `model`, built and compiled, for its structure. If `jit`, XLA compiles the
    program: that takes about a second and makes a step two to five times faster. Only if it is
    `vectorized` may a group hold more than one member. If it `unrolls`, loops over time may be
    unrolled where TensorFlow cannot vectorise them.
    """

    def __init__(
        self,
        model: keras.Model,
        task: Task,
        jit: bool,
        vectorized: bool = True,
        is_weighted: bool = True,
        unrolls: bool = False,
    ) -> None:
        self.task = task
        self.member = Member(model, task, is_weighted)
        self.jit = jit
        self.vectorized = vectorized
        self._unrolls = [False, True] if unrolls else [False]
        self._functions: dict[Any, Any] = {}
        self._with_xla: set[Any] = set()
        self._ready: set[Any] = set()
        self._first_runs: dict[Any, Lock] = {}
        self._tracing = Lock()
        self._stopwatch = Stopwatch()

    @property
    def uses_xla(self) -> bool:
        """Tell whether XLA compiles training."""
        return any(name == self._train.__name__ for name, *_ in self._with_xla)

    @property
    def is_fresh(self) -> bool:
        """Tell whether nothing was compiled yet."""
        return not self._ready

    @property
    def seconds_compiling(self) -> float:
        """Seconds in which something was compiled, tracing included."""
        return self._stopwatch.seconds

    def initial_state(self, model: keras.Model, n_members: int) -> GroupState:
        """Return the state of `n_members` equal members that start from `model`."""
        member, shared = self.member.initial_state(model)
        return GroupState(
            members=tf.nest.map_structure(
                lambda value: tf.constant(np.repeat(value[None], n_members, axis=0)), member
            ),
            shared=tf.nest.map_structure(tf.constant, shared),
            loss_sum=tf.zeros(n_members),
            is_finite=tf.ones(n_members, tf.bool),
        )

    def member_bytes(self, model: keras.Model) -> int:
        """Return how much memory the state of one member takes, in bytes."""
        member, _ = self.member.initial_state(model)
        return sum(np.asarray(value).nbytes for value in tf.nest.flatten(member))

    def train(
        self,
        state: GroupState,
        values: dict[str, np.ndarray],
        x: Any,
        y: np.ndarray,
        weight: np.ndarray,
        n_rows: np.ndarray,
        n_steps: int,
    ) -> GroupState:
        """Train a group on the first `n_steps` of a block of n batches.

        `values` are member hyperparameters by step, each of shape (n, n_members). Features `x`, an
        array or a list or dict of such, and targets `y` have shape (n, batch_size, ...); `weight`,
        their weights in the loss, (n, batch_size). `n_rows`, of shape (n,), tells how many rows of
        each batch count.
        """
        n_counted = n_rows.astype(np.float32)
        return self._run(self._train, state, values, x, y, weight, n_counted, np.int32(n_steps))

    def score(
        self, views: list[GroupState], x: Any, target: np.ndarray, weight: np.ndarray, n_steps: int
    ) -> np.ndarray:
        """Return sums of held-out losses over `n_steps` batches, in nats.

        `views` are states of a group, such as one with its weights and one with their averages. The
        sums are of shape (n_views * n_members, n_recorded). Batches are as for :meth:`train`, but
        `target` are positions of classes, of shape (n, batch_size); see :meth:`.Task.losses`.
        """
        of_calls = [views] if self.vectorized else [[view] for view in views]
        batches = x, target, weight, np.int32(n_steps)
        return np.concatenate([self._run(self._score, one, *batches).numpy() for one in of_calls])

    def align(
        self, state: GroupState, before: list[Any], x: Any, target: np.ndarray, weight: np.ndarray
    ) -> np.ndarray:
        """Return cosines (n_members,); see :meth:`.Member.alignment`.

        The state is that after an epoch, `before` are the weights before it, and `x`, `target` and
        `weight` are held-out rows, (n_rows, ...).
        """
        return self._run(self._align, state, before, x, target, weight).numpy()

    def predict(self, state: GroupState, x: Any) -> np.ndarray:
        """Return predictions (n_members, n_rows, n_classes) for features of shape (n_rows, ...)."""
        return self._run(self._predict, state, x).numpy()

    def delivered(self, state: GroupState, position: int) -> MemberState:
        """Return one member with the weights that ``Model.fit`` would leave it with."""
        member = tf.nest.map_structure(lambda value: value[position], state.members)
        return self.member.delivered(member, state.shared)

    def _run(self, body: Any, *arguments: Any) -> Any:
        """Run the function compiled for arguments of these shapes, compiling it at first."""
        arguments = tf.nest.map_structure(tf.convert_to_tensor, arguments)
        flat = tf.nest.flatten(arguments)
        key = (body.__name__, *((tuple(value.shape), value.dtype) for value in flat))
        if key in self._ready:
            return self._functions[key](*arguments)
        with self._stopwatch:
            with self._tracing:  # one at a time; XLA compiles several side by side
                if key not in self._functions:
                    self._functions[key] = self._compile(body, arguments, self.jit)
                    if self.jit:
                        self._with_xla.add(key)
                first_run = self._first_runs.setdefault(key, Lock())
            with first_run:
                result = self._run_first(key, body, arguments)
                self._ready.add(key)
        return result

    def _run_first(self, key: Any, body: Any, arguments: tuple[Any, ...]) -> Any:
        """Run a function for the first time, which is when XLA compiles it.

        What XLA refuses runs without it from then on; other functions are no worse for it. Were
        they, then results would depend on which of several threads came first.
        """
        try:
            return self._functions[key](*arguments)
        except Exception as error:
            if key not in self._with_xla or not isinstance(error, tf.errors.OpError):
                raise refusal(error, self.member.model, self.vectorized) from error
        with self._tracing:
            self._with_xla.discard(key)
            self._functions[key] = self._compile(body, arguments, jit=False)
        return self._run_first(key, body, arguments)

    def _compile(self, body: Any, arguments: tuple[Any, ...], jit: bool) -> Any:
        """Trace a function; where that fails, with loops over time unrolled if they may be."""
        function, model = tf.function(body, jit_compile=jit, autograph=False), self.member.model
        try:
            with (
                as_products(convolutions(model) if self.vectorized else []),
                unrolled(loops(model) if self._unrolls[0] else []),
                plain_biases(),
            ):
                traced = function.get_concrete_function(*arguments)
            if changes_variables(traced):
                raise NotVectorizableError("Its layers change a tf.Variable unknown to Keras")
            return traced
        except Exception as error:
            if len(self._unrolls) == 1:
                raise refusal(error, model, self.vectorized) from error
        self._unrolls.pop(0)
        return self._compile(body, arguments, jit)

    def _train(
        self, state: GroupState, values: Any, x: Any, y: Any, weight: Any, n_rows: Any, n_steps: Any
    ) -> GroupState:
        def step(i: Any, state: GroupState) -> tuple[Any, GroupState]:
            batch, now = tf.nest.map_structure(lambda array: array[i], (x, values))
            members, shared_step, loss = self._map(
                lambda member, settings: self.member.train_step(
                    member, state.shared, settings, batch, y[i], weight[i]
                ),
                state.members,
                now,
            )
            is_finite = state.is_finite & tf.math.is_finite(loss)
            weights = [
                tf.where(_like(is_finite, new), new, old)
                for new, old in zip(members.weights, state.members.weights, strict=True)
            ]
            shared = tf.nest.map_structure(lambda value: value[0], shared_step)
            return i + 1, GroupState(
                members=members._replace(weights=weights),
                shared=shared.after(state.shared),
                loss_sum=state.loss_sum + tf.where(is_finite, loss * n_rows[i], 0.0),
                is_finite=is_finite,
            )

        return tf.while_loop(lambda i, _: i < n_steps, step, (0, state))[1]

    def _score(self, views: list[Any], x: Any, target: Any, weight: Any, n_steps: Any) -> Any:
        losses, shared = self.member.losses, views[0].shared
        together = [view.members for view in views]
        members = tf.nest.map_structure(lambda *values: tf.concat(values, 0), *together)

        def step(i: Any, total: Any) -> tuple[Any, Any]:
            batch = tf.nest.map_structure(lambda array: array[i], x)
            of_batch = self._map(
                lambda member: losses(member, shared, batch, target[i], weight[i]),
                members,
            )
            return i + 1, total + of_batch

        n_members = sum(view.loss_sum.shape[0] for view in views)
        zero = tf.zeros((n_members, len(self.task.recorded)))
        return tf.while_loop(lambda i, _: i < n_steps, step, (0, zero))[1]

    def _align(self, state: GroupState, before: Any, x: Any, target: Any, weight: Any) -> Any:
        alignment = self.member.alignment
        return self._map(
            lambda member, start: alignment(member, state.shared, start, x, target, weight),
            state.members,
            before,
        )

    def _predict(self, state: GroupState, x: Any) -> Any:
        predictions = self.member.predictions
        return self._map(lambda member: predictions(member, state.shared, x), state.members)

    def _map(self, function: Any, *of_members: Any) -> Any:
        """Apply a function written for one member to all members of a group at once."""
        n_members = tf.nest.flatten(of_members)[0].shape[0]
        if self.vectorized and n_members > 1:
            return tf.vectorized_map(
                lambda of_member: function(*of_member),
                of_members,
                fallback_to_while_loop=False,
                warn=False,
            )
        # A group of one.
        result = function(*tf.nest.map_structure(lambda value: value[0], of_members))
        return tf.nest.map_structure(lambda value: value[None], result)


def _like(flags: Any, values: Any) -> Any:
    """Give flags of shape (n_members,) as many axes as `values`."""
    return tf.reshape(flags, [-1] + [1] * (len(values.shape) - 1))
