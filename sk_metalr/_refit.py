"""From rows to tasks for the population, one for each split and refit; and to predictions."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import ref

import numpy as np

from . import _models as wrapped
from ._data import TrainingData
from ._population import (
    COMPILED_LANES,
    JoinedPopulation,
    Population,
    SplitTask,
    TrainedMember,
    keeps_program,
    outputs_of,
    preserved_random_state,
    trained_by_keras,
)
from ._population.workers import Workers
from ._progress import Task, silent
from ._space.space import Candidates, Strategy, StrategySpace
from ._splits import Split
from .exceptions import AllDivergedError, NotVectorizableError

__all__ = [
    "Evaluation",
    "Part",
    "Refits",
    "all_rows",
    "committee",
    "predicted",
    "refit",
    "refitted_by_keras",
    "split_tasks",
]


def split_tasks(
    estimator: Any,
    plan: wrapped.TrainingPlan,
    data: TrainingData,
    splits: list[Split],
    seed: int,
    optimizer: Any = None,
    trained: Collection[int] | None = None,
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
    trained : collection of int or None
        Splits that are going to be trained on, the others only counted; None for all.
    """
    # One for all splits: a compiled program has one shape of batches.
    batch_size = plan.rows_per_batch(max(len(train) for train, _ in splits))
    tasks: list[SplitTask] = []
    wanted = range(len(splits)) if trained is None else sorted(trained)
    for number, (train, test) in [(number, splits[number]) for number in wanted]:
        X, y = wrapped.features_to_open(estimator, data.X, train), data.y[train]
        with preserved_random_state():
            opened = wrapped.open_estimator(
                estimator, X, y, seed=seed + number, optimizer=optimizer
            )
        if number == 0:
            wrapped.check_model(opened, data.X[train[:8]], y)
        tasks.append(_make_task(opened, data, train, test, batch_size, seed + number))
    of = dict(zip(wanted, tasks, strict=True))
    return [
        of.get(number, replace(tasks[0], train=train, test=test))
        for number, (train, test) in enumerate(splits)
    ]


@dataclass(frozen=True)
class Evaluation:
    """On what candidates are trained and scored: f(s, D).

    Attributes
    ----------
    estimator, plan, data, splits, seed
        See :func:`split_tasks`.
    settings : dict
        ``engine``, ``metrics``, ``max_memory``: see :class:`._population.Population`.
    """

    estimator: Any
    plan: wrapped.TrainingPlan
    data: TrainingData
    splits: list[Split]
    seed: int
    settings: dict[str, Any]
    _latest: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_latest": []}  # what is open here stays here

    @property
    def n_epochs(self) -> int:
        """The full budget, in epochs."""
        return self.plan.n_epochs

    def populate(
        self, space: StrategySpace, candidates: Candidates, *, n_workers: int = 1, **settings: Any
    ) -> JoinedPopulation:
        """Return candidates on all splits, untrained.

        Parameters
        ----------
        space : StrategySpace
            Where the candidates come from.
        candidates : Candidates
            In order of their optimizers.
        n_workers : int
            How many of joblib's workers train them; 1 for none but this process.
        **settings : dict
            ``keeps_states``, ``adapts_rates``: see :class:`._population.Population`.
        """
        parts = []
        for number in np.unique(candidates.optimizer):
            mine = candidates.optimizer == number
            of_optimizer = {
                "optimizer": space.optimizers[number],
                "learning_rates": candidates.learning_rates[mine],
                "schedules": [space.schedules[i] for i in candidates.schedule[mine]],
                **({"keeps_states": False} | self.settings | settings),
            }
            elsewhere = None
            if n_workers > 1:
                elsewhere = Workers(partial(_in_worker, self, of_optimizer), n_workers)
            parts.append(self.population(**of_optimizer, elsewhere=elsewhere))
        return JoinedPopulation(parts)

    def population(
        self,
        optimizer: Any,
        learning_rates: np.ndarray,
        trained: Collection[int] | None = None,
        **settings: Any,
    ) -> Population:
        """Return the candidates of one optimizer, untrained; `trained` as for split_tasks."""
        tasks = self._open_tasks(optimizer) if trained is None else None
        tasks = tasks or split_tasks(
            self.estimator, self.plan, self.data, self.splits, self.seed, optimizer, trained
        )
        population = Population(
            tasks,
            learning_rates,
            n_epochs=self.n_epochs,
            from_logits=wrapped.has_logits(tasks[0].model),
            shuffle=self.plan.shuffle,
            **settings,
        )
        if trained is None:
            self._latest[:] = [(optimizer, ref(population))]
        return population

    def _open_tasks(self, optimizer: Any) -> list[SplitTask] | None:
        """Return the tasks of the population before, if it has left their models as they were.

        Keras's own loop trains them; programs only read them.
        """
        for its_optimizer, reference in self._latest:
            before = reference()
            if before is not None and its_optimizer is optimizer and before.lane != "keras":
                tasks: list[SplitTask] = before.tasks
                return tasks
        return None


def _in_worker(
    evaluation: Evaluation, of_optimizer: dict[str, Any], splits: set[int], n_threads: int
) -> Population:
    """Return the population that a worker trains some splits of; its refit is not compiled."""
    settings = of_optimizer | {"n_rows_later": 0, "n_threads": n_threads}
    return evaluation.population(**settings, trained=splits)


@dataclass(frozen=True)
class Part:
    """What one refit starts from and trains on.

    Attributes
    ----------
    rows : slice or int ndarray of shape (n_rows,)
        Training rows.
    weights_seed : int or None
        Seed of the initial weights; None keeps that of the wrapped classifier.
    order_seed : int
        Seed of the order of rows in the compiled program.
    """

    rows: Any
    weights_seed: int | None
    order_seed: int


def all_rows(n_refits: int, seed: int) -> list[Part]:
    """Return the parts of refits on all rows, each from initial weights of its own."""
    first = Part(slice(None), None, seed)
    return [first, *(Part(slice(None), seed + i, seed + i) for i in range(1, n_refits))]


def committee(splits: list[Split], seed: int) -> list[Part]:
    """Return the parts of refits that are the searched members over again.

    Parameters
    ----------
    splits : list of (train, test) row indices
        The held-out splits of the search.
    seed : int
        Seed of the search.
    """
    return [Part(train, seed + i, seed + i) for i, (train, _) in enumerate(splits)]


@dataclass(frozen=True)
class Refits:
    """Classifiers that were fitted with the chosen strategy, and how.

    Attributes
    ----------
    fitted : list of scikeras.wrappers.KerasClassifier
    by_keras : bool
        Whether ``Model.fit`` trained them.
    uses_xla : bool
        Whether XLA compiled their training.
    """

    fitted: list[Any]
    by_keras: bool
    uses_xla: bool


def refit(
    estimator: Any,
    strategy: Strategy,
    plan: wrapped.TrainingPlan,
    data: TrainingData,
    parts: list[Part],
    *,
    n_epochs: int,
    weights_seed: int,
    engine: str = "auto",
    task: Task = silent,
) -> Refits:
    """Fit with the chosen strategy: in the compiled program where that does all of Keras's loop.

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
    parts : list of Part
        One for each refit.
    n_epochs : int
        How many epochs of the budget to train for.
    weights_seed : int
        Seed of initial weights where neither the part nor `estimator` has one.
    engine : {"auto", "vectorized", "compiled", "keras"}
        See :class:`._population.Population`.
    task : callable
        See :meth:`._progress.Progress.task`.

    Returns
    -------
    refits : Refits

    Raises
    ------
    AllDivergedError
        If the weights do not stay finite.
    """
    start = estimator, strategy, data, parts, n_epochs, weights_seed
    with preserved_random_state():
        fitted = _opened(*start)
        # A kept program may keep the model it was made from: never the one handed out.
        is_kept = any(keeps_program(one.model_) for one in fitted)
        trainable = _opened(*start) if is_kept else fitted
    trained, uses_xla = None, False
    if engine != "keras" and not wrapped.refits_with_keras(fitted[0]):
        trained, uses_xla = _train(trainable, strategy, plan, data, parts, engine, task)
    if trained is None:
        with preserved_random_state(), task("refit", len(parts)) as step:
            for one, part in zip(fitted, parts, strict=True):
                weight = None if data.sample_weight is None else data.sample_weight[part.rows]
                wrapped.fit_with_keras(one, data.X[part.rows], data.y[part.rows], weight)
                step(None)
    else:
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
    return Refits(fitted, trained is None, uses_xla)


def _opened(
    estimator: Any,
    strategy: Strategy,
    data: TrainingData,
    parts: list[Part],
    n_epochs: int,
    weights_seed: int,
) -> list[Any]:
    """Return classifiers that are ready to be trained, one for each part; see :func:`refit`."""
    result = []
    for part in parts:
        X = wrapped.features_to_open(estimator, data.X, part.rows)
        y = data.y[part.rows]
        rate = wrapped.scheduled_rate(estimator, strategy.learning_rate, strategy.schedule, len(y))
        tuned = wrapped.with_strategy(estimator, rate, n_epochs, weights_seed, strategy.optimizer)
        result.append(
            wrapped.open_estimator(
                tuned, X, y, seed=part.weights_seed, rate=rate, optimizer=strategy.optimizer
            )
        )
    return result


def _train(
    opened: list[Any],
    strategy: Strategy,
    plan: wrapped.TrainingPlan,
    data: TrainingData,
    parts: list[Part],
    engine: str,
    task: Task,
) -> tuple[list[TrainedMember] | None, bool]:
    """Train as a population of one candidate, each refit in place of a split.

    Returns
    -------
    trained : list of TrainedMember or None
        None where no compiled program can.
    uses_xla : bool
        Whether XLA compiled training.
    """
    n_epochs = opened[0].epochs
    tasks = _refit_tasks(opened, plan, data, parts)
    for lane in COMPILED_LANES[COMPILED_LANES.index(engine) if engine != "auto" else 0 :]:
        try:
            population = Population(
                tasks,
                np.array([strategy.learning_rate]),
                schedules=[strategy.schedule],
                n_epochs=n_epochs,
                budget=plan.n_epochs,
                from_logits=wrapped.has_logits(opened[0].model_),
                shuffle=plan.shuffle,
                engine=lane,
            )
            with task("refit", n_epochs * population.n_groups) as step:
                population.train(n_epochs, step)
        except NotVectorizableError:
            continue
        members = [population.trained_member(0, number) for number in range(len(opened))]
        return members, population.uses_xla
    return None, False


def _refit_tasks(
    opened: list[Any], plan: wrapped.TrainingPlan, data: TrainingData, parts: list[Part]
) -> list[SplitTask]:
    """Return a task for each part, which holds out no rows."""
    every = np.arange(len(data.y))
    rows = [every[part.rows] for part in parts]
    batch_size = plan.rows_per_batch(max(map(len, rows)))
    return [
        _make_task(one, data, train, every[:0], batch_size, part.order_seed)
        for one, part, train in zip(opened, parts, rows, strict=True)
    ]


def refitted_by_keras(
    estimator: Any,
    strategy: Strategy,
    plan: wrapped.TrainingPlan,
    data: TrainingData,
    parts: list[Part],
    *,
    n_epochs: int,
    weights_seed: int,
    uses_xla: bool,
) -> list[list[np.ndarray]]:
    """Return the variables of refits that ``Model.fit`` has trained; see :func:`refit`."""
    with preserved_random_state():
        opened = _opened(estimator, strategy, data, parts, n_epochs, weights_seed)
    values = []
    for task in _refit_tasks(opened, plan, data, parts):
        factors = strategy.schedule.factors(plan.n_epochs * task.steps_per_epoch)
        rates = strategy.learning_rate * factors.reshape(plan.n_epochs, -1)[:n_epochs]
        _, of_task = trained_by_keras(
            task,
            rates,
            shuffle=plan.shuffle,
            from_logits=wrapped.has_logits(task.model),
            uses_xla=uses_xla,
        )
        values.append(of_task)
    return values


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
        is_weighted=wrapped.has_weights(opened, data.sample_weight),
        stops=wrapped.early_stops(opened) if len(test) else (),
    )


def predicted(fitted: list[Any], X: np.ndarray) -> np.ndarray:
    """Return class probabilities (n_samples, n_classes): the mean over fitted classifiers.

    Parameters
    ----------
    fitted : list of scikeras.wrappers.KerasClassifier
        With models of one architecture.
    X : ndarray of shape (n_samples, ...)
        Features.
    """
    wrapped.check_row_shape(fitted[0], X)
    encoded = [wrapped.encode_features(one, X) for one in fitted]
    outputs = outputs_of([one.model_ for one in fitted], encoded)
    return np.asarray(wrapped.to_probabilities(fitted[0], outputs).mean(axis=0))
