"""The evaluation f(s, D): strategies trained and scored on held-out splits."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import ref

import numpy as np

from .. import _models as models
from .._data import TrainingData
from .._population import (
    Block,
    Options,
    Population,
    SplitSetup,
    Workers,
    preserved_random_state,
)
from .._space import Candidates, Schedule
from .._splits import Split


@dataclass(frozen=True)
class Evaluation:
    """On what candidates are trained and scored.

    Attributes
    ----------
    estimator : scikeras.wrappers.KerasClassifier
        The wrapped classifier, which is left as it is.
    plan : TrainingPlan
        How it trains.
    data : TrainingData
        All rows.
    splits : list of (train, test) row indices
        The held-out splits.
    seed : int
        Seed of initial weights and order of rows.
    options : Options
        How members are trained and scored.
    """

    estimator: Any
    plan: models.TrainingPlan
    data: TrainingData
    splits: list[Split]
    seed: int
    options: Options
    _latest: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_latest": []}  # what is open here stays here

    @property
    def n_epochs(self) -> int:
        """The full budget, in epochs."""
        return self.plan.n_epochs

    def populate(self, candidates: Candidates, *, n_workers: int = 1, **changes: Any) -> Population:
        """Return candidates on all splits, untrained.

        Parameters
        ----------
        candidates : Candidates
            In order of their static parameters.
        n_workers : int
            How many of joblib's workers train them; 1 for none but this process.
        **changes : dict
            Options that differ from those of the evaluation.
        """
        options = replace(self.options, **changes)
        blocks = []
        for positions in candidates.blocks:
            strategies = [candidates.strategy(int(position)) for position in positions]
            schedules = [strategy.schedule for strategy in strategies]
            of_block = (strategies[0].static, candidates.members(positions), schedules)
            executor = None
            if n_workers > 1:
                executor = Workers(partial(_in_worker, self, of_block, options), n_workers)
            blocks.append(self.block(*of_block, options, executor=executor))
        return Population(blocks)

    def block(
        self,
        static: dict[str, Any],
        values: dict[str, np.ndarray],
        schedules: list[Schedule],
        options: Options,
        trained: Collection[int] | None = None,
        executor: Any = None,
    ) -> Block:
        """Return candidates of one static setting, untrained.

        Parameters
        ----------
        static : dict of str to object
            The setting.
        values : dict of str to ndarray of shape (n_candidates,)
            Member hyperparameters.
        schedules : list of Schedule
        options : Options
        trained : collection of int or None
            Splits that are going to be trained on, the others only counted; None for all.
        executor : callable or None
            See :class:`.Block`.
        """
        setups = self._open_setups(static) if trained is None else None
        setups = setups or self.setups(static, trained)
        task = replace(options.task, from_logits=models.has_logits(setups[0].model))
        options = replace(options, task=task)
        block = Block(setups, values, schedules, options, executor)
        if trained is None:
            self._latest[:] = [(static, ref(block))]
        return block

    def _open_setups(self, static: dict[str, Any]) -> list[SplitSetup] | None:
        """Return the setups of the block before, if it has left their models as they were.

        Keras's own loop trains them; programs only read them.
        """
        for of_block, reference in self._latest:
            before = reference()
            if before is not None and of_block == static and before.lane.name != "keras":
                setups: list[SplitSetup] = before.setups
                return setups
        return None

    def setups(
        self, static: dict[str, Any], trained: Collection[int] | None = None
    ) -> list[SplitSetup]:
        """Build a model for every split, from its training rows, and encode the rows for it."""
        # One for all splits: a compiled program has one shape of batches.
        batch_size = self.plan.rows_per_batch(max(len(train) for train, _ in self.splits))
        wanted = range(len(self.splits)) if trained is None else sorted(trained)
        setups: dict[int, SplitSetup] = {}
        for number in wanted:
            train, test = self.splits[number]
            X = models.features_to_open(self.estimator, self.data.X, train)
            y, seed = self.data.y[train], self.seed + number
            with preserved_random_state():
                opened = models.open_estimator(self.estimator, X, y, seed=seed, settings=static)
            if number == 0:
                models.check_model(opened, self.data.X[train[:8]], y)
            setups[number] = make_setup(opened, self.data, train, test, batch_size, seed)
        first = next(iter(setups.values()))
        return [
            setups.get(number, replace(first, train=train, test=test))
            for number, (train, test) in enumerate(self.splits)
        ]


def _in_worker(
    evaluation: Evaluation, of_block: Any, options: Options, splits: set[int], n_threads: int
) -> Block:
    """Return the block that a worker trains some splits of; its refit is not compiled."""
    options = replace(options, n_rows_later=0, n_threads=n_threads)
    static, values, schedules = of_block
    return evaluation.block(static, values, schedules, options, trained=splits)


def make_setup(
    opened: Any,
    data: TrainingData,
    train: np.ndarray,
    test: np.ndarray,
    batch_size: int,
    seed: int,
) -> SplitSetup:
    """Return what the members of a split start from and train on.

    Parameters
    ----------
    opened : scikeras.wrappers.KerasClassifier
        What ``open_estimator`` returned.
    data : TrainingData
        All rows.
    train, test : int ndarray of shape (n_train,), (n_test,)
        Which of them are trained on and held out.
    batch_size : int
        Rows of a step.
    seed : int
        Seed of the order of rows.
    """
    x, y = models.encode(opened, data.X, data.y)
    weight = np.ones(len(data.y)) if data.sample_weight is None else data.sample_weight
    return SplitSetup(
        model=opened.model_,
        x=x,
        y=y,
        target=data.target,
        train=train,
        test=test,
        train_weight=models.training_weights(opened, data.y[train], weight[train]),
        test_weight=weight[test].astype(np.float32),
        batch_size=batch_size,
        seed=seed,
        is_weighted=models.has_weights(opened, data.sample_weight),
        stops=models.early_stops(opened) if len(test) else (),
    )
