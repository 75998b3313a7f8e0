"""Search among learning rates that were good on other tasks."""

from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .._experience import Experience, ExperienceRecord, proposal
from .._experience.fingerprint import shares_rows
from .._progress import warn
from .._space import N_CANDIDATES, RATE, Candidates, StrategySpace
from ..exceptions import ExperienceWarning
from .base import BaseSearch, Problem
from .history import History
from .random import MAX_GROWTH

N_PROPOSED = 4
"""Number of learning rates that are proposed for each optimizer and schedule, by default."""

STEPS_BEYOND = np.array([0.5, 1.0, 1.5])
"""Distances of further rates beyond the outermost one, in decades. Three train in a group that
takes hardly longer than one."""


class Portfolio(BaseSearch):
    """A few learning rates, at least one of which was good on every earlier task, or nearly so.

    Finished searches of tasks like this one count for more. Where there were none like it,
    candidates are drawn at random, as many as for random search, and a warning says so. Where the
    few do no better than the class frequencies, others are drawn, too. While the best of them is
    the outermost, further rates are tried. (Both only where ``n_candidates`` is None.)

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
        if space.is_joint:
            raise ValueError(
                "The 'param_distributions' parameter may hold learning rates, "
                "optimizers and schedules for search='portfolio', of which its experience tells. "
                f"Got {space.others[0]!r} too; use search='random' or 'halving'."
            )
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
        """Return the rates that the experience proposes; then others, while they are needed.

        Warns where some had to be drawn at random. A saved search that goes on remembers what was
        proposed: the experience may have grown since.
        """
        if history is None:
            self._proposed = problem.remember("proposed", _proposed(problem, list(self._store)))
            self.costs_: dict[str, int] = dict(self._proposed["costs"])
            candidates = problem.space.candidates(self._proposed["candidates"])
            if message := _message(self._proposed, len(candidates)):
                warn(ExperienceWarning(message), stacklevel=6)
            return candidates
        columns = self._proposed["fallback"]
        if columns is None or history.n_rounds > MAX_GROWTH:
            return None
        fallback = problem.space.candidates(columns)
        if history.beats_baseline:
            return _beyond(problem.space, history, fallback)
        if history.n_rounds > 1:
            return None
        self.costs_["n_drawn_at_random"] += len(fallback)
        return fallback


def _proposed(problem: Problem, records: list[ExperienceRecord]) -> dict[str, Any]:
    """Return what is proposed and what it rests on: arrays, numbers and strings.

    There are columns of the ``candidates``, and of ``fallback`` ones for each optimizer and
    schedule whose candidates were not drawn at random: None where all were, or their number was
    given. ``costs`` is what ``search_cost_`` says of it, and ``unlike`` are optimizers and
    schedules whose candidates were all drawn at random, and why, in words.
    """
    situation, space = problem.describe(), problem.space
    others = [one for one in records if not shares_rows(situation.rows, one.fingerprint)]
    parts, fallback, unlike, n_drawn = [], [], [], 0
    alike: set[int] = set()
    random_state, given = problem.random_state, problem.n_candidates is not None
    for number, n in space.shares(problem.n_candidates, random_state):
        features = situation.features(space.family(number, np.ones(1)).strategy(0))
        drawn = space.sample_one(number, n if given else N_CANDIDATES, random_state)
        n_wanted = n if given else N_PROPOSED
        found = proposal(features, others, n_wanted, space.bounds(number))
        rates = found.learning_rates
        if not rates.size:
            unlike.append(f"{features['optimizer']}, {features['schedule']}: {found.reason}")
            rates = drawn
        elif len(rates) < n_wanted:
            rates = _filled(rates, drawn)
        elif not given:
            fallback.append(space.family(number, drawn))
        n_drawn += len(rates) - len(found.learning_rates)
        alike.update(map(id, found.records))
        parts.append(space.family(number, rates))
    return {
        "candidates": Candidates.concat(parts).columns,
        "fallback": Candidates.concat(fallback).columns if fallback else None,
        "costs": {
            "n_records": len(alike),
            "n_records_set_aside": len(records) - len(others),
            "n_drawn_at_random": n_drawn,
        },
        "unlike": unlike,
    }


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
            "The experience knows too few rates that are within the bounds of learning_rates "
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
