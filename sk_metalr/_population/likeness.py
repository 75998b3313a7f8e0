"""Which models one program can serve: those that are the same function of their variables.

A model may hold more than its variables: random features that a layer draws when it is built, a
table that is looked up. So what it computes is traced, and compared with all captured constants.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from .._keras import called, training_loss
from .architecture import architecture_key
from .batches import take
from .scope import Scope
from .setups import SplitSetup

NAMES = ("shared_name", "container")  # attributes of operations that hold names


def first_alike(setups: list[SplitSetup], data: Collection[str] = ()) -> list[int]:
    """Return for each setup the number of the first whose model is the same function, whatever
    the numbers are that it takes as `data`.
    """
    models = {id(setup.model): setup for setup in setups}
    if len(models) == 1:
        return [0] * len(setups)
    marks: dict[int, str | None] = {
        number: architecture_key(setup.model, data) for number, setup in models.items()
    }
    if None in marks.values():
        marks = {number: _traced(setup) for number, setup in models.items()}
    of_setups = [marks[id(setup.model)] or str(id(setup.model)) for setup in setups]
    return [of_setups.index(mark) for mark in of_setups]


def _traced(setup: SplitSetup) -> str | None:
    """Return a hash of what a model computes from its variables; None where that is not known."""
    model, rows = setup.model, setup.train[: setup.batch_size]
    variables = model.variables

    def computed(values: list[Any], x: Any, y: Any) -> Any:
        mapping = list(zip(variables, values, strict=True))
        with Scope(model, mapping):
            outputs = called(model, x, training=True)
            loss = training_loss(model, x, y, outputs, None)
        with Scope(model, mapping):
            return outputs, loss, called(model, x, training=False)

    x, y = take(setup.x, rows), np.take(setup.y, rows, axis=0)
    specs = tf.nest.map_structure(lambda array: tf.TensorSpec(array.shape, array.dtype), (x, y))
    of_variables = [tf.TensorSpec(v.shape, v.dtype) for v in variables]
    try:
        function = tf.function(computed, autograph=False)
        return _text(function.get_concrete_function(of_variables, *specs))
    except Exception:  # of the user's code, or of TensorFlow's: then each has its own program
        return None


def _text(traced: Any) -> str | None:
    """Return a hash of what a function computes, names apart; None where it holds resources."""
    constants = traced.captured_inputs
    if any(tensor.dtype in (tf.resource, tf.variant) for tensor in constants):
        return None
    graph = traced.graph.as_graph_def()
    library = {function.signature.name: function for function in graph.library.function}

    @cache
    def hash_of(name: str) -> str:
        """Return a hash of what a function of the graph computes; another's name as it is."""
        if name not in library:
            return name
        function, signature = library[name], library[name].signature
        arguments = [argument.name for argument in signature.input_arg]
        returned = [function.ret[argument.name] for argument in signature.output_arg]
        return _hash(_lines(function.node_def, arguments, returned, hash_of))

    values = [tensor.numpy().tobytes().hex() for tensor in constants]
    returned = [tensor.name for tensor in traced.graph.outputs]
    return _hash(_lines(graph.node, [], returned, hash_of) + values)


def _lines(
    nodes: Iterable[Any], arguments: list[str], returned: list[str], hash_of: Callable[[str], str]
) -> list[str]:
    """Return what a graph computes, with numbers in place of names: a line a node, and results."""
    names = [*arguments, *(node.name for node in nodes)]
    number = {name: str(i) for i, name in enumerate(names)}

    def renamed(name: str) -> str:
        mark = "^" if name.startswith("^") else ""
        first, *rest = name.removeprefix("^").split(":")
        return ":".join([mark + number.get(first, first), *rest])

    lines = []
    for node in nodes:
        attributes = [
            f"{key}={_attribute(value, hash_of)}"
            for key, value in sorted(node.attr.items())
            if not key.startswith("_") and key not in NAMES
        ]
        lines.append(f"{node.op} {[renamed(name) for name in node.input]} {attributes}")
    return [*lines, *map(renamed, returned)]


def _attribute(value: Any, hash_of: Callable[[str], str]) -> str:
    if value.HasField("func"):
        return hash_of(value.func.name)
    if value.list.func:
        return ",".join(hash_of(function.name) for function in value.list.func)
    return str(value.SerializeToString(deterministic=True).hex())


def _hash(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
