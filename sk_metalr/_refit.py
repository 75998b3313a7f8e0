"""From rows to tasks for the population: one for each split, and one for the refit."""

from typing import Any

import numpy as np

from . import _wrapped as wrapped
from ._data import TrainingData
from ._population import Population, SplitTask, TrainedMember, preserved_random_state
from ._splits import Split
from .exceptions import AllDivergedError

__all__ = ["refit", "split_tasks"]


def split_tasks(
    estimator: Any, plan: wrapped.TrainingPlan, data: TrainingData, splits: list[Split], seed: int
) -> list[SplitTask]:
    """Build a model for every split, from its training rows, and encode the rows for it.

    Parameters
    ----------
    estimator : scikeras.wrappers.KerasClassifier
        Left as it is.
    plan : TrainingPlan
        How it trains.
    data : TrainingData
        All rows.
    splits : list of (train, test) row indices
        The held-out splits.
    seed : int
        Seed of initial weights and order of rows.
    """
    # One for all splits: a compiled program has one shape of batches.
    batch_size = plan.rows_per_batch(max(len(train) for train, _ in splits))
    tasks = []
    for number, (train, test) in enumerate(splits):
        X, y = data.X[train], data.y[train]
        with preserved_random_state():
            opened = wrapped.open_estimator(estimator, X, y, seed=seed + number)
        if number == 0:
            wrapped.check_model(opened, X, y)
        tasks.append(_make_task(opened, data, train, test, batch_size, seed + number))
    return tasks


def refit(
    tuned: Any,
    learning_rate: float,
    plan: wrapped.TrainingPlan,
    data: TrainingData,
    seed: int,
    engine: str = "auto",
) -> Any:
    """Fit on all rows: in the compiled program where that does all that Keras's loop does.

    Parameters
    ----------
    tuned : scikeras.wrappers.KerasClassifier
        At the chosen strategy, not fitted.
    learning_rate : float
        The chosen learning rate.
    plan : TrainingPlan
        Its batch size and shuffling are used.
    data : TrainingData
        All rows.
    seed : int
        Seed of the order of rows in the compiled program.
    engine : {"auto", "vectorized", "compiled"}
        See :class:`._population.Population`.

    Returns
    -------
    fitted : scikeras.wrappers.KerasClassifier

    Raises
    ------
    AllDivergedError
        If the weights do not stay finite.
    """
    with preserved_random_state():
        fitted = wrapped.open_estimator(tuned, data.X, data.y, learning_rate=learning_rate)
        if wrapped.refits_with_keras(fitted):
            wrapped.fit_with_keras(fitted, data.X, data.y, data.sample_weight)
        else:
            # A kept program may keep the model it was made from: never the one handed out.
            twin = wrapped.open_estimator(tuned, data.X, data.y, learning_rate=learning_rate)
    if not wrapped.refits_with_keras(fitted):
        trained = _train(twin, learning_rate, plan, data, seed, engine)
        wrapped.load_trained(
            fitted,
            trained.weights,
            trained.buffers,
            trained.optimizer_variables,
            trained.epoch_losses,
        )
    if not wrapped.is_finite(fitted):
        raise AllDivergedError(
            f"The refit on all rows diverged at the chosen learning rate {learning_rate:.3g}, "
            "which did not diverge on the splits; try lower learning_rates."
        )
    return fitted


def _train(
    opened: Any,
    learning_rate: float,
    plan: wrapped.TrainingPlan,
    data: TrainingData,
    seed: int,
    engine: str,
) -> TrainedMember:
    """Train on all rows as a population of one."""
    rows = np.arange(len(data.y))
    n_epochs = opened.epochs
    population = Population(
        [_make_task(opened, data, rows, rows[:0], plan.rows_per_batch(len(rows)), seed)],
        np.array([learning_rate]),
        n_epochs=n_epochs,
        from_logits=wrapped.has_logits(opened.model_),
        shuffle=plan.shuffle,
        engine=engine,
    )
    population.train(n_epochs)
    return population.trained_member(0, 0)


def _make_task(
    opened: Any,
    data: TrainingData,
    train: np.ndarray,
    test: np.ndarray,
    batch_size: int,
    seed: int,
) -> SplitTask:
    x, y = wrapped.encode(opened, data.X, data.y)
    weight = np.ones(len(data.y)) if data.sample_weight is None else data.sample_weight
    return SplitTask(
        model=opened.model_,
        x=x,
        y=y,
        code=data.code,
        train=train,
        test=test,
        train_weight=wrapped.training_weights(opened, data.y[train], weight[train]),
        test_weight=weight[test].astype(np.float32),
        batch_size=batch_size,
        seed=seed,
    )
