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
    *,
    n_refits: int = 1,
    engine: str = "auto",
) -> list[Any]:
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
        Seed of the order of rows in the compiled program, and of the initial weights of
        all refits but the first.
    n_refits : int
        How many to fit, each from initial weights of its own.
    engine : {"auto", "vectorized", "compiled"}
        See :class:`._population.Population`.

    Returns
    -------
    fitted : list of scikeras.wrappers.KerasClassifier

    Raises
    ------
    AllDivergedError
        If the weights do not stay finite.
    """
    starts = [tuned, *(wrapped.reseeded(tuned, seed + i) for i in range(1, n_refits))]

    def opened() -> list[Any]:
        return [
            wrapped.open_estimator(start, data.X, data.y, learning_rate=learning_rate)
            for start in starts
        ]

    with preserved_random_state():
        fitted = opened()
        with_keras = wrapped.refits_with_keras(fitted[0])
        if with_keras:
            for one in fitted:
                wrapped.fit_with_keras(one, data.X, data.y, data.sample_weight)
        else:
            # A kept program may keep the model it was made from: never the one handed out.
            twins = opened()
    if not with_keras:
        trained = _train(twins, learning_rate, plan, data, seed, engine)
        for one, member in zip(fitted, trained, strict=True):
            wrapped.load_trained(
                one,
                member.weights,
                member.buffers,
                member.optimizer_variables,
                member.epoch_losses,
            )
    if not all(wrapped.is_finite(one) for one in fitted):
        raise AllDivergedError(
            f"The refit on all rows diverged at the chosen learning rate {learning_rate:.3g}, "
            "which did not diverge on the splits; try lower learning_rates."
        )
    return fitted


def _train(
    opened: list[Any],
    learning_rate: float,
    plan: wrapped.TrainingPlan,
    data: TrainingData,
    seed: int,
    engine: str,
) -> list[TrainedMember]:
    """Train on all rows as a population of one candidate, each refit in place of a split."""
    rows = np.arange(len(data.y))
    batch_size = plan.rows_per_batch(len(rows))
    n_epochs = opened[0].epochs
    population = Population(
        [
            _make_task(one, data, rows, rows[:0], batch_size, seed + number)
            for number, one in enumerate(opened)
        ],
        np.array([learning_rate]),
        n_epochs=n_epochs,
        from_logits=wrapped.has_logits(opened[0].model_),
        shuffle=plan.shuffle,
        engine=engine,
    )
    population.train(n_epochs)
    return [population.trained_member(0, number) for number in range(len(opened))]


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
