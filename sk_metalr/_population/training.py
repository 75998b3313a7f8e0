"""Training of a group, epoch by epoch."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Event
from time import perf_counter
from typing import Any

import numpy as np

from .._progress import Seen, Step
from .._recorded import Recorded
from .._space import RATE, rates_at
from .averaging import Averaging, averaged, may_be_averaged
from .batches import (
    rows_per_score_batch,
    shuffled,
    steps_per_block,
    take,
    training_blocks,
)
from .group import Group
from .held_out import kept_epochs
from .lanes import Lane, pays_to_compile, steps_later
from .program import GroupState, Program
from .scorer import Scorer
from .setups import Options, SplitSetup

ADAPTATION = 0.2
"""By how much of its logarithm a learning rate moves in an epoch, at most."""


class Trainer:
    """Trains and scores groups in a lane, with a setup for each split; threads may share it.

    Once it `is_halted`, it trains no more.
    """

    def __init__(
        self,
        setups: list[SplitSetup],
        lane: Lane,
        options: Options,
        is_halted: Event,
        data: Collection[str] = (),
    ) -> None:
        self.setups = setups
        self._names = [RATE, *data]
        self.lane = lane
        self.options = options
        self._is_halted = is_halted
        self._scorers: dict[int, Scorer] = {}
        self._score_rows = rows_per_score_batch(max(len(setup.test) for setup in setups))
        self._kept_epochs = kept_epochs(options.budget) if options.keeps_predictions else ()
        self._averaging = [
            Averaging(setup, options.budget)
            if options.averages and may_be_averaged(setup.model)
            else None
            for setup in setups
        ]

    def train(self, group: Group, epoch: int, step: Step) -> np.ndarray:
        """Train a group for an epoch; return what was recorded of it: (n_recorded, n_candidates).

        Epochs count from 0; after each, `step` is called with what it showed.
        """
        setup, n_candidates = self.setups[group.split], len(group.candidates)
        names = self.options.recorded
        losses = np.full((len(names), n_candidates), np.nan)
        if self._is_halted.is_set():
            return losses
        self._start(group)
        if group.is_over and not group.begun:
            group.trajectory.append(group.rates)
            group.train_losses.append(group.train_losses[-1])
            if epoch in self._kept_epochs:
                latest = group.kept[-1].copy() if group.kept else self._kept(group)
                group.kept.append(latest)
        else:
            losses[:-1] = self._train_and_score(group, setup, epoch)[:, :n_candidates]
            losses[-1] = epoch + 1
        for member, watch in enumerate(group.watches):
            train_loss = group.train_losses[-1][member]
            losses[:, member] = watch.see(train_loss, losses[:, member])
        if group.watches and self._kept_epochs:
            self._keep_ends(group, epoch)
        step(Seen(Recorded(names, losses.copy()), group.candidates, group.split, epoch))
        return losses

    def train_part(self, group: Group, share: float, step: Step) -> np.ndarray:
        """Train a group up to a share of the first epoch; return what was recorded of it then.

        That is of shape (n_recorded, n_candidates). Training goes on from there.
        """
        losses = np.full((len(self.options.recorded), len(group.candidates)), np.nan)
        if self._is_halted.is_set():
            return losses
        self._start(group)
        setup = self.setups[group.split]
        with self._timed(group, "training"):
            group.state = self._train_epoch(group, setup, 0, steps_of_part(setup, share))
        losses[:-1] = self._scored(group)[:, : len(group.candidates)]
        step(None)
        return losses

    def _start(self, group: Group) -> None:
        if group.state is None:
            program, setup = self.lane.programs[group.split], self.setups[group.split]
            group.state = program.initial_state(setup.model, len(group))

    def _scorer(self, split: int) -> Scorer:
        if split not in self._scorers:
            program, setup = self.lane.programs[split], self.setups[split]
            n_splits = len(self.setups) if self.options.keeps_predictions else 0
            self._scorers[split] = Scorer(
                program, setup, split, self.options.metrics, self._score_rows, n_splits
            )
        return self._scorers[split]

    def _train_and_score(self, group: Group, setup: SplitSetup, epoch: int) -> np.ndarray:
        """Train a group for an epoch; return what is recorded of it: (n_recorded, n_members)."""
        assert group.state is not None
        scorer, before = self._scorer(group.split), group.state.members.weights
        group.trajectory.append(group.rates)
        with self._timed(group, "training"):
            group.state = self._train_epoch(group, setup, epoch)
        if self.options.adapts_rates:
            towards = -ADAPTATION * scorer.alignment(group.state, before)
            rates = (group.rates * np.exp(towards)).astype(np.float32)
            group.values = group.values | {RATE: rates}
        is_finite = np.asarray(group.state.is_finite)
        loss_sum = np.asarray(group.state.loss_sum)
        group.train_losses.append(np.where(is_finite, loss_sum / len(setup.train), np.nan))
        scored = self._scored(group)
        if epoch in self._kept_epochs:
            with self._timed(group, "scoring"):
                group.kept.append(self._kept(group))
        return scored

    def _scored(self, group: Group) -> np.ndarray:
        """Return what is recorded of a group as it is now: (n_recorded, n_members)."""
        assert group.state is not None
        with self._timed(group, "scoring"):
            held_out = list(self._scorer(group.split)(_views(group)))
        if self.options.averages and len(held_out) == 1:  # there are none of this model
            held_out *= 2
        return np.where(np.asarray(group.state.is_finite), np.vstack(held_out), np.nan)

    def _keep_ends(self, group: Group, epoch: int) -> None:
        """Keep predictions of the models that members end with, in place of those after this epoch
        where they have stopped.
        """
        is_end = np.array([watch.end == epoch for watch in group.watches])
        if is_end.any():
            now = self._kept(group)
            if group.ends is None:
                group.ends = np.full_like(now, np.nan)
            at = np.flatnonzero(is_end)
            group.ends[:, at] = now[:, at]
        if epoch in self._kept_epochs and group.ends is not None:
            at = np.flatnonzero([watch.has_stopped for watch in group.watches])
            group.kept[-1][:, at] = group.ends[:, at]

    def _kept(self, group: Group) -> np.ndarray:
        """Return predictions to keep (n_views, n_members, n_rows, n)."""
        kept = [self._scorer(group.split).kept(view) for view in _views(group)]
        if self.options.averages and len(kept) == 1:
            kept *= 2
        return np.stack(kept)

    @contextmanager
    def _timed(self, group: Group, work: str) -> Iterator[None]:
        """Add the seconds that some work takes, compiling left out, to the cost of a group."""
        start, compiled = perf_counter(), self.lane.seconds_compiling
        yield
        seconds = perf_counter() - start - (self.lane.seconds_compiling - compiled)
        group.cost[work] += max(0.0, seconds)

    def _train_epoch(
        self, group: Group, setup: SplitSetup, epoch: int, until: int | None = None
    ) -> GroupState:
        """Train a group to the end of an epoch, or up to its step `until`."""
        assert group.state is not None
        n_steps = setup.steps_per_epoch
        until = n_steps if until is None else max(until, group.begun)
        order = shuffled(len(setup.train), (setup.seed, epoch), self.options.shuffle)
        order = order[group.begun * setup.batch_size : until * setup.batch_size]
        state = group.state
        if not group.begun:
            state = state._replace(loss_sum=np.zeros(len(group), np.float32))
        total, first = self.options.budget * n_steps, epoch * n_steps
        step = first + group.begun
        group.cost["member_epochs"] += len(group.candidates) * ((until - group.begun) / n_steps)
        group.begun = until % n_steps
        averaging = self._averaging[group.split]
        for x, y, weight, n_rows, n_used in self._batches(setup, order):
            steps = np.arange(step, step + len(weight))
            values = {name: np.tile(one, (len(steps), 1)) for name, one in group.values.items()}
            values[RATE] = rates_at(steps, total, group.rates, group.schedules)
            program = self.lane.programs[group.split]
            state = program.train(state, values, x, y, weight, n_rows, n_used)
            step += n_used
            if averaging is not None and averaging.is_due(step - first):
                jit = program.jit and program.uses_xla  # XLA may have failed on this machine
                group.averages = averaged(group.averages, state.members, averaging.decay, jit)
        return state

    def _batches(self, setup: SplitSetup, order: np.ndarray) -> Iterator[tuple[Any, ...]]:
        """Yield the training rows of a split, in this order, as programs take blocks of batches."""
        rows, weight, size = setup.train[order], setup.train_weight[order], setup.batch_size
        n_steps = steps_per_block(setup.x, size)
        for block in training_blocks(rows, weight, size, n_steps, may_pad=self.lane.may_pad):
            x, y = take(setup.x, block.rows), np.take(setup.y, block.rows, axis=0)
            yield x, y, block.weight, block.n_rows, block.n_steps

    def compile_beside(self, group_size: int, with_scoring: bool) -> None:
        """Compile scoring, and training of a single member, while the first groups compile.

        A program is compiled when it is first run, be it for no step at all.
        """
        program, setup = self.lane.programs[0], self.setups[0]
        if not (isinstance(program, Program) and program.jit and program.is_fresh):
            return
        if with_scoring and len(setup.test):
            x, target, weight, _ = Scorer(program, setup, 0, None, self._score_rows).blocks[0]
            state = program.initial_state(setup.model, group_size)
            program.score([state] * (2 if self._averaging[0] else 1), x, target, weight, 0)
        if pays_to_compile(steps_later(setup, self.options)) and group_size > 1:
            x, y, weight, n_rows, _ = next(self._batches(setup, np.arange(len(setup.train))))
            values = {name: np.ones((len(weight), 1), np.float32) for name in self._names}
            state = program.initial_state(setup.model, 1)
            program.train(state, values, x, y, weight, n_rows, 0)


def steps_of_part(setup: SplitSetup, share: float) -> int:
    """Return the steps of a share of an epoch, in whole blocks: one at least, but never all."""
    stride, n_steps = steps_per_block(setup.x, setup.batch_size), setup.steps_per_epoch
    return min(max(1, round(share * n_steps / stride)), (n_steps - 1) // stride) * stride


def _views(group: Group) -> list[GroupState]:
    """Return the state of a group with its weights and, if there are some, with their averages."""
    assert group.state is not None
    if group.averages is None:
        return [group.state]
    members = group.averages.of(group.state.members)
    return [group.state, group.state._replace(members=members)]
