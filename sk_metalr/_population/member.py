"""One member: training and scoring as pure functions of its state.

Nothing here knows about candidates, splits or populations; :mod:`._program` maps these
functions over many members.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ..exceptions import NotVectorizableError
from .optimizer import applied, initial_variables, stateless_optimizer
from .scope import Scope, ValueScope

__all__ = [
    "Member",
    "MemberState",
    "SharedState",
    "compute_loss",
    "cosine",
    "held_out_losses",
    "probabilities_of",
    "split_buffers",
]


class MemberState(NamedTuple):
    """What training changes and what differs between members.

    Attributes
    ----------
    weights : list of tensors
        Values of the model's trainable variables.
    buffers : list of tensors
        Values of its non-trainable variables, but for the states of random generators:
        moving statistics of batch normalisation, counters.
    slots : list of tensors
        Values of the optimizer's variables after iteration and learning rate.
    """

    weights: list[Any]
    buffers: list[Any]
    slots: list[Any]


class SharedState(NamedTuple):
    """What training changes alike in all members of a group.

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
    from_logits : bool
        Whether the outputs are logits; otherwise they are probabilities.
    is_weighted : bool
        Whether the loss is given a weight for each row.

    Raises
    ------
    NotVectorizableError
        If the optimizer cannot be trained as a population.
    """

    def __init__(self, model: keras.Model, from_logits: bool, is_weighted: bool = True) -> None:
        self.model = model
        self.from_logits = from_logits
        self.is_weighted = is_weighted
        self.optimizer = stateless_optimizer(model)

    def initial_state(self, model: keras.Model) -> tuple[MemberState, SharedState]:
        """Return the state of a member that starts from the variables of `model`.

        Parameters
        ----------
        model : keras.Model
            Of the same architecture as the member's own; its optimizer is built.
        """
        buffers, seeds = split_buffers(model)
        iteration, _, *slots = initial_variables(model)
        state = MemberState(
            [variable.numpy() for variable in model.trainable_variables],
            [variable.numpy() for variable in buffers],
            slots,
        )
        return state, SharedState(iteration, [variable.numpy() for variable in seeds])

    def train_step(
        self, state: MemberState, shared: SharedState, rate: Any, x: Any, y: Any, weight: Any
    ) -> tuple[MemberState, SharedState, Any]:
        """Take one step of gradient descent.

        Parameters
        ----------
        state, shared : MemberState, SharedState
            Before the step.
        rate : tensor of shape ()
            Learning rate.
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
                loss = compute_loss(model, x, y, outputs, weight if self.is_weighted else None)
        if scope.unknown:
            raise NotVectorizableError(
                f"Its layers change variables that are not among the model's: {scope.unknown[0]!r}"
            )
        gradients = _gradients(tape, loss, model, state.weights, scope)
        weights, (iteration, _, *slots) = applied(
            self.optimizer,
            gradients,
            model.trainable_variables,
            [scope.get_current_value(v) for v in model.trainable_variables],
            [shared.iteration, rate, *state.slots],
        )
        buffers, seeds = split_buffers(model)
        state = MemberState(weights, [scope.get_current_value(v) for v in buffers], slots)
        shared = SharedState(iteration, [scope.get_current_value(v) for v in seeds])
        return state, shared, tf.cast(loss, tf.float32)

    def delivered(self, state: MemberState, shared: SharedState) -> MemberState:
        """Return a member with the weights that ``Model.fit`` would leave it with.

        Those that it trained, or what its optimizer puts in their place at the end: averages.
        """
        weights = self.model.trainable_variables
        iteration, rate, *slots = self.optimizer.variables
        mapping = [
            *zip(weights, state.weights, strict=True),
            *zip(slots, state.slots, strict=True),
            (iteration, shared.iteration),
            (rate, 0.0),
        ]
        with ValueScope(state_mapping=mapping) as scope:
            self.optimizer.finalize_variable_values(weights)
        return state._replace(weights=[scope.get_current_value(v) for v in weights])

    def held_out_losses(
        self, state: MemberState, shared: SharedState, x: Any, code: Any, weight: Any
    ) -> Any:
        """Return the log-loss of a batch, and what it would be were the classes unknown.

        Parameters
        ----------
        state, shared : MemberState, SharedState
            The member.
        x : tensor of shape (batch, ...), or a list or dict of such
            Features.
        code : int tensor of shape (batch,)
            Position of each row's class among the classes.
        weight : tensor of shape (batch,)
            Weight of each row.

        Returns
        -------
        losses : tensor of shape (2,)
            Weighted sums over rows, in nats: of the negative log-likelihood of each row's
            class, and of its mean over all classes.
        """
        outputs = self._outputs(self.delivered(state, shared), shared, x)
        return held_out_losses(outputs, code, weight, self.from_logits)

    def alignment(
        self,
        state: MemberState,
        shared: SharedState,
        before: list[Any],
        x: Any,
        code: Any,
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
        x, code, weight
            Held-out rows, see :meth:`held_out_losses`.

        Returns
        -------
        cosine : tensor of shape ()
        """
        with tf.GradientTape() as tape:
            delivered = self.delivered(state, shared)
            tape.watch(delivered.weights)
            outputs = self._outputs(delivered, shared, x)
            loss = held_out_losses(outputs, code, weight, self.from_logits)[0]
        return cosine(tape.gradient(loss, delivered.weights), state.weights, before)

    def probabilities(self, state: MemberState, shared: SharedState, x: Any) -> Any:
        """Return probabilities of shape (batch, n_classes)."""
        outputs = self._outputs(self.delivered(state, shared), shared, x)
        return probabilities_of(outputs, self.from_logits)

    def _outputs(self, state: MemberState, shared: SharedState, x: Any) -> Any:
        with self._scope(state, shared):
            return self.model(x, training=False)

    def _scope(self, state: MemberState, shared: SharedState, tape: Any = None) -> Scope:
        """Return a scope in which the model's variables have a member's values."""
        buffers, seeds = split_buffers(self.model)
        mapping = [
            *zip(self.model.trainable_variables, state.weights, strict=True),
            *zip(buffers, state.buffers, strict=True),
            *zip(seeds, shared.seeds, strict=True),
        ]
        return Scope(self.model, mapping, tape)


def compute_loss(model: keras.Model, x: Any, y: Any, outputs: Any, weight: Any) -> Any:
    """Return a model's training loss, computed as its own ``train_step`` does."""
    # Unlike compute_loss, it knows overrides of before compute_loss took `training`.
    return model._compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weight, training=True)


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


def held_out_losses(outputs: Any, code: Any, weight: Any, from_logits: bool) -> Any:
    """Return the two losses of :meth:`Member.held_out_losses` from a model's outputs.

    Parameters
    ----------
    outputs : tensor of shape (batch, n_classes) or (batch, 1)
        Logits or probabilities.
    code, weight
        See there.
    from_logits : bool
        Whether the outputs are logits.
    """
    tiny = float(np.finfo(np.float32).eps)  # as sklearn.metrics.log_loss clips
    probabilities = tf.clip_by_value(probabilities_of(outputs, from_logits), tiny, 1.0 - tiny)
    surprise = -tf.math.log(probabilities)
    one_hot = tf.one_hot(code, surprise.shape[-1])
    rows = tf.stack([tf.reduce_sum(one_hot * surprise, -1), tf.reduce_mean(surprise, -1)])
    return tf.linalg.matvec(rows, tf.cast(weight, tf.float32))


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


def probabilities_of(outputs: Any, from_logits: bool) -> Any:
    """Return probabilities of shape (batch, n_classes) from a model's outputs."""
    outputs = tf.cast(outputs, tf.float32)
    if outputs.shape[-1] == 1:
        no = tf.zeros_like(outputs) if from_logits else 1.0 - outputs
        outputs = tf.concat([no, outputs], -1)
    if from_logits:
        return tf.nn.softmax(outputs)
    return outputs / tf.reduce_sum(outputs, -1, keepdims=True)


def split_buffers(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """Return the non-trainable variables of a model, states of random generators apart."""
    generators = [
        generator
        for layer in model._flatten_layers()
        for generator in getattr(layer, "_seed_generators", [])
    ]
    states = {id(generator.state) for generator in generators}
    variables = model.non_trainable_variables
    return (
        [v for v in variables if id(v) not in states],
        [v for v in variables if id(v) in states],
    )
