"""Outcome of a fit in words: a line of text, and a box in the diagram of an estimator."""

from dataclasses import dataclass
from typing import Any

from .._space import RATE


def outcome(fitted: Any) -> dict[str, str]:
    """Return what a fitted MetaLR estimator chose and what it cost, by name."""
    cost = fitted.search_cost_
    members = f"{cost['n_candidates']} candidates × {cost['n_splits']} splits"
    told = {
        **_chosen(fitted),
        "held-out score": f"{fitted.best_score_:.4f}",
        "search": f"{members} in {cost['search_seconds']:.1f} s",
    }
    if "n_records" in cost:  # the search has consulted an experience
        aside, drawn = cost["n_records_set_aside"], cost["n_drawn_at_random"]
        at_random = f", {drawn} candidates at random" if drawn else ""
        told["experience"] = f"{cost['n_records']} searches, {aside} more set aside{at_random}"
    return told | {"refit": f"{cost['refit_seconds']:.1f} s"}


def _chosen(fitted: Any) -> dict[str, str]:
    """Return the chosen strategy and number of epochs; the diagram shows them without a click."""
    low, high = fitted.learning_rate_interval_
    return {
        "learning rate": f"{fitted.best_learning_rate_:.3g} (within one standard error: "
        f"{low:.3g} … {high:.3g})",
        **{n: in_words(value) for n, value in fitted.best_params_.items() if n != RATE},
        "epochs": str(fitted.best_n_epochs_) + ", weights averaged" * fitted.uses_averages_,
    }


def in_words(value: Any) -> str:
    """Return the value of a parameter as people read it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def summary(fitted: Any) -> str:
    """Return :func:`outcome` as one line of text."""
    return ", ".join(f"{name} {value}" for name, value in outcome(fitted).items())


@dataclass
class Block:
    """A box in the HTML diagram of an estimator, with the attributes that scikit-learn reads.

    Attributes
    ----------
    kind : "serial" for a box of others below each other, "parallel" side by side, "single" of none
    estimators : list of the estimators or blocks inside the box, or None
    names, name_details : lists of labels, and of details that fold out of them, for each of these;
        or one str for the box itself
    name_caption : str or None, a line below the label of the box
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
    """Return the diagram of a MetaLR estimator: the estimator it wraps, and what it chose."""
    blocks: list[Any] = []
    wrapped = classifier.estimator
    if hasattr(wrapped, "get_params") and hasattr(wrapped, "fit"):
        label = f"estimator: {type(wrapped).__name__}"
        blocks.append(Block("parallel", [wrapped], [label], [str(wrapped)]))
    if hasattr(classifier, "search_cost_"):
        details = "\n".join(f"{name}: {value}" for name, value in outcome(classifier).items())
        caption = ", ".join(f"{name} {value}" for name, value in _chosen(classifier).items())
        blocks.append(Block("single", None, "chosen", details, caption))
    if not blocks:
        return Block("single", None, type(classifier).__name__, str(classifier))
    nameless = [None] * len(blocks)
    return Block("serial", blocks, nameless, nameless, dash_wrapped=False)
