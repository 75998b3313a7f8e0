"""The evaluation f(s, D): strategies trained and scored on held-out splits."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import ref

import numpy as np

from .. import _models as models
from .._data import TrainingData
from .._population import Block, Options, Population, SplitSetup, Workers, preserved_random_state
from .._space import Candidates, Schedule
from .._splits import Split


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of candidates: what is trained, on which rows and splits, and how.

    The wrapped estimator is left as it is. The seed is that of initial weights and order of rows.
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
        """Return candidates, in order of their static parameters, on all splits, untrained.

        `n_workers` of joblib's workers train them; 1 for none but this process. `changes` are
        options that differ from those of the evaluation.
        """
        options = replace(self.options, **changes)
        blocks = []
        for positions in candidates.blocks:
            strategies = [candidates.strategy(int(position)) for position in positions]
            schedules = [strategy.schedule for strategy in strategies]
            of_block = (strategies[0].static, candidates.members(positions), schedules)
            block = partial(self.block, *of_block, options)
            blocks.append(block(executor=Workers(block, n_workers) if n_workers > 1 else None))
        return Population(blocks)

    def block(
        self,
        static: dict[str, Any],
        values: dict[str, np.ndarray],
        schedules: list[Schedule],
        options: Options,
        trained: Collection[int] | None = None,
        n_threads: int | None = None,
        executor: Any = None,
    ) -> Block:
        """Return candidates of one static setting, untrained; see :class:`.Block`.

        The values of each member hyperparameter are of shape (n_candidates,). `trained` are the
        splits that a worker trains in `n_threads`, the others only counted; None for all, here.
        """
        if trained is None:
            setups = self._open_setups(static) or self.setups(static)
        else:
            setups = self.setups(static, trained)
            options = replace(options, n_rows_later=0, n_threads=n_threads)  # no refit is compiled
        task = replace(options.task, from_logits=models.has_logits(setups[0].model))
        options = replace(options, task=task)
        block = Block(setups, values, schedules, options, executor)
        if trained is None:
            self._latest[:] = [(static, ref(block))]
        return block

    def _open_setups(self, static: dict[str, Any]) -> list[SplitSetup] | None:
        """Return the setups of the block before, unless Keras's own loop has trained its models."""
        for of_block, reference in self._latest:
            before = reference()
            if before is not None and of_block == static and before.lane.name != "keras":
                return before.setups
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


def make_setup(
    opened: Any, data: TrainingData, train: np.ndarray, test: np.ndarray, batch_size: int, seed: int
) -> SplitSetup:
    """Return what the members of a split start from, and the rows that they are given.

    `opened` is what ``open_estimator`` returned, `train` (n_train,) and `test` (n_test,) are
    numbers of rows, `batch_size` is in rows, and the seed is that of their order.
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
