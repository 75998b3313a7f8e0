"""Results of a search, in scikit-learn's form, and as records for searches to come."""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np
from scipy.stats import rankdata

from .._experience import ExperienceRecord, provenance
from .._space import LEVEL_OF, UNSET, Candidates, plain
from .execution import Execution
from .history import History, surface_of
from .loop import SearchResult
from .prepare import Prepared
from .selection import Choice


class SearchResultsMixin:
    """Marks estimators that hold a search's results, for displays to find inside of others."""


def cv_results(
    history: History, choice: Choice, scores: Sequence[dict[str, np.ndarray]]
) -> dict[str, Any]:
    """Return ``cv_results_``, columns of shape (n_candidates,) by name.

    Each candidate is scored at the epoch that the choice names. The scores of weights, and of
    their averages where there are some, by name and of shape (n_candidates, n_splits, n_epochs),
    are greater-is-better; where a candidate diverged, those in the results are NaN and ranked last.
    """
    params, diverged = history.candidates.params(), history.is_diverged
    at = (np.arange(len(params)), slice(None), choice.n_epochs - 1)
    columns: dict[str, np.ndarray] = {}
    for name, column in history.candidates.columns.items():
        if name in history.candidates.levels:
            named, mask = np.empty(len(params), object), False
            named[:] = [one[name] for one in params]
        else:
            named, mask = column, np.isnan(column)
        columns[f"param_{name}"] = np.ma.MaskedArray(named, mask=mask)
    for name, values in scores[0].items():
        column = np.where(choice.is_averaged[:, None], scores[-1][name][at], values[at])
        column = np.where(diverged[:, None], np.nan, column)
        mean = column.mean(axis=1)
        ranked = np.where(np.isnan(mean), np.inf, -mean)
        columns |= {f"split{i}_test_{name}": one for i, one in enumerate(column.T)}
        columns[f"mean_test_{name}"] = mean
        columns[f"std_test_{name}"] = column.std(axis=1)
        columns[f"rank_test_{name}"] = rankdata(ranked, method="min").astype(np.int32)
    losses, is_early = choice.losses.copy(), history.n_resources == 0
    if is_early.any() and history.surface is not None:  # they left before there was a smoothed one
        losses[is_early] = history.surface.compressed[is_early, :, 0].mean(axis=1)
    finite = np.isfinite(losses)
    return {
        "params": params,
        **columns,
        "selection_score": np.where(finite, -losses, np.nan),
        "selection_standard_error": np.where(finite, choice.standard_errors, np.nan),
        "n_epochs": choice.n_epochs,
        "averaged": choice.is_averaged,
        "diverged": diverged,
        "diverged_epoch": np.where(diverged, history.is_bad.argmax(axis=1) + 1, 0),
        "iter": history.iteration,
        "n_resources": history.n_resources,
    }


def search_cost(result: SearchResult, execution: Execution, is_refitted: bool) -> dict[str, Any]:
    """Return ``search_cost_``: what was trained, refits included, how, and in which time."""
    refit_epochs = sum(model.n_epochs for model in result.models) if is_refitted else 0
    history, seconds = result.history, dict(execution.seconds)
    n_candidates, n_splits, n_epochs = history.recorded.shape
    member_epochs = ceil(round(seconds.pop("member_epochs"), 6))
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


def _kinds(candidates: Candidates) -> Iterator[np.ndarray]:
    """Yield columns (n_candidates,) that are equal among candidates of one record: the optimizers
    and schedules, and of each other parameter, whether a candidate has it.
    """
    for name, column in candidates.columns.items():
        levels = candidates.levels.get(name)
        if name in LEVEL_OF:
            yield column
        elif levels is None:
            yield np.isnan(column)
        else:
            yield np.isin(column, [i for i, level in enumerate(levels) if level is UNSET])


def finished_searches(fitted: Any, prepared: Prepared) -> list[ExperienceRecord]:
    """Return what there is to record of a search: its candidates of each optimizer and schedule.

    Those that were not trained for the whole budget are left out.
    """
    losses, n_resources = fitted._smoothed_curves, fitted.cv_results_["n_resources"]
    candidates = prepared.space.named(fitted.cv_results_["params"])
    surface = surface_of(candidates, [losses], n_resources, fitted.baseline_loss_)
    epochs, curve = surface.lowest
    errors = np.where(np.isfinite(curve), surface.standard_errors, np.inf)
    went_on = n_resources == losses.shape[2]
    family = candidates.numbered([*_kinds(candidates)])
    records = []
    for number in np.unique(family[went_on]):
        (mine,) = np.nonzero((family == number) & went_on)
        params = [candidates.strategy(int(at)).params for at in mine]
        record = ExperienceRecord(
            prepared.situation.rows,
            prepared.situation.features(candidates.strategy(int(mine[0]))),
            candidates.learning_rates[mine],
            curve[mine],
            errors[mine],
            epochs[mine] + 1,
            fitted.baseline_loss_,
            provenance=provenance(),
            others={
                name: [plain(one[name]) for one in params]
                for name in prepared.space.others
                if name in params[0]
            },
        )
        records.append(record)
    return records
