"""A block of the population: all candidates of one static setting, on all splits."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from joblib import cpu_count

from .._progress import Seen, Step, ignore
from .._recorded import Recorded
from .._space import Schedule
from ..exceptions import NotVectorizableError
from .group import Group, regrouped
from .lanes import LANES, next_lane, open_lane
from .member import split_variables
from .setups import Options, SplitSetup, TrainedMember
from .snapshot import GroupSnapshot, Snapshot
from .stopping import Watch
from .training import Trainer

Executor = Callable[[Snapshot, int], Iterator[tuple[Sequence[int], Snapshot, list[np.ndarray]]]]
"""Trains groups in other processes: takes a snapshot and a number of epochs; yields positions of
some of its groups, a snapshot of these after training, and what was recorded of each, of shape
(n_recorded, n_candidates, n_epochs)."""


class Block:
    """Candidates that differ in data of one compiled program only, on all splits.

    Parameters
    ----------
    setups : list of SplitSetup
        One for each split; models that are the same function of their variables share a program.
    values : dict of str to ndarray of shape (n_candidates,)
        Member hyperparameters of the candidates, the learning rate among them.
    schedules : sequence of Schedule, of length n_candidates
        Their schedules.
    options : Options
        How they are trained.
    executor : callable or None
        Trains groups in other processes; None: groups train here.

    Attributes
    ----------
    lane : Lane
        How members are trained.

    Raises
    ------
    NotVectorizableError
        If a layer, the optimizer or a setting cannot be trained as the options ask.
    """

    def __init__(
        self,
        setups: list[SplitSetup],
        values: dict[str, np.ndarray],
        schedules: Sequence[Schedule],
        options: Options,
        executor: Executor | None = None,
    ) -> None:
        self.setups = setups
        self.values = values
        self.schedules = schedules
        self.options = options
        self.n_epochs = 0
        self._executor = executor
        self._seconds = self._seconds_compiling = 0.0
        self._closed_training = self._closed_scoring = 0.0
        self._closed_member_epochs = 0
        self._lanes_left = list(LANES) if options.engine == "auto" else [options.engine]
        is_free = options.engine == "auto"
        self._open_next_lane("every layer vectorises" if is_free else "asked for by engine")

    def _open_next_lane(self, reason: str) -> None:
        """Make all groups anew, untrained, in the next lane that takes the model."""
        n_candidates = len(self)
        lane = next_lane(self._lanes_left, reason, self.setups, n_candidates, self.options)
        self.lane, self._trainer = lane, Trainer(self.setups, lane, self.options)
        self._groups = [
            self._make_group(split, start, lane.group_size)
            for split in range(len(self.setups))
            for start in range(0, n_candidates, lane.group_size)
        ]

    def _make_group(self, split: int, start: int, size: int) -> Group:
        n_candidates = len(self)
        members = np.minimum(np.arange(start, start + size), n_candidates - 1)
        candidates = members[: n_candidates - start]
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
    def n_groups(self) -> int:
        """Number of groups that train."""
        return len(self._groups)

    @property
    def uses_xla(self) -> bool:
        """Tell whether XLA compiles training."""
        return self.lane.programs[0].uses_xla

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent compiling (tracing included), training and scoring so far.

        They add up to what :meth:`train` took, however many groups trained at a time.
        """
        compiling = self._seconds_compiling
        training = sum((group.seconds_training for group in self._groups), self._closed_training)
        scoring = sum((group.seconds_scoring for group in self._groups), self._closed_scoring)
        share = training / (training + scoring) if training + scoring else 1.0
        rest = max(0.0, self._seconds - compiling)
        return {"compiling": compiling, "training": rest * share, "scoring": rest * (1 - share)}

    @property
    def member_epochs(self) -> int:
        """Epochs trained so far, of all members."""
        return sum((group.member_epochs for group in self._groups), self._closed_member_epochs)

    @property
    def trajectories(self) -> np.ndarray:
        """Learning rates of each epoch, without schedule: (n_candidates, n_splits, budget).

        Of epochs that were not trained, the last one before.
        """
        budget = self.options.budget
        rates = np.full((len(self), len(self.setups), budget), np.nan)
        for group in self._groups:
            n_members = len(group.candidates)
            mine = np.stack(group.trajectory[: self.n_epochs], axis=1)[:n_members]
            missing = [(0, 0), (0, budget - mine.shape[1])]
            rates[group.candidates, group.split] = np.pad(mine, missing, mode="edge")
        return rates

    def train(self, n_epochs: int, step: Step = ignore) -> Recorded:
        """Train every member for `n_epochs` more and score it after each.

        Parameters
        ----------
        n_epochs : int
            How long, in epochs.
        step : callable
            Called by any thread after every epoch of a group, with what it showed.

        Returns
        -------
        recorded : Recorded, of shape (n_candidates, n_splits, n_epochs)
            NaN from where a member diverged, and where a split holds out no rows.
        """
        epochs = range(self.n_epochs, self.n_epochs + n_epochs)
        while True:
            try:
                recorded = self._train_groups(epochs, step)
                break
            except NotVectorizableError as error:
                if not self._lanes_left or self.n_epochs:
                    raise
                self._open_next_lane(str(error))
        self.n_epochs += n_epochs
        return recorded

    def _train_groups(self, epochs: range, step: Step) -> Recorded:
        start, compiled = perf_counter(), self.lane.seconds_compiling
        names = self.options.recorded
        shape = (len(names), len(self), len(self.setups), len(epochs))
        losses = np.full(shape, np.nan)
        try:
            if not self._groups:
                pass  # none of these candidates went on
            elif self._executor is None:
                self._train_here(losses, epochs, step)
            else:
                self._train_by_executor(self._executor, losses, step)
        finally:
            self._seconds += perf_counter() - start
            if self._executor is None:
                self._seconds_compiling += self.lane.seconds_compiling - compiled
        return Recorded(names, losses)

    def _train_here(self, losses: np.ndarray, epochs: range, step: Step) -> None:
        """Train groups in threads, and write what is recorded into `losses`."""
        trainer = self._trainer
        trainer.is_halted.clear()
        n_threads = 1
        if self.lane.trains_in_threads:
            n_threads = min(self.options.n_threads or cpu_count(), len(self._groups))
        with ThreadPoolExecutor(n_threads) as threads, ThreadPoolExecutor(1) as beside:
            compiled = None
            if not self.n_epochs:
                size = len(self._groups[0])
                compiled = beside.submit(trainer.compile_beside, size, with_scoring=True)
            trained = threads.map(lambda group: trainer.train(group, epochs, step), self._groups)
            try:
                for group, of_group in zip(self._groups, trained, strict=True):
                    losses[:, group.candidates, group.split] = of_group
                if compiled is not None:
                    compiled.result()
            except BaseException:
                trainer.is_halted.set()  # every thread ends after the epoch it is in
                raise

    def _train_by_executor(self, executor: Executor, losses: np.ndarray, step: Step) -> None:
        """Train groups in other processes, and write what is recorded into `losses`."""
        compiling = 0.0
        with ThreadPoolExecutor(1) as beside:
            size = len(self._groups[0])
            compiled = beside.submit(self._trainer.compile_beside, size, with_scoring=False)
            for positions, trained, of_groups in executor(self.snapshot(), losses.shape[-1]):
                compiling = max(compiling, trained.seconds[1])
                after = self._groups_of(trained)
                for position, group, seen in zip(positions, after, of_groups, strict=True):
                    self._groups[position] = group
                    losses[:, group.candidates, group.split] = seen
                    for column in range(losses.shape[-1]):
                        shown = Recorded(self.options.recorded, seen[:, :, column])
                        epoch = self.n_epochs + column
                        step(Seen(shown, group.candidates, group.split, epoch))
            compiled.result()
        self._seconds_compiling += compiling

    def snapshot(self) -> Snapshot:
        """Return all that training has changed so far."""
        return Snapshot(
            self.lane.name,
            self.lane.reason,
            self.n_epochs,
            [GroupSnapshot.of(group) for group in self._groups],
            self._closed_member_epochs,
            [
                self._seconds,
                self._seconds_compiling,
                self._closed_training,
                self._closed_scoring,
            ],
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of a block like this one, or of some of its groups."""
        if snapshot.lane != self.lane.name:
            n_candidates, reason = len(self), snapshot.lane_reason
            self.lane = open_lane(snapshot.lane, reason, self.setups, n_candidates, self.options)
            self._trainer = Trainer(self.setups, self.lane, self.options)
        self.lane = replace(self.lane, reason=snapshot.lane_reason)
        self._lanes_left = []
        self.n_epochs = snapshot.n_epochs
        self._groups = self._groups_of(snapshot)
        self._closed_member_epochs = snapshot.closed_member_epochs
        self._seconds, self._seconds_compiling, *closed = snapshot.seconds
        self._closed_training, self._closed_scoring = closed

    def _groups_of(self, snapshot: Snapshot) -> list[Group]:
        return [
            group.group(list(self.schedules), self.setups[group.split].stops)
            for group in snapshot.groups
        ]

    def keep(self, candidates: np.ndarray) -> None:
        """Go on with these candidates only, from where they are.

        They are put together in groups of the same size as before, so that nothing is
        compiled anew.

        Parameters
        ----------
        candidates : int ndarray of shape (n_kept,)
            In increasing order.
        """
        groups, self._groups = self._groups, []
        for split in range(len(self.setups)):
            mine = [group for group in groups if group.split == split]
            for group in mine:
                self._closed_training += group.seconds_training
                self._closed_scoring += group.seconds_scoring
                self._closed_member_epochs += group.member_epochs
            kept = [
                (group, position)
                for group in mine
                for position, candidate in enumerate(group.candidates)
                if candidate in candidates
            ]
            size = len(mine[0]) if mine else 1
            for start in range(0, len(kept), size):
                self._groups.append(regrouped(kept[start : start + size], size))

    def trained_member(self, candidate: int, split: int) -> TrainedMember:
        """Return what training left of one member."""
        for group in self._groups:
            (position,) = np.nonzero(group.candidates == candidate)
            if group.split == split and position.size:
                return self._extract(group, int(position[0]))
        raise IndexError(f"There is no member ({candidate}, {split}).")

    def _extract(self, group: Group, position: int) -> TrainedMember:
        if group.state is None:
            raise RuntimeError("The block was not trained, or does not keep its states.")
        shared = group.state.shared
        member = self.lane.programs[group.split].delivered(group.state, position)
        model = self.setups[group.split].model
        others, seeds = split_variables(model)
        values: dict[int, Any] = {
            id(variable): value.numpy()
            for variable, value in [
                *zip(others, member.non_trainable, strict=True),
                *zip(seeds, shared.seeds, strict=True),
            ]
        }
        of_optimizer = [value.numpy() for value in member.optimizer_variables]
        return TrainedMember(
            weights=[value.numpy() for value in member.weights],
            non_trainable=[values[id(v)] for v in model.non_trainable_variables],
            optimizer_variables=[shared.iteration.numpy(), group.rates[position], *of_optimizer],
            epoch_losses=np.array([losses[position] for losses in group.train_losses]),
            is_finite=bool(group.state.is_finite[position].numpy()),
        )
