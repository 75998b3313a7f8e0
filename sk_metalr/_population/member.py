"""One member: training and scoring as pure functions of its state.

Nothing here knows about candidates, splits or populations; :mod:`.program` maps these functions
over many members.
"""

from threading import Lock
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from .._keras import called, clock_of, has_schedule, seed_states, training_loss
from .._models.strategy import build_optimizer
from .._space import RATE
from .._task import Task
from ..exceptions import NotVectorizableError
from .numbers import as_data, places_of
from .optimizer import applied, stateless_optimizer
from .scope import Scope, ValueScope

_building = Lock()


class MemberState(NamedTuple):
    """State that training changes and that differs between members: variables, as tensors.

    `non_trainable` holds moving statistics and counters, but no states of random generators;
    `optimizer_variables` leaves out iteration and learning rate.
    """

    weights: list[Any]
    non_trainable: list[Any]
    optimizer_variables: list[Any]


class SharedState(NamedTuple):
    """State that training changes alike in all members of a group, as tensors.

    `iteration` is the optimizer's step counter, and `seeds` are the states of random generators.
    Sharing them gives all members the same dropout masks: common random numbers, for fairness.
    """

    iteration: Any
    seeds: list[Any]


class SharedStep(NamedTuple):
    """What a step has changed of a :class:`SharedState`: of the `seeds`, by position, those that
    were drawn from. Carried through a program, the others slow it down to a third.
    """

    iteration: Any
    seeds: dict[int, Any]

    def after(self, before: SharedState) -> SharedState:
        """Return the state after the step."""
        seeds = [self.seeds.get(i, seed) for i, seed in enumerate(before.seeds)]
        return SharedState(self.iteration, seeds)


class Member:
    """A Keras model with its loss and optimizer, as functions of a member's state.

    Of `model`, built and compiled, only the structure is used; its variables are left alone. `task`
    scores held-out rows. `is_weighted` says whether the loss is given a weight for each row. Raises
    NotVectorizableError if the optimizer cannot be trained as a population.
    """

    def __init__(self, model: keras.Model, task: Task, is_weighted: bool = True) -> None:
        self.model = model
        self.task = task
        self.is_weighted = is_weighted
        self.optimizer = stateless_optimizer(model)
        self._places = places_of(model, self.optimizer)

    def initial_state(self, model: keras.Model) -> tuple[MemberState, SharedState]:
        """Return the state, as arrays, that `model`, of this architecture, has once it is built."""
        with _building:  # threads train several members of one model
            build_optimizer(model)
        non_trainable, seeds = split_variables(model)
        iteration, *others = model.optimizer.variables
        of_optimizer = others if has_schedule(model.optimizer) else others[1:]  # without the rate
        member = MemberState(model.trainable_variables, non_trainable, of_optimizer)
        state = member, SharedState(iteration, seeds)
        return tf.nest.map_structure(lambda variable: variable.numpy(), state)

    def train_step(
        self, state: MemberState, shared: SharedState, values: Any, x: Any, y: Any, weight: Any
    ) -> tuple[MemberState, SharedStep, Any]:
        """Take one step of gradient descent; return what comes of the states, and the loss before.

        `values` is a dict of the member hyperparameters, learning rate included, each of shape ().
        Features `x` (or each of a list or dict of such) and targets `y` are of shape (batch, ...);
        `weight`, of shape (batch,), weighs rows in the loss, where it is given any. The loss, of
        shape (), includes regularisation and is in nats. Raises NotVectorizableError if the step
        changes variables that are none of the model's.
        """
        with as_data(self.model, self._places, values):
            return self._step(state, shared, values[RATE], x, y, weight)

    def _step(
        self, state: MemberState, shared: SharedState, rate: Any, x: Any, y: Any, weight: Any
    ) -> tuple[MemberState, SharedStep, Any]:
        model = self.model
        with tf.GradientTape() as tape:
            tape.watch(state.weights)
            with self._scope(state, shared, tape, rate) as scope:
                outputs = called(model, x, training=True)
                loss = training_loss(model, x, y, outputs, weight if self.is_weighted else None)
        if scope.unknown:
            raise NotVectorizableError(
                f"Its layers change variables that are not among the model's: {scope.unknown[0]!r}"
            )
        gradients = self._gradients(tape, loss, state.weights, scope)
        weights, (iteration, _, *optimizer_variables) = applied(
            self.optimizer,
            gradients,
            model.trainable_variables,
            [scope.get_current_value(v) for v in model.trainable_variables],
            [shared.iteration, rate, *state.optimizer_variables],
        )
        non_trainable, seeds = split_variables(model)
        state = MemberState(
            weights, [scope.get_current_value(v) for v in non_trainable], optimizer_variables
        )
        after = [scope.get_current_value(v) for v in seeds]
        drawn = {
            i: new
            for i, (new, old) in enumerate(zip(after, shared.seeds, strict=True))
            if new is not old
        }
        return state, SharedStep(iteration, drawn), tf.cast(loss, tf.float32)

    def _gradients(self, tape: Any, loss: Any, weights: list[Any], scope: Scope) -> list[Any]:
        """Return the gradient of a loss by each weight: summed over all values that it had."""
        sources = [
            [weight, *scope.assigned.get(id(variable), [])]
            for variable, weight in zip(self.model.trainable_variables, weights, strict=True)
        ]
        gradients = []
        for of_values in tape.gradient(loss, sources):
            parts = [part for part in of_values if part is not None]
            gradients.append(tf.add_n(parts) if len(parts) > 1 else next(iter(parts), None))
        return gradients

    def delivered(self, state: MemberState, shared: SharedState) -> MemberState:
        """Return a member with the weights that ``Model.fit`` would leave it with.

        They are those that it trained, or averages that its optimizer puts in their place.
        """
        weights = self.model.trainable_variables
        variables = [*weights, *self.optimizer.variables]
        values = [*state.weights, shared.iteration, 0.0, *state.optimizer_variables]
        with ValueScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            self.optimizer.finalize_variable_values(weights)
        return state._replace(weights=[scope.get_current_value(v) for v in weights])

    def losses(
        self, state: MemberState, shared: SharedState, x: Any, target: Any, weight: Any
    ) -> Any:
        """Return sums over a batch of held-out rows; see :meth:`.Task.losses`."""
        outputs = self._outputs(self.delivered(state, shared), shared, x)
        return self.task.losses(outputs, target, weight)

    def alignment(
        self,
        state: MemberState,
        shared: SharedState,
        before: list[Any],
        x: Any,
        target: Any,
        weight: Any,
    ) -> Any:
        """Return the cosine between the held-out gradient and what training has moved.

        It is of shape (); `state` and `shared` are those after an epoch, `before` holds the weights
        before it. All that training moves is about proportional to the learning rate, so that this
        is the derivative of the held-out loss with respect to the logarithm of the rate, in units
        of both lengths: below 0, a higher rate would have been better.
        """
        with tf.GradientTape() as tape:
            delivered = self.delivered(state, shared)
            tape.watch(delivered.weights)
            outputs = self._outputs(delivered, shared, x)
            loss = self.task.losses(outputs, target, weight)[0]
        return cosine(tape.gradient(loss, delivered.weights), state.weights, before)

    def predictions(self, state: MemberState, shared: SharedState, x: Any) -> Any:
        """Return predictions for rows; see :meth:`.Task.predictions`."""
        return self.task.predictions(self._outputs(self.delivered(state, shared), shared, x))

    def _outputs(self, state: MemberState, shared: SharedState, x: Any) -> Any:
        with self._scope(state, shared):
            return called(self.model, x, training=False)

    def _scope(
        self, state: MemberState, shared: SharedState, tape: Any = None, rate: Any = None
    ) -> Scope:
        """Return a scope in which the model's variables have a member's values.

        A loss may ask the model's optimizer for the step or, in training, for the learning rate.
        """
        non_trainable, seeds = split_variables(self.model)
        iteration, learning_rate = clock_of(self.model.optimizer)
        variables = [*self.model.trainable_variables, *non_trainable, *seeds, iteration]
        values = [*state.weights, *state.non_trainable, *shared.seeds, shared.iteration]
        if rate is not None and learning_rate is not None:
            variables, values = [*variables, learning_rate], [*values, rate]
        scope = Scope(self.model, list(zip(variables, values, strict=True)), tape)
        scope.refuse(iteration, learning_rate)
        return scope


def cosine(gradients: list[Any], after: list[Any], before: list[Any]) -> Any:
    """Return the cosine between a gradient and a movement of all weights; 0 if either is 0."""
    dot = gradient_square = move_square = 0.0
    for gradient, end, start in zip(gradients, after, before, strict=True):
        if gradient is None:
            continue
        gradient, move = tf.convert_to_tensor(gradient), end - start
        dot += tf.reduce_sum(gradient * move)
        gradient_square += tf.reduce_sum(gradient**2)
        move_square += tf.reduce_sum(move**2)
    return tf.math.divide_no_nan(dot, tf.sqrt(gradient_square) * tf.sqrt(move_square))


def split_variables(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """Return a model's non-trainable variables in two lists; states of random generators last."""
    states, variables = seed_states(model), model.non_trainable_variables
    others = [variable for variable in variables if id(variable) not in states]
    return others, [variable for variable in variables if id(variable) in states]
