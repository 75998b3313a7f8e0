"""Metrics: what held-out probabilities are worth to scikit-learn's scorers."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer, get_scorer_names

from .._data import TrainingData
from .._splits import Split

__all__ = ["LOG_LOSS", "HeldOutMetrics", "check_scoring", "decisive_scorer"]

LOG_LOSS = "neg_log_loss"


def check_scoring(scoring: Any) -> dict[str, Any]:
    """Return scorers by name.

    Parameters
    ----------
    scoring : str, callable, list of str, or dict of str to str or callable
        As scikit-learn's searches take it.

    Raises
    ------
    ValueError
        If there is none, or a name is unknown.
    """
    if isinstance(scoring, str):
        given: dict[str, Any] = {scoring: scoring}
    elif callable(scoring):
        given = {"score": scoring}
    else:
        given = scoring if isinstance(scoring, dict) else {str(name): name for name in scoring}
    if not given:
        raise ValueError(
            "The 'scoring' parameter of MetaLRClassifier must hold at least one scorer. Got an "
            "empty list instead; leave it out for the log-loss."
        )
    return {str(name): _check_scorer(scorer) for name, scorer in given.items()}


def decisive_scorer(scorers: dict[str, Any], refit: bool | str) -> str:
    """Return the name of the scorer that chooses.

    Parameters
    ----------
    scorers : dict of str to object
        What :func:`check_scoring` returned.
    refit : bool, "committee" or name of a scorer
        The parameter of the classifier.

    Raises
    ------
    ValueError
        If it names none of the scorers.
    """
    if not isinstance(refit, str) or refit == "committee":
        return next(iter(scorers))
    if refit not in scorers:
        raise ValueError(
            "The 'refit' parameter of MetaLRClassifier must be a bool, 'committee', or the "
            f"name of one of the scorers {list(scorers)}. Got {refit!r} instead."
        )
    return refit


def _check_scorer(scorer: Any) -> Any:
    if callable(scorer) or (isinstance(scorer, str) and scorer in get_scorer_names()):
        return LOG_LOSS if scorer == LOG_LOSS else get_scorer(scorer)
    raise ValueError(
        "The 'scoring' parameter of MetaLRClassifier must hold names of scorers "
        f"(sklearn.metrics.get_scorer_names() lists them) or functions. Got {scorer!r} instead."
    )


class HeldOutMetrics:
    """Scores of probabilities that a population predicts for held-out rows.

    Parameters
    ----------
    scorers : dict of str to scorer
        What :func:`check_scoring` returned.
    rows : TrainingData
        All rows.
    splits : list of (train, test) row indices
        Which of them are held out in each split.

    Attributes
    ----------
    names : list of str
        Names of the metrics that are computed here; the log-loss is not.
    """

    def __init__(
        self,
        scorers: dict[str, Any],
        rows: TrainingData,
        splits: list[Split],
    ) -> None:
        self._all = scorers
        self._scorers = {name: s for name, s in scorers.items() if s is not LOG_LOSS}
        self._classes = rows.classes
        weight = rows.sample_weight
        self._held_out = [
            (rows.y[test], None if weight is None else weight[test]) for _, test in splits
        ]
        self.names = list(self._scorers)
        for split in range(len(splits) if self._scorers else 0):
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

    def position(self, name: str) -> int | None:
        """Return the position of a metric among those computed here; None for the log-loss."""
        return self.names.index(name) if name in self.names else None

    def scores(self, recorded: np.ndarray) -> dict[str, np.ndarray]:
        """Return scores by name, each of shape (n_candidates, n_splits, n_epochs).

        Parameters
        ----------
        recorded : ndarray of shape (2 + n_metrics, n_candidates, n_splits, n_epochs)
            What a population recorded: log-loss, its mean over all classes, scores.
        """
        positions = {name: self.position(name) for name in self._all}
        return {
            name: -recorded[0] if position is None else recorded[2 + position]
            for name, position in positions.items()
        }

    def __call__(self, split: int, probabilities: np.ndarray) -> np.ndarray:
        """Return scores of shape (n_metrics,), greater is better.

        Parameters
        ----------
        split : int
            Number of the split.
        probabilities : ndarray of shape (n_test, n_classes)
            Of its held-out rows.
        """
        y, weight = self._held_out[split]
        probabilities = probabilities.astype(np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        predicted = _Predicted(self._classes, probabilities)
        rows = np.arange(len(y))[:, None]
        return np.array([_score(s, predicted, rows, y, weight) for s in self._scorers.values()])


def _score(
    scorer: Callable[..., float], predicted: Any, rows: np.ndarray, y: np.ndarray, weight: Any
) -> float:
    # A function of the user's need not know weights; scikit-learn's own do.
    takes_weight = weight is not None and _takes_weight(getattr(scorer, "_score_func", None))
    return float(scorer(predicted, rows, y, **({"sample_weight": weight} if takes_weight else {})))


def _takes_weight(function: Callable[..., float] | None) -> bool:
    if function is None:
        return False
    parameters = inspect.signature(function).parameters.values()
    return any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)


class _Predicted(ClassifierMixin, BaseEstimator):
    """A classifier that has predicted already."""

    def __init__(self, classes: np.ndarray, probabilities: np.ndarray) -> None:
        self.classes_ = classes
        self.probabilities = probabilities

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of the rows with these numbers."""
        return self.probabilities[rows[:, 0]]

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return labels of the rows with these numbers."""
        return self.classes_[self.predict_proba(rows).argmax(axis=1)]
