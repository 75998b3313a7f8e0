"""The search: rounds of candidates, each trained rung by rung."""

from dataclasses import dataclass, replace

import numpy as np

from .._population import Population
from .._progress import PREFIX, Score, tell
from .._recorded import Recorded
from .._space import Candidates, StrategySpace
from .._task import Classification
from ..exceptions import AllDivergedError
from .base import BaseSearch, Problem
from .evaluation import Evaluation
from .execution import Execution, Run
from .history import History, Rung
from .prepare import Prepared
from .scoring import Scoring
from .selection import Choice, choose
from .surface import response_surface
from .sweep import swept


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Attributes
    ----------
    space : StrategySpace
        Where candidates came from.
    history : History
        All candidates that were tried, and what was seen of them.
    choice : Choice
        Which of them is the best.
    costs : dict of str to int
        What the algorithm says about its candidates.
    """

    space: StrategySpace
    history: History
    choice: Choice
    costs: dict[str, int]


def run(
    algorithm: BaseSearch,
    prepared: Prepared,
    execution: Execution,
    n_candidates: int | None,
    random_state: np.random.RandomState,
) -> SearchResult:
    """Search the space of a fit by an algorithm; a sweep finds what the user left open.

    Parameters
    ----------
    algorithm : BaseSearch
    prepared : Prepared
        The fit.
    execution : Execution
    n_candidates : int or None
        How many candidates to try in all.
    random_state : numpy.random.RandomState
        Where draws come from.
    """
    checkpoint, space = execution.checkpoint, prepared.space
    if space.is_open:
        space = swept(space, prepared.evaluation, execution, prepared.data.baseline_loss)
    problem = Problem(
        space,
        prepared.space.is_open,
        n_candidates,
        prepared.evaluation.n_epochs,
        random_state,
        describe=lambda: prepared.situation,
        remember=(lambda name, value: value) if checkpoint is None else checkpoint.remember,
    )
    return search(algorithm, problem, prepared.evaluation, prepared.scoring, execution)


def search(
    algorithm: BaseSearch,
    problem: Problem,
    evaluation: Evaluation,
    scoring: Scoring,
    execution: Execution,
) -> SearchResult:
    """Search a strategy space: s* = argmax f(s, D).

    Parameters
    ----------
    algorithm : BaseSearch
        What proposes candidates, and promotes them.
    problem : Problem
        What it is told: the space, and how many candidates to try.
    evaluation : Evaluation
        On what candidates are trained and scored.
    scoring : Scoring
        What the choice is made on.
    execution : Execution
        How.

    Raises
    ------
    AllDivergedError
        If no candidate kept a finite loss.
    ValueError
        If no candidate has a score.
    """
    history: History | None = None
    while (candidates := algorithm.propose(problem, history)) is not None:
        # A population is kept until there is the next one, which starts from the same models.
        found, _kept = _round(algorithm, candidates.sort(), evaluation, scoring, execution, history)
        history = found if history is None else _joined(history, found, scoring)
        if not (history.is_complete and execution.has_time(history.budget)):
            break
    if history is None:
        raise ValueError(f"{type(algorithm).__name__}.propose must propose candidates at first.")
    if history.choice is None:
        raise _nothing_to_choose(history)
    costs = getattr(algorithm, "costs_", {})
    return SearchResult(problem.space, history, history.choice, costs)


def _round(
    algorithm: BaseSearch,
    candidates: Candidates,
    evaluation: Evaluation,
    scoring: Scoring,
    execution: Execution,
    before: History | None,
) -> tuple[History, Population]:
    """Train candidates until the algorithm lets none go on, or their budget or the time ends."""
    n = len(candidates)
    rung = Rung(
        candidates,
        np.empty((n, len(evaluation.splits), 0)),
        np.zeros(n, int),
        np.arange(n),
        evaluation.n_epochs,
        0 if before is None else before.n_rounds,
        scoring.worst_loss,
    )
    _, until = _promoted(algorithm, rung)
    population = evaluation.populate(
        candidates,
        n_workers=execution.n_workers,
        keeps_states=until < rung.budget or execution.trains_in_parts,
        adapts_rates=algorithm.adapts_rates,
    )
    trained = execution.begin(population)
    iteration = _climbed(algorithm, rung, until, trained, scoring, execution)
    trained.finish()
    history = History(
        candidates,
        _settled(trained, rung.budget),
        rung.n_resources,
        iteration,
        rung.n_rounds + 1,
        None,
        scoring.worst_loss,
        population.trained,
        population.trajectories if algorithm.adapts_rates else None,
    )
    return _with_choice(history, scoring), population


def _climbed(
    algorithm: BaseSearch,
    rung: Rung,
    until: int,
    trained: Run,
    scoring: Scoring,
    execution: Execution,
) -> np.ndarray:
    """Train from rung to rung; return the last one that each candidate reached: (n_candidates,).

    The epochs that each was trained for are written into ``rung.n_resources``.
    """
    n, number = len(rung.candidates), 0
    iteration = np.zeros(n, int)
    name = "search" if until == rung.budget else f"search, up to epoch {until}"
    while True:
        trained.train(until, name)
        done = trained.n_epochs
        rung.n_resources[rung.staying], iteration[rung.staying] = done, number
        is_over = done < until or done == rung.budget  # out of time, or complete
        if is_over or not execution.has_time(done + 1):
            return iteration
        seen = _settled(trained, done)
        if execution.told is not None:
            tell(_best_so_far(execution.told, seen, rung.candidates, rung.n_resources))
        rung = replace(rung, losses=scoring.losses(seen))
        staying, until = _promoted(algorithm, rung)
        if not len(staying):
            return iteration  # all diverged
        trained.keep(staying)
        rung, number = replace(rung, staying=staying), number + 1
        name = f"search, up to epoch {until}: {len(staying)} of {n} candidates"


def _promoted(algorithm: BaseSearch, rung: Rung) -> tuple[np.ndarray, int]:
    """Return who goes on and until when, or say what is wrong with the answer of an algorithm."""
    staying, until = algorithm.promote(rung)
    staying = np.sort(np.asarray(staying, int))
    name = type(algorithm).__name__
    if not rung.n_trained < until <= rung.budget:
        raise ValueError(
            f"{name}.promote must return an epoch after {rung.n_trained}, up to the budget of "
            f"{rung.budget}. Got {until!r} instead."
        )
    if not np.isin(staying, rung.staying).all() or (
        not rung.n_trained and len(staying) < len(rung.staying)
    ):
        raise ValueError(
            f"{name}.promote must return positions out of rung.staying, all of them before the "
            f"first epoch. Got {staying.tolist()} out of {rung.staying.tolist()} instead."
        )
    return staying, int(until)


def _settled(run: Run, n_epochs: int) -> Recorded:
    """Return what was recorded, padded to `n_epochs`; NaN from where a member has diverged on."""
    assert run.recorded is not None
    recorded = run.recorded
    finite = np.all([np.isfinite(recorded[name]) for name in Classification.recorded], axis=0)
    diverged = np.logical_or.accumulate(~finite, axis=2)
    missing = [(0, 0)] * 3 + [(0, n_epochs - recorded.shape[-1])]
    return recorded.map(
        lambda values: np.pad(np.where(diverged, np.nan, values), missing, constant_values=np.nan)
    )


def _joined(before: History, found: History, scoring: Scoring) -> History:
    """Return all candidates of two rounds, in order."""
    candidates = Candidates.concat([before.candidates, found.candidates])
    order = candidates.order()
    last = np.full(len(found.iteration), before.iteration.max())
    trajectories = None
    if before.trajectories is not None and found.trajectories is not None:
        trajectories = np.concatenate([before.trajectories, found.trajectories])[order]
    trained = [*before.trained, *found.trained]
    return _with_choice(
        replace(
            before,
            candidates=candidates.take(order),
            recorded=Recorded.concat([before.recorded, found.recorded], axis=0).take(order, axis=0),
            n_resources=np.append(before.n_resources, found.n_resources)[order],
            iteration=np.append(before.iteration, last)[order],
            n_rounds=found.n_rounds,
            trained=[trained[position] for position in order],
            trajectories=trajectories,
        ),
        scoring,
    )


def _with_choice(history: History, scoring: Scoring) -> History:
    """Return a history with the best candidate; with none where there is none."""
    losses = scoring.losses(history.recorded)
    if history.is_diverged.all() or not np.isfinite(losses).all(axis=1).any():
        return replace(history, choice=None)
    surface = response_surface(
        losses,
        history.candidates.learning_rates,
        baseline_loss=history.baseline_loss,
        family=history.candidates.families,
        n_resources=history.n_resources,
    )
    return replace(history, choice=choose(surface, history.candidates.learning_rates))


def _nothing_to_choose(history: History) -> ValueError:
    if not history.is_diverged.all():
        return ValueError(
            "The scorer that chooses gave no number on some split, for no candidate; does it ask "
            "for every class in each split's held-out rows?"
        )
    lowest = history.candidates.learning_rates.min()
    return AllDivergedError(
        f"Every candidate diverged, also the lowest learning rate tried ({lowest:.3g}). "
        f"Give lower learning_rates, such as scipy.stats.loguniform({lowest / 1e4:.0e}, "
        f"{lowest:.0e}), scale the features, or clip gradients."
    )


def _best_so_far(
    score: Score, recorded: Recorded, candidates: Candidates, n_resources: np.ndarray
) -> str:
    """Say which of the candidates that are still there was the best, at any epoch so far."""
    last = n_resources.max()
    means = score.of(recorded)[n_resources == last].mean(axis=1)
    means = np.where(np.isfinite(means), means, -np.inf)
    if np.isneginf(means).all():
        return f"{PREFIX} epoch {last}: every candidate has diverged"
    best, _ = np.unravel_index(means.argmax(), means.shape)
    rate = candidates.learning_rates[n_resources == last][best]
    return (
        f"{PREFIX} up to epoch {last}: best mean {score.name} {means.max():.4f}, at learning rate "
        f"{rate:.3g}"
    )
