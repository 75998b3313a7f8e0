"""Levels: the values of parameters that are listed, each with a name of its own."""

from contextlib import suppress
from math import isfinite
from os import PathLike
from typing import Any

import keras
import numpy as np

from .candidates import OPTIMIZER, SCHEDULE, UNSET, Level, is_same
from .schedules import CONSTANT, check_schedule


def levels_of(parameter: str, values: Any) -> list[Level]:
    """Return the listed values of a parameter, each with a name of its own."""
    if not isinstance(values, list | tuple | np.ndarray) or not len(values):
        raise ValueError(
            f"The {parameter!r} values of param_distributions must be a list [...] of at least one "
            f"{parameter}. Got {values!r} instead; leave it out for {UNSEARCHED[parameter].name!r}."
        )
    levels = [LEVEL_OF[parameter](value) for value in values]
    names = [level.name for level in levels]
    if len(set(names)) < len(names):
        raise ValueError(
            f"The {parameter!r} values of param_distributions must have different names. Got "
            f"{names} instead; name them apart, as in keras.optimizers.AdamW(name=...), or by the "
            "__name__ of a function."
        )
    return levels


def name_of(value: Any) -> Any:
    """Return a value as results show it: itself if it is plain, or else its name."""
    if value is None or isinstance(value, bool | int | float | str | tuple | list | dict):
        return value
    if isinstance(value, PathLike):
        return str(value)
    return getattr(value, "__name__", None) or getattr(value, "name", None) or str(value)


def plain(value: Any) -> Any:
    """Return a value as records hold it, so that JSON keeps it as it is.

    Numbers have six digits, and whole ones are integers; what is no plain value goes by its name,
    and objects of Keras by their class and config.
    """
    if hasattr(value, "get_config") and not isinstance(value, type):
        config: dict[str, Any] = {}
        with suppress(Exception):  # whatever a class of the user's may raise, or leave out
            config = {name: one for name, one in value.get_config().items() if name != "name"}
        return f"{type(value).__name__} {plain(config)}"
    value = name_of(value.item() if isinstance(value, np.generic) else value)
    if isinstance(value, dict):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        short = float(f"{value:.6g}")
        return int(short) if short.is_integer() else short if isfinite(short) else str(value)
    if value is None or isinstance(value, bool):
        return value
    return int(value) if isinstance(value, int) else str(value)


def are_equal(one: Any, other: Any) -> bool:
    """Tell whether values of levels are the same; schedules, where their rules are."""
    return is_same(getattr(one, "rule", one), getattr(other, "rule", other))


def _optimizer_level(optimizer: Any) -> Level:
    """Return an optimizer by its name, or say that it cannot be used."""
    try:
        made = keras.optimizers.get(optimizer) if isinstance(optimizer, str) else optimizer
    except ValueError:
        made = None
    if not isinstance(made, keras.optimizers.Optimizer):
        raise ValueError(
            "The 'optimizer' values of param_distributions must be names or instances of Keras "
            "optimizers, such as 'adam' or keras.optimizers.AdamW(weight_decay=1e-4). Got "
            f"{optimizer!r} instead."
        )
    return Level(optimizer if isinstance(optimizer, str) else optimizer.name, optimizer)


def _schedule_level(rule: Any) -> Level:
    schedule = check_schedule(rule)
    return Level(schedule.name, schedule)


LEVEL_OF = {OPTIMIZER: _optimizer_level, SCHEDULE: _schedule_level}
"""Functions that check a value and make a level of it, for optimizers and schedules."""

UNSEARCHED = {OPTIMIZER: UNSET, SCHEDULE: Level("constant", CONSTANT)}
"""Levels that stand for such a parameter in a part of a space that does not hold it."""
