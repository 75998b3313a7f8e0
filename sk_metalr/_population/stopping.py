"""Early stopping of single members, by Keras's own rule."""

import copy
from collections.abc import Sequence
from types import SimpleNamespace

import keras
import numpy as np


class Watch:
    """Callbacks that watch over one member: copies of `stops`, on ``loss`` or ``val_loss``.

    Once a member has stopped, its scores stay those of the model that it ended with: of the last
    epoch, or of the best, where a callback restores its weights. `seen` are the scores, each of
    shape (n_scores,), of every epoch until then.
    """

    def __init__(self, stops: Sequence[keras.callbacks.EarlyStopping]) -> None:
        # Stands in for the model that the callbacks watch; it has no weights.
        self._model = SimpleNamespace(stop_training=False, get_weights=list)
        self._stops = [copy.copy(stop) for stop in stops]
        self.seen: list[np.ndarray] = []
        self._kept: np.ndarray | None = None
        self._end = -1
        for stop in self._stops:
            stop.verbose = 0  # members are many
            stop.set_model(self._model)
            stop.on_train_begin()

    @property
    def has_stopped(self) -> bool:
        """Tell whether training is over."""
        return self._kept is not None

    @property
    def end(self) -> int:
        """The epoch, from 0, of the model that a member has ended with, or that it would end with
        if a callback stopped it now and restored the best weights; -1 for none of the past.
        """
        if self.has_stopped or not self.seen:
            return self._end
        return self._restored(default=-1)

    def _restored(self, default: int) -> int:
        """Return the epoch whose weights are restored once training is over: that of the last
        callback which restores some, whichever has stopped it.
        """
        restoring = [s for s in self._stops if s.restore_best_weights]
        return next((s.best_epoch for s in restoring[::-1] if s.best_weights is not None), default)

    def see(self, train_loss: float, scores: np.ndarray) -> np.ndarray:
        """Look at an epoch, and return the scores of the model that there is after it.

        `train_loss` is its mean training loss. The first of `scores`, of shape (n_scores,), is the
        held-out log-loss. Both are in nats, and NaN once the member has diverged.
        """
        if self._kept is not None:
            return self._kept
        self.seen.append(scores)
        if not np.isfinite(scores[0]):
            return scores
        for stop in self._stops:
            stop.on_epoch_end(len(self.seen) - 1, {"loss": train_loss, "val_loss": scores[0]})
        if not self._model.stop_training:
            return scores
        self._end = self._restored(default=len(self.seen) - 1)
        self._kept = self.seen[self._end]
        return self._kept
