"""Is the choice a good one? Test scores on tables after every way of choosing.

Searches are given the same 16 candidates (Optuna as many proposals of its own), the same
stratified folds (one split: the first of them) and the same network. Whatever is chosen is
refitted on all training rows, three times from initial weights that are the same for all, so
that nothing but the choice differs; scores are means over the three. Each candidate is trained
once, by MetaLRClassifier's population, whose members equal Keras's own training
(tests/test_population.py); the rivals choose from its learning curves as their own rule says,
where they would have trained the same models again. Keras itself trains the range test, and
what stops early by itself: on 80 % of the rows and without a refit, as its users do.
"""

import warnings
from time import perf_counter

import keras
import numpy as np
import optuna
from networks import DEFAULT_RATE, keras_classifier
from rate_range import range_test, steepest, valley
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    recall_score,
)
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from tables import NAMES, Table, load

from sk_metalr import Experience, MetaLRClassifier
from sk_metalr import _models as wrapped
from sk_metalr._data import check_training_data
from sk_metalr._population import Population, preserved_random_state
from sk_metalr._refit import predicted, split_tasks
from sk_metalr._search.selection import cautious_losses, choose
from sk_metalr._splits import n_auto_splits

EPOCHS, BATCH_SIZE, PATIENCE = 40, 32, 5
N_CANDIDATES, N_SPLITS, N_REFITS = 16, 5, 5
N_WEIGHTS = 3
"""How many initial weights every choice is refitted from: on small tables, one is luck."""

DENSE_GRID = np.geomspace(1e-5, 1.0, 21)
SEEDS = 3
QUICK = ["penguins", "breast_cancer"]

OURS = "MetaLRClassifier"
WHOLE_FIT = "MetaLRClassifier, its own refit"
FIVE_REFITS = "MetaLRClassifier, n_refits=5"
PORTFOLIO = "MetaLRClassifier, portfolio of 4 from the other tables"
BY_PORTFOLIO = "MetaLRClassifier, search=portfolio from the other tables"
FIVE_FOLDS = "RandomizedSearchCV, cv=5"
FIVE_FOLDS_AND_EPOCHS = "five folds, lowest (rate, epoch)"
DEFAULT = "default rate, all epochs"
EARLY_STOPPING = "default rate, early stopping"

BASELINES = {
    "LogisticRegression": lambda seed: LogisticRegression(max_iter=1000),
    "RandomForest": lambda seed: RandomForestClassifier(random_state=seed),
    "HistGradientBoosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "MLPClassifier": lambda seed: MLPClassifier(
        (128, 128), batch_size=BATCH_SIZE, max_iter=EPOCHS, random_state=seed
    ),
    "SVC": lambda seed: CalibratedClassifierCV(SVC(), ensemble=False),
}


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: one table each."""
    names, seeds = (QUICK, 1) if quick else (NAMES, SEEDS)
    return {f"quality {name}": {"table": name, "seeds": seeds} for name in names}


def measure(table: str, seeds: int) -> list[dict]:
    """Return one record for each train/test division and method."""
    warnings.simplefilter("ignore")
    records = []
    for seed in range(seeds):
        start = perf_counter()
        rows = measure_once(load(table, seed), seed)
        records += [{"table": table, "seed": seed, **row} for row in rows]
        print(f"{table}, division {seed}: {perf_counter() - start:.0f} s", flush=True)
    return records


def measure_once(table: Table, seed: int) -> list[dict]:
    searches = Searches(table, seed)
    choices = all_choices(searches)
    refitted, hindsight = refit_all(table, seed, choices)
    outcomes = {name: [probabilities] for name, probabilities in trained_once(searches).items()}
    rows = [
        {
            "method": name,
            "rate": choices[name][0] if name in choices else None,
            "n_epochs": choices[name][1] if name in choices else None,
            "excess": scores["log_loss"] - hindsight,
            **scores,
        }
        for name, several in (refitted | outcomes).items()
        for scores in [mean_score(table.y_test, several)]
    ]
    for name, make in BASELINES.items():
        probabilities = make(seed).fit(table.X_train, table.y_train).predict_proba(table.X_test)
        rows.append({"method": name, **score(table.y_test, probabilities)})
    return rows


def trained_once(searches: "Searches") -> dict[str, np.ndarray]:
    """Return test probabilities of what was trained as a whole, its own refits included."""
    table = searches.table
    first, *_ = searches.fitted.estimators_
    outcomes = {
        FIVE_REFITS: searches.fitted.predict_proba(table.X_test),
        WHOLE_FIT: predicted([first], table.X_test),
    }
    for name, estimator in trained_by_keras(searches.seed).items():
        with preserved_random_state():
            estimator.fit(table.X_train, table.y_train)
        outcomes[name] = estimator.predict_proba(table.X_test)
    return outcomes


def mean_score(y: np.ndarray, several: list[np.ndarray]) -> dict[str, float]:
    """Return test scores, means over several models."""
    scores = [score(y, probabilities) for probabilities in several]
    return {name: float(np.mean([one[name] for one in scores])) for name in scores[0]}


def score(y: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return test scores; log-loss in nats, clipped for all as the population clips it."""
    classes = np.unique(y)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if not np.isfinite(probabilities).all():  # a refit that diverged tells nothing
        probabilities = np.ones((len(y), len(classes)))
    probabilities = probabilities.clip(np.finfo(np.float32).eps)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = classes[probabilities.argmax(axis=1)]
    return {
        "log_loss": log_loss(y, probabilities, labels=classes),
        "accuracy": accuracy_score(y, labels),
        "balanced_accuracy": balanced_accuracy_score(y, labels),
        "f1_macro": f1_score(y, labels, average="macro"),
        "recall_macro": recall_score(y, labels, average="macro"),
    }


def classifier(seed: int, **params):
    return keras_classifier(EPOCHS, batch_size=BATCH_SIZE, random_state=seed, **params)


class Searches:
    """The learning curves that ways of choosing look at, each trained once.

    Attributes
    ----------
    fitted : MetaLRClassifier
        A whole fit, refits included.
    rates : ndarray of shape (n_candidates,)
        The candidates it drew.
    curves : ndarray of shape (n_candidates, 5, n_epochs)
        Their held-out log-loss on five stratified folds.
    mean_curves : ndarray of shape (n_candidates, 5, n_epochs)
        The same with the mean over classes in place of each row's class.
    default : ndarray of shape (5, n_epochs)
        The same of the default rate.
    no_skill_loss : float
        Log-loss of always predicting the class frequencies.
    """

    def __init__(self, table: Table, seed: int) -> None:
        self.table, self.seed = table, seed
        folds = StratifiedKFold(N_SPLITS, shuffle=True, random_state=seed)
        self.folds = list(folds.split(table.X_train, table.y_train))
        self.fitted = self.search(
            self.folds, n_candidates=N_CANDIDATES, refit=True, n_refits=N_REFITS
        )
        self.rates = self.fitted.cv_results_["param_learning_rate"].data
        self.curves = self.fitted.learning_curves_
        n_rows = len(table.y_train)
        cautious = self.fitted.cautious_learning_curves_
        self.mean_curves = (n_rows + 1) * cautious - n_rows * self.curves
        self.default = self.search(self.folds, learning_rates=[DEFAULT_RATE]).learning_curves_[0]
        frequency = np.unique(table.y_train, return_counts=True)[1] / len(table.y_train)
        self.no_skill_loss = float(-(frequency * np.log(frequency)).sum())

    def search(self, cv, refit=False, **params):
        estimator = MetaLRClassifier(
            classifier(self.seed), cv=cv, refit=refit, random_state=self.seed, **params
        )
        return estimator.fit(self.table.X_train, self.table.y_train)

    def from_other_tables(self, n_candidates: int | None) -> tuple[float, int]:
        """Return what is chosen of rates that the other tables have taught."""
        others = [one for one in Experience.load("default") if one.source != self.table.name]
        found = self.search(
            self.folds,
            search="portfolio",
            n_candidates=n_candidates,
            experience=Experience().merge(others),
        )
        return found.best_learning_rate_, found.best_n_epochs_

    def last_losses_on_grid(self) -> np.ndarray:
        """Return the last loss of every rate of the dense grid on the first fold."""
        grid = self.search(self.folds[:1], learning_rates=DENSE_GRID, n_candidates=len(DENSE_GRID))
        return np.nan_to_num(grid.learning_curves_[:, 0, -1], nan=np.inf)


def all_choices(searches: Searches) -> dict[str, tuple[float, int]]:
    """Return the rate and the number of epochs that every way of choosing arrives at."""
    default = searches.default
    choices = {
        OURS: ours(searches, n_auto_splits(len(searches.table.y_train), 0.2), "smooth"),
        PORTFOLIO: searches.from_other_tables(4),
        BY_PORTFOLIO: searches.from_other_tables(None),
        DEFAULT: (DEFAULT_RATE, EPOCHS),
        "default rate, epoch of one split": (DEFAULT_RATE, int(default[0].argmin()) + 1),
        "default rate, epoch of five splits": (
            DEFAULT_RATE,
            int(default.mean(axis=0).argmin()) + 1,
        ),
        "RandomizedSearchCV, one split": lowest_last(searches.rates, searches.curves[:, :1]),
        FIVE_FOLDS: lowest_last(searches.rates, searches.curves),
        FIVE_FOLDS_AND_EPOCHS: ours(searches, 5, "min"),
        "Optuna TPE, one split": (tpe(searches), EPOCHS),
        **range_tests(searches.table, searches.seed),
    }
    for selection in ("smooth", "min", "one_se"):
        for n_splits in (1, 2, 5):
            name = f"{OURS}, {selection}, n_splits={n_splits}"
            choices[name] = ours(searches, n_splits, selection)
    return choices


def ours(searches: Searches, n_splits: int, selection: str) -> tuple[float, int]:
    """Choose as MetaLRClassifier does that has only the first few splits."""
    losses = searches.curves[:, :n_splits]
    if selection != "min":
        n_rows = sum(len(test) for _, test in searches.folds[:n_splits])
        losses = cautious_losses(losses, searches.mean_curves[:, :n_splits], n_rows)
    choice = choose(
        losses,
        searches.rates,
        no_skill_loss=searches.no_skill_loss,
        selection=selection,
    )
    return float(searches.rates[choice.index]), int(choice.n_epochs[choice.index])


def lowest_last(rates: np.ndarray, curves: np.ndarray) -> tuple[float, int]:
    """Choose as BaseSearchCV does: the lowest mean score of the fully trained models."""
    last = np.nan_to_num(curves[:, :, -1].mean(axis=1), nan=np.inf)
    return float(rates[last.argmin()]), EPOCHS


def tpe(searches: Searches) -> float:
    """Let Optuna propose rates one by one; they are rounded to the dense grid."""
    losses = searches.last_losses_on_grid()

    def objective(trial) -> float:
        rate = trial.suggest_float("rate", DENSE_GRID[0], DENSE_GRID[-1], log=True)
        return losses[np.abs(np.log(DENSE_GRID / rate)).argmin()]

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=searches.seed))
    study.optimize(objective, n_trials=N_CANDIDATES)
    return float(DENSE_GRID[np.abs(np.log(DENSE_GRID / study.best_params["rate"])).argmin()])


def range_tests(table: Table, seed: int) -> dict[str, tuple[float, int]]:
    with preserved_random_state():
        opened = wrapped.open_estimator(classifier(seed), table.X_train, table.y_train, seed=seed)
    x, y = wrapped.encode(opened, table.X_train, table.y_train)
    rates, losses = range_test(opened.model_, x, y, BATCH_SIZE, seed)
    return {
        "range test, steepest": (steepest(rates, losses), EPOCHS),
        "range test, valley": (valley(rates, losses), EPOCHS),
    }


def trained_by_keras(seed: int) -> dict:
    """Return classifiers that choose while they train."""
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    # Several steps in one call: the same training, in half the time.
    together = {"compile__steps_per_execution": 16}
    return {
        EARLY_STOPPING: classifier(seed, callbacks=[stop], validation_split=0.2, **together),
        "schedule-free AdamW, early stopping": classifier(
            seed,
            optimizer=keras.optimizers.ScheduleFreeAdamW,
            callbacks=[stop],
            validation_split=0.2,
            **together,
        ),
    }


def refit_all(
    table: Table, seed: int, choices: dict[str, tuple[float, int]]
) -> tuple[dict[str, list[np.ndarray]], float]:
    """Refit every choice on all training rows, in one population for each of the initial weights.

    Returns
    -------
    probabilities : dict of str to list of ndarray of shape (n_test, n_classes)
        Predictions of each refitted choice, one for each of the initial weights.
    hindsight : float
        Lowest test log-loss of any rate and epoch, mean over the initial weights: of a dense grid
        and all choices.
    """
    rates = np.unique(np.concatenate([DENSE_GRID, [rate for rate, _ in choices.values()]]))
    probabilities: dict[str, list[np.ndarray]] = {name: [] for name in choices}
    losses = []
    for number in range(N_WEIGHTS):
        curves, predictions = _refitted(table, seed + 1_000 * number, choices, rates)
        losses.append(curves)
        for name, one in predictions.items():
            probabilities[name].append(one)
    # A rate that diverged from any of the weights is none to choose.
    return probabilities, float(np.nanmin(np.mean(losses, axis=0)))


def _refitted(
    table: Table, seed: int, choices: dict[str, tuple[float, int]], rates: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return test log-losses of shape (n_rates, n_epochs), and each choice's predictions."""
    n_train = len(table.y_train)
    data = check_training_data(
        np.concatenate([table.X_train, table.X_test]),
        np.concatenate([table.y_train, table.y_test]),
        None,
        None,
    )
    division = (np.arange(n_train), np.arange(n_train, len(data.y)))
    estimator = classifier(seed)
    plan = wrapped.training_plan(estimator)
    tasks = split_tasks(estimator, plan, data, [division], seed)
    population = Population(tasks, rates, n_epochs=EPOCHS, from_logits=False, shuffle=plan.shuffle)
    with preserved_random_state():
        opened = wrapped.open_estimator(estimator, table.X_train, table.y_train, seed=seed)
    curves, probabilities = [], {}
    for epoch in range(1, EPOCHS + 1):
        log_losses, _ = population.train(1)
        curves.append(log_losses[:, 0, 0])
        for name, (rate, n_epochs) in choices.items():
            if n_epochs == epoch:
                trained = population.trained_member(int(np.searchsorted(rates, rate)), 0)
                wrapped.load_trained(
                    opened,
                    trained.weights,
                    trained.buffers,
                    trained.optimizer_variables,
                    trained.epoch_losses,
                )
                probabilities[name] = predicted([opened], table.X_test)
    return np.array(curves).T, probabilities
