"""Held-out tasks: what a row's target is, and what a prediction of it costs."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from ._recorded import Recorded


@dataclass(frozen=True)
class Classification:
    """Rows of classes, predicted by probabilities and judged by the log-loss.

    The outputs of a model, of shape (n_rows, n_classes), are probabilities unless they come
    `from_logits`. A single column, of shape (n_rows, 1), is that of the second of two classes.
    """

    from_logits: bool = False

    recorded: ClassVar[tuple[str, ...]] = ("log_loss", "uniform_log_loss")
    """Names of what is recorded of held-out rows, in nats: the log-loss, and what it would be with
    the mean over all classes in place of each row's class."""

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
        outputs = ops.cast(outputs, "float32")
        if outputs.shape[-1] == 1:
            other = ops.zeros_like(outputs) if self.from_logits else 1.0 - outputs
            outputs = ops.concatenate([other, outputs], -1)
        if self.from_logits:
            return ops.softmax(outputs)
        return outputs / ops.sum(outputs, -1, keepdims=True)

    def losses(self, outputs: Any, target: Any, weight: Any) -> Any:
        """Return weighted sums over rows of what is :attr:`recorded`, of shape (2,), in nats.

        The rows have positions of classes as their `target`, and a `weight`, both (n_rows,).
        """
        tiny = float(np.finfo(np.float32).eps)  # as sklearn.metrics.log_loss clips
        surprise = -ops.log(ops.clip(self.predictions(outputs), tiny, 1.0 - tiny))
        of_class = ops.sum(ops.one_hot(target, surprise.shape[-1]) * surprise, -1)
        rows = ops.stack([of_class, ops.mean(surprise, -1)])
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
