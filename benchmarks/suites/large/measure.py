"""A million rows of 50 features, one epoch: whole fits of 16 candidates, beside plain Keras.

Fits alternate. The floor is the arithmetic of all training steps at the speed of large matrix
products: with large batches, a plain fit of Keras comes near it, too.
"""

import warnings
from time import perf_counter

import numpy as np

from benchmarks.harness.networks import keras_classifier
from benchmarks.suites.scaling.measure import floor
from sk_metalr import MetaLRClassifier

N_ROWS, N_FEATURES, N_CANDIDATES, WIDTH = 1_000_000, 50, 16, 64
N_ROUNDS = {32: 2, 256: 4, 1024: 6}
"""Number of rounds by batch size, the first of which compiles."""
SEARCHES = ("random", "halving")


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: a batch size."""
    if quick:
        return {}
    return {
        f"large, batches of {size}": {"batch_size": size, "n_rounds": n}
        for size, n in N_ROUNDS.items()
    }


def measure(batch_size: int, n_rounds: int) -> dict:
    """Return seconds of each fit in each round, and of the floor of training all candidates."""
    warnings.simplefilter("ignore")
    random = np.random.default_rng(0)
    X = random.standard_normal((N_ROWS, N_FEATURES), dtype=np.float32)
    y = (X[:, :5].sum(axis=1) + random.standard_normal(N_ROWS) > 0).astype(int)
    plain = keras_classifier(1, WIDTH, batch_size=batch_size)
    contenders = {"plain": plain} | {
        search: MetaLRClassifier(plain, n_candidates=N_CANDIDATES, search=search, random_state=0)
        for search in SEARCHES
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(n_rounds):
        for name, estimator in contenders.items():
            start = perf_counter()
            estimator.fit(X, y)
            seconds[name].append(perf_counter() - start)
    size = {
        "n_candidates": N_CANDIDATES,
        "rows": N_ROWS,
        "features": N_FEATURES,
        "width": WIDTH,
        "splits": 1,
        "epochs": 1,
        "batch_size": batch_size,
        "refit_epochs": 1,
    }
    scores = {search: contenders[search].best_score_ for search in SEARCHES}
    return {"seconds": seconds, "scores": scores, **floor(**size)}
