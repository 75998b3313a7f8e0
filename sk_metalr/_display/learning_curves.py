"""The learning curves of all candidates, drawn."""

from typing import Any

import numpy as np

from .._space import RATE
from .curves import (
    EDGE,
    LINES,
    MANY_CURVES,
    fitted_classifier,
    labels_of,
    loss_limits,
    new_axes,
    plain,
)

__all__ = ["LearningCurvesDisplay"]


class LearningCurvesDisplay:
    """Learning curves of all candidates: held-out log-loss against epochs.

    Each line is a candidate, its colour the learning rate and its style the optimizer and
    schedule, where several were searched. Make one with :meth:`from_estimator`.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n_epochs)
        Held-out log-loss, mean over splits, in nats; NaN once diverged or left.
    learning_rates : ndarray of shape (n_candidates,)
        Of the candidates.
    best_index : int
        The chosen candidate.
    best_n_epochs : int
        Its number of epochs.
    baseline_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    labels : list of str or None, default=None
        Optimizer and schedule of each candidate; None where there is but one of each.
    diverged : bool ndarray of shape (n_candidates,) or None, default=None
        Which candidates diverged; the others whose curve ends early were left behind by the
        search. None: none did.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure that holds it.
    """

    def __init__(
        self,
        *,
        losses: np.ndarray,
        learning_rates: np.ndarray,
        best_index: int,
        best_n_epochs: int,
        baseline_loss: float,
        labels: list[str] | None = None,
        diverged: np.ndarray | None = None,
    ) -> None:
        self.losses = losses
        self.learning_rates = learning_rates
        self.best_index = best_index
        self.best_n_epochs = best_n_epochs
        self.baseline_loss = baseline_loss
        self.labels = labels
        self.diverged = diverged

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> "LearningCurvesDisplay":
        """Draw the learning curves of a fitted classifier.

        Parameters
        ----------
        estimator : MetaLRClassifier, sklearn.pipeline.Pipeline or another meta-estimator
            Fitted; a Pipeline or a search ends in a MetaLRClassifier.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        display : LearningCurvesDisplay
        """
        fitted = fitted_classifier(estimator, cls.__name__)
        display = cls(
            losses=fitted.learning_curves_.mean(axis=1),
            learning_rates=fitted.cv_results_[f"param_{RATE}"].data,
            best_index=fitted.best_index_,
            best_n_epochs=fitted.best_n_epochs_,
            baseline_loss=fitted.baseline_loss_,
            labels=labels_of(fitted.cv_results_["params"]),
            diverged=fitted.cv_results_["diverged"],
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> "LearningCurvesDisplay":
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        self : LearningCurvesDisplay
            Drawn.
        """
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LogNorm
        from matplotlib.ticker import MaxNLocator

        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        bottom, top = loss_limits(float(np.nanmin(self.losses)), self.baseline_loss)
        low, high = self.learning_rates.min(), self.learning_rates.max()
        scale = ScalarMappable(LogNorm(low, max(high, low * 1.001)), colormaps["viridis"])
        lines = self._lines
        epochs = np.arange(1, self.losses.shape[1] + 1)
        single = "." if len(epochs) == 1 else None  # a line of one point shows nothing
        for candidate, curve in enumerate(self.losses):
            style = {"color": scale.to_rgba(self.learning_rates[candidate]), "linewidth": 1}
            self.ax_.plot(epochs, curve, linestyle=lines[candidate], marker=single, **style)
        self._draw_best(lines[self.best_index])
        self._mark_ends(scale, top)
        self.ax_.set(
            ylim=(bottom, top),
            xlim=(0.5, 1.5) if single else None,
            xlabel="epochs",
            ylabel="held-out log-loss (nats)",
        )
        whole = MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
        self.ax_.xaxis.set_major_locator(whole)
        self._add_legend()
        self.figure_.colorbar(scale, ax=self.ax_, label="learning rate")
        return self

    @property
    def _families(self) -> list[str]:
        """Return the labels that there are, each once."""
        return list(dict.fromkeys(self.labels or [""]))

    @property
    def _lines(self) -> list[Any]:
        """Return the line style of each candidate."""
        labels, families = self.labels or [""] * len(self.losses), self._families
        return [LINES[families.index(label) % len(LINES)] for label in labels]

    def _mark_ends(self, scale: Any, top: float) -> None:
        """Mark where candidates diverged, or were left behind."""
        n_seen = int(np.isfinite(self.losses).any(axis=0).sum())
        diverged = np.zeros(len(self.losses), bool) if self.diverged is None else self.diverged
        labels = {"^": "diverged", "x": "left behind"}
        for rate, curve, has_diverged in zip(
            self.learning_rates, self.losses, diverged, strict=True
        ):
            n_trained = int(np.isfinite(curve).sum())
            if n_trained == n_seen and not has_diverged:
                continue
            at = max(1, n_trained)
            loss = curve[at - 1] if n_trained else np.inf
            marker = "^" if has_diverged else "x"
            self.ax_.plot(
                at,
                min(loss, EDGE * top),
                marker,
                color=scale.to_rgba(rate),
                label=labels.pop(marker, None),
                linestyle="",
            )

    def _draw_best(self, line: Any) -> None:
        """Draw the chosen candidate over the others."""
        label = f"chosen: {self.learning_rates[self.best_index]:.2g}"
        if len(self._families) > 1 and self.labels is not None:
            label += f" with {plain(self.labels[self.best_index])}"
        best, at = self.losses[self.best_index], self.best_n_epochs
        epochs = np.arange(1, len(best) + 1)
        self.ax_.plot(epochs, best, color="black", linestyle=line, linewidth=2.2, label=label)
        length = "1 epoch" if at == 1 else f"{at} epochs"
        self.ax_.plot(at, best[at - 1], "o", color="black", label=length)

    def _add_legend(self) -> None:
        """Say what marks and lines mean."""
        families = self._families
        if len(families) > 1:
            for number, label in enumerate(families):
                line = LINES[number % len(LINES)]
                self.ax_.plot([], [], color="0.4", linestyle=line, label=plain(label))
        outside = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "ncols": 2}
        self.ax_.legend(fontsize="small", **(outside if len(families) > MANY_CURVES else {}))
