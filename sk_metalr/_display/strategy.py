"""Display of a search over several hyperparameters."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from .._space import RATE
from . import drawing

N_COLUMNS = 3
MANY_DECADES = 2.5
"""Decades of positive numbers from which on an axis is logarithmic."""


@dataclass(kw_only=True, eq=False, repr=False)
class StrategyDisplay:
    """Held-out loss of all candidates against each hyperparameter.

    One panel a hyperparameter, the most important first; a dot is a candidate, coloured by its
    learning rate, and the chosen one is circled. Create one with :meth:`from_estimator`.

    Parameters
    ----------
    values : dict of str to ndarray of shape (n_candidates,)
        Values of each hyperparameter, the learning rate among them.
    losses : ndarray of shape (n_candidates,)
        Smoothed held-out losses that the choice was made on, in nats unless another score chose;
        NaN where a candidate diverged.
    importances : dict of str to float
        Share of the variance of the loss that each hyperparameter explains by itself.
    best_index : int
        Index of the chosen candidate.
    baseline_loss : float or None
        Loss of the best constant prediction, such as the class frequencies; None where another
        score chose.

    Attributes
    ----------
    axes_, figure_ : ndarray of matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes it was drawn on, and their figure.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sk_metalr import MetaLRClassifier, StrategyDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> space = {"optimizer__weight_decay": loguniform(1e-6, 1e-1)}
    >>> fitted = MetaLRClassifier(None, space, n_candidates=4, cv=0.2, random_state=0).fit(X, y)
    >>> display = StrategyDisplay.from_estimator(fitted)
    >>> len(display.axes_)
    2
    """

    values: dict[str, np.ndarray]
    losses: np.ndarray
    importances: dict[str, float]
    best_index: int
    baseline_loss: float | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, figure: Any = None) -> "StrategyDisplay":
        """Draw the candidates of a fitted classifier.

        Parameters
        ----------
        estimator : MetaLRClassifier, sklearn.pipeline.Pipeline or another meta-estimator
            Fitted; a Pipeline or a search must end in a MetaLRClassifier or a MetaLRRegressor.
        figure : matplotlib.figure.Figure or None, default=None
            Figure to draw in; None for a new one.

        Returns
        -------
        display : StrategyDisplay
            The display, drawn.
        """
        fitted = drawing.fitted_classifier(estimator, cls.__name__)
        results = fitted.cv_results_
        columns = {name: results[f"param_{name}"] for name in drawing.searched(results)}
        is_own_score = fitted.score_name_ == fitted._seen_task.scorer_name
        display = cls(
            values={
                name: column.data if column.dtype == object else column.filled(np.nan)
                for name, column in columns.items()
            },
            losses=-results["selection_score"],
            importances=fitted.importances_,
            best_index=fitted.best_index_,
            baseline_loss=fitted.baseline_loss_ if is_own_score else None,
        )
        return display.plot(figure)

    def plot(self, figure: Any = None) -> "StrategyDisplay":
        """Draw the candidates.

        Parameters
        ----------
        figure : matplotlib.figure.Figure or None, default=None
            Figure to draw in; None for a new one.

        Returns
        -------
        self : StrategyDisplay
            The display, drawn.
        """
        colours = drawing.import_optional("matplotlib.colors")
        n_columns = min(N_COLUMNS, len(self.values))
        n_rows = ceil(len(self.values) / n_columns)
        if figure is None:
            pyplot = drawing.import_optional("matplotlib.pyplot")
            figure = pyplot.figure(layout="constrained")
        figure.set_size_inches(3.2 * n_columns + 0.8, 2.9 * n_rows)
        grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).ravel()
        for unused in grid[len(self.values) :]:
            unused.set_axis_off()
        self.axes_, self.figure_ = grid[: len(self.values)], figure
        rates = self.values[RATE]
        scale = colours.LogNorm(rates.min(), max(rates.max(), rates.min() * 1.001))
        top = self._top()
        dots = None
        for axes, name in zip(self.axes_, self._order(), strict=True):
            dots = self._draw_panel(axes, name, rates, scale, top)
        for axes in self.axes_[::n_columns]:
            axes.set_ylabel("held-out loss")
        figure.colorbar(dots, ax=list(self.axes_), label="learning rate")
        return self

    def _order(self) -> list[str]:
        """Return the names of the hyperparameters, the most important first."""
        return sorted(self.values, key=lambda name: -self.importances.get(name, 0.0))

    def _top(self) -> float:
        """Return the highest loss on the axes; higher ones are marked there."""
        known = self.losses[np.isfinite(self.losses)]
        if self.baseline_loss is None:
            return float(known.max()) + 0.05 * float(np.ptp(known)) + 1e-9
        return drawing.loss_limits(float(known.min()), self.baseline_loss)[1]

    def _draw_panel(self, axes: Any, name: str, rates: np.ndarray, scale: Any, top: float) -> Any:
        """Draw all candidates against one hyperparameter; return the dots."""
        x = self._place(axes, name)
        is_above = ~(self.losses < top)
        y = np.where(is_above, drawing.EDGE * top, self.losses)
        style = {"c": rates, "cmap": "viridis", "norm": scale, "linewidths": 0}
        dots = axes.scatter(x[~is_above], y[~is_above], s=26, **style | {"c": rates[~is_above]})
        axes.scatter(x[is_above], y[is_above], s=26, marker="^", **style | {"c": rates[is_above]})
        best = self.best_index
        axes.scatter(x[best], y[best], s=90, facecolors="none", edgecolors="black", linewidths=1.4)
        axes.set_xlabel(name)
        axes.set_title(f"explains {self.importances.get(name, 0.0):.0%}", fontsize="small")
        return dots

    def _place(self, axes: Any, name: str) -> np.ndarray:
        """Return where the values of a hyperparameter are on the axis, and label that."""
        values = self.values[name]
        if values.dtype != object:
            x = values.astype(float)
            positive = x[x > 0]
            if len(positive) == len(x) and np.ptp(np.log10(positive)) > MANY_DECADES:
                axes.set_xscale("log")
            return x
        names = list(dict.fromkeys(map(str, values)))
        if all(name.replace(".", "").isdigit() for name in names):
            names.sort(key=float)
        axes.set_xticks(range(len(names)), [drawing.plain(one) for one in names])
        spread = np.random.RandomState(0).uniform(-0.12, 0.12, len(values))
        return np.array([names.index(str(value)) for value in values]) + spread
