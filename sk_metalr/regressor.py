"""The regressor: what users see."""

import os
from typing import Any, ClassVar

import keras
import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ._base import BaseMetaLR
from ._data import TrainingData
from ._models import REGRESSORS
from ._recorded import Recorded
from ._search import Scoring, lower_losses
from ._task import Regression, TargetScaler

COLUMNS = "continuous-multioutput"


class MetaLRRegressor(RegressorMixin, BaseMetaLR):
    """Keras regressor that chooses its learning strategy inside ``fit``.

    It searches as :class:`MetaLRClassifier` does: all candidates are trained on all held-out splits
    at once, the choice is made on held-out losses, averaged over splits and smoothed over learning
    rates and epochs, and the wrapped regressor is refitted on all rows. Targets are scaled to a
    mean of 0 and a standard deviation of 1, as they are in the training rows, so that the default
    learning rates suit them; predictions are scaled back.

    Parameters
    ----------
    estimator : scikeras.wrappers.KerasRegressor, keras.wrappers.SKLearnRegressor, \
            keras.Model, callable or None, default=None
        The regressor to train; it is never changed. Its ``epochs`` are the full budget. A compiled
        Keras model, or a function that returns one, trains on batches of 32 for up to 40 epochs.
        None: a multi-layer perceptron of 2 × 128 rectified units and a linear unit for each number
        to predict, trained on the squared error with Adam, which standardises features itself;
        ``model__units``, ``model__n_layers``, ``model__activation``, ``model__dropout`` and
        ``model__n_bins`` can be searched.
    param_distributions : dict, list of dicts, or None, default=None
        What is searched, as for ``RandomizedSearchCV``; see :class:`MetaLRClassifier`.
    learning_rates : array-like, object with a method ``rvs``, "auto" or None, default=None
        The short way to say ``{"optimizer__learning_rate": learning_rates}``. ``"auto"``: the
        rates between those at which one epoch makes no progress and those at which it diverges.
    search : {"random", "halving", "portfolio", "hypergradient"} or BaseSearch, default="random"
        What proposes candidates and decides how long each is trained. The experience that comes
        with this package is of classifiers: for ``"portfolio"``, record searches of your own.
    n_candidates : int or None, default=None
        How many strategies are tried in all; see :class:`MetaLRClassifier`.
    cv : "auto", int, float, splitter or iterable, default="auto"
        The held-out splits: a number of shuffled folds, a fraction of the rows to hold out once, a
        scikit-learn splitter, or pairs (train, test) of row indices. ``"auto"``: five folds; from
        2,500 rows on only as many of them as hold out 2,000 rows in all, from 10,000 on a single
        one, and from 100,000 on one part of about 20,000.
    scoring : str, callable, list, dict or None, default="neg_mean_squared_error"
        What the choice is made on: the name of one of scikit-learn's scorers, or a function of
        regressor, X and y. The regressor has predicted already; X, of shape (n_test, 1), holds row
        indices to pass to its ``predict``. Of several, all are reported, and `refit` names the one
        that chooses, or else it is the first. None: the loss that the model trains on, such as
        that of a quantile.
    standardize : bool, default=True
        Whether targets are scaled. Those of a Poisson loss, or of a network whose last activation
        is never negative, are divided by their mean alone; those of the mean squared logarithmic or
        absolute percentage error, or of a network that ends in a sigmoid or tanh, are left as they
        are. A Huber loss counts in standard deviations.
    refit : bool or name of a scorer, default=True
        Whether the regressor is refitted on all rows. Without it there is nothing to predict with.
    n_models : int, default=1
        How many models are fitted on all rows, each from initial weights of its own; predictions
        are their mean. They are an ensemble of candidates, chosen greedily by out-of-fold
        predictions (Caruana et al., 2004, doi:10.1145/1015330.1015432). All have the chosen
        strategy if one candidate alone does best, if another scorer than
        the squared error chooses (or than the training loss, with `scoring=None`),
        if time ran out, or with ``search="hypergradient"``.
    engine : {"auto", "vectorized", "compiled", "keras"}, default="auto"
        How members, candidate × split, are trained; see :class:`MetaLRClassifier`.
    n_jobs : int or None, default=None
        How many of joblib's workers train the population. None: 1, this process, which uses all
        cores, unless in a ``joblib.parallel_config``. The choice is the same unless candidates are
        very close.
    max_memory : float or None, default=None
        Memory, in bytes, that members training at a time may take. None: a quarter of what is free.
    max_time : float or None, default=None
        Seconds that the whole fit may take; see :class:`MetaLRClassifier`. None: no limit.
    checkpoint_dir : str, os.PathLike or None, default=None
        Folder in which the search is saved until the fit is done. The same fit, started again after
        its process has died, goes on from there.
    random_state : int, RandomState instance or None, default=None
        Randomness of candidates, splits, initial weights, order of rows and dropout. Pass an int
        for the same choice and predictions in every fit.
    verbose : int, default=0
        If positive, shows how far the fit is, and says what was chosen and what it cost; from 2 on,
        what was the best at each rung, too.

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
        Its mean held-out score, and the name of that: the negative squared error, in squared units
        of the targets, or ``"neg_loss"``, minus the training loss of scaled targets, where
        `scoring` is None.
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        What is subtracted from the targets, and what they are divided by: their mean and standard
        deviation where they are standardised, 0 and their mean where they are only divided, 0 and 1
        where they are left as they are. The scale of a constant target is 0.
    target_variance_ : ndarray of shape (n_outputs,)
        Their variance, the squared error of always predicting their mean.
    n_outputs_, target_type_ : int, {"continuous", "continuous-multioutput"}
        How many numbers are predicted for a row, and whether they are in columns.
    ensemble_, ensemble_weights_ : list of dict, ndarray of shape (n_models,)
        The refitted models: ``index`` of the candidate, ``n_epochs`` and ``uses_averages`` of each
        (the ``temperature`` is 1); and their weights in the mean.
    best_estimator_, estimators_ : scikeras.wrappers.KerasRegressor, list of such
        The first of the refitted regressors, and all of them. They predict scaled targets.
    uses_averages_ : bool
        Whether averages of the chosen candidate's weights over the last epochs did better than the
        weights themselves (Polyak & Juditsky, 1992, doi:10.1137/0330046), and are what is refitted;
        ``ensemble_`` says it for each model.
    learning_rate_interval_ : tuple of (float, float)
        Lowest and highest rate around the best one, with the same static parameters, whose
        smoothed loss is within one standard error of the best.
    cv_results_ : dict of str to ndarray of shape (n_candidates,)
        One row per candidate, as in ``RandomizedSearchCV``, with further columns; see
        :class:`MetaLRClassifier`.
    learning_curves_, selection_learning_curves_ : ndarray of shape \
            (n_candidates, n_splits, n_epochs)
        Held-out loss after every epoch, NaN once diverged or not trained; and the same of the
        weights or of their averages, whichever were better. Without `scoring` of its own, a squared
        error of scaled targets: the share of the variance that is left, 1 - R², the mean of all
        outputs.
    learning_rate_trajectories_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        Learning rate of each epoch. Only for ``search="hypergradient"``.
    search_cost_ : dict of str to number or str
        Members and epochs trained, the same in ``equivalent_single_fits``, the lane and its reason,
        and the seconds of each part.
    baseline_loss_, feature_scale_ : float
        Held-out loss of the best constant prediction, and the largest root mean square of a
        feature. For the squared error that prediction is the mean, and the loss is 1 where targets
        are standardised (a constant output counts 0 in the mean over outputs).
    n_features_in_, feature_names_in_ : int, ndarray of shape (`n_features_in_`,)
        Number of features seen during ``fit``, and their names if X had names that are all strings.

    See Also
    --------
    MetaLRClassifier : The same for classes and labels.
    sklearn.compose.TransformedTargetRegressor : Any other transformation of targets.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk_metalr import MetaLRRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MetaLRRegressor(random_state=0)  # around a ready-made network
    >>> model.fit(X, y).score(X, y) > 0.4
    True
    """

    _wrappers = REGRESSORS
    calibrate: ClassVar[bool] = True  # averages and ensembles; there is no temperature
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMetaLR._parameter_constraints,
        "scoring": [str, callable, list, tuple, dict, None],
        "standardize": ["boolean"],
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
        scoring: Any = "neg_mean_squared_error",
        standardize: bool = True,
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
        self.standardize = standardize
        self.refit = refit
        self.n_models = n_models
        self.engine = engine
        self.n_jobs = n_jobs
        self.max_memory = max_memory
        self.max_time = max_time
        self.checkpoint_dir = checkpoint_dir
        self.random_state = random_state
        self.verbose = verbose

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, of the shape of the targets in ``fit``, in their units.
        """
        scaled = self._predicted(Regression(), X)
        predictions = np.asarray(self._scaler().inverse(scaled))
        return predictions if self.target_type_ == COLUMNS else predictions[:, 0]

    def export_model(self) -> keras.Model:
        """Return a Keras model that predicts as ``predict`` does.

        The scaling of the targets, and the mean over several models, are inside it. It can be saved
        and served as any Keras model; it takes features as the wrapped model does, and shares its
        layers.

        Returns
        -------
        model : keras.Model
            From features of shape (n_samples, n_features) or (n_samples, ...) to predictions of
            shape (n_samples, n_outputs).

        Raises
        ------
        ValueError
            If the wrapped regressor encodes features before its model sees them.
        """
        check_is_fitted(self, "best_learning_rate_")
        return self._exported(Regression(), self._scaler())

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags, among them that y may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _task(self) -> Regression:
        return Regression(scales=self.standardize, by_training_loss=self.scoring is None)

    def _scaler(self) -> TargetScaler:
        return TargetScaler(self.target_mean_, self.target_scale_)

    def _knows_targets(self, data: TrainingData) -> bool:
        scaler, known = data.scaler(np.arange(len(data.y))), self._scaler()
        assert scaler is not None
        is_mean = np.array_equal(scaler.mean, known.mean)
        return is_mean and np.array_equal(scaler.scale, known.scale)

    def _store_targets(self, data: TrainingData) -> None:
        scaler = data.scaler(np.arange(len(data.y)))
        assert scaler is not None
        self.target_mean_, self.target_scale_ = scaler.mean, scaler.scale
        standard = TargetScaler.learned(data.target, "standard", data.sample_weight)
        self.target_variance_ = standard.scale**2
        self.n_outputs_ = len(scaler.mean)
        self.target_type_ = COLUMNS if data.y.ndim == 2 else "continuous"

    def _store_curves(self, scoring: Scoring, recorded: Recorded) -> None:
        self.selection_learning_curves_ = lower_losses(
            [scoring.smoothed(view) for view in recorded.views]
        )

    @property
    def _smoothed_curves(self) -> np.ndarray:
        return self.selection_learning_curves_

    @property
    def _selection_curves(self) -> np.ndarray:
        return self.selection_learning_curves_

    @property
    def _seen_task(self) -> Regression:
        is_scaled = bool((self.target_mean_ != 0).any() or (self.target_scale_ != 1).any())
        scaling = "standard" if is_scaled else "none"
        by_training_loss = self.score_name_ == "neg_loss"
        return Regression(self.n_outputs_, scaling, by_training_loss=by_training_loss)

    @property
    def _baseline_score(self) -> float:
        if self._seen_task.by_training_loss:
            return float(self.baseline_loss_)
        return float(self.target_variance_.mean())
