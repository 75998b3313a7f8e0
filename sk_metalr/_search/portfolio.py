"""Search among strategies that were good on other tasks."""

from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .._experience import (
    Experience,
    ExperienceRecord,
    JointProposal,
    Proposal,
    joint_proposal,
    proposal,
)
from .._experience.fingerprint import shares_rows
from .._progress import warn
from .._space import (
    IS_OWN,
    N_CANDIDATES,
    N_JOINT_CANDIDATES,
    RATE,
    Candidates,
    StrategySpace,
    draw,
    packed,
    unpacked,
)
from ..exceptions import ExperienceWarning
from .base import BaseSearch, Problem
from .history import History
from .random import MAX_GROWTH

N_PROPOSED, N_JOINT_PROPOSED = 4, 8
"""Number of learning rates that are proposed for each optimizer and schedule, by default, and of
strategies where other hyperparameters are searched, too."""

STEPS_BEYOND = np.array([0.5, 1.0, 1.5])
"""Distances of further rates beyond the outermost one, in decades. Three train in a group that
takes hardly longer than one."""


class Portfolio(BaseSearch):
    """A few strategies, at least one of which was good on every earlier task, or nearly so.

    They are four learning rates for each optimizer and schedule. Where other hyperparameters are
    searched, too, they are eight strategies for each, but 32 in all at most; two of eight differ
    from the estimator in their rate alone. Only searches of the same parameters, by name, tell of
    them.

    Finished searches of tasks like this one count for more. Where there were none like it,
    candidates are drawn at random, as many as for random search, and a warning says so. Where the
    few do no better than the class frequencies, others are drawn, too. While the best of learning
    rates is the outermost, further ones are tried. (Both only where ``n_candidates`` is None.)

    Parameters
    ----------
    experience : "default", str, os.PathLike or Experience, default="default"
        Finished searches: those that come with this package, a file, or an :class:`Experience`.
        Those whose rows are also among these, or that seem to be of another fold of the same
        table, are set aside.

    References
    ----------
    Feurer et al., "Auto-sklearn 2.0: hands-free AutoML via meta-learning", 2022,
    arXiv:2007.04074, section 3.1.

    Examples
    --------
    >>> from sk_metalr import MetaLRClassifier, Portfolio
    >>> MetaLRClassifier(search=Portfolio("experience.jsonl"))
    MetaLRClassifier(search=Portfolio(experience='experience.jsonl'))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"experience": [str, PathLike, Experience]}

    def __init__(self, experience: Any = "default") -> None:
        self.experience = experience

    def check(self, space: StrategySpace) -> None:
        """Raise an error where rates are a list, or there is no such experience."""
        for number in range(space.n_families):
            space.bounds(number)
        if isinstance(self.experience, Experience):
            self._store = self.experience.refresh()
        elif self.experience != "default" and Path(self.experience).is_dir():
            raise ValueError(
                "The 'experience' parameter of Portfolio must be a file, 'default' or an "
                f"Experience. Got the folder {str(self.experience)!r} instead; name a file in it."
            )
        else:
            self._store = Experience.load(self.experience)

    def propose(self, problem: Problem, history: History | None) -> Candidates | None:
        """Return what the experience proposes; then others, while they are needed.

        Warns where some had to be drawn at random. A saved search that goes on remembers what was
        proposed: the experience may have grown since.
        """
        if history is None:
            found = _proposed(problem, list(self._store))
            self._proposed = problem.remember("proposed", found)
            self.costs_: dict[str, int] = dict(self._proposed["costs"])
            candidates = _candidates(problem.space, self._proposed["candidates"])
            if message := _message(self._proposed, len(candidates)):
                warn(ExperienceWarning(message), stacklevel=6)
            return candidates
        found = self._proposed["fallback"]
        if found is None or history.n_rounds > MAX_GROWTH:
            return None
        fallback = _candidates(problem.space, found)
        if history.beats_baseline and problem.space.is_joint:
            return None
        if history.beats_baseline:
            return _beyond(problem.space, history, fallback)
        if history.n_rounds > 1:
            return None
        self.costs_["n_drawn_at_random"] += len(fallback)
        return fallback


def _proposed(problem: Problem, records: list[ExperienceRecord]) -> dict[str, Any]:
    """Return what is proposed and what it rests on: arrays, numbers and strings.

    ``candidates`` are such as :func:`_candidates` takes, and so are ``fallback`` ones, for each
    optimizer and schedule whose candidates were not drawn at random: None where all were, or their
    number was given. ``costs`` is what ``search_cost_`` says of it, and ``unlike`` are optimizers
    and schedules whose candidates were all drawn at random, and why, in words.
    """
    rows = problem.describe().rows
    others = [one for one in records if not shares_rows(rows, one.fingerprint)]
    found = (_joint_strategies if problem.space.is_joint else _rates)(problem, others)
    return {
        "candidates": found.candidates,
        "fallback": found.fallback,
        "costs": {
            "n_records": len(found.alike),
            "n_records_set_aside": len(records) - len(others),
            "n_drawn_at_random": found.n_drawn,
        },
        "unlike": found.unlike,
    }


@dataclass
class _Found:
    """What is proposed, ids of the records it rests on, how many candidates were drawn, and why."""

    candidates: Any = None
    fallback: Any = None
    alike: set[int] = field(default_factory=set)
    n_drawn: int = 0
    unlike: list[str] = field(default_factory=list)

    def add(self, features: dict[str, Any], found: Proposal | JointProposal) -> None:
        """Note what the experience says of an optimizer and a schedule."""
        self.alike.update(map(id, found.records))
        if found.reason:
            self.unlike.append(f"{features['optimizer']}, {features['schedule']}: {found.reason}")


def _rates(problem: Problem, records: list[ExperienceRecord]) -> _Found:
    """Return learning rates that are proposed."""
    situation, space, result = problem.describe(), problem.space, _Found()
    parts, fallback = [], []
    random_state, given = problem.random_state, problem.n_candidates is not None
    for number, n in space.shares(problem.n_candidates, random_state):
        features = situation.features(space.family(number, np.ones(1)).strategy(0))
        drawn = space.sample_one(number, n if given else N_CANDIDATES, random_state)
        n_wanted = n if given else N_PROPOSED
        found = proposal(features, records, n_wanted, space.bounds(number))
        result.add(features, found)
        rates = found.learning_rates
        if not rates.size:
            rates = drawn
        elif len(rates) < n_wanted:
            rates = _filled(rates, drawn)
        elif not given:
            fallback.append(space.family(number, drawn))
        result.n_drawn += len(rates) - len(found.learning_rates)
        parts.append(space.family(number, rates))
    result.candidates = Candidates.concat(parts).columns
    result.fallback = Candidates.concat(fallback).columns if fallback else None
    return result


def _joint_strategies(problem: Problem, records: list[ExperienceRecord]) -> _Found:
    """Return strategies that are proposed where more than learning rates is searched."""
    situation, space, result = problem.describe(), problem.space, _Found()
    random_state, given = problem.random_state, problem.n_candidates is not None
    n_proposed = min(N_JOINT_PROPOSED * space.n_families, N_JOINT_CANDIDATES)
    wanted = space.shares(problem.n_candidates if given else n_proposed, random_state)
    n_random = 0 if given else N_JOINT_CANDIDATES // len(wanted)
    rows, fallback = [], []
    for number, n_wanted in wanted:
        part, may_be_own = space.part(number), space.may_be_own(number)
        features = situation.features(space.family(number, np.ones(1)).strategy(0))
        own, bounds = space.own if may_be_own else {}, space.bounds(number)
        found = joint_proposal(features, records, n_wanted, part.others, own, bounds)
        result.add(features, found)
        proposed = [
            strategy | {IS_OWN: is_own and may_be_own}
            for strategy, is_own in zip(found.strategies, found.are_own, strict=True)
        ]
        n_drawn = max(n_random, n_wanted) if not proposed else n_wanted - len(proposed)
        n_asked = n_drawn if n_drawn > 0 else n_random
        drawn = draw([part], space.members, space.own, n_asked, random_state) if n_asked else []
        drawn = [row | {IS_OWN: row[IS_OWN] and may_be_own} for row in drawn]
        if n_drawn > 0:
            result.n_drawn += len(drawn)
            proposed += drawn
        else:
            fallback += [_packed(number, part, row) for row in drawn]
        rows += [_packed(number, part, row) for row in proposed]
    result.candidates, result.fallback = rows, fallback or None
    return result


def _packed(number: int, part: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Return a strategy of a part of this number as what can be saved."""
    own = {RATE: float(row[RATE]), IS_OWN: bool(row[IS_OWN])}
    return {"number": number, **own, "others": packed(part.others, row)}


def _candidates(space: StrategySpace, found: Any) -> Candidates:
    """Return candidates from columns, joint ones from rows that :func:`_packed` has packed."""
    if not space.is_joint:
        return space.candidates(found)
    rows = []
    for one in found:
        part = space.part(one["number"])
        levels = {name: positions[0] for name, positions in part.positions.items()}
        own = {RATE: one[RATE], IS_OWN: one[IS_OWN]}
        rows.append(levels | own | unpacked(part.others, one["others"]))
    return space.of_rows(rows)


def _filled(rates: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return as many rates as were drawn, first those that lie furthest from all others."""
    for _ in range(len(drawn) - len(rates)):
        away = np.abs(np.log(drawn[:, None] / rates)).min(axis=1)
        if away.max() == 0:
            break
        rates = np.append(rates, drawn[away.argmax()])
    return np.sort(rates)


def _beyond(space: StrategySpace, history: History, fallback: Candidates) -> Candidates | None:
    """Return rates beyond the best, where that is the outermost of those proposed."""
    assert history.choice is not None
    candidates, best = history.candidates, history.choice.index
    of_best = {n: column[best] for n, column in candidates.columns.items() if n != RATE}
    was_proposed = np.all([fallback.columns[n] == value for n, value in of_best.items()], axis=0)
    edge, rates = history.rate_in_family(best)
    if len(rates) < 2 or not np.any(was_proposed):
        return None
    direction = {rates.min(): -1, rates.max(): 1}.get(edge, 0)
    bounds = space.bounds(space.family_of(candidates, best))
    beyond = np.unique(np.clip(edge * 10 ** (direction * STEPS_BEYOND), *bounds))
    beyond = beyond[beyond != edge]
    return candidates.with_rates(beyond, like=best) if beyond.size else None


def _message(proposed: dict[str, Any], n_candidates: int) -> str:
    """Say that candidates were drawn at random, and why; empty if none were."""
    costs, unlike = proposed["costs"], proposed["unlike"]
    if not costs["n_drawn_at_random"]:
        return ""
    drawn = f"{costs['n_drawn_at_random']} of {n_candidates} candidates"
    if not unlike:
        return (
            "The experience knows too few strategies that are within the bounds of the space "
            f"and were tried before, so {drawn} were drawn at random."
        )
    aside = (
        f" Set aside were {costs['n_records_set_aside']} searches that share rows with this table, "
        "or are taken for folds of it, because each class has as many rows."
    )
    return (
        f"The experience holds no searches like this one ({'; '.join(unlike)}), so "
        f"{drawn} were drawn at random.{aside if costs['n_records_set_aside'] else ''}"
    )
