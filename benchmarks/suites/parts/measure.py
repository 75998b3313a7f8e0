"""Test losses of the ready-made network with and without each of its parts.

The tables are those that are set aside, so that parts are chosen on others than those that are
reported. Each network is searched by eight rates on three folds, and the choice is trained from two
initial weights.
"""

import warnings
from time import perf_counter

import numpy as np
from sklearn.model_selection import StratifiedKFold

from benchmarks.harness.networks import keras_classifier
from benchmarks.harness.refitting import BATCH_SIZE, EPOCHS, refitted, searched
from benchmarks.harness.scores import mean_score
from benchmarks.harness.tables import Table
from benchmarks.suites.aside.tables import TABLES, load
from sk_metalr import MetaLRClassifier
from sk_metalr._models.ready_made import ReadyMadeClassifier, build_network
from sk_metalr._refit import predicted
from sk_metalr._search.loop import single

SEEDS, N_RATES, N_FOLDS, N_WEIGHTS = 2, 8, 3, 2
PLAIN, READY_MADE = "2 × 128 units alone", "ready-made"
NETWORKS: dict[str, dict | None] = {
    PLAIN: None,
    f"{READY_MADE}, no bins": {"model__n_bins": 0},
    f"{READY_MADE}, features not weighed": {"model__weighs_features": False},
    READY_MADE: {},
    f"{READY_MADE}, 16 bins": {"model__n_bins": 16},
    f"{READY_MADE}, dropout of 0.15": {"model__dropout": 0.15},
}


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: one table each."""
    return {} if quick else {f"parts {name}": {"table": name, "seeds": SEEDS} for name in TABLES}


def measure(table: str, seeds: int) -> list[dict]:
    """Return the test log-loss, in nats, and the seconds of every network on every division."""
    warnings.simplefilter("ignore")
    rows = []
    for seed in range(seeds):
        for name, params in NETWORKS.items():
            start = perf_counter()
            loss = loss_of(params, load(table, seed), seed)
            seconds = perf_counter() - start
            rows.append({"seed": seed, "network": name, "log_loss": loss, "seconds": seconds})
    return rows


def loss_of(params: dict | None, table: Table, seed: int) -> float:
    """Return the test log-loss of a network."""
    how = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "random_state": seed}
    if params is None:
        wrapped = keras_classifier(**how)
    else:
        how |= {"loss": "sparse_categorical_crossentropy", "optimizer": "adam", "verbose": 0}
        wrapped = ReadyMadeClassifier(build_network, **how, **params)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    splits = list(folds.split(table.X_train, table.y_train))
    found, prepared = searched(
        MetaLRClassifier(wrapped, cv=splits), table.X_train, table.y_train, N_RATES, seed
    )
    chosen = single(found.choice)
    predictions = [
        predicted(prepared.data.task, [one], table.X_test, [chosen.temperature])
        for one in refitted(found, prepared, [chosen] * N_WEIGHTS)
    ]
    return mean_score(np.asarray(table.y_test), predictions)["log_loss"]
