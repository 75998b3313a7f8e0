"""The cost of workers: the same search in one process, and by two Dask workers on two cores.

Fits alternate. The first of each, in which the workers start and every process compiles, is
reported by itself.
"""

import warnings
from statistics import median
from time import perf_counter

import joblib
import numpy as np
from sklearn.datasets import load_digits

from benchmarks.harness.networks import keras_classifier
from sk_metalr import MetaLRClassifier

N_ROUNDS = 5
EPOCHS = 80
"""For fits of ten seconds and more; shorter ones are over before workers pay."""


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own."""
    return {} if quick else {"workers, width 128": {"width": 128}}


def measure(width: int) -> dict:
    """Return seconds of each fit, and whether all of them chose the same."""
    from distributed import Client, LocalCluster

    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    seconds: dict[str, list[float]] = {"here": [], "dask": []}
    chosen, curves = set(), []
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**settings) as cluster, Client(cluster):
        for _ in range(1 + N_ROUNDS):
            for where in seconds:
                estimator = MetaLRClassifier(keras_classifier(EPOCHS, width), random_state=0)
                start = perf_counter()
                if where == "dask":
                    with joblib.parallel_config(backend="dask"):
                        estimator.fit(X, y)
                else:
                    estimator.fit(X, y)
                seconds[where].append(perf_counter() - start)
                chosen.add((estimator.best_learning_rate_, estimator.best_n_epochs_))
                curves.append(estimator.learning_curves_[estimator.best_index_])
    return {
        "first_seconds": {where: of_fits[0] for where, of_fits in seconds.items()},
        "seconds": {where: median(of_fits[1:]) for where, of_fits in seconds.items()},
        "n_choices": len(chosen),
        "largest_difference": float(max(np.abs(one - curves[0]).max() for one in curves)),
    }
