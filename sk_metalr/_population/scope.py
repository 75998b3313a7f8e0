"""Scopes in which the variables of a model or an optimizer have the values of a member."""

from typing import Any

import keras
import tensorflow as tf


class ValueScope(keras.StatelessScope):
    """A scope in which variables have given values, and may be assigned each other's."""

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Take an assignment down; called by Keras."""
        variable, value = update
        if isinstance(value, keras.Variable):
            value = value.value  # which Keras would look up only later, outside of the scope
        super().add_update((variable, value))


class Scope(ValueScope):
    """A scope in which the variables of a model have given values.

    Keras takes the gradient with respect to the values that a variable was read with. So a
    value that the forward pass assigns to a trainable variable is a source of gradients of
    its own, and none flows through what it was computed from.

    Parameters
    ----------
    model : keras.Model
        Whose metrics may change unseen.
    mapping : list of (keras.Variable, tensor)
        Its variables and their values.
    tape : tf.GradientTape or None
        What watches assigned values.

    Attributes
    ----------
    assigned : dict of int to list of tensors
        Values that were assigned to each trainable variable, by its identity.
    unknown : list of str
        Names of variables that were assigned to and are neither mapped nor metrics.
    """

    def __init__(self, model: keras.Model, mapping: list[Any], tape: Any = None) -> None:
        super().__init__(state_mapping=mapping, collect_losses=True)
        self._tape = tape
        self._known = set(self.state_mapping)
        self._ignored = {id(variable) for variable in model.metrics_variables}
        self.assigned: dict[int, list[Any]] = {}
        self.unknown: list[str] = []

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Take note of an assignment; called by Keras."""
        variable, value = update
        if id(variable) not in self._known | self._ignored:
            self.unknown.append(variable.path)
        if self._tape is not None:
            value = tf.stop_gradient(value)
            if variable.trainable:
                self._tape.watch(value)
                self.assigned.setdefault(id(variable), []).append(value)
        super().add_update((variable, value))
