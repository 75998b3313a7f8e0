"""A population as plain arrays: to be sent to another process, or written to disk.

A snapshot holds what training has changed, and nothing of data, models or programs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from .group import Group
from .member import MemberState, SharedState
from .program import GroupState
from .stopping import Watch


@dataclass(frozen=True)
class GroupSnapshot:
    """A group as plain arrays.

    Attributes
    ----------
    split : int
        Number of the split.
    candidates : int ndarray of shape (n_candidates,)
        Their numbers; of further members, which only fill the group up, the last.
    values : dict of str to float32 ndarray of shape (n_members,)
        Member hyperparameters.
    state : dict of str to list of ndarray, or None
        Parts of a :class:`.program.GroupState` by name.
    epochs_trained : int
        See :class:`.group.Group`.
    train_losses, trajectory : ndarray of shape (n_epochs, n_members)
        See there.
    seen : list of ndarray of shape (n_epochs, n_scores)
        What each member's watch has seen; empty where there are none.
    seconds : list of float
        Seconds training and scoring.
    """

    split: int
    candidates: np.ndarray
    values: dict[str, np.ndarray]
    state: dict[str, list[np.ndarray]] | None
    epochs_trained: int
    train_losses: np.ndarray
    trajectory: np.ndarray
    seen: list[np.ndarray]
    seconds: list[float]

    @classmethod
    def of(cls, group: Group) -> "GroupSnapshot":
        """Return a snapshot of a group."""
        return cls(
            group.split,
            group.candidates,
            group.values,
            None if group.state is None else _arrays(group.state),
            group.epochs_trained,
            np.reshape(group.train_losses, (-1, len(group))),
            np.reshape(group.trajectory, (-1, len(group))),
            [np.array(watch.seen) for watch in group.watches],
            [group.seconds_training, group.seconds_scoring],
        )

    def group(self, schedules: list[Any], stops: Any) -> Group:
        """Return a group that goes on from here.

        Parameters
        ----------
        schedules : list of Schedule
            Of every candidate of the population.
        stops : sequence of keras.callbacks.EarlyStopping
            Of its split.
        """
        watches = [
            _watch(stops, self.train_losses[:, member], seen)
            for member, seen in enumerate(self.seen)
        ]
        filling = self.train_losses.shape[1] - len(self.candidates)
        members = np.pad(self.candidates, (0, filling), mode="edge")
        return Group(
            split=self.split,
            candidates=self.candidates,
            values=self.values,
            schedules=[schedules[candidate] for candidate in members],
            watches=watches,
            state=None if self.state is None else _state(self.state),
            epochs_trained=self.epochs_trained,
            train_losses=list(self.train_losses),
            trajectory=list(self.trajectory),
            seconds_training=self.seconds[0],
            seconds_scoring=self.seconds[1],
        )


@dataclass(frozen=True)
class Snapshot:
    """A population as plain arrays.

    Attributes
    ----------
    lane, lane_reason : str
        How members are trained, and why not in a quicker way.
    n_epochs : int
        Epochs trained so far.
    groups : list of GroupSnapshot
        All groups, or some of them.
    closed_member_epochs : int
        Member-epochs of groups that there were before.
    seconds : list of float
        Seconds in all, compiling, and training and scoring of groups that there were before.
    """

    lane: str
    lane_reason: str
    n_epochs: int
    groups: list[GroupSnapshot]
    closed_member_epochs: int
    seconds: list[float]


def _arrays(state: GroupState) -> dict[str, list[np.ndarray]]:
    """Return the arrays of a state, by the name of what they are."""
    parts = {
        **state.members._asdict(),
        "iteration": [state.shared.iteration],
        "seeds": state.shared.seeds,
        "flags": [state.loss_sum, state.is_finite],
    }
    return {name: [np.asarray(value) for value in values] for name, values in parts.items()}


def _state(arrays: dict[str, list[np.ndarray]]) -> GroupState:
    tensors = {name: [tf.constant(value) for value in values] for name, values in arrays.items()}
    loss_sum, is_finite = tensors["flags"]
    return GroupState(
        MemberState(tensors["weights"], tensors["non_trainable"], tensors["optimizer_variables"]),
        SharedState(tensors["iteration"][0], tensors["seeds"]),
        loss_sum,
        is_finite,
    )


def _watch(stops: Any, train_losses: np.ndarray, seen: np.ndarray) -> Watch:
    """Return a watch that has seen these epochs.

    Parameters
    ----------
    stops : sequence of keras.callbacks.EarlyStopping
        See :class:`.stopping.Watch`.
    train_losses : ndarray of shape (n_epochs,)
        Mean training losses, in nats.
    seen : ndarray of shape (n_seen, n_scores)
        Scores until the watch stopped its member.
    """
    watch = Watch(stops)
    for loss, scores in zip(train_losses, seen, strict=False):
        watch.see(loss, scores)
    return watch
