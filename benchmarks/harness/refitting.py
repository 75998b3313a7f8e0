"""Choices refitted on all training rows and scored on test rows, alike for all ways of choosing.

A choice is a learning rate and a number of epochs. All choices of a table are trained in one
population, from initial weights that are the same for all, so that nothing but the choice differs.
"""

import numpy as np

from benchmarks.harness.networks import keras_classifier
from benchmarks.harness.tables import Table
from sk_metalr import BaseSearch, MetaLRClassifier, RandomSearch
from sk_metalr import _models as models
from sk_metalr._data import check_training_data
from sk_metalr._population import Options, preserved_random_state
from sk_metalr._progress import silent
from sk_metalr._refit import Planned, Refit, predicted
from sk_metalr._search import Evaluation, Execution, Prepared, SearchResult, prepare, run
from sk_metalr._search.ensemble import Chosen
from sk_metalr._space import Candidates
from sk_metalr._task import Classification

EPOCHS, BATCH_SIZE = 40, 32
N_CANDIDATES = 16
N_WEIGHTS = 3
"""How many initial weights every choice is refitted from: on small tables, one is luck."""

DENSE_GRID = np.geomspace(1e-5, 1.0, 21)


def classifier(seed: int, **params):
    return keras_classifier(EPOCHS, batch_size=BATCH_SIZE, random_state=seed, **params)


def searched(
    estimator: MetaLRClassifier,
    X: np.ndarray,
    y: np.ndarray,
    n_candidates: int,
    seed: int,
    algorithm: BaseSearch | None = None,
    own_rows: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> tuple[SearchResult, Prepared]:
    """Return a search, random unless another algorithm is given, and what it was prepared with.

    Candidates are scored on `own_rows` where these are given. It is not refitted.
    """
    random_state = np.random.RandomState(seed)
    prepared = prepare(estimator, X, y, None, None, own_rows, random_state)
    algorithm = algorithm or RandomSearch()
    algorithm.check(prepared.space)
    found = run(algorithm, prepared, Execution(), n_candidates, random_state)
    return found, prepared


def refitted(found: SearchResult, prepared: Prepared, models: list[Chosen]) -> list:
    """Return classifiers trained on all rows, each as chosen."""
    planned = [
        Planned(found.history.candidates.strategy(one.index), one.n_epochs, one.uses_averages)
        for one in models
    ]
    return Refit(prepared, planned).train("auto", silent).fitted


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
        Classification(),
        np.concatenate([table.X_train, table.X_test]),
        np.concatenate([table.y_train, table.y_test]),
        None,
        None,
    )
    division = (np.arange(n_train), np.arange(n_train, len(data.y)))
    estimator = classifier(seed)
    plan = models.training_plan(estimator)
    options = Options(Classification(), budget=EPOCHS, shuffle=plan.shuffle)
    evaluation = Evaluation(estimator, plan, data, [division], seed, options)
    population = evaluation.populate(Candidates({"optimizer__learning_rate": rates}))
    (block,) = population.blocks
    with preserved_random_state():
        opened = models.open_estimator(estimator, table.X_train, table.y_train, seed=seed)
    curves, probabilities = [], {}
    for epoch in range(1, EPOCHS + 1):
        curves.append(population.train(1)["log_loss"][:, 0, 0])
        for name, (rate, n_epochs) in choices.items():
            if n_epochs == epoch:
                trained = block.trained_member(int(np.searchsorted(rates, rate)), 0)
                probabilities[name] = predicted(
                    data.task, [models.load_trained(opened, trained)], table.X_test, [1.0]
                )
    return np.array(curves).T, probabilities
