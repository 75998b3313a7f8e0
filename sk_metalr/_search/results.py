"""Results of a search, in scikit-learn's form."""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from .._space import RATE
from .execution import Execution
from .history import History
from .loop import SearchResult
from .selection import Choice


class SearchResultsMixin:
    """Marks estimators that hold the results of a search once they are fitted.

    Displays and reports look for it inside of other estimators.
    """


def cv_results(history: History, choice: Choice, scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return ``cv_results_``: one row a candidate, scores greater-is-better.

    Parameters
    ----------
    history : History
        What the search saw.
    choice : Choice
        What was chosen; its ``n_epochs`` say where each candidate is scored.
    scores : dict of str to ndarray of shape (n_candidates, n_splits, n_epochs)
        Scores by name, greater is better.

    Returns
    -------
    results : dict of str to ndarray of shape (n_candidates,) or list
        Scores are NaN and ranked last where a candidate diverged.
    """
    params, diverged = history.candidates.params(), history.is_diverged
    at = (np.arange(len(params)), slice(None), choice.n_epochs - 1)
    columns: dict[str, np.ndarray] = {}
    for name, values in scores.items():
        column = np.where(diverged[:, None], np.nan, values[at])
        mean = column.mean(axis=1)
        ranked = np.where(np.isnan(mean), np.inf, -mean)
        columns |= {f"split{i}_test_{name}": one for i, one in enumerate(column.T)}
        columns |= {
            f"mean_test_{name}": mean,
            f"std_test_{name}": column.std(axis=1),
            f"rank_test_{name}": rankdata(ranked, method="min").astype(np.int32),
        }
    finite = np.isfinite(choice.losses)
    return {
        "params": params,
        **{f"param_{name}": _column(name, params) for name in params[0]},
        **columns,
        "selection_score": np.where(finite, -choice.losses, np.nan),
        "selection_standard_error": np.where(finite, choice.standard_errors, np.nan),
        "n_epochs": choice.n_epochs,
        "diverged": diverged,
        "diverged_epoch": np.where(diverged, history.is_bad.argmax(axis=1) + 1, 0),
        "iter": history.iteration,
        "n_resources": history.n_resources,
    }


def _column(name: str, params: list[dict[str, Any]]) -> np.ma.MaskedArray:
    values = np.array([one[name] for one in params], dtype=None if name == RATE else object)
    return np.ma.MaskedArray(values, mask=False)


def search_cost(result: SearchResult, execution: Execution, refit_epochs: int) -> dict[str, Any]:
    """Return ``search_cost_``: what was trained and how, and the seconds each part took.

    Parameters
    ----------
    result : SearchResult
        What the search found.
    execution : Execution
        How it was executed, and what that took.
    refit_epochs : int
        Epochs of all refits.
    """
    history, seconds = result.history, dict(execution.seconds)
    n_candidates, n_splits, n_epochs = history.recorded.shape
    member_epochs = int(seconds.pop("member_epochs"))
    return {
        "n_candidates": n_candidates,
        "n_splits": n_splits,
        "member_epochs": member_epochs,
        "refit_epochs": refit_epochs,
        "equivalent_single_fits": (member_epochs + refit_epochs) / n_epochs,
        "lane": ", ".join(dict.fromkeys(trained.lane for trained in history.trained)),
        "lane_reason": "; ".join(dict.fromkeys(trained.reason for trained in history.trained)),
        **{f"{name}_seconds": value for name, value in seconds.items()},
        **result.costs,
    }
