"""Records of held-out rows, by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

EPOCHS_OF_MODEL = "epochs_of_model"
"""Name of the number of epochs that the model was trained for which the other numbers are of: it
stays where it is once training has stopped early."""


def name_of_averaged(name: str) -> str:
    """Return the name of a number where averages take the place of weights."""
    return f"averaged_{name}"


@dataclass(frozen=True)
class Recorded:
    """Numbers of one shape by their names: losses, and scores, greater is better.

    The first of them is the loss that tells whether a member has diverged. `values` has the shape
    (n_names, ...), usually (n_names, n_candidates, n_splits, n_epochs). It is NaN where a member
    has diverged.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the numbers of a name, of shape (...)."""
        return np.asarray(self.values[self.names.index(name)])

    @property
    def loss(self) -> np.ndarray:
        """The numbers of the first name, those of the loss."""
        return np.asarray(self.values[0])

    @property
    def views(self) -> list["Recorded"]:
        """What was recorded of the weights, and of their averages where there are some."""
        names = [name for name in self.names if name_of_averaged(name) in self.names]
        if not names:
            return [self]
        both = names, [name_of_averaged(name) for name in names]
        return [Recorded(tuple(names), np.stack([self[name] for name in one])) for one in both]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the numbers of one name."""
        return self.values.shape[1:]

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> "Recorded":
        """Return what a function makes of `values`, under the same names."""
        return Recorded(self.names, function(self.values))

    def take(self, index: Any, axis: int) -> "Recorded":
        """Return some of the numbers along an axis of their shape."""
        return self.map(lambda values: values[(slice(None),) * (axis + 1) + (index,)])

    @staticmethod
    def concat(parts: Sequence["Recorded"], axis: int) -> "Recorded":
        """Put parts of the same names together, along an axis of their shape."""
        values = np.concatenate([part.values for part in parts], axis=axis + 1)
        return Recorded(parts[0].names, values)
