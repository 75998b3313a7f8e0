"""Scoring: what held-out rows say, to the choice and to those who read its results."""

import inspect
import warnings
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import check_scoring, get_scorer_names

from .._data import TrainingData
from .._recorded import Recorded
from .._splits import Split
from .._task import Task
from .._task.classification import TEMPERATURES, Classification
from .calibration import at_positions, best_positions, restrained, temperature_at
from .selection import Choice
from .surface import weights_around

ROWS_ADDED = 0.2
"""Rows that are added to those held out where the temperature of the refit is fitted. On six tables
one row, as for the choice, was worse by 0.004 nats, 0.1 better by 0.001 than 0.3; on nine others
it made no difference."""


def check_scorers(scoring: Any, refit: bool | str, task: Task) -> tuple[dict[str, Any], str]:
    """Return scorers by name, None for what the task records, and the name of the one that chooses.

    Takes `scoring` and `refit` as scikit-learn's searches do. Raises ValueError if there is no
    scorer, a name is unknown, or `refit` names none of them.
    """
    if callable(scoring):
        scoring = {"score": scoring}
    elif not isinstance(scoring, dict):
        names = [task.scorer_name] if scoring is None else scoring
        names = [names] if isinstance(names, str) else names
        scoring = {str(name): name for name in names}
    if not scoring:
        raise ValueError(
            "The 'scoring' parameter must hold at least one scorer. Got an empty list instead; "
            f"leave it out for {task.scorer_name!r}."
        )
    scorers = {str(name): _check_scorer(scorer, task) for name, scorer in scoring.items()}
    decisive = refit if isinstance(refit, str) else next(iter(scorers))
    if decisive not in scorers:
        raise ValueError(
            "The 'refit' parameter must be a bool or the name of one of the "
            f"scorers {list(scorers)}. Got {refit!r} instead."
        )
    return scorers, decisive


def _check_scorer(scorer: Any, task: Task) -> Any:
    if isinstance(scorer, str) and scorer == task.scorer_name:
        return None
    if callable(scorer) or (isinstance(scorer, str) and scorer in get_scorer_names()):
        kind = _Classified if task.has_temperature else _Predicted
        return check_scoring(kind(), scoring=scorer)
    raise ValueError(
        "The 'scoring' parameter must hold names of scorers "
        f"(sklearn.metrics.get_scorer_names() lists them) or functions. Got {scorer!r} instead."
    )


class Scoring:
    """The scores of a search, and the losses that its choice is made on.

    The scorer of what is recorded anyway, such as the log-loss, is None; `decisive` names the one
    that chooses. The baseline loss is that of the best constant prediction. `names` are those under
    which the metrics that are computed from predictions are recorded.
    """

    def __init__(
        self,
        scorers: dict[str, Any],
        decisive: str,
        rows: TrainingData,
        splits: list[Split],
        baseline_loss: float,
        calibrate: bool,
    ) -> None:
        self.decisive = decisive
        self.calibrate = calibrate
        self._computed = [name for name, scorer in scorers.items() if scorer is not None]
        self.names = [_recorded_as(name) for name in self._computed]
        self._scorers, self._classes, self._baseline_loss = scorers, rows.classes, baseline_loss
        self._task = rows.task
        # Predictions are probabilities already, whatever the model's outputs are.
        task: Any = rows.task
        of_logits = getattr(task, "from_logits", False)
        self._of_predictions = replace(task, from_logits=False) if of_logits else task
        self._scalers = [rows.scaler(train) for train, _ in splits]
        self._width = rows.task.width(rows.target)
        self._n_held_out = len(np.unique(np.concatenate([test for _, test in splits])))
        weight = rows.sample_weight
        self._held_out = [
            (rows.y[test], None if weight is None else weight[test]) for _, test in splits
        ]
        self._unweighted: set[str] = set()
        alike = [self._of_equal_predictions(split) for split in range(len(splits))]
        self._knowing_nothing = {
            name: -float(np.mean([one[name] for one in alike])) for name in self._computed
        }

    def _of_equal_predictions(self, split: int) -> dict[str, float]:
        """Return scores by name where all rows of a split are predicted alike; raise ValueError
        where a scorer cannot score these rows at all.
        """
        n_test, scores = len(self._held_out[split][0]), {}
        if not self._computed:
            return {}
        predicted, y, weight = self._predicted(split, self._task.alike(n_test, self._width))
        for name in self._computed:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of equal predictions much is undefined
                    scores[name] = self._weighted_or_not(name, predicted, y, weight)
            except (TypeError, ValueError, AttributeError) as error:
                raise ValueError(
                    f"The 'scoring' parameter must suit what is held out. {name!r} cannot score "
                    f"the rows of split {split}: {error}"
                ) from error
        return scores

    @property
    def worst_loss(self) -> float | None:
        """The baseline loss; None where another score than what the task records chooses."""
        return None if self.decisive in self._computed else self._baseline_loss

    def losses(self, recorded: Recorded) -> list[np.ndarray]:
        """Return the losses that the choice is made on, those recorded or negatives of a score.

        They are of the shape of what was recorded; one array for the weights, and one for averages.
        """
        views = recorded.views
        if self.decisive in self._computed:
            scores = np.stack([view[_recorded_as(self.decisive)] for view in views])
            flat = flattened(-scores, self._knowing_nothing[self.decisive])
            return [self._losses(view, one) for view, one in zip(views, flat, strict=True)]
        return [self._losses(view) for view in views]

    def _losses(self, recorded: Recorded, losses: np.ndarray | None = None) -> np.ndarray:
        if losses is not None:
            # A prediction that a scorer refuses is as bad as the worst, and has not diverged.
            known = np.isfinite(losses)
            worst = losses[known].max(initial=-np.inf) if known.any() else np.nan
            return np.where(~known & np.isfinite(recorded.loss), worst, losses)
        return self.calibrated(recorded) if self.calibrate else self.smoothed(recorded)

    def smoothed(self, recorded: Recorded) -> np.ndarray:
        """Return losses of the shape of what was recorded, log-losses Laplace-smoothed."""
        return self._task.smoothed(recorded, self._n_held_out)

    def calibrated(self, recorded: Recorded) -> np.ndarray:
        """Return the same at a temperature of each candidate after each epoch, which is restrained.

        See :data:`.calibration.SPREAD`.
        """
        losses = Classification.at_temperatures(recorded, self._n_held_out)
        with_prior = restrained(losses.mean(axis=2), TEMPERATURES, self._n_held_out)
        return self._at(best_positions(with_prior), losses)

    def _positions(self, recorded: Recorded) -> np.ndarray:
        """Return positions of the best temperatures, of all splits: (n_candidates, n_epochs)."""
        losses = Classification.at_temperatures(recorded, self._n_held_out / ROWS_ADDED)
        return best_positions(losses.mean(axis=2))

    def _at(self, positions: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """Return losses (n_candidates, n_splits, n_epochs) at positions of temperatures."""
        return at_positions(losses, np.repeat(positions[:, None], losses.shape[2], axis=1))

    def temperature(self, recorded: Recorded, choice: Choice) -> float:
        """Return the best temperature of what was chosen, smoothed over the epochs around.

        Less than a row is added to those held out: the refit has more of them to train on, and is
        right to be surer.
        """
        if not self.calibrate:
            return 1.0
        index, n_epochs = choice.index, choice.n_epochs[choice.index]
        chosen = recorded.views[int(choice.is_averaged[index])].take([index], axis=0)
        (positions,) = self._positions(chosen)
        weight = weights_around(n_epochs, np.arange(1, len(positions) + 1)) * np.isfinite(positions)
        return temperature_at(weight @ np.nan_to_num(positions) / weight.sum(), TEMPERATURES)

    def scores(self, recorded: Recorded) -> dict[str, np.ndarray]:
        """Return scores by name, greater is better, of the shape of what was recorded.

        The log-loss is that at the best temperatures where probabilities are calibrated.
        """
        own = self._task.scores(recorded, self._scalers)
        if self.calibrate and None in self._scorers.values():
            positions = self._positions(recorded)
            own = -self._at(positions, Classification.at_temperatures(recorded))
        return {
            name: own if scorer is None else recorded[_recorded_as(name)]
            for name, scorer in self._scorers.items()
        }

    def decisive_score(self, recorded: Recorded) -> np.ndarray:
        """Return the score that chooses, of means over splits of what was recorded.

        Of weights and their averages, it is that of the better ones.
        """
        return np.asarray(reduce(np.fmax, map(self._decisive_score, recorded.views)))

    def _decisive_score(self, means: Recorded) -> np.ndarray:
        if self.decisive in self._computed:
            return means[_recorded_as(self.decisive)]
        if not self.calibrate:
            return self._task.mean_scores(means, self._scalers)
        smoothed = Classification.at_temperatures(means, self._n_held_out / ROWS_ADDED)
        return -at_positions(Classification.at_temperatures(means), best_positions(smoothed))

    def __call__(self, split: int, predictions: np.ndarray) -> np.ndarray:
        """Return scores (n_metrics,), greater is better, of predictions (n_test, n).

        One is NaN where its scorer refuses numbers, as that of logarithms does negative ones.
        """
        predicted, y, weight = self._predicted(split, predictions)
        scores = []
        for name in self._computed:
            try:
                scores.append(self._score(name, predicted, y, weight))
            except ValueError:
                if self._scalers[split] is None:
                    raise
                scores.append(np.nan)
        return np.array(scores)

    def _predicted(self, split: int, predictions: np.ndarray) -> tuple[Any, np.ndarray, Any]:
        """Return an estimator that has predicted the held-out rows, their targets and weights."""
        y, weight = self._held_out[split]
        predictions = self._of_predictions.predicted(predictions.astype(np.float64))
        scaler = self._scalers[split]
        if scaler is None:
            return _Classified(self._task, self._classes, predictions), y, weight
        return _Predicted(scaler.inverse(predictions).reshape(y.shape)), y, weight

    def _weighted_or_not(self, name: str, predicted: Any, y: np.ndarray, weight: Any) -> float:
        """Return a score, and note whether its scorer refuses the weights that it names."""
        try:
            return self._score(name, predicted, y, weight)
        except ValueError as error:
            if weight is None or "sample_weight" not in str(error):
                raise
        self._unweighted.add(name)
        return self._score(name, predicted, y, weight)

    def _score(self, name: str, predicted: Any, y: np.ndarray, weight: Any) -> float:
        """Return a score of predictions; weights count where scorers take them.

        A function of the user's need not know weights. One of scikit-learn's may refuse them, as
        the area under several curves does, one against one.
        """
        scorer, rows = self._scorers[name], np.arange(len(y))[:, None]
        function = getattr(scorer, "_score_func", None)
        if weight is not None and function is not None and name not in self._unweighted:
            parameters = inspect.signature(function).parameters.values()
            if any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters):
                return float(scorer(predicted, rows, y, sample_weight=weight))
        return float(scorer(predicted, rows, y))


def flattened(losses: np.ndarray, knowing_nothing: float) -> np.ndarray:
    """Return negative scores, those that are worse than where all predictions are alike flattened.

    Smoothing averages neighbours, and the score of one that is about to diverge may be as low as
    any number. Above L₀, the loss of equal predictions, a loss L becomes L₀ + s log(1 + (L - L₀) /
    s), at most L₀ + 2 s; s is how far the lowest loss is from L₀.
    """
    if not np.isfinite(knowing_nothing) or not np.isfinite(losses).any():
        return losses
    span = abs(knowing_nothing - losses[np.isfinite(losses)].min())
    if span == 0:
        return losses
    above = np.maximum(losses - knowing_nothing, 0.0)
    flat = knowing_nothing + span * np.minimum(np.log1p(above / span), 2.0)
    return np.where(losses > knowing_nothing, flat, losses)


def _recorded_as(name: str) -> str:
    """Return the name under which a score is recorded: not that of a loss."""
    return f"score {name}"


class _Classified(ClassifierMixin, BaseEstimator):
    """A classifier that has predicted already: one class a row, or several labels."""

    def __init__(self, task: Any = None, classes: Any = None, probabilities: Any = None) -> None:
        self.task = task
        self.classes = classes
        if classes is not None:
            self.classes_ = task.classes_of_labels(classes)
        self.probabilities = probabilities

    def fit(self, X: Any, y: Any) -> "_Classified":
        """Return itself: scikit-learn asks for this method."""
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of the rows with these numbers."""
        return np.asarray(self.probabilities[rows[:, 0]])

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return labels of the rows with these numbers."""
        return np.asarray(self.task.labels(self.predict_proba(rows), self.classes))


class _Predicted(RegressorMixin, BaseEstimator):
    """A regressor that has predicted already."""

    def __init__(self, predictions: Any = None) -> None:
        self.predictions = predictions

    def fit(self, X: Any, y: Any) -> "_Predicted":
        """Return itself: scikit-learn asks for this method."""
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return predictions of the rows with these numbers."""
        return np.asarray(self.predictions[rows[:, 0]])
