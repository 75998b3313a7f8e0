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
        for stop in self._stops:
            stop.verbose = 0  # members are many
            stop.set_model(self._model)
            stop.on_train_begin()

    @property
    def has_stopped(self) -> bool:
        """Tell whether training is over."""
        return self._kept is not None

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
            if self._model.stop_training:
                self._kept = self.seen[stop.best_epoch] if stop.restore_best_weights else scores
                return self._kept
        return scores
