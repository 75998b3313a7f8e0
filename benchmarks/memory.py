"""Does memory grow from fit to fit? Resident memory over many fits in one process.

    python benchmarks/memory.py [--fits N]

Exits non-zero if memory grows by 5 MB a fit or more after the tenth, or TensorFlow warns
that a function is traced again and again.
"""

import argparse
import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import psutil
import tensorflow as tf
from sklearn.datasets import load_digits
from speed import plain

from sk_metalr import MetaLRClassifier

BAR = 5.0
WARM_UP = 10


class Retracing(logging.Handler):
    """Counts TensorFlow's warnings about retracing."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "retracing" in record.getMessage()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=50)
    n_fits = parser.parse_args().fits
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    retracing = Retracing()
    tf.get_logger().addHandler(retracing)
    process = psutil.Process()
    resident = []
    for seed in range(n_fits):
        estimator = plain(64).set_params(epochs=5)
        rows = np.random.default_rng(seed).permutation(len(y))[: 1000 + 5 * seed]
        MetaLRClassifier(estimator, n_splits=2, random_state=seed).fit(X[rows], y[rows])
        resident.append(process.memory_info().rss / 2**20)
    growth = np.polyfit(range(WARM_UP, n_fits), resident[WARM_UP:], 1)[0]
    print(
        f"resident memory after 1, {WARM_UP} and {n_fits} fits: {resident[0]:.0f}, "
        f"{resident[WARM_UP - 1]:.0f}, {resident[-1]:.0f} MB; {growth:.2f} MB a fit after the "
        f"tenth (bar {BAR}); {retracing.count} warnings of retracing"
    )
    return int(growth >= BAR or retracing.count > 0)


if __name__ == "__main__":
    raise SystemExit(main())
