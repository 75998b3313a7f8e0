"""Comparison of what a fit recorded and delivered with ``Model.fit`` on fresh models."""

from typing import Any

import numpy as np

from . import _models as models
from ._base import BaseMetaLR
from ._population import check_not_forked, preserved_random_state, trained_by_keras
from ._refit import chosen_refit, step_rates
from ._search import Prepared
from ._space import RATE, Candidates


def verify(
    fitted: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    groups: Any = None,
    X_val: Any = None,
    y_val: Any = None,
    n_candidates: int = 3,
) -> dict[str, Any]:
    """Say how far a fit is from ``Model.fit``, which trains the same again on fresh models.

    Parameters
    ----------
    fitted : MetaLRClassifier or MetaLRRegressor
        Fitted in this process or unpickled; its parameters are as they were.
    X, y : array-like of shape (n_samples, n_features) or (n_samples, ...), and (n_samples,)
        The features and targets that it was fitted on.
    sample_weight, groups : array-like of shape (n_samples,), default=None
        Their weights and their groups, if there were any.
    X_val, y_val : array-like of shape (n_val, ...), and (n_val,), default=None
        The user's own validation rows and their labels, if there were any.
    n_candidates : int, default=3
        How many candidates to train again, spread over those that did not diverge, each on
        another split than the one before.

    Returns
    -------
    verification : dict
        ``candidates`` and ``splits``, which members were trained again;
        ``max_loss_difference``, of any epoch of their learning curves (of a classifier, in nats);
        and
        ``max_weight_difference``, of any weight of any refit, 0 where ``Model.fit`` did those.

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError
        If it is neither, or not fitted.
    ValueError
        If it was loaded from a file, or the data, or the rows that ``cv`` holds out, are not those
        that it was fitted on.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_metalr import MetaLRClassifier, verify
    >>> X, y = load_iris(return_X_y=True)
    >>> fitted = MetaLRClassifier(n_candidates=4, cv=0.2, random_state=0).fit(X, y)
    >>> verify(fitted, X, y, n_candidates=1)["max_loss_difference"] < 1e-4
    True
    """
    if not isinstance(fitted, BaseMetaLR):
        raise TypeError(
            "The 'fitted' parameter of verify must be a fitted MetaLRClassifier or "
            f"MetaLRRegressor. Got an object of type {type(fitted).__name__!r} instead; of a "
            "Pipeline, give its last step."
        )
    if n_candidates < 1:
        raise ValueError(
            "The 'n_candidates' parameter of verify must be an int of at least 1. Got "
            f"{n_candidates!r} instead."
        )
    check_not_forked()
    prepared = fitted._prepared_again(X, y, sample_weight, groups, (X_val, y_val))
    candidates = prepared.space.named(fitted.cv_results_["params"])
    results = fitted.cv_results_
    # What left during the first epoch was not trained for any.
    sound = np.flatnonzero(~results["diverged"] & (results["n_resources"] > 0))
    at = np.linspace(0, len(sound) - 1, min(n_candidates, len(sound)))
    rows = sound[np.unique(at.round().astype(int))]
    splits = np.arange(len(rows)) % len(prepared.evaluation.splits)
    with preserved_random_state():
        differences = [
            _loss_difference(fitted, prepared, candidates, int(row), int(split))
            for row, split in zip(rows, splits, strict=True)
        ]
    return {
        "candidates": rows.tolist(),
        "splits": splits.tolist(),
        "max_loss_difference": float(max(differences, default=0.0)),
        "max_weight_difference": _weight_difference(fitted, prepared),
    }


def _weight_difference(fitted: Any, prepared: Prepared) -> float:
    """Return how far refitted weights are from those of ``Model.fit``."""
    refitted = getattr(fitted, "_refitted", None)
    if refitted is None or refitted.by_keras:
        return 0.0
    models_of_keras = chosen_refit(fitted, prepared).train_by_keras(refitted.uses_xla)
    differences = [
        _largest_difference(mine.numpy(), theirs)
        for one, variables in zip(fitted.estimators_, models_of_keras, strict=True)
        for mine, theirs in zip(one.model_.variables, variables, strict=True)
        if np.issubdtype(theirs.dtype, np.floating)
    ]
    return float(max(differences, default=0.0))


def _largest_difference(mine: np.ndarray, theirs: np.ndarray) -> float:
    """Return how far arrays of one shape are from each other, where they are not infinite alike."""
    is_apart = mine != theirs
    return float(np.abs(mine[is_apart] - theirs[is_apart]).max(initial=0.0))


def _loss_difference(
    fitted: Any, prepared: Prepared, candidates: Candidates, row: int, split: int
) -> float:
    """Return how far the recorded curve of a member is from that of ``Model.fit``."""
    strategy, evaluation = candidates.strategy(row), prepared.evaluation
    setup = evaluation.setups(strategy.settings, {split})[split]
    recorded = fitted.learning_curves_[row, split]
    n_epochs = int(np.isfinite(recorded).sum())
    if setup.stops and n_epochs > 1:  # after an early stop, its loss is repeated
        changes = np.flatnonzero(np.diff(recorded[:n_epochs]))
        n_epochs = int(changes[-1]) + 1 if len(changes) else 1
    rates = step_rates(strategy, evaluation.n_epochs, setup)
    if hasattr(fitted, "learning_rate_trajectories_"):
        moved = fitted.learning_rate_trajectories_[row, split] / strategy.learning_rate
        rates = rates * moved[:, None]
    losses, _ = trained_by_keras(
        setup,
        {RATE: rates[:n_epochs]},
        task=models.suited(prepared.data.task, setup.model),
        shuffle=evaluation.plan.shuffle,
        uses_xla=fitted._uses_xla[row],
    )
    return float(np.abs(losses - recorded[:n_epochs]).max())
