"""The joint space, the network that is searched, and ways to search it today."""

import keras
import numpy as np
from scikeras.utils.transformers import ClassifierLabelEncoder
from scipy.stats import loguniform, uniform
from sklearn.metrics import log_loss
from sklearn.model_selection import RandomizedSearchCV, train_test_split

from benchmarks.harness.networks import TaggedKerasClassifier, mlp
from sk_metalr import MetaLRClassifier

RATE = {"optimizer__learning_rate": loguniform(1e-5, 1.0)}
NUMBERS = {
    "model__dropout": uniform(0.0, 0.5),
    "optimizer__weight_decay": loguniform(1e-6, 1e-1),
    "loss__label_smoothing": uniform(0.0, 0.1),
}
"""What one compiled program takes as data."""

SPACE = NUMBERS | {"model__units": [32, 64, 128], "batch_size": [16, 32, 64]}
N_CANDIDATES = 32


class OneHotEncoder(ClassifierLabelEncoder):
    """Makes one-hot targets of two classes, too, as SciKeras does only of more."""

    def _type_of_target(self, y):
        found = super()._type_of_target(y)
        return "multiclass" if found == "binary" else found


class OneHotClassifier(TaggedKerasClassifier):
    """Makes one-hot targets, as SciKeras does only where the loss is given by its name."""

    @property
    def target_encoder(self):
        """Encoder of the targets."""
        return OneHotEncoder(loss="categorical_crossentropy")


def classifier(epochs: int, seed: int | None = None, **params) -> OneHotClassifier:
    """Return the network of two hidden layers of 128 units that spaces are searched around."""
    defaults = {"batch_size": 32, "verbose": 0, "random_state": seed, "optimizer": "adam"}
    loss = keras.losses.CategoricalCrossentropy
    return OneHotClassifier(mlp, loss=loss, epochs=epochs, **(defaults | params))


def ours(X, y, space, epochs, seed, cv=5):
    """Search by halving, and refit."""
    return MetaLRClassifier(
        classifier(epochs),
        space,
        n_candidates=N_CANDIDATES,
        search="halving",
        cv=cv,
        random_state=seed,
    ).fit(X, y)


def randomized_search(X, y, space, epochs, seed):
    """Search at random on five folds, by two processes."""
    return RandomizedSearchCV(
        classifier(epochs),
        RATE | space,
        n_iter=N_CANDIDATES,
        scoring="neg_log_loss",
        cv=5,
        n_jobs=2,
        error_score=-1e9,
        random_state=seed,
    ).fit(X, y)


def optuna_tpe(X, y, space, epochs, seed):
    """Search by TPE on one split, pruned by Hyperband after every epoch, and refit."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, stratify=y, random_state=seed
    )
    classes = np.unique(y)
    held_out = X_test, np.eye(len(classes), dtype=np.float32)[np.searchsorted(classes, y_test)]

    class Report(keras.callbacks.Callback):
        """Tell the pruner how the trial does after every epoch."""

        def __init__(self, trial):
            super().__init__()
            self.trial = trial

        def on_epoch_end(self, epoch, logs=None):
            self.trial.report(logs["val_loss"], epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def suggested(trial):
        return {name: _suggest(trial, name, values) for name, values in (RATE | space).items()}

    def objective(trial):
        estimator = classifier(epochs, seed, **suggested(trial))
        estimator.set_params(callbacks=[Report(trial)], fit__validation_data=held_out)
        probabilities = np.asarray(estimator.fit(X_train, y_train).predict_proba(X_test), float)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return log_loss(y_test, probabilities, labels=classes)

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.HyperbandPruner(max_resource=epochs),
    )
    study.optimize(objective, n_trials=N_CANDIDATES, catch=(ValueError,))
    return classifier(epochs, seed, **study.best_params).fit(X, y)


def _suggest(trial, name, values):
    if isinstance(values, list):
        return trial.suggest_categorical(name, values)
    low, high = values.support()
    return trial.suggest_float(name, low, high, log=values.dist.name == "loguniform")
