"""Checks of targets that are no different from those of other arrays."""

from typing import Any

import numpy as np


def check_unmasked(**given: Any) -> None:
    """Raise ValueError where an array has masked values, which NumPy would unmask silently."""
    for name, values in given.items():
        if np.ma.is_masked(values):
            raise ValueError(
                f"{name} holds masked values; fill them in, or leave out their rows: "
                f"{name}.filled(...)."
            )


def check_sortable(values: np.ndarray, name: str) -> None:
    """Raise TypeError where values are of types that cannot be compared."""
    try:
        np.unique(values)
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in values.tolist()})
        raise TypeError(
            f"{name} must hold values of one type, so that they can be sorted. Got the types "
            f"{kinds} instead; turn them all into strings, and leave out what is missing."
        ) from error
