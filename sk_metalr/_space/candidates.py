"""Candidates: strategies that were drawn, as a table of parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .schedules import CONSTANT, Schedule

RATE, OPTIMIZER, SCHEDULE = "optimizer__learning_rate", "optimizer", "schedule"

MEMBER = {RATE}
"""Member hyperparameters: they enter the compiled program as data, one number for each member. Any
number that an optimizer reads at each step can be one. All other parameters but the schedule, which
becomes rates, are static: each setting of them is a block of the population."""


class Level(NamedTuple):
    """A value of a parameter that is no number, and the name that results give it."""

    name: str
    value: Any


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
    def static(self) -> dict[str, Any]:
        """The parameters that are no data of the compiled program."""
        return {name: value for name, value in self.params.items() if name not in MEMBER}

    @property
    def numbers(self) -> dict[str, float]:
        """The member hyperparameters but the learning rate."""
        return {name: value for name, value in self.settings.items() if name in MEMBER}

    @property
    def settings(self) -> dict[str, Any]:
        """All parameters but the learning rate."""
        return {name: value for name, value in self.params.items() if name != RATE}


@dataclass(frozen=True, eq=False)
class Candidates:
    """A table of strategies: one row a candidate, one column (n_candidates,) a parameter, of
    numbers or of positions among the `levels` of a parameter whose values are no numbers.
    """

    columns: dict[str, np.ndarray]
    levels: dict[str, list[Level]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def learning_rates(self) -> np.ndarray:
        """Learning rates of shape (n_candidates,); with schedules, the highest of each run."""
        return self.columns[RATE]

    @property
    def families(self) -> np.ndarray:
        """Numbers of shape (n_candidates,), equal where all that has levels is equal."""
        return self._numbered([name for name in self.columns if name in self.levels])

    @property
    def blocks(self) -> list[np.ndarray]:
        """Positions of the candidates of each setting of the static parameters."""
        number = self._numbered([n for n in self.columns if n not in MEMBER | {SCHEDULE}])
        return [np.flatnonzero(number == block) for block in range(number.max() + 1)]

    def members(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """Return the member hyperparameters of some candidates, each of shape (n,)."""
        return {name: self.columns[name][positions] for name in self.columns if name in MEMBER}

    def _numbered(self, names: list[str]) -> np.ndarray:
        rows = np.stack([np.zeros(len(self)), *(self.columns[name] for name in names)], axis=1)
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)

    def strategy(self, index: int) -> Strategy:
        """Return one candidate."""
        values: dict[str, Any] = {}
        for name, column in self.columns.items():
            value = column[index]
            values[name] = self.levels[name][value].value if name in self.levels else float(value)
        schedule = values.pop(SCHEDULE, CONSTANT)
        return Strategy(values, schedule)

    def params(self) -> list[dict[str, Any]]:
        """Return the parameters of every candidate; what is no number goes by its name."""
        return [
            {
                name: self.levels[name][value].name if name in self.levels else float(value)
                for name, value in zip(self.columns, row, strict=True)
            }
            for row in zip(*self.columns.values(), strict=True)
        ]

    def take(self, index: Any) -> "Candidates":
        """Return some candidates."""
        return Candidates({n: column[index] for n, column in self.columns.items()}, self.levels)

    @staticmethod
    def concat(parts: Sequence["Candidates"]) -> "Candidates":
        """Return candidates of one space, one part after the other."""
        names = parts[0].columns
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in names}
        return Candidates(columns, parts[0].levels)

    def order(self) -> np.ndarray:
        """Return the positions that sort by what has levels, and then by the learning rate."""
        names = [name for name in self.columns if name in self.levels]
        return np.lexsort([self.learning_rates, *(self.columns[name] for name in reversed(names))])

    def sort(self) -> "Candidates":
        """Return the candidates in order; see :meth:`order`."""
        return self.take(self.order())

    def without_schedules(self) -> "Candidates":
        """Return the candidates at constant rates."""
        columns = {name: one for name, one in self.columns.items() if name != SCHEDULE}
        return Candidates(columns, self.levels)

    def with_rates(self, rates: np.ndarray, like: int) -> "Candidates":
        """Return candidates that differ from one of these in nothing but the learning rate."""
        others = self.take(np.full(len(rates), like))
        return Candidates({**others.columns, RATE: np.asarray(rates, float)}, self.levels)
