"""Held-out losses and scores of a group."""

from typing import Any

import numpy as np
import tensorflow as tf

from .batches import score_blocks, take
from .held_out import kept_rows
from .keras_loop import KerasLoop
from .program import GroupState, Program
from .setups import SplitSetup
from .suitability import predicts_by_row


class Scorer:
    """Scores the members of one split, whose held-out rows are cut into batches only once.

    The program is what trains the members; for `metrics` see :class:`.Options`. A batch holds at
    most `batch_size` rows, unless rows see each other. Where predictions are kept, `n_splits` share
    the rows of which they are.
    """

    def __init__(
        self,
        program: Program | KerasLoop,
        setup: SplitSetup,
        split: int,
        metrics: Any,
        batch_size: int,
        n_splits: int = 0,
    ) -> None:
        may_pad = predicts_by_row(setup.model)
        self.program = program
        self.split = split
        self.metrics = metrics
        self.n_rows = len(setup.test)
        self._kept_x = None
        if n_splits:
            width = program.task.width(setup.target)
            rows = kept_rows(len(setup.test), n_splits, width)
            self._kept_x = take(setup.x, setup.test[rows])
        self.total_weight = setup.test_weight.sum() if len(setup.test) else np.nan
        self.blocks = [
            (take(setup.x, block.rows), setup.target[block.rows], block.weight, block.n_steps)
            for block in score_blocks(
                setup.test, setup.test_weight, batch_size if may_pad else None
            )
        ]

    def __call__(self, views: list[GroupState]) -> np.ndarray:
        """Return what is recorded of each member in some views of a group.

        It is of shape (n_views, n_recorded, n_members).
        """
        n_recorded, n_members = len(self.program.task.recorded), len(views[0].is_finite)
        total = np.zeros((len(views) * n_members, n_recorded))
        for block in self.blocks:
            total += self.program.score(views, *block)
        of_views = total.reshape(len(views), n_members, n_recorded)
        losses = np.swapaxes(of_views, 1, 2) / self.total_weight
        if not self.metrics:
            return losses
        return np.concatenate([losses, [self._scores(view) for view in views]], axis=1)

    def kept(self, state: GroupState) -> np.ndarray:
        """Return predictions to keep (n_members, n_kept_rows, n); see :meth:`.Task.kept`."""
        return self.program.task.kept(self.program.predict(state, self._kept_x))

    def alignment(self, state: GroupState, before: list[Any]) -> np.ndarray:
        """Return cosines (n_members,) on the first block of held-out rows, 0 where not finite."""
        x, target, weight = _in_a_row(self.blocks[0][:3])
        cosines = self.program.align(state, before, x, target, weight)
        return np.nan_to_num(cosines, posinf=0.0, neginf=0.0)

    def _scores(self, state: GroupState) -> np.ndarray:
        """Return scores of shape (n_metrics, n_members)."""
        parts = [self.program.predict(state, _in_a_row(x)) for x, *_ in self.blocks]
        predictions = np.concatenate(parts, axis=1)[:, : self.n_rows]
        scores = np.full((len(predictions), len(self.metrics.names)), np.nan)
        for member in np.flatnonzero(np.isfinite(predictions).all(axis=(1, 2))):
            scores[member] = self.metrics(self.split, predictions[member])
        return scores.T


def _in_a_row(arrays: Any) -> Any:
    """Put batches together, in every array of shape (n_steps, batch_size, ...)."""
    return tf.nest.map_structure(lambda batches: batches.reshape(-1, *batches.shape[2:]), arrays)
