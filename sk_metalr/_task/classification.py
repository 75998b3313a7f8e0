"""Classification: one class of several for each row, or several labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from keras import ops
from scipy.special import expit, log_softmax, softmax
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from .._recorded import Recorded
from .base import Task
from .checks import check_sortable, check_unmasked
from .losses import SCORES, loss_name
from .scaling import TargetScaler

TEMPERATURES = 2.0 ** (np.arange(-6, 10) / 3)
"""What logits are divided by on trial: from 0.25 to 8, 1 among them."""

EPSILON = float(np.finfo(np.float32).eps)

LOWEST = -80.0
"""Logarithm of the lowest probability that is told from 0 in what is kept."""


@dataclass(frozen=True)
class Classification(Task):
    """Rows of classes, predicted by probabilities and judged by the log-loss.

    The outputs of a model, of shape (n_rows, n_classes), are probabilities unless they come
    `from_logits`. A single column, of shape (n_rows, 1), is that of the second of two classes.
    Log-losses at other temperatures are recorded only `with_temperatures`.
    """

    from_logits: bool = False
    with_temperatures: bool = True

    has_temperature: ClassVar[bool] = True
    ready_made_loss: ClassVar[str] = "sparse_categorical_crossentropy"
    scorer_name: ClassVar[str] = "neg_log_loss"
    loss_label: ClassVar[str] = "log-loss (nats)"
    score_label: ClassVar[str] = "log-loss (nats)"
    unit: ClassVar[str] = " nats"
    trivially: ClassVar[str] = "the class frequencies"

    partitions: ClassVar[tuple[str, ...]] = tuple(f"partition_{t:.3g}" for t in TEMPERATURES)

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of what is recorded of held-out rows, in nats.

        The log-loss; what it would be with the mean over all classes in place of each row's class;
        and, with temperatures, the logit of each row's class, and the mean over classes, where the
        highest is 0; and the logarithm of the sum of the exponentials of all logits, divided by
        each temperature, from which the log-loss at that temperature follows.
        """
        losses = "log_loss", "uniform_log_loss"
        if not self.with_temperatures:
            return losses
        return *losses, "target_logit", "mean_logit", *self.partitions

    def of(self, y: np.ndarray) -> "Classification":
        """Return the task of labels (n_samples,), or of an indicator matrix (n_samples, n)."""
        from .labels import MultiLabel, is_one_hot  # which are classifications themselves

        _check_labels(y)
        if y.ndim == 1:
            return self
        return MultiLabel(
            self.from_logits, self.with_temperatures, y.shape[1], is_one_hot=is_one_hot(y)
        )

    def suited(self, loss: Any, activation: str = "linear") -> "Classification":
        """Return the task of a model that trains on a loss."""
        has_logits = bool(getattr(loss, "from_logits", False)) or loss_name(loss) in SCORES
        return replace(self, from_logits=has_logits)

    def is_comparable(self, other: Task) -> bool:
        """Tell whether both are of classes, or of labels."""
        return type(self) is type(other)

    def encode(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes, and the position of each row's class among them."""
        classes, target = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y holds one class only ({classes.tolist()[0]!r}); give at least 2.")
        return classes, target.astype(np.int32)

    def encode_more(self, y: Any, known: np.ndarray, classes: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return further labels, and their positions among the classes."""
        check_unmasked(y_val=y)
        y = column_or_1d(y, dtype=known.dtype if known.dtype == object else None)
        try:
            unknown = np.setdiff1d(y, classes)
        except TypeError as error:
            raise TypeError(
                f"y_val must hold labels of the type that y holds, such as {known.tolist()[0]!r}."
            ) from error
        if unknown.size:
            raise ValueError(
                f"y_val holds the class {unknown.tolist()[0]!r}, which y does not; leave its rows "
                "out of X_val and y_val."
            )
        return y, np.asarray(np.searchsorted(classes, y), np.int32)

    def strata(self, target: np.ndarray) -> np.ndarray:
        """Return the class of each row."""
        return target

    def baseline_loss(self, target: np.ndarray, weight: np.ndarray | None) -> float:
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
        return ops.sum(self._by_row(outputs, target) * ops.cast(weight, "float32"), -1)

    def _by_row(self, outputs: Any, target: Any) -> Any:
        """Return what is recorded of outputs (..., n_classes) or (..., 1): (n_recorded, ...)."""
        # As sklearn.metrics.log_loss clips.
        probabilities = Classification.predictions(self, outputs)
        surprise = -ops.log(ops.clip(probabilities, EPSILON, 1.0 - EPSILON))
        is_class = ops.one_hot(target, surprise.shape[-1])
        by_row = ops.stack([ops.sum(is_class * surprise, -1), ops.mean(surprise, -1)])
        if not self.with_temperatures:
            return by_row
        logits = Classification.logits(self, ops.cast(outputs, "float32"))
        of_logits = ops.stack([ops.sum(is_class * logits, -1), ops.mean(logits, -1)])
        return ops.concatenate([by_row, of_logits, _partitions(logits)])

    def predicted(self, outputs: np.ndarray, temperature: Any = 1.0) -> np.ndarray:
        """Return probabilities (..., n_classes) from outputs (..., n_classes) or (..., 1)."""
        if np.any(temperature != 1.0):
            return np.asarray(softmax(np.asarray(self.logits(outputs)) / temperature, axis=-1))
        if outputs.shape[-1] == 1:
            positive = expit(outputs) if self.from_logits else outputs
            return np.concatenate([1 - positive, positive], axis=-1)
        if self.from_logits:
            return np.asarray(softmax(outputs, axis=-1))
        return np.asarray(outputs / outputs.sum(axis=-1, keepdims=True))

    def tempered(self, predictions: np.ndarray, temperature: float) -> np.ndarray:
        """Return probabilities whose logarithms are divided by a temperature."""
        if temperature == 1.0:
            return predictions
        with np.errstate(divide="ignore"):
            return np.asarray(softmax(np.log(predictions) / temperature, axis=1))

    def exported(self, outputs: Any, temperature: float) -> Any:
        """Return symbolic probabilities at a temperature."""
        return ops.softmax(self.logits(outputs) / temperature)

    def exported_tempered(self, predictions: Any, temperature: float) -> Any:
        """Return symbolic probabilities whose logarithms are divided by a temperature."""
        if temperature == 1.0:
            return predictions
        return ops.softmax(ops.log(ops.maximum(predictions, 1e-37)) / temperature)

    def width(self, target: np.ndarray) -> int:
        """Return the number of classes."""
        return int(target.max()) + 1

    def smoothed(self, recorded: Recorded, n_rows: int) -> np.ndarray:
        """Return log-losses, in nats, as if one more row had been held out whose class is unknown.

        A learning rate that is far too high can be right on every held-out row, and so sure of
        itself that one error among other rows would cost more than all that it gained. Held-out
        rows without an error tell nothing about that. So one row is added to the `n_rows` of all
        splits, as in Laplace's rule of succession: its features are those of the rows that were
        held out, its class is each of the classes, in equal parts.
        """
        return (n_rows * recorded["log_loss"] + recorded["uniform_log_loss"]) / (n_rows + 1)

    @classmethod
    def at_temperatures(cls, recorded: Recorded, n_rows: float = np.inf) -> np.ndarray:
        """Return log-losses at each of TEMPERATURES, (n_temperatures, ...), in nats.

        They are Laplace-smoothed, as if a row had been added to `n_rows`; infinitely many for none.
        """
        partition = np.stack([recorded[name] for name in cls.partitions])
        share = 1 / (n_rows + 1)
        logit = (1 - share) * recorded["target_logit"] + share * recorded["mean_logit"]
        return partition - np.multiply.outer(1 / TEMPERATURES, logit)

    def scores(self, recorded: Recorded, scalers: Sequence[TargetScaler | None]) -> np.ndarray:
        """Return negative log-losses, in nats."""
        return -recorded["log_loss"]

    def mean_scores(self, means: Recorded, scalers: Sequence[TargetScaler | None]) -> np.ndarray:
        """Return negative log-losses, in nats."""
        return -means["log_loss"]

    def uninformed_loss(self, classes: Any) -> float:
        """Return the loss of equal probabilities."""
        return float(np.log(len(classes)))

    def alike(self, n_rows: int, width: int) -> np.ndarray:
        """Return equal probabilities."""
        return np.full((n_rows, width), 1 / width)

    def classes_of_labels(self, classes: np.ndarray) -> Any:
        """Return the classes as scikit-learn's scorers tell the kind of targets from them."""
        return classes

    def labels(self, predictions: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return the most probable class of each row (n_rows,)."""
        return np.asarray(classes[predictions.argmax(axis=1)])

    def kept(self, predictions: np.ndarray) -> np.ndarray:
        """Return the logarithms of probabilities."""
        return np.log(np.maximum(predictions, np.exp(LOWEST))).astype(np.float16)

    def from_kept(
        self, kept: np.ndarray, target: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return logarithms of probabilities (n, n_classes), with a class and a weight each."""
        return kept.astype(np.float64), target, weight

    def kept_at(self, kept: np.ndarray, temperature: float) -> np.ndarray:
        """Return probabilities (n, n_classes) at a temperature."""
        return np.exp(log_softmax(kept / temperature, axis=1))

    def back_to_kept(self, predictions: np.ndarray) -> np.ndarray:
        """Return the logarithms of probabilities."""
        return np.log(predictions)

    def loss(
        self,
        predictions: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        n_added: float = 1.0,
    ) -> float:
        """Return the Laplace-smoothed log-loss of probabilities (n, n_classes), in nats."""
        surprise, n_rows = -np.log(predictions), len(predictions)
        of_class = surprise[np.arange(n_rows), target]
        loss = np.average(of_class, weights=weight)
        uniform = np.average(surprise.mean(axis=1), weights=weight)
        return float((n_rows * loss + n_added * uniform) / (n_rows + n_added))


def _partitions(logits: Any) -> Any:
    """Return the logarithms of the sums of exponentials (n_temperatures, ...) of logits (..., n).

    They are one more axis: XLA compiles that in half the time that it takes for as many results.
    """
    tempered = logits[..., None, :] / TEMPERATURES.astype(np.float32)[:, None]
    return ops.moveaxis(ops.log(ops.sum(ops.exp(tempered), -1)), -1, 0)


def _check_labels(y: np.ndarray) -> None:
    """Raise a clear error where labels are no classes, and no zeros and ones in columns."""
    if y.dtype.kind == "V":
        raise ValueError(f"y must hold one label in each row, number or string. Got {y.dtype}.")
    if y.dtype.kind in "mM" and np.isnat(y).any():
        raise ValueError("y holds NaT (not a time); leave out rows without a label.")
    if y.ndim == 1:
        if y.dtype.kind == "O":
            check_sortable(y, "y")
        with np.errstate(invalid="ignore"):  # of huge floats scikit-learn asks if they are ints
            check_classification_targets(y)
    elif y.ndim != 2 or y.dtype.kind not in "biuf" or not np.isin(y, (0, 1)).all():
        raise ValueError(
            "y must hold one label in each row, or, of several labels that a row may have, zeros "
            f"and ones in a column for each. Got an array of shape {y.shape} and type {y.dtype} "
            "instead; sklearn.preprocessing.MultiLabelBinarizer makes such columns."
        )
