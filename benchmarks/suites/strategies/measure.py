"""Wider strategy spaces and other searches: what they bring, and what they cost.

Whole fits of MetaLRClassifier, own refit included, each with one thing changed. The cost is
counted in single fits: epochs of all members and refits, over the epochs of one fit.
"""

import warnings

from benchmarks.harness.refitting import EPOCHS, N_CANDIDATES, classifier, refit_all
from benchmarks.harness.scores import score
from benchmarks.harness.tables import NAMES, load
from sk_metalr import MetaLRClassifier

SEEDS = 1
DEFAULT = "default"
VARIANTS: dict[str, dict] = {
    DEFAULT: {},
    "search=halving": {"search": "halving"},
    "schedules: constant, cosine": {
        "param_distributions": {"schedule": ["constant", "cosine"]},
        "n_candidates": 2 * N_CANDIDATES,
    },
    "schedules: one_cycle": {"param_distributions": {"schedule": ["one_cycle"]}},
    "optimizers: sgd, adam, adamw": {
        "param_distributions": {"optimizer": ["sgd", "adam", "adamw"]},
        "n_candidates": 3 * N_CANDIDATES,
    },
    "three optimizers, two schedules, halving": {
        "param_distributions": {
            "optimizer": ["sgd", "adam", "adamw"],
            "schedule": ["constant", "cosine"],
        },
        "n_candidates": 6 * N_CANDIDATES,
        "search": "halving",
    },
    "learning_rates=auto": {"learning_rates": "auto"},
    "search=hypergradient": {"search": "hypergradient"},
    "n_models=5": {"n_models": 5},
}
"""Parameters that differ from the default: 16 learning rates for each optimizer and schedule."""


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: one table each."""
    names = [] if quick else NAMES
    return {f"strategies {name}": {"table": name, "seeds": SEEDS} for name in names}


def measure(table: str, seeds: int) -> list[dict]:
    """Return one record for each train/test division and variant."""
    warnings.simplefilter("ignore")
    return [
        {"table": table, "seed": seed, **row}
        for seed in range(seeds)
        for row in measure_once(table, seed)
    ]


def measure_once(name: str, seed: int) -> list[dict]:
    table = load(name, seed)
    _, hindsight = refit_all(table, seed, {})
    rows = []
    for variant, params in VARIANTS.items():
        params = {"n_candidates": N_CANDIDATES, "random_state": seed} | params
        fitted = MetaLRClassifier(classifier(seed), **params).fit(table.X_train, table.y_train)
        scores = score(table.y_test, fitted.predict_proba(table.X_test))
        cost = fitted.search_cost_
        rows.append(
            {
                "variant": variant,
                "chosen": {name: str(value) for name, value in fitted.best_params_.items()},
                "n_epochs": fitted.best_n_epochs_,
                "fits": (cost["member_epochs"] + cost["refit_epochs"]) / EPOCHS,
                "seconds": cost["total_seconds"] - cost["compiling_seconds"],
                "excess": scores["log_loss"] - hindsight,
                **scores,
            }
        )
    return rows
