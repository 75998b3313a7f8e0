"""Populations of several optimizers, as one."""

from dataclasses import replace

import joblib
import numpy as np

from .._progress import Seen, Step, ignore
from .architecture import architecture_key
from .snapshot import Snapshot
from .training import Population

__all__ = ["JoinedPopulation"]


class JoinedPopulation:
    """Candidates of one optimizer after those of another.

    Each optimizer has state and a step of its own, so each is a population of its own.

    Parameters
    ----------
    parts : list of Population
        On the same splits. Candidates are numbered through, in their order.
    """

    def __init__(self, parts: list[Population]) -> None:
        self.parts = parts

    @property
    def n_groups(self) -> int:
        """How many groups train."""
        return sum(part.n_groups for part in self.parts)

    def train(self, n_epochs: int, step: Step = ignore) -> np.ndarray:
        """Train every member further; see :meth:`Population.train`."""
        losses, start = [], 0
        for part in self.parts:
            losses.append(part.train(n_epochs, _numbered_through(step, start)))
            start += len(part.learning_rates)
        return np.concatenate(losses, axis=1)

    def keep(self, candidates: np.ndarray) -> None:
        """Go on with these candidates only; see :meth:`Population.keep`."""
        start = 0
        for part in self.parts:
            end = start + len(part.learning_rates)
            part.keep(candidates[(candidates >= start) & (candidates < end)] - start)
            start = end

    @property
    def origin(self) -> str:
        """What all members start from: rates, structure and initial weights, in a text."""
        starts = [(part.learning_rates, part.tasks[0].model) for part in self.parts]
        return joblib.hash(
            [[rates, architecture_key(model) or "", model.get_weights()] for rates, model in starts]
        )

    def snapshots(self) -> list[Snapshot]:
        """Return all that training has changed so far, for each optimizer."""
        return [part.snapshot() for part in self.parts]

    def restore(self, snapshots: list[Snapshot]) -> None:
        """Go on from snapshots of a population like this one."""
        for part, snapshot in zip(self.parts, snapshots, strict=True):
            part.restore(snapshot)

    @property
    def trajectories(self) -> np.ndarray:
        """Learning rates of each epoch; see :attr:`Population.trajectories`."""
        return np.concatenate([part.trajectories for part in self.parts])

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent by all parts; see :attr:`Population.seconds`."""
        seconds = [part.seconds for part in self.parts]
        return {name: sum(one[name] for one in seconds) for name in seconds[0]}

    @property
    def member_epochs(self) -> int:
        """Epochs trained so far, of all members."""
        return sum(part.member_epochs for part in self.parts)

    @property
    def uses_xla(self) -> list[bool]:
        """Tell for every part whether XLA compiles its training."""
        return [part.uses_xla for part in self.parts]

    @property
    def lanes(self) -> list[tuple[str, str]]:
        """The lane of every part, and its reason."""
        return [(part.lane, part.lane_reason) for part in self.parts]


def _numbered_through(step: Step, start: int) -> Step:
    """Return a Step of a part whose first candidate has the number `start` among all."""

    def of_part(seen: Seen | None) -> None:
        step(seen and replace(seen, candidates=seen.candidates + start))

    return of_part
