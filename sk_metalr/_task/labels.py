"""Matrices of zeros and ones: several labels in a row, or one class, of which each has a column."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from keras import ops
from scipy.special import expit, log_expit

from .checks import check_unmasked
from .classification import EPSILON, Classification
from .losses import ON_CATEGORIES, loss_name


@dataclass(frozen=True)
class MultiLabel(Classification):
    """Rows that have several labels or none, each predicted by a probability of its own.

    Outputs, of shape (n_rows, n_labels), are probabilities or logits of having each label. The
    log-loss of a row is the mean over labels, as Keras's binary cross-entropy is. Where each row
    has one label (`is_one_hot`), the loss that models train on tells whether they are classes.
    """

    n_labels: int = 1
    is_one_hot: bool = False

    ready_made_loss: ClassVar[str] = "binary_crossentropy"
    trivially: ClassVar[str] = "the frequencies of the labels"

    @property
    def needs_loss(self) -> bool:
        """Whether the loss that models train on tells labels from classes."""
        return self.is_one_hot

    def suited(self, loss: Any, activation: str = "linear") -> Classification:
        """Return the task of a model that trains on a loss: of classes, if that is."""
        is_own = not loss_name(loss) and activation == "softmax"
        if self.is_one_hot and (is_own or loss_name(loss) in ON_CATEGORIES):
            of_classes = OneHot(with_temperatures=self.with_temperatures)
            return of_classes.suited(loss, activation)
        return super().suited(loss, activation)

    def encode(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the labels, and the matrix of who has which."""
        return np.arange(y.shape[1]), y.astype(np.int32)

    def encode_more(self, y: Any, known: np.ndarray, classes: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return a further matrix of zeros and ones."""
        check_unmasked(y_val=y)
        y = np.asarray(y.toarray() if scipy.sparse.issparse(y) else y)
        if y.ndim != 2 or y.shape[1] != known.shape[1] or not np.isin(y, (0, 1)).all():
            raise ValueError(
                f"y_val must hold zeros and ones in {known.shape[1]} columns, as y does. Got an "
                f"array of shape {y.shape} and type {y.dtype} instead."
            )
        return y.astype(known.dtype), y.astype(np.int32)

    def strata(self, target: np.ndarray) -> np.ndarray:
        """Return one stratum for all rows."""
        return np.zeros(len(target), int)

    def baseline_loss(self, target: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the mean over labels of the entropy of having it, in nats."""
        share = np.average(target, axis=0, weights=weight)
        both = np.stack([share, 1 - share])
        entropy = -(both * np.log(np.where(both > 0, both, 1.0))).sum(axis=0).mean()
        # Where each label is had by all rows or by none, a coin's entropy measures other losses.
        return float(entropy) or float(np.log(2))

    def predictions(self, outputs: Any) -> Any:
        """Return the probabilities (n_rows, n_labels) that the outputs of a model stand for."""
        outputs = ops.cast(outputs, "float32")
        return ops.sigmoid(outputs) if self.from_logits else outputs

    def _by_row(self, outputs: Any, target: Any) -> Any:
        return ops.mean(super()._by_row(ops.expand_dims(outputs, -1), target), -1)

    def predicted(self, outputs: np.ndarray, temperature: Any = 1.0) -> np.ndarray:
        """Return probabilities (..., n_rows, n_labels) from outputs of that shape."""
        if np.all(temperature == 1.0):
            return np.asarray(expit(outputs)) if self.from_logits else outputs
        of_both = np.asarray(temperature)[..., None]
        return np.asarray(super().predicted(outputs[..., None], of_both)[..., 1])

    def tempered(self, predictions: np.ndarray, temperature: float) -> np.ndarray:
        """Return probabilities whose logits are divided by a temperature."""
        if temperature == 1.0:
            return predictions
        with np.errstate(divide="ignore"):
            logits = np.log(predictions) - np.log1p(-predictions)
        return np.asarray(expit(logits / temperature))

    def exported(self, outputs: Any, temperature: float) -> Any:
        """Return symbolic probabilities at a temperature."""
        both = self.logits(ops.expand_dims(outputs, -1))
        return ops.softmax(both / temperature)[..., 1]

    def exported_tempered(self, predictions: Any, temperature: float) -> Any:
        """Return symbolic probabilities whose logits are divided by a temperature."""
        if temperature == 1.0:
            return predictions
        inside = ops.clip(predictions, EPSILON, 1 - EPSILON)
        return ops.sigmoid((ops.log(inside) - ops.log(1 - inside)) / temperature)

    def width(self, target: np.ndarray) -> int:
        """Return the number of labels."""
        return int(target.shape[1])

    def uninformed_loss(self, classes: Any) -> float:
        """Return the loss of probabilities of a half."""
        return float(np.log(2))

    def alike(self, n_rows: int, width: int) -> np.ndarray:
        """Return probabilities of a half."""
        return np.full((n_rows, width), 0.5)

    def classes_of_labels(self, classes: np.ndarray) -> Any:
        """Return without and with, for each label; two numbers would be taken for two classes."""
        return [np.array([0, 1])] * len(classes)

    def labels(self, predictions: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return which labels each row has rather than not: zeros and ones (n_rows, n_labels)."""
        return (predictions > 0.5).astype(int)

    def kept(self, predictions: np.ndarray) -> np.ndarray:
        """Return logits."""
        # Near 1, float32 resolves no more; near 0 it would, and one side must not be surer.
        inside = np.clip(predictions.astype(np.float64), EPSILON, 1 - EPSILON)
        return (np.log(inside) - np.log1p(-inside)).astype(np.float16)

    def from_kept(
        self, kept: np.ndarray, target: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return logarithms of both probabilities of each label of each row (n, 2)."""
        logits = kept.astype(np.float64).ravel()
        both = np.stack([log_expit(-logits), log_expit(logits)], axis=1)
        return both, target.ravel(), np.repeat(weight, target.shape[1])

    def loss(
        self,
        predictions: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        n_added: float = 1.0,
    ) -> float:
        """Return the Laplace-smoothed log-loss of probabilities (n, 2), in nats."""
        return super().loss(predictions, target, weight, n_added * self.n_labels)


@dataclass(frozen=True)
class OneHot(Classification):
    """Rows of classes, of which the targets have a column each, as Keras's users know them."""

    def encode(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the columns, and that of each row's 1."""
        return np.arange(y.shape[1]), y.argmax(axis=1).astype(np.int32)

    def encode_more(self, y: Any, known: np.ndarray, classes: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return a further matrix of one 1 in each row, and its numbers."""
        y, _ = MultiLabel().encode_more(y, known, classes)
        if not is_one_hot(y):
            raise ValueError("y_val must hold one 1 in each row, as y does.")
        return y, self.encode(y)[1]

    def classes_of_labels(self, classes: np.ndarray) -> Any:
        """Return without and with, for each column."""
        return MultiLabel().classes_of_labels(classes)

    def labels(self, predictions: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return zeros, and a 1 for the most probable class of each row: (n_rows, n_classes)."""
        return np.eye(len(classes), dtype=int)[predictions.argmax(axis=1)]


def is_one_hot(y: np.ndarray) -> bool:
    """Tell whether each row of zeros and ones (n_rows, n > 1) has one 1."""
    return y.shape[1] > 1 and bool((y.sum(axis=1) == 1).all())
