"""Losses that models train on: their names, and what they are of a row."""

from typing import Any

import keras
from keras import ops

SCORES = {"hinge", "squaredhinge", "categoricalhinge"}
"""Losses of scores, which are read as logits; a temperature makes probabilities of them."""

ON_CATEGORIES = {"categoricalcrossentropy", "categoricalfocalcrossentropy", "categoricalhinge"}
"""Losses of one-hot targets."""

SCALE_ONLY = {"poisson"}
"""Losses of positive targets, which may be divided but not shifted."""

OF_UNITS = {
    *("meansquaredlogarithmicerror", "meanabsolutepercentageerror"),
    *("binarycrossentropy", "binaryfocalcrossentropy", "kldivergence"),
}
"""Losses that mean something else where targets are scaled."""


def loss_name(loss: Any) -> str:
    """Return the name of a loss, one of Keras's or its user's, in small letters alone."""
    name = getattr(loss, "__name__", type(loss).__name__)
    if type(loss).__name__ == "LossFunctionWrapper":  # Keras wraps a function of its user's
        name = loss.fn.__name__
    return str(name).lower().replace("_", "")


def loss_by_row(loss: Any, target: Any, outputs: Any) -> Any:
    """Return the training loss of each row (n_rows,); targets and outputs are (n_rows, n)."""
    function = loss.call if isinstance(loss, keras.losses.Loss) else loss
    values = function(target, outputs)
    if len(values.shape) == 0:  # a mean over rows
        return values * ops.ones_like(outputs[:, 0])
    return values if len(values.shape) == 1 else ops.mean(values, axis=list(range(1, values.ndim)))
