"""Parts that the displays share; matplotlib is imported only when something is drawn."""

from importlib import import_module
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._search import SearchResultsMixin
from .._space import is_number

LINES = ("-", "--", "-.", ":", (0, (7, 2, 1, 2, 1, 2)), (0, (1, 4)))
MANY_CURVES = 2
"""Number of curves above which single members are not drawn, and the legend stands outside."""
WORST_SHOWN = 1.5
"""Highest loss on the axis, in multiples of the baseline loss; higher ones are marked there."""
EDGE = 0.985
"""Height of these marks, as a fraction of the highest loss on the axis."""

INSIDE = "best_estimator_", "estimator_", "estimator"
"""Attributes in which meta-estimators keep the estimator they wrap; the fitted one comes first."""

NEEDED = "Drawing needs matplotlib: pip install 'matplotlib>=3.8'."


def fitted_classifier(estimator: Any, taken_by: str) -> Any:
    """Return the fitted MetaLR estimator inside an estimator, on behalf of a caller of that name.

    A Pipeline holds it as its last step, other meta-estimators as one of their attributes, and
    these may be nested. Raises TypeError if there is none, and NotFittedError if it is not fitted.
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
                f"{taken_by} takes a fitted MetaLRClassifier or MetaLRRegressor, or a Pipeline or "
                f"search that ends in one. Got {type(estimator).__name__}{end} instead."
            )
        last = inner[0]
    check_is_fitted(last, "best_learning_rate_")
    return last


def labels_of(results: dict[str, Any]) -> list[str]:
    """Return the name of each candidate's family: its values of all parameters that are listed.

    The `results` are ``cv_results_``, whose columns of numbers are those of other parameters.
    """
    listed = [name for name in searched(results) if results[f"param_{name}"].dtype == object]
    return [", ".join(_named(name, one[name]) for name in listed) for one in results["params"]]


def searched(results: dict[str, Any]) -> list[str]:
    """Return the names of the parameters that are columns of ``cv_results_``."""
    return [name.removeprefix("param_") for name in results if name.startswith("param_")]


def _named(name: str, value: Any) -> str:
    """Return a value in words; a number says of what it is."""
    return f"{name.split('__')[-1]} {value}" if is_number(value) else str(value)


def plain(label: str) -> str:
    """Return a label escaped so that matplotlib does not take it for a formula."""
    return label.replace("$", r"\$")


def loss_limits(lowest: float, baseline_loss: float) -> tuple[float, float]:
    """Return the limits of a loss axis that shows the lowest loss and the baseline."""
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
