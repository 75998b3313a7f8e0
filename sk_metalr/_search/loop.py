"""The search: rounds of candidates, each trained rung by rung."""

from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from .._population import HeldOut, Population
from .._progress import PREFIX, Score, tell
from .._recorded import Recorded
from .._space import Candidates
from .._task import Task
from ..exceptions import AllDivergedError
from .base import BaseSearch, Problem
from .ensemble import Chosen, select
from .evaluation import Evaluation
from .execution import Execution, Run
from .history import History, Rung, lower_losses, surface_of
from .prepare import Prepared
from .scoring import Scoring
from .selection import Choice, choose
from .sweep import swept


@dataclass(frozen=True)
class SearchResult:
    """Result of a search: its history, the choice, and the models that are going to predict.

    Their mean prediction is divided by the temperature. `costs` are what the algorithm has counted,
    for ``search_cost_``.
    """

    history: History
    choice: Choice
    costs: dict[str, int]
    models: list[Chosen] = field(default_factory=list)
    temperature: float = 1.0


def run(
    algorithm: BaseSearch,
    prepared: Prepared,
    execution: Execution,
    n_candidates: int | None,
    random_state: np.random.RandomState,
) -> SearchResult:
    """Search the space of a fit by an algorithm; a sweep finds what the user left open."""
    checkpoint, space, evaluation = execution.checkpoint, prepared.space, prepared.evaluation
    if space.is_open:
        space = swept(space, evaluation, execution, prepared.data.baseline_loss)
    problem = Problem(
        space,
        prepared.space.is_open,
        n_candidates,
        evaluation.n_epochs,
        random_state,
        describe=lambda: prepared.situation,
        remember=(lambda name, value: value) if checkpoint is None else checkpoint.remember,
    )
    result = search(algorithm, problem, evaluation, prepared.scoring, execution)
    return with_models(result, prepared.n_models, prepared.data.task)


def with_models(result: SearchResult, n_models: int, task: Task) -> SearchResult:
    """Return a result with an ensemble where predictions were kept, or the one choice, repeated."""
    history, choice = result.history, result.choice
    if history.held_out is not None and history.surface is not None:
        models, temperature = select(
            task, history.held_out, history.surface, history.epochs_of_models, n_models
        )
        if models:
            return replace(result, models=models, temperature=temperature)
    return replace(result, models=[single(choice)] * n_models)


def single(choice: Choice) -> Chosen:
    """Return the model of a choice."""
    n_epochs, is_averaged = choice.n_epochs[choice.index], choice.is_averaged[choice.index]
    return Chosen(choice.index, int(n_epochs), bool(is_averaged), choice.temperature)


def search(
    algorithm: BaseSearch,
    problem: Problem,
    evaluation: Evaluation,
    scoring: Scoring,
    execution: Execution,
) -> SearchResult:
    """Search a strategy space: s* = argmax f(s, D).

    Raises AllDivergedError if no candidate kept a finite loss, ValueError if none has a score.
    """
    rounds = _Rounds(algorithm, evaluation, scoring, execution)
    history: History | None = None
    while (candidates := algorithm.propose(problem, history)) is not None:
        # A population is kept until there is the next one, which starts from the same models.
        history, _kept = rounds.train(candidates.sort(), history)
        is_complete = history.n_resources.max() == history.budget
        if not is_complete or not execution.has_time(history.budget):
            break
    if history is None:
        raise ValueError(f"{type(algorithm).__name__}.propose must propose candidates at first.")
    if history.is_diverged.all():
        lowest = history.candidates.learning_rates.min()
        raise AllDivergedError(
            f"Every candidate diverged, also the lowest learning rate tried ({lowest:.3g}). "
            f"Give lower learning_rates, such as scipy.stats.loguniform({lowest / 1e4:.0e}, "
            f"{lowest:.0e}), scale the features, or clip gradients."
            f"{evaluation.options.task.if_diverged}"
        )
    if history.choice is None:
        raise ValueError(
            "The scorer that chooses gave no number on some split, for no candidate; does it ask "
            "for every class in each split's held-out rows, or for predictions above 0?"
        )
    return SearchResult(history, history.choice, getattr(algorithm, "costs_", {}))


@dataclass(frozen=True)
class _Rounds:
    """Rounds of candidates, which an algorithm promotes from rung to rung."""

    algorithm: BaseSearch
    evaluation: Evaluation
    scoring: Scoring
    execution: Execution

    def train(self, candidates: Candidates, before: History | None) -> tuple[History, Population]:
        """Train until the algorithm, budget or time ends the round; add it to those before."""
        n, budget, worst_loss = len(candidates), self.evaluation.n_epochs, self.scoring.worst_loss
        n_rounds = 0 if before is None else before.n_rounds
        unseen = np.empty((n, len(self.evaluation.splits), 0))
        resources, staying = np.zeros(n, int), np.arange(n)
        rung = Rung(candidates, unseen, resources, staying, budget, n_rounds, worst_loss)
        has_rungs = type(self.algorithm).promote is not BaseSearch.promote
        adapts_rates = self.algorithm.adapts_rates
        population = self.evaluation.populate(
            candidates,
            n_workers=self.execution.n_workers,
            keeps_states=has_rungs or self.execution.trains_in_parts,
            adapts_rates=adapts_rates,
            keeps_predictions=self.evaluation.options.keeps_predictions and not adapts_rates,
        )
        trained = Run(population, self.execution)
        rung, until, iteration = self._begun(rung, trained)
        self._climb(rung, until, trained, iteration)
        trained.finish()
        history = History(
            candidates,
            self._settled(trained.recorded, budget),
            resources,
            iteration,
            n_rounds + 1,
            choice=None,
            baseline_loss=worst_loss,
            trained=population.trained,
            trajectories=population.trajectories if adapts_rates else None,
            held_out=population.held_out(),
        )
        if before is not None:
            history = _joined(before, history)
        return self._with_choice(history), population

    def _begun(self, rung: Rung, run: Run) -> tuple[Rung, int, np.ndarray]:
        """Train parts of the first epoch, for as long as the algorithm asks for them.

        Returns who is left, the next rung, and the last one that each reached: (n_candidates,), -1
        for none. Those that left count as trained for no epoch, or for the first where they had
        diverged.
        """
        n, resources, checkpoint = len(rung.candidates), rung.n_resources, self.execution.checkpoint
        name, iteration = f"first epoch of round {rung.n_rounds}", np.full(n, -1)
        if checkpoint is not None and run.population.n_epochs:  # it was saved after that
            known = checkpoint.remember(name, {})
            if not known:
                return rung, int(self._promoted(rung)[1]), iteration
            resources[:], iteration[:] = known["n_resources"], known["iteration"]
            rung = replace(
                rung, staying=known["staying"], steps_per_epoch=run.population.steps_per_epoch
            )
            return rung, known["until"], iteration
        if not self.algorithm.adapts_rates:
            rung = replace(rung, steps_per_epoch=run.population.steps_per_epoch)
        _, until = self._promoted(rung)
        parts: tuple[float, ...] = ()
        while until < 1:
            iteration[rung.staying] += 1
            told = f"search, {until:.0%} of the first epoch: {len(rung.staying)} of {n} candidates"
            parts = (*parts, until)
            seen = self._settled(run.train_part(until, told), len(parts))
            views = self.scoring.losses(seen)
            rung = replace(
                rung,
                losses=lower_losses(views),
                views=views,
                n_resources=iteration + 1,
                parts=parts,
            )
            staying, until = self._promoted(rung)
            if not len(staying):
                staying, until = rung.staying, 1  # all diverged, as the epoch is going to show
            run.keep(staying, ceil(until))
            rung = replace(rung, staying=staying)
        if not parts:
            return rung, int(until), iteration
        last = iteration[None, :, None, None]
        then = seen.map(lambda values: np.take_along_axis(values, last, axis=3))
        has_left = ~np.isin(np.arange(n), rung.staying)
        resources[has_left & ~np.isfinite(then.loss).all(axis=(1, 2))] = 1
        run.leave(has_left, then)
        if checkpoint is not None:
            known = {"staying": rung.staying, "until": int(until)}
            counted = {"n_resources": resources.copy(), "iteration": iteration.copy()}
            checkpoint.remember(name, known | counted)
        return replace(rung, n_resources=resources, parts=()), int(until), iteration

    def _climb(self, rung: Rung, until: int, trained: Run, iteration: np.ndarray) -> None:
        """Train from rung to rung; count in `iteration`, (n_candidates,), those that each reached.

        The epochs that each was trained for are written into ``rung.n_resources``.
        """
        n = len(rung.candidates)
        name = "search" if until == rung.budget else f"search, up to epoch {until}"
        if len(rung.staying) < n:
            name += f": {len(rung.staying)} of {n} candidates"
        while True:
            trained.train(until, name)
            done = trained.n_epochs
            rung.n_resources[rung.staying] = done
            iteration[rung.staying] += 1
            is_over = done < until or done == rung.budget  # out of time, or complete
            if is_over or not self.execution.has_time(done + 1):
                return
            seen = self._settled(trained.recorded, done)
            if self.execution.told is not None:
                tell(_best_so_far(self.execution.told, seen, rung))
            views = self.scoring.losses(seen)
            rung = replace(rung, losses=lower_losses(views), views=views)
            staying, then = self._promoted(rung)
            if not len(staying):
                return  # all diverged
            until = int(then)
            trained.keep(staying, until)
            rung = replace(rung, staying=staying)
            name = f"search, up to epoch {until}: {len(staying)} of {n} candidates"

    def _settled(self, recorded: Recorded | None, n_epochs: int) -> Recorded:
        """Return what was recorded, padded to `n_epochs`; NaN from where a member diverged on."""
        assert recorded is not None
        names = self.evaluation.options.task.recorded
        finite = np.all([np.isfinite(recorded[name]) for name in names], axis=0)
        diverged = np.logical_or.accumulate(~finite, axis=2)
        missing = [(0, 0)] * 3 + [(0, n_epochs - recorded.shape[-1])]

        def settled(values: np.ndarray) -> np.ndarray:
            values = np.where(diverged, np.nan, values)
            return np.pad(values, missing, constant_values=np.nan)

        return recorded.map(settled)

    def _promoted(self, rung: Rung) -> tuple[np.ndarray, float]:
        """Return who goes on and until when, or say what is wrong with the algorithm's answer."""
        staying, until = self.algorithm.promote(rung)
        staying = np.sort(np.asarray(staying, int))
        name = type(self.algorithm).__name__
        if not rung.n_trained < until <= rung.budget:
            raise ValueError(
                f"{name}.promote must return an epoch after {rung.n_trained}, up to the budget of "
                f"{rung.budget}. Got {until!r} instead."
            )
        if (until < 1 and not rung.steps_per_epoch) or (until > 1 and until != int(until)):
            raise ValueError(
                f"{name}.promote must return a whole epoch, or a share of the first one where "
                f"rung.steps_per_epoch is not 0. Got {until!r} instead."
            )
        lacks_some = len(staying) < len(rung.staying) and not rung.n_trained
        if lacks_some or not np.isin(staying, rung.staying).all():
            raise ValueError(
                f"{name}.promote must return positions out of rung.staying, all of them before the "
                f"first epoch. Got {staying.tolist()} out of {rung.staying.tolist()} instead."
            )
        return staying, until

    def _with_choice(self, history: History) -> History:
        """Return a history with the best candidate; with none where there is none."""
        views, candidates = self.scoring.losses(history.recorded), history.candidates
        if history.is_diverged.all() or not np.isfinite(views[0]).all(axis=1).any():
            return history
        n_resources = history.n_resources
        if not (~history.is_diverged & (n_resources > 0)).any():
            n_resources = np.maximum(1, n_resources)  # one that left in the first epoch is better
        surface = surface_of(candidates, views, n_resources, history.baseline_loss)
        choice = choose(surface, candidates.learning_rates, candidates.is_own)
        # The refit has no held-out rows to stop early on.
        rows = np.arange(len(candidates))
        n_epochs = history.epochs_of_models[rows, choice.n_epochs - 1]
        choice = replace(choice, n_epochs=n_epochs)
        temperature = self.scoring.temperature(history.recorded, choice)
        choice = replace(choice, temperature=temperature)
        return replace(history, choice=choice, surface=surface)


def _joined(before: History, found: History) -> History:
    """Return all candidates of two rounds, in order, without a choice."""
    candidates = Candidates.concat([before.candidates, found.candidates])
    order = candidates.order()
    last = np.full(len(found.iteration), before.iteration.max())
    trajectories = None
    if before.trajectories is not None and found.trajectories is not None:
        trajectories = np.concatenate([before.trajectories, found.trajectories])[order]
    trained = [*before.trained, *found.trained]
    held_out = None
    if before.held_out and found.held_out and before.held_out.epochs == found.held_out.epochs:
        held_out = HeldOut.concat([before.held_out, found.held_out]).take(order)
    return replace(
        found,
        candidates=candidates.take(order),
        recorded=Recorded.concat([before.recorded, found.recorded], axis=0).take(order, axis=0),
        n_resources=np.append(before.n_resources, found.n_resources)[order],
        iteration=np.append(before.iteration, last)[order],
        trained=[trained[position] for position in order],
        trajectories=trajectories,
        held_out=held_out,
    )


def _best_so_far(score: Score, recorded: Recorded, rung: Rung) -> str:
    """Say which of the candidates that are still there was the best, at any epoch so far."""
    last = rung.n_resources.max()
    is_there = rung.n_resources == last
    means = score.of(recorded.map(lambda values: values.mean(axis=2)))[is_there]
    best = np.where(np.isfinite(means), means, -np.inf).max(axis=1)
    if np.isneginf(best).all():
        return f"{PREFIX} epoch {last}: every candidate has diverged"
    rate = rung.candidates.learning_rates[is_there][best.argmax()]
    return (
        f"{PREFIX} up to epoch {last}: best mean {score.name} {best.max():.4f}, at learning rate "
        f"{rate:.3g}"
    )
