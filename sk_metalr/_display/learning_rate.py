"""Display of the response curve of a search."""

from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from .._search.surface import response_surface
from .._space import RATE
from . import drawing

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that colour-blind readers can tell apart (Okabe & Ito, 2008)."""
MARKERS = "os^Dvp"


@dataclass(frozen=True)
class ResponseCurve:
    """Held-out loss against learning rate, for one optimizer with one schedule.

    The losses are Laplace-smoothed log-losses, in nats, at the number of epochs of each candidate.

    Attributes
    ----------
    label : str, optimizer and schedule, as far as they were searched
    learning_rates, diverged : ndarray of shape (n,), in increasing order of the rates
    losses : ndarray of shape (n, n_splits), NaN for candidates that diverged
    raw : ndarray of shape (n,) or None, means over splits without calibration
    smoothed, error : ndarray of shape (n,), means over splits, smoothed by a kernel over learning
        rates and epochs, which the choice minimizes unless it was made on another score, and
        their standard errors
    """

    label: str
    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    error: np.ndarray
    diverged: np.ndarray
    raw: np.ndarray | None = None


def response_curves(estimator: Any) -> list[ResponseCurve]:
    """Return the response curves of a fitted MetaLRClassifier, one for each family."""
    table = estimator.cv_results_
    labels = np.array(drawing.labels_of(table))
    rates = table[f"param_{RATE}"].data
    raw, diverged = estimator._smoothed_curves, table["diverged"]
    curves = estimator._selection_curves
    at = (np.arange(len(rates)), slice(None), table["n_epochs"] - 1)
    losses = np.where(diverged[:, None], np.nan, curves[at])
    raw = np.where(diverged, np.nan, raw[at].mean(axis=1))
    smoothed, error = -table["selection_score"], table["selection_standard_error"]
    if estimator.score_name_ != estimator._seen_task.scorer_name:
        family, baseline_loss = np.unique(labels, return_inverse=True)[1], estimator.baseline_loss_
        surface = response_surface(
            curves,
            rates,
            baseline_loss=baseline_loss,
            family=family,
            n_resources=table["n_resources"],
        )
        smoothed = surface.smoothed[at].mean(axis=1)
        error = np.array([surface.standard_error(i, epoch) for i, epoch in enumerate(at[2])])
    columns, curves_of = (rates, losses, smoothed, error, diverged, raw), []
    for label in dict.fromkeys(labels.tolist()):  # in the order of the candidates
        rows = np.flatnonzero(labels == label)
        rows = rows[rates[rows].argsort(kind="stable")]
        curves_of.append(ResponseCurve(label, *(column[rows] for column in columns)))
    return curves_of


@dataclass(kw_only=True, eq=False, repr=False)
class LearningRateDisplay:
    """Response curve of a search: held-out log-loss against learning rate.

    The line is the smoothed loss that the choice was made on, and the band around it its standard
    error. Dots are single members; triangles at the top of the axes are members beyond it. With
    more than two curves, members are not drawn. Create one with :meth:`from_estimator`.

    Parameters
    ----------
    curves : list of ResponseCurve
        One curve for each combination of listed values, such as optimizer, schedule or units.
    best_learning_rate : float
        The chosen learning rate.
    interval : tuple of (float, float)
        Lowest and highest learning rate whose loss is within one standard error of the best.
    baseline_loss : float
        Loss of the best constant prediction, such as that of the class frequencies.
    best_label : str, default=""
        Label of the curve that the chosen candidate is on.
    loss_label, baseline_label : str
        What the losses are called, and what the baseline loss is that of.

    Attributes
    ----------
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes it was drawn on, and their figure.

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

    curves: list[ResponseCurve]
    best_learning_rate: float
    interval: tuple[float, float]
    baseline_loss: float
    best_label: str = ""
    loss_label: str = "log-loss (nats)"
    baseline_label: str = "class frequencies alone"

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, default_rate: float | None = None
    ) -> "LearningRateDisplay":
        """Draw the response curve of a fitted classifier.

        Parameters
        ----------
        estimator : MetaLRClassifier, sklearn.pipeline.Pipeline or another meta-estimator
            Fitted; a Pipeline or a search must end in a MetaLRClassifier or a MetaLRRegressor. The
            recorded loss is drawn even if another score chose.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.
        default_rate : float or None, default=None
            A learning rate to compare with, such as the optimizer's default.

        Returns
        -------
        display : LearningRateDisplay
            The display, drawn.
        """
        fitted = drawing.fitted_classifier(estimator, cls.__name__)
        display = cls(
            curves=response_curves(fitted),
            best_learning_rate=fitted.best_learning_rate_,
            interval=fitted.learning_rate_interval_,
            baseline_loss=fitted.baseline_loss_,
            best_label=drawing.labels_of(fitted.cv_results_)[fitted.best_index_],
            loss_label=fitted._seen_task.loss_label,
            baseline_label=f"{fitted._seen_task.trivially} alone".removeprefix("the "),
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
        self.ax_ = drawing.new_axes(ax)
        self.figure_ = self.ax_.figure
        # All candidates of a curve may have diverged.
        lowest = float(np.nanmin(np.concatenate([curve.smoothed for curve in self.curves])))
        bottom, top = drawing.loss_limits(lowest, self.baseline_loss)
        rates = np.concatenate([curve.learning_rates for curve in self.curves])
        if rates.min() == rates.max():  # matplotlib finds no range around a single rate
            self.ax_.set_xlim(rates[0] / 10, rates[0] * 10)
        styles = zip(cycle(COLOURS), cycle(drawing.LINES), cycle(MARKERS), strict=False)
        for curve, (colour, line, marker) in zip(self.curves, styles, strict=False):
            if len(self.curves) <= drawing.MANY_CURVES:
                self._draw_members(curve, top, color=colour, marker=marker)
            self._draw_curve(curve, color=colour, linestyle=line)
        self._draw_divergence()
        self._draw_choice()
        self._draw_references(default_rate)
        self.ax_.set(xscale="log", ylim=(bottom, top))
        self.ax_.set(xlabel="learning rate", ylabel=f"held-out {self.loss_label}")
        outside = {"loc": "upper left", "bbox_to_anchor": (1.01, 1)}
        place = outside if len(self.curves) > drawing.MANY_CURVES else {"loc": "best"}
        self.ax_.legend(fontsize="small", **place)
        return self

    def _draw_choice(self) -> None:
        """Mark the chosen learning rate, and the rates within one standard error of it."""
        self.ax_.axvspan(*self.interval, color="0.85", zorder=0, label="within one standard error")
        label = f"chosen: {self.best_learning_rate:.2g}"
        if self.best_label:
            label += f" with {drawing.plain(self.best_label)}"
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
        at, across = (0.99, self.baseline_loss), ("axes fraction", "data")
        style = {"ha": "right", "va": "bottom", "fontsize": "small", "color": "0.4"}
        self.ax_.annotate(self.baseline_label, at, xycoords=across, **style)

    def _draw_curve(self, curve: ResponseCurve, *, color: str, linestyle: Any) -> None:
        """Draw the smoothed curve with its standard error."""
        label = f"smoothed mean{f': {drawing.plain(curve.label)}' if curve.label else ''}"
        sound = ~curve.diverged
        x, y, error = curve.learning_rates[sound], curve.smoothed[sound], curve.error[sound]
        self.ax_.plot(x, y, color=color, linestyle=linestyle, linewidth=2, label=label)
        self.ax_.fill_between(x, y - error, y + error, color=color, alpha=0.2, linewidth=0)
        raw = curve.raw
        if raw is not None and not np.allclose(raw[sound], curve.losses[sound].mean(axis=1)):
            label = "" if curve is not self.curves[0] else "mean without calibration"
            self.ax_.plot(x, raw[sound], ":", color=color, linewidth=1, label=label or None)

    def _draw_members(self, curve: ResponseCurve, top: float, *, color: str, marker: str) -> None:
        """Draw a dot for each member, or a triangle at the top where it is beyond the axis."""
        rates = np.repeat(curve.learning_rates[:, None], curve.losses.shape[1], axis=1)
        above = ~(curve.losses < top)  # also NaN
        edge = np.full(above.sum(), drawing.EDGE * top)
        dots = {"color": color, "alpha": 0.45, "linewidths": 0}
        self.ax_.scatter(rates[~above], curve.losses[~above], s=14, marker=marker, **dots)
        self.ax_.scatter(rates[above], edge, s=20, marker="^", **dots)

    def _draw_divergence(self) -> None:
        """Draw a line at the lowest learning rate of each curve that diverged."""
        labelled: set[float] = set()
        for curve, colour in zip(self.curves, cycle(COLOURS), strict=False):
            if not curve.diverged.any():
                continue
            rate = curve.learning_rates[curve.diverged].min()
            self.ax_.axvline(rate, color=colour, linestyle=":", linewidth=1)
            if rate not in labelled:  # curves may share it
                at, across = (rate, 0.4), ("data", "axes fraction")
                style = {"rotation": 90, "ha": "right", "fontsize": "small", "color": colour}
                self.ax_.annotate("diverges", at, xycoords=across, **style)
            labelled.add(rate)
