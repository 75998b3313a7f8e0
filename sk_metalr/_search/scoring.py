"""Scoring: what held-out rows say, to the choice and to those who read its results."""

import inspect
import warnings
from collections.abc import Callable
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

    Parameters
    ----------
    scoring : str, callable, list of str, or dict of str to str or callable
        As scikit-learn's searches take it.
    refit : bool or name of a scorer
        The parameter of the classifier.

    Raises
    ------
    ValueError
        If there is none, a name is unknown, or `refit` names none of them.
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
    scorers = {str(name): _check_scorer(scorer) for name, scorer in given.items()}
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

    Parameters
    ----------
    scorers : dict of str to (scorer or None)
        Scorers by name; None for the log-loss, which is recorded anyway.
    decisive : str
        Name of the one that chooses.
    rows : TrainingData
        All rows.
    splits : list of (train, test) row indices
        Which of them are held out in each split.
    baseline_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    smoothed : bool
        Whether the choice is made on the Laplace-smoothed log-loss.

    Attributes
    ----------
    names : list of str
        Names of the metrics that are computed from predictions; the log-loss is none of them.
    """

    def __init__(
        self,
        scorers: dict[str, Any],
        decisive: str,
        rows: TrainingData,
        splits: list[Split],
        baseline_loss: float,
        smoothed: bool = True,
    ) -> None:
        self.decisive = decisive
        self.baseline_loss = baseline_loss
        self.n_held_out = len(np.unique(np.concatenate([test for _, test in splits])))
        self._smoothed = smoothed
        self._all = list(scorers)
        self._scorers = {name: s for name, s in scorers.items() if s is not None}
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

    @property
    def chooses_by_loss(self) -> bool:
        """Tell whether the log-loss chooses, which can be compared with the baseline."""
        return self.decisive not in self._scorers

    @property
    def worst_loss(self) -> float | None:
        """The baseline loss, in nats; None where another score chooses."""
        return self.baseline_loss if self.chooses_by_loss else None

    def losses(self, recorded: Recorded) -> np.ndarray:
        """Return the losses that the choice is made on, of the shape of what was recorded.

        The log-loss, Laplace-smoothed, in nats; or else the negative of a score.
        """
        if not self.chooses_by_loss:
            return -recorded[self.decisive]
        return self.log_losses(recorded) if self._smoothed else recorded["log_loss"]

    def log_losses(self, recorded: Recorded) -> np.ndarray:
        """Return Laplace-smoothed log-losses, in nats, of the shape of what was recorded."""
        return Classification.smoothed(recorded, self.n_held_out)

    def scores(self, recorded: Recorded) -> dict[str, np.ndarray]:
        """Return scores by name, greater is better, of the shape of what was recorded."""
        return {name: self.score(name, recorded) for name in self._all}

    def score(self, name: str, recorded: Recorded) -> np.ndarray:
        """Return one of the scores."""
        return recorded[name] if name in self._scorers else -recorded["log_loss"]

    def decisive_score(self, recorded: Recorded) -> np.ndarray:
        """Return the score that chooses."""
        return self.score(self.decisive, recorded)

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

    def __init__(self, classes: Any = None, probabilities: Any = None) -> None:
        self.classes_ = classes
        self.probabilities = probabilities

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any) -> "_Predicted":
        """Return itself: scikit-learn asks for this method."""
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of the rows with these numbers."""
        return np.asarray(self.probabilities[rows[:, 0]])

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return labels of the rows with these numbers."""
        return np.asarray(self.classes_[self.predict_proba(rows).argmax(axis=1)])
