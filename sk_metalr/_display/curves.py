"""Parts that the displays share; matplotlib is imported only when something is drawn."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._search import SearchResultsMixin
from .._search.surface import response_surface
from .._space import RATE

LINES = ("-", "--", "-.", ":", (0, (7, 2, 1, 2, 1, 2)), (0, (1, 4)))
MANY_CURVES = 2
"""Number of curves above which single members are not drawn, and the legend stands outside."""
WORST_SHOWN = 1.5
"""Highest loss on the axis, in multiples of the baseline loss; higher ones are marked there."""
EDGE = 0.985
"""Height of these marks, as a fraction of the highest loss on the axis."""

INSIDE = "best_estimator_", "estimator_", "estimator"
"""Attributes in which meta-estimators keep the estimator they wrap; the fitted one comes first."""

NEEDED = "Drawing needs matplotlib: pip install 'sk_metalr[plot]'."


def fitted_classifier(estimator: Any, taken_by: str) -> Any:
    """Return the fitted MetaLRClassifier inside an estimator.

    Parameters
    ----------
    estimator : MetaLRClassifier, sklearn.pipeline.Pipeline or another meta-estimator
        A Pipeline holds the classifier as its last step, others as ``best_estimator_``,
        ``estimator_`` or ``estimator``; these may be nested.
    taken_by : str
        The name of the caller, for error messages.

    Raises
    ------
    TypeError
        If the estimator holds no MetaLRClassifier.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.
    """
    last = estimator
    while not isinstance(last, SearchResultsMixin):
        if isinstance(last, Pipeline) and last.steps:
            last = last.steps[-1][1]
            continue
        own = getattr(last, "__dict__", {})  # FrozenEstimator also shows those of the one inside
        inner = [own[name] for name in INSIDE if name in own]
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
        Names of the optimizer and the schedule, as far as they were searched; empty otherwise.
    learning_rates : ndarray of shape (n,)
        Learning rates of the candidates, in increasing order.
    losses : ndarray of shape (n, n_splits)
        Laplace-smoothed log-loss of each member, in nats, at its candidate's number of epochs;
        NaN for candidates that diverged.
    smoothed : ndarray of shape (n,)
        Laplace-smoothed log-loss of each candidate, in nats: the mean over splits, smoothed by a
        kernel over learning rates and epochs. The choice minimizes it, unless it was made on
        another score.
    error : ndarray of shape (n,)
        Standard error of `smoothed`, in nats.
    diverged : bool ndarray of shape (n,)
        Whether each candidate diverged.
    """

    label: str
    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    error: np.ndarray
    diverged: np.ndarray


def response_curves(estimator: Any) -> list[ResponseCurve]:
    """Return the response curves of a fitted MetaLRClassifier, one for each family."""
    table = estimator.cv_results_
    labels = np.array(labels_of(table["params"]))
    rates = table[f"param_{RATE}"].data
    losses, diverged = estimator.laplace_learning_curves_, table["diverged"]
    surface = response_surface(
        losses,
        rates,
        baseline_loss=estimator.baseline_loss_,
        family=np.unique(labels, return_inverse=True)[1],
        n_resources=table["n_resources"],
    )
    epochs = table["n_epochs"] - 1
    at = (np.arange(len(rates)), slice(None), epochs)
    losses = np.where(diverged[:, None], np.nan, losses[at])
    smoothed = surface.smoothed[at].mean(axis=1)
    error = np.array([surface.standard_error(row, epoch) for row, epoch in enumerate(epochs)])
    columns = rates, losses, smoothed, error, diverged
    return [
        ResponseCurve(label, *(column[labels == label] for column in columns))
        for label in dict.fromkeys(labels.tolist())  # in the order of the candidates
    ]


def labels_of(params: list[dict[str, Any]]) -> list[str]:
    """Return the name of each candidate's family: the values of all parameters but the rate."""
    return [", ".join(str(v) for k, v in one.items() if k != RATE) for one in params]


def plain(label: str) -> str:
    """Return a label escaped so that matplotlib does not take it for a formula."""
    return label.replace("$", r"\$")


def loss_limits(lowest: float, baseline_loss: float) -> tuple[float, float]:
    """Return the limits of a loss axis, in nats, that shows the lowest loss and the baseline."""
    top = max(WORST_SHOWN * baseline_loss, 1.2 * lowest)
    bottom = min(lowest, baseline_loss)
    return (min(0.0, bottom) if bottom < 0.3 * top else 0.9 * bottom), top


def new_axes(ax: Any) -> Any:
    """Return the axes to draw on: the given ones, or those of a new figure."""
    if ax is not None:
        return ax
    pyplot = import_optional("matplotlib.pyplot")
    return pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")[1]


def import_optional(name: str, needed: str = NEEDED) -> Any:
    """Return the module of an optional dependency, or say how to install it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(needed) from error
