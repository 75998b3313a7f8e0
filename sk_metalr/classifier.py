"""The classifier: what users see."""

import os
from typing import Any, ClassVar

import keras
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ._base import BaseMetaLR
from ._data import TrainingData
from ._models import CLASSIFIERS
from ._recorded import Recorded
from ._search import Scoring, lower_losses
from ._task import Classification, MultiLabel, OneHot

INDICATORS, ONE_HOT = "multilabel-indicator", "one-hot"


class MetaLRClassifier(ClassifierMixin, BaseMetaLR):
    """Keras classifier that chooses its learning strategy inside ``fit``.

    A strategy is a learning rate and, if asked for, any other hyperparameters. All candidates are
    trained on all held-out splits at once, as one stacked population in one compiled program. The
    choice is made on held-out log-loss, averaged over splits and smoothed over learning rates and
    epochs. The wrapped classifier is then refitted on all rows with the chosen strategy.

    Parameters
    ----------
    estimator : scikeras.wrappers.KerasClassifier, keras.wrappers.SKLearnClassifier, \
            keras.Model, callable or None, default=None
        The classifier to train; it is never changed. Its ``epochs`` are the full budget. A compiled
        Keras model, or a function that returns one, trains on batches of 32 for up to 40 epochs.
        None: a multi-layer perceptron of 2 × 128 rectified units, trained with Adam, which
        standardises features itself; ``model__units``, ``model__n_layers``, ``model__activation``,
        ``model__dropout`` and ``model__n_bins`` can be searched. The user guide says what is in
        it, and what becomes of callbacks, metrics and ``validation_split``.
    param_distributions : dict, list of dicts, or None, default=None
        What is searched, as for ``RandomizedSearchCV``: lists or distributions by parameter of the
        wrapped classifier, such as ``"model__units"``, ``"model__dropout"``, ``"batch_size"``.
        ``"optimizer__learning_rate"``: a list, or a distribution such as
        ``scipy.stats.loguniform(1e-4, 1e-1)``; by default log-uniform on 1e-5 … 1.
        ``"optimizer"``: names or instances of Keras optimizers; by default the wrapped model's own.
        ``"epochs"``: the highest is the budget.
        ``"schedule"``: ``"constant"``, ``"linear"`` and ``"cosine"`` (down to 0), ``"one_cycle"``
        (up, then down), Keras schedules, or functions that return a factor for the progress from 0
        to 1; by default constant.
    learning_rates : array-like, object with a method ``rvs``, "auto" or None, default=None
        The short way to say ``{"optimizer__learning_rate": learning_rates}``. ``"auto"``: the
        rates between those at which one epoch makes no progress and those at which it diverges.
    search : {"random", "halving", "portfolio", "hypergradient"} or BaseSearch, default="random"
        What proposes candidates and decides how long each is trained: :class:`RandomSearch`,
        :class:`Halving`, :class:`Portfolio` or :class:`Hypergradient` with their defaults, or an
        object, such as ``Halving(factor=4)``.
    n_candidates : int or None, default=None
        How many strategies are tried in all; fewer where lists hold fewer. None: 16 learning rates
        for each combination of optimizer and schedule, 4 for ``"portfolio"``. Where other
        parameters are searched, 32 strategies in all, of which one static setting, such as units or
        a batch size, is drawn for every eight, but at least two; for ``"portfolio"``, 8 for each
        combination, and 32 in all at most.
    cv : "auto", int, float, splitter or iterable, default="auto"
        The held-out splits: a number of stratified folds, a fraction of the rows to hold out once,
        a scikit-learn splitter, or pairs (train, test) of row indices. ``"auto"``: five folds; from
        2,500 rows on only as many of them as hold out 2,000 rows in all, from 10,000 on a single
        one, and from 100,000 on one part of about 20,000.
    scoring : str, callable, list or dict, default="neg_log_loss"
        What the choice is made on: the name of one of scikit-learn's scorers, or a function of
        classifier, X and y. The classifier has predicted already; X, of shape (n_test, 1), holds
        row indices to pass to its ``predict`` or ``predict_proba``. Of several, all are reported,
        and `refit` names the one that chooses, or else it is the first.
    calibrate : bool, default=True
        Whether candidates are compared by their log-loss after temperature scaling, which takes
        their over-confidence out of the comparison, and predicted probabilities are scaled by the
        temperature of the chosen one (Guo et al., 2017, arXiv:1706.04599; Berta et al., 2025,
        arXiv:2501.19195). Predicted labels do not depend on it. It also turns on the scoring of
        averages of the weights (`uses_averages_`). False: losses are compared as measured, and
        nothing is averaged.
    refit : bool or name of a scorer, default=True
        Whether the classifier is refitted on all rows. Without it there is nothing to predict with.
    n_models : int, default=1
        How many models are fitted on all rows, each from initial weights of its own; predicted
        probabilities are their mean. With `calibrate` they are an ensemble of candidates, chosen
        greedily by out-of-fold predictions (Caruana et al., 2004, doi:10.1145/1015330.1015432).
        All have the chosen strategy (Lakshminarayanan et al., 2017, arXiv:1612.01474) if
        `calibrate` is False, if one candidate alone does best, if a score other than the log-loss
        chooses, if time ran out, or with ``search="hypergradient"``.
    engine : {"auto", "vectorized", "compiled", "keras"}, default="auto"
        How members, candidate × split, are trained: many at once; one after another in a compiled
        program, which serves layers that TensorFlow cannot vectorise; one after another by Keras's
        own loop, which serves everything. ``"auto"``: the first that takes the model;
        ``search_cost_["lane"]`` says which it was, and ``"lane_reason"`` why.
    n_jobs : int or None, default=None
        How many of joblib's workers train the population. None: 1, this process, which uses all
        cores, unless in a ``joblib.parallel_config``. The choice is the same unless candidates are
        very close.
    max_memory : float or None, default=None
        Memory, in bytes, that weights, gradients and optimizer states of members training at a time
        may take. None: a quarter of what is free.
    max_time : float or None, default=None
        Seconds that the whole fit may take. The search ends at an epoch, alike for all candidates,
        after which there would not be time for another one and the refit; one epoch is always
        trained. None: no limit.
    checkpoint_dir : str, os.PathLike or None, default=None
        Folder in which the search is saved, at each rung and several times a minute, until the fit
        is done. The same fit, started again after its process has died, goes on from there.
    random_state : int, RandomState instance or None, default=None
        Randomness of candidates, splits, initial weights, order of rows and dropout. Pass an int
        for the same choice and predictions in every fit.
    verbose : int, default=0
        If positive, shows how far the fit is, and says what was chosen and what it cost; from 2 on,
        what was the best at each rung, too. scikit-learn's callbacks work beside it.

    Attributes
    ----------
    best_params_ : dict
        The chosen strategy; optimizer and schedule by name.
    importances_ : dict of str to float
        Share of the variance of the held-out loss that each parameter explains by itself (Hutter,
        Hoos & Leyton-Brown, 2014).
    best_learning_rate_ : float
        Its learning rate; with a schedule, the highest of the run.
    best_n_epochs_, best_index_ : int
        The chosen number of epochs, and the row of the chosen candidate in ``cv_results_``.
    best_score_, score_name_ : float, str
        Its mean held-out score, and the name of that: the negative log-loss, in nats, after
        calibration, ``"neg_log_loss"``, unless `scoring` is another.
    temperature_ : float
        What the logits of the refitted model, or the logarithms of the mean probabilities of
        several, are divided by; 1 without `calibrate`.
    ensemble_, ensemble_weights_ : list of dict, ndarray of shape (n_models,)
        The refitted models: ``index`` of the candidate, ``n_epochs``, ``uses_averages`` and
        ``temperature`` of each; and their weights in the mean.
    best_estimator_, estimators_ : scikeras.wrappers.KerasClassifier, list of such
        The first of the refitted classifiers, and all of them.
    uses_averages_ : bool
        Whether averages of the chosen candidate's weights over the last epochs did better than the
        weights themselves (Polyak & Juditsky, 1992, doi:10.1137/0330046), and are what is refitted;
        ``ensemble_`` says it for each model.
    learning_rate_interval_ : tuple of (float, float)
        Lowest and highest rate around the best one, with the same static parameters, whose
        smoothed loss is within one standard error of the best.
    cv_results_ : dict of str to ndarray of shape (n_candidates,)
        One row per candidate, as in ``RandomizedSearchCV``; also ``selection_score`` (the smoothed
        score that the choice was made on) and ``selection_standard_error``, ``n_epochs`` (where the
        candidate is scored), ``averaged`` (whether averages of its weights
        did better), ``diverged``, ``diverged_epoch`` (0 where not), ``n_resources``
        (epochs that it was trained for; 0 if it left during the first, and is scored as it was
        then) and ``iter`` (the last rung it reached).
    learning_curves_, laplace_learning_curves_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        Held-out log-loss after every epoch, in nats, NaN once diverged or not trained (the first is
        that of the moment where a candidate left during that epoch); and the same Laplace-smoothed,
        as if one more row had been held out whose class nobody knows.
    calibrated_learning_curves_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        Laplace-smoothed losses at the candidate's own temperature after each epoch, which a prior
        holds near 1, of its weights or of their averages, whichever did better. The choice is made
        on these. Only with `calibrate`.
    learning_rate_trajectories_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        Learning rate of each epoch. Only for ``search="hypergradient"``.
    search_cost_ : dict of str to number or str
        Members and epochs trained, the same in ``equivalent_single_fits``, the lane and its reason,
        and the seconds of each part.
    baseline_loss_, feature_scale_ : float
        Log-loss of always predicting the class frequencies, in nats, and the largest root mean
        square of a feature.
    classes_ : ndarray of shape (n_classes,)
        Class labels; the numbers of the columns where targets are a matrix.
    target_type_ : {"binary", "multiclass", "multilabel-indicator", "one-hot"}
        What the targets are. A matrix of one 1 in each row is one-hot where the loss is
        categorical, and ``predict`` returns such rows, too.
    n_features_in_, feature_names_in_ : int, ndarray of shape (`n_features_in_`,)
        Number of features seen during ``fit``, and their names if X had names that are all strings.

    See Also
    --------
    sklearn.model_selection.RandomizedSearchCV : One fit for each candidate and split.
    verify : Compares a fit with what ``Model.fit`` trains.
    report : Writes a page about a fit.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_metalr import MetaLRClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MetaLRClassifier(random_state=0)  # around a ready-made network
    >>> model.fit(X, y).score(X, y) > 0.9
    True
    """

    _wrappers = CLASSIFIERS
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMetaLR._parameter_constraints,
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any = None,
        param_distributions: Any = None,
        *,
        learning_rates: Any = None,
        search: Any = "random",
        n_candidates: int | None = None,
        cv: Any = "auto",
        scoring: Any = "neg_log_loss",
        calibrate: bool = True,
        refit: bool | str = True,
        n_models: int = 1,
        engine: str = "auto",
        n_jobs: int | None = None,
        max_memory: float | None = None,
        max_time: float | None = None,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.learning_rates = learning_rates
        self.search = search
        self.n_candidates = n_candidates
        self.cv = cv
        self.scoring = scoring
        self.calibrate = calibrate
        self.refit = refit
        self.n_models = n_models
        self.engine = engine
        self.n_jobs = n_jobs
        self.max_memory = max_memory
        self.max_time = max_time
        self.checkpoint_dir = checkpoint_dir
        self.random_state = random_state
        self.verbose = verbose

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Features.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``. With several labels, each column is a probability of its
            own.
        """
        return self._predicted(self._seen_task, X)

    def export_model(self) -> keras.Model:
        """Return a Keras model that gives the probabilities of ``predict_proba``.

        Temperatures, and the mean over several models, are inside it. It can be saved and served
        as any Keras model; it takes features as the wrapped model does, and shares its layers.

        Returns
        -------
        model : keras.Model
            From features of shape (n_samples, n_features) or (n_samples, ...) to probabilities of
            shape (n_samples, n_classes), in the order of ``classes_``.

        Raises
        ------
        ValueError
            If the wrapped classifier encodes features before its model sees them.
        """
        return self._exported(self._seen_task)

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
        labels : ndarray of shape (n_samples,) or (n_samples, n_classes)
            The most probable class of each row. With several labels, 1 where the probability is
            above 1/2; for one-hot targets, a 1 for the most probable class.
        """
        return self._seen_task.labels(self.predict_proba(X), self.classes_)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: the ready-made network also takes several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self.estimator is None
        return tags

    def _task(self) -> Classification:
        return Classification(with_temperatures=self.calibrate)

    @property
    def _seen_task(self) -> Classification:
        check_is_fitted(self, "best_learning_rate_")
        # Files of versions before there were several labels do not say.
        of_columns: dict[Any, Classification] = {INDICATORS: MultiLabel(), ONE_HOT: OneHot()}
        return of_columns.get(getattr(self, "target_type_", None), Classification())

    def _store_targets(self, data: TrainingData) -> None:
        self.classes_ = data.classes
        of_labels = "binary" if len(data.classes) == 2 else "multiclass"
        of_columns = INDICATORS if data.target.ndim == 2 else ONE_HOT
        self.target_type_ = of_labels if data.y.ndim == 1 else of_columns

    def _knows_targets(self, data: TrainingData) -> bool:
        return np.array_equal(self.classes_, data.classes)

    def _store_curves(self, scoring: Scoring, recorded: Recorded) -> None:
        self.laplace_learning_curves_ = scoring.smoothed(recorded)
        if self.calibrate:
            self.calibrated_learning_curves_ = lower_losses(
                [scoring.calibrated(view) for view in recorded.views]
            )

    @property
    def _smoothed_curves(self) -> np.ndarray:
        return self.laplace_learning_curves_

    @property
    def _selection_curves(self) -> np.ndarray:
        return getattr(self, "calibrated_learning_curves_", self.laplace_learning_curves_)
