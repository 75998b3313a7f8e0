"""Held-out tasks: what a row's target is, and what a prediction of it costs."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from ._recorded import Recorded

TEMPERATURES = 2.0 ** (np.arange(-6, 10) / 3)
"""What logits are divided by on trial: from 0.25 to 8, 1 among them."""

EPSILON = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Classification:
    """Rows of classes, predicted by probabilities and judged by the log-loss.

    The outputs of a model, of shape (n_rows, n_classes), are probabilities unless they come
    `from_logits`. A single column, of shape (n_rows, 1), is that of the second of two classes.
    """

    from_logits: bool = False

    partitions: ClassVar[tuple[str, ...]] = tuple(f"partition_{t:.3g}" for t in TEMPERATURES)

    recorded: ClassVar[tuple[str, ...]] = (
        *("log_loss", "uniform_log_loss", "target_logit", "mean_logit"),
        *partitions,
    )
    """Names of what is recorded of held-out rows, in nats: the log-loss; what it would be with the
    mean over all classes in place of each row's class; the logit of each row's class, and the mean
    over classes, where the highest is 0; and the logarithm of the sum of the exponentials of all
    logits, divided by each temperature, from which the log-loss at that temperature follows."""

    @staticmethod
    def encode(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes, and the position of each row's class among them."""
        classes, target = np.unique(y, return_inverse=True)
        return classes, target.astype(np.int32)

    @staticmethod
    def baseline_loss(target: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the log-loss of always predicting the class frequencies, in nats: their entropy.

        The rows have positions of classes as their `target`, and a `weight`, both (n_rows,).
        """
        frequency = np.bincount(target, weights=weight)
        frequency = frequency[frequency > 0] / frequency.sum()
        return float(-(frequency * np.log(frequency)).sum())

    def predictions(self, outputs: Any) -> Any:
        """Return the probabilities (n_rows, n_classes) that the outputs of a model stand for."""
        outputs = self._columns(ops.cast(outputs, "float32"))
        if self.from_logits:
            return ops.softmax(outputs)
        return outputs / ops.sum(outputs, -1, keepdims=True)

    def logits(self, outputs: Any) -> Any:
        """Return logits (..., n_classes), the highest of each row 0, of a model's outputs."""
        if not self.from_logits:
            # Of a probability near 1, one column alone tells no more than float32 resolves.
            low, high = (EPSILON, 1 - EPSILON) if outputs.shape[-1] == 1 else (1e-37, 1.0)
            outputs = ops.clip(outputs, low, high)
        logits = self._columns(outputs)
        logits = logits if self.from_logits else ops.log(logits)
        return logits - ops.max(logits, -1, keepdims=True)

    def _columns(self, outputs: Any) -> Any:
        """Return outputs with a column for each class."""
        if outputs.shape[-1] > 1:
            return outputs
        other = ops.zeros_like(outputs) if self.from_logits else 1.0 - outputs
        return ops.concatenate([other, outputs], -1)

    def losses(self, outputs: Any, target: Any, weight: Any) -> Any:
        """Return weighted sums over rows of what is :attr:`recorded`, of shape (n_recorded,).

        The rows have positions of classes as their `target`, and a `weight`, both (n_rows,).
        """
        # As sklearn.metrics.log_loss clips.
        surprise = -ops.log(ops.clip(self.predictions(outputs), EPSILON, 1.0 - EPSILON))
        logits = self.logits(ops.cast(outputs, "float32"))
        is_class = ops.one_hot(target, surprise.shape[-1])
        by_row = [
            *(ops.sum(is_class * surprise, -1), ops.mean(surprise, -1)),
            *(ops.sum(is_class * logits, -1), ops.mean(logits, -1)),
        ]
        rows = ops.stack([*by_row, *_partitions(logits)])
        return ops.sum(rows * ops.cast(weight, "float32"), -1)

    @staticmethod
    def smoothed(recorded: Recorded, n_rows: int) -> np.ndarray:
        """Return log-losses, in nats, as if one more row had been held out whose class is unknown.

        A learning rate that is far too high can be right on every held-out row, and so sure of
        itself that one error among other rows would cost more than all that it gained. Held-out
        rows without an error tell nothing about that. So one row is added to the `n_rows` of all
        splits, as in Laplace's rule of succession: its features are those of the rows that were
        held out, its class is each of the classes, in equal parts.
        """
        return (n_rows * recorded["log_loss"] + recorded["uniform_log_loss"]) / (n_rows + 1)

    @classmethod
    def tempered(cls, recorded: Recorded, n_rows: float = np.inf) -> np.ndarray:
        """Return log-losses at each of TEMPERATURES, (n_temperatures, ...), in nats.

        They are Laplace-smoothed, as if a row had been added to `n_rows`; infinitely many for none.
        """
        partition = np.stack([recorded[name] for name in cls.partitions])
        share = 1 / (n_rows + 1)
        logit = (1 - share) * recorded["target_logit"] + share * recorded["mean_logit"]
        return partition - np.multiply.outer(1 / TEMPERATURES, logit)


def _partitions(logits: Any) -> list[Any]:
    """Return the logarithms of the sums of exponentials (n_rows,) at each of TEMPERATURES.

    Temperatures go down by half in three steps, and half a temperature is a square: three
    exponentials do.
    """
    powers = [ops.exp(logits / float(t)) for t in TEMPERATURES[:-4:-1]]
    while len(powers) < len(TEMPERATURES):
        powers.append(ops.square(powers[-3]))
    return [ops.log(ops.sum(power, -1)) for power in reversed(powers)]
