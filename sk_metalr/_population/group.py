"""A group: the members of a split that train together."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from .._space import RATE, Schedule
from .averaging import Averages
from .held_out import HeldOut, kept_epochs, kept_rows
from .program import GroupState
from .setups import Options, SplitSetup
from .stopping import Watch


@dataclass(eq=False)
class Group:
    """Candidates of one split that train together, and their state so far.

    Attributes
    ----------
    split : int, the number of the split
    candidates : int ndarray of shape (n_candidates,)
        Their numbers; the group may hold more members than these, which only fill it up.
    values : dict of str to float32 ndarray of shape (n_members,), member hyperparameters
    schedules : list of Schedule, one for each member
    watches : list of Watch, one for each candidate, or none where nothing stops training early
    state : GroupState, or None before training and once it is not needed any more
    averages : Averages of the members, or None where there are none
    train_losses : list of ndarray of shape (n_members,), the mean loss of each epoch, in nats
    trajectory : list of ndarray of shape (n_members,), the learning rates of each epoch
    kept : list of float16 ndarray of shape (n_views, n_members, n_rows, n_classes)
        Predictions that are kept, by epoch; see :class:`.HeldOut`.
    begun : int, steps that were taken of an epoch that is not over
    ends : like those, or None
        Predictions of the model that each member has ended with, or would end with if it stopped.
    cost : Counter
        Seconds of ``training`` and ``scoring``, and ``member_epochs`` trained; not of the groups
        that it was put together from.
    """

    split: int
    candidates: np.ndarray
    values: dict[str, np.ndarray]
    schedules: list[Schedule]
    watches: list[Watch] = field(default_factory=list)
    state: GroupState | None = None
    averages: Averages | None = None
    train_losses: list[np.ndarray] = field(default_factory=list)
    trajectory: list[np.ndarray] = field(default_factory=list)
    kept: list[np.ndarray] = field(default_factory=list)
    begun: int = 0
    ends: np.ndarray | None = None
    cost: Any = field(default_factory=Counter)

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


def regrouped(kept: list[tuple[Group, int]], size: int) -> Group:
    """Put members of several groups of one split into a group, the last one repeated."""
    padded = kept + kept[-1:] * (size - len(kept))

    def gathered(of_group: Callable[[Any], Any], convert: Callable[[Any], Any]) -> Any:
        """Stack each member's row of what belongs to its group."""
        arrays = {
            id(group): tf.nest.map_structure(np.asarray, of_group(group)) for group, _ in kept
        }
        rows = [
            tf.nest.map_structure(lambda array, at=at: array[at], arrays[id(group)])
            for group, at in padded
        ]
        return tf.nest.map_structure(lambda *of_members: convert(np.stack(of_members)), *rows)

    # All groups of a split took the same steps, except those that ended early.
    states = [group.state for group, _ in kept if group.state is not None]
    latest = max(states, key=lambda state: int(state.shared.iteration))
    members, loss_sum, is_finite = gathered(
        lambda group: (group.state.members, group.state.loss_sum, group.state.is_finite),
        tf.constant,
    )
    averages = None
    if kept[0][0].averages is not None:
        averages = Averages(*gathered(lambda group: tuple(group.averages), tf.constant))
    values, train_losses, trajectory = gathered(
        lambda group: (group.values, group.train_losses, group.trajectory), np.asarray
    )
    ends = _kept([([] if group.ends is None else [group.ends], at) for group, at in padded])
    return Group(
        split=kept[0][0].split,
        candidates=np.array([group.candidates[at] for group, at in kept]),
        values=values,
        schedules=[group.schedules[at] for group, at in padded],
        watches=[group.watches[at] for group, at in kept if group.watches],
        state=GroupState(members, latest.shared, loss_sum, is_finite),
        averages=averages,
        train_losses=train_losses,
        kept=_kept([(group.kept, at) for group, at in padded]),
        begun=kept[0][0].begun,
        ends=ends[0] if ends else None,
        trajectory=trajectory,
    )


def _kept(members: list[tuple[list[np.ndarray], int]]) -> list[np.ndarray]:
    """Return the predictions of members at places of several groups; NaN where there are none."""
    known = max((kept for kept, _ in members), key=len)
    unknown = [np.full_like(one[:, 0], np.nan) for one in known]
    return [
        np.stack([kept[i][:, at] if kept else unknown[i] for kept, at in members], axis=1)
        for i in range(len(known))
    ]


def held_out_of(
    groups: list[Group], setups: list[SplitSetup], options: Options, n_candidates: int
) -> HeldOut | None:
    """Return the predictions that groups have kept, of all candidates; None if they kept none."""
    kept = max((group.kept for group in groups), key=len, default=[])
    if not kept:
        return None
    rows = [kept_rows(len(one.test), len(setups), options.task.width(one.target)) for one in setups]
    ends = np.cumsum([len(of_split) for of_split in rows])
    n_views, _, _, n_numbers = kept[0].shape
    shape = n_views, n_candidates, len(kept), ends[-1], n_numbers
    found = np.full(shape, np.nan, kept[0].dtype)
    for group in groups:
        n, end = len(group.candidates), ends[group.split]
        for epoch, of_epoch in enumerate(group.kept):
            mine = slice(end - of_epoch.shape[2], end)
            found[:, group.candidates, epoch, mine] = of_epoch[:, :n]
    pairs = list(zip(setups, rows, strict=True))
    return HeldOut(
        kept_epochs(options.budget)[: len(kept)],
        found,
        np.concatenate([setup.target[setup.test[at]] for setup, at in pairs]),
        np.concatenate([setup.test_weight[at] for setup, at in pairs]),
    )
