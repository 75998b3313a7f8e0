"""Joint searches on tables, and their cost on digits.

On tables, the rate alone (16 candidates) and the joint space (32) are searched on five folds, at
random, by halving, and among what searches of the other tables propose; each choice is refitted
three times, and scores are means over them.
RandomizedSearchCV would train the same candidates on the same folds, so it chooses from their
curves, by the lowest loss after the last epoch. Optuna trains its own, one after another, and so on
the first division of each table alone.
"""

import warnings
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

from benchmarks.harness.experience import without
from benchmarks.harness.refitting import N_WEIGHTS, refitted, searched
from benchmarks.harness.scores import mean_score
from benchmarks.harness.tables import NAMES, Table, load
from benchmarks.suites.joint.peers import (
    N_CANDIDATES,
    NUMBERS,
    SPACE,
    classifier,
    optuna_tpe,
    ours,
    randomized_search,
)
from sk_metalr import Halving, MetaLRClassifier, Portfolio, RandomSearch
from sk_metalr._refit import predicted
from sk_metalr._search import Chosen, SearchResult
from sk_metalr._search.loop import single

SEEDS, EPOCHS, N_MODELS, N_RATES = 3, 40, 10, 16
EPOCHS_ON_DIGITS, ROUNDS = 20, 4
RATE_ALONE, JOINT, HALVED = "rate alone", "joint", "joint, halving"
TAUGHT = "joint, portfolio from the other tables"
SEARCHES = {
    RATE_ALONE: (None, N_RATES, lambda table: RandomSearch()),
    JOINT: (SPACE, N_CANDIDATES, lambda table: RandomSearch()),
    HALVED: (SPACE, N_CANDIDATES, lambda table: Halving()),
    TAUGHT: (SPACE, None, lambda table: Portfolio(without(table))),
}
LOWEST = "by the lowest last loss, as RandomizedSearchCV, cv=5"
OPTUNA = "joint, Optuna TPE, one split, pruned, first division"
SPACES = {"all": SPACE, "numbers alone": NUMBERS}
PEERS = {
    "RandomizedSearchCV, cv=5, n_jobs=2": randomized_search,
    "Optuna TPE, one split, pruned": optuna_tpe,
}


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: a space on digits, or a table."""
    if quick:
        return {}
    cost = {f"joint cost, {name}": {"space": name} for name in SPACES}
    return cost | {f"joint {name}": {"table": name} for name in NAMES}


def measure(space: str | None = None, table: str | None = None) -> dict:
    """Return seconds, or scores."""
    warnings.simplefilter("ignore")
    if space is not None:
        return cost_of(SPACES[space], with_peers=space == "all")
    rows = []
    for seed in range(SEEDS):
        scores = scores_of(load(table, seed), seed)
        rows += [{"seed": seed, "method": name, **one} for name, one in scores.items()]
    return {"rows": rows}


def cost_of(space: dict, with_peers: bool) -> dict:
    """Return seconds of plain fits and of searches, refits included, by turns.

    Searches draw the same candidates, as in ``cross_val_score``: later ones compile nothing.
    """
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    classifier(EPOCHS_ON_DIGITS).fit(X, y)
    contenders = {
        "plain": lambda: classifier(EPOCHS_ON_DIGITS).fit(X, y),
        "five folds": lambda: ours(X, y, space, EPOCHS_ON_DIGITS, 0),
        "one split": lambda: ours(X, y, space, EPOCHS_ON_DIGITS, 0, cv=0.2),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(1 + ROUNDS):
        for name, fit in contenders.items():
            start = perf_counter()
            fit()
            seconds[name].append(perf_counter() - start)
    peers = {}
    for name, fit in PEERS.items() if with_peers else ():
        start = perf_counter()
        fit(X, y, space, EPOCHS_ON_DIGITS, 0)
        peers[name] = perf_counter() - start
    return {
        "plain": median(seconds["plain"]),
        "first": seconds["five folds"][0],
        "later": median(seconds["five folds"][1:]),
        "one split": median(seconds["one split"][1:]),
        "peers": peers,
    }


def scores_of(table: Table, seed: int) -> dict[str, dict[str, float]]:
    """Return test scores by method."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    splits = list(folds.split(table.X_train, table.y_train))
    outcomes = {}
    for name, (space, n_candidates, algorithm_for) in SEARCHES.items():
        algorithm = algorithm_for(table.name)
        estimator = MetaLRClassifier(classifier(EPOCHS, seed), space, cv=splits, n_models=N_MODELS)
        found, prepared = searched(
            estimator, table.X_train, table.y_train, n_candidates, seed, algorithm
        )
        task = prepared.data.task

        def predictions(models, found=found, prepared=prepared, task=task):
            for model, one in zip(models, refitted(found, prepared, models), strict=True):
                yield predicted(task, [one], table.X_test, [model.temperature])

        outcomes[name] = list(predictions([single(found.choice)] * N_WEIGHTS))
        several = np.mean(list(predictions(found.models)), axis=0)
        outcomes[f"{name}, n_models={N_MODELS}"] = [task.tempered(several, found.temperature)]
        if type(algorithm) is RandomSearch:  # trained to the end
            outcomes[f"{name}, {LOWEST}"] = list(predictions([lowest_last(found)] * N_WEIGHTS))
    if seed == 0:
        tuned = optuna_tpe(table.X_train, table.y_train, SPACE, EPOCHS, seed)
        outcomes[OPTUNA] = [tuned.predict_proba(table.X_test)]
    return {name: mean_score(table.y_test, several) for name, several in outcomes.items()}


def lowest_last(found: SearchResult) -> Chosen:
    """Return the candidate of the lowest mean loss of fully trained models."""
    last = np.nan_to_num(found.history.recorded["log_loss"][..., -1].mean(axis=1), nan=np.inf)
    return Chosen(int(last.argmin()), EPOCHS, uses_averages=False, temperature=1.0)
