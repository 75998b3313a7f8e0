"""Does the experience of other tables replace a search? On tasks like those before, and unlike.

Leave one table out: no record of a table counts for its own searches. Each task is trained once,
with the rates of the portfolio, those of random searches and a dense grid, on five folds and on
all training rows, as in build_experience.py; every way of proposing rates then chooses from its
own ones as MetaLRClassifier does. What it chose is scored on the test rows.
"""

import warnings
from dataclasses import dataclass
from functools import cache

import keras
import numpy as np
from build_experience import N_FOLDS, curves_of
from networks import convolutions
from quality import DENSE_GRID
from scikeras.wrappers import KerasClassifier
from tables import NAMES, load

from sk_metalr import Experience
from sk_metalr import _wrapped as wrapped
from sk_metalr._meta_features import data_features
from sk_metalr._portfolio import portfolio
from sk_metalr._selection import cautious_losses, choose
from sk_metalr._space import StrategySpace

SEEDS = 1
EPOCHS, BATCH_SIZE = 40, 32
N_DRAWS = 2
"""How many random searches are averaged."""

IMAGES = "digits"

TAUGHT, RANDOM = "portfolio of 4", "16 random"


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
    """Return what is measured in a process of its own: one table each."""
    names = [] if quick else NAMES
    return {f"portfolio {name}": {"table": name, "seeds": SEEDS} for name in names}


def measure(table: str, seeds: int, tasks: list[str] | None = None) -> list[dict]:
    """Return one record for each division, task and way of proposing rates."""
    warnings.simplefilter("ignore")
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
    X, y = table.X_train, table.y_train
    y_test = table.y_test
    if task.shuffled:
        random = np.random.RandomState(seed)
        y, y_test = random.permutation(y), random.permutation(y_test)
    estimator = KerasClassifier(
        network,
        model__widths=task.widths,
        loss="sparse_categorical_crossentropy",
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        verbose=0,
        **task.optimizer,
    )
    found = portfolio(features_of(estimator, X, y), others(name), 4)
    random = np.random.RandomState(seed)
    draws = {n: [drawn(n, random) for _ in range(N_DRAWS)] for n in (4, 16)}
    proposals = {
        TAUGHT: [found.learning_rates if found.learning_rates.size else draws[16][0]],
        "4 random": draws[4],
        RANDOM: draws[16],
    }
    rates = np.unique(
        np.concatenate([DENSE_GRID, *(s for sets in proposals.values() for s in sets)])
    )
    curves, means = curves_of(estimator, X, y, table.X_test, y_test, rates, seed)
    losses = cautious_losses(curves[:, :N_FOLDS], means[:, :N_FOLDS], len(y))
    tested = np.where(np.isfinite(curves[:, N_FOLDS]), curves[:, N_FOLDS], np.inf)
    no_skill = entropy(y)
    rows = []
    for label, sets in proposals.items():
        outcomes = [outcome(losses, tested, rates, mine, no_skill) for mine in sets]
        if label == TAUGHT and outcomes[0][1]:  # no skill: random ones are tried, too
            both = np.union1d(sets[0], draws[16][0])
            outcomes = [outcome(losses, tested, rates, both, no_skill)]
        rows.append(
            {
                "method": label,
                "log_loss": float(np.mean([loss for loss, _ in outcomes])),
                "excess": float(np.mean([loss for loss, _ in outcomes]) - tested.min()),
                "without_skill": float(np.mean([said for _, said in outcomes])),
                "unlike": not found.learning_rates.size,
                "nearest": found.nearest,
                "rates": np.round(sets[0], 7).tolist(),
            }
        )
    return rows


def outcome(losses, tested, rates, mine, no_skill) -> tuple[float, bool]:
    """Return test log-loss of what is chosen among some rates, and whether it has no skill."""
    at = np.searchsorted(rates, mine)
    choice = choose(losses[at], rates[at], no_skill_loss=no_skill)
    chosen = tested[at[choice.index], choice.n_epochs[choice.index] - 1]
    return float(chosen), bool(choice.losses[choice.best] >= no_skill)


def network(meta, widths):
    if widths == "convolutions":
        return convolutions(meta)
    hidden = [keras.layers.Dense(width, activation="relu") for width in widths]
    output = keras.layers.Dense(meta["n_classes_"], activation="softmax")
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), *hidden, output])


def features_of(estimator, X, y) -> dict:
    opened = wrapped.open_estimator(estimator, X, y, seed=0)
    (task,) = wrapped.task_features(opened, wrapped.training_plan(estimator), [None])
    code = np.unique(y, return_inverse=True)[1]
    return data_features(X, code) | task | {"schedule": "constant"}


@cache
def shipped() -> Experience:
    return Experience.load("default")


def others(name: str) -> list:
    """Return the shipped records of all tables but one."""
    return [record for record in shipped() if record.source != name]


def drawn(n: int, random: np.random.RandomState) -> np.ndarray:
    return StrategySpace().sample(n, random).learning_rates


def entropy(y) -> float:
    frequency = np.unique(y, return_counts=True)[1] / len(y)
    return float(-(frequency * np.log(frequency)).sum())
