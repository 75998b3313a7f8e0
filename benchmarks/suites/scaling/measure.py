"""The growth of the cost: whole fits as one thing grows and the rest stays.

Every point is a process of its own: one fit that compiles, then the fit that is timed.
Beside the time stands the floor: the arithmetic of all training steps at the speed this
machine multiplies large matrices, and the memory traffic of weights, gradients and
optimizer state at the speed both cores copy memory. (XLA compiles searches of 500 steps
and more: all points but the fewest rows.)
"""

import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from time import perf_counter

import numpy as np
from sklearn.model_selection import RepeatedStratifiedKFold

from benchmarks.harness.networks import keras_classifier
from sk_metalr import MetaLRClassifier

BASE = {
    "n_candidates": 16,
    "rows": 2_000,
    "features": 64,
    "width": 128,
    "splits": 1,
    "epochs": 20,
    "batch_size": 32,
}
AXES: dict[str, tuple[list[int], dict[str, int]]] = {
    "n_candidates": ([1, 4, 16, 64, 256], {"width": 32}),
    "rows": ([1_000, 10_000, 100_000, 1_000_000], {"epochs": 4, "batch_size": 64, "width": 32}),
    "features": ([16, 64, 256, 1024], {"rows": 1_000}),
    "width": ([32, 128, 512, 1024], {"rows": 1_000, "epochs": 10}),
    "splits": ([1, 2, 5, 10], {}),
}
N_CLASSES = 10
BYTES_PER_WEIGHT = 4 * 8
"""Adam reads and writes weight, two moments and gradient, 4 bytes each."""


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: a point on an axis."""
    if quick:
        return {}
    return {
        f"scaling {axis} {value}": {"axis": axis, **BASE, **others, axis: value}
        for axis, (values, others) in AXES.items()
        for value in values
    }


def measure(axis: str, **size: int) -> dict:
    """Return seconds of a fit, of the first fit, and of the floor."""
    warnings.simplefilter("ignore")
    random = np.random.default_rng(0)
    X = random.normal(size=(size["rows"], size["features"])).astype(np.float32)
    y = (X @ random.normal(size=(size["features"], N_CLASSES))).argmax(axis=1)
    seconds = []
    for _ in range(2):
        start = perf_counter()
        fitted = MetaLRClassifier(
            keras_classifier(size["epochs"], size["width"], batch_size=size["batch_size"]),
            n_candidates=size["n_candidates"],
            cv=held_out(X, y, size["splits"]),
            random_state=0,
        ).fit(X, y)
        seconds.append(perf_counter() - start)
    return {
        "first_seconds": seconds[0],
        "seconds": seconds[1],
        "breakdown": fitted.search_cost_,
        **floor(**size, refit_epochs=fitted.search_cost_["refit_epochs"]),
    }


def held_out(X: np.ndarray, y: np.ndarray, n_splits: int) -> list:
    """Return splits that hold out a fifth: the first of five folds, which are shuffled again."""
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=-(-n_splits // 5), random_state=0)
    return list(islice(folds.split(X, y), n_splits))


def floor(
    *, n_candidates, rows, features, width, splits, epochs, batch_size, refit_epochs
) -> dict[str, float]:
    """Return the least seconds that arithmetic and memory traffic of all training take."""
    n_weights = features * width + width * width + width * N_CLASSES
    member_rows = epochs * 0.8 * rows * n_candidates * splits + refit_epochs * rows
    # 2 forwards, 4 backwards, but for the first layer, whose input needs no gradient.
    flops = (6 * n_weights - 2 * features * width) * member_rows
    traffic = BYTES_PER_WEIGHT * n_weights * member_rows / batch_size
    return {
        "arithmetic_seconds": flops / flops_per_second(),
        "traffic_seconds": traffic / bytes_per_second(),
    }


def flops_per_second(n: int = 2_000) -> float:
    a = np.ones((n, n), np.float32)
    return 2 * n**3 / _best_of(lambda: a @ a)


def bytes_per_second(n: int = 2**25) -> float:
    """Copy memory on both cores at once."""
    arrays = [(np.ones(n, np.float32), np.empty(n, np.float32)) for _ in range(2)]
    with ThreadPoolExecutor(len(arrays)) as threads:

        def copy_all():
            list(threads.map(lambda pair: np.copyto(pair[1], pair[0]), arrays))

        return 2 * sum(source.nbytes for source, _ in arrays) / _best_of(copy_all)


def _best_of(run, rounds: int = 5) -> float:
    seconds = []
    for _ in range(rounds):
        start = perf_counter()
        run()
        seconds.append(perf_counter() - start)
    return min(seconds)
