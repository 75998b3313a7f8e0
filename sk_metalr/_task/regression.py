"""Regression: one number or several for each row."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from keras import ops
from sklearn.utils.validation import column_or_1d

from .._recorded import Recorded
from .base import Task
from .checks import check_unmasked
from .losses import OF_UNITS, SCALE_ONLY, loss_by_row, loss_name, same_loss
from .scaling import TargetScaler

POSITIVE = {"relu", "relu6", "softplus", "exponential"}
"""Activations whose outputs are not negative, so that targets are divided but not shifted."""

BOUNDED = {
    *("sigmoid", "hard_sigmoid", "softmax", "tanh", "hard_tanh", "softsign"),
    *("rescaling", "normalization"),
}
"""Activations of a range of their own, and layers that scale, for targets as they are."""

MAX_ROWS = 2_000
"""Rows, at most, on which the best constant prediction is looked for."""


@dataclass(frozen=True)
class Regression(Task):
    """Rows of numbers, judged by the squared error of scaled targets, or by the training loss.

    Scaled to a standard deviation of 1, the squared error is the share of the variance that is
    left, 1 - R², and comparable between outputs, of which it is the mean.

    Attributes
    ----------
    n_outputs : int
    scaling : {"standard", "positive", "none"}, see :meth:`.TargetScaler.learned`
    scales : bool, whether targets may be scaled at all
    by_training_loss : bool, whether the loss that models train on stands for the squared error
    loss_function : object or None, that loss
    """

    n_outputs: int = 1
    scaling: str = "standard"
    scales: bool = True
    by_training_loss: bool = False
    # Programs are told apart by their models, losses included.
    loss_function: Any = field(default=None, compare=False, repr=False)

    has_temperature: ClassVar[bool] = False
    ready_made_loss: ClassVar[str] = "mean_squared_error"
    if_diverged: ClassVar[str] = (
        " If the loss takes logarithms of targets, pass standardize=False; if of predictions, give "
        "the last layer activation='softplus'."
    )

    @property
    def needs_loss(self) -> bool:
        """Always: the loss says how targets are scaled."""
        return True

    @property
    def scorer_name(self) -> str:  # type: ignore[override]
        """The name of the score that is recorded anyway."""
        return "neg_loss" if self.by_training_loss else "neg_mean_squared_error"

    @property
    def score_label(self) -> str:  # type: ignore[override]
        """What that score, made a loss, is called where it is written down."""
        return self.loss_label if self.by_training_loss else "mean squared error"

    @property
    def trivially(self) -> str:  # type: ignore[override]
        """What the baseline loss is that of: always predicting …"""
        return "the best constant" if self.by_training_loss else "the mean"

    @property
    def loss_label(self) -> str:  # type: ignore[override]
        """What the recorded loss is called on an axis."""
        what = "training loss" if self.by_training_loss else "squared error"
        return f"{what} of {'scaled ' * (self.scaling != 'none')}targets"

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of what is recorded of held-out rows, whose targets are scaled.

        The loss, and, of several outputs, the squared error of each.
        """
        is_split = self.n_outputs > 1 and not self.by_training_loss
        return "loss", *(f"squared_error_{n}" for n in range(self.n_outputs if is_split else 0))

    def cast(self, y: np.ndarray) -> np.ndarray:
        """Return numbers, which scikit-learn also reads in objects and strings of objects."""
        try:
            return y.astype(np.float64) if y.dtype.kind == "O" else y
        except (TypeError, ValueError):
            return y  # which is refused next

    def of(self, y: np.ndarray) -> "Regression":
        """Return the task of numbers (n_samples,) or (n_samples, n_outputs)."""
        if y.dtype.kind not in "biuf" or y.ndim > 2:
            raise ValueError(
                "y must hold a number for each row, or several in columns. Got an array of shape "
                f"{y.shape} and type {y.dtype} instead; MetaLRClassifier predicts labels."
            )
        if not np.isfinite(y.astype(np.float64)).all():
            raise ValueError("y must hold finite numbers. Leave out rows whose target is missing.")
        TargetScaler.learned(y.astype(np.float64), self.scaling)
        return replace(self, n_outputs=1 if y.ndim == 1 else y.shape[1])

    def suited(self, loss: Any, activation: str = "linear") -> "Regression":
        """Return the task of a model that trains on a loss, with outputs of an activation."""
        name = loss_name(loss)
        is_positive = name in SCALE_ONLY or activation in POSITIVE
        scaling = "positive" if is_positive else "standard"
        if name in OF_UNITS or activation in BOUNDED or not self.scales:
            scaling = "none"
        return replace(self, scaling=scaling, loss_function=loss)

    def is_comparable(self, other: Task) -> bool:
        """Tell whether targets are scaled alike, and judged by one loss."""
        if not isinstance(other, Regression) or self != other:
            return False
        return not self.by_training_loss or same_loss(self.loss_function, other.loss_function)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"loss_function": None}  # a user's own may not be read elsewhere

    def encode(self, y: np.ndarray) -> tuple[None, np.ndarray]:
        """Return no classes, and the targets as they are, in float64."""
        return None, y.astype(np.float64)

    def encode_more(self, y: Any, known: np.ndarray, classes: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return further numbers."""
        check_unmasked(y_val=y)
        y = self.cast(column_or_1d(y) if known.ndim == 1 else np.asarray(y))
        is_alike = y.dtype.kind in "biuf" and y.shape[1:] == known.shape[1:]
        if not is_alike or not np.isfinite(y.astype(np.float64)).all():
            raise ValueError(
                f"y_val must hold finite numbers, {self.n_outputs} for each row, as y does. Got an "
                f"array of shape {y.shape} and type {y.dtype} instead."
            )
        return y.astype(np.float64), y.astype(np.float64)

    def scaler(self, y: np.ndarray, weight: np.ndarray | None = None) -> TargetScaler:
        """Return what scales targets, learned from those of training rows."""
        return TargetScaler.learned(y.astype(np.float64), self.scaling, weight)

    def baseline_loss(self, target: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the loss of the best constant: that of the mean for squared errors.

        Of another loss, the mean and the quantiles are tried, the same for all outputs. Where all
        targets are equal, it is 1 instead of 0, to measure other losses by.
        """
        columns = target.reshape(len(target), -1)
        mean = np.average(columns, axis=0, weights=weight)
        if not self.by_training_loss:
            return float(np.average((columns - mean) ** 2, axis=0, weights=weight).mean()) or 1.0
        some = np.linspace(0, len(columns) - 1, min(MAX_ROWS, len(columns))).astype(int)
        columns, weights = columns[some], None if weight is None else weight[some]
        quantiles = np.quantile(columns, np.linspace(0.01, 0.99, 99), axis=0)
        losses = [
            np.average(
                self._own_loss(np.broadcast_to(one, columns.shape), columns), weights=weights
            )
            for one in [mean, *quantiles]
        ]
        lowest = float(np.nanmin(losses))
        return lowest if lowest > 0 else 1.0

    def _own_loss(self, outputs: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the training loss of each row (n_rows,), less that of a perfect prediction."""
        target, outputs = (ops.convert_to_tensor(one, "float32") for one in (target, outputs))
        return np.asarray(self._excess(outputs, target), np.float64)

    def _excess(self, outputs: Any, target: Any) -> Any:
        # Of a Poisson loss, the least that there is depends on the target.
        least = loss_by_row(self.loss_function, target, target)
        least = ops.where(ops.isfinite(least), least, ops.zeros_like(least))
        return loss_by_row(self.loss_function, target, outputs) - least

    def predictions(self, outputs: Any) -> Any:
        """Return the outputs of a model, scaled predictions."""
        return ops.cast(outputs, "float32")

    def losses(self, outputs: Any, target: Any, weight: Any) -> Any:
        """Return weighted sums over rows of what is :attr:`recorded`, of shape (n_recorded,)."""
        outputs, target = ops.cast(outputs, "float32"), ops.cast(target, "float32")
        weight = ops.cast(weight, "float32")
        if self.by_training_loss:
            return ops.sum(self._excess(outputs, target) * weight)[None]
        errors = ops.square(outputs - target) * weight[:, None]
        of_outputs = ops.sum(errors, 0)
        loss = ops.mean(of_outputs)[None]
        return loss if self.n_outputs == 1 else ops.concatenate([loss, of_outputs])

    def predicted(self, outputs: np.ndarray, temperature: Any = 1.0) -> np.ndarray:
        """Return outputs as they are."""
        return outputs

    def exported(self, outputs: Any, temperature: float) -> Any:
        """Return symbolic outputs as they are."""
        return outputs

    def width(self, target: np.ndarray) -> int:
        """Return the number of outputs."""
        return self.n_outputs

    def smoothed(self, recorded: Recorded, n_rows: int) -> np.ndarray:
        """Return the losses."""
        return recorded["loss"]

    def scores(self, recorded: Recorded, scalers: Sequence[TargetScaler | None]) -> np.ndarray:
        """Return negative mean squared errors in units of the targets, squared."""
        squares = np.array([one.divisor**2 for one in scalers if one is not None])
        return self._scores(recorded, squares[:, :, None].swapaxes(0, 1))

    def mean_scores(self, means: Recorded, scalers: Sequence[TargetScaler | None]) -> np.ndarray:
        """Return the like, of the mean scale of all splits."""
        squares = np.mean([one.divisor**2 for one in scalers if one is not None], axis=0)
        return self._scores(means, squares)

    def _scores(self, recorded: Recorded, squares: np.ndarray) -> np.ndarray:
        """Return scores; `squares`, of each output, are those of scales."""
        if self.by_training_loss:
            return -recorded["loss"]
        names = self.recorded[1:] or self.recorded
        parts = [recorded[name] * square for name, square in zip(names, squares, strict=True)]
        return np.asarray(-sum(parts) / len(names))

    def alike(self, n_rows: int, width: int) -> np.ndarray:
        """Return the mean of scaled targets."""
        return np.full((n_rows, width), 0.0 if self.scaling == "standard" else 1.0)

    def kept(self, predictions: np.ndarray) -> np.ndarray:
        """Return predictions; those of targets that are not scaled may be of any size."""
        return predictions.astype(np.float32)

    def from_kept(
        self, kept: np.ndarray, target: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return predictions (n_rows, n_outputs), and targets of the same shape."""
        return kept.astype(np.float64), target.reshape(kept.shape), weight

    def kept_at(self, kept: np.ndarray, temperature: float) -> np.ndarray:
        """Return predictions as they are."""
        return kept

    def back_to_kept(self, predictions: np.ndarray) -> np.ndarray:
        """Return predictions as they are."""
        return predictions

    def loss(
        self,
        predictions: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        n_added: float = 1.0,
    ) -> float:
        """Return the mean loss of scaled predictions (n_rows, n_outputs)."""
        if self.by_training_loss:
            return float(np.average(self._own_loss(predictions, target), weights=weight))
        return float(np.average(((predictions - target) ** 2).mean(axis=1), weights=weight))
