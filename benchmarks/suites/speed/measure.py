"""The cost of a search: whole fits, refit included, as a multiple of one plain Keras fit.

Every contender runs in a process of its own, right beside plain fits of the same network
on the same rows: after one plain fit to warm up, plain fit and contender take turns.
MetaLRClassifier compiles once in a process, in the first of its fits, which is reported by itself.
"""

import warnings
from time import perf_counter

import numpy as np
from joblib import Parallel, delayed
from sklearn.model_selection import StratifiedKFold, cross_val_score

from benchmarks.harness.networks import CONVOLUTIONS, keras_classifier
from benchmarks.harness.tables import load_frame, preprocessing
from benchmarks.suites.speed.peers import (
    EPOCHS,
    HALVING,
    N_CANDIDATES,
    OF_NUMBERS,
    OTHERS,
    OURS,
    PEERS,
    PORTFOLIO,
    SHORTER,
    STRONG_PEERS,
    VARIANTS,
    ours,
    ours_ensemble,
    plain,
    plain_of_numbers,
)
from sk_metalr import MetaLRClassifier

ROUNDS = 5
FEWER_ROUNDS = 3
CROSS_VALIDATION = "cross_val_score, 5 folds, MetaLRClassifier"
PREDICTION = "predict_proba of 100 rows"
ENSEMBLE_PREDICTION = f"{PREDICTION}, n_models=10"
BY_TURNS = "calibration, by turns"
PREDICTIONS = {PREDICTION: ours, ENSEMBLE_PREDICTION: ours_ensemble}
MAIN = "digits, width 128"
IMAGES = "digits, convolutions"
SETTINGS = {
    MAIN: ("digits", 128),
    "digits, width 32": ("digits", 32),
    "digits, width 512": ("digits", 512),
    "wa_churn, width 128": ("wa_churn", 128),
    IMAGES: ("digits", CONVOLUTIONS),
}


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: a contender in a setting."""
    one_split, *_ = OURS
    if quick:
        plan = [(MAIN, one_split, FEWER_ROUNDS), (MAIN, PREDICTION, 1)]
    else:
        plan = [(MAIN, name, ROUNDS) for name in OURS | VARIANTS | OF_NUMBERS]
        plan += [(MAIN, name, 1) for name in [*PEERS, *OTHERS]]
        plan += [(MAIN, CROSS_VALIDATION, 2), *((MAIN, name, 1) for name in PREDICTIONS)]
        for setting in SETTINGS:
            if setting != MAIN:
                plan += [(setting, one_split, FEWER_ROUNDS), (setting, STRONG_PEERS[0], 1)]
        plan += [(IMAGES, HALVING, FEWER_ROUNDS), (MAIN, PORTFOLIO, ROUNDS)]
        plan += [(MAIN, BY_TURNS, ROUNDS)]
    return {
        f"speed {setting} {contender}": {
            "setting": setting,
            "contender": contender,
            "rounds": rounds,
        }
        for setting, contender, rounds in plan
    }


def rows_of(setting: str) -> tuple[np.ndarray, np.ndarray, int]:
    table, width = SETTINGS[setting]
    X, y = load_frame(table)
    X = preprocessing().fit_transform(X) if table != "digits" else X.to_numpy() / 16
    return np.asarray(X, dtype=np.float32), y, width


def measure(setting: str, contender: str, rounds: int) -> dict:
    """Return the seconds of the contender's fits and of the plain fits beside them."""
    warnings.simplefilter("ignore")
    X, y, width = rows_of(setting)
    if contender in PREDICTIONS:
        return predictions(PREDICTIONS[contender], X, y, width)
    if contender == CROSS_VALIDATION:
        return cross_validations(X, y, width, rounds)
    if contender == BY_TURNS:
        return {"by_turns": by_turns(X, y, width, rounds)}
    fit = (OURS | OF_NUMBERS | VARIANTS | PEERS | OTHERS | SHORTER)[contender]
    fit_plain = plain_of_numbers if contender in OF_NUMBERS else plain
    fit_plain(X, y, width, 0)
    if "n_jobs=2" in contender:
        _start_workers()
    unit, seconds, breakdown = [_seconds(fit_plain, X, y, width, 0)], [], []
    for seed in range(rounds):
        start = perf_counter()
        fitted = fit(X, y, width, seed)
        seconds.append(perf_counter() - start)
        unit.append(_seconds(fit_plain, X, y, width, seed))
        breakdown.append(getattr(fitted, "search_cost_", None))
    # The unit of a round: the plain fits right before and right after.
    beside = [(unit[i] + unit[i + 1]) / 2 for i in range(rounds)]
    return {"seconds": seconds, "plain": beside, "breakdown": breakdown}


def _seconds(fit, X, y, width, seed) -> float:
    start = perf_counter()
    fit(X, y, width, seed)
    return perf_counter() - start


def _start_workers() -> None:
    """Have joblib's two workers import Keras beforehand: users pay that once, not per search."""
    X, y = np.zeros((64, 4), np.float32), np.arange(64) % 2
    Parallel(n_jobs=2)(delayed(plain)(X, y, 8, seed) for seed in range(2))


def cross_validations(X, y, width, rounds) -> dict:
    folds = StratifiedKFold(5)
    plain = keras_classifier(EPOCHS, width)
    searching = MetaLRClassifier(plain, n_candidates=N_CANDIDATES, cv=0.2, random_state=0)
    seconds: dict[str, list[float]] = {"plain": [], "seconds": []}
    for _ in range(rounds):
        for name, estimator in (("plain", plain), ("seconds", searching)):
            start = perf_counter()
            cross_val_score(estimator, X, y, cv=folds)
            seconds[name].append(perf_counter() - start)
    return seconds


def by_turns(X, y, width, rounds) -> dict[str, list[float]]:
    """Return seconds of fits with and without calibration, and of an ensemble."""
    contenders = {name: OURS[name] for name in list(OURS)[1:]} | VARIANTS
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for seed in range(1 + rounds):
        for name, fit in contenders.items():
            seconds[name].append(_seconds(fit, X, y, width, seed))
    return {name: several[1:] for name, several in seconds.items()}  # the first ones compile


def predictions(fit, X, y, width, rounds: int = 30) -> dict:
    """Return seconds of predict_proba on 100 rows, plain and ours by turns."""
    estimators = {"plain": plain(X, y, width, 0), "seconds": fit(X, y, width, 0)}
    seconds: dict[str, list[float]] = {"plain": [], "seconds": []}
    for _ in range(rounds):
        for name, estimator in estimators.items():
            start = perf_counter()
            estimator.predict_proba(X[:100])
            seconds[name].append(perf_counter() - start)
    return seconds
