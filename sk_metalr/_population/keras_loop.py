"""Members trained one after another by Keras's own loop: what no compiled program can train.

The loop takes models that run eagerly, train in a way of their own, or have an optimizer that is no
pure function of its state. It is as slow as so many fits with Keras.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .._keras import called, layers_of
from .._models.strategy import free_rate
from .._space import RATE
from .._task import Task
from .batches import take
from .member import MemberState, SharedState, cosine, split_variables
from .numbers import places_of, put
from .prediction import outputs_as_predicted
from .program import GroupState
from .setups import SplitSetup


class KerasLoop:
    """Stands in for :class:`.Program`, for groups of one member.

    All members of a split are trained in its model by turns. All variables that can be reached from
    that are a member's state: a second optimizer's, a layer's own ``tf.Variable``.
    """

    jit = False
    seconds_compiling = 0.0

    def __init__(self, setup: SplitSetup, task: Task) -> None:
        self.model = setup.model
        self.task = task
        self.is_weighted = setup.is_weighted
        free_rate(self.model)
        self._others: list[Any] = []
        self._settings: dict[str, float] = {}
        self._train_functions: dict[Any, Any] = {}
        self._begin(setup)
        self._start = self._state(0.0, True)
        self.uses_xla = bool(self.model.jit_compile)

    def _begin(self, setup: SplitSetup) -> None:
        """Find all variables, those that only a first step creates, too; undo that step."""
        before = {id(variable): variable.numpy() for variable in _variables(self.model)}
        rows = setup.train[: setup.batch_size]
        batch = take(setup.x, rows), setup.y[rows], setup.train_weight[: setup.batch_size]
        with _run_eagerly(self.model) as created:
            self._step(*batch)
        known = {id(variable) for variable in tf.nest.flatten(self._held())}
        self._others = [v for v in _variables(self.model) if id(v) not in known]
        for variable in _variables(self.model):
            value = before.get(id(variable), created.get(id(variable)))
            if value is not None:
                variable.assign(value)

    def initial_state(self, model: keras.Model, n_members: int) -> GroupState:
        """Return the state of a member that starts from the loop's own `model`."""
        assert n_members == 1
        assert model is self.model
        return self._start

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
        """Train a member on a block of batches; see :meth:`.Program.train`."""
        if not bool(state.is_finite[0]):
            return state
        self._load(state)
        settings = {name: float(value[0, 0]) for name, value in values.items() if name != RATE}
        if settings != self._settings:  # which are read where a step is traced
            put(places_of(self.model), settings)
            self._train_functions[tuple(self._settings.items())] = self.model.train_function
            self.model.train_function = self._train_functions.get(tuple(settings.items()))
            self._settings = settings
        loss_sum, is_finite = float(state.loss_sum[0]), True
        for step in range(n_steps):
            batch = tf.nest.map_structure(lambda array, step=step: array[step], x)
            self.model.optimizer.learning_rate = values[RATE][step, 0]
            loss = self._step(batch, y[step], weight[step])
            is_finite = bool(np.isfinite(loss))
            if not is_finite:
                break
            loss_sum += loss * n_rows[step]
        return self._state(loss_sum, is_finite)

    def _step(self, x: Any, y: np.ndarray, weight: np.ndarray) -> float:
        """Take a step as ``Model.fit`` does, which, unlike ``train_on_batch``, adds no weights."""
        self.model.reset_metrics()  # the loss that Keras returns is a mean since then
        batch = (x, y, weight) if self.is_weighted else (x, y)
        self.model.make_train_function()
        logs = self.model.train_function(iter([tf.nest.map_structure(tf.convert_to_tensor, batch)]))
        return float(logs.get("loss", 0.0))

    def score(
        self, views: list[GroupState], x: Any, target: np.ndarray, weight: np.ndarray, n_steps: int
    ) -> np.ndarray:
        """Return the sums of the held-out losses; see :meth:`.Program.score`."""
        totals = np.zeros((len(views), len(self.task.recorded)))
        for total, view in zip(totals, views, strict=True):
            self._load_delivered(view)
            for step in range(n_steps):
                batch = tf.nest.map_structure(lambda array, step=step: array[step], x)
                outputs = outputs_as_predicted(self.model, batch)
                total += self.task.losses(outputs, target[step], weight[step]).numpy()
        return totals

    def predict(self, state: GroupState, x: Any) -> np.ndarray:
        """Return predictions; see :meth:`.Program.predict`."""
        self._load_delivered(state)
        outputs = outputs_as_predicted(self.model, x)
        return self.task.predictions(outputs).numpy()[None]

    def rest(self) -> None:
        """Put back what the model started from, as it may share layers with other models."""
        self._load(self._start)

    def delivered(self, state: GroupState, position: int) -> MemberState:
        """Return the member; see :meth:`.Program.delivered`."""
        self._load_delivered(state)
        return tf.nest.map_structure(lambda value: value[0], self._state(0.0, True).members)

    def align(
        self, state: GroupState, before: list[Any], x: Any, target: np.ndarray, weight: np.ndarray
    ) -> np.ndarray:
        """Return the cosine (1,); see :meth:`.Program.align`."""
        self._load_delivered(state)
        with tf.GradientTape() as tape:
            outputs = called(self.model, x, training=False)
            loss = self.task.losses(outputs, target, weight)[0]
        gradients = tape.gradient(loss, [v.value for v in self.model.trainable_variables])
        after = [value[0] for value in state.members.weights]
        return np.array([cosine(gradients, after, [value[0] for value in before])])

    def _held(self) -> tuple[MemberState, list[Any]]:
        """Return the variables of a member's state, and those of random generators, apart."""
        others, seeds = split_variables(self.model)
        of_optimizer = [*self.model.optimizer.variables, *self._others]
        members = MemberState(self.model.trainable_variables, others, of_optimizer)
        return tf.nest.map_structure(_native, (members, seeds))

    def _load(self, state: GroupState) -> None:
        values = [value[0] for value in tf.nest.flatten(state.members)] + state.shared.seeds
        for variable, value in zip(tf.nest.flatten(self._held()), values, strict=True):
            variable.assign(value)

    def _load_delivered(self, state: GroupState) -> None:
        """Load what ``Model.fit`` would leave, which may be averages of the weights."""
        self._load(state)
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def _state(self, loss_sum: float, is_finite: bool) -> GroupState:
        """Return the state that the model's variables hold now."""
        members, seeds = self._held()
        return GroupState(
            members=tf.nest.map_structure(lambda v: tf.constant(v.numpy()[None]), members),
            shared=SharedState(tf.constant(0), [tf.constant(v.numpy()) for v in seeds]),
            loss_sum=tf.constant([loss_sum], tf.float32),
            is_finite=tf.constant([is_finite]),
        )


def _native(variable: Any) -> Any:
    """Return the ``tf.Variable`` that a variable of Keras holds."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def _variables(model: keras.Model) -> list[Any]:
    """Return every ``tf.Variable`` that can be reached from a model."""
    parts = list(tf.train.TrackableView(model).descendants())
    # TensorFlow does not look into the lists and dicts that layers hold.
    for layer in layers_of(model, include_self=True):
        parts += _leaves(vars(layer))
    for loss in keras.tree.flatten(model.loss):
        parts += _leaves(getattr(loss, "__dict__", {}))
    found = [part for part in parts if isinstance(part, keras.Variable | tf.Variable)]
    natives = [_native(variable) for variable in [*model.variables, *found]]
    return list({id(variable): variable for variable in natives}.values())


def _leaves(value: Any) -> Iterator[Any]:
    """Yield what lists and dicts hold, whatever their keys are."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


@contextmanager
def _run_eagerly(model: keras.Model) -> Iterator[dict[int, np.ndarray]]:
    """Have a model train eagerly meanwhile, so that variables are created with their values.

    Yields these initial values, by the identities of the variables.
    """
    created: dict[int, np.ndarray] = {}

    def create(next_creator: Any, **arguments: Any) -> Any:
        variable = next_creator(**arguments)
        if tf.executing_eagerly():
            created[id(variable)] = variable.numpy()
        return variable

    before = model.run_eagerly
    model.run_eagerly, model.train_function = True, None
    try:
        with tf.variable_creator_scope(create):
            yield created
    finally:
        model.run_eagerly, model.train_function = before, None
