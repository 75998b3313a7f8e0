"""Test losses on small tables, over many train/test divisions.

On three divisions with 38 test rows each, as iris has, one row decides. So the tables of fewer than
600 rows are divided twenty times.
"""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedKFold

from benchmarks.harness.refitting import N_CANDIDATES, N_WEIGHTS, classifier, searched
from benchmarks.harness.scores import mean_score
from benchmarks.harness.tables import Table, load
from benchmarks.suites.quality.calibrated import (
    ENSEMBLES,
    N_SPLITS,
    OURS,
    chosen_alone,
    together,
)
from benchmarks.suites.quality.measure import FIVE_MODELS, N_MODELS, UNCALIBRATED
from sk_metalr import MetaLRClassifier

SMALL = ["wine", "breast_cancer", "iris", "penguins"]
N_DIVISIONS = 20


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: one table each."""
    return {} if quick else {f"divisions {name}": {"table": name} for name in SMALL}


def measure(table: str) -> list[dict]:
    """Return one record for each division and method."""
    warnings.simplefilter("ignore")
    return [
        {"seed": seed, "method": name, **mean_score(divided.y_test, several)}
        for seed in range(N_DIVISIONS)
        for divided in [load(table, seed)]
        for name, several in outcomes(divided, seed).items()
    ]


def outcomes(table: Table, seed: int) -> dict[str, list[np.ndarray]]:
    """Return test probabilities by method."""
    splits = StratifiedKFold(N_SPLITS, shuffle=True, random_state=seed)
    folds = list(splits.split(table.X_train, table.y_train))
    of_search = {}
    for calibrate in (True, False):
        estimator = MetaLRClassifier(
            classifier(seed), cv=folds, n_models=max(ENSEMBLES), calibrate=calibrate
        )
        of_search[calibrate] = searched(estimator, table.X_train, table.y_train, N_CANDIDATES, seed)
    plain = chosen_alone(*of_search[False], table, N_MODELS)
    return {
        OURS: chosen_alone(*of_search[True], table, N_WEIGHTS),
        ENSEMBLES[10]: [together(*of_search[True], table, 10)],
        UNCALIBRATED: plain,
        FIVE_MODELS: [np.mean(plain, axis=0)],
    }
