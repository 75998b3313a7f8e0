"""What people read after a fit: a line, a table, and reasons for doubt."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .._search.explore import Found
from .._search.results import (
    budget_message,
    edge_message,
    no_skill_message,
    off_scale,
    scale_message,
)
from .._search.selection import View
from ..exceptions import (
    BudgetWarning,
    EdgeOfSpaceWarning,
    InterruptedSearchWarning,
    NoSkillWarning,
    ScaleWarning,
)

__all__ = ["Block", "diagram", "doubts", "outcome", "summary"]

NAMED = "optimizer", "schedule"
CAPTION = "learning rate", *NAMED, "epochs"
"""Parts of the outcome that the diagram shows without a click."""


def outcome(fitted: Any) -> dict[str, str]:
    """Return what a fitted MetaLRClassifier chose and what it cost, by name."""
    low, high = fitted.learning_rate_interval_
    cost = fitted.search_cost_
    return {
        "learning rate": f"{fitted.best_learning_rate_:.3g} (within one standard error: "
        f"{low:.3g} … {high:.3g})",
        **{name: str(fitted.best_params_[name]) for name in NAMED if name in fitted.best_params_},
        "epochs": str(fitted.best_n_epochs_),
        "held-out score": f"{fitted.best_score_:.4f}",
        "search": f"{cost['n_candidates']} candidates × {cost['n_splits']} splits in "
        f"{cost['search_seconds']:.1f} s",
        **_experience(cost),
        "refit": f"{cost['refit_seconds']:.1f} s",
    }


def _experience(cost: dict[str, Any]) -> dict[str, str]:
    """Return what a search was told by the experience, where it asked."""
    if "n_records" not in cost:
        return {}
    aside, drawn = cost["n_records_set_aside"], cost["n_drawn_at_random"]
    told = f"{cost['n_records']} searches, {aside} more set aside"
    return {"experience": told + (f", {drawn} candidates at random" if drawn else "")}


def summary(fitted: Any) -> str:
    """Return :func:`outcome` in a line."""
    return ", ".join(f"{name} {value}" for name, value in outcome(fitted).items())


@dataclass
class Block:
    """A box of the diagram of an estimator in HTML, with the attributes that scikit-learn reads.

    Attributes
    ----------
    kind : {"serial", "parallel", "single"}
        Whether the box holds others, below or beside each other.
    estimators : list or None
        What it holds: estimators, or blocks.
    names, name_details : list of (str or None), or str
        Labels, and what folds out of them: of each thing that it holds, or its own.
    name_caption : str or None
        A line below its own label.
    """

    kind: str
    estimators: list[Any] | None = None
    names: Any = None
    name_details: Any = None
    name_caption: str | None = None
    doc_link_label: str | None = None
    dash_wrapped: bool = True

    def _sk_visual_block_(self) -> "Block":
        return self


def diagram(classifier: Any) -> Block:
    """Return the diagram of a MetaLRClassifier: what it wraps, and what was chosen."""
    blocks: list[Any] = []
    wrapped = classifier.estimator
    if hasattr(wrapped, "get_params") and hasattr(wrapped, "fit"):
        label = f"estimator: {type(wrapped).__name__}"
        blocks.append(Block("parallel", [wrapped], [label], [str(wrapped)]))
    if hasattr(classifier, "search_cost_"):
        chosen = outcome(classifier)
        details = "\n".join(f"{name}: {value}" for name, value in chosen.items())
        caption = ", ".join(f"{name} {chosen[name]}" for name in CAPTION if name in chosen)
        blocks.append(Block("single", None, "chosen", details, caption))
    if not blocks:
        return Block("single", None, type(classifier).__name__, str(classifier))
    nameless = [None] * len(blocks)
    return Block("serial", blocks, nameless, nameless, dash_wrapped=False)


def doubts(found: Found, view: View, feature_scale: float) -> Iterator[UserWarning]:
    """Yield reasons to doubt what a search found.

    Parameters
    ----------
    found : Found
        What it found.
    view : View
        What the choice looked at.
    feature_scale : float
        Largest root mean square of a feature.
    """
    n_epochs, n_seen = found.record.losses.shape[-1], found.record.n_resources.max()
    if n_seen < n_epochs:
        yield InterruptedSearchWarning(
            f"The search ended after {n_seen} of {n_epochs} epochs, interrupted or out of time; "
            "the choice was made on these."
        )
    family, index = found.candidates.family, found.choice.best
    rates = found.candidates.learning_rates
    at_edge = edge_message(rates[index], rates[family == family[index]])
    if at_edge:
        yield EdgeOfSpaceWarning(at_edge)
    losses, worst = found.record.losses[0], view.no_skill_loss
    how = off_scale(feature_scale, losses, rates, worst)
    no_skill = ""
    if view.worst_loss is not None:
        no_skill = no_skill_message(found.choice.losses[index], worst, how)
    chosen = found.choice.index
    n_chosen = found.choice.n_epochs[chosen]
    harm = scale_message(how, losses[chosen, :, n_chosen - 1].mean(), worst, feature_scale)
    if no_skill:
        yield NoSkillWarning(no_skill)
    elif harm:
        yield ScaleWarning(harm)
    too_short = budget_message(losses, chosen, n_chosen, worst)
    if too_short:
        yield BudgetWarning(too_short)
