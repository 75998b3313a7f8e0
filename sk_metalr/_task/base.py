"""What every task is asked for."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._recorded import Recorded
from .scaling import TargetScaler


@dataclass(frozen=True)
class Task(ABC):
    """What the targets of rows are, and what a prediction of them costs.

    Methods whose arguments are `outputs` work on a model's outputs as Keras's tensors; all others
    work on arrays. Two tasks that are equal can be served by one compiled program.
    """

    has_temperature: ClassVar[bool]
    """Whether logits can be divided by a temperature, which changes no predicted label."""

    by_training_loss = False
    """Whether that loss is the one that is recorded."""

    ready_made_loss: ClassVar[str]
    """The loss that the ready-made network trains on."""

    scorer_name: ClassVar[str]
    """The name that scikit-learn gives the score which is recorded anyway."""

    loss_label: ClassVar[str]
    """What the recorded loss is called on an axis."""

    score_label: ClassVar[str]
    """What that score, made a loss, is called where it is written down."""

    unit: ClassVar[str] = ""
    """The unit of the recorded loss, to be written behind a number."""

    trivially: ClassVar[str]
    """What the baseline loss is that of: always predicting …"""

    if_diverged: ClassVar[str] = ""
    """What may help where every candidate diverges."""

    @property
    def needs_loss(self) -> bool:
        """Whether what the task is depends on the loss that models train on; see :meth:`suited`."""
        return False

    @property
    @abstractmethod
    def recorded(self) -> tuple[str, ...]:
        """Names of what is recorded of held-out rows; the first is that of the loss."""

    def cast(self, y: np.ndarray) -> np.ndarray:
        """Return targets as arrays of a type that the task takes."""
        return y

    @abstractmethod
    def of(self, y: np.ndarray) -> "Task":
        """Return the task of these targets (n_samples, ...), or raise an error."""

    def suited(self, loss: Any, activation: str = "linear") -> "Task":
        """Return the task of a model that trains on a loss, one of Keras's or its user's.

        Its outputs come through an activation of this name.
        """
        return self

    def is_comparable(self, other: "Task") -> bool:
        """Tell whether losses that are recorded by this task and another mean the same."""
        return True

    @abstractmethod
    def encode(self, y: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """Return the classes, where there are some, and numbers that stand for the targets."""

    @abstractmethod
    def encode_more(self, y: Any, known: np.ndarray, classes: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return further targets as an array like those `known`, and numbers that stand for them.

        They are a user's own held-out rows. Raises ValueError or TypeError if they are unlike.
        """

    def strata(self, target: np.ndarray) -> np.ndarray:
        """Return a class of each row (n_samples,), each of which held-out rows have a share of."""
        return np.zeros(len(target), int)

    def scaler(self, y: np.ndarray, weight: np.ndarray | None = None) -> TargetScaler | None:
        """Return what scales targets, learned from those of training rows and their weights."""
        return None

    @abstractmethod
    def baseline_loss(self, target: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the loss of the best constant prediction.

        The rows have encoded targets (n_rows, ...), scaled, and a `weight` (n_rows,).
        """

    def uninformed_loss(self, classes: Any) -> float:
        """Return the loss of equal probabilities; 0 where there are none."""
        return 0.0

    @abstractmethod
    def predictions(self, outputs: Any) -> Any:
        """Return the predictions (n_rows, n) that the outputs of a model stand for."""

    @abstractmethod
    def losses(self, outputs: Any, target: Any, weight: Any) -> Any:
        """Return weighted sums over rows of what is :attr:`recorded`, of shape (n_recorded,).

        The rows have a scaled `target`, (n_rows, ...), and a `weight`, (n_rows,).
        """

    @abstractmethod
    def predicted(self, outputs: np.ndarray, temperature: Any = 1.0) -> np.ndarray:
        """Return predictions (..., n_rows, n) from the float64 outputs of fitted models.

        The temperature is a number, or an array (..., 1, 1) of those of several models.
        """

    def tempered(self, predictions: np.ndarray, temperature: float) -> np.ndarray:
        """Return predictions (n_rows, n) whose logits are divided by a temperature."""
        return predictions

    @abstractmethod
    def exported(self, outputs: Any, temperature: float) -> Any:
        """Return predictions from symbolic outputs of a Keras model."""

    def exported_tempered(self, predictions: Any, temperature: float) -> Any:
        """Return symbolic predictions whose logits are divided by a temperature."""
        return predictions

    @abstractmethod
    def width(self, target: np.ndarray) -> int:
        """Return how many numbers a prediction of a row has."""

    @abstractmethod
    def smoothed(self, recorded: Recorded, n_rows: int) -> np.ndarray:
        """Return held-out losses as the choice sees them, of the shape of what was recorded."""

    @abstractmethod
    def scores(self, recorded: Recorded, scalers: Sequence[TargetScaler | None]) -> np.ndarray:
        """Return the score of :attr:`scorer_name`, (n_candidates, n_splits, n_epochs).

        Each of the splits has a scaler of its own.
        """

    @abstractmethod
    def mean_scores(self, means: Recorded, scalers: Sequence[TargetScaler | None]) -> np.ndarray:
        """Return the like (...), of means over splits (...) of what was recorded."""

    @abstractmethod
    def alike(self, n_rows: int, width: int) -> np.ndarray:
        """Return predictions (n_rows, width) that know nothing."""

    @abstractmethod
    def kept(self, predictions: np.ndarray) -> np.ndarray:
        """Return predictions (..., n) as few bits as will do, for an ensemble."""

    @abstractmethod
    def from_kept(
        self, kept: np.ndarray, target: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return kept predictions (n, ...) in float64, and a target and a weight for each (n,)."""

    @abstractmethod
    def kept_at(self, kept: np.ndarray, temperature: float) -> np.ndarray:
        """Return predictions, from those of :meth:`from_kept`, at a temperature."""

    @abstractmethod
    def back_to_kept(self, predictions: np.ndarray) -> np.ndarray:
        """Return what :meth:`kept_at` would turn into these predictions at a temperature of 1."""

    @abstractmethod
    def loss(
        self,
        predictions: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        n_added: float = 1.0,
    ) -> float:
        """Return the loss of predictions, with `n_added` cautious rows where the task has such."""
