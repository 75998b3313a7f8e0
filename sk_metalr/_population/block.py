"""A block of the population: all candidates of one static setting, on all splits."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from time import perf_counter
from typing import Any

import numpy as np
from joblib import cpu_count

from .._progress import Seen, Step, ignore
from .._recorded import Recorded
from .._space import RATE, Schedule
from ..exceptions import NotVectorizableError
from .allocator import memory_kept
from .group import Group, held_out_of, regrouped
from .held_out import HeldOut
from .lanes import LANES, next_lane, open_lane
from .member import split_variables
from .setups import Options, SplitSetup, TrainedMember
from .snapshot import GroupSnapshot, Snapshot
from .stopping import Watch
from .training import Trainer, steps_of_part
from .turns import train_in_turns

Executor = Callable[[Snapshot, int], Iterator[tuple[Sequence[int], Snapshot, list[np.ndarray]]]]
"""Trains groups in other processes: takes a snapshot and a number of epochs; yields positions of
some of its groups, a snapshot of these after training, and what was recorded of each, of shape
(n_recorded, n_candidates, n_epochs)."""

TrainsGroup = Callable[[Group, int], np.ndarray]
"""Trains a group for an epoch; returns what was recorded of it: (n_recorded, n_candidates)."""


class Block:
    """Candidates that differ in data of one compiled program only, on all splits.

    There is a setup for each split; models that are the same function of their variables share a
    program. `values` are the member hyperparameters, each of shape (n_candidates,), the learning
    rate among them. If `one_each`, every candidate trains on one split alone, that of its own
    number. Without an `executor`, groups train in this process. Raises
    NotVectorizableError if a layer, the optimizer or a setting cannot be trained as `options` ask.
    """

    def __init__(
        self,
        setups: list[SplitSetup],
        values: dict[str, np.ndarray],
        schedules: Sequence[Schedule],
        options: Options,
        executor: Executor | None = None,
        one_each: bool = False,
    ) -> None:
        self.setups = setups
        self.one_each = one_each
        self.values = values
        self.schedules = schedules
        self.options = options
        self.n_epochs = 0
        self._executor = executor
        self._groups: list[Group] = []
        # Seconds in all and of compiling, and the cost of groups that were dissolved.
        self._cost: Any = Counter()
        self._is_halted = Event()
        is_free = options.engine == "auto"
        self._lanes_left = list(LANES) if is_free else [options.engine]
        self._open_next_lane("every layer vectorises" if is_free else "asked for by engine")

    def _open_next_lane(self, reason: str) -> None:
        """Make all groups anew, untrained, in the next lane that takes the model."""
        n_members = 1 if self.one_each else len(self)
        how = reason, self.setups, n_members, self.options, self.data
        self.lane = next_lane(self._lanes_left, *how)
        self._trainer = self._make_trainer()
        every, size = self._staying, self.lane.group_size
        self._groups = [
            self._make_group(split, mine[start : start + size])
            for split in range(len(self.setups))
            for mine in [every[split : split + 1] if self.one_each else every]
            for start in range(0, len(mine), size)
        ]

    def _make_trainer(self) -> Trainer:
        return Trainer(self.setups, self.lane, self.options, self._is_halted, self.data)

    @property
    def _staying(self) -> np.ndarray:
        """The candidates that go on: (n_staying,), in increasing order."""
        if not self._groups:
            return np.arange(len(self))
        return np.unique(np.concatenate([group.candidates for group in self._groups]))

    def _make_group(self, split: int, candidates: np.ndarray) -> Group:
        members = np.pad(candidates, (0, self.lane.group_size - len(candidates)), mode="edge")
        return Group(
            split=split,
            candidates=candidates,
            values={name: v[members].astype(np.float32) for name, v in self.values.items()},
            schedules=[self.schedules[candidate] for candidate in members],
            watches=[Watch(stops) for _ in candidates if (stops := self.setups[split].stops)],
        )

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.schedules)

    @property
    def data(self) -> list[str]:
        """Names of the numbers that differ by member, beside the learning rate."""
        return [name for name in self.values if name != RATE]

    @property
    def n_groups(self) -> int:
        """Number of groups that train."""
        return len(self._groups)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the shortest epoch; 0 where it is not trained in parts: by other processes, or
        because it has no more steps than a block of batches.
        """
        is_whole = any(steps_of_part(setup, 0.5) == 0 for setup in self.setups)
        if self._executor or is_whole:
            return 0
        return min(setup.steps_per_epoch for setup in self.setups)

    @property
    def uses_xla(self) -> bool:
        """Tell whether XLA compiles training."""
        return self.lane.programs[0].uses_xla

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent compiling (tracing included), training and scoring so far.

        They add up to what :meth:`train` took, however many groups trained at a time.
        """
        compiling = self._cost["compiling"]
        training, scoring = self._costs("training"), self._costs("scoring")
        share = training / (training + scoring) if training + scoring else 1.0
        rest = max(0.0, self._cost["all"] - compiling)
        return {"compiling": compiling, "training": rest * share, "scoring": rest * (1 - share)}

    @property
    def member_epochs(self) -> float:
        """Epochs trained so far, of all members."""
        return float(self._costs("member_epochs"))

    def _costs(self, name: str) -> float:
        """Return what all groups have cost, those that were dissolved included."""
        return sum((group.cost[name] for group in self._groups), self._cost[name])

    @property
    def trajectories(self) -> np.ndarray:
        """Rates by epoch, before schedules, the last repeated: (n_candidates, n_splits, budget)."""
        rates = np.full((len(self), len(self.setups), self.options.budget), np.nan)
        trained = np.minimum(np.arange(self.options.budget), self.n_epochs - 1)
        for group in self._groups:
            by_epoch = np.stack(group.trajectory)[trained, : len(group.candidates)]
            rates[group.candidates, group.split] = by_epoch.T
        return rates

    def train(self, n_epochs: int, step: Step = ignore) -> Recorded:
        """Train every member for `n_epochs` more and score it after each.

        What is recorded, of shape (n_candidates, n_splits, n_epochs), is NaN from where a member
        diverged, and where a split holds out no rows. `step` is called by any thread after every
        epoch of a group, with what it showed.
        """
        epochs = range(self.n_epochs, self.n_epochs + n_epochs)
        recorded = self._train(
            epochs, step, lambda group, epoch: self._trainer.train(group, epoch, step)
        )
        self.n_epochs += n_epochs
        return recorded

    def train_part(self, share: float, step: Step = ignore) -> Recorded:
        """Train every member up to a share of the first epoch, and score it then.

        What is recorded is of shape (n_candidates, n_splits, 1). Training goes on from there;
        `step` is called after each group.
        """
        return self._train(
            range(1), step, lambda group, _: self._trainer.train_part(group, share, step)
        )

    def _train(self, epochs: range, step: Step, train: TrainsGroup) -> Recorded:
        while True:
            try:
                return self._train_groups(epochs, step, train)
            except NotVectorizableError as error:
                if not self._lanes_left or self.n_epochs or self._is_halted.is_set():
                    raise
                self._open_next_lane(str(error))

    def _train_groups(self, epochs: range, step: Step, train: TrainsGroup) -> Recorded:
        start, compiled = perf_counter(), self.lane.seconds_compiling
        names = self.options.recorded
        losses = np.full((len(names), len(self), len(self.setups), len(epochs)), np.nan)
        try:
            if self._groups and self._executor is not None:
                self._train_by_executor(self._executor, losses, epochs, step)
            elif self._groups:  # there are none where none of these candidates went on
                self._train_here(losses, epochs, train)
        finally:
            self._cost["all"] += perf_counter() - start
            if self._executor is None:
                self._cost["compiling"] += self.lane.seconds_compiling - compiled
        return Recorded(names, losses)

    def _train_here(self, losses: np.ndarray, epochs: range, train: TrainsGroup) -> None:
        """Train groups in threads, and write what is recorded into `losses`."""
        n_threads = 1
        if self.lane.trains_in_threads:
            n_threads = min(self.options.n_threads or cpu_count(), len(self._groups))

        def train_epoch(group: Group, number: int) -> None:
            losses[:, group.candidates, group.split, number] = train(group, epochs[number])
            is_last = number + 1 == len(epochs) and not group.begun
            if is_last and not self.options.keeps_states:
                group.state = group.averages = None

        with memory_kept(), ThreadPoolExecutor(1) as beside:
            size = max(map(len, self._groups))
            compiled = beside.submit(self._trainer.compile_beside, size, with_scoring=True)
            train_in_turns(self._groups, len(epochs), n_threads, train_epoch)
            compiled.result()
        self.lane.rest()

    def halt(self) -> None:
        """Have training end, for good, after the epoch that it is in."""
        self._is_halted.set()

    def _train_by_executor(
        self, executor: Executor, losses: np.ndarray, epochs: range, step: Step
    ) -> None:
        """Train groups in other processes, and write what is recorded into `losses`."""
        compiling = 0.0
        with ThreadPoolExecutor(1) as beside:
            size = max(map(len, self._groups))
            compiled = beside.submit(self._trainer.compile_beside, size, with_scoring=False)
            for positions, trained, of_groups in executor(self.snapshot(), len(epochs)):
                compiling = max(compiling, trained.cost["compiling"])
                after = self._groups_of(trained)
                for position, group, seen in zip(positions, after, of_groups, strict=True):
                    self._groups[position] = group
                    losses[:, group.candidates, group.split] = seen
                    for column, epoch in enumerate(epochs):
                        shown = Recorded(self.options.recorded, seen[:, :, column])
                        step(Seen(shown, group.candidates, group.split, epoch))
            compiled.result()
        self._cost["compiling"] += compiling

    def held_out(self) -> HeldOut | None:
        """Return the predictions that were kept of members still trained; None for none."""
        return held_out_of(self._groups, self.setups, self.options, len(self))

    def snapshot(self) -> Snapshot:
        """Return all that training has changed so far."""
        groups = [GroupSnapshot.of(group) for group in self._groups]
        cost = dict(self._cost)
        return Snapshot(self.lane.name, self.lane.reason, self.n_epochs, groups, cost)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of a block like this one, or of some of its groups."""
        name, reason = snapshot.lane, snapshot.lane_reason
        if name != self.lane.name:
            self.lane = open_lane(name, reason, self.setups, len(self), self.options, self.data)
            self._trainer = self._make_trainer()
        self.lane = replace(self.lane, reason=reason)
        self._lanes_left = []
        self.n_epochs = snapshot.n_epochs
        self._groups = self._groups_of(snapshot)
        self._cost = Counter(snapshot.cost)

    def _groups_of(self, snapshot: Snapshot) -> list[Group]:
        return [
            group.group(self.schedules, self.setups[group.split].stops) for group in snapshot.groups
        ]

    def keep(self, candidates: np.ndarray, until: int, n_cores: int = 1) -> None:
        """Go on with these candidates only, (n_kept,), in increasing order, up to some epoch.

        They are put together in groups as large as before, so that nothing is compiled anew but
        what trains one member alone, where that pays on `n_cores`; see :meth:`.Lane.sizes`.
        """
        groups, self._groups = self._groups, []
        n_steps = (until - self.n_epochs) * sum(setup.steps_per_epoch for setup in self.setups)
        for group in groups:
            self._cost.update(group.cost)
        for split in range(len(self.setups)):
            kept = [
                (group, position)
                for group in groups
                for position, candidate in enumerate(group.candidates)
                if group.split == split and candidate in candidates
            ]
            for size in self.lane.sizes(len(kept), n_steps, n_cores // len(self.setups)):
                self._groups.append(regrouped(kept[:size], size))
                kept = kept[size:]

    def trained_member(
        self, candidate: int, split: int, with_averages: bool = False
    ) -> TrainedMember:
        """Return what training left of one member, or the averages of its weights."""
        (group,) = [g for g in self._groups if g.split == split and candidate in g.candidates]
        if group.state is None:
            raise RuntimeError("The block was not trained, or does not keep its states.")
        position = group.candidates.tolist().index(candidate)
        state, shared = group.state, group.state.shared
        if with_averages and group.averages is not None:
            state = state._replace(members=group.averages.of(state.members))
        member = self.lane.programs[group.split].delivered(state, position)
        model = self.setups[group.split].model
        others, seeds = split_variables(model)
        parts = zip([*others, *seeds], [*member.non_trainable, *shared.seeds], strict=True)
        values = {id(variable): value.numpy() for variable, value in parts}
        of_optimizer = [value.numpy() for value in member.optimizer_variables]
        return TrainedMember(
            weights=[value.numpy() for value in member.weights],
            non_trainable=[values[id(v)] for v in model.non_trainable_variables],
            optimizer_variables=[shared.iteration.numpy(), group.rates[position], *of_optimizer],
            epoch_losses=np.array([losses[position] for losses in group.train_losses]),
            is_finite=bool(group.state.is_finite[position].numpy()),
        )
