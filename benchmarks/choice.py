"""Is the choice a good one? Test log-loss on real tables, against honest rivals.

    python benchmarks/choice.py [--tables NAME ...] [--seeds N] [--epochs N] [--out FILE]

Every method trains the same network (2 × 128 rectified units, Adam, batches of 32) on the
same training rows; a row of the table is the mean over train/test seeds of the test
log-loss in nats.
"""

import argparse
import json
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
from scikeras.wrappers import KerasClassifier
from sklearn.metrics import log_loss
from tables import NAMES, Table, load

from sk_metalr import MetaLRClassifier
from sk_metalr.exceptions import EdgeOfSpaceWarning

PATIENCE = 5


def network(meta):
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


def classifier(epochs: int, seed: int, **params) -> KerasClassifier:
    """Return the network at Keras's default learning rate of Adam, 1e-3."""
    return KerasClassifier(
        network,
        loss="sparse_categorical_crossentropy",
        optimizer="adam",
        epochs=epochs,
        batch_size=32,
        verbose=0,
        random_state=seed,
        **params,
    )


def methods(epochs: int, seed: int) -> dict:
    """Return the estimators that are compared, unfitted."""
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    keras_classifier = classifier(epochs, seed)
    return {
        "default rate": keras_classifier,
        "early stopping": classifier(epochs, seed, callbacks=[stop], validation_split=0.2),
        "textbook": MetaLRClassifier(
            keras_classifier, n_splits=1, selection="min", tune_epochs=False, random_state=seed
        ),
        "MetaLRClassifier": MetaLRClassifier(keras_classifier, random_state=seed),
    }


def measure(table: Table, seed: int, epochs: int) -> dict[str, float]:
    """Return the test log-loss of every method on one table, in nats."""
    losses = {}
    for name, estimator in methods(epochs, seed).items():
        estimator.fit(table.X_train, table.y_train)
        probabilities = np.asarray(estimator.predict_proba(table.X_test), dtype=np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        losses[name] = log_loss(table.y_test, probabilities, labels=estimator.classes_)
    return losses


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--seeds", type=int, default=3, help="train/test divisions")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--out", type=Path, help="also write every figure here, as JSON")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", EdgeOfSpaceWarning)
    records = []
    for name in arguments.tables:
        for seed in range(arguments.seeds):
            losses = measure(load(name, seed), seed, arguments.epochs)
            records.append({"table": name, "seed": seed, **losses})
            print(records[-1], flush=True)
    table = pd.DataFrame(records).drop(columns="seed").groupby("table", sort=False).mean()
    table.loc["mean"] = table.mean()
    print(table.round(4).to_string())
    ours = table["MetaLRClassifier"]
    gain = table["default rate"] - ours
    bars = {
        "mean at least 0.05 below the default rate": gain["mean"] >= 0.05,
        "mean no worse than early stopping": ours["mean"] <= table["early stopping"]["mean"],
        "no table more than 0.02 above the default rate": gain.min() >= -0.02,
    }
    for bar, holds in bars.items():
        print(f"{'holds ' if holds else 'MISSED'} {bar}")
    if arguments.out:
        arguments.out.write_text(json.dumps(records, indent=1))
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
