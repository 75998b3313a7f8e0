"""Display of the learning curves of all candidates."""

from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from .._space import RATE
from . import drawing


@dataclass(kw_only=True, eq=False, repr=False)
class LearningCurvesDisplay:
    """Learning curves of all candidates: held-out loss against epochs.

    Each line is a candidate. Its colour shows the learning rate; its style the listed values that
    were searched, such as optimizer and schedule. These are losses as measured: before calibration,
    and of the weights, not of their averages. The chosen number of epochs therefore need not be at
    the lowest point of its curve. Create one with :meth:`from_estimator`.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n_epochs)
        Held-out loss, averaged over splits; NaN once a candidate diverged or was
        left behind.
    learning_rates : ndarray of shape (n_candidates,)
        Learning rate of each candidate.
    best_index, best_n_epochs : int
        Index of the chosen candidate, and the number of epochs chosen for it.
    baseline_loss : float
        Loss of the best constant prediction, such as that of the class frequencies.
    labels : list of str or None, default=None
        Listed values of each candidate, such as optimizer and schedule; None if all have the same.
    diverged : bool ndarray of shape (n_candidates,) or None, default=None
        Whether each candidate diverged; None if none did. Other curves that end early belong to
        candidates that the search left behind.
    left_early : bool ndarray of shape (n_candidates,) or None, default=None
        Whether each was left behind during the first epoch; None if none was.
    loss_label : str
        What the losses are called.

    Attributes
    ----------
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes it was drawn on, and their figure.
    """

    losses: np.ndarray
    learning_rates: np.ndarray
    best_index: int
    best_n_epochs: int
    baseline_loss: float
    labels: list[str] | None = None
    diverged: np.ndarray | None = None
    left_early: np.ndarray | None = None
    loss_label: str = "log-loss (nats)"

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> "LearningCurvesDisplay":
        """Draw the learning curves of a fitted classifier.

        Parameters
        ----------
        estimator : MetaLRClassifier, sklearn.pipeline.Pipeline or another meta-estimator
            Fitted; a Pipeline or a search must end in a MetaLRClassifier or a MetaLRRegressor.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.

        Returns
        -------
        display : LearningCurvesDisplay
            The display, drawn.
        """
        fitted = drawing.fitted_classifier(estimator, cls.__name__)
        display = cls(
            losses=fitted.learning_curves_.mean(axis=1),
            learning_rates=fitted.cv_results_[f"param_{RATE}"].data,
            best_index=fitted.best_index_,
            best_n_epochs=fitted.best_n_epochs_,
            baseline_loss=fitted.baseline_loss_,
            labels=drawing.labels_of(fitted.cv_results_),
            diverged=fitted.cv_results_["diverged"],
            left_early=fitted.cv_results_["n_resources"] == 0,
            loss_label=fitted._seen_task.loss_label,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> "LearningCurvesDisplay":
        """Draw the learning curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.

        Returns
        -------
        self : LearningCurvesDisplay
            The display, drawn.
        """
        self.ax_ = drawing.new_axes(ax)
        self.figure_ = self.ax_.figure
        bottom, top = drawing.loss_limits(float(np.nanmin(self.losses)), self.baseline_loss)
        labels = self.labels or [""] * len(self.losses)
        lines = dict(zip(dict.fromkeys(labels), cycle(drawing.LINES), strict=False))
        scale, epochs = self._colour_scale(), np.arange(1, self.losses.shape[1] + 1)
        single = "." if len(epochs) == 1 else None  # a line of one point shows nothing
        for rate, curve, label in zip(self.learning_rates, self.losses, labels, strict=True):
            style = {"color": scale.to_rgba(rate), "linewidth": 1}
            self.ax_.plot(epochs, curve, linestyle=lines[label], marker=single, **style)
        best = labels[self.best_index]
        family = f" with {drawing.plain(best)}" if len(lines) > 1 else ""
        self._draw_best(epochs, family, lines[best])
        self._mark_ends(scale, top)
        self.ax_.set(xlim=(0.5, 1.5) if single else None, ylim=(bottom, top))
        self.ax_.set(xlabel="epochs", ylabel=f"held-out {self.loss_label}")
        ticker = drawing.import_optional("matplotlib.ticker")
        whole = ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
        self.ax_.xaxis.set_major_locator(whole)
        if len(lines) > 1:
            for label, line in lines.items():
                self.ax_.plot([], [], color="0.4", linestyle=line, label=drawing.plain(label))
        outside = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "ncols": 2}
        self.ax_.legend(fontsize="small", **(outside if len(lines) > drawing.MANY_CURVES else {}))
        self.figure_.colorbar(scale, ax=self.ax_, label="learning rate")
        return self

    def _colour_scale(self) -> Any:
        """Return the scale of colours that shows learning rates."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LogNorm

        low, high = self.learning_rates.min(), self.learning_rates.max()
        return ScalarMappable(LogNorm(low, max(high, low * 1.001)), "viridis")

    def _draw_best(self, epochs: np.ndarray, family: str, line: Any) -> None:
        """Draw the chosen candidate on top of the others."""
        label = f"chosen: {self.learning_rates[self.best_index]:.2g}{family}"
        best, at = self.losses[self.best_index], self.best_n_epochs
        self.ax_.plot(epochs, best, color="black", linestyle=line, linewidth=2.2, label=label)
        length = "1 epoch" if at == 1 else f"{at} epochs"
        self.ax_.plot(at, best[at - 1], "o", color="black", label=length)

    def _mark_ends(self, scale: Any, top: float) -> None:
        """Mark where candidates diverged or were left behind."""
        n_seen = int(np.isfinite(self.losses).any(axis=0).sum())
        diverged = np.zeros(len(self.losses), bool) if self.diverged is None else self.diverged
        labels = {"^": "diverged", "x": "left behind"}
        left = np.zeros(len(self.losses), bool) if self.left_early is None else self.left_early
        rows = zip(self.learning_rates, self.losses, diverged, left, strict=True)
        for rate, curve, has_diverged, has_left in rows:
            n_trained = int(np.isfinite(curve).sum())
            if n_trained == n_seen and not (has_diverged or has_left):
                continue
            at = max(1, n_trained)
            loss = min(curve[at - 1] if n_trained else np.inf, drawing.EDGE * top)
            marker = "^" if has_diverged else "x"
            style = {"color": scale.to_rgba(rate), "linestyle": ""}
            self.ax_.plot(at, loss, marker, label=labels.pop(marker, None), **style)
