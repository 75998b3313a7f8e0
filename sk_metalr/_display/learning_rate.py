"""The response curve of a search, drawn."""

from typing import Any

import numpy as np

from .curves import (
    EDGE,
    LINES,
    MANY_CURVES,
    ResponseCurve,
    fitted_classifier,
    labels_of,
    loss_limits,
    new_axes,
    plain,
    response_curves,
)

__all__ = ["LearningRateDisplay"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Told apart by colour-blind eyes (Okabe & Ito, 2008)."""
MARKERS = "os^Dvp"


class LearningRateDisplay:
    """Response curve of a search: held-out log-loss against learning rate.

    Dots are members (those beyond the axis are triangles at its top; left out where there
    are more than two curves), the line is what the choice was made on, with its standard
    error. Make one with :meth:`from_estimator`.

    Parameters
    ----------
    curves : list of ResponseCurve
        One for each optimizer with each schedule.
    best_learning_rate : float
        The chosen learning rate.
    interval : tuple of (float, float)
        Learning rates as good within one standard error.
    baseline_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    best_label : str, default=""
        Label of the curve that the chosen learning rate is on.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure that holds it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_metalr import LearningRateDisplay, MetaLRClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> fitted = MetaLRClassifier(n_candidates=4, cv=0.2, random_state=0).fit(X, y)
    >>> display = LearningRateDisplay.from_estimator(fitted)
    >>> display.ax_.get_xlabel()
    'learning rate'
    """

    def __init__(
        self,
        *,
        curves: list[ResponseCurve],
        best_learning_rate: float,
        interval: tuple[float, float],
        baseline_loss: float,
        best_label: str = "",
    ) -> None:
        self.curves = curves
        self.best_learning_rate = best_learning_rate
        self.interval = interval
        self.baseline_loss = baseline_loss
        self.best_label = best_label

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, default_rate: float | None = None
    ) -> "LearningRateDisplay":
        """Draw the response curve of a fitted classifier.

        Parameters
        ----------
        estimator : MetaLRClassifier, sklearn.pipeline.Pipeline or another meta-estimator
            Fitted; a Pipeline or a search ends in a MetaLRClassifier. The log-loss is drawn also
            where another scorer chose.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None for a new figure.
        default_rate : float or None, default=None
            A learning rate to compare with, such as the optimizer's default.

        Returns
        -------
        display : LearningRateDisplay
        """
        fitted = fitted_classifier(estimator, cls.__name__)
        display = cls(
            curves=response_curves(fitted),
            best_learning_rate=fitted.best_learning_rate_,
            interval=fitted.learning_rate_interval_,
            baseline_loss=fitted.baseline_loss_,
            best_label=labels_of([fitted.best_params_])[0],
        )
        return display.plot(ax, default_rate=default_rate)

    def plot(self, ax: Any = None, *, default_rate: float | None = None) -> "LearningRateDisplay":
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None for a new figure.
        default_rate : float or None, default=None
            A learning rate to compare with.

        Returns
        -------
        self : LearningRateDisplay
            Drawn.
        """
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        lowest = min(float(curve.smoothed.min()) for curve in self.curves)
        bottom, top = loss_limits(lowest, self.baseline_loss)
        rates = np.concatenate([curve.learning_rates for curve in self.curves])
        if rates.min() == rates.max():  # matplotlib finds no range around a single rate
            self.ax_.set_xlim(rates[0] / 10, rates[0] * 10)
        for number, curve in enumerate(self.curves):
            self._draw_curve(curve, number, top)
        low, high = self.interval
        self.ax_.axvspan(low, high, color="0.85", zorder=0, label="within one standard error")
        label = f"chosen: {self.best_learning_rate:.2g}"
        if self.best_label:
            label += f" with {plain(self.best_label)}"
        self.ax_.axvline(self.best_learning_rate, color="black", linewidth=1.2, label=label)
        for curve in self.curves:
            if curve.label == self.best_label:
                at = curve.learning_rates == self.best_learning_rate
                self.ax_.plot(curve.learning_rates[at], curve.smoothed[at], "o", color="black")
        if default_rate is not None:
            self.ax_.axvline(
                default_rate, color="0.4", linestyle=":", label=f"default: {default_rate:.2g}"
            )
        self.ax_.axhline(self.baseline_loss, color="0.5", linewidth=0.8, linestyle=(0, (6, 3)))
        self.ax_.annotate(
            "class frequencies alone",
            (0.01, self.baseline_loss),
            xycoords=("axes fraction", "data"),
            va="bottom",
            fontsize="small",
            color="0.4",
        )
        self.ax_.set(
            xscale="log",
            ylim=(bottom, top),
            xlabel="learning rate",
            ylabel="held-out log-loss (nats)",
        )
        if len(self.curves) > MANY_CURVES:
            self.ax_.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1))
        else:
            self.ax_.legend(fontsize="small", loc="best")
        return self

    def _draw_curve(self, curve: ResponseCurve, number: int, top: float) -> None:
        colour, line = COLOURS[number % len(COLOURS)], LINES[number % len(LINES)]
        marker = MARKERS[number % len(MARKERS)]
        rates = np.repeat(curve.learning_rates[:, None], curve.losses.shape[1], axis=1)
        above = ~(curve.losses < top)  # also what is not a number
        dots = {"color": colour, "alpha": 0.45, "linewidths": 0}
        if len(self.curves) <= MANY_CURVES:
            self.ax_.scatter(rates[~above], curve.losses[~above], s=14, marker=marker, **dots)
            edge = np.full(above.sum(), EDGE * top)
            self.ax_.scatter(rates[above], edge, s=20, marker="^", **dots)
        sound = ~curve.diverged
        label = f"smoothed mean{f': {plain(curve.label)}' if curve.label else ''}"
        x, y, error = (
            values[sound] for values in (curve.learning_rates, curve.smoothed, curve.error)
        )
        self.ax_.plot(x, y, color=colour, linestyle=line, linewidth=2, label=label)
        self.ax_.fill_between(x, y - error, y + error, color=colour, alpha=0.2, linewidth=0)
        if curve.diverged.any():
            frontier = curve.learning_rates[curve.diverged].min()
            self.ax_.axvline(frontier, color=colour, linestyle=":", linewidth=1)
            self.ax_.annotate(
                "diverges",
                (frontier, 0.55),
                xycoords=("data", "axes fraction"),
                rotation=90,
                ha="right",
                fontsize="small",
                color=colour,
            )
