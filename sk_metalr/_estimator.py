"""The estimator: what users see."""

import warnings
from numbers import Integral, Real
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _wrapped as wrapped
from ._data import TrainingData, check_training_data
from ._refit import populate, refit
from ._results import cv_results, search_cost
from ._search import Record, Trainable, halving_search, random_search
from ._selection import Choice, cautious_losses, choose, survivors
from ._space import Candidates, StrategySpace
from ._splits import check_splitter, make_splits, renumbered
from .exceptions import AllDivergedError, EdgeOfSpaceWarning, NoSkillWarning

__all__ = ["MetaLRClassifier"]


class MetaLRClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Keras classifier that chooses its own learning rate inside ``fit``.

    All candidate learning rates are trained on all held-out splits at once, as one
    stacked population in one compiled program. The choice is made on held-out log-loss
    averaged over splits and smoothed over learning rates and epochs. The wrapped
    classifier is then refitted on all rows at the chosen rate.

    Parameters
    ----------
    estimator : scikeras.wrappers.KerasClassifier or None, default=None
        The classifier whose learning rate is chosen; it is never changed. Its
        ``epochs`` are the full budget. A schedule of its optimizer is replaced by the
        strategy that is chosen. Its callbacks, metrics and arguments of Keras's
        ``fit`` act in the refit only; a ``validation_split`` among them keeps rows from
        it. None: a multi-layer perceptron of 2 × 128
        rectified units, trained with Adam on batches of 32 for up to 40 epochs.
        Features should be scaled by a Pipeline.
    learning_rates : array-like of float, object with a method ``rvs``, dict, or None, \
            default=None
        Learning rates to choose from: a list of each of them, or a distribution such as
        ``scipy.stats.loguniform(1e-4, 1e-1)``. None: log-uniform on 1e-5 … 1. A dict holds
        them by the name of an optimizer.
    optimizers : list of str or keras.optimizers.Optimizer, or None, default=None
        Optimizers to choose from, such as
        ``["sgd", "adam", keras.optimizers.AdamW(weight_decay=1e-4)]``. An instance goes by
        its ``name``. None: the wrapped model's own.
    schedules : list of str, keras LearningRateSchedule or callable, default=("constant",)
        How the learning rate changes over the full budget: ``"constant"``, ``"linear"`` and
        ``"cosine"`` (down to 0), ``"one_cycle"`` (up, then down), a Keras schedule, whose
        values are divided by the highest, or a function that returns a factor for the
        progress, from 0 to 1. A refit for fewer epochs than the budget follows the schedule
        up to there.
    n_candidates : int, default=16
        How many learning rates are tried, with each optimizer and schedule; a shorter list
        is tried once each.
    search : {"random", "halving"}, default="random"
        ``"random"``: every candidate is trained for the full budget. ``"halving"``: all are
        trained for a part of it, the better ones go on from there, and only the last ones
        see all of it (successive halving; Jamieson & Talwalkar, 2016, arXiv:1502.07943).
        It saves most where training takes long: wide networks, convolutions.
    factor : float, default=3
        For halving: at each rung, about one candidate in `factor` stays, and one slow starter
        beside them, for `factor` times as many epochs.
    min_epochs : int or None, default=None
        For halving: epochs of the first rung, at least. None: the budget over `factor`
        squared.
    n_splits : int or "auto", default="auto"
        Number of stratified held-out splits that scores are averaged over.
        ``"auto"``: as many as hold out about 2,000 rows in all, from 1 to 5.
    validation_fraction : float, default=0.2
        Fraction of the rows that each split holds out. Where it is about one k-th, and no
        class has fewer than k rows, the splits are the k folds of a cross-validation, each
        held out in turn, shuffled anew after k; otherwise rows are drawn for each split.
    cv : int, splitter, iterable of (train, test) indices, or None, default=None
        Used instead of `n_splits` and `validation_fraction` when given.
    scoring : {"neg_log_loss"}, default="neg_log_loss"
        What the choice is made on.
    selection : {"smooth", "min", "one_se"}, default="smooth"
        ``"smooth"``: the lowest cautious loss, smoothed; cautious means that one more row
        of unknown class counts among those held out, so that models which were right on
        every one are told apart by how sure they were. ``"min"``: the lowest loss as it
        was measured. ``"one_se"``: the lowest learning rate whose smoothed loss is within
        one standard error of the lowest.
    tune_epochs : bool, default=True
        Whether the refit trains for the best number of epochs up to the budget;
        otherwise for all.
    refit : bool, default=True
        Whether the classifier is refitted on all rows. Without it there is nothing to
        predict with.
    n_refits : int, default=1
        How many times the classifier is refitted, each time from fresh initial weights.
        Predicted probabilities are the mean over the refits, which mostly beats any one of
        them (Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation
        using deep ensembles", 2017, arXiv:1612.01474).
    engine : {"auto", "vectorized", "compiled"}, default="auto"
        How members, candidate × split, are trained: ``"vectorized"``, many at once;
        ``"compiled"``, one after another on each core in a compiled program, which serves
        layers that TensorFlow cannot vectorise, such as convolutions. ``"auto"``: vectorized
        where TensorFlow is able to; ``search_cost_["lane"]`` says which it was, and
        ``search_cost_["lane_reason"]`` why.
    random_state : int, RandomState instance or None, default=None
        Randomness of candidates, splits, initial weights, order of rows and dropout.
        Pass an int for the same choice and predictions in every fit. A
        ``random_state`` of `estimator` itself decides the initial weights of the (first)
        refit.
    verbose : int, default=0
        If positive, says what was chosen and what it cost.

    Attributes
    ----------
    best_learning_rate_ : float
        The chosen learning rate.
    best_n_epochs_ : int
        The chosen number of epochs.
    best_params_ : dict
        The chosen strategy: ``learning_rate``, and the names of ``optimizer`` and
        ``schedule`` where those were given.
    best_index_ : int
        Row of the chosen candidate in ``cv_results_``.
    best_score_ : float
        Its mean held-out score: negative log-loss, in nats.
    best_estimator_ : scikeras.wrappers.KerasClassifier
        The refitted classifier; the first, where there are several. Only if `refit` is
        True.
    estimators_ : list of scikeras.wrappers.KerasClassifier
        All `n_refits` refitted classifiers. Only if `refit` is True.
    learning_rate_interval_ : tuple of (float, float)
        Lowest and highest rate around the best one, with the same optimizer and schedule,
        whose smoothed loss is within one standard error of the best.
    cv_results_ : dict of str to ndarray of shape (n_candidates,)
        One row a candidate, in increasing order of learning rate for each optimizer and
        schedule: ``params``, ``param_learning_rate`` (``param_optimizer``,
        ``param_schedule``), ``split{i}_test_score``, ``mean_test_score``,
        ``std_test_score``, ``rank_test_score``, ``selection_score`` (what the choice
        was made on), ``n_epochs`` (where the candidate is scored), ``diverged`` and
        ``diverged_epoch`` (0 where not); for halving ``n_resources`` (epochs it was trained
        for) and ``iter`` (the last rung it reached). Scores are negative log-losses, in nats.
    learning_curves_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        Held-out log-loss after every epoch, in nats; NaN once diverged or not trained on.
    cautious_learning_curves_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        The same as if one more row had been held out whose class nobody knows: what is
        smoothed and chosen from. It tells apart perfect losses by how sure a model is.
    search_cost_ : dict of str to number or str
        Members and epochs trained, the lane and its reason, and seconds:
        ``compiling_seconds``, ``training_seconds`` and ``scoring_seconds`` of the search,
        ``search_seconds`` (all of it), ``refit_seconds`` (compiling its own program
        included) and ``total_seconds``.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if X had names that are all strings.

    See Also
    --------
    sklearn.model_selection.RandomizedSearchCV : Search over any parameter, one fit
        for each candidate and split.
    sklearn.model_selection.TunedThresholdClassifierCV : Tunes the decision threshold
        in the same way.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sk_metalr import MetaLRClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MetaLRClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",  # _wrapped.check_wrapped says more
        "learning_rates": ["array-like", HasMethods(["rvs"]), dict, None],
        "optimizers": [list, tuple, None],
        "schedules": [list, tuple],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "search": [StrOptions({"random", "halving"})],
        "factor": [Interval(Real, 1.0, None, closed="neither")],
        "min_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "n_splits": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0.0, 1.0, closed="neither")],
        "cv": ["cv_object"],
        "scoring": [StrOptions({"neg_log_loss"})],
        "selection": [StrOptions({"smooth", "min", "one_se"})],
        "tune_epochs": ["boolean"],
        "refit": ["boolean"],
        "n_refits": [Interval(Integral, 1, None, closed="left")],
        "engine": [StrOptions({"auto", "vectorized", "compiled"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        learning_rates: Any = None,
        optimizers: Any = None,
        schedules: Any = ("constant",),
        n_candidates: int = 16,
        search: str = "random",
        factor: float = 3,
        min_epochs: int | None = None,
        n_splits: int | str = "auto",
        validation_fraction: float = 0.2,
        cv: Any = None,
        scoring: str = "neg_log_loss",
        selection: str = "smooth",
        tune_epochs: bool = True,
        refit: bool = True,
        n_refits: int = 1,
        engine: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.learning_rates = learning_rates
        self.optimizers = optimizers
        self.schedules = schedules
        self.n_candidates = n_candidates
        self.search = search
        self.factor = factor
        self.min_epochs = min_epochs
        self.n_splits = n_splits
        self.validation_fraction = validation_fraction
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.tune_epochs = tune_epochs
        self.refit = refit
        self.n_refits = n_refits
        self.engine = engine
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> "MetaLRClassifier":
        """Choose the learning rate, then refit on all rows with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Features; cast to Keras's float type once.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in training and in the choice. A weight of 0 equals
            leaving the row out.
        **params : dict
            ``groups`` for the splitter, of shape (n_samples,); routed as scikit-learn's
            metadata routing says where that is enabled.

        Returns
        -------
        self : MetaLRClassifier
            Fitted.

        Raises
        ------
        ValueError
            If the data or the model cannot be used; before any training.
        NotVectorizableError
            If the model cannot be trained as a population; before any training.
        AllDivergedError
            If no learning rate kept a finite loss.
        """
        before = vars(self).copy()
        random_state = check_random_state(self.random_state)
        try:
            self._fit(X, y, sample_weight, params, random_state)
        except BaseException:
            self.__dict__ = before
            raise
        return self

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        params: dict[str, Any],
        random_state: np.random.RandomState,
    ) -> None:
        start = perf_counter()
        estimator = wrapped.default_estimator() if self.estimator is None else self.estimator
        wrapped.check_wrapped(estimator)
        if self.n_refits > 1:
            wrapped.check_fresh(estimator)
        plan = wrapped.training_plan(estimator)
        space = StrategySpace(self.learning_rates, self.optimizers, self.schedules)
        wrapped.check_optimizers(space.optimizers)
        groups = self._groups(params)
        X, y = self._validated(X, y, ensure_min_samples=2)
        data = check_training_data(X, y, sample_weight, groups)
        search_seed, weights_seed, refit_seed = random_state.randint(2**30, size=3).tolist()
        candidates = space.sample(self.n_candidates, random_state)
        rates = candidates.learning_rates
        splitter = check_splitter(
            renumbered(self.cv, data.kept),
            data.y,
            n_splits=self.n_splits,
            validation_fraction=self.validation_fraction,
            groups=data.groups,
            random_state=random_state,
        )
        splits = make_splits(splitter, data.y, data.groups)
        population = populate(
            estimator, plan, data, splits, search_seed, space, candidates, self.engine
        )
        n_held_out = len(np.unique(np.concatenate([test for _, test in splits])))
        record = self._searched(population, plan.n_epochs, candidates, data, n_held_out)
        losses, mean_losses = record.losses
        _check_any_finite(losses, record.n_resources, rates)
        cautious = cautious_losses(losses, mean_losses, n_held_out)
        choice = choose(
            losses if self.selection == "min" else cautious,
            rates,
            no_skill_loss=data.no_skill_loss,
            family=candidates.family,
            n_resources=record.n_resources,
            selection=self.selection,
            tune_epochs=self.tune_epochs,
        )
        self._store(data, record, space.params(candidates), choice)
        _warn_at_edge(rates, candidates.family, choice.best)
        _warn_without_skill(choice, data.no_skill_loss)
        self.cautious_learning_curves_ = cautious
        searched = perf_counter()
        if self.refit:
            lane = population.part_of(choice.index).lane
            self.estimators_ = refit(
                estimator,
                space.strategy(candidates, choice.index),
                plan,
                data,
                n_epochs=self.best_n_epochs_,
                weights_seed=weights_seed,
                seed=refit_seed,
                n_refits=self.n_refits,
                engine="compiled" if lane == "compiled" else self.engine,
            )
            self.best_estimator_ = self.estimators_[0]
        refitted = perf_counter()
        self.search_cost_ = search_cost(
            record,
            refit_epochs=self.n_refits * self.best_n_epochs_ if self.refit else 0,
            lanes=population.lanes,
            seconds=population.seconds
            | {
                "search": searched - start,
                "refit": refitted - searched,
                "total": refitted - start,
            },
        )
        if self.verbose:
            print(self._summary())

    def _searched(
        self,
        population: Trainable,
        n_epochs: int,
        candidates: Candidates,
        data: TrainingData,
        n_held_out: int,
    ) -> Record:
        """Train and score all candidates as `search` says."""
        if self.search == "random":
            return random_search(population, n_epochs)

        def who_stays(losses: np.ndarray, n_resources: np.ndarray, n_keep: int) -> np.ndarray:
            log_losses, mean_losses = losses
            return survivors(
                cautious_losses(log_losses, mean_losses, n_held_out),
                candidates.learning_rates,
                n_resources,
                no_skill_loss=data.no_skill_loss,
                family=candidates.family,
                n_keep=n_keep,
                n_epochs=n_epochs,
            )

        return halving_search(
            population, n_epochs, who_stays, factor=self.factor, min_epochs=self.min_epochs
        )

    def _validated(self, *arrays: Any, **settings: Any) -> Any:
        """Return features (and labels) as arrays, features of Keras's float type."""
        try:
            return validate_data(
                self, *arrays, dtype=wrapped.input_dtype(), allow_nd=True, **settings
            )
        except ValueError as error:
            if not str(error).startswith("could not convert string"):
                raise
            raise ValueError(
                f"{error}. Features must be numbers: encode text and categories in a Pipeline, for "
                "instance with sklearn.preprocessing.OneHotEncoder."
            ) from error

    def _groups(self, params: dict[str, Any]) -> Any:
        """Return the ``groups`` meant for the splitter."""
        if get_config()["enable_metadata_routing"] and self.cv is not None:
            return process_routing(self, "fit", **params).splitter.split.get("groups")
        unknown = sorted(set(params) - {"groups"})
        if unknown:
            raise TypeError(
                f"MetaLRClassifier.fit takes X, y, sample_weight and groups. Got {unknown[0]!r} "
                "too; give parameters of the model to KerasClassifier, such as fit__<name>=."
            )
        return params.get("groups")

    def _store(
        self, data: TrainingData, record: Record, params: list[dict[str, Any]], choice: Choice
    ) -> None:
        for of_an_earlier_fit in ("estimators_", "best_estimator_"):
            self.__dict__.pop(of_an_earlier_fit, None)
        self.classes_ = data.classes
        self.best_index_ = choice.index
        self.best_params_ = params[choice.index]
        self.best_learning_rate_ = self.best_params_["learning_rate"]
        self.best_n_epochs_ = int(choice.n_epochs[choice.index])
        self.learning_rate_interval_ = choice.interval
        self.learning_curves_ = record.losses[0]
        self.cv_results_ = cv_results(record, params, choice)
        if self.search != "halving":
            del self.cv_results_["iter"], self.cv_results_["n_resources"]
        self.best_score_ = float(self.cv_results_["mean_test_score"][choice.index])

    def _summary(self) -> str:
        low, high = self.learning_rate_interval_
        cost = self.search_cost_
        named = "".join(
            f"{name} {value}, "
            for name, value in self.best_params_.items()
            if name != "learning_rate"
        )
        return (
            f"[MetaLRClassifier] learning rate {self.best_learning_rate_:.3g} "
            f"(within one standard error: {low:.3g} … {high:.3g}), {named}"
            f"{self.best_n_epochs_} epochs, "
            f"held-out log-loss {-self.best_score_:.4f} nats; {cost['n_candidates']} candidates × "
            f"{cost['n_splits']} splits in {cost['search_seconds']:.1f} s, refit "
            f"{cost['refit_seconds']:.1f} s"
        )

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Features.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self, "best_learning_rate_")
        X = self._validated(X, reset=False)
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(
                "This MetaLRClassifier was fitted with refit=False, so it cannot predict; fit it "
                "with refit=True."
            )
        probabilities = [wrapped.class_probabilities(one, X) for one in self.estimators_]
        return np.mean(probabilities, axis=0)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Features.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In nats, in the order of ``classes_``.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Predict class labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Features.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which metadata goes where.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        if hasattr(self.cv, "split"):
            router.add(
                splitter=self.cv,
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        return router


def _check_any_finite(losses: np.ndarray, n_resources: np.ndarray, rates: np.ndarray) -> None:
    is_trained = np.arange(losses.shape[2]) < n_resources[:, None]
    if (~np.isfinite(losses).all(axis=1) & is_trained).any(axis=1).all():
        raise AllDivergedError(
            f"Every candidate diverged, also the lowest learning rate tried ({rates.min():.3g}). "
            f"Give lower learning_rates, such as scipy.stats.loguniform({rates.min() / 1e4:.0e}, "
            f"{rates.min():.0e}), scale the features, or clip gradients."
        )


def _warn_without_skill(choice: Choice, no_skill_loss: float) -> None:
    if choice.losses[choice.best] < no_skill_loss:
        return
    warnings.warn(
        f"No learning rate did better on held-out rows ({choice.losses[choice.best]:.3g} nats) "
        f"than always predicting the class frequencies ({no_skill_loss:.3g} nats): scale the "
        "features in a Pipeline, train for more epochs, or doubt that the features tell anything.",
        NoSkillWarning,
        stacklevel=5,
    )


def _warn_at_edge(rates: np.ndarray, family: np.ndarray, index: int) -> None:
    best, rates = rates[index], rates[family == family[index]]
    if len(rates) < 2 or rates[0] < best < rates[-1]:
        return
    edge, direction = ("lowest", "lower") if best == rates[0] else ("highest", "higher")
    warnings.warn(
        f"The best learning rate, {best:.3g}, is the {edge} that was tried; "
        f"{direction} ones may be better still: raise n_candidates or widen learning_rates.",
        EdgeOfSpaceWarning,
        stacklevel=5,
    )
