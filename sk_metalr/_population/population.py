"""All candidates × all splits, as one population of blocks."""

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import NamedTuple

import joblib
import numpy as np
from joblib import cpu_count

from .._persistence import identity
from .._progress import Seen, Step, ignore
from .._recorded import Recorded
from .architecture import architecture_key
from .block import Block
from .held_out import HeldOut
from .lanes import COMPILED_LANES
from .snapshot import Snapshot

TrainsBlock = Callable[[Block, Step], Recorded]


class Trained(NamedTuple):
    """The lane of a member, the reason for it, and whether XLA compiled its training."""

    lane: str
    reason: str
    uses_xla: bool


class Population:
    """Blocks, one for each static setting, on the same splits.

    `candidates` are the numbers of each block's candidates, (n_candidates,) in increasing order;
    without them, candidates are numbered through.
    """

    def __init__(self, blocks: list[Block], candidates: list[np.ndarray] | None = None) -> None:
        self.blocks = blocks
        ends = np.cumsum([len(block) for block in blocks])
        self._candidates = candidates or np.split(np.arange(ends[-1]), ends[:-1])
        self._order = np.concatenate(self._candidates).argsort()
        self._seconds = 0.0  # in which blocks were trained side by side
        self._seconds_of_blocks = 0.0  # by all of them together

    @property
    def n_groups(self) -> int:
        """Number of groups that train."""
        return sum(block.n_groups for block in self.blocks)

    @property
    def n_epochs(self) -> int:
        """Epochs trained so far."""
        return self.blocks[0].n_epochs

    def train(self, n_epochs: int, step: Step = ignore) -> Recorded:
        """Train every member further; see :meth:`.Block.train`."""
        return self._train(lambda block, of_block: block.train(n_epochs, of_block), step)

    def train_part(self, share: float, step: Step = ignore) -> Recorded:
        """Train every member for a part of the first epoch; see :meth:`.Block.train_part`."""
        return self._train(lambda block, of_block: block.train_part(share, of_block), step)

    def _train(self, train: TrainsBlock, step: Step) -> Recorded:
        """Train all blocks, those of compiled programs side by side."""
        is_compiled = all(block.lane.name in COMPILED_LANES for block in self.blocks)
        n_threads = min(cpu_count(), len(self.blocks)) if is_compiled else 1
        steps: list[Step] = [partial(_renumbered, step, numbers) for numbers in self._candidates]
        if n_threads == 1:
            recorded = [train(*pair) for pair in zip(self.blocks, steps, strict=True)]
        else:
            recorded = self._train_side_by_side(train, steps, n_threads)
        return Recorded.concat(recorded, axis=0).take(self._order, axis=0)

    def _train_side_by_side(
        self, train: TrainsBlock, steps: list[Step], n_threads: int
    ) -> list[Recorded]:
        start, before = perf_counter(), self._all_seconds()
        with ThreadPoolExecutor(n_threads) as threads:
            pairs = zip(self.blocks, steps, strict=True)
            trained = [threads.submit(train, *pair) for pair in pairs]
            try:
                for ended in wait(trained, return_when=FIRST_EXCEPTION).done:
                    ended.result()
                recorded = [of_block.result() for of_block in trained]
            except BaseException:  # the others end after the epoch they are in
                threads.shutdown(wait=False, cancel_futures=True)
                for block in self.blocks:
                    block.halt()
                raise
        self._seconds += perf_counter() - start
        self._seconds_of_blocks += self._all_seconds() - before
        return recorded

    def _all_seconds(self) -> float:
        return sum(sum(block.seconds.values()) for block in self.blocks)

    def keep(self, candidates: np.ndarray, until: int) -> None:
        """Go on with these candidates only, up to some epoch; see :meth:`.Block.keep`."""
        n_cores = cpu_count() // len(self.blocks)
        for block, numbers in zip(self.blocks, self._candidates, strict=True):
            block.keep(np.flatnonzero(np.isin(numbers, candidates)), until, n_cores)

    def held_out(self) -> HeldOut | None:
        """Return the predictions that were kept; see :meth:`.Block.held_out`."""
        parts = [block.held_out() for block in self.blocks]
        known = [part for part in parts if part is not None]
        if not known:
            return None
        every = [
            part or known[0].unknown(len(block))
            for part, block in zip(parts, self.blocks, strict=True)
        ]
        return HeldOut.concat(every).take(self._order)

    @property
    def origin(self) -> str:
        """A hash of the state that all members start from: numbers, structure, initial weights."""
        starts = [(block.values, block.setups[0].model) for block in self.blocks]
        keys = [architecture_key(model, number_of=identity) or "" for _, model in starts]
        weights = [model.get_weights() for _, model in starts]
        return joblib.hash([keys, [values for values, _ in starts], weights])

    def snapshots(self) -> list[Snapshot]:
        """Return all that training has changed so far, of each block."""
        return [block.snapshot() for block in self.blocks]

    def restore(self, snapshots: list[Snapshot]) -> None:
        """Go on from snapshots of a population like this one."""
        for block, snapshot in zip(self.blocks, snapshots, strict=True):
            block.restore(snapshot)

    @property
    def trajectories(self) -> np.ndarray:
        """Learning rates of each epoch; see :attr:`.Block.trajectories`."""
        return np.concatenate([block.trajectories for block in self.blocks])[self._order]

    @property
    def trained(self) -> list[Trained]:
        """Lane and compilation of each candidate."""
        of_blocks = [
            Trained(block.lane.name, block.lane.reason, block.uses_xla)
            for block in self.blocks
            for _ in block.schedules
        ]
        return [of_blocks[position] for position in self._order]

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent; see :attr:`.Block.seconds`. Blocks side by side share what passed."""
        seconds = [block.seconds for block in self.blocks]
        share = self._seconds / self._seconds_of_blocks if self._seconds_of_blocks else 1.0
        return {name: share * sum(one[name] for one in seconds) for name in seconds[0]}

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the shortest epoch; see :attr:`.Block.steps_per_epoch`."""
        return min(block.steps_per_epoch for block in self.blocks)

    @property
    def member_epochs(self) -> float:
        """Epochs trained so far, of all members."""
        return sum(block.member_epochs for block in self.blocks)


def _renumbered(step: Step, numbers: np.ndarray, seen: Seen | None) -> None:
    """Take a step of a block whose candidates have these numbers among all."""
    step(seen and replace(seen, candidates=numbers[seen.candidates]))
