"""The estimator: what users see."""

import os
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from . import _models as wrapped
from ._data import TrainingData
from ._display.summary import Block, diagram, doubts, summary
from ._experience.store import Experience
from ._persistence.hashing import identity, of_data, of_versions
from ._persistence.pickling import Needed
from ._persistence.saving import load, save
from ._population import check_not_forked
from ._population.workers import n_workers
from ._progress import PREFIX, Progress, Score, Task, tell, warn
from ._refit import Part, Refits, all_rows, committee, predicted, refit, refitted_by_keras
from ._search.advice import (
    N_AT_RANDOM,
    Advice,
    advise,
    record,
)
from ._search.checkpoint import Checkpoint, checkpointed
from ._search.clock import Clock
from ._search.explore import Found, Search, explore
from ._search.results import cv_results, is_edge_known, search_cost
from ._search.rungs import Conduct
from ._search.selection import cautious_losses
from ._search.setup import Setup, check_fit_arguments, set_up, validated
from ._space.schedules import learned
from ._space.space import Strategy, StrategySpace
from ._verify import verify
from .exceptions import EdgeOfSpaceWarning, ExperienceWarning, SingleCandidateWarning

__all__ = ["MetaLRClassifier"]


try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""


class MetaLRClassifier(CallbackSupportMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Keras classifier that chooses its own learning rate inside ``fit``.

    All candidate learning rates are trained on all held-out splits at once, as one
    stacked population in one compiled program. The choice is made on held-out log-loss
    averaged over splits and smoothed over learning rates and epochs. The wrapped
    classifier is then refitted on all rows at the chosen rate.

    Parameters
    ----------
    estimator : scikeras.wrappers.KerasClassifier, keras.wrappers.SKLearnClassifier, \
            keras.Model, callable or None, default=None
        The classifier whose learning rate is chosen; it is never changed. A compiled Keras
        model, or a function that returns one, trains on batches of 32 for up to 40 epochs. Its
        ``epochs`` are the full budget. A schedule of its optimizer is replaced by the
        strategy that is chosen. Its callbacks, metrics and arguments of Keras's
        ``fit`` act in the refit only; a ``validation_split`` among them keeps rows from
        it. A ``keras.callbacks.EarlyStopping`` on ``loss`` or ``val_loss`` ends the training of
        each candidate on each split, too; on ``val_loss`` it acts in the refit only where that
        has held-out rows of its own. None: a multi-layer perceptron of 2 × 128 rectified
        units, trained with Adam on batches of 32 for up to 40 epochs. Features should be
        scaled by a Pipeline.
    learning_rates : array-like of float, object with a method ``rvs``, dict, "auto" or None, \
            default=None
        Learning rates to choose from: a list of each of them, or a distribution such as
        ``scipy.stats.loguniform(1e-4, 1e-1)``. None: log-uniform on 1e-5 … 1, or what
        ``search="portfolio"`` proposes, which may be outside of that. A dict holds
        them by the name of an optimizer. ``"auto"``: log-uniform between the rates at which
        one epoch makes no progress and those at which it diverges; while the best one is the
        lowest or the highest tried, a further decade is searched.
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
    n_candidates : int or None, default=None
        How many learning rates are tried, with each optimizer and schedule; a shorter list
        is tried once each. None: 16; for ``search="portfolio"`` 4 and, while the best of them
        is the outermost, a further one, as long as `experience` holds tasks like this one.
    search : {"random", "portfolio", "halving", "hypergradient"}, default="random"
        ``"random"``: every candidate is trained for the full budget. ``"portfolio"``: so are a few
        that `experience` proposes for each optimizer and schedule: those rates of which one was
        good, or nearly so, on every task before, tasks like this one counting for more (Feurer et
        al., "Auto-sklearn 2.0", 2022, arXiv:2007.04074). Where there were none like it, candidates
        are drawn at random, as many as for ``"random"``, and a warning says so; where the few do no
        better than the class frequencies, they are drawn, too. ``"halving"``: all are
        trained for a part of it, the better ones go on from there, and only the last ones
        see all of it (successive halving; Jamieson & Talwalkar, 2016, arXiv:1502.07943).
        It saves most where training takes long: wide networks, convolutions.
        ``"hypergradient"``: every candidate moves its own rate after each epoch along the
        gradient of its held-out loss (after Baydin et al., "Online learning rate adaptation
        with hypergradient descent", 2018, arXiv:1703.04782, and the forward view of
        Franceschi et al., 2017, arXiv:1703.01785); every refit follows the chosen
        candidate's trajectory, the mean over splits.
    experience : "default", str, os.PathLike, Experience or None, default="default"
        Finished searches that ``search="portfolio"`` learns from: those that come with this
        package, a file, or an :class:`Experience`. Those whose rows are also among these, or that
        seem to be of another fold of the same table, are set aside.
    record_experience : bool, default=False
        Whether the finished search is added to `experience`, which must be a file (the first
        record creates it) or an :class:`Experience`. No row is kept, only the numbers of rows of
        each class and hashes, which tell whether another table shares rows with this one.
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
    scoring : str, callable, list or dict, default="neg_log_loss"
        What the choice is made on: the name of one of scikit-learn's scorers, or a function
        of classifier, X and y, for which the classifier predicts and X is the numbers of
        rows. Of several, in a list or dict, all are reported, and `refit` names the one that
        chooses, or else it is the first. The log-loss is the least noisy of them: a choice
        made on it mostly does better in other scores too.
    selection : {"smooth", "min", "one_se"}, default="smooth"
        ``"smooth"``: the lowest cautious loss, smoothed; cautious means that one more row
        of unknown class counts among those held out, so that models which were right on
        every one are told apart by how sure they were. ``"min"``: the lowest loss as it
        was measured. ``"one_se"``: the lowest learning rate whose smoothed loss is within
        one standard error of the lowest.
    tune_epochs : bool, default=True
        Whether the refit trains for the best number of epochs up to the budget;
        otherwise for all.
    refit : bool, "committee" or name of a scorer, default=True
        Whether the classifier is refitted on all rows. Without it there is nothing to
        predict with. ``"committee"``: not on all rows; the models of the chosen candidate,
        one for each split, predict together. A scorer's name: on all rows, with what this
        scorer chose.
    n_refits : int, default=1
        How many times the classifier is refitted on all rows, each time from fresh initial weights.
        Predicted probabilities are the mean over the refits, which mostly beats any one of
        them (Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation
        using deep ensembles", 2017, arXiv:1612.01474).
    engine : {"auto", "vectorized", "compiled", "keras"}, default="auto"
        How members, candidate × split, are trained: ``"vectorized"``, many at once;
        ``"compiled"``, one after another on each core in a compiled program, which serves
        layers that TensorFlow cannot vectorise, such as convolutions; ``"keras"``, one after
        another by Keras's own loop, which serves all that TensorFlow cannot compile, and
        costs what so many fits cost. ``"auto"``: the first that takes the model;
        ``search_cost_["lane"]`` says which it was, and ``search_cost_["lane_reason"]`` why.
    max_memory : float or None, default=None
        How much memory the members that train at a time may take, in bytes; fewer train at a
        time where more would take more. Halving keeps all members beside. None: a quarter of
        what is free.
    n_jobs : int or None, default=None
        How many of joblib's workers train the population, in groups. None: 1, this process, unless
        in a ``joblib.parallel_config``, whose backend decides where workers run: processes here
        (``"loky"``), or those of a Dask or Ray cluster. One process already uses all cores.
        The choice is the same.
    random_state : int, RandomState instance or None, default=None
        Randomness of candidates, splits, initial weights, order of rows and dropout.
        Pass an int for the same choice and predictions in every fit. A
        ``random_state`` of `estimator` itself decides the initial weights of the (first)
        refit.
    verify : int, default=0
        How many candidates to train again, each on one split, by ``Model.fit`` on a fresh
        model from the same initial weights, to see whether the population trained them as Keras
        would have. The refit is trained again in this way, too; ``verification_`` says how far
        they are apart.
    max_time : float or None, default=None
        Seconds that the whole fit may take. The search ends at an epoch, counted alike for all
        candidates, after which there would not be time for another one and the refit, which is
        measured beforehand; one epoch is always trained. None: no limit.
    checkpoint_dir : str, os.PathLike or None, default=None
        Folder in which the search is saved after each rung, and every `checkpoint_every` epochs,
        until the fit is done. A fit with the same data, parameters and versions that is started
        again, after its process or machine has died, goes on from there and ends with the same
        choice and predictions; another one is refused. None: it is not saved.
    checkpoint_every : int, default=10
        How many epochs are trained between two saves, at most.
    on_interrupt : {"raise", "refit"}, default="raise"
        What a KeyboardInterrupt during the search does: leave the classifier unfitted, or
        choose from the epochs that every candidate has completed, if there is one, and go on
        with the refit. For the latter all candidates train epoch by epoch, side by side, and
        are kept in memory.
    verbose : int, default=0
        If positive, shows how far the fit is, and says what was chosen and what it cost; from 2
        on, what was the best at each rung of halving, too. Beside it, scikit-learn's own
        callbacks work (``set_callbacks(sklearn.callback.ProgressBar())``; since 1.9).

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
        Its mean held-out score: negative log-loss, in nats, unless `scoring` is another.
    best_estimator_ : scikeras.wrappers.KerasClassifier
        The refitted classifier; the first, where there are several. Only if `refit` is
        not False.
    estimators_ : list of scikeras.wrappers.KerasClassifier
        All refitted classifiers: `n_refits`, or the committee's. Only if `refit` is not False.
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
        for) and ``iter`` (the last rung it reached). Scores are negative log-losses, in
        nats, unless `scoring` is another; of several, ``_test_score`` is ``_test_<name>``.
    learning_curves_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        Held-out log-loss after every epoch, in nats; NaN once diverged or not trained on.
    cautious_learning_curves_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        The same as if one more row had been held out whose class nobody knows: what is
        smoothed and chosen from. It tells apart perfect losses by how sure a model is.
    learning_rate_trajectories_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        Learning rate that each candidate arrived at in each epoch, on each split. Only if
        `search` is ``"hypergradient"``.
    verification_ : dict of str to object
        Rows of the ``candidates`` that were trained again and their ``splits``;
        ``max_loss_difference`` between the recorded curves and those of ``Model.fit``, in nats,
        and ``max_weight_difference`` between the refitted weights and its. Only if `verify` is
        above 0.
    search_cost_ : dict of str to number or str
        Members and epochs trained (a sweep's for ``"auto"`` included), the same in
        ``equivalent_single_fits`` of the full budget, the lane and its reason, and seconds:
        ``compiling_seconds``, ``training_seconds`` and ``scoring_seconds`` of the search,
        ``search_seconds`` (all of it), ``refit_seconds`` (compiling its program included,
        where that was not done beside the search) and ``total_seconds``. For
        ``search="portfolio"`` also ``n_records`` that the candidates rest on,
        ``n_records_set_aside`` for sharing rows, and ``n_drawn_at_random``, how many candidates
        the experience did not propose.
    no_skill_loss_ : float
        Log-loss of always predicting the class frequencies, in nats.
    feature_scale_ : float
        Largest root mean square of a feature.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
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

    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": True}

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",  # _models.as_keras_classifier says more
        "learning_rates": [
            "array-like",
            HasMethods(["rvs"]),
            dict,
            StrOptions({"auto"}),
            None,
        ],
        "optimizers": [list, tuple, None],
        "schedules": [list, tuple],
        "n_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "search": [StrOptions({"random", "portfolio", "halving", "hypergradient"})],
        "experience": [str, PathLike, Experience, None],
        "record_experience": ["boolean"],
        "factor": [Interval(Real, 1.0, 1e6, closed="right")],
        "min_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "n_splits": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0.0, 1.0, closed="neither")],
        "cv": ["cv_object"],
        "scoring": [str, callable, list, tuple, dict],
        "selection": [StrOptions({"smooth", "min", "one_se"})],
        "tune_epochs": ["boolean"],
        "refit": ["boolean", str],
        "n_refits": [Interval(Integral, 1, None, closed="left")],
        "engine": [StrOptions({"auto", "vectorized", "compiled", "keras"})],
        "max_memory": [Interval(Real, 0, 1e30, closed="right"), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verify": [Interval(Integral, 0, None, closed="left")],
        "max_time": [Interval(Real, 0, 1e12, closed="right"), None],
        "checkpoint_dir": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
        "on_interrupt": [StrOptions({"raise", "refit"})],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        learning_rates: Any = None,
        optimizers: Any = None,
        schedules: Any = ("constant",),
        n_candidates: int | None = None,
        search: str = "random",
        experience: Any = "default",
        record_experience: bool = False,
        factor: float = 3,
        min_epochs: int | None = None,
        n_splits: int | str = "auto",
        validation_fraction: float = 0.2,
        cv: Any = None,
        scoring: Any = "neg_log_loss",
        selection: str = "smooth",
        tune_epochs: bool = True,
        refit: bool | str = True,
        n_refits: int = 1,
        engine: str = "auto",
        max_memory: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verify: int = 0,
        max_time: float | None = None,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 10,
        on_interrupt: str = "raise",
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.learning_rates = learning_rates
        self.optimizers = optimizers
        self.schedules = schedules
        self.n_candidates = n_candidates
        self.search = search
        self.experience = experience
        self.record_experience = record_experience
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
        self.max_memory = max_memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verify = verify
        self.max_time = max_time
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_every = checkpoint_every
        self.on_interrupt = on_interrupt
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
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
    ) -> "MetaLRClassifier":
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
        groups : array-like of shape (n_samples,), default=None
            Group of each row, such as the patient it is of. No group is both trained on and
            held out in a split; a splitter given as `cv` is handed them. Where scikit-learn's
            metadata routing is enabled, it brings them here unless
            ``set_fit_request(groups=False)`` says otherwise.
        X_val : array-like of shape (n_val, n_features) or (n_val, ...), default=None
            Features to score candidates on, instead of held-out splits of X. In a Pipeline,
            ``transform_input=["X_val"]`` has them transformed as X is.
        y_val : array-like of shape (n_val,), default=None
            Their labels.
        **unknown : dict
            Refused, with an error that says where it goes: ``epochs``, for instance, to the
            wrapped classifier.

        Returns
        -------
        self : MetaLRClassifier
            Fitted.

        Raises
        ------
        ValueError
            If the data or the model cannot be used; before any training.
        TypeError
            If an argument, or data of such a type, cannot be used; before any training.
        NotVectorizableError
            If the model cannot be trained as `engine` asks; before any training.
        AllDivergedError
            If no learning rate kept a finite loss.
        """
        check_not_forked()
        check_fit_arguments(unknown)
        before = vars(self).copy()
        random_state = check_random_state(self.random_state)
        progress = Progress(self, self.verbose)
        try:
            with checkpointed(self.checkpoint_dir, self.checkpoint_every) as checkpoint:
                if checkpoint is not None:
                    random_state = checkpoint.random_state(random_state)
                args = X, y, sample_weight, groups, (X_val, y_val), random_state
                self._fit(*args, progress, checkpoint)
                if checkpoint is not None:
                    checkpoint.finish()
        except BaseException:
            # What scikit-learn needs to end its callbacks, it removes itself.
            callbacks = {name: vars(self)[name] for name in _CALLBACKS if name in vars(self)}
            self.__dict__ = before | callbacks
            raise
        progress.end()
        return self

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        validation: tuple[Any, Any],
        random_state: np.random.RandomState,
        progress: Progress,
        checkpoint: Checkpoint | None,
    ) -> None:
        start = perf_counter()
        setup = set_up(self, X, y, sample_weight, groups, validation, random_state)
        progress.score = Score(setup.decisive, setup.decisive_scores)
        self._warn_of_single_candidate(setup)
        advice = self._advised(setup, random_state, checkpoint)
        if checkpoint is not None:
            checkpoint.check(self._identity(setup))
        found = explore(
            setup.space,
            setup.candidates if advice is None else advice.candidates,
            setup.evaluation,
            setup.view,
            self._search(setup, progress, start, checkpoint),
            n_candidates=self.n_candidates or N_AT_RANDOM,
            random_state=random_state,
            spare=None if advice is None else advice.spare,
        )
        progress.score = None  # the refit has no held-out rows
        self._store(setup, found)
        self._warn(setup, found, advice)
        searched = perf_counter()
        refits = self._refitted(setup, found, progress.task) if self.refit else None
        if refits is not None:
            self.estimators_ = refits.fitted
            self.best_estimator_ = self.estimators_[0]
        refitted = perf_counter()
        if self.verify:
            self.verification_ = self._verified(setup, found, refits)
        self.search_cost_ = search_cost(
            found.record,
            member_epochs=found.member_epochs,
            refit_epochs=len(self.estimators_) * self.best_n_epochs_ if self.refit else 0,
            lanes=found.lanes,
            seconds=found.seconds
            | {
                "search": searched - start,
                "refit": refitted - searched,
                "total": refitted - start,
            },
        )
        if advice is not None:
            self.search_cost_ |= advice.cost(found)
        if self.record_experience and setup.situation is not None:
            record(setup.space, setup.situation, found, setup.view)
        if self.verbose:
            tell(f"{PREFIX} {summary(self)}")

    def _warn_of_single_candidate(self, setup: Setup) -> None:
        """Warn where a single learning rate is drawn at random from several."""
        if self.n_candidates != 1 or self.search == "portfolio" or not setup.space.has_more_than(1):
            return
        message = (
            "n_candidates=1 draws a single learning rate at random, and compares it with no other: "
            "raise n_candidates, or give the rate itself, such as learning_rates=[1e-3], to train "
            "at exactly that one."
        )
        warn(SingleCandidateWarning(message), stacklevel=5)

    def _advised(
        self, setup: Setup, random_state: np.random.RandomState, checkpoint: Checkpoint | None
    ) -> Advice | None:
        """Return candidates from the experience, where it is asked.

        Says where they had to be drawn at random.
        """
        if self.search != "portfolio" or setup.situation is None:
            return None
        advice = advise(setup.space, setup.situation, self.n_candidates, random_state)
        if checkpoint is not None:  # the experience may have grown since
            advice = Advice.from_dict(checkpoint.advice(advice.to_dict()))
        if advice.message:
            warn(ExperienceWarning(advice.message), stacklevel=5)
        return advice

    def _warn(self, setup: Setup, found: Found, advice: Advice | None) -> None:
        """Warn where there are reasons to doubt what was found."""
        is_known = is_edge_known(self.n_candidates, advice.cost(found) if advice else {})
        for doubt in doubts(found, setup.view, self.feature_scale_):
            if not (is_known and isinstance(doubt, EdgeOfSpaceWarning)):
                warn(doubt, stacklevel=5)

    def _identity(self, setup: Setup) -> dict[str, str]:
        """Return what the search depends on, by its name."""
        given = self.get_params(deep=False)
        if not isinstance(self.random_state, Integral):
            del given["random_state"]  # the one that the search began with is saved
        params = {
            f"the parameter {name!r}": identity(value)
            for name, value in given.items()
            if name not in WITHOUT_EFFECT
        }
        return of_data(setup.evaluation.data, setup.evaluation.splits) | of_versions() | params

    def _search(
        self, setup: Setup, progress: Progress, start: float, checkpoint: Checkpoint | None
    ) -> Search:
        """Return how is searched, the refit measured beforehand where time is limited."""
        clock = None
        if self.max_time is not None:
            clock = Clock(self.max_time, start)
            if self.refit:
                clock.measure_refit(self._probe(setup))
        conduct = Conduct(
            progress.task,
            self.on_interrupt == "refit",
            clock,
            told=progress.score if self.verbose >= 2 else None,
            n_workers=n_workers(self.n_jobs),
            checkpoint=checkpoint,
        )
        return Search(
            self.search, self.factor, self.min_epochs, self.selection, self.tune_epochs, conduct
        )

    def _refitted(self, setup: Setup, found: Found, task: Task) -> Refits:
        """Return classifiers that were fitted with the chosen strategy."""
        lane, _ = found.lanes[found.candidates.optimizer[self.best_index_]]
        data, parts = self._parts(setup)
        return refit(
            setup.evaluation.estimator,
            self._strategy(setup.space, found),
            setup.evaluation.plan,
            data,
            parts,
            n_epochs=self.best_n_epochs_,
            weights_seed=setup.refit_seeds[0],
            engine=self.engine if lane == "vectorized" else lane,
            task=task,
        )

    def _parts(self, setup: Setup) -> tuple[TrainingData, list[Part]]:
        """Return the rows of the refit, and what each one starts from and trains on."""
        evaluation = setup.evaluation
        if self.refit == "committee":
            return evaluation.data, committee(evaluation.splits, evaluation.seed)
        return setup.data, all_rows(self.n_refits, setup.refit_seeds[1])

    def _verified(self, setup: Setup, found: Found, refits: Refits | None) -> dict[str, Any]:
        """Return how far all that was trained is from what ``Model.fit`` trains."""
        by_keras: list[list[np.ndarray]] = []
        if refits is not None and not refits.by_keras:
            data, parts = self._parts(setup)
            by_keras = refitted_by_keras(
                setup.evaluation.estimator,
                self._strategy(setup.space, found),
                setup.evaluation.plan,
                data,
                parts,
                n_epochs=self.best_n_epochs_,
                weights_seed=setup.refit_seeds[0],
                uses_xla=refits.uses_xla,
            )
        return verify(setup.space, found, setup.evaluation, self.verify, refits, by_keras)

    def _probe(self, setup: Setup) -> Callable[[int, Task], Any]:
        """Return a function that refits for some epochs, at a rate that changes nothing much."""
        harmless = Strategy(PROBE_RATE, setup.space.optimizers[0], setup.space.schedules[0])
        estimator, engine = setup.evaluation.estimator, self.engine
        if estimator.callbacks:  # which are not to see it
            estimator, engine = wrapped.without_callbacks(estimator), "keras"

        def fit(n_epochs: int, task: Task) -> Any:
            n_epochs = min(n_epochs, setup.evaluation.n_epochs)
            data, parts = self._parts(setup)
            return refit(
                estimator,
                harmless,
                setup.evaluation.plan,
                data,
                parts,
                n_epochs=n_epochs,
                weights_seed=setup.refit_seeds[0],
                engine=engine,
                task=task,
            )

        return fit

    def _strategy(self, space: StrategySpace, found: Found) -> Strategy:
        """Return the chosen strategy, with the rates that it has learned where it has."""
        strategy = space.strategy(found.candidates, self.best_index_)
        if found.trajectories is None:
            return strategy
        # Over splits, the mean of logarithms.
        trajectory = np.exp(np.log(found.trajectories[self.best_index_]).mean(axis=0))
        return replace(strategy, schedule=learned(trajectory / strategy.learning_rate))

    def _store(self, setup: Setup, found: Found) -> None:
        """Keep what was found, in place of what an earlier fit found."""
        for of_an_earlier_fit in (
            *("estimators_", "best_estimator_"),
            *("learning_rate_trajectories_", "verification_"),
        ):
            self.__dict__.pop(of_an_earlier_fit, None)
        scores, decisive = setup.metrics.scores(found.record.losses), setup.decisive
        if len(scores) == 1:
            scores, decisive = {"score": scores[decisive]}, "score"
        choice, params = found.choice, setup.space.params(found.candidates)
        self.classes_ = setup.data.classes
        self.no_skill_loss_ = setup.data.no_skill_loss
        self.feature_scale_ = setup.data.feature_scale
        self.best_index_ = choice.index
        self.best_params_ = params[choice.index]
        self.best_learning_rate_ = self.best_params_["learning_rate"]
        self.best_n_epochs_ = int(choice.n_epochs[choice.index])
        self.learning_rate_interval_ = choice.interval
        log_losses, mean_losses = found.record.losses[:2]
        self.learning_curves_ = log_losses
        self.cautious_learning_curves_ = cautious_losses(
            log_losses, mean_losses, setup.view.n_held_out
        )
        self.cv_results_ = cv_results(found.record, params, choice, scores)
        if self.search == "hypergradient":
            self.learning_rate_trajectories_ = found.trajectories
        if self.search != "halving":
            del self.cv_results_["iter"], self.cv_results_["n_resources"]
        self.best_score_ = float(self.cv_results_[f"mean_test_{decisive}"][choice.index])

    def _sk_visual_block_(self) -> Block:
        """Return what scikit-learn's diagram shows, alone and inside of other estimators."""
        return diagram(self)

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
        check_not_forked()
        X = validated(self, X, reset=False)
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(
                "This MetaLRClassifier was fitted with refit=False, so it cannot predict; fit it "
                "with refit=True."
            )
        return predicted(self.estimators_, X)

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
            The most probable class of each row.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def __getstate__(self) -> dict[str, Any]:
        refitted = [one.model_ for one in getattr(self, "estimators_", [])]
        needed = Needed.of([*refitted, *wrapped.models_given(self.estimator)])
        return {NEEDED: needed, **super().__getstate__()}  # models are read after it

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        state.pop(NEEDED).leave()
        super().__setstate__(state)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted classifier to a file, without pickle.

        All that a fit leaves is kept, and the parameters, as far as they are no code: numbers,
        strings, lists, SciPy's distributions, Keras's optimizers and schedules. A function that
        builds the model, a splitter or a scorer of one's own is forgotten.

        Parameters
        ----------
        path : str or os.PathLike
            File to write, in a folder that exists. A file that is there is replaced once the new
            one is complete; if anything fails before, it stays as it was.

        Returns
        -------
        path : pathlib.Path
            The file.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        ValueError
            If the model has a ``Lambda`` layer, or the wrapped classifier an encoder of targets of
            its own, which are code; or one of features that its class does not make again.
        OSError
            If the file cannot be written.
        """
        return save(self, path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], custom_objects: dict[str, Any] | None = None
    ) -> "MetaLRClassifier":
        """Read a fitted classifier from a file that :meth:`save` wrote.

        Nothing is unpickled, models are read in Keras's safe mode, and what they name must be one
        of Keras's own layers, losses or optimizers, or registered. Warns about parameters that
        were forgotten.

        Parameters
        ----------
        path : str or os.PathLike
            The file.
        custom_objects : dict of str to class or function, default=None
            Layers and functions of one's own in the model, by name, as for
            ``keras.saving.load_model``; those that are registered with Keras are found without.
            Also the subclass of ``KerasClassifier`` that was wrapped, where it brings a feature
            encoder.

        Returns
        -------
        fitted : MetaLRClassifier
            Predicts as the one that was saved; of the class that ``load`` is called on.

        Raises
        ------
        RefusedFileError
            If the file is damaged, altered, of a newer version, or names unknown code.
        TypeError
            If it was saved by another class.
        OSError
            If there is no such file, or it cannot be read.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn.datasets import load_iris
        >>> from sk_metalr import MetaLRClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> fitted = MetaLRClassifier(n_candidates=4, n_splits=1, random_state=0).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     path = fitted.save(Path(folder) / "iris.metalr")
        ...     loaded = MetaLRClassifier.load(path)
        >>> bool((loaded.predict_proba(X) == fitted.predict_proba(X)).all())
        True
        """
        fitted: MetaLRClassifier = load(cls, path, custom_objects)
        return fitted


NEEDED = "_needed_by_models"
PROBE_RATE = 1e-7
WITHOUT_EFFECT = {
    "checkpoint_dir",
    "checkpoint_every",
    "experience",  # but for the candidates that it proposes
    "max_memory",
    "max_time",
    "n_jobs",
    "on_interrupt",
    "record_experience",
    "verbose",
}
"""Parameters that may differ where a search goes on."""
_CALLBACKS = "_callback_fit_ctx", "_skl_callbacks_to_teardown"
