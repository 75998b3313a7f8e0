"""Display of the response curve of a search."""

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

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that colour-blind readers can tell apart (Okabe & Ito, 2008)."""
MARKERS = "os^Dvp"


class LearningRateDisplay:
    """Response curve of a search: held-out log-loss against learning rate.

    The line is the smoothed loss that the choice was made on, and the band around it its standard
    error. Dots are single members; triangles at the top of the axes are members beyond it. With
    more than two curves, members are not drawn. Create one with :meth:`from_estimator`.

    Parameters
    ----------
    curves : list of ResponseCurve
        One curve for each combination of optimizer and schedule.
    best_learning_rate : float
        The chosen learning rate.
    interval : tuple of (float, float)
        Lowest and highest learning rate whose loss is within one standard error of the best.
    baseline_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    best_label : str, default=""
        Label of the curve that the chosen candidate is on.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes it was drawn on.
    figure_ : matplotlib.figure.Figure
        The figure of these axes.

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
            Fitted; a Pipeline or a search must end in a MetaLRClassifier. The log-loss is drawn
            even if another score chose.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.
        default_rate : float or None, default=None
            A learning rate to compare with, such as the optimizer's default.

        Returns
        -------
        display : LearningRateDisplay
            The display, drawn.
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
        """Draw the response curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.
        default_rate : float or None, default=None
            A learning rate to compare with.

        Returns
        -------
        self : LearningRateDisplay
            The display, drawn.
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
        self._draw_divergence()
        self._draw_choice()
        self._draw_references(default_rate)
        self.ax_.set(
            xscale="log",
            ylim=(bottom, top),
            xlabel="learning rate",
            ylabel="held-out log-loss (nats)",
        )
        outside = {"loc": "upper left", "bbox_to_anchor": (1.01, 1)}
        is_outside = len(self.curves) > MANY_CURVES
        self.ax_.legend(fontsize="small", **(outside if is_outside else {"loc": "best"}))
        return self

    def _draw_choice(self) -> None:
        """Mark the chosen learning rate, and the rates within one standard error of it."""
        self.ax_.axvspan(*self.interval, color="0.85", zorder=0, label="within one standard error")
        label = f"chosen: {self.best_learning_rate:.2g}"
        if self.best_label:
            label += f" with {plain(self.best_label)}"
        self.ax_.axvline(self.best_learning_rate, color="black", linewidth=1.2, label=label)
        for curve in self.curves:
            if curve.label == self.best_label:
                at = curve.learning_rates == self.best_learning_rate
                self.ax_.plot(curve.learning_rates[at], curve.smoothed[at], "o", color="black")

    def _draw_references(self, default_rate: float | None) -> None:
        """Draw the default learning rate, if it is given, and the baseline loss."""
        if default_rate is not None:
            label = f"default: {default_rate:.2g}"
            self.ax_.axvline(default_rate, color="0.4", linestyle=":", label=label)
        self.ax_.axhline(self.baseline_loss, color="0.5", linewidth=0.8, linestyle=(0, (6, 3)))
        self.ax_.annotate(
            "class frequencies alone",
            (0.99, self.baseline_loss),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize="small",
            color="0.4",
        )

    def _draw_curve(self, curve: ResponseCurve, number: int, top: float) -> None:
        """Draw the smoothed curve with its standard error."""
        colour, line = COLOURS[number % len(COLOURS)], LINES[number % len(LINES)]
        if len(self.curves) <= MANY_CURVES:
            self._draw_members(curve, top, color=colour, marker=MARKERS[number % len(MARKERS)])
        sound = ~curve.diverged
        label = f"smoothed mean{f': {plain(curve.label)}' if curve.label else ''}"
        x, y, error = (
            values[sound] for values in (curve.learning_rates, curve.smoothed, curve.error)
        )
        self.ax_.plot(x, y, color=colour, linestyle=line, linewidth=2, label=label)
        self.ax_.fill_between(x, y - error, y + error, color=colour, alpha=0.2, linewidth=0)

    def _draw_members(self, curve: ResponseCurve, top: float, *, color: str, marker: str) -> None:
        """Draw a dot for each member, or a triangle at the top where it is beyond the axis."""
        rates = np.repeat(curve.learning_rates[:, None], curve.losses.shape[1], axis=1)
        above = ~(curve.losses < top)  # also NaN
        edge = np.full(above.sum(), EDGE * top)
        dots = {"color": color, "alpha": 0.45, "linewidths": 0}
        self.ax_.scatter(rates[~above], curve.losses[~above], s=14, marker=marker, **dots)
        self.ax_.scatter(rates[above], edge, s=20, marker="^", **dots)

    def _draw_divergence(self) -> None:
        """Draw a line at the lowest learning rate of each curve that diverged."""
        labelled: set[float] = set()
        for number, curve in enumerate(self.curves):
            if not curve.diverged.any():
                continue
            colour = COLOURS[number % len(COLOURS)]
            rate = curve.learning_rates[curve.diverged].min()
            self.ax_.axvline(rate, color=colour, linestyle=":", linewidth=1)
            if rate not in labelled:  # curves may share it
                at, across = (rate, 0.4), ("data", "axes fraction")
                style = {"rotation": 90, "ha": "right", "fontsize": "small", "color": colour}
                self.ax_.annotate("diverges", at, xycoords=across, **style)
            labelled.add(rate)
