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

from .._task import Classification
from ..exceptions import NotVectorizableError
from .architecture import convolutions, loops
from .convolution import as_products
from .member import Member, MemberState, SharedState
from .timing import Stopwatch
from .tracing import changes_variables, refusal, unrolled


class GroupState(NamedTuple):
    """State of a group of members, the members along the first axis.

    Attributes
    ----------
    members : MemberState
        Every tensor of shape (n_members, ...).
    shared : SharedState
        What all members have in common.
    loss_sum : tensor of shape (n_members,)
        Sum of the training loss over the rows since it was last set to 0, in nats.
    is_finite : bool tensor of shape (n_members,)
        False from the first step whose loss is not finite; the weights are frozen then.
    """

    members: MemberState
    shared: SharedState
    loss_sum: Any
    is_finite: Any


class Program:
    """Training and scoring of groups of members of one architecture.

    Parameters
    ----------
    model : keras.Model
        Built and compiled; kept for its structure.
    task : Classification
        What held-out rows are scored by.
    jit : bool
        Whether XLA compiles the program. That takes about a second and makes a step
        two to five times faster.
    vectorized : bool
        Whether a group may hold more than one member.
    is_weighted : bool
        Whether the loss is given a weight for each row.
    unrolls : bool
        Whether loops over time may be unrolled where TensorFlow cannot vectorise them.
    """

    def __init__(
        self,
        model: keras.Model,
        task: Classification,
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
        """Return how much memory the state of one member takes."""
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
        """Train a group on a block of batches.

        Parameters
        ----------
        state : GroupState
            Before training.
        values : dict of str to ndarray of shape (n_steps_max, n_members)
            Member hyperparameters at each step.
        x, y : ndarray of shape (n_steps_max, batch_size, ...)
            Features (or a list or dict of such) and targets.
        weight : ndarray of shape (n_steps_max, batch_size)
            Weights in the loss.
        n_rows : ndarray of shape (n_steps_max,)
            How many rows of each batch count.
        n_steps : int
            How many of the batches are used.
        """
        arguments = (state, values, x, y, weight, n_rows.astype(np.float32), np.int32(n_steps))
        return self._run(self._train, arguments)

    def score(
        self, state: GroupState, x: Any, target: np.ndarray, weight: np.ndarray, n_steps: int
    ) -> np.ndarray:
        """Return the sums of the held-out losses of each member, in nats.

        Parameters
        ----------
        state : GroupState
            The members.
        x : ndarray of shape (n_steps_max, batch_size, ...)
            Features (or a list or dict of such).
        target : int ndarray of shape (n_steps_max, batch_size)
            Targets.
        weight : ndarray of shape (n_steps_max, batch_size)
            Weights.
        n_steps : int
            How many of the batches are used.

        Returns
        -------
        losses : ndarray of shape (n_members, n_recorded)
            See :meth:`.Classification.losses`.
        """
        arguments = (state.members, state.shared, x, target, weight, np.int32(n_steps))
        return self._run(self._score, arguments).numpy()

    def align(
        self, state: GroupState, before: list[Any], x: Any, target: np.ndarray, weight: np.ndarray
    ) -> np.ndarray:
        """Return cosines (n_members,), see :meth:`.Member.alignment`.

        Parameters
        ----------
        state : GroupState
            After an epoch.
        before : list of tensors
            Weights before it.
        x, target, weight : ndarray of shape (n_rows, ...)
            Held-out rows.
        """
        return self._run(
            self._align, (state.members, state.shared, before, x, target, weight)
        ).numpy()

    def predict(self, state: GroupState, x: Any) -> np.ndarray:
        """Return predictions of each member.

        Parameters
        ----------
        state : GroupState
            The members.
        x : ndarray of shape (n_rows, ...)
            Features (or a list or dict of such).

        Returns
        -------
        predictions : ndarray of shape (n_members, n_rows, n_classes)
        """
        return self._run(self._predict, (state.members, state.shared, x)).numpy()

    def delivered(self, state: GroupState, position: int) -> MemberState:
        """Return one member with the weights that ``Model.fit`` would leave it with."""
        member = tf.nest.map_structure(lambda value: value[position], state.members)
        return self.member.delivered(member, state.shared)

    def _run(self, body: Any, arguments: tuple[Any, ...]) -> Any:
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
        while True:
            try:
                return self._traced(body, arguments, jit)
            except Exception as error:
                if len(self._unrolls) == 1:
                    raise refusal(error, self.member.model, self.vectorized) from error
                self._unrolls.pop(0)

    def _traced(self, body: Any, arguments: tuple[Any, ...], jit: bool) -> Any:
        function = tf.function(body, jit_compile=jit, autograph=False)
        model = self.member.model
        with (
            as_products(convolutions(model) if self.vectorized else []),
            unrolled(loops(model) if self._unrolls[0] else []),
        ):
            traced = function.get_concrete_function(*arguments)
        if changes_variables(traced):
            raise NotVectorizableError(
                "Its layers change a tf.Variable, of which Keras does not know"
            )
        return traced

    def _train(
        self, state: GroupState, values: Any, x: Any, y: Any, weight: Any, n_rows: Any, n_steps: Any
    ) -> GroupState:
        def step(i: Any, state: GroupState) -> tuple[Any, GroupState]:
            batch = tf.nest.map_structure(lambda array: array[i], x)

            def train_member(arguments: Any) -> Any:
                member, now = arguments
                return self.member.train_step(member, state.shared, now, batch, y[i], weight[i])

            at_step = {name: value[i] for name, value in values.items()}
            members, shared, loss = self._map(train_member, (state.members, at_step))
            is_finite = state.is_finite & tf.math.is_finite(loss)
            return i + 1, GroupState(
                members=members._replace(
                    weights=[
                        tf.where(_like(is_finite, new), new, old)
                        for new, old in zip(members.weights, state.members.weights, strict=True)
                    ]
                ),
                shared=tf.nest.map_structure(lambda value: value[0], shared),
                loss_sum=state.loss_sum + tf.where(is_finite, loss * n_rows[i], 0.0),
                is_finite=is_finite,
            )

        return tf.while_loop(lambda i, _: i < n_steps, step, (0, state))[1]

    def _score(
        self,
        members: MemberState,
        shared: SharedState,
        x: Any,
        target: Any,
        weight: Any,
        n_steps: Any,
    ) -> Any:
        def step(i: Any, total: Any) -> tuple[Any, Any]:
            batch = tf.nest.map_structure(lambda array: array[i], x)
            losses = self._map(
                lambda member: self.member.losses(member, shared, batch, target[i], weight[i]),
                members,
            )
            return i + 1, total + losses

        n_recorded = len(self.task.recorded)
        zero = tf.zeros((members.weights[0].shape[0], n_recorded))
        return tf.while_loop(lambda i, _: i < n_steps, step, (0, zero))[1]

    def _align(
        self,
        members: MemberState,
        shared: SharedState,
        before: list[Any],
        x: Any,
        target: Any,
        weight: Any,
    ) -> Any:
        return self._map(
            lambda pair: self.member.alignment(pair[0], shared, pair[1], x, target, weight),
            (members, before),
        )

    def _predict(self, members: MemberState, shared: SharedState, x: Any) -> Any:
        return self._map(lambda member: self.member.predictions(member, shared, x), members)

    def _map(self, function: Any, members: Any) -> Any:
        """Apply a function written for one member to all members of a group at once."""
        if self.vectorized:
            return tf.vectorized_map(function, members, fallback_to_while_loop=False, warn=False)
        # A group of one.
        result = function(tf.nest.map_structure(lambda value: value[0], members))
        return tf.nest.map_structure(lambda value: value[None], result)


def _like(flags: Any, values: Any) -> Any:
    """Give flags of shape (n_members,) as many axes as `values`."""
    return tf.reshape(flags, [-1] + [1] * (len(values.shape) - 1))
