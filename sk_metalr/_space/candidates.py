"""Candidates: strategies that were drawn, as a table of parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from .schedules import CONSTANT, Schedule

RATE, OPTIMIZER, SCHEDULE = "optimizer__learning_rate", "optimizer", "schedule"


class Level(NamedTuple):
    """A value of a parameter that is listed, and the name that results give it."""

    name: Any
    value: Any


UNSET = Level("the model's own", None)
"""Level of a parameter that a part of a space does not hold."""


@dataclass(frozen=True)
class Strategy:
    """One setting of hyperparameters, keyed as in ``estimator.set_params``, and a schedule."""

    params: dict[str, Any]
    schedule: Schedule = CONSTANT

    @property
    def learning_rate(self) -> float:
        """The learning rate; with a schedule, the highest of the run."""
        return float(self.params[RATE])

    @property
    def settings(self) -> dict[str, Any]:
        """All parameters but the learning rate."""
        return {name: value for name, value in self.params.items() if name != RATE}


@dataclass(frozen=True, eq=False)
class Candidates:
    """A table of strategies: one row a candidate, one column (n_candidates,) a parameter.

    A column holds numbers, NaN where a part of the space does not hold the parameter, or positions
    among the `levels` of a parameter whose values are listed. `is_own`, bool (n_candidates,), tells
    who has the estimator's own values of all but the rate, or the nearest ones; None for everyone.
    """

    columns: dict[str, np.ndarray]
    levels: dict[str, list[Level]] = field(default_factory=dict)
    is_own: np.ndarray | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def learning_rates(self) -> np.ndarray:
        """Learning rates of shape (n_candidates,); with schedules, the highest of each run."""
        return self.columns[RATE]

    @property
    def families(self) -> np.ndarray:
        """Numbers of shape (n_candidates,), equal where all that has levels is equal."""
        return self.numbered(
            [
                np.isnan(column) if name not in self.levels else column
                for name, column in self.columns.items()
            ]
        )

    @property
    def positions(self) -> np.ndarray:
        """Where candidates lie among each other by all numbers but the rate: (n_candidates, n).

        Each column is ranks, from 0 to 1, which are about the quantiles of what was drawn from.
        """
        others = [n for n in self.columns if n not in self.levels and n != RATE]
        ranks = [_ranks(self.columns[name]) for name in others]
        return np.stack(ranks, axis=1) if ranks else np.zeros((len(self), 0))

    @property
    def kin(self) -> np.ndarray:
        """Numbers of shape (n_candidates,), equal where a learning rate means about the same.

        Where only learning rates, optimizers and schedules are searched, those are the families,
        each of which has enough candidates to be judged by itself; else, the optimizers.
        """
        if not self.columns.keys() - {RATE, OPTIMIZER, SCHEDULE}:
            return self.families
        return self.numbered([self.columns[OPTIMIZER]] if OPTIMIZER in self.columns else [])

    def numbered(self, columns: list[np.ndarray]) -> np.ndarray:
        """Return numbers of shape (n_candidates,), equal where all of these columns are."""
        rows = np.stack([np.zeros(len(self)), *columns], axis=1)
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)

    def strategy(self, index: int) -> Strategy:
        """Return one candidate."""
        values: dict[str, Any] = {}
        for name, column in self.columns.items():
            level = self.levels[name][column[index]] if name in self.levels else None
            if level is not None and (level is not UNSET):
                values[name] = level.value
            elif level is None and not np.isnan(column[index]):
                values[name] = float(column[index])
        schedule = values.pop(SCHEDULE, CONSTANT)
        return Strategy(values, schedule)

    def params(self) -> list[dict[str, Any]]:
        """Return the parameters that every candidate has; what is no number goes by its name."""
        return [
            {
                name: self.levels[name][value].name if name in self.levels else float(value)
                for name, value in zip(self.columns, row, strict=True)
                if name in self.levels or not np.isnan(value)
            }
            for row in zip(*self.columns.values(), strict=True)
        ]

    def take(self, index: Any) -> "Candidates":
        """Return some candidates."""
        is_own = None if self.is_own is None else self.is_own[index]
        columns = {name: column[index] for name, column in self.columns.items()}
        return Candidates(columns, self.levels, is_own)

    def distinct(self) -> "Candidates":
        """Return the candidates without repetitions, the first of equal ones in its place.

        It has the estimator's own values if one of the equal ones is said to.
        """
        rows = np.stack(list(self.columns.values()), axis=1).astype(float)
        rows[np.isnan(rows)] = -np.inf
        _, first, number = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        if self.is_own is None:
            return self.take(np.sort(first))
        is_own = np.bincount(number.reshape(-1), weights=self.is_own) > 0
        return replace(self, is_own=is_own[number.reshape(-1)]).take(np.sort(first))

    @staticmethod
    def concat(parts: Sequence["Candidates"]) -> "Candidates":
        """Return candidates of one space, one part after the other."""
        names = parts[0].columns
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in names}
        own = [part.is_own for part in parts if part.is_own is not None]
        is_own = np.concatenate(own) if len(own) == len(parts) else None
        return Candidates(columns, parts[0].levels, is_own)

    def order(self) -> np.ndarray:
        """Return the positions that sort by what has levels, and then by the learning rate."""
        return np.lexsort([self.learning_rates, self.families])

    def sort(self) -> "Candidates":
        """Return the candidates in order; see :meth:`order`."""
        return self.take(self.order())

    def without_schedules(self) -> "Candidates":
        """Return the candidates at constant rates."""
        columns = {name: one for name, one in self.columns.items() if name != SCHEDULE}
        return Candidates(columns, self.levels, self.is_own)

    def with_rates(self, rates: np.ndarray, like: int) -> "Candidates":
        """Return candidates that differ from one of these in nothing but the learning rate."""
        others = self.take(np.full(len(rates), like))
        return replace(others, columns=others.columns | {RATE: np.asarray(rates, float)})


def is_same(one: Any, other: Any) -> bool:
    """Tell whether values are equal, or one object; arrays are where all of their numbers are."""
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return bool(np.array_equal(one, other))
    try:
        return bool(one == other)
    except ValueError:  # arrays in lists
        return False


def are_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether settings are the same."""
    return one.keys() == other.keys() and all(is_same(v, other[name]) for name, v in one.items())


def _ranks(column: np.ndarray) -> np.ndarray:
    """Return ranks from 0 to 1 of numbers (n,), equal for equal ones, and 0 for NaN."""
    values, number = np.unique(column, return_inverse=True)
    ends = np.cumsum(np.bincount(number, minlength=len(values)))
    middle = ends - np.bincount(number, minlength=len(values)) / 2
    ranks = middle[number] / len(column)
    return np.where(np.isnan(column), 0.0, ranks)
