"""Resident memory over many fits in one process: whether it grows from fit to fit."""

import logging
import warnings

import numpy as np
import psutil
import tensorflow as tf
from sklearn.datasets import load_digits

from benchmarks.harness.networks import keras_classifier
from sk_metalr import MetaLRClassifier

N_FITS = 100
WARM_UP = 10


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own."""
    return {} if quick else {"memory": {"n_fits": N_FITS}}


class Retracing(logging.Handler):
    """Counts TensorFlow's warnings about retracing."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "retracing" in record.getMessage()


def measure(n_fits: int) -> dict:
    """Return resident memory after every fit, in megabytes, and how it grows."""
    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    retracing = Retracing()
    tf.get_logger().addHandler(retracing)
    process = psutil.Process()
    resident = []
    for seed in range(n_fits):
        # Tables of other sizes: what depends on the number of rows is made anew.
        rows = np.random.default_rng(seed).permutation(len(y))[: 1000 + 5 * seed]
        # 20 epochs are enough steps for XLA to compile them.
        estimator = MetaLRClassifier(keras_classifier(20, 64), cv=0.2, random_state=seed)
        estimator.fit(X[rows], y[rows]).predict(X[rows])
        resident.append(process.memory_info().rss / 2**20)
    return {
        "resident_megabytes": resident,
        "growth": float(np.polyfit(range(WARM_UP, n_fits), resident[WARM_UP:], 1)[0]),
        "retracing_warnings": retracing.count,
    }
