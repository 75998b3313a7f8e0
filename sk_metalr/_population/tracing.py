"""Tracing of programs: what is changed meanwhile, and why it cannot be done."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import keras
import tensorflow as tf

from ..exceptions import NotVectorizableError
from .suitability import unknown_layers

PREAMBLES = ("\x1b", "Exception encountered", "in user code", "File ", "Traceback")
"""Beginnings of lines of a message that only say where an error was."""

CHANGES = ("Assign", "ResourceApply", "ResourceSparseApply", "ResourceScatter", "RngReadAndSkip")
"""Beginnings of the names of operations that change a ``tf.Variable``."""


_add_bias = tf.nn.bias_add
_changing, _n_tracing = Lock(), 0


@contextmanager
def plain_biases() -> Iterator[None]:
    """Have biases of the second axis added as any numbers are, while a model is traced.

    TensorFlow 2.21 vectorises ``tf.nn.bias_add`` of such a bias for four axes or more. With three,
    it adds the bias of another row, or fails, and Keras adds biases in this way.
    """
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(n: int) -> None:
    """Count who traces; several may at a time."""
    global _n_tracing
    with _changing:
        _n_tracing += n
        tf.nn.bias_add = _added if _n_tracing else _add_bias


def _added(value: Any, bias: Any, data_format: str | None = None, name: Any = None) -> Any:
    value = tf.convert_to_tensor(value)
    if data_format is None or not data_format.startswith("NC") or value.shape.rank is None:
        return _add_bias(value, bias, data_format=data_format, name=name)
    bias = tf.convert_to_tensor(bias, value.dtype)
    return tf.add(value, tf.reshape(bias, [-1] + [1] * (len(value.shape) - 2)), name=name)


@contextmanager
def unrolled(layers: list[Any]) -> Iterator[None]:
    """Have recurrent layers write out their loops over time, while a model is traced."""
    before = [layer.unroll for layer in layers]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer, unroll in zip(layers, before, strict=True):
            layer.unroll = unroll


def changes_variables(traced: Any) -> bool:
    """Tell whether a traced function is none of its arguments alone, but changes variables."""
    graph = traced.graph.as_graph_def()
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    return any(node.op.startswith(CHANGES) for body in bodies for node in body)


def refusal(error: Exception, model: keras.Model, vectorized: bool) -> NotVectorizableError:
    """Return why TensorFlow cannot train this model in this way."""
    suspects = unknown_layers(model)
    where = f" Not Keras's own: {', '.join(suspects)}." if suspects else ""
    message = str(error).partition("Arguments received by")[0]
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    says = [line for line in lines if not line.startswith(PREAMBLES)] or [type(error).__name__]
    verb = "vectorise this model over members" if vectorized else "compile this model"
    return NotVectorizableError(f"TensorFlow cannot {verb}: {says[0].rstrip('.')}.{where}")
