"""From rows to tasks for the population: one for each split, and one for the refit."""

from typing import Any

import numpy as np

from . import _wrapped as wrapped
from ._data import TrainingData
from ._population import (
    JoinedPopulation,
    Population,
    SplitTask,
    TrainedMember,
    preserved_random_state,
)
from ._space import Candidates, Strategy, StrategySpace
from ._splits import Split
from .exceptions import AllDivergedError

__all__ = ["populate", "refit", "split_tasks"]


def split_tasks(
    estimator: Any,
    plan: wrapped.TrainingPlan,
    data: TrainingData,
    splits: list[Split],
    seed: int,
    optimizer: Any = None,
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
    optimizer : str, keras.optimizers.Optimizer or None
        Optimizer of the models; None for their own.
    """
    # One for all splits: a compiled program has one shape of batches.
    batch_size = plan.rows_per_batch(max(len(train) for train, _ in splits))
    tasks = []
    for number, (train, test) in enumerate(splits):
        X, y = data.X[train], data.y[train]
        with preserved_random_state():
            opened = wrapped.open_estimator(
                estimator, X, y, seed=seed + number, optimizer=optimizer
            )
        if number == 0:
            wrapped.check_model(opened, X, y)
        tasks.append(_make_task(opened, data, train, test, batch_size, seed + number))
    return tasks


def populate(
    estimator: Any,
    plan: wrapped.TrainingPlan,
    data: TrainingData,
    splits: list[Split],
    seed: int,
    space: StrategySpace,
    candidates: Candidates,
    engine: str,
) -> JoinedPopulation:
    """Return all candidates on all splits, untrained.

    Parameters
    ----------
    estimator, plan, data, splits, seed
        See :func:`split_tasks`.
    space : StrategySpace
        Where the candidates come from.
    candidates : Candidates
        In order of their optimizers.
    engine : {"auto", "vectorized", "compiled"}
        See :class:`._population.Population`.
    """
    parts = []
    for number, optimizer in enumerate(space.optimizers):
        mine = candidates.optimizer == number
        tasks = split_tasks(estimator, plan, data, splits, seed, optimizer)
        parts.append(
            Population(
                tasks,
                candidates.learning_rates[mine],
                schedules=[space.schedules[i] for i in candidates.schedule[mine]],
                n_epochs=plan.n_epochs,
                from_logits=wrapped.has_logits(tasks[0].model),
                shuffle=plan.shuffle,
                engine=engine,
            )
        )
    return JoinedPopulation(parts)


def refit(
    estimator: Any,
    strategy: Strategy,
    plan: wrapped.TrainingPlan,
    data: TrainingData,
    *,
    n_epochs: int,
    weights_seed: int,
    seed: int,
    n_refits: int = 1,
    engine: str = "auto",
) -> list[Any]:
    """Fit on all rows: in the compiled program where that does all that Keras's loop does.

    Parameters
    ----------
    estimator : scikeras.wrappers.KerasClassifier
        Left as it is.
    strategy : Strategy
        The chosen one.
    plan : TrainingPlan
        The full budget, batch size and shuffling.
    data : TrainingData
        All rows.
    n_epochs : int
        How many epochs of the budget to train for.
    weights_seed : int
        Seed of the initial weights of the first refit, where `estimator` has none.
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
    rate = wrapped.scheduled_rate(estimator, strategy.learning_rate, strategy.schedule, len(data.y))
    tuned = wrapped.with_strategy(estimator, rate, n_epochs, weights_seed, strategy.optimizer)
    starts = [tuned, *(wrapped.reseeded(tuned, seed + i) for i in range(1, n_refits))]

    def opened() -> list[Any]:
        return [
            wrapped.open_estimator(start, data.X, data.y, rate=rate, optimizer=strategy.optimizer)
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
        trained = _train(twins, strategy, plan, data, seed, engine)
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
            f"The refit on all rows diverged at the chosen learning rate "
            f"{strategy.learning_rate:.3g}, which did not diverge on the splits; try lower "
            "learning_rates."
        )
    return fitted


def _train(
    opened: list[Any],
    strategy: Strategy,
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
        np.array([strategy.learning_rate]),
        schedules=[strategy.schedule],
        n_epochs=n_epochs,
        budget=plan.n_epochs,
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
