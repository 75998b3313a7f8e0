"""Displays of a search: the response curve, and the learning curves of all candidates.

What is drawn is computed first, without matplotlib, which is imported only to draw.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._search.selection import response_surface
from ..classifier import MetaLRClassifier

__all__ = ["LearningCurvesDisplay", "LearningRateDisplay"]

INSIDE = "best_estimator_", "estimator_", "estimator"
"""Where estimators keep the one they wrap: first the fitted one."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Told apart by colour-blind eyes (Okabe & Ito, 2008)."""

LINES = ("-", "--", "-.", ":", (0, (7, 2, 1, 2, 1, 2)), (0, (1, 4)))
MARKERS = "os^Dvp"
MANY_CURVES = 2
WORST_SHOWN = 1.5
"""Highest loss on the axis, in multiples of the no-skill loss; what is above is marked there."""
EDGE = 0.985
"""Where that is marked, as a part of the highest loss on the axis."""


def fitted_classifier(estimator: Any, taken_by: str) -> MetaLRClassifier:
    """Return the fitted MetaLRClassifier inside of an estimator.

    Parameters
    ----------
    estimator : MetaLRClassifier, sklearn.pipeline.Pipeline or another meta-estimator
        A Pipeline holds it as its last step, others as ``best_estimator_``, ``estimator_`` or
        ``estimator``; they may be nested.
    taken_by : str
        What takes it, for messages.

    Raises
    ------
    TypeError
        If there is none.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    last = estimator
    while not isinstance(last, MetaLRClassifier):
        if isinstance(last, Pipeline) and last.steps:
            last = last.steps[-1][1]
            continue
        inner = [getattr(last, name) for name in INSIDE if hasattr(last, name)]
        if not inner or isinstance(last, type):
            end = "" if last is estimator else f" that ends in {type(last).__name__}"
            raise TypeError(
                f"{taken_by} takes a fitted MetaLRClassifier, or a Pipeline or search that ends in "
                f"one. Got {type(estimator).__name__}{end} instead."
            )
        last = inner[0]
    check_is_fitted(last, "best_learning_rate_")
    return last


@dataclass(frozen=True)
class ResponseCurve:
    """Held-out loss against learning rate, for one optimizer with one schedule.

    Attributes
    ----------
    label : str
        Optimizer and schedule, where several were searched; else empty.
    learning_rates : ndarray of shape (n,)
        In increasing order.
    losses : ndarray of shape (n, n_splits)
        Of every member at its candidate's number of epochs, in nats; NaN once diverged.
    smoothed, error : ndarray of shape (n,)
        The smoothed cautious loss, which the choice is made on unless another scorer or
        ``selection="min"`` made it, and its standard error over splits, in nats.
    diverged : bool ndarray of shape (n,)
        Which candidates diverged.
    """

    label: str
    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    error: np.ndarray
    diverged: np.ndarray


def response_curves(estimator: Any) -> list[ResponseCurve]:
    """Return the response curves of a fitted MetaLRClassifier, one a family."""
    table = estimator.cv_results_
    labels = _labels(table["params"])
    names, family = np.unique(labels, return_inverse=True)
    rates = table["param_learning_rate"].data
    cautious = estimator.cautious_learning_curves_
    n_epochs = np.full(len(rates), cautious.shape[2])
    surface = response_surface(
        cautious, rates, estimator.no_skill_loss_, family, table.get("n_resources", n_epochs)
    )
    at = (np.arange(len(rates)), slice(None), table["n_epochs"] - 1)
    smoothed, n_splits = surface.smoothed[at], cautious.shape[1]
    error = smoothed.std(axis=1, ddof=1) / np.sqrt(n_splits) if n_splits > 1 else 0 * rates
    curves = []
    for number in dict.fromkeys(family):  # in the order of the candidates
        mine = family == number
        curves.append(
            ResponseCurve(
                str(names[number]),
                rates[mine],
                cautious[at][mine],
                smoothed[mine].mean(axis=1),
                error[mine],
                table["diverged"][mine],
            )
        )
    return curves


def _labels(params: list[dict[str, Any]]) -> list[str]:
    """Return what tells each candidate's family apart from others."""
    return [", ".join(str(v) for k, v in one.items() if k != "learning_rate") for one in params]


def _plain(label: str) -> str:
    """Return a label that matplotlib takes for no formula."""
    return label.replace("$", r"\$")


def _loss_limits(lowest: float, no_skill_loss: float) -> tuple[float, float]:
    """Return both ends of an axis of losses, in nats, that shows the lowest and the no-skill."""
    top = max(WORST_SHOWN * no_skill_loss, 1.2 * lowest)
    bottom = min(lowest, no_skill_loss)
    return (min(0.0, bottom) if bottom < 0.3 * top else 0.9 * bottom), top


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
    no_skill_loss : float
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
    >>> fitted = MetaLRClassifier(n_candidates=4, n_splits=1, random_state=0).fit(X, y)
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
        no_skill_loss: float,
        best_label: str = "",
    ) -> None:
        self.curves = curves
        self.best_learning_rate = best_learning_rate
        self.interval = interval
        self.no_skill_loss = no_skill_loss
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
            no_skill_loss=fitted.no_skill_loss_,
            best_label=_labels([fitted.best_params_])[0],
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
        self.ax_ = _axes(ax)
        self.figure_ = self.ax_.figure
        lowest = min(float(curve.smoothed.min()) for curve in self.curves)
        bottom, top = _loss_limits(lowest, self.no_skill_loss)
        rates = np.concatenate([curve.learning_rates for curve in self.curves])
        if rates.min() == rates.max():  # matplotlib finds no range around a single rate
            self.ax_.set_xlim(rates[0] / 10, rates[0] * 10)
        for number, curve in enumerate(self.curves):
            self._draw_curve(curve, number, top)
        low, high = self.interval
        self.ax_.axvspan(low, high, color="0.85", zorder=0, label="within one standard error")
        label = f"chosen: {self.best_learning_rate:.2g}"
        if self.best_label:
            label += f" with {_plain(self.best_label)}"
        self.ax_.axvline(self.best_learning_rate, color="black", linewidth=1.2, label=label)
        for curve in self.curves:
            if curve.label == self.best_label:
                at = curve.learning_rates == self.best_learning_rate
                self.ax_.plot(curve.learning_rates[at], curve.smoothed[at], "o", color="black")
        if default_rate is not None:
            self.ax_.axvline(
                default_rate, color="0.4", linestyle=":", label=f"default: {default_rate:.2g}"
            )
        self.ax_.axhline(self.no_skill_loss, color="0.5", linewidth=0.8, linestyle=(0, (6, 3)))
        self.ax_.annotate(
            "class frequencies alone",
            (0.01, self.no_skill_loss),
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
        label = f"smoothed mean{f': {_plain(curve.label)}' if curve.label else ''}"
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
    no_skill_loss : float
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
        no_skill_loss: float,
        labels: list[str] | None = None,
        diverged: np.ndarray | None = None,
    ) -> None:
        self.losses = losses
        self.learning_rates = learning_rates
        self.best_index = best_index
        self.best_n_epochs = best_n_epochs
        self.no_skill_loss = no_skill_loss
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
            learning_rates=fitted.cv_results_["param_learning_rate"].data,
            best_index=fitted.best_index_,
            best_n_epochs=fitted.best_n_epochs_,
            no_skill_loss=fitted.no_skill_loss_,
            labels=_labels(fitted.cv_results_["params"]),
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

        self.ax_ = _axes(ax)
        self.figure_ = self.ax_.figure
        bottom, top = _loss_limits(float(np.nanmin(self.losses)), self.no_skill_loss)
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
            label += f" with {_plain(self.labels[self.best_index])}"
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
                self.ax_.plot([], [], color="0.4", linestyle=line, label=_plain(label))
        outside = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "ncols": 2}
        self.ax_.legend(fontsize="small", **(outside if len(families) > MANY_CURVES else {}))


def _axes(ax: Any) -> Any:
    """Return where to draw."""
    if ax is not None:
        return ax
    return import_matplotlib("matplotlib.pyplot").subplots(
        figsize=(6.4, 4.2), layout="constrained"
    )[1]


def import_matplotlib(name: str) -> Any:
    """Return a module of matplotlib, or say how to install it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError("Drawing needs matplotlib: pip install 'sk_metalr[plot]'.") from error
