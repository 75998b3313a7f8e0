"""Fit and predict on a memory-map, and print what it took; run by test_large.py.

In a process of its own: memory is that of the process.
"""

import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
from make import small_classifier

from sk_metalr import MetaLRClassifier

N_WARM_ROWS = 20_000


def network(meta):
    """Build a network of 2 × 64 units."""
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def classifier(n_candidates, epochs=1):
    one = small_classifier(network, loss="binary_crossentropy", epochs=epochs, batch_size=1024)
    return MetaLRClassifier(one, n_candidates=n_candidates, random_state=0)


def written(path, n_rows, n_columns):
    """Write a table in pieces; return it as a read-only map, with labels."""
    rng = np.random.default_rng(0)
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, n_columns))
    y = np.empty(n_rows, np.int64)
    for start in range(0, n_rows, 10_000):
        part = slice(start, start + 10_000)
        X[part] = rng.standard_normal(X[part].shape, dtype=np.float32)
        y[part] = X[part, :5].sum(axis=1) + rng.standard_normal(len(y[part])) > 0
    X.flush()
    return np.load(path, mmap_mode="r"), y


def allocated():
    """Return the memory of this process that no file backs, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def peak_of(function):
    """Call a function; return its result, and by how much memory grew meanwhile, at most."""
    before, seen, is_done = allocated(), [0], threading.Event()

    def watch():
        while not is_done.is_set():
            seen.append(allocated())
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = function()
    finally:
        is_done.set()
        watcher.join()
    return result, max(seen) - before


def main(folder, n_rows, n_columns, n_candidates, warm_epochs):
    warm_X, warm_y = written(Path(folder) / "warm.npy", N_WARM_ROWS, n_columns)
    # So many epochs that XLA compiles what it compiles for the large table.
    classifier(n_candidates, warm_epochs).fit(warm_X, warm_y).predict_proba(warm_X)
    X, y = written(Path(folder) / "X.npy", n_rows, n_columns)
    fitted, fit_peak = peak_of(lambda: classifier(n_candidates).fit(X, y))
    probabilities, predict_peak = peak_of(lambda: fitted.predict_proba(X))
    accuracy = np.mean(probabilities.argmax(axis=1) == y)
    seconds = fitted.search_cost_["total_seconds"]
    print("measured", X.nbytes, fit_peak, predict_peak, accuracy, seconds)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
