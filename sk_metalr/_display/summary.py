"""What people read after a fit: a line, and a box in the diagram of an estimator."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Block", "diagram", "outcome", "summary"]

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
