"""Scopes in which the variables of a model or an optimizer have the values of a member."""

from typing import Any

import keras
import tensorflow as tf


class ValueScope(keras.StatelessScope):
    """A scope in which variables have given values, and may be assigned each other's."""

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Note an assignment; called by Keras."""
        variable, value = update
        if isinstance(value, keras.Variable):
            value = value.value  # which Keras would look up only later, outside of the scope
        super().add_update((variable, value))


class Scope(ValueScope):
    """A scope in which the variables of a model have the values that `mapping` pairs them with.

    Keras takes the gradient with respect to the values that a variable was read with. So a value
    that the forward pass assigns to a trainable variable is a source of gradients of its own, which
    `tape` watches, and none flows through what it was computed from.

    `assigned` lists these by the identities of the variables; `unknown` lists the paths of assigned
    variables that are neither mapped nor in metrics of the model.
    """

    def __init__(self, model: keras.Model, mapping: list[Any], tape: Any = None) -> None:
        super().__init__(state_mapping=mapping, collect_losses=True)
        self._tape = tape
        self._known = {*self.state_mapping, *map(id, model.metrics_variables)}
        self.assigned: dict[int, list[Any]] = {}
        self.unknown: list[str] = []

    def refuse(self, *variables: Any) -> None:
        """Count variables, although they have values, as `unknown` ones where they are assigned."""
        self._known -= {id(variable) for variable in variables}

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Note an assignment; called by Keras."""
        variable, value = update
        if id(variable) not in self._known:
            self.unknown.append(variable.path)
        if self._tape is not None:
            value = tf.stop_gradient(value)
            if variable.trainable:
                self._tape.watch(value)
                self.assigned.setdefault(id(variable), []).append(value)
        super().add_update((variable, value))
