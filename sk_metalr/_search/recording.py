"""Records of a finished search, for those to come."""

from typing import Any

import numpy as np

from .._experience import ExperienceRecord, provenance
from .prepare import Prepared
from .surface import response_surface


def finished_searches(fitted: Any, prepared: Prepared) -> list[ExperienceRecord]:
    """Return what there is to record of a search: its curve for each optimizer and schedule.

    Candidates that were not trained for the whole budget are left out.

    Parameters
    ----------
    fitted : MetaLRClassifier
        Fitted.
    prepared : Prepared
        What its fit began with.
    """
    results, losses = fitted.cv_results_, fitted.laplace_learning_curves_
    candidates = prepared.space.named(results["params"])
    budget = losses.shape[2]
    n_resources = results.get("n_resources", np.isfinite(losses).any(axis=(0, 1)).sum())
    n_resources = np.broadcast_to(n_resources, len(candidates))
    surface = response_surface(
        losses,
        candidates.learning_rates,
        baseline_loss=fitted.baseline_loss_,
        family=candidates.families,
        n_resources=n_resources,
    )
    epochs, curve = surface.lowest
    errors = np.where(np.isfinite(curve), surface.standard_errors, np.inf)
    went_on = n_resources == budget
    records = []
    for family in np.unique(candidates.families[went_on]):
        (mine,) = np.nonzero((candidates.families == family) & went_on)
        records.append(
            ExperienceRecord(
                prepared.situation.rows,
                prepared.situation.features(candidates.strategy(int(mine[0]))),
                candidates.learning_rates[mine],
                curve[mine],
                errors[mine],
                epochs[mine] + 1,
                fitted.baseline_loss_,
                provenance=provenance(),
            )
        )
    return records
