"""A population as plain arrays: to be sent to another process, or written to disk.

A snapshot holds what training has changed, and nothing of data, models or programs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from .._space import Schedule
from .averaging import Averages
from .group import Group
from .member import MemberState, SharedState
from .program import GroupState
from .stopping import Watch


@dataclass(frozen=True)
class GroupSnapshot:
    """A :class:`.group.Group` as plain arrays.

    Attributes
    ----------
    split : int, the number of the split
    candidates : int ndarray of shape (n_candidates,)
        Their numbers; further members, which only fill the group up, are like the last.
    values : dict of str to float32 ndarray of shape (n_members,), member hyperparameters
    state : nested tuple of arrays or None, as in :class:`.program.GroupState`
    averages : tuple of arrays or None, as in :class:`.averaging.Averages`
    train_losses : ndarray of shape (n_epochs, n_members), in nats
    trajectory : ndarray of shape (n_epochs, n_members), learning rates
    kept : list of ndarray, as in the group
    ends : ndarray or None, as in the group
    seen : list of ndarray of shape (n_epochs, n_scores), what each watch has seen, if there are any
    cost : dict of str to float, as in the group
    """

    split: int
    candidates: np.ndarray
    values: dict[str, np.ndarray]
    state: tuple[Any, ...] | None
    averages: tuple[Any, ...] | None
    train_losses: np.ndarray
    trajectory: np.ndarray
    kept: list[np.ndarray]
    ends: np.ndarray | None
    seen: list[np.ndarray]
    cost: dict[str, float]

    @classmethod
    def of(cls, group: Group) -> "GroupSnapshot":
        """Return a snapshot of a group."""
        return cls(
            split=group.split,
            candidates=group.candidates,
            values=group.values,
            state=None if group.state is None else _plain(group.state),
            averages=group.averages and tuple(tf.nest.map_structure(np.asarray, group.averages)),
            train_losses=np.reshape(group.train_losses, (-1, len(group))),
            trajectory=np.reshape(group.trajectory, (-1, len(group))),
            kept=group.kept,
            ends=None if group.ends is None else group.ends.copy(),
            seen=[np.array(watch.seen) for watch in group.watches],
            cost=dict(group.cost),
        )

    def group(self, schedules: Sequence[Schedule], stops: Sequence[Any]) -> Group:
        """Return a group that goes on from here, given schedules of all candidates and `stops`."""
        watches = [Watch(stops) for _ in self.seen]
        for member, watch in enumerate(watches):
            for loss, scores in zip(self.train_losses[:, member], self.seen[member], strict=False):
                watch.see(loss, scores)
        filling = self.train_losses.shape[1] - len(self.candidates)
        members = np.pad(self.candidates, (0, filling), mode="edge")
        return Group(
            split=self.split,
            candidates=self.candidates,
            values=self.values,
            schedules=[schedules[candidate] for candidate in members],
            watches=watches,
            state=None if self.state is None else _state(self.state),
            averages=None if self.averages is None else _averages(self.averages),
            train_losses=list(self.train_losses),
            trajectory=list(self.trajectory),
            kept=list(self.kept),
            ends=None if self.ends is None else self.ends.copy(),
            cost=Counter(self.cost),
        )


@dataclass(frozen=True)
class Snapshot:
    """A block as plain arrays: all of its groups, or some of them.

    `lane_reason` tells why members are not trained in a quicker lane, and `cost` what the block
    has cost beside its groups; see :class:`.Block`.
    """

    lane: str
    lane_reason: str
    n_epochs: int
    groups: list[GroupSnapshot]
    cost: dict[str, float]


def _plain(state: GroupState) -> tuple[Any, ...]:
    """Return a state as tuples of lists of arrays."""
    members, shared, loss_sum, is_finite = tf.nest.map_structure(np.asarray, state)
    return tuple(members), tuple(shared), loss_sum, is_finite


def _state(plain: tuple[Any, ...]) -> GroupState:
    members, shared, loss_sum, is_finite = tf.nest.map_structure(tf.constant, plain)
    return GroupState(MemberState(*members), SharedState(*shared), loss_sum, is_finite)


def _averages(plain: tuple[Any, ...]) -> Averages:
    return Averages(*tf.nest.map_structure(tf.constant, plain))
