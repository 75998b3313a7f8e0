"""Scoring: what held-out rows say, to the choice and to those who read its results."""

import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import check_scoring, get_scorer_names

from .._data import TrainingData
from .._recorded import Recorded
from .._splits import Split
from .._task import Classification

LOG_LOSS = "neg_log_loss"


def check_scorers(scoring: Any, refit: bool | str) -> tuple[dict[str, Any], str]:
    """Return scorers by name, None for the log-loss, and the name of the one that chooses.

    Takes `scoring` and `refit` as scikit-learn's searches do. Raises ValueError if there is no
    scorer, a name is unknown, or `refit` names none of them.
    """
    if callable(scoring):
        scoring = {"score": scoring}
    elif not isinstance(scoring, dict):
        names = [scoring] if isinstance(scoring, str) else scoring
        scoring = {str(name): name for name in names}
    if not scoring:
        raise ValueError(
            "The 'scoring' parameter of MetaLRClassifier must hold at least one scorer. Got an "
            "empty list instead; leave it out for the log-loss."
        )
    scorers = {str(name): _check_scorer(scorer) for name, scorer in scoring.items()}
    decisive = refit if isinstance(refit, str) else next(iter(scorers))
    if decisive not in scorers:
        raise ValueError(
            "The 'refit' parameter of MetaLRClassifier must be a bool or the name of one of the "
            f"scorers {list(scorers)}. Got {refit!r} instead."
        )
    return scorers, decisive


def _check_scorer(scorer: Any) -> Any:
    if isinstance(scorer, str) and scorer == LOG_LOSS:
        return None
    if callable(scorer) or (isinstance(scorer, str) and scorer in get_scorer_names()):
        return check_scoring(_Predicted(), scoring=scorer)
    raise ValueError(
        "The 'scoring' parameter of MetaLRClassifier must hold names of scorers "
        f"(sklearn.metrics.get_scorer_names() lists them) or functions. Got {scorer!r} instead."
    )


class Scoring:
    """The scores of a search, and the losses that its choice is made on.

    The scorer of the log-loss, which is recorded anyway, is None; `decisive` names the one that
    chooses. The baseline loss is the log-loss of always predicting the class frequencies, in nats.
    `names` are those of the metrics that are computed from predictions.
    """

    def __init__(
        self,
        scorers: dict[str, Any],
        decisive: str,
        rows: TrainingData,
        splits: list[Split],
        baseline_loss: float,
    ) -> None:
        self.decisive = decisive
        self.names = [name for name, scorer in scorers.items() if scorer is not None]
        self._scorers, self._classes, self._baseline_loss = scorers, rows.classes, baseline_loss
        self._n_held_out = len(np.unique(np.concatenate([test for _, test in splits])))
        weight = rows.sample_weight
        self._held_out = [
            (rows.y[test], None if weight is None else weight[test]) for _, test in splits
        ]
        for split in range(len(splits) if self.names else 0):
            self._check(split)

    def _check(self, split: int) -> None:
        """Raise ValueError where a scorer cannot score the rows of a split at all."""
        n_test, n_classes = len(self._held_out[split][0]), len(self._classes)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of equal probabilities much is undefined
                self(split, np.full((n_test, n_classes), 1 / n_classes))
        except (TypeError, ValueError) as error:
            raise ValueError(
                "The 'scoring' parameter of MetaLRClassifier must suit what is held out. One of "
                f"{self.names} cannot score the rows of split {split}: {error}"
            ) from error

    @property
    def worst_loss(self) -> float | None:
        """The baseline loss, in nats; None where another score than the log-loss chooses."""
        return None if self.decisive in self.names else self._baseline_loss

    def losses(self, recorded: Recorded) -> np.ndarray:
        """Return the losses that the choice is made on: log-losses, or negatives of a score."""
        if self.decisive in self.names:
            return -recorded[self.decisive]
        return self.log_losses(recorded)

    def log_losses(self, recorded: Recorded) -> np.ndarray:
        """Return Laplace-smoothed log-losses, in nats, of the shape of what was recorded."""
        return Classification.smoothed(recorded, self._n_held_out)

    def scores(self, recorded: Recorded) -> dict[str, np.ndarray]:
        """Return scores by name, greater is better, of the shape of what was recorded."""
        return {
            name: -recorded["log_loss"] if scorer is None else recorded[name]
            for name, scorer in self._scorers.items()
        }

    def decisive_score(self, recorded: Recorded) -> np.ndarray:
        """Return the score that chooses."""
        return self.scores(recorded)[self.decisive]

    def __call__(self, split: int, probabilities: np.ndarray) -> np.ndarray:
        """Return scores (n_metrics,), greater is better, of probabilities (n_test, n_classes)."""
        y, weight = self._held_out[split]
        probabilities = probabilities.astype(np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        predicted = _Predicted(self._classes, probabilities)
        rows = np.arange(len(y))[:, None]
        scorers = [self._scorers[name] for name in self.names]
        return np.array([_score(scorer, predicted, rows, y, weight) for scorer in scorers])


def _score(scorer: Any, predicted: Any, rows: np.ndarray, y: np.ndarray, weight: Any) -> float:
    function = getattr(scorer, "_score_func", None)
    if weight is not None and function is not None:
        # A function of the user's need not know weights; scikit-learn's own do.
        parameters = inspect.signature(function).parameters.values()
        if any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters):
            return float(scorer(predicted, rows, y, sample_weight=weight))
    return float(scorer(predicted, rows, y))


class _Predicted(ClassifierMixin, BaseEstimator):
    """A classifier that has predicted already."""

    def __init__(self, classes: Any = None, probabilities: Any = None) -> None:
        self.classes_ = classes
        self.probabilities = probabilities

    def fit(self, X: Any, y: Any) -> "_Predicted":
        """Return itself: scikit-learn asks for this method."""
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of the rows with these numbers."""
        return np.asarray(self.probabilities[rows[:, 0]])

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return labels of the rows with these numbers."""
        return np.asarray(self.classes_[self.predict_proba(rows).argmax(axis=1)])
