"""One member: training and scoring as pure functions of its state.

Nothing here knows about candidates, splits or populations; :mod:`.program` maps these
functions over many members.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from .._keras import seed_states, training_loss
from .._space import RATE
from .._task import Classification
from ..exceptions import NotVectorizableError
from .hyperparameters import taking
from .optimizer import applied, initial_variables, stateless_optimizer
from .scope import Scope, ValueScope


class MemberState(NamedTuple):
    """State that training changes and that differs between members.

    Attributes
    ----------
    weights : list of tensors
        Values of the model's trainable variables.
    non_trainable : list of tensors
        Values of its non-trainable variables, but for the states of random generators:
        moving statistics of batch normalisation, counters.
    optimizer_variables : list of tensors
        Values of the optimizer's variables after iteration and learning rate.
    """

    weights: list[Any]
    non_trainable: list[Any]
    optimizer_variables: list[Any]


class SharedState(NamedTuple):
    """State that training changes alike in all members of a group.

    Attributes
    ----------
    iteration : tensor
        The optimizer's step counter.
    seeds : list of tensors
        States of the model's random generators. Sharing them gives all members the
        same dropout masks: common random numbers, as a fair comparison wants.
    """

    iteration: Any
    seeds: list[Any]


class Member:
    """A Keras model with its loss and optimizer, as functions of a member's state.

    Parameters
    ----------
    model : keras.Model
        Built and compiled. Only its structure is used; its variables are left alone.
    task : Classification
        What held-out rows are scored by.
    is_weighted : bool
        Whether the loss is given a weight for each row.

    Raises
    ------
    NotVectorizableError
        If the optimizer cannot be trained as a population.
    """

    def __init__(self, model: keras.Model, task: Classification, is_weighted: bool = True) -> None:
        self.model = model
        self.task = task
        self.is_weighted = is_weighted
        self.optimizer = stateless_optimizer(model)

    def initial_state(self, model: keras.Model) -> tuple[MemberState, SharedState]:
        """Return the state of a member that starts from the variables of `model`.

        Parameters
        ----------
        model : keras.Model
            Of the same architecture as the member's own; its optimizer is built.
        """
        non_trainable, seeds = split_variables(model)
        iteration, _, *optimizer_variables = initial_variables(model)
        state = MemberState(
            [variable.numpy() for variable in model.trainable_variables],
            [variable.numpy() for variable in non_trainable],
            optimizer_variables,
        )
        return state, SharedState(iteration, [variable.numpy() for variable in seeds])

    def train_step(
        self, state: MemberState, shared: SharedState, values: Any, x: Any, y: Any, weight: Any
    ) -> tuple[MemberState, SharedState, Any]:
        """Take one step of gradient descent.

        Parameters
        ----------
        state, shared : MemberState, SharedState
            Before the step.
        values : dict of str to tensor of shape ()
            Member hyperparameters, the learning rate among them.
        x : tensor of shape (batch, ...), or a list or dict of such
            Features.
        y : tensor of shape (batch, ...)
            Targets.
        weight : tensor of shape (batch,)
            Weight of each row in the loss, where it is given any.

        Returns
        -------
        state, shared : MemberState, SharedState
            After the step.
        loss : tensor of shape ()
            Training loss before the step, regularisation included, in nats.

        Raises
        ------
        NotVectorizableError
            If the step changes variables that are none of the model's.
        """
        model = self.model
        with tf.GradientTape() as tape:
            tape.watch(state.weights)
            with self._scope(state, shared, tape) as scope:
                outputs = model(x, training=True)
                loss = training_loss(model, x, y, outputs, weight if self.is_weighted else None)
        if scope.unknown:
            raise NotVectorizableError(
                f"Its layers change variables that are not among the model's: {scope.unknown[0]!r}"
            )
        gradients = _gradients(tape, loss, model, state.weights, scope)
        with taking(self.optimizer, values):
            weights, (iteration, _, *optimizer_variables) = applied(
                self.optimizer,
                gradients,
                model.trainable_variables,
                [scope.get_current_value(v) for v in model.trainable_variables],
                [shared.iteration, values[RATE], *state.optimizer_variables],
            )
        non_trainable, seeds = split_variables(model)
        state = MemberState(
            weights, [scope.get_current_value(v) for v in non_trainable], optimizer_variables
        )
        shared = SharedState(iteration, [scope.get_current_value(v) for v in seeds])
        return state, shared, tf.cast(loss, tf.float32)

    def delivered(self, state: MemberState, shared: SharedState) -> MemberState:
        """Return a member with the weights that ``Model.fit`` would leave it with.

        Those that it trained, or what its optimizer puts in their place at the end: averages.
        """
        weights = self.model.trainable_variables
        iteration, rate, *optimizer_variables = self.optimizer.variables
        mapping = [
            *zip(weights, state.weights, strict=True),
            *zip(optimizer_variables, state.optimizer_variables, strict=True),
            (iteration, shared.iteration),
            (rate, 0.0),
        ]
        with ValueScope(state_mapping=mapping) as scope:
            self.optimizer.finalize_variable_values(weights)
        return state._replace(weights=[scope.get_current_value(v) for v in weights])

    def losses(
        self, state: MemberState, shared: SharedState, x: Any, target: Any, weight: Any
    ) -> Any:
        """Return sums over a batch of held-out rows; see :meth:`.Classification.losses`."""
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

        All that training moves is about proportional to the learning rate, so that this is
        the derivative of the held-out loss with respect to the logarithm of the rate, in units
        of both lengths: below 0, a higher rate would have been better.

        Parameters
        ----------
        state, shared : MemberState, SharedState
            The member after an epoch.
        before : list of tensors
            Its weights before the epoch.
        x, target, weight
            Held-out rows.

        Returns
        -------
        cosine : tensor of shape ()
        """
        with tf.GradientTape() as tape:
            delivered = self.delivered(state, shared)
            tape.watch(delivered.weights)
            outputs = self._outputs(delivered, shared, x)
            loss = self.task.losses(outputs, target, weight)[0]
        return cosine(tape.gradient(loss, delivered.weights), state.weights, before)

    def predictions(self, state: MemberState, shared: SharedState, x: Any) -> Any:
        """Return predictions for rows; see :meth:`.Classification.predictions`."""
        return self.task.predictions(self._outputs(self.delivered(state, shared), shared, x))

    def _outputs(self, state: MemberState, shared: SharedState, x: Any) -> Any:
        with self._scope(state, shared):
            return self.model(x, training=False)

    def _scope(self, state: MemberState, shared: SharedState, tape: Any = None) -> Scope:
        """Return a scope in which the model's variables have a member's values."""
        non_trainable, seeds = split_variables(self.model)
        mapping = [
            *zip(self.model.trainable_variables, state.weights, strict=True),
            *zip(non_trainable, state.non_trainable, strict=True),
            *zip(seeds, shared.seeds, strict=True),
        ]
        return Scope(self.model, mapping, tape)


def _gradients(
    tape: Any, loss: Any, model: keras.Model, weights: list[Any], scope: Scope
) -> list[Any]:
    """Return the gradient of a loss by each weight: summed over all values that it had."""
    sources = [
        [weight, *scope.assigned.get(id(variable), [])]
        for variable, weight in zip(model.trainable_variables, weights, strict=True)
    ]
    return [
        _sum([part for part in parts if part is not None]) for parts in tape.gradient(loss, sources)
    ]


def _sum(parts: list[Any]) -> Any:
    return tf.add_n(parts) if len(parts) > 1 else next(iter(parts), None)


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
    """Return the non-trainable variables of a model, states of random generators apart."""
    states, variables = seed_states(model), model.non_trainable_variables
    return (
        [v for v in variables if id(v) not in states],
        [v for v in variables if id(v) in states],
    )
