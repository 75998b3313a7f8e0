"""What displays draw, computed without matplotlib, which is imported only to draw."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._search import SearchResultsMixin
from .._search.surface import response_surface
from .._space import RATE

__all__ = [
    "EDGE",
    "LINES",
    "MANY_CURVES",
    "ResponseCurve",
    "fitted_classifier",
    "import_matplotlib",
    "labels_of",
    "loss_limits",
    "new_axes",
    "plain",
    "response_curves",
]

LINES = ("-", "--", "-.", ":", (0, (7, 2, 1, 2, 1, 2)), (0, (1, 4)))
MANY_CURVES = 2
WORST_SHOWN = 1.5
"""Highest loss on the axis, in multiples of the baseline loss; what is above is marked there."""
EDGE = 0.985
"""Where that is marked, as a part of the highest loss on the axis."""

INSIDE = "best_estimator_", "estimator_", "estimator"
"""Where estimators keep the one they wrap: first the fitted one."""


def fitted_classifier(estimator: Any, taken_by: str) -> Any:
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
    while not isinstance(last, SearchResultsMixin):
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
        The smoothed losses_ loss, which the choice is made on unless another scorer or
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
    labels = labels_of(table["params"])
    names, family = np.unique(labels, return_inverse=True)
    rates = table["param_optimizer__learning_rate"].data
    losses = estimator.laplace_learning_curves_
    surface = response_surface(
        losses,
        rates,
        baseline_loss=estimator.baseline_loss_,
        family=family,
        n_resources=table["n_resources"],
    )
    at = (np.arange(len(rates)), slice(None), table["n_epochs"] - 1)
    smoothed, n_splits = surface.smoothed[at], losses.shape[1]
    error = smoothed.std(axis=1, ddof=1) / np.sqrt(n_splits) if n_splits > 1 else 0 * rates
    curves = []
    for number in dict.fromkeys(family):  # in the order of the candidates
        mine = family == number
        curves.append(
            ResponseCurve(
                str(names[number]),
                rates[mine],
                losses[at][mine],
                smoothed[mine].mean(axis=1),
                error[mine],
                table["diverged"][mine],
            )
        )
    return curves


def labels_of(params: list[dict[str, Any]]) -> list[str]:
    """Return what tells each candidate's family apart from others."""
    return [", ".join(str(v) for k, v in one.items() if k != RATE) for one in params]


def plain(label: str) -> str:
    """Return a label that matplotlib takes for no formula."""
    return label.replace("$", r"\$")


def loss_limits(lowest: float, baseline_loss: float) -> tuple[float, float]:
    """Return both ends of an axis of losses, in nats, that shows the lowest and the baseline."""
    top = max(WORST_SHOWN * baseline_loss, 1.2 * lowest)
    bottom = min(lowest, baseline_loss)
    return (min(0.0, bottom) if bottom < 0.3 * top else 0.9 * bottom), top


def new_axes(ax: Any) -> Any:
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
