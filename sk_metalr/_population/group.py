"""A group: the members of a split that train together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from .._space import RATE, Schedule
from .program import GroupState
from .stopping import Watch


@dataclass(eq=False)
class Group:
    """Candidates of one split that train together, and their state so far.

    Attributes
    ----------
    split : int
        Number of the split.
    candidates : int ndarray of shape (n_candidates,)
        Their numbers; the group may hold more members than these, which only fill it up.
    values : dict of str to float32 ndarray of shape (n_members,)
        Member hyperparameters.
    schedules : list of Schedule
        One for each member.
    watches : list of Watch
        One for each candidate, or none where nothing stops training early.
    state : GroupState or None
        None before training, and once it is not needed any more.
    epochs_trained : int
        How many epochs were trained, by this group, not those it was put together from.
    train_losses, trajectory : list of ndarray of shape (n_members,)
        Mean training loss in nats, and learning rate, of each epoch.
    seconds_training, seconds_scoring : float
        What that took.
    """

    split: int
    candidates: np.ndarray
    values: dict[str, np.ndarray]
    schedules: list[Schedule]
    watches: list[Watch] = field(default_factory=list)
    state: GroupState | None = None
    epochs_trained: int = 0
    train_losses: list[np.ndarray] = field(default_factory=list)
    trajectory: list[np.ndarray] = field(default_factory=list)
    seconds_training: float = 0.0
    seconds_scoring: float = 0.0

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.schedules)

    @property
    def rates(self) -> np.ndarray:
        """Learning rates, without schedule: (n_members,)."""
        return self.values[RATE]

    @property
    def is_over(self) -> bool:
        """Tell whether every member has stopped early or diverged."""
        if self.state is None:
            return False
        is_over = ~np.asarray(self.state.is_finite)[: len(self.candidates)]
        if self.watches:
            is_over |= [watch.has_stopped for watch in self.watches]
        return bool(is_over.all())

    @property
    def member_epochs(self) -> int:
        """Epochs trained, of all members."""
        return self.epochs_trained * len(self.candidates)


def regrouped(kept: list[tuple[Group, int]], size: int) -> Group:
    """Put members of several groups of one split into a group, the last one repeated."""
    padded = kept + kept[-1:] * (size - len(kept))
    first = kept[0][0]
    # All groups of a split took the same steps, but for those that ended early.
    states = [group.state for group, _ in kept if group.state is not None]
    latest = max(states, key=lambda state: int(state.shared.iteration))

    def gathered(of_state: Callable[[Any], Any]) -> Any:
        """Take each member's row from what belongs to its group."""
        rows = [
            tf.nest.map_structure(lambda values, at=at: values[at], of_state(group.state))
            for group, at in padded
        ]
        return tf.nest.map_structure(lambda *values: tf.stack(values), *rows)

    return Group(
        split=first.split,
        candidates=np.array([group.candidates[at] for group, at in kept]),
        values={
            name: np.array([group.values[name][at] for group, at in padded])
            for name in first.values
        },
        schedules=[group.schedules[at] for group, at in padded],
        watches=[group.watches[at] for group, at in kept if group.watches],
        state=GroupState(
            members=gathered(lambda state: state.members),
            shared=latest.shared,
            loss_sum=gathered(lambda state: state.loss_sum),
            is_finite=gathered(lambda state: state.is_finite),
        ),
        trajectory=[
            np.array([group.trajectory[epoch][at] for group, at in padded])
            for epoch in range(len(first.trajectory))
        ],
        train_losses=[
            np.array([group.train_losses[epoch][at] for group, at in padded])
            for epoch in range(len(first.train_losses))
        ],
    )
