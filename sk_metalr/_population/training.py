"""The population: members trained in groups, epoch by epoch."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from threading import Event
from time import perf_counter
from typing import Any

import numpy as np
from joblib import cpu_count

from .._progress import Seen, Step, ignore
from .._space.schedules import Schedule
from ..exceptions import NotVectorizableError
from .architecture import (
    has_loops,
    may_pad,
    n_time_steps,
    suits_xla,
    why_not_compilable,
    why_not_vectorizable,
)
from .batches import Block, shuffled, steps_per_block, take, training_blocks
from .group import Group, regrouped
from .keras_loop import KerasLoop
from .likeness import first_alike
from .member import split_buffers
from .program import GroupState, Program, program_for
from .scorer import Scorer
from .snapshot import GroupSnapshot, Snapshot
from .stopping import Watch
from .task import SplitTask, TrainedMember

__all__ = ["COMPILED_LANES", "Population"]

GROUP_BYTES = 5 * 2**19
"""State of the members that a compiled program trains at once: what a core's cache holds.

Of more, a step waits for memory; of less, for its own overhead. 8 members of 26,000
weights and Adam's two moments fill it.
"""

MIN_GROUP_SIZE = 4
"""Members that are trained at once however large: fewer did not train faster."""

ADAPTATION = 0.2
"""By how much of its logarithm a learning rate moves in an epoch, at most."""

TRAINING_BYTES_PER_STATE = 4
"""Memory of a training step over that of a member's state: the new one, gradients, the rest."""

MIN_STEPS_TO_COMPILE = 500
"""From about this many steps on, XLA saves more time than it takes to compile."""


MAX_TIME_STEPS = 128
"""Loops over time of more steps than these are not written out: tracing takes 0.1 s a step."""

MIN_STEPS_TO_UNROLL = 1000
"""Steps of members from which on vectorised ones save more than tracing unrolled loops takes."""

CONSTANT = Schedule("constant", "constant")
Elsewhere = Callable[[Snapshot, int], Iterator[tuple[Sequence[int], Snapshot, list[np.ndarray]]]]
COMPILED_LANES = ("vectorized", "compiled")
LANES = (*COMPILED_LANES, "keras")
"""From the quickest to the one that takes everything."""


class Population:
    """All candidates × all splits.

    Parameters
    ----------
    tasks : list of SplitTask
        One for each split; models that are the same function of their variables share a program.
    learning_rates : ndarray of shape (n_candidates,)
        The candidates.
    schedules : sequence of Schedule, or None
        Schedule of each candidate; None for a constant rate.
    n_epochs : int
        How long they are going to train, in epochs.
    budget : int or None
        Epochs that schedules are laid over; None for `n_epochs`.
    from_logits : bool
        Whether the models' outputs are logits.
    shuffle : bool
        Whether rows are shuffled before every epoch.
    metrics : callable or None
        Takes the number of a split and probabilities (n_test, n_classes) of its held-out
        rows, and returns scores (n_metrics,); its ``names`` are as many.
    keeps_states : bool
        Whether members can be trained further, or handed out, after the first call of
        :meth:`train`; otherwise each group's memory is free once it is trained.
    adapts_rates : bool
        Whether every member moves its own learning rate after each epoch, see
        :meth:`._member.Member.alignment`.
    max_memory : float
        How much memory the members that train at a time may take, in bytes.
    n_rows_later : int
        How many rows a single member of the same architecture will be trained on later, in
        batches of the same size; its program is compiled beside the first training then. 0
        for none.
    n_threads : int or None
        How many groups may train at a time; None for as many as there are cores.
    elsewhere : callable or None
        Trains groups in other processes: takes a snapshot and a number of epochs; yields
        positions of some of its groups, a snapshot of these after training, and the losses
        (n_scores, n_candidates, n_epochs) of each. None: groups train here.
    engine : {"auto", "vectorized", "compiled", "keras"}
        How members are trained: many at once, one after another in a compiled program, one
        after another by Keras's own loop; or the first of these that is able to.

    Attributes
    ----------
    lane : {"vectorized", "compiled", "keras"}
        How members are trained.
    lane_reason : str
        Why not in a quicker way.

    Raises
    ------
    NotVectorizableError
        If a layer, the optimizer or a setting cannot be trained as `engine` asks.
    """

    def __init__(
        self,
        tasks: list[SplitTask],
        learning_rates: np.ndarray,
        *,
        schedules: Sequence[Schedule] | None = None,
        n_epochs: int,
        budget: int | None = None,
        from_logits: bool,
        shuffle: bool,
        metrics: Any = None,
        keeps_states: bool = True,
        adapts_rates: bool = False,
        max_memory: float = np.inf,
        n_rows_later: int = 0,
        n_threads: int | None = None,
        elsewhere: Elsewhere | None = None,
        engine: str = "auto",
    ) -> None:
        self.tasks = tasks
        self.learning_rates = learning_rates
        self.schedules = schedules or [CONSTANT] * len(learning_rates)
        self.budget = budget or n_epochs
        self._factors: dict[tuple[str, int], np.ndarray] = {}
        self.from_logits = from_logits
        self.shuffle = shuffle
        self.metrics = metrics
        self.keeps_states = keeps_states
        self.adapts_rates = adapts_rates
        self.max_memory = max_memory
        self.n_threads = n_threads or cpu_count()
        self.elsewhere = elsewhere
        self.n_epochs = 0
        self._is_halted = Event()
        self._steps_later = self.budget * ceil(n_rows_later / tasks[0].batch_size)
        self._n_steps = self.budget * sum(task.steps_per_epoch for task in tasks)
        self._seconds = self._seconds_compiling = 0.0
        self._closed_training = self._closed_scoring = 0.0
        self._closed_member_epochs = 0
        self._first_alike = first_alike(tasks)
        self._lanes = list(LANES) if engine == "auto" else [engine]
        self._open_next_lane(
            "every layer vectorises" if engine == "auto" else "asked for by engine"
        )

    def _open_next_lane(self, reason: str) -> None:
        """Make all groups anew, untrained, in the next lane that takes the model."""
        while True:
            lane = self._lanes.pop(0)
            why_not = self._why_not(lane)
            if why_not is None:
                try:
                    self._make_groups(lane)
                except NotVectorizableError as error:
                    why_not = str(error)
                else:
                    self.lane, self.lane_reason = lane, reason
                    return
            if not self._lanes:
                raise NotVectorizableError(f"{why_not} Leave engine at 'auto'.")
            reason = why_not

    def _why_not(self, lane: str) -> str | None:
        """Say why the model cannot be trained in a lane, where it is known that it cannot."""
        model = self.tasks[0].model
        if lane == "keras":
            return None
        reason = why_not_compilable(model)
        if reason is None and lane == "vectorized":
            return why_not_vectorizable(model, self.tasks[0].batch_size)
        return reason

    def _make_groups(self, lane: str) -> None:
        n_candidates = len(self.learning_rates)
        self._scorers: dict[int, Scorer] = {}
        self.may_pad = lane != "keras" and all(may_pad(task.model) for task in self.tasks)
        first = range(len(self.tasks)) if lane == "keras" else self._first_alike
        made = {number: self._make_program(self.tasks[number], lane) for number in set(first)}
        self.programs = [made[number] for number in first]
        size = self._group_size() if lane == "vectorized" else 1
        self._groups = [
            self._make_group(split, start, size)
            for split in range(len(self.tasks))
            for start in range(0, n_candidates, size)
        ]

    def _make_program(self, task: SplitTask, lane: str) -> Program | KerasLoop:
        if lane == "keras":
            return KerasLoop(task, self.from_logits)
        vectorized = lane == "vectorized"
        n_candidates = len(self.learning_rates)
        jit = (1 if vectorized else n_candidates) * self._n_steps >= MIN_STEPS_TO_COMPILE
        return program_for(
            task.model,
            self.from_logits,
            jit=jit and suits_xla(task.model, task.batch_size, vectorized),
            vectorized=vectorized,
            is_weighted=self.may_pad or any(task.is_weighted for task in self.tasks),
            unrolls=vectorized
            and has_loops(task.model)
            and n_candidates * self._n_steps >= MIN_STEPS_TO_UNROLL
            and n_time_steps(task.model) <= MAX_TIME_STEPS,
        )

    def _group_size(self) -> int:
        size = len(self.learning_rates)
        program, model = self.programs[0], self.tasks[0].model
        assert isinstance(program, Program)
        member_bytes = program.member_bytes(model)
        n_threads = 1
        if program.jit:
            size, n_threads = _group_size(size, member_bytes), self.n_threads
        within = self.max_memory / (n_threads * TRAINING_BYTES_PER_STATE * member_bytes)
        return int(max(min(size, within), 2 if has_loops(model) else 1))

    @property
    def uses_xla(self) -> bool:
        """Tell whether XLA compiles training."""
        return self.programs[0].uses_xla

    @property
    def _compiled_for(self) -> float:
        """Seconds in which something was compiled so far, tracing included."""
        return sum(program.seconds_compiling for program in set(self.programs))

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

    def _make_group(self, split: int, start: int, size: int) -> Group:
        n_candidates = len(self.learning_rates)
        members = np.minimum(np.arange(start, start + size), n_candidates - 1)
        candidates = members[: n_candidates - start]
        return Group(
            split=split,
            candidates=candidates,
            rates=self.learning_rates[members].astype(np.float32),
            schedules=[self.schedules[candidate] for candidate in members],
            watches=[Watch(stops) for _ in candidates if (stops := self.tasks[split].stops)],
        )

    @property
    def n_groups(self) -> int:
        """How many groups train."""
        return len(self._groups)

    def train(self, n_epochs: int, step: Step = ignore) -> np.ndarray:
        """Train every member for `n_epochs` more and score it after each.

        Parameters
        ----------
        n_epochs : int
            How long, in epochs.
        step : callable
            Called by any thread after every epoch of a group, with what it showed.

        Returns
        -------
        losses : ndarray of shape (2 + n_metrics, n_candidates, n_splits, n_epochs)
            Held-out log-loss, and the same with the mean over all classes in place of each
            row's class, in nats, then scores; NaN from where a member diverged, and where a
            split holds out no rows.
        """
        epochs = range(self.n_epochs, self.n_epochs + n_epochs)
        while True:
            try:
                losses = self._train_groups(epochs, step)
                break
            except NotVectorizableError as error:
                if not self._lanes or self.n_epochs:
                    raise
                self._open_next_lane(str(error))
        self.n_epochs += n_epochs
        return losses

    def _train_groups(self, epochs: range, step: Step) -> np.ndarray:
        start, compiled = perf_counter(), self._compiled_for
        shape = (self._n_scores, len(self.learning_rates), len(self.tasks), len(epochs))
        losses = np.full(shape, np.nan)
        if self.elsewhere is not None:
            self._train_elsewhere(self.elsewhere, losses, step)
            self._seconds += perf_counter() - start
            return losses
        self._is_halted.clear()
        at_a_time = self.programs[0].jit or self.lane == "compiled"
        n_threads = min(self.n_threads, max(1, len(self._groups))) if at_a_time else 1
        try:
            with (
                ThreadPoolExecutor(n_threads) as threads,
                ThreadPoolExecutor(1) as beside,
            ):
                first = self.programs[0]
                if isinstance(first, Program) and first.jit and not self.n_epochs:
                    beside.submit(self._compile_beside, first)
                trained = threads.map(
                    lambda group: self._train_group(group, epochs, step), self._groups
                )
                try:
                    for group, group_losses in zip(self._groups, trained, strict=True):
                        losses[:, group.candidates, group.split] = group_losses
                except BaseException:
                    self._is_halted.set()  # every thread ends after the epoch it is in
                    raise
        finally:
            self._seconds += perf_counter() - start
            self._seconds_compiling += self._compiled_for - compiled
        return losses

    def _train_elsewhere(self, elsewhere: Elsewhere, losses: np.ndarray, step: Step) -> None:
        """Train groups in other processes, and write their losses into `losses`."""
        compiling = 0.0
        with ThreadPoolExecutor(1) as beside:
            first = self.programs[0]
            if isinstance(first, Program) and first.jit and first.is_fresh:
                beside.submit(self._compile_refit, first)
            for positions, trained, of_groups in elsewhere(self.snapshot(), losses.shape[-1]):
                compiling = max(compiling, trained.seconds[1])
                after = self._groups_of(trained)
                for position, group, seen in zip(positions, after, of_groups, strict=True):
                    self._groups[position] = group
                    losses[:, group.candidates, group.split] = seen
                    for column in range(losses.shape[-1]):
                        epoch = self.n_epochs + column
                        step(Seen(seen[:, :, column], group.candidates, group.split, epoch))
        self._seconds_compiling += compiling

    def snapshot(self) -> Snapshot:
        """Return all that training has changed so far."""
        return Snapshot(
            self.lane,
            self.lane_reason,
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
        """Go on from a snapshot of a population like this one, or of some of its groups."""
        if snapshot.lane != self.lane:
            self._make_groups(snapshot.lane)
        self._lanes = []
        self.lane, self.lane_reason = snapshot.lane, snapshot.lane_reason
        self.n_epochs = snapshot.n_epochs
        self._groups = self._groups_of(snapshot)
        self._closed_member_epochs = snapshot.closed_member_epochs
        self._seconds, self._seconds_compiling, *closed = snapshot.seconds
        self._closed_training, self._closed_scoring = closed

    def _groups_of(self, snapshot: Snapshot) -> list[Group]:
        return [
            group.group(list(self.schedules), self.tasks[group.split].stops)
            for group in snapshot.groups
        ]

    def _compile_beside(self, program: Program) -> None:
        """Compile scoring, and training of a single member, while the first groups compile.

        A program is compiled when it is first run, be it for no step at all.
        """
        if not program.is_fresh:
            return
        task, size = self.tasks[0], len(self._groups[0].rates)
        if len(task.test):
            x, code, weight, _ = Scorer(program, task, 0, None).blocks[0]
            program.score(program.initial_state(task.model, size), x, code, weight, 0)
        self._compile_refit(program)

    def _compile_refit(self, program: Program) -> None:
        """Compile training of a single member."""
        task = self.tasks[0]
        if self._steps_later >= MIN_STEPS_TO_COMPILE and len(self._groups[0].rates) > 1:
            block = next(self._blocks(task, np.arange(len(task.train))))
            program.train(
                program.initial_state(task.model, 1),
                np.ones((len(block.rows), 1), np.float32),
                take(task.x, block.rows),
                np.take(task.y, block.rows, axis=0),
                block.weight,
                block.n_rows,
                0,
            )

    @property
    def _n_scores(self) -> int:
        return 2 + (len(self.metrics.names) if self.metrics else 0)

    @property
    def trajectories(self) -> np.ndarray:
        """Learning rates of each epoch, without schedule: (n_candidates, n_splits, budget).

        Of epochs that were not trained, the last one before.
        """
        rates = np.full((len(self.learning_rates), len(self.tasks), self.budget), np.nan)
        for group in self._groups:
            n_members = len(group.candidates)
            mine = np.stack(group.trajectory[: self.n_epochs], axis=1)[:n_members]
            missing = [(0, 0), (0, self.budget - mine.shape[1])]
            rates[group.candidates, group.split] = np.pad(mine, missing, mode="edge")
        return rates

    def _train_group(self, group: Group, epochs: range, step: Step) -> np.ndarray:
        task = self.tasks[group.split]
        n_members = len(group.candidates)
        if group.state is None:
            program = self.programs[group.split]
            group.state = program.initial_state(task.model, len(group.rates))
        scorer = self._scorer(group.split)
        losses = np.full((self._n_scores, n_members, len(epochs)), np.nan)
        for column, epoch in enumerate(epochs):
            if self._is_halted.is_set():
                break
            if group.is_over:
                group.trajectory.append(group.rates)
                group.train_losses.append(group.train_losses[-1])
            else:
                scores = self._train_and_score(group, task, scorer, epoch)
                losses[:, :, column] = scores[:, :n_members]
            for member, watch in enumerate(group.watches):
                train_loss = group.train_losses[-1][member]
                losses[:, member, column] = watch.see(train_loss, losses[:, member, column])
            step(Seen(losses[:, :, column].copy(), group.candidates, group.split, epoch))
        if not self.keeps_states:
            group.state = None
        return losses

    def _scorer(self, split: int) -> Scorer:
        if split not in self._scorers:
            program, task = self.programs[split], self.tasks[split]
            self._scorers[split] = Scorer(program, task, split, self.metrics)
        return self._scorers[split]

    def _train_and_score(
        self, group: Group, task: SplitTask, scorer: Scorer, epoch: int
    ) -> np.ndarray:
        """Train a group for an epoch; return scores (n_scores, n_members)."""
        assert group.state is not None
        before = group.state.members.weights
        group.trajectory.append(group.rates)
        group.state, seconds = self._timed(self._train_epoch, group, task, epoch)
        group.epochs_trained += 1
        if self.adapts_rates:
            towards = -ADAPTATION * scorer.alignment(group.state, before)
            group.rates = (group.rates * np.exp(towards)).astype(np.float32)
        group.seconds_training += seconds
        is_finite = np.asarray(group.state.is_finite)
        loss_sum = np.asarray(group.state.loss_sum)
        group.train_losses.append(np.where(is_finite, loss_sum / len(task.train), np.nan))
        held_out, seconds = self._timed(scorer, group.state)
        group.seconds_scoring += seconds
        return np.where(is_finite, held_out, np.nan)

    def _timed(self, function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
        """Call a function; return its result and its seconds, compiling left out."""
        start, compiled = perf_counter(), self._compiled_for
        result = function(*arguments)
        seconds = perf_counter() - start - (self._compiled_for - compiled)
        return result, max(0.0, seconds)

    def _train_epoch(self, group: Group, task: SplitTask, epoch: int) -> GroupState:
        assert group.state is not None
        order = shuffled(len(task.train), (task.seed, epoch), self.shuffle)
        state = group.state._replace(loss_sum=np.zeros(len(group.rates), np.float32))
        step = epoch * task.steps_per_epoch
        for block in self._blocks(task, order):
            state = self.programs[group.split].train(
                state,
                self._rates(group, task, step, len(block.rows)),
                take(task.x, block.rows),
                np.take(task.y, block.rows, axis=0),
                block.weight,
                block.n_rows,
                block.n_steps,
            )
            step += block.n_steps
        return state

    def _blocks(self, task: SplitTask, order: np.ndarray) -> Iterator[Block]:
        """Cut the training rows of a split, in this order, into blocks of batches."""
        return training_blocks(
            task.train[order],
            task.train_weight[order],
            task.batch_size,
            steps_per_block(task.x, task.batch_size),
            may_pad=self.may_pad,
        )

    def _rates(self, group: Group, task: SplitTask, first: int, n_steps: int) -> np.ndarray:
        """Return learning rates of shape (n_steps, n_members) from step `first` on."""
        total = self.budget * task.steps_per_epoch
        steps = np.minimum(np.arange(first, first + n_steps), total - 1)
        factors = [self._factors_of(schedule, total)[steps] for schedule in group.schedules]
        return group.rates * np.stack(factors, axis=1)

    def _factors_of(self, schedule: Schedule, n_steps: int) -> np.ndarray:
        key = schedule.name, n_steps
        if key not in self._factors:
            self._factors[key] = schedule.factors(n_steps)
        return self._factors[key]

    def keep(self, candidates: np.ndarray) -> None:
        """Go on with these candidates only, from where they are.

        They are put together in groups of the same size as before, so that nothing is
        compiled anew.

        Parameters
        ----------
        candidates : int ndarray of shape (n_kept,)
            In increasing order.
        """
        for groups in filter(None, self._by_split()):
            self._close(groups)
            size = len(groups[0].rates)
            kept = [
                (group, position)
                for group in groups
                for position, candidate in enumerate(group.candidates)
                if candidate in candidates
            ]
            self._groups += [
                regrouped(kept[start : start + size], size) for start in range(0, len(kept), size)
            ]

    def _by_split(self) -> list[list[Group]]:
        return [
            [group for group in self._groups if group.split == split]
            for split in range(len(self.tasks))
        ]

    def _close(self, groups: list[Group]) -> None:
        """Take groups out, but for the seconds they took."""
        self._groups = [group for group in self._groups if group not in groups]
        for group in groups:
            self._closed_training += group.seconds_training
            self._closed_scoring += group.seconds_scoring
            self._closed_member_epochs += group.member_epochs

    def trained_member(self, candidate: int, split: int) -> TrainedMember:
        """Return what training left of one member."""
        for group in self._groups:
            (position,) = np.nonzero(group.candidates == candidate)
            if group.split == split and position.size:
                return self._extract(group, int(position[0]))
        raise IndexError(f"There is no member ({candidate}, {split}).")

    def _extract(self, group: Group, position: int) -> TrainedMember:
        if group.state is None:
            raise RuntimeError("The population was not trained, or does not keep its states.")
        shared = group.state.shared
        member = self.programs[group.split].delivered(group.state, position)
        model = self.tasks[group.split].model
        buffers, seeds = split_buffers(model)
        values = {
            id(variable): value.numpy()
            for variable, value in [
                *zip(buffers, member.buffers, strict=True),
                *zip(seeds, shared.seeds, strict=True),
            ]
        }
        slots = [value.numpy() for value in member.slots]
        return TrainedMember(
            weights=[value.numpy() for value in member.weights],
            buffers=[values[id(v)] for v in model.non_trainable_variables],
            optimizer_variables=[shared.iteration.numpy(), group.rates[position], *slots],
            epoch_losses=np.array([losses[position] for losses in group.train_losses]),
            is_finite=bool(group.state.is_finite[position].numpy()),
        )


def _group_size(n_candidates: int, member_bytes: int) -> int:
    """Return how many members to train at once in a compiled program: groups of like size."""
    largest = max(MIN_GROUP_SIZE, GROUP_BYTES // member_bytes)
    n_groups = ceil(n_candidates / largest)
    if n_candidates > 2 * MIN_GROUP_SIZE:
        n_groups = max(2, n_groups)  # two keep two cores busy
    return ceil(n_candidates / n_groups)
