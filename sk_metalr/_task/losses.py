"""Losses that models train on: their names, and what they are of a row."""

from typing import Any

import keras
from keras import ops

from .._keras import loss_arguments

SCORES = {"hinge", "squaredhinge", "categoricalhinge"}
"""Losses of scores, which are read as logits; a temperature makes probabilities of them."""

ON_CATEGORIES = {"categoricalcrossentropy", "categoricalfocalcrossentropy", "categoricalhinge"}
"""Losses of one-hot targets."""

SCALE_ONLY = {"poisson"}
"""Losses of positive targets, which may be divided but not shifted."""

OF_UNITS = {
    *("meansquaredlogarithmicerror", "meanabsolutepercentageerror"),
    *("binarycrossentropy", "binaryfocalcrossentropy", "kldivergence", "cosinesimilarity"),
}
"""Losses that mean something else where targets are scaled."""


def loss_name(loss: Any) -> str:
    """Return the name of one of Keras's losses, in small letters alone; empty for a user's own."""
    function = unwrapped(loss)
    kind = type(function) if isinstance(function, keras.losses.Loss) else function
    if str(getattr(kind, "__module__", "")).split(".")[0] != "keras":
        return ""
    return str(getattr(kind, "__name__", "")).lower().replace("_", "")


def unwrapped(loss: Any) -> Any:
    """Return a loss, or the function of a user's that Keras has wrapped."""
    return loss.fn if type(loss).__name__ == "LossFunctionWrapper" else loss


def same_loss(one: Any, other: Any) -> bool:
    """Tell whether two losses are the same function; None may be any."""
    one, other = unwrapped(one), unwrapped(other)
    if one is None or other is None or one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, keras.losses.Loss):
        try:
            configs = [loss.get_config() | {"name": ""} for loss in (one, other)]
            return loss_arguments(one) == loss_arguments(other) and configs[0] == configs[1]
        except NotImplementedError:
            return True  # nothing tells them apart but their class
    return getattr(one, "__code__", one) is getattr(other, "__code__", other)


def loss_by_row(loss: Any, target: Any, outputs: Any) -> Any:
    """Return the training loss of each row (n_rows,); targets and outputs are (n_rows, n).

    Raises ValueError if it is one number for all rows, of which those held out have no share.
    """
    function = loss.call if isinstance(loss, keras.losses.Loss) else loss
    values = function(target, outputs)
    if len(values.shape) == 0:
        raise ValueError(
            "scoring=None needs a loss that returns one number for each row. Got one number for "
            "all rows; take the mean over the last axis alone, axis=-1, or name a scorer."
        )
    return values if len(values.shape) == 1 else ops.mean(values, axis=list(range(1, values.ndim)))
