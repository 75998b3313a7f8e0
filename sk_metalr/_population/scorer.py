"""Held-out losses and scores of a group."""

from typing import Any

import numpy as np
import tensorflow as tf

from .architecture import predicts_by_row
from .batches import score_blocks, take
from .keras_loop import KerasLoop
from .program import GroupState, Program
from .setups import SplitSetup


class Scorer:
    """Scores the members of one split; its held-out rows are cut into batches only once.

    Parameters
    ----------
    program : Program or KerasLoop
        What the members are trained by.
    setup : SplitSetup
        The split.
    split : int
        Its number.
    metrics : callable or None
        See :class:`.Options`.
    """

    def __init__(
        self, program: Program | KerasLoop, setup: SplitSetup, split: int, metrics: Any
    ) -> None:
        may_pad = predicts_by_row(setup.model)
        self.program = program
        self.split = split
        self.metrics = metrics
        self.n_rows = len(setup.test)
        self.total_weight = setup.test_weight.sum() if len(setup.test) else np.nan
        self.blocks = [
            (take(setup.x, block.rows), setup.target[block.rows], block.weight, block.n_steps)
            for block in score_blocks(setup.test, setup.test_weight, may_pad=may_pad)
        ]

    def __call__(self, state: GroupState) -> np.ndarray:
        """Return what is recorded of each member: (n_recorded, n_members)."""
        total = np.zeros((len(state.is_finite), len(self.program.task.recorded)))
        for block in self.blocks:
            total += self.program.score(state, *block)
        losses = total.T / self.total_weight
        return np.vstack([losses, self._scores(state)]) if self.metrics else losses

    def alignment(self, state: GroupState, before: list[Any]) -> np.ndarray:
        """Return cosines (n_members,) on the first block of held-out rows, 0 where not finite."""
        x, target, weight, _ = self.blocks[0]
        x = tf.nest.map_structure(_rows_in_a_row, x)
        cosines = self.program.align(state, before, x, target.reshape(-1), weight.reshape(-1))
        return np.nan_to_num(cosines, posinf=0.0, neginf=0.0)

    def _scores(self, state: GroupState) -> np.ndarray:
        """Return scores of shape (n_metrics, n_members)."""
        parts = [
            self.program.predict(state, tf.nest.map_structure(_rows_in_a_row, x))
            for x, *_ in self.blocks
        ]
        predictions = np.concatenate(parts, axis=1)[:, : self.n_rows]
        finite = np.isfinite(predictions).all(axis=(1, 2))
        nothing = np.full(len(self.metrics.names), np.nan)
        scores = [
            self.metrics(self.split, member) if is_finite else nothing
            for member, is_finite in zip(predictions, finite, strict=True)
        ]
        return np.array(scores).T


def _rows_in_a_row(batches: np.ndarray) -> np.ndarray:
    """Put batches of shape (n_steps, batch_size, ...) together."""
    return batches.reshape(-1, *batches.shape[2:])
