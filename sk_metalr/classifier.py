"""The classifier: what users see."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ._base import BaseMetaLR
from ._population import check_not_forked
from ._refit import predicted
from ._search import validated


class MetaLRClassifier(ClassifierMixin, BaseMetaLR):
    """Keras classifier that chooses its learning strategy inside ``fit``.

    A strategy is a learning rate and, if asked for, an optimizer and a schedule. All candidates are
    trained on all held-out splits at once, as one stacked population in one compiled program. The
    choice is made on held-out log-loss, averaged over splits and smoothed over learning rates and
    epochs. The wrapped classifier is then refitted on all rows with the chosen strategy.

    Parameters
    ----------
    estimator : scikeras.wrappers.KerasClassifier, keras.wrappers.SKLearnClassifier, \
            keras.Model, callable or None, default=None
        The classifier to train; it is never changed. Its ``epochs`` are the full budget. A compiled
        Keras model, or a function that returns one, trains on batches of 32 for up to 40 epochs.
        None: a multi-layer perceptron of 2 × 128 rectified units, trained with Adam. Features
        should be scaled by a Pipeline. The user guide says what becomes of callbacks, metrics and
        ``validation_split``.
    param_distributions : dict, list of dicts, or None, default=None
        What is searched, as for ``RandomizedSearchCV``: lists or distributions by parameter.
        ``"optimizer__learning_rate"``: a list, or a distribution such as
        ``scipy.stats.loguniform(1e-4, 1e-1)``; by default log-uniform on 1e-5 … 1.
        ``"optimizer"``: names or instances of Keras optimizers; by default the wrapped model's own.
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
        with each combination of optimizer and schedule; for ``"portfolio"`` 4.
    cv : "auto", int, float, splitter or iterable, default="auto"
        The held-out splits: a number of stratified folds, a fraction of the rows to hold out once,
        a scikit-learn splitter, or pairs (train, test) of row indices. ``"auto"``: as many of five
        folds as hold out about 2,000 rows in all.
    scoring : str, callable, list or dict, default="neg_log_loss"
        What the choice is made on: the name of one of scikit-learn's scorers, or a function of
        classifier, X and y, for which the classifier predicts and X is the numbers of rows. Of
        several, all are reported, and `refit` names the one that chooses, or else it is the first.
    refit : bool or name of a scorer, default=True
        Whether the classifier is refitted on all rows. Without it there is nothing to predict with.
    n_models : int, default=1
        How many models are fitted with the chosen strategy, each from initial weights of its own.
        Predicted probabilities are their mean, which mostly beats any one of them (Lakshminarayanan
        et al., 2017, arXiv:1612.01474).
    engine : {"auto", "vectorized", "compiled", "keras"}, default="auto"
        How members, candidate × split, are trained: many at once; one after another in a compiled
        program, which serves layers that TensorFlow cannot vectorise; one after another by Keras's
        own loop, which serves everything. ``"auto"``: the first that takes the model;
        ``search_cost_["lane"]`` says which it was, and ``"lane_reason"`` why.
    n_jobs : int or None, default=None
        How many of joblib's workers train the population. None: 1, this process, which uses all
        cores, unless in a ``joblib.parallel_config``. The choice is the same.
    max_memory : float or None, default=None
        Memory, in bytes, that members training at a time may take. None: a quarter of what is free.
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
    best_learning_rate_ : float
        Its learning rate; with a schedule, the highest of the run.
    best_n_epochs_, best_index_ : int
        The chosen number of epochs, and the row of the chosen candidate in ``cv_results_``.
    best_score_ : float
        Its mean held-out score: negative log-loss, in nats, unless `scoring` is another.
    best_estimator_, estimators_ : scikeras.wrappers.KerasClassifier, list of such
        The first of the refitted classifiers, and all of them.
    learning_rate_interval_ : tuple of (float, float)
        Lowest and highest rate around the best one, with the same optimizer and schedule, whose
        smoothed loss is within one standard error of the best.
    cv_results_ : dict of str to ndarray of shape (n_candidates,)
        One row a candidate, as in ``RandomizedSearchCV``; also ``selection_score`` (the smoothed
        score that the choice was made on) and ``selection_standard_error``, ``n_epochs`` (where the
        candidate is scored), ``diverged``, ``diverged_epoch`` (0 where not), ``n_resources``
        (epochs that it was trained for) and ``iter`` (the last rung it reached).
    learning_curves_, laplace_learning_curves_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        Held-out log-loss after every epoch, in nats, NaN once diverged or not trained; and the same
        Laplace-smoothed, as if one more row had been held out whose class nobody knows.
    learning_rate_trajectories_ : ndarray of shape (n_candidates, n_splits, n_epochs)
        Learning rate of each epoch. Only for ``search="hypergradient"``.
    search_cost_ : dict of str to number or str
        Members and epochs trained, the same in ``equivalent_single_fits``, the lane and its reason,
        and the seconds of each part.
    baseline_loss_, feature_scale_ : float
        Log-loss of always predicting the class frequencies, in nats, and the largest root mean
        square of a feature.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
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
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sk_metalr import MetaLRClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MetaLRClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y) > 0.9
    True
    """

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
            raise AttributeError("It was fitted with refit=False; to predict, fit with refit=True.")
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
