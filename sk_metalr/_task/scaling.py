"""Scaling of targets, so that networks and learning rates meet numbers of about 1."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TargetScaler:
    """A linear map of each column of the targets, as ``StandardScaler`` would learn it.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_outputs,), in units of the targets
        What is subtracted, and then divided by. The scale of a constant column is 0: it is only
        centred, and predicted as it is.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def learned(cls, y: np.ndarray, kind: str, weight: np.ndarray | None = None) -> "TargetScaler":
        """Return the scaler of targets (n_rows,) or (n_rows, n_outputs), whose rows have weights.

        Of the `kind` "standard", to a mean of 0 and a standard deviation of 1; "positive", to a
        mean of 1, by division alone; "none", which leaves them as they are. Raises ValueError if
        they are too large for that.
        """
        columns = y.reshape(len(y), -1)
        n_outputs = columns.shape[1]
        if kind == "none":
            return cls(np.zeros(n_outputs), np.ones(n_outputs))
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(columns, axis=0, weights=weight)
            deviation = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=weight))
        if not (np.isfinite(mean) & np.isfinite(deviation)).all():
            raise ValueError(
                "y must hold numbers whose variance is finite. Got some up to "
                f"{np.abs(columns).max():.3g}; divide them by a constant."
            )
        if kind == "positive":
            return cls(np.zeros(n_outputs), np.where(mean > 0, mean, 1.0))
        is_constant = columns.min(axis=0) == columns.max(axis=0)
        mean = np.where(is_constant, columns[0], mean)
        return cls(mean, np.where(is_constant, 0.0, deviation))

    def transform(self, y: np.ndarray) -> np.ndarray:
        """Return scaled targets, of the shape of `y`: (n_rows,) or (n_rows, n_outputs)."""
        columns = y.reshape(len(y), -1) - self.mean
        return np.asarray((columns / self.divisor).reshape(y.shape))

    @property
    def divisor(self) -> np.ndarray:
        """What targets are divided by: the scale, or 1 where that is 0."""
        return np.where(self.scale == 0, 1.0, self.scale)

    def inverse(self, scaled: Any) -> Any:
        """Return predictions (..., n_outputs) in units of the targets."""
        return scaled * self.scale + self.mean
