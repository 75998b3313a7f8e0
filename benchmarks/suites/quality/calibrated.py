"""What calibrated searches choose, as MetaLRClassifier does by default: one model, or several."""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.harness.experience import without
from benchmarks.harness.refitting import N_CANDIDATES, N_WEIGHTS, classifier, refitted, searched
from benchmarks.harness.tables import Table
from sk_metalr import Halving, MetaLRClassifier, Portfolio, RandomSearch
from sk_metalr._refit import predicted
from sk_metalr._search import Prepared, SearchResult
from sk_metalr._search.ensemble import Chosen
from sk_metalr._search.history import surface_of
from sk_metalr._search.loop import single, with_models
from sk_metalr._search.selection import choose

N_SPLITS = 5
OURS = "MetaLRClassifier"
ENSEMBLES = {n: f"{OURS}, n_models={n}" for n in (5, 10)}
SAME_CHOICE = {n: f"{OURS}, mean of {n} refits of its choice" for n in (5, 10)}
CHOSEN_ON_TEST = {
    1: f"{OURS}, chosen on the test rows",
    10: f"{OURS}, n_models=10, chosen on the test rows",
}
HALVED = f"{OURS}, search=halving"
OTHER_SEARCHES = {
    HALVED: (N_SPLITS, N_CANDIDATES, lambda name: Halving()),
    f"{OURS}, search=portfolio from the other tables": (
        *(N_SPLITS, None),
        lambda name: Portfolio(without(name)),
    ),
    f"{OURS}, 1 split": (1, N_CANDIDATES, lambda name: RandomSearch()),
}
"""Splits, candidates and the algorithm, by the name of the table, that are not the default's."""

WITHOUT_AVERAGES = f"{OURS}, averages of weights left out"


def calibrated(searches: Any) -> dict[str, list[np.ndarray]]:
    """Return test probabilities by method, of :class:`.measure.Searches`."""
    table, n_most = searches.table, max(ENSEMBLES)
    how = {"estimator": classifier(searches.seed), "n_models": n_most}
    rows, seed = (table.X_train, table.y_train), searches.seed
    estimator = MetaLRClassifier(**how, cv=searches.folds)
    found, prepared = searched(estimator, *rows, N_CANDIDATES, seed)
    refits = chosen_alone(found, prepared, table, n_most)
    outcomes = {OURS: refits}
    of_weights = without_averages(found, prepared)
    outcomes[WITHOUT_AVERAGES] = [
        predicted(prepared.data.task, [one], table.X_test, [of_weights.temperature])
        for one in refitted(found, prepared, [of_weights] * N_WEIGHTS)
    ]
    for n_models, name in SAME_CHOICE.items():
        outcomes[name] = [np.mean(refits[:n_models], axis=0)]
    for n_models, name in ENSEMBLES.items():
        outcomes[name] = [together(found, prepared, table, n_models)]
    for name, (n_splits, n_candidates, algorithm) in OTHER_SEARCHES.items():
        estimator = MetaLRClassifier(**how, cv=searches.folds[:n_splits])
        other = searched(estimator, *rows, n_candidates, seed, algorithm(table.name))
        outcomes[name] = chosen_alone(*other, table, N_WEIGHTS)
    of_test = table.X_test, table.y_test
    on_test = searched(MetaLRClassifier(**how), *rows, N_CANDIDATES, seed, own_rows=of_test)
    outcomes[CHOSEN_ON_TEST[1]] = chosen_alone(*on_test, table, n_most)
    outcomes[CHOSEN_ON_TEST[10]] = [together(*on_test, table, n_most)]
    return outcomes


def chosen_alone(
    found: SearchResult, prepared: Prepared, table: Table, n_refits: int
) -> list[np.ndarray]:
    """Return test probabilities of several refits of the one choice."""
    alone = single(found.choice)
    return [
        predicted(prepared.data.task, [one], table.X_test, [alone.temperature])
        for one in refitted(found, prepared, [alone] * n_refits)
    ]


def together(found: SearchResult, prepared: Prepared, table: Table, n_models: int) -> np.ndarray:
    """Return test probabilities of an ensemble of what was trained."""
    task = prepared.data.task
    ensemble = with_models(found, n_models, task)
    fitted = refitted(found, prepared, ensemble.models)
    temperatures = [one.temperature for one in ensemble.models]
    mean = predicted(task, fitted, table.X_test, temperatures)
    return task.tempered(mean, ensemble.temperature)


def without_averages(found: SearchResult, prepared: Prepared) -> Chosen:
    """Return what is chosen where only the weights themselves are scored."""
    history, scoring = found.history, prepared.scoring
    of_weights, _ = history.recorded.views
    losses = scoring.losses(of_weights)
    surface = surface_of(history.candidates, losses, history.n_resources, history.baseline_loss)
    choice = choose(surface, history.candidates.learning_rates)
    return single(replace(choice, temperature=scoring.temperature(of_weights, choice)))
