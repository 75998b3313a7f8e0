"""Member hyperparameters: how a training step takes numbers that differ between members."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._space import RATE

PREFIX = "optimizer__"


def of_optimizer(values: dict[str, Any]) -> dict[str, Any]:
    """Return hyperparameters by the attributes of an optimizer, the learning rate apart.

    The rate is a variable of the optimizer, all others are plain attributes.
    """
    return {name.removeprefix(PREFIX): value for name, value in values.items() if name != RATE}


@contextmanager
def taking(optimizer: Any, values: dict[str, Any]) -> Iterator[None]:
    """Have an optimizer read these numbers in place of its own, while a step is traced.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
    values : dict of str to tensor of shape ()
        Keyed as in ``estimator.set_params``: ``optimizer__weight_decay``.
    """
    own = vars(optimizer)  # past the setter, which would track tensors
    settings = of_optimizer(values)
    before = {name: own[name] for name in settings}
    own.update(settings)
    try:
        yield
    finally:
        own.update(before)
