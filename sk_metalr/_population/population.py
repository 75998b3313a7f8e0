"""All candidates × all splits, as one population of blocks."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import joblib
import numpy as np

from .._progress import Seen, Step, ignore
from .._recorded import Recorded
from .architecture import architecture_key
from .block import Block
from .held_out import HeldOut
from .snapshot import Snapshot


class Trained(NamedTuple):
    """The lane of a member, the reason for it, and whether XLA compiled its training."""

    lane: str
    reason: str
    uses_xla: bool


class Population:
    """Blocks, one for each static setting, on the same splits; candidates are numbered through."""

    def __init__(self, blocks: list[Block]) -> None:
        self.blocks = blocks
        self._starts = np.cumsum([0, *map(len, blocks[:-1])]).tolist()

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
        recorded = [
            block.train(n_epochs, partial(_numbered_through, step, start))
            for block, start in zip(self.blocks, self._starts, strict=True)
        ]
        return Recorded.concat(recorded, axis=0)

    def keep(self, candidates: np.ndarray) -> None:
        """Go on with these candidates only; see :meth:`.Block.keep`."""
        for block, start in zip(self.blocks, self._starts, strict=True):
            of_block = candidates - start
            block.keep(of_block[(of_block >= 0) & (of_block < len(block))])

    def held_out(self) -> HeldOut | None:
        """Return the predictions that were kept; see :meth:`.Block.held_out`."""
        parts = [block.held_out() for block in self.blocks]
        known = [part for part in parts if part is not None]
        return HeldOut.concat(known) if known and len(known) == len(parts) else None

    @property
    def origin(self) -> str:
        """A hash of the state that all members start from: numbers, structure, initial weights."""
        starts = [(block.values, block.setups[0].model) for block in self.blocks]
        return joblib.hash(
            [[one, architecture_key(model) or "", model.get_weights()] for one, model in starts]
        )

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
        return np.concatenate([block.trajectories for block in self.blocks])

    @property
    def trained(self) -> list[Trained]:
        """Lane and compilation of each candidate."""
        return [
            Trained(block.lane.name, block.lane.reason, block.uses_xla)
            for block in self.blocks
            for _ in block.schedules
        ]

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent by all blocks; see :attr:`.Block.seconds`."""
        seconds = [block.seconds for block in self.blocks]
        return {name: sum(one[name] for one in seconds) for name in seconds[0]}

    @property
    def member_epochs(self) -> int:
        """Epochs trained so far, of all members."""
        return sum(block.member_epochs for block in self.blocks)


def _numbered_through(step: Step, start: int, seen: Seen | None) -> None:
    """Take a step of a block whose first candidate has the number `start` among all."""
    step(seen and replace(seen, candidates=seen.candidates + start))
