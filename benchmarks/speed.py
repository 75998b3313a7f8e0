"""What does a search cost? Whole fits against one plain Keras fit, interleaved, in one run.

    python benchmarks/speed.py [--pairs N] [--width N]

Digits, a network of 64-WIDTH-WIDTH-10, Adam, 20 epochs, batches of 32. In every round each
contender fits once; a ratio is taken within its round. The first round, in which every
program is compiled, is reported by itself.
"""

import argparse
import os
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.datasets import load_digits

from sk_metalr import MetaLRClassifier

EPOCHS, N_CANDIDATES = 20, 16
BARS = {"1 split": 2.0, "5 splits": 4.0}


def network(width):
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def plain(width: int) -> KerasClassifier:
    return KerasClassifier(
        network,
        model__width=width,
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        epochs=EPOCHS,
        batch_size=32,
        verbose=0,
    )


def seconds(estimator, X, y) -> float:
    start = perf_counter()
    estimator.fit(X, y)
    return perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5, help="rounds, the first one included")
    parser.add_argument("--width", type=int, default=128)
    arguments = parser.parse_args()
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    ratios: dict[str, list[float]] = {name: [] for name in BARS}
    for seed in range(arguments.pairs):
        unit = seconds(plain(arguments.width), X, y)
        for name in BARS:
            searching = MetaLRClassifier(
                plain(arguments.width),
                n_candidates=N_CANDIDATES,
                n_splits=int(name.split()[0]),
                tune_epochs=False,  # the refit trains all 20 epochs, as the plain fit does
                random_state=seed,
            )
            ratios[name].append(seconds(searching, X, y) / unit)
        latest = ", ".join(f"{name} {values[-1]:.2f}" for name, values in ratios.items())
        print(f"round {seed}: one plain fit {unit:.2f} s; ratios: {latest}", flush=True)
    missed = 0
    for name, bar in BARS.items():
        first, *others = ratios[name]
        median = float(np.median(others))
        missed += median > bar
        print(
            f"{'holds ' if median <= bar else 'MISSED'} {name}: {median:.2f} × one plain fit "
            f"(from {min(others):.2f} to {max(others):.2f}; bar {bar}); {first:.2f} in the first "
            "round, with compiling"
        )
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
