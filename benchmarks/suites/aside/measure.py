"""Test losses of variants of the choice, all from one set of trained curves.

Each table is searched once as by default, and its candidates are trained on all training rows, from
three initial weights, with the test rows held out. So every rule that chooses a candidate, an
epoch, weights or averages, and a temperature has a test loss without another training.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from types import ModuleType

import numpy as np
from sklearn.model_selection import StratifiedKFold

from benchmarks.harness.refitting import N_CANDIDATES, N_WEIGHTS, classifier, searched
from benchmarks.harness.tables import Table
from benchmarks.suites.aside.tables import TABLES, load
from sk_metalr import MetaLRClassifier
from sk_metalr._population import held_out
from sk_metalr._search import (
    Chosen,
    Prepared,
    SearchResult,
    calibration,
    scoring,
    surface,
)
from sk_metalr._search.history import surface_of
from sk_metalr._search.loop import single, with_models
from sk_metalr._search.selection import choose
from sk_metalr._task.classification import TEMPERATURES, Classification

SEEDS = 3
N_MODELS = 10
MOST_EPOCHS_KEPT = 12
DEFAULT, UNCALIBRATED = "default", "calibrate=False"

VARIANTS: dict[str, tuple[ModuleType, str, float]] = {
    **{
        f"prior of temperatures: {spread}": (calibration, "SPREAD", spread)
        for spread in (0.05, 0.1, 0.13, 0.22, 0.3, 1000.0)
    },
    **{
        f"bandwidth of rates: {bandwidth} decades": (surface, "RATE_BANDWIDTH", bandwidth)
        for bandwidth in (0.15, 0.35, 0.5)
    },
    **{
        f"bandwidth of epochs: {bandwidth}": (surface, "EPOCH_BANDWIDTH", bandwidth)
        for bandwidth in (1.0, 4.0, 6.0)
    },
    **{
        f"rows added for the temperature: {n}": (scoring, "ROWS_ADDED", n) for n in (0.05, 1.0, 2.0)
    },
}
"""Numbers that take the place of one in the package."""


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: one table each."""
    return {} if quick else {f"aside {name}": {"table": name, "seeds": SEEDS} for name in TABLES}


def measure(table: str, seeds: int) -> list[dict]:
    """Return the test log-loss, in nats, of every rule on every division."""
    warnings.simplefilter("ignore")
    rows = []
    for seed in range(seeds):
        losses = losses_of(load(table, seed), seed)
        rows += [{"seed": seed, "rule": rule, "log_loss": loss} for rule, loss in losses.items()]
    return rows


def losses_of(table: Table, seed: int) -> dict[str, float]:
    """Return test losses by rule."""
    with set_to(held_out, "MAX_EPOCHS", MOST_EPOCHS_KEPT):
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        splits = list(folds.split(table.X_train, table.y_train))
        estimator = MetaLRClassifier(classifier(seed), cv=splits, n_models=N_MODELS)
        found, prepared = searched(estimator, table.X_train, table.y_train, N_CANDIDATES, seed)
        trained = Trained(table, found.history.candidates.learning_rates, seed)
    chosen = {DEFAULT: choice_of(found, prepared), UNCALIBRATED: plain_choice(found, prepared)}
    chosen["averages of weights left out"] = choice_of(found, prepared, n_views=1)
    for name, (module, constant, value) in VARIANTS.items():
        with set_to(module, constant, value):
            chosen[name] = choice_of(found, prepared)
    losses = {name: trained.loss(one) for name, one in chosen.items()}
    for n_epochs in (12, 6, 4):
        name = f"ensemble of {N_MODELS}, of {n_epochs} epochs"
        losses[name] = trained.loss_of_ensemble(ensemble_of(found, n_epochs))
    losses["hindsight"] = trained.lowest
    return losses


@contextmanager
def set_to(module: ModuleType, constant: str, value: float) -> Iterator[None]:
    """Let a constant of the package have another value."""
    before = getattr(module, constant)
    setattr(module, constant, value)
    try:
        yield
    finally:
        setattr(module, constant, before)


def choice_of(found: SearchResult, prepared: Prepared, n_views: int = 2) -> Chosen:
    """Return what is chosen, as the package does with the constants that it has now."""
    history, rule = found.history, prepared.scoring
    recorded = history.recorded if n_views > 1 else history.recorded.views[0]
    losses = rule.losses(recorded)
    seen = surface_of(history.candidates, losses, history.n_resources, history.baseline_loss)
    choice = choose(seen, history.candidates.learning_rates)
    return single(replace(choice, temperature=rule.temperature(recorded, choice)))


def plain_choice(found: SearchResult, prepared: Prepared) -> Chosen:
    """Return what is chosen without calibration, and so without averages of weights."""
    rule = copy(prepared.scoring)
    rule.calibrate = False
    return choice_of(found, replace(prepared, scoring=rule), n_views=1)


def ensemble_of(found: SearchResult, n_epochs: int) -> SearchResult:
    """Return the result with an ensemble of models after some of the epochs that were kept."""
    kept = found.history.held_out
    some = np.linspace(0, len(kept.epochs), n_epochs + 1)[1:].round().astype(int) - 1
    fewer = replace(
        kept,
        epochs=tuple(np.array(kept.epochs)[some].tolist()),
        predictions=kept.predictions[:, :, some],
    )
    task = Classification()
    return with_models(replace(found, history=replace(found.history, held_out=fewer)), 10, task)


class Trained:
    """The candidates of a search, trained on all training rows and scored on the test rows."""

    def __init__(self, table: Table, rates: np.ndarray, seed: int) -> None:
        X = np.concatenate([table.X_train, table.X_test])
        y = np.concatenate([table.y_train, table.y_test])
        train, test = np.split(np.arange(len(y)), [len(table.y_train)])
        self.histories = []
        for number in range(N_WEIGHTS):
            estimator = MetaLRClassifier(
                classifier(seed + 1_000 * number),
                learning_rates=rates.tolist(),
                n_candidates=len(rates),
                cv=[(train, test)],
                n_models=N_MODELS,
            )
            self.histories.append(searched(estimator, X, y, len(rates), seed)[0].history)

    def loss(self, one: Chosen) -> float:
        """Return the mean test log-loss over initial weights."""
        at = np.interp(np.log(one.temperature), np.log(TEMPERATURES), np.arange(len(TEMPERATURES)))
        losses = [self._losses(history, int(one.uses_averages)) for history in self.histories]
        mean = np.mean(losses, axis=0)[:, one.index, one.n_epochs - 1]
        return float(calibration.at_positions(mean[:, None], np.array([at]))[0])

    @property
    def lowest(self) -> float:
        """The lowest loss of any rate and epoch, at the temperature 1 and without averages."""
        at_one = int(np.abs(np.log(TEMPERATURES)).argmin())
        losses = [self._losses(history, 0)[at_one] for history in self.histories]
        return float(np.nanmin(np.mean(losses, axis=0)))

    def loss_of_ensemble(self, result: SearchResult) -> float:
        """Return the test log-loss of a mean prediction, over models from other initial weights."""
        task, parts = Classification(), []
        target = self.histories[0].held_out.target
        for number, one in enumerate(result.models):
            kept = self.histories[number % N_WEIGHTS].held_out
            at = int(np.abs(np.array(kept.epochs) + 1 - one.n_epochs).argmin())
            values = kept.predictions[int(one.uses_averages), one.index, at].astype(float)
            parts.append(task.kept_at(values, one.temperature))
        mean = task.tempered(np.mean(parts, axis=0), result.temperature)
        return float(-np.log(np.maximum(mean[np.arange(len(mean)), target], 1e-30)).mean())

    def _losses(self, history, view: int) -> np.ndarray:
        """Return test losses (n_temperatures, n_candidates, n_epochs)."""
        return Classification.at_temperatures(history.recorded.views[view])[:, :, 0]
