"""What do the wider strategy spaces and the shorter searches bring, and what do they cost?

Whole fits of MetaLRClassifier, own refit included, each with one thing changed. The cost is
counted in single fits: epochs of all members and refits, over the epochs of one fit.
"""

import warnings

from quality import EPOCHS, N_CANDIDATES, classifier, refit_all, score
from tables import NAMES, load

from sk_metalr import MetaLRClassifier

SEEDS = 1
DEFAULT = "default"
VARIANTS: dict[str, dict] = {
    DEFAULT: {},
    "search=halving": {"search": "halving"},
    "schedules: constant, cosine": {"schedules": ["constant", "cosine"]},
    "schedules: one_cycle": {"schedules": ["one_cycle"]},
    "optimizers: sgd, adam, adamw": {"optimizers": ["sgd", "adam", "adamw"]},
    "three optimizers, two schedules, halving": {
        "optimizers": ["sgd", "adam", "adamw"],
        "schedules": ["constant", "cosine"],
        "search": "halving",
    },
    "learning_rates=auto": {"learning_rates": "auto"},
    "search=hypergradient": {"search": "hypergradient"},
    "n_refits=5": {"n_refits": 5},
    "refit=committee": {"refit": "committee"},
}


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
        fitted = MetaLRClassifier(
            classifier(seed), n_candidates=N_CANDIDATES, random_state=seed, **params
        ).fit(table.X_train, table.y_train)
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
