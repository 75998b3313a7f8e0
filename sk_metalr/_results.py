"""Records of a search, in scikit-learn's form."""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from ._search import Record
from ._selection import Choice

__all__ = ["cv_results", "search_cost"]

RATE = "learning_rate"


def cv_results(record: Record, params: list[dict[str, Any]], choice: Choice) -> dict[str, Any]:
    """Return ``cv_results_``: one row a candidate, scores greater-is-better.

    Parameters
    ----------
    record : Record
        What the search saw.
    params : list of dict
        Parameters of each candidate, the same ones for all.
    choice : Choice
        What was chosen; its ``n_epochs`` say where each candidate is scored.

    Returns
    -------
    results : dict of str to ndarray of shape (n_candidates,) or list
        Scores are NaN and ranked last where a candidate diverged.
    """
    losses = record.losses[0]
    n_candidates, n_splits, n_epochs = losses.shape
    is_trained = np.arange(n_epochs) < record.n_resources[:, None]
    is_bad = ~np.isfinite(losses).all(axis=1) & is_trained
    diverged = is_bad.any(axis=1)
    scores = -losses[np.arange(n_candidates), :, choice.n_epochs - 1]
    scores[diverged] = np.nan
    mean = scores.mean(axis=1)
    rank = rankdata(np.where(diverged, np.inf, -mean), method="min").astype(np.int32)
    return {
        "params": params,
        **{
            f"param_{name}": np.ma.MaskedArray(
                np.array([one[name] for one in params], dtype=None if name == RATE else object),
                mask=False,
            )
            for name in params[0]
        },
        **{f"split{i}_test_score": scores[:, i] for i in range(n_splits)},
        "mean_test_score": mean,
        "std_test_score": scores.std(axis=1),
        "rank_test_score": rank,
        "selection_score": np.where(np.isfinite(choice.losses), -choice.losses, np.nan),
        "n_epochs": choice.n_epochs,
        "diverged": diverged,
        "diverged_epoch": np.where(diverged, is_bad.argmax(axis=1) + 1, 0),
        "iter": record.iteration,
        "n_resources": record.n_resources,
    }


def search_cost(
    record: Record,
    *,
    refit_epochs: int,
    lanes: dict[str, str],
    seconds: dict[str, float],
) -> dict[str, Any]:
    """Return ``search_cost_``: what was trained and how, and the seconds each part took."""
    _, n_candidates, n_splits, _ = record.losses.shape
    return {
        "n_candidates": n_candidates,
        "n_splits": n_splits,
        "member_epochs": int(record.n_resources.sum()) * n_splits,
        "refit_epochs": refit_epochs,
        **lanes,
        **{f"{part}_seconds": value for part, value in seconds.items()},
    }
