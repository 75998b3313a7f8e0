"""Whole fits of ours, of the same network chosen otherwise, and of rivals, on the same rows.

The network has 2 × 128 units and trains with Adam on the squared error of targets that are scaled
by their mean and deviation, on batches of 32 for up to 40 epochs. "Hindsight" is its lowest test
error over 16 rates and all epochs, which nobody could choose. ``RandomizedSearchCV`` is computed
from the curves of our search, which are those that it would train: the rate of the lowest mean
error after all epochs, over the same five folds. Rivals have their defaults. Those of other
libraries come with ``pip install -e ".[rivals]"``; each is measured in a process of its own.
"""

import warnings
from importlib.util import find_spec
from time import perf_counter

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from benchmarks.harness.tables import NUMBERS, Table, load_numbers

SEEDS = 3
FIRST_ONLY = "TabM"
"""Measured on the first division only: a fit takes two minutes on two cores."""

N_CANDIDATES, EPOCHS, BATCH_SIZE = 16, 40, 32
DEFAULT_RATE = 1e-3
OURS = "MetaLRRegressor"
ENSEMBLE = f"{OURS}, n_models=10"
RANDOMIZED = "RandomizedSearchCV(KerasRegressor), five folds"
STOPPED = "default rate, early stopping on one 20 % split"
DEFAULT = "default rate, all epochs"
HINDSIGHT = "hindsight"
NETWORKS = "networks"


def network(seed: int, **params):
    """Wrap the network of the other suites."""
    from scikeras.wrappers import KerasRegressor

    from benchmarks.harness.networks import mlp

    how = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "verbose": 0, "random_state": seed}
    return KerasRegressor(mlp, loss="mean_squared_error", optimizer="adam", **(how | params))


def plain(seed: int, rate: float = DEFAULT_RATE, **params):
    """Return the same network trained by Keras, at a rate of one's own."""
    wrapped = network(seed, optimizer__learning_rate=rate, **params)
    return TransformedTargetRegressor(wrapped, transformer=StandardScaler())


def early_stopped(seed: int):
    """Return the network that ends where a fifth of its rows is predicted best."""
    import keras

    stop = keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)
    return plain(seed, validation_split=0.2, callbacks=[stop])


def networks(table: Table, seed: int) -> dict[str, tuple[np.ndarray, float]]:
    """Return test predictions, and seconds, of the network chosen in several ways."""
    from sk_metalr import MetaLRRegressor

    found, how = {}, {"cv": 5, "n_candidates": N_CANDIDATES, "random_state": seed}

    def timed(name, estimator, seconds=0.0):
        start = perf_counter()
        fitted = estimator.fit(table.X_train, table.y_train)
        found[name] = fitted.predict(table.X_test), seconds + perf_counter() - start
        return fitted

    timed(DEFAULT, plain(seed))
    timed(STOPPED, early_stopped(seed))
    ours = timed(OURS, MetaLRRegressor(network(seed), **how))
    timed(ENSEMBLE, MetaLRRegressor(network(seed), n_models=10, **how))
    rates = np.sort(ours.cv_results_["param_optimizer__learning_rate"].data.astype(float))
    last = np.nan_to_num(ours.learning_curves_[:, :, -1].mean(axis=1), nan=np.inf)
    lowest = ours.cv_results_["params"][int(last.argmin())]["optimizer__learning_rate"]
    timed(RANDOMIZED, plain(seed, lowest), float("nan"))
    both = np.concatenate([table.X_train, table.X_test])
    targets = np.concatenate([table.y_train, table.y_test])
    n_train = len(table.y_train)
    division = np.arange(n_train), np.arange(n_train, len(targets))
    best = MetaLRRegressor(
        network(seed), learning_rates=rates, cv=[division], refit=False, random_state=seed
    ).fit(both, targets)
    # In units of the variance of the training targets.
    error = np.nanmin(best.learning_curves_) * table.y_train.var()
    found[HINDSIGHT] = table.y_test - np.sqrt(error), float("nan")
    return found


def catboost(seed: int):
    from catboost import CatBoostRegressor

    return CatBoostRegressor(verbose=0, allow_writing_files=False, random_seed=seed)


def lightgbm(seed: int):
    from lightgbm import LGBMRegressor

    return LGBMRegressor(verbose=-1, random_state=seed)


def realmlp(seed: int):
    from pytabkit import RealMLP_TD_Regressor

    return RealMLP_TD_Regressor(random_state=seed, device="cpu")


def tabm(seed: int):
    from pytabkit import TabM_D_Regressor

    return TabM_D_Regressor(random_state=seed, device="cpu")


def scaled(regressor):
    """Scale targets, for a rival that asks for it."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


RIVALS = {
    "CatBoost": catboost,
    "LightGBM": lightgbm,
    "RealMLP": realmlp,
    "TabM": tabm,
    "HistGradientBoosting": lambda seed: HistGradientBoostingRegressor(random_state=seed),
    "RandomForest": lambda seed: RandomForestRegressor(random_state=seed),
    "Ridge": lambda seed: RidgeCV(np.logspace(-3, 3, 13)),
    "SVR": lambda seed: scaled(SVR()),
    "MLPRegressor": lambda seed: scaled(
        MLPRegressor(hidden_layer_sizes=(128, 128), max_iter=200, random_state=seed)
    ),
}
OF_LIBRARIES = {
    **{"CatBoost": "catboost", "LightGBM": "lightgbm"},
    **{"RealMLP": "pytabkit", "TabM": "pytabkit"},
}
"""Rivals that are left out where their library is not installed."""

NEURAL = [OURS, ENSEMBLE, RANDOMIZED, STOPPED, DEFAULT, "RealMLP", "TabM", "MLPRegressor"]


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: a contender on a table, or all networks."""
    tables = [] if quick else list(NUMBERS)
    rivals = [name for name in RIVALS if find_spec(OF_LIBRARIES.get(name, "sklearn"))]
    return {
        f"regression {table} {contender}": {
            "table": table,
            "contender": contender,
            "seeds": 1 if contender == FIRST_ONLY else SEEDS,
        }
        for table in tables
        for contender in [NETWORKS, *rivals]
    }


def measure(table: str, contender: str, seeds: int) -> list[dict]:
    """Return one record for each train/test division and contender."""
    warnings.simplefilter("ignore")
    rows = []
    for seed in range(seeds):
        of_table = load_numbers(table, seed)
        if contender == NETWORKS:
            found = networks(of_table, seed)
        else:
            start = perf_counter()
            fitted = RIVALS[contender](seed).fit(of_table.X_train, of_table.y_train)
            seconds = perf_counter() - start
            found = {contender: (np.ravel(fitted.predict(of_table.X_test)), seconds)}
        for name, (predictions, seconds) in found.items():
            error = np.mean((of_table.y_test - predictions) ** 2)
            rows.append(
                {
                    "contender": name,
                    "seed": seed,
                    "rmse": float(np.sqrt(error)),
                    "normalised_rmse": float(np.sqrt(error) / of_table.y_test.std()),
                    "r2": float(1 - error / of_table.y_test.var()),
                    "seconds": seconds,
                }
            )
    return rows
