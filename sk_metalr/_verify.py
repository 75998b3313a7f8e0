"""Comparison of what a fit recorded and delivered with ``Model.fit`` on fresh models."""

from typing import Any

import numpy as np

from . import _models as wrapped
from ._population import SplitTask, preserved_random_state, trained_by_keras
from ._refit import Evaluation, Refits, split_tasks
from ._search.explore import Found
from ._space.space import StrategySpace

__all__ = ["verify"]


def verify(
    space: StrategySpace,
    found: Found,
    evaluation: Evaluation,
    n_candidates: int,
    refits: Refits | None,
    refitted: list[list[np.ndarray]],
) -> dict[str, Any]:
    """Say how far recorded curves and refitted weights are from those of ``Model.fit``.

    Parameters
    ----------
    space, found, evaluation
        A search and what it found.
    n_candidates : int
        How many candidates to train again, spread over those that did not diverge, each on
        another split than the one before.
    refits : Refits or None
        The refits.
    refitted : list of list of ndarray
        Variables of the same refits by ``Model.fit``; none where that trained them.

    Returns
    -------
    verification : dict
        ``candidates`` and ``splits``, which members were trained again;
        ``max_loss_difference``, of any epoch of their recorded curves, in nats; and
        ``max_weight_difference``, of any weight of any refit, 0 where ``Model.fit`` did those.
    """
    (sound,) = np.nonzero(~found.record.is_diverged)
    at = np.linspace(0, len(sound) - 1, min(n_candidates, len(sound)))
    rows = sound[np.unique(at.round().astype(int))]
    splits = np.arange(len(rows)) % len(evaluation.splits)
    with preserved_random_state():
        differences = [
            _loss_difference(space, found, evaluation, int(row), int(split))
            for row, split in zip(rows, splits, strict=True)
        ]
    weights = [
        np.abs(mine.numpy() - theirs).max(initial=0.0)
        for one, values in zip(refits.fitted if refits else [], refitted, strict=False)
        for mine, theirs in zip(one.model_.variables, values, strict=True)
        if np.issubdtype(theirs.dtype, np.floating)
    ]
    return {
        "candidates": rows.tolist(),
        "splits": splits.tolist(),
        "max_loss_difference": float(max(differences)),
        "max_weight_difference": float(max(weights, default=0.0)),
    }


def _loss_difference(
    space: StrategySpace, found: Found, evaluation: Evaluation, row: int, split: int
) -> float:
    """Return how far the recorded curve of a member is from that of ``Model.fit``, in nats."""
    strategy = space.strategy(found.candidates, row)
    plan = evaluation.plan
    task = split_tasks(
        evaluation.estimator,
        plan,
        evaluation.data,
        evaluation.splits,
        evaluation.seed,
        strategy.optimizer,
        {split},
    )[split]
    recorded = found.record.losses[0, row, split]
    n_epochs = _epochs_trained(task, recorded)
    factors = strategy.schedule.factors(plan.n_epochs * task.steps_per_epoch)
    rates = strategy.learning_rate * factors.reshape(plan.n_epochs, -1)
    if found.trajectories is not None:
        moved = found.trajectories[row, split] / strategy.learning_rate
        rates = rates * moved[:, None]
    losses, _ = trained_by_keras(
        task,
        rates[:n_epochs],
        shuffle=plan.shuffle,
        from_logits=wrapped.has_logits(task.model),
        uses_xla=found.uses_xla[found.candidates.optimizer[row]],
    )
    return float(np.abs(losses - recorded[:n_epochs]).max())


def _epochs_trained(task: SplitTask, recorded: np.ndarray) -> int:
    """Return how many epochs of a curve were trained; what is after an early stop is repeated."""
    n_epochs = int(np.isfinite(recorded).sum())
    if not task.stops or n_epochs < 2:
        return n_epochs
    changes = np.flatnonzero(np.diff(recorded[:n_epochs]))
    return int(changes[-1]) + 1 if len(changes) else 1
