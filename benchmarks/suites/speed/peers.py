"""Ways to search a learning rate today, each as one function of X, y, width and seed.

All get 16 candidates, log-uniform on 1e-5 … 1, score them by log-loss on held-out rows
(one stratified 20 % split, or five folds where the name says so) and refit the winner on
all rows: rivals for all epochs, MetaLRClassifier for as many as it chose. Networks are left
unseeded: SciKeras would switch TensorFlow's op determinism on, and not off again. Each imports
its own library, so that it is in no other's memory.
"""

import tempfile

import keras
import numpy as np
from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    StratifiedShuffleSplit,
    train_test_split,
)
from sklearn.neural_network import MLPClassifier

from benchmarks.harness.networks import (
    TaggedKerasClassifier,
    keras_classifier,
    keras_regressor,
    network,
)
from sk_metalr import MetaLRClassifier, MetaLRRegressor

EPOCHS, N_CANDIDATES = 20, 16
LOW, HIGH = 1e-5, 1.0
RATES = {"optimizer__learning_rate": loguniform(LOW, HIGH)}


def plain(X, y, width, seed):
    """One fit at Keras's default rate: the unit of every ratio."""
    return keras_classifier(EPOCHS, width).fit(X, y)


def ours(X, y, width, seed, cv=0.2, search="random", **params):
    return MetaLRClassifier(
        keras_classifier(EPOCHS, width),
        search=search,
        n_candidates=N_CANDIDATES,
        cv=cv,
        random_state=seed,
        **params,
    ).fit(X, y)


def ours_five_splits(X, y, width, seed):
    return ours(X, y, width, seed, cv=5)


def ours_uncalibrated(X, y, width, seed):
    return ours(X, y, width, seed, cv=5, calibrate=False)


def ours_ensemble(X, y, width, seed):
    return ours(X, y, width, seed, cv=5, n_models=10)


def ours_halving(X, y, width, seed):
    return ours(X, y, width, seed, cv="auto", search="halving")


def ours_portfolio(X, y, width, seed):
    """Search as few rates as the shipped experience proposes, on five splits."""
    return MetaLRClassifier(
        keras_classifier(EPOCHS, width),
        search="portfolio",
        cv=5,
        random_state=seed,
    ).fit(X, y)


def plain_of_numbers(X, y, width, seed):
    """One fit of a regressor, to classes as numbers."""
    return keras_regressor(EPOCHS, width).fit(X, y.astype(float))


def ours_of_numbers(X, y, width, seed, cv=0.2):
    return MetaLRRegressor(
        keras_regressor(EPOCHS, width), n_candidates=N_CANDIDATES, cv=cv, random_state=seed
    ).fit(X, y.astype(float))


def ours_of_numbers_five_splits(X, y, width, seed):
    return ours_of_numbers(X, y, width, seed, cv=5)


def _classifier(width):
    return TaggedKerasClassifier(**keras_classifier(EPOCHS, width).get_params(deep=False))


def randomized_search(X, y, width, seed, n_jobs=1, cv=None):
    return RandomizedSearchCV(
        _classifier(width),
        RATES,
        n_iter=N_CANDIDATES,
        scoring="neg_log_loss",
        cv=cv or StratifiedShuffleSplit(1, test_size=0.2, random_state=seed),
        n_jobs=n_jobs,
        random_state=seed,
    ).fit(X, y)


def randomized_search_two_jobs(X, y, width, seed):
    return randomized_search(X, y, width, seed, n_jobs=2)


def randomized_search_five_folds(X, y, width, seed):
    return randomized_search(X, y, width, seed, n_jobs=2, cv=5)


def halving_search(X, y, width, seed, n_jobs=1):
    return HalvingRandomSearchCV(
        _classifier(width),
        RATES,
        n_candidates=N_CANDIDATES,
        resource="epochs",
        max_resources=EPOCHS,
        min_resources="exhaust",
        scoring="neg_log_loss",
        cv=StratifiedShuffleSplit(1, test_size=0.2, random_state=seed),
        n_jobs=n_jobs,
        random_state=seed,
    ).fit(X, y)


def halving_search_two_jobs(X, y, width, seed):
    return halving_search(X, y, width, seed, n_jobs=2)


def optuna_tpe(X, y, width, seed, pruner=None):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, stratify=y, random_state=seed
    )
    classes = np.unique(y)

    class Report(keras.callbacks.Callback):
        """Tell the pruner how the trial does after every epoch."""

        def __init__(self, trial):
            super().__init__()
            self.trial = trial

        def on_epoch_end(self, epoch, logs=None):
            self.trial.report(logs["val_loss"], epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def objective(trial):
        rate = trial.suggest_float("rate", LOW, HIGH, log=True)
        estimator = keras_classifier(EPOCHS, width, optimizer__learning_rate=rate)
        if pruner is None:
            estimator.fit(X_train, y_train)
        else:
            code = np.searchsorted(classes, y_test)
            estimator.set_params(callbacks=[Report(trial)], fit__validation_data=(X_test, code))
            estimator.fit(X_train, y_train)
        return log_loss(y_test, _normalised(estimator.predict_proba(X_test)), labels=classes)

    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=N_CANDIDATES, catch=(ValueError,))
    best = study.best_params["rate"]
    return keras_classifier(EPOCHS, width, optimizer__learning_rate=best).fit(X, y)


def optuna_tpe_pruned(X, y, width, seed):
    import optuna

    pruner = optuna.pruners.HyperbandPruner(max_resource=EPOCHS)
    return optuna_tpe(X, y, width, seed, pruner=pruner)


def _normalised(probabilities):
    probabilities = np.asarray(probabilities, dtype=np.float64)
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def keras_tuner(X, y, width, seed, hyperband=False):
    import keras_tuner

    classes, code = np.unique(y, return_inverse=True)
    meta = {"n_features_in_": X.shape[1], "n_classes_": len(classes)}

    def build(hyperparameters):
        rate = hyperparameters.Float("rate", LOW, HIGH, sampling="log")
        model = network(meta, width)
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        return model

    X_train, X_test, y_train, y_test = train_test_split(
        X, code, test_size=0.2, stratify=code, random_state=seed
    )
    with tempfile.TemporaryDirectory() as folder:
        common = {"objective": "val_loss", "seed": seed, "directory": folder}
        if hyperband:
            tuner = keras_tuner.Hyperband(build, max_epochs=EPOCHS, **common)
        else:
            tuner = keras_tuner.RandomSearch(build, max_trials=N_CANDIDATES, **common)
        tuner.search(
            X_train,
            y_train,
            validation_data=(X_test, y_test),
            epochs=EPOCHS,
            batch_size=32,
            verbose=0,
        )
        model = build(tuner.get_best_hyperparameters(1)[0])
    model.fit(X, code, epochs=EPOCHS, batch_size=32, verbose=0)
    return model


def keras_tuner_hyperband(X, y, width, seed):
    return keras_tuner(X, y, width, seed, hyperband=True)


def mlp(X, y, width, seed):
    """One fit of scikit-learn's own network, no search."""
    return MLPClassifier(
        (width, width), batch_size=32, max_iter=EPOCHS, n_iter_no_change=EPOCHS, random_state=seed
    ).fit(X, y)


def mlp_search(X, y, width, seed):
    """The same search over scikit-learn's own network: quick, but no Keras model."""
    return RandomizedSearchCV(
        MLPClassifier((width, width), batch_size=32, max_iter=EPOCHS, n_iter_no_change=EPOCHS),
        {"learning_rate_init": loguniform(LOW, HIGH)},
        n_iter=N_CANDIDATES,
        scoring="neg_log_loss",
        cv=StratifiedShuffleSplit(1, test_size=0.2, random_state=seed),
        n_jobs=2,
        random_state=seed,
    ).fit(X, y)


PEERS = {
    "RandomizedSearchCV, one split": randomized_search,
    "RandomizedSearchCV, one split, n_jobs=2": randomized_search_two_jobs,
    "RandomizedSearchCV, cv=5, n_jobs=2": randomized_search_five_folds,
    "HalvingRandomSearchCV over epochs": halving_search,
    "HalvingRandomSearchCV over epochs, n_jobs=2": halving_search_two_jobs,
    "Optuna TPE": optuna_tpe,
    "Optuna TPE, Hyperband pruner": optuna_tpe_pruned,
    "KerasTuner RandomSearch": keras_tuner,
    "KerasTuner Hyperband": keras_tuner_hyperband,
}
"""Searches over the same Keras model."""

STRONG_PEERS = [
    "RandomizedSearchCV, one split, n_jobs=2",
    "HalvingRandomSearchCV over epochs, n_jobs=2",
]
"""The quickest of them: the other settings have the first of them."""

OTHERS = {
    "scikit-learn's MLPClassifier, one fit": mlp,
    "RandomizedSearchCV(MLPClassifier), one split, n_jobs=2": mlp_search,
}
OURS = {
    "MetaLRClassifier, 1 split": ours,
    "MetaLRClassifier, 5 splits": ours_five_splits,
}
OF_NUMBERS = {
    "MetaLRRegressor, 1 split": ours_of_numbers,
    "MetaLRRegressor, 5 splits": ours_of_numbers_five_splits,
}
"""In multiples of one plain fit of a regressor."""

UNCALIBRATED = "MetaLRClassifier, 5 splits, calibrate=False"
ENSEMBLE = "MetaLRClassifier, 5 splits, n_models=10"
VARIANTS = {UNCALIBRATED: ours_uncalibrated, ENSEMBLE: ours_ensemble}
HALVING = "MetaLRClassifier, halving, default splits"
PORTFOLIO = "MetaLRClassifier, portfolio, 5 splits"
SHORTER = {HALVING: ours_halving, PORTFOLIO: ours_portfolio}
