"""The search over a strategy space: candidates are trained and scored, and one is chosen.

The space may be left open (``learning_rates="auto"``): then a short sweep finds where it lies,
and it grows while the best learning rate is at its edge. Candidates that an experience proposed
are followed by others where they are not enough.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import loguniform

from .._progress import PREFIX, Score, tell
from .._refit import Evaluation
from .._space.space import Candidates, StrategySpace
from ..exceptions import AllDivergedError
from .rungs import Conduct, Record, Trainable, halving_search, random_search
from .selection import Choice, View, choose, survivors, usable_range

__all__ = ["Found", "Search", "explore"]

SWEPT_RATES = np.geomspace(1e-8, 1e3, 23)
"""What a sweep tries: two rates a decade."""

MAX_GROWTH = 4
"""How often a space grows: by a decade, or by one rate where candidates were proposed."""

MIN_NEW_CANDIDATES = 3

STEP_BEYOND = 0.5
"""How far beyond the outermost rate the next one is tried, in decades."""


@dataclass(frozen=True)
class Search:
    """How candidates are trained and compared; see ``MetaLRClassifier``."""

    kind: str
    factor: float
    min_epochs: int | None
    selection: str
    tune_epochs: bool
    conduct: Conduct


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    candidates : Candidates
        All that were tried.
    record : Record
        What was seen of them.
    choice : Choice
        Which is the best.
    trajectories : ndarray of shape (n_candidates, n_splits, n_epochs) or None
        Learning rate of each epoch; None where candidates do not move theirs.
    member_epochs : int
        Epochs trained, of all members, finding the space included.
    lanes : list of (str, str)
        For each optimizer of the space, how it was trained and why.
    uses_xla : list of bool
        For each of them, whether XLA compiled its training.
    seconds : dict of str to float
        Seconds spent compiling, training and scoring.
    """

    candidates: Candidates
    record: Record
    choice: Choice
    trajectories: np.ndarray | None
    member_epochs: int
    lanes: list[tuple[str, str]]
    uses_xla: list[bool]
    seconds: dict[str, float]


def explore(
    space: StrategySpace,
    candidates: Candidates | None,
    evaluation: Evaluation,
    view: View,
    search: Search,
    *,
    n_candidates: int,
    random_state: np.random.RandomState,
    spare: Candidates | None = None,
) -> Found:
    """Search a strategy space.

    Parameters
    ----------
    space : StrategySpace
        Where candidates come from.
    candidates : Candidates or None
        Drawn from it; None where it is left open, and candidates are drawn here.
    evaluation : Evaluation
        On what they are trained and scored.
    view : View
        What the choice looks at.
    search : Search
        How.
    n_candidates : int
        Learning rates to draw for each optimizer and schedule.
    random_state : numpy.random.RandomState
        Where the draw comes from.
    spare : Candidates or None
        Where candidates were proposed, others of the same optimizers and schedules: tried, too,
        where none of the former does better than always predicting the class frequencies. While
        the best is the outermost of those, one rate beyond it is tried.

    Raises
    ------
    AllDivergedError
        If no candidate kept a finite loss.
    ValueError
        If no candidate has a score.
    """
    is_open = candidates is None
    seconds: Counter[str] = Counter()
    member_epochs = 0
    if candidates is None:
        ranges, member_epochs = _swept_ranges(space, evaluation, view, search, seconds)
        space = space.over(ranges)
        candidates = space.sample(n_candidates, random_state)
    population = _populated(evaluation, space, candidates, search)
    record = _searched(population, evaluation.n_epochs, candidates, view, search)
    adapts = search.kind == "hypergradient"
    lanes, uses_xla = population.lanes, population.uses_xla
    trajectories = population.trajectories if adapts else None
    seconds.update(population.seconds)
    member_epochs += population.member_epochs
    choice = None
    if spare is None or not record.is_diverged.all():
        choice = _choice(candidates, record, view, search)
    grown = 0
    while (
        grown < MAX_GROWTH and record.is_complete and search.conduct.has_time(evaluation.n_epochs)
    ):
        more = None
        if spare is not None:
            more = _beside_proposed(space, candidates, choice, view, spare, is_first=not grown)
        elif is_open and choice is not None:
            more = _beyond_the_edge(candidates, choice.best, n_candidates, random_state)
        if more is None:
            break
        population = _populated(evaluation, space, more, search)
        try:
            more_record = random_search(population, evaluation.n_epochs, search.conduct)
        except KeyboardInterrupt:
            if not search.conduct.keeps_on_interrupt:
                raise
            break
        order = _order(candidates, more)
        if trajectories is not None:
            trajectories = np.concatenate([trajectories, population.trajectories])[order]
        record = _joined_records(record, more_record, order)
        candidates = _joined_candidates(candidates, more, order)
        seconds.update(population.seconds)
        member_epochs += population.member_epochs
        choice = _choice(candidates, record, view, search)
        grown += 1
    if choice is None:
        choice = _choice(candidates, record, view, search)
    return Found(
        candidates, record, choice, trajectories, member_epochs, lanes, uses_xla, dict(seconds)
    )


def _populated(
    evaluation: Evaluation, space: StrategySpace, candidates: Candidates, search: Search
) -> Any:
    """Return candidates on all splits, untrained."""
    population = evaluation.populate(
        space,
        candidates,
        keeps_states=search.kind == "halving" or search.conduct.keeps_states,
        adapts_rates=search.kind == "hypergradient",
        n_workers=search.conduct.n_workers,
    )
    return search.conduct.kept(population)


def _searched(
    population: Trainable, n_epochs: int, candidates: Candidates, view: View, search: Search
) -> Record:
    """Train and score all candidates."""
    if search.kind != "halving":
        return random_search(population, n_epochs, search.conduct)

    def who_stays(losses: np.ndarray, n_resources: np.ndarray, n_keep: int) -> np.ndarray:
        seen = view.losses(losses)
        if search.conduct.told is not None:
            tell(_best_so_far(search.conduct.told, losses, candidates, n_resources))
        return survivors(
            seen,
            candidates.learning_rates,
            n_resources,
            no_skill_loss=view.worst_loss,
            family=candidates.family,
            n_keep=n_keep,
            n_epochs=n_epochs,
        )

    return halving_search(
        population,
        n_epochs,
        who_stays,
        factor=search.factor,
        min_epochs=search.min_epochs,
        conduct=search.conduct,
    )


def _best_so_far(
    score: Score, losses: np.ndarray, candidates: Candidates, n_resources: np.ndarray
) -> str:
    """Say which of the candidates that are still there was the best, at any epoch so far."""
    last = n_resources.max()
    means = score.of(losses)[n_resources == last].mean(axis=1)
    means = np.where(np.isfinite(means), means, -np.inf)
    if np.isneginf(means).all():
        return f"{PREFIX} epoch {last}: every candidate has diverged"
    best, _ = np.unravel_index(means.argmax(), means.shape)
    rate = candidates.learning_rates[n_resources == last][best]
    return (
        f"{PREFIX} up to epoch {last}: best mean {score.name} {means.max():.4f}, at learning rate "
        f"{rate:.3g}"
    )


def _choice(candidates: Candidates, record: Record, view: View, search: Search) -> Choice:
    rates, losses = candidates.learning_rates, view.losses(record.losses)
    if record.is_diverged.all():
        raise AllDivergedError(
            f"Every candidate diverged, also the lowest learning rate tried ({rates.min():.3g}). "
            f"Give lower learning_rates, such as scipy.stats.loguniform({rates.min() / 1e4:.0e}, "
            f"{rates.min():.0e}), scale the features, or clip gradients."
        )
    if not np.isfinite(losses).all(axis=1).any():
        raise ValueError(
            "The scorer that chooses gave no number on some split, for no candidate; does it ask "
            "for every class in each split's held-out rows?"
        )
    return choose(
        losses,
        rates,
        no_skill_loss=view.worst_loss,
        family=candidates.family,
        n_resources=record.n_resources,
        selection=search.selection,
        tune_epochs=search.tune_epochs,
    )


def _has_no_skill(choice: Choice, view: View) -> bool:
    """Tell whether the best candidate does no better than the class frequencies."""
    return view.worst_loss is not None and choice.losses[choice.best] >= view.worst_loss


def _swept_ranges(
    space: StrategySpace,
    evaluation: Evaluation,
    view: View,
    search: Search,
    seconds: Counter[str],
) -> tuple[list[Any], int]:
    """Return a distribution of learning rates for each optimizer, and member-epochs it took.

    One epoch on one split.
    """
    n = len(SWEPT_RATES)
    ranges, member_epochs = [], 0
    for optimizer in range(len(space.optimizers)):
        swept = Candidates(SWEPT_RATES, np.full(n, optimizer), np.zeros(n, int))
        first = replace(evaluation, splits=evaluation.splits[:1])
        population = search.conduct.kept(first.populate(space, swept))
        with search.conduct.task("sweep of learning rates", population.n_groups) as step:
            losses = population.train(1, step)[0, :, 0, 0]
        seconds.update(population.seconds)
        member_epochs += population.member_epochs
        ranges.append(loguniform(*usable_range(SWEPT_RATES, losses, view.no_skill_loss)))
    return ranges, member_epochs


def _beyond_the_edge(
    candidates: Candidates, best: int, n_candidates: int, random_state: np.random.RandomState
) -> Candidates | None:
    """Draw candidates from the decade beyond the best one, if that is the outermost."""
    family = candidates.family == candidates.family[best]
    rates, edge = candidates.learning_rates[family], candidates.learning_rates[best]
    if len(rates) < 2 or rates.min() < edge < rates.max():
        return None
    low, high = (edge / 10, edge) if edge == rates.min() else (edge, edge * 10)
    decades = np.log10(rates.max() / rates.min())
    n = max(MIN_NEW_CANDIDATES, round(n_candidates / decades))
    # Away from the edge itself, where a candidate is already.
    parts = (np.arange(n) + random_state.uniform(0.25, 0.75, size=n)) / n
    drawn = np.sort(loguniform(low, high).ppf(parts))
    return Candidates(
        drawn,
        np.full(n, candidates.optimizer[best]),
        np.full(n, candidates.schedule[best]),
    )


def _beside_proposed(
    space: StrategySpace,
    candidates: Candidates,
    choice: Choice | None,
    view: View,
    spare: Candidates,
    is_first: bool,
) -> Candidates | None:
    """Return what to try beside candidates that were proposed, None where they are enough.

    At first, all of `spare` where they have no skill; else one rate beyond the best, where that is
    the outermost.
    """
    if choice is None or _has_no_skill(choice, view):
        return spare if is_first else None
    best = choice.best
    optimizer, schedule = candidates.optimizer[best], candidates.schedule[best]
    was_proposed = ((spare.optimizer == optimizer) & (spare.schedule == schedule)).any()
    rates = candidates.learning_rates[candidates.family == candidates.family[best]]
    edge = candidates.learning_rates[best]
    step = {rates.min(): -STEP_BEYOND, rates.max(): STEP_BEYOND}.get(edge, 0.0)
    beyond = np.clip(edge * 10**step, *space.bounds(int(optimizer)))
    if beyond == edge or len(rates) < 2 or not was_proposed:
        return None
    return Candidates(np.array([beyond]), np.array([optimizer]), np.array([schedule]))


def _order(candidates: Candidates, more: Candidates) -> np.ndarray:
    """Return the order of both, one after the other, that candidates are kept in."""
    return np.lexsort(
        (
            np.append(candidates.learning_rates, more.learning_rates),
            np.append(candidates.schedule, more.schedule),
            np.append(candidates.optimizer, more.optimizer),
        )
    )


def _joined_candidates(candidates: Candidates, more: Candidates, order: np.ndarray) -> Candidates:
    return Candidates(
        np.append(candidates.learning_rates, more.learning_rates)[order],
        np.append(candidates.optimizer, more.optimizer)[order],
        np.append(candidates.schedule, more.schedule)[order],
    )


def _joined_records(record: Record, more: Record, order: np.ndarray) -> Record:
    last = np.full(len(more.iteration), record.iteration.max())
    return Record(
        np.concatenate([record.losses, more.losses], axis=1)[:, order],
        np.append(record.n_resources, more.n_resources)[order],
        np.append(record.iteration, last)[order],
    )
