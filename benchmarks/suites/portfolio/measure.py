"""Portfolios: the experience of other tables in place of a search, on tasks like those and unlike.

Leave one table out: no record of a table counts for its own searches. On the same five folds, from
the same initial weights, MetaLRClassifier searches by portfolio and among 16 random rates. The
chosen rates are trained on all training rows from several initial weights, beside a dense grid, and
scored on the test rows.
"""

import warnings
from dataclasses import dataclass

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.model_selection import StratifiedKFold

from benchmarks.build_experience import N_FOLDS
from benchmarks.harness.experience import without
from benchmarks.harness.networks import convolutions
from benchmarks.harness.refitting import DENSE_GRID, N_WEIGHTS
from benchmarks.harness.tables import NAMES, load
from benchmarks.suites.portfolio.overlap import shares
from sk_metalr import MetaLRClassifier, Portfolio

SEEDS = 1
EPOCHS, BATCH_SIZE = 40, 32
N_DRAWS = 2
"""How many random searches are averaged."""

IMAGES = "digits"

FOUR, TAUGHT, RANDOM = "portfolio of 4", "portfolio", "16 random"
"""Four rates and no more, what ``search="portfolio"`` does by itself, the default search."""


@dataclass(frozen=True)
class Task:
    """A model and an optimizer; labels as they are, or shuffled."""

    widths: tuple[int, ...] | str
    optimizer: dict
    shuffled: bool = False


ADAM, MOMENTUM = {"optimizer": "adam"}, {"optimizer": "sgd", "optimizer__momentum": 0.9}
LIKE = {"2 x 128, Adam": Task((128, 128), ADAM), "2 x 128, momentum": Task((128, 128), MOMENTUM)}
UNLIKE = {
    "linear, Adam": Task((), ADAM),
    "6 x 64, Adam": Task((64,) * 6, ADAM),
    "convolutions, Adam": Task("convolutions", ADAM),
    "labels shuffled": Task((128, 128), ADAM, shuffled=True),
}


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: one table each, and what may leak."""
    if quick:
        return {}
    overlap = {"portfolio, folds": {"table": "", "seeds": 0}}
    return {f"portfolio {name}": {"table": name, "seeds": SEEDS} for name in NAMES} | overlap


def measure(table: str, seeds: int, tasks: list[str] | None = None) -> list[dict]:
    """Return one record for each division, task and way of proposing rates; no table: of folds."""
    warnings.simplefilter("ignore")
    if not table:
        return shares()
    wanted = {
        name: task for name, task in (LIKE | UNLIKE).items() if tasks is None or name in tasks
    }
    return [
        {"table": table, "seed": seed, "task": name, **row}
        for seed in range(seeds)
        for name, task in wanted.items()
        if task.widths != "convolutions" or table == IMAGES
        for row in measure_once(table, seed, task)
    ]


def measure_once(name: str, seed: int, task: Task) -> list[dict]:
    table = load(name, seed)
    y, y_test = table.y_train, table.y_test
    if task.shuffled:
        random = np.random.RandomState(seed)
        y, y_test = random.permutation(y), random.permutation(y_test)
    estimator = estimator_of(task)
    taught = {"search": Portfolio(without(name))}
    ways = {FOUR: [taught | {"n_candidates": 4}], TAUGHT: [taught], RANDOM: [{}] * N_DRAWS}
    searches = {
        way: [search(estimator, table.X_train, y, seed + 100 * i, **p) for i, p in enumerate(each)]
        for way, each in ways.items()
    }
    chosen = [one.best_learning_rate_ for each in searches.values() for one in each]
    rates = np.unique(np.concatenate([DENSE_GRID, chosen]))
    tested = test_losses(estimator, table, y, y_test, rates, seed)
    return [
        {
            "method": way,
            "excess": mean(tested[_place(one, rates)] for one in each) - float(tested.min()),
            "log_loss": mean(tested[_place(one, rates)] for one in each),
            "without_skill": mean(is_without_skill(one) for one in each),
            "unlike": each[0].search_cost_.get("n_records") == 0,
            "fits": mean(one.search_cost_["member_epochs"] / EPOCHS for one in each),
            "rates": each[0].cv_results_["param_optimizer__learning_rate"].data.tolist(),
        }
        for way, each in searches.items()
    ]


def mean(values) -> float:
    return float(np.mean(list(values)))


def _place(search, rates) -> tuple[int, int]:
    return int(np.searchsorted(rates, search.best_learning_rate_)), search.best_n_epochs_ - 1


def search(estimator, X, y, seed, **params) -> MetaLRClassifier:
    """Search on five folds, which are the same for every seed."""
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
    search = MetaLRClassifier(estimator, cv=folds, refit=False, random_state=seed, **params)
    return search.fit(X, y)


def is_without_skill(search: MetaLRClassifier) -> bool:
    """Tell whether a search has warned that no rate does better than the class frequencies."""
    return bool(-search.cv_results_["selection_score"].max() >= search.baseline_loss_)


def test_losses(estimator, table, y, y_test, rates, seed) -> np.ndarray:
    """Return test log-losses after training on all training rows: (n_rates, n_epochs).

    Means over several initial weights.
    """
    X, rows = np.concatenate([table.X_train, table.X_test]), np.arange(len(y) + len(y_test))
    curves = [
        MetaLRClassifier(
            estimator,
            learning_rates=rates,
            n_candidates=len(rates),
            cv=[(rows[: len(y)], rows[len(y) :])],
            refit=False,
            random_state=seed + number,
        )
        .fit(X, np.concatenate([y, y_test]))
        .learning_curves_[:, 0]
        for number in range(N_WEIGHTS)
    ]
    mean_curves = np.mean(curves, axis=0)
    return np.where(np.isfinite(mean_curves), mean_curves, np.inf)


def estimator_of(task: Task) -> KerasClassifier:
    return KerasClassifier(
        network,
        model__widths=task.widths,
        loss="sparse_categorical_crossentropy",
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        verbose=0,
        **task.optimizer,
    )


def network(meta, widths):
    if widths == "convolutions":
        return convolutions(meta)
    hidden = [keras.layers.Dense(width, activation="relu") for width in widths]
    output = keras.layers.Dense(meta["n_classes_"], activation="softmax")
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), *hidden, output])
