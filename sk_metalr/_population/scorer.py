"""Held-out losses and scores of a group."""

from typing import Any

import numpy as np
import tensorflow as tf

from .architecture import predicts_by_row
from .batches import score_blocks, take
from .keras_loop import KerasLoop
from .program import GroupState, Program
from .task import SplitTask

__all__ = ["Scorer"]


class Scorer:
    """Held-out losses and scores of the members of one split; its rows are cut only once."""

    def __init__(
        self, program: Program | KerasLoop, task: SplitTask, split: int, metrics: Any
    ) -> None:
        may_pad = predicts_by_row(task.model)
        self.program = program
        self.split = split
        self.metrics = metrics
        self.n_rows = len(task.test)
        self.total_weight = task.test_weight.sum() if len(task.test) else np.nan
        self.blocks = [
            (take(task.x, block.rows), task.code[block.rows], block.weight, block.n_steps)
            for block in score_blocks(task.test, task.test_weight, may_pad=may_pad)
        ]

    def __call__(self, state: GroupState) -> np.ndarray:
        total = np.zeros((len(state.is_finite), 2))
        for block in self.blocks:
            total += self.program.score(state, *block)
        losses = total.T / self.total_weight
        return np.vstack([losses, self._scores(state)]) if self.metrics else losses

    def alignment(self, state: GroupState, before: list[Any]) -> np.ndarray:
        """Return cosines (n_members,) on the first block of held-out rows, 0 where not finite."""
        x, code, weight, _ = self.blocks[0]
        x = tf.nest.map_structure(_rows_in_a_row, x)
        cosines = self.program.align(state, before, x, code.reshape(-1), weight.reshape(-1))
        return np.nan_to_num(cosines, posinf=0.0, neginf=0.0)

    def _scores(self, state: GroupState) -> np.ndarray:
        """Return scores of shape (n_metrics, n_members)."""
        parts = [
            self.program.predict(state, tf.nest.map_structure(_rows_in_a_row, x))
            for x, *_ in self.blocks
        ]
        probabilities = np.concatenate(parts, axis=1)[:, : self.n_rows]
        finite = np.isfinite(probabilities).all(axis=(1, 2))
        nothing = np.full(len(self.metrics.names), np.nan)
        scores = [
            self.metrics(self.split, member) if is_finite else nothing
            for member, is_finite in zip(probabilities, finite, strict=True)
        ]
        return np.array(scores).T


def _rows_in_a_row(batches: np.ndarray) -> np.ndarray:
    """Put batches of shape (n_steps, batch_size, ...) together."""
    return batches.reshape(-1, *batches.shape[2:])
