"""The evaluation f(s, D): strategies trained and scored on held-out splits."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import ref

import keras
import numpy as np
from joblib import cpu_count

from .. import _models as models
from .._data import TrainingData
from .._population import (
    Block,
    Options,
    Population,
    SplitSetup,
    Workers,
    numbers_of,
    preserved_random_state,
)
from .._space import Candidates, Schedule, are_same
from .._splits import Split
from .blocks import planned


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of candidates: what is trained, on which rows and splits, and how.

    The wrapped estimator is left as it is. The seed is that of initial weights and order of rows.
    ``varied`` are the names of numbers in which candidates differ, as far as they were seen.
    """

    estimator: Any
    plan: models.TrainingPlan
    data: TrainingData
    splits: list[Split]
    seed: int
    options: Options
    _latest: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)
    varied: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_latest": []}  # what is open here stays here

    @property
    def n_epochs(self) -> int:
        """The full budget, in epochs."""
        return self.plan.n_epochs

    def populate(self, candidates: Candidates, *, n_workers: int = 1, **changes: Any) -> Population:
        """Return candidates on all splits, untrained.

        `n_workers` of joblib's workers train them; 1 for none but this process. `changes` are
        options that differ from those of the evaluation.
        """
        plans = planned(candidates, self)
        # Blocks are trained side by side.
        memory = self.options.max_memory / min(cpu_count(), len(plans))
        options = replace(self.options, **{"max_memory": memory} | changes)
        blocks: list[Block] = []
        numbers, trained = [], []
        for plan in plans:
            schedules = [candidates.strategy(int(i)).schedule for i in plan.positions]
            block = partial(self.block, plan.settings, plan.values, schedules, options)
            blocks.append(block(executor=Workers(block, n_workers) if n_workers > 1 else None))
            numbers.append(plan.positions)
            trained.append(_trained(blocks[-1]))
        if trained != [_trained(block) for block in blocks]:
            raise ValueError(
                "The function that builds the model must make all of its layers, those of a "
                "pretrained part, too, at each call. Got models that share some instead: building "
                "one with another setting has changed which layers of the others are trained."
            )
        return Population(blocks, numbers)

    def numbers_in_common(self, alike: list[keras.Model]) -> dict[str, np.ndarray]:
        """Return numbers (n_models,) of models of one kind that their program takes as data.

        They are those that programs took in the search.
        """
        numbers = [numbers_of(model) for model in alike]
        names = [name for name in numbers[0] if name in self.varied]
        return {name: np.array([one[name] for one in numbers]) for name in names}

    def plan_of(self, settings: dict[str, Any]) -> models.TrainingPlan:
        """Return the plan of training with the settings of a strategy, or raise ValueError."""
        if "batch_size" not in settings:
            return self.plan
        plan = models.plan_with(self.estimator, batch_size=settings["batch_size"])
        return replace(plan, n_epochs=self.n_epochs)

    def block(
        self,
        settings: dict[str, Any],
        values: dict[str, np.ndarray],
        schedules: list[Schedule],
        options: Options,
        trained: Collection[int] | None = None,
        n_threads: int | None = None,
        executor: Any = None,
    ) -> Block:
        """Return candidates of one block, untrained; see :class:`.Block`.

        `settings` are those of one of them, and `values`, of shape (n_candidates,), the numbers in
        which others differ from it. `trained` are the
        splits that a worker trains in `n_threads`, the others only counted; None for all, here.
        """
        if trained is None:
            setups = self._open_setups(settings) or self.setups(settings)
        else:
            setups = self.setups(settings, trained)
            options = replace(options, n_rows_later=0, n_threads=n_threads)  # no refit is compiled
        task = models.suited(options.task, setups[0].model)
        if not task.is_comparable(options.task):
            raise ValueError(
                "The 'param_distributions' parameter must hold values that make models whose "
                "targets are scaled alike and, with scoring=None, whose losses are one. With "
                f"{settings!r} they are not."
            )
        options = replace(options, task=task)
        block = Block(setups, values, schedules, options, executor)
        if trained is None:
            self._latest[:] = [(settings, ref(block))]
        return block

    def _open_setups(self, settings: dict[str, Any]) -> list[SplitSetup] | None:
        """Return the setups of the block before, unless Keras's own loop has trained its models."""
        for of_block, reference in self._latest:
            before = reference()
            if before is not None and are_same(of_block, settings) and before.lane.name != "keras":
                return before.setups
        return None

    def open(self, X: Any, y: np.ndarray, settings: dict[str, Any], seed: int) -> Any:
        """Return the estimator opened for a candidate of these settings."""
        return models.open_estimator(
            self.estimator, X, y, seed=seed, settings=settings, is_candidate=True
        )

    def setups(
        self, settings: dict[str, Any], trained: Collection[int] | None = None
    ) -> list[SplitSetup]:
        """Build a model for every split, from its training rows, and encode the rows for it."""
        # One for all splits: a compiled program has one shape of batches.
        n_rows = max(len(train) for train, _ in self.splits)
        batch_size = self.plan_of(settings).rows_per_batch(n_rows)
        wanted = range(len(self.splits)) if trained is None else sorted(trained)
        setups: dict[int, SplitSetup] = {}
        opened_before: list[Any] = []
        for number in wanted:
            train, test = self.splits[number]
            X = models.features_to_open(self.estimator, self.data.X, train)
            labels, seed = self.data.targets(train)[0], self.seed + number
            with preserved_random_state():
                opened = self.open(X, labels[train], settings, seed)
            if number == 0:
                every = np.concatenate([train, test])
                some = models.rows_to_try(opened, self.data.X, every)
                models.check_model(
                    opened, self.data.task, self.data.X[some], labels[some], labels[train]
                )
            if self.options.keeps_predictions:  # there are going to be several refits
                models.check_apart([*opened_before, opened])
                opened_before.append(opened)
            setups[number] = make_setup(opened, self.data, train, test, batch_size, seed)
        first = next(iter(setups.values()))
        for number, (train, test) in enumerate(self.splits):
            if number not in setups:  # which is only counted, except for the shapes of its rows
                setups[number] = replace(
                    first,
                    train=train,
                    test=test,
                    train_weight=np.ones(len(train), first.train_weight.dtype),
                    test_weight=np.ones(len(test), first.test_weight.dtype),
                )
        return [setups[number] for number in range(len(self.splits))]


def _trained(block: Block) -> list[bool]:
    """Return which variables of a block's model are trained."""
    return [bool(variable.trainable) for variable in block.setups[0].model.variables]


def make_setup(
    opened: Any, data: TrainingData, train: np.ndarray, test: np.ndarray, batch_size: int, seed: int
) -> SplitSetup:
    """Return what the members of a split start from, and the rows that they are given.

    `opened` is what ``open_estimator`` returned, `train` (n_train,) and `test` (n_test,) are
    numbers of rows, `batch_size` is in rows, and the seed is that of their order.
    """
    labels, target = data.targets(train)
    x, y = models.encode(opened, data.X, labels)
    weight = np.ones(len(data.y)) if data.sample_weight is None else data.sample_weight
    return SplitSetup(
        model=opened.model_,
        x=x,
        y=y,
        target=target,
        train=train,
        test=test,
        train_weight=models.training_weights(opened, labels[train], weight[train]),
        test_weight=weight[test].astype(np.float32),
        batch_size=batch_size,
        seed=seed,
        is_weighted=models.has_weights(opened, data.sample_weight),
        stops=models.early_stops(opened) if len(test) else (),
    )
