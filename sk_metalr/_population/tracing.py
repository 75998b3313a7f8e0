"""Tracing of programs: what is changed meanwhile, and why it cannot be done."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from ..exceptions import NotVectorizableError
from .suitability import unknown_layers

PREAMBLES = ("\x1b", "Exception encountered", "in user code", "File ", "Traceback")
"""Beginnings of lines of a message that only say where an error was."""

CHANGES = ("Assign", "ResourceApply", "ResourceSparseApply", "ResourceScatter", "RngReadAndSkip")
"""Beginnings of the names of operations that change a ``tf.Variable``."""


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
