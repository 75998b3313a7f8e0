"""Test scores on tables, after each way of choosing a learning rate and a number of epochs.

Searches are given the same 16 candidates (Optuna as many proposals of its own), the same
stratified folds (one split: the first of them) and the same network. Whatever is chosen is
refitted on all training rows, three times from initial weights that are the same for all, so
that nothing but the choice differs; scores are means over the three. What MetaLRClassifier chooses
by default, on calibrated losses, is refitted ten times, with averages of weights where it chose
them. It also chooses on the test rows themselves, which no user can: what that leaves of the loss
is left by any rule of choosing among these models.

Each candidate is trained once, by MetaLRClassifier's population, whose members equal Keras's own
training (tests/population); the rivals choose from its learning curves as their own rule says,
where they would have trained the same models again. Keras itself trains the range test, and what
stops early by itself: on 80 % of the rows and without a refit, as its users do.
"""

import warnings
from time import perf_counter

import keras
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from benchmarks.harness.experience import without
from benchmarks.harness.networks import DEFAULT_RATE
from benchmarks.harness.refitting import (
    BATCH_SIZE,
    DENSE_GRID,
    EPOCHS,
    N_CANDIDATES,
    classifier,
    refit_all,
)
from benchmarks.harness.scores import mean_score, score
from benchmarks.harness.tables import NAMES, Table, load
from benchmarks.suites.quality.calibrated import (
    N_SPLITS,
    OURS,
    calibrated,
)
from benchmarks.suites.quality.range_test import range_test, steepest, valley
from sk_metalr import MetaLRClassifier, Portfolio
from sk_metalr import _models as models
from sk_metalr._population import preserved_random_state
from sk_metalr._refit import predicted
from sk_metalr._search.selection import choose
from sk_metalr._search.surface import response_surface
from sk_metalr._splits import n_auto_splits
from sk_metalr._task import Classification

PATIENCE = 5
N_MODELS = 5
SEEDS = 3
QUICK = ["penguins", "breast_cancer"]

UNCALIBRATED = f"{OURS}, calibrate=False"
WHOLE_FIT = f"{UNCALIBRATED}, its own refit"
FIVE_MODELS = f"{UNCALIBRATED}, n_models={N_MODELS}"
PORTFOLIO = f"{UNCALIBRATED}, portfolio of 4 from the other tables"
BY_PORTFOLIO = f"{UNCALIBRATED}, search=portfolio from the other tables"
FIVE_FOLDS = "RandomizedSearchCV, cv=5"
FIVE_FOLDS_AND_EPOCHS = "five folds, lowest (rate, epoch)"
DEFAULT = "default rate, all epochs"
EARLY_STOPPING = "default rate, early stopping"
DEFAULT_RATE_ALONE = {
    False: f"default rate, epoch of five splits, mean of {N_MODELS} refits",
    True: f"default rate, calibrated epoch of five splits, mean of {N_MODELS} refits",
}
HINDSIGHT = "hindsight"

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
    outcomes |= calibrated(searches)
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
    rows.append({"method": HINDSIGHT, "log_loss": hindsight, "excess": 0.0})
    for name, make in BASELINES.items():
        probabilities = make(seed).fit(table.X_train, table.y_train).predict_proba(table.X_test)
        rows.append({"method": name, **score(table.y_test, probabilities)})
    return rows


def trained_once(searches: "Searches") -> dict[str, np.ndarray]:
    """Return test probabilities of what was trained as a whole, its own refits included."""
    table = searches.table
    first, *_ = searches.fitted.estimators_
    temperature = searches.fitted.ensemble_[0]["temperature"]
    outcomes = {
        FIVE_MODELS: searches.fitted.predict_proba(table.X_test),
        WHOLE_FIT: predicted(Classification(), [first], table.X_test, [temperature]),
    }
    for calibrate, name in DEFAULT_RATE_ALONE.items():
        how = {"refit": True, "n_models": N_MODELS, "calibrate": calibrate}
        alone = searches.search(searches.folds, learning_rates=[DEFAULT_RATE], **how)
        outcomes[name] = alone.predict_proba(table.X_test)
    for name, estimator in trained_by_keras(searches.seed).items():
        with preserved_random_state():
            estimator.fit(table.X_train, table.y_train)
        outcomes[name] = estimator.predict_proba(table.X_test)
    return outcomes


class Searches:
    """The learning curves that ways of choosing look at, each trained once.

    Attributes
    ----------
    folds : list of (train, test) row indices
        Five stratified folds of the training rows.
    fitted : MetaLRClassifier
        A whole fit on them, refits included.
    default : ndarray of shape (5, n_epochs)
        Held-out log-loss of the default rate.
    """

    def __init__(self, table: Table, seed: int) -> None:
        self.table, self.seed = table, seed
        folds = StratifiedKFold(N_SPLITS, shuffle=True, random_state=seed)
        self.folds = list(folds.split(table.X_train, table.y_train))
        whole = {"refit": True, "n_models": N_MODELS}
        self.fitted = self.search(self.folds, n_candidates=N_CANDIDATES, **whole)
        self.default = self.search(self.folds, learning_rates=[DEFAULT_RATE]).learning_curves_[0]

    def search(self, cv, refit=False, calibrate=False, **params):
        estimator = MetaLRClassifier(
            classifier(self.seed),
            cv=cv,
            refit=refit,
            calibrate=calibrate,
            random_state=self.seed,
            **params,
        )
        return estimator.fit(self.table.X_train, self.table.y_train)

    def from_other_tables(self, n_candidates: int | None) -> tuple[float, int]:
        """Return what is chosen of rates that the other tables have taught."""
        portfolio = Portfolio(without(self.table.name))
        found = self.search(self.folds, search=portfolio, n_candidates=n_candidates)
        return found.best_learning_rate_, found.best_n_epochs_

    def last_losses_on_grid(self) -> np.ndarray:
        """Return the last loss of every rate of the dense grid on the first fold."""
        grid = self.search(self.folds[:1], learning_rates=DENSE_GRID, n_candidates=len(DENSE_GRID))
        return np.nan_to_num(grid.learning_curves_[:, 0, -1], nan=np.inf)


def all_choices(searches: Searches) -> dict[str, tuple[float, int]]:
    """Return the rate and the number of epochs that every way of choosing arrives at."""
    fitted, folds, default = searches.fitted, searches.folds, searches.default
    rates, curves = rates_of(fitted), fitted.learning_curves_
    choices = {
        UNCALIBRATED: ours(fitted, folds, n_auto_splits(len(searches.table.y_train))),
        PORTFOLIO: searches.from_other_tables(4),
        BY_PORTFOLIO: searches.from_other_tables(None),
        DEFAULT: (DEFAULT_RATE, EPOCHS),
        "default rate, epoch of one split": (DEFAULT_RATE, int(default[0].argmin()) + 1),
        "default rate, epoch of five splits": (
            DEFAULT_RATE,
            int(default.mean(axis=0).argmin()) + 1,
        ),
        "RandomizedSearchCV, one split": lowest_last(rates, curves[:, :1]),
        FIVE_FOLDS: lowest_last(rates, curves),
        FIVE_FOLDS_AND_EPOCHS: lowest(rates, curves),
        "Optuna TPE, one split": (tpe(searches), EPOCHS),
        **range_tests(searches.table, searches.seed),
    }
    for n_splits in (1, 2, 5):
        of_splits = f"{n_splits} split{'s'[: n_splits > 1]}"
        choices |= {
            f"{UNCALIBRATED}, {of_splits}": ours(fitted, folds, n_splits),
            f"lowest (rate, epoch), {of_splits}": lowest(rates, curves[:, :n_splits]),
            f"lowest rate within one standard error, {of_splits}": ours(
                fitted, folds, n_splits, within_one_error=True
            ),
        }
    return choices


def ours(
    fitted: MetaLRClassifier, folds: list, n_splits: int, within_one_error: bool = False
) -> tuple[float, int]:
    """Choose as MetaLRClassifier does that has only the first few splits.

    Parameters
    ----------
    fitted : MetaLRClassifier
        Fitted on all of the folds.
    folds : list of (train, test) row indices
        Its splits.
    n_splits : int
        How many of them to look at.
    within_one_error : bool
        Whether to choose the lowest rate of the interval that it reports, in place of the best
        one (Breiman et al., "Classification and Regression Trees", 1984, section 3.4.3).
    """
    rates, losses = rates_of(fitted), smoothed_curves(fitted, folds, n_splits)
    choice = choose(response_surface(losses, rates, baseline_loss=fitted.baseline_loss_), rates)
    index = choice.index
    if within_one_error:
        index = int(np.searchsorted(rates, choice.interval[0]))
    return float(rates[index]), int(choice.n_epochs[index])


def rates_of(fitted: MetaLRClassifier) -> np.ndarray:
    """Return the learning rates that were tried, of shape (n_candidates,)."""
    return fitted.cv_results_["param_optimizer__learning_rate"].data


def smoothed_curves(fitted: MetaLRClassifier, folds: list, n_splits: int) -> np.ndarray:
    """Return Laplace-smoothed losses of a fit as if its first few splits were all.

    They count one more row, of each of the classes in equal parts, whatever the number of splits.
    """
    n_all, n_rows = (sum(len(test) for _, test in some) for some in (folds, folds[:n_splits]))
    curves = fitted.learning_curves_
    uniform = (n_all + 1) * fitted.laplace_learning_curves_ - n_all * curves
    return ((n_rows * curves + uniform) / (n_rows + 1))[:, :n_splits]


def lowest(rates: np.ndarray, curves: np.ndarray) -> tuple[float, int]:
    """Choose the rate and the epoch of the lowest mean loss, as it is.

    Rates that diverged on any split are none to choose.

    Parameters
    ----------
    rates : ndarray of shape (n_candidates,)
    curves : ndarray of shape (n_candidates, n_splits, n_epochs)
        Held-out log-loss after each epoch; NaN once diverged.
    """
    mean = curves.mean(axis=1)
    mean = np.where(np.isfinite(mean).all(axis=1, keepdims=True), mean, np.inf)
    candidate, epoch = np.unravel_index(mean.argmin(), mean.shape)
    return float(rates[candidate]), int(epoch) + 1


def lowest_last(rates: np.ndarray, curves: np.ndarray) -> tuple[float, int]:
    """Choose as BaseSearchCV does: the lowest mean loss of the fully trained models."""
    last = np.nan_to_num(curves[:, :, -1].mean(axis=1), nan=np.inf)
    return float(rates[last.argmin()]), EPOCHS


def tpe(searches: Searches) -> float:
    """Let Optuna propose rates one by one; they are rounded to the dense grid."""
    import optuna

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
        opened = models.open_estimator(classifier(seed), table.X_train, table.y_train, seed=seed)
    x, y = models.encode(opened, table.X_train, table.y_train)
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
