"""The base class of the estimators: parameters, ``fit``, saving and loading."""

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from numbers import Integral, Real
from time import perf_counter
from typing import Any, ClassVar, Self

import keras
import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import _search as search
from ._data import TrainingData
from ._display import diagram, summary
from ._experience import ExperienceRecord
from ._models import Wrappers, exported, keep_fit_kwargs
from ._persistence import SavingMixin
from ._population import check_not_forked, n_workers
from ._progress import PREFIX, Progress, Score, tell, warn
from ._recorded import Recorded
from ._refit import chosen_refit, predicted, probe
from ._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from ._space import RATE
from ._task import TargetScaler, Task


class BaseMetaLR(
    CallbackSupportMixin,
    SavingMixin,
    search.SearchResultsMixin,
    MetaEstimatorMixin,
    BaseEstimator,
    ABC,
):
    """Base class of estimators that choose their learning strategy inside ``fit``."""

    _algorithms = search.SEARCHES
    _wrappers: ClassVar[Wrappers]

    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": True}

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",  # _models.as_wrapper says more
        "param_distributions": "no_validation",  # StrategySpace does
        "learning_rates": ["array-like", HasMethods(["rvs"]), StrOptions({"auto"}), None],
        "search": [StrOptions(set(search.SEARCHES)), HasMethods(["propose", "promote"])],
        "n_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "cv": [
            StrOptions({"auto"}),
            Interval(Integral, 2, None, closed="left"),
            Interval(Real, 0.0, 1.0, closed="neither"),
            HasMethods(["split", "get_n_splits"]),
            *(list, tuple, Iterator, np.ndarray),
        ],
        "scoring": [str, callable, list, tuple, dict],
        "refit": ["boolean", str],
        "n_models": [Interval(Integral, 1, None, closed="left")],
        "engine": [StrOptions({"auto", "vectorized", "compiled", "keras"})],
        "n_jobs": [Integral, None],
        "max_memory": [Interval(Real, 0, 1e30, closed="right"), None],
        "max_time": [Interval(Real, 0, 1e12, closed="right"), None],
        "checkpoint_dir": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy; one of Keras's wrappers in it keeps its ``fit_kwargs``."""
        copy = super().__sklearn_clone__()
        keep_fit_kwargs(self.estimator, copy.estimator)
        return copy

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        **unknown: Any,
    ) -> Self:
        """Choose a strategy, then refit on all rows with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Features; cast to Keras's float type once.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: class labels, or for each of several labels 0 or 1; numbers for a regressor.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in training and in the choice; 0 equals leaving the row out.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, such as the patient it is of. With the default
            `cv`, a number or a fraction, no group is both trained on and held out; a splitter
            receives them, and pairs are used as given. Where scikit-learn's metadata routing is
            enabled, outer searches pass them on, unless ``set_fit_request(groups=False)``.
        X_val : array-like of shape (n_val, n_features) or (n_val, ...), default=None
            Features to score candidates on, instead of held-out splits of X. In a Pipeline,
            ``transform_input=["X_val"]`` has them transformed as X is.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        **unknown : dict
            Refused with an error that says where it goes, such as ``epochs`` to the estimator.

        Returns
        -------
        self : object
            Fitted.

        Raises
        ------
        ValueError, TypeError
            If the data, the model or an argument cannot be used; before any training.
        NotVectorizableError
            If the model cannot be trained as `engine` asks; before any training.
        AllDivergedError
            If no candidate kept a finite loss.
        """
        check_not_forked()
        search.check_fit_arguments(self, unknown)
        algorithm = search.as_algorithm(self.search)
        start = perf_counter()
        with self._restored_on_failure(), search.checkpointed(self.checkpoint_dir) as checkpoint:
            random_state = check_random_state(self.random_state)
            if checkpoint is not None:
                random_state = checkpoint.random_state(random_state)
            self._began_with = random_state.get_state()
            progress = Progress(self)

            # The strategy space S and the evaluation f(s, D), with everything checked.
            own_rows = X_val, y_val
            prepared = search.prepare(self, X, y, sample_weight, groups, own_rows, random_state)
            self._held_out_rows = prepared.held_out_rows
            progress.score = Score(prepared.scoring.decisive, prepared.scoring.decisive_score)

            # The optimizer: s* = argmax f.
            algorithm.check(prepared.space)
            if checkpoint is not None:
                checkpoint.check(search.search_identity(self, algorithm, prepared))
            clock, workers = self._clock(prepared, start), n_workers(self.n_jobs)
            told = progress.score if self.verbose >= 2 else None
            execution = search.Execution(progress.stage, clock, checkpoint, workers, told)
            result = search.run(algorithm, prepared, execution, self.n_candidates, random_state)
            self._store(prepared, result)
            given = prepared.data, self.n_candidates, self.estimator is None
            for warning in search.diagnose(result, *given):
                warn(warning, stacklevel=3)
            searched = perf_counter()

            # The application M(s*, D): all rows, the chosen strategy; none is held out.
            progress.score = None
            if self.refit:
                lane = result.history.trained[result.choice.index].lane
                engine = self.engine if lane == "vectorized" else lane
                self._refitted = chosen_refit(self, prepared).train(engine, progress.stage)
                self.estimators_ = self._refitted.fitted
                self.best_estimator_ = self.estimators_[0]
                self.ensemble_weights_ = np.full(self.n_models, 1 / self.n_models)
            execution.add_seconds(start, searched)
            self.search_cost_ = search.search_cost(result, execution, bool(self.refit))
            if self.verbose:
                tell(f"{PREFIX} {summary(self)}")
            if checkpoint is not None:
                checkpoint.finish()
        progress.end()
        return self

    @contextmanager
    def _restored_on_failure(self) -> Iterator[None]:
        """Leave the estimator as it was where its fit fails."""
        before = vars(self).copy()
        try:
            yield
        except BaseException:
            # What scikit-learn needs to end its callbacks, it removes itself.
            of_callbacks = "_callback_fit_ctx", "_skl_callbacks_to_teardown"
            kept = {name: vars(self)[name] for name in of_callbacks if name in vars(self)}
            self.__dict__ = before | kept
            raise

    def _clock(self, prepared: search.Prepared, start: float) -> search.Clock | None:
        """Return the clock of a fit whose time is limited; it has measured the refit."""
        if self.max_time is None:
            return None
        clock = search.Clock(self.max_time, start)
        if self.refit:
            clock.measure_refit(probe(prepared, self.engine))
        return clock

    def _store(self, prepared: search.Prepared, result: search.SearchResult) -> None:
        """Keep what was found, in place of what an earlier fit found."""
        of_refit = "estimators_", "best_estimator_", "ensemble_weights_", "_refitted"
        of_search = "learning_rate_trajectories_", "calibrated_learning_curves_"
        for of_an_earlier_fit in (*of_refit, *of_search):
            self.__dict__.pop(of_an_earlier_fit, None)
        history, choice, scoring = result.history, result.choice, prepared.scoring
        task = prepared.data.task
        views, decisive = history.recorded.views, scoring.decisive
        scores = [scoring.scores(view) for view in views]
        if len(scores[0]) == 1:
            scores, decisive = [{"score": one[decisive]} for one in scores], "score"
        self._store_targets(prepared.data)
        self.baseline_loss_ = prepared.data.baseline_loss
        self.feature_scale_ = prepared.data.feature_scale
        self.cv_results_ = search.cv_results(history, choice, scores)
        self.best_index_ = choice.index
        self.best_params_ = self.cv_results_["params"][choice.index]
        self.best_learning_rate_ = self.best_params_[RATE]
        self.best_n_epochs_ = int(choice.n_epochs[choice.index])
        self.best_score_ = float(self.cv_results_[f"mean_test_{decisive}"][choice.index])
        self.learning_rate_interval_ = choice.interval
        self.ensemble_ = [asdict(model) for model in result.models]
        is_one = len(result.models) == 1 or not self.refit
        self.temperature_ = choice.temperature if is_one else result.temperature
        self.uses_averages_ = bool(choice.is_averaged[choice.index])
        is_own = scoring.worst_loss is not None
        self.score_name_ = task.scorer_name if is_own else scoring.decisive
        self.learning_curves_ = history.recorded.loss
        self._store_curves(scoring, history.recorded)
        if history.trajectories is not None:
            self.learning_rate_trajectories_ = history.trajectories
        self._uses_xla = [trained.uses_xla for trained in history.trained]

    @abstractmethod
    def _task(self) -> Task:
        """Return the task that the parameters ask for, of no targets yet."""

    @abstractmethod
    def _store_targets(self, data: TrainingData) -> None:
        """Keep what predictions need to know of the targets."""

    @abstractmethod
    def _knows_targets(self, data: TrainingData) -> bool:
        """Tell whether targets are like those of the fit."""

    @abstractmethod
    def _store_curves(self, scoring: search.Scoring, recorded: Recorded) -> None:
        """Keep the losses that the choice was made on."""

    @property
    @abstractmethod
    def _smoothed_curves(self) -> np.ndarray:
        """Held-out losses, without calibration, as records of experience hold them."""

    @property
    @abstractmethod
    def _selection_curves(self) -> np.ndarray:
        """Held-out losses on which the choice is made where no other score is asked for."""

    @property
    @abstractmethod
    def _seen_task(self) -> Task:
        """The task that the estimator was fitted on; its models may be suited to more of it."""

    @property
    def _baseline_score(self) -> float:
        """The score, made a loss, of the best constant prediction."""
        return float(self.baseline_loss_)

    @property
    def importances_(self) -> dict[str, float]:
        """Share of the variance of the held-out loss that each parameter explains by itself."""
        check_is_fitted(self, "best_learning_rate_")
        return search.importances(self.cv_results_)

    def _prepared_again(
        self, X: Any, y: Any, sample_weight: Any, groups: Any, own_rows: tuple[Any, Any]
    ) -> search.Prepared:
        """Return what the fit began with, made anew from the same data, or raise ValueError."""
        check_is_fitted(self, "best_learning_rate_")
        if not hasattr(self, "_began_with"):
            raise ValueError(
                "This estimator was loaded from a file, which keeps no random states. Do this "
                "where it was fitted, or with a pickle of it."
            )
        random_state = np.random.RandomState()
        random_state.set_state(self._began_with)
        before = vars(self).copy()
        try:
            with warnings.catch_warnings(action="ignore"):  # they were given in fit
                prepared = search.prepare(self, X, y, sample_weight, groups, own_rows, random_state)
        finally:
            self.__dict__ = before
        data, n_splits = prepared.data, len(prepared.evaluation.splits)
        of_data = data.baseline_loss, data.feature_scale, n_splits
        known = self.baseline_loss_, self.feature_scale_, self.learning_curves_.shape[1]
        if of_data != known or not self._knows_targets(data):
            raise ValueError("The data must be those that the estimator was fitted on.")
        if prepared.held_out_rows != self._held_out_rows:
            raise ValueError(
                "The held-out rows must be those of the fit. Got others from the splitter that cv "
                "is; give it a random_state, such as StratifiedKFold(5, shuffle=True, "
                "random_state=0), and fit again."
            )
        return prepared

    def _experience_records(self, *data: Any) -> list[ExperienceRecord]:
        """Return what :meth:`Experience.record` adds for the data of a fit."""
        return search.finished_searches(self, self._prepared_again(*data))

    def _temperatures(self) -> tuple[list[float], float]:
        """Return the temperature of each refitted model, and that of their mean."""
        check_is_fitted(self, "best_learning_rate_")
        check_not_forked()
        if not hasattr(self, "best_estimator_"):
            raise AttributeError("It was fitted with refit=False; to predict, fit with refit=True.")
        temperatures = [model["temperature"] for model in self.ensemble_]
        return temperatures, 1.0 if len(temperatures) == 1 else self.temperature_

    def _predicted(self, task: Task, X: Any) -> np.ndarray:
        """Return the mean predictions (n_samples, n) of the refitted models."""
        check_is_fitted(self, "best_learning_rate_")
        X = search.validated(self, X, reset=False)
        temperatures, of_all = self._temperatures()
        return task.tempered(predicted(task, self.estimators_, X, temperatures), of_all)

    def _exported(self, task: Task, scaler: TargetScaler | None = None) -> keras.Model:
        """Return a Keras model that predicts as this estimator does."""
        temperatures, of_all = self._temperatures()
        return exported(task, self.estimators_, temperatures, of_all, scaler)

    _sk_visual_block_ = diagram
    """What scikit-learn's diagram shows, alone and inside of other estimators."""
