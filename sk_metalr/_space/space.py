"""The strategy space: the distributions that candidates are drawn from."""

from collections.abc import Collection, Mapping
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import ParameterGrid

from .candidates import OPTIMIZER, RATE, UNSET, Candidates, Level, Strategy
from .distributions import Dimension, LearningRates
from .joint import IS_OWN, are_own, draw
from .levels import LEVEL_OF, UNSEARCHED, are_equal, levels_of, name_of

N_CANDIDATES = 16
"""How many learning rates are tried with each optimizer and schedule, by default."""

N_JOINT_CANDIDATES = 32
"""How many candidates are tried where other parameters are searched, too, by default."""


class _Family(NamedTuple):
    """Strategies of one optimizer and schedule in the part of this number; `levels` holds, by
    parameter, the position of their level among those of the space.
    """

    rates: LearningRates
    levels: dict[str, int]
    part: int


class Part(NamedTuple):
    """One dict of a space: its learning rates, positions among the levels of optimizers and
    schedules, and the other parameters.
    """

    rates: LearningRates
    positions: dict[str, list[int]]
    others: dict[str, Dimension]


class StrategySpace:
    """The set S of strategies that a search draws its candidates from.

    `param_distributions` is a dict, a list of dicts or None, as for ``RandomizedSearchCV``:
    distributions or lists by parameter of the wrapped estimator, and ``schedule``. `learning_rates`
    is the short way to say ``{"optimizer__learning_rate": learning_rates}``. ``levels`` are the
    values that were listed, or drawn, of what is no number of a program. Raises ValueError if a
    parameter cannot be searched, or a value cannot be used.
    """

    def __init__(self, param_distributions: Any = None, learning_rates: Any = None) -> None:
        parts = _check_parts(param_distributions)
        if learning_rates is not None:
            if any(RATE in part for part in parts):
                raise ValueError(
                    "Learning rates must be given once. Got both the 'learning_rates' parameter "
                    f"and {RATE!r} in param_distributions; leave one of them out."
                )
            parts = [part | {RATE: learning_rates} for part in parts]
        self.levels: dict[str, list[Level]] = {}
        listed = [
            {name: levels_of(name, part[name]) for name in LEVEL_OF if name in part}
            for part in parts
        ]
        names = [name for name in LEVEL_OF if any(name in one for one in listed)]
        rates = {id(part.get(RATE)): LearningRates(part.get(RATE)) for part in parts}
        self.members: frozenset[str] = frozenset()
        self.own: dict[str, Any] = {}
        self.parts: list[Part] = []
        self._families: list[_Family] = []
        for number, (part, levels) in enumerate(zip(parts, listed, strict=True)):
            positions = {n: self._positions(n, levels.get(n, [UNSEARCHED[n]])) for n in names}
            of_part = rates[id(part.get(RATE))]
            others = {n: Dimension(n, part[n]) for n in part if n not in (RATE, *LEVEL_OF)}
            self.parts.append(Part(of_part, positions, others))
            self._families += [_Family(of_part, one, number) for one in ParameterGrid(positions)]
        if self.is_open and set(self.others) - {"epochs"}:
            raise ValueError(
                "The 'learning_rates' parameter must be a list, a distribution "
                "or None where param_distributions holds more than optimizers and schedules. Got "
                "'auto' instead; leave it out for log-uniform ones on 1e-5 … 1."
            )

    def _positions(self, name: str, levels: list[Level]) -> list[int]:
        """Return the positions of levels among all of a parameter; add those that are new."""
        known = self.levels.setdefault(name, [])
        for level in levels:
            same = [one for one in known if one.name == level.name]
            if not same:
                known.append(level)
            elif not are_equal(same[0].value, level.value):
                raise ValueError(
                    f"Values of {name!r} in param_distributions must have different names. Got two "
                    f"that are called {level.name!r}; name them apart."
                )
        names = [level.name for level in known]
        return [names.index(level.name) for level in levels]

    @property
    def others(self) -> list[str]:
        """The names of all parameters but learning rate, optimizer and schedule."""
        return list(dict.fromkeys(name for part in self.parts for name in part.others))

    def first_setting(self, part: Part) -> dict[str, Any]:
        """Return the setting of a part's first optimizer; none where it has no own."""
        position = part.positions.get(OPTIMIZER, [None])[0]
        level = UNSET if position is None else self.levels[OPTIMIZER][position]
        return {} if level is UNSET else {OPTIMIZER: level.value}

    @property
    def is_joint(self) -> bool:
        """Tell whether more is searched than learning rate, optimizer and schedule."""
        return bool(self.others)

    def take_out(self, name: str) -> list[Any]:
        """Take a parameter out of the space; return its values, or the highest of distributions."""
        values: list[Any] = []
        for part in self.parts:
            if name in part.others:
                values += part.others.pop(name).highest
        return values

    def with_members(
        self, names: Collection[str], own: Mapping[str, Any] | None = None
    ) -> "StrategySpace":
        """Return the same space, told which other parameters are numbers of one program, and what
        values they have where they are not searched.
        """
        space = copy(self)
        space.members, space.own = frozenset(names), dict(own or {})
        return space

    @property
    def is_open(self) -> bool:
        """Tell whether learning rates are still to be found."""
        return any(family.rates.is_open for family in self._families)

    def is_family_open(self, number: int) -> bool:
        """Tell whether the learning rates of one combination are still to be found."""
        return self._families[number].rates.is_open

    @property
    def n_families(self) -> int:
        """How many combinations of optimizers and schedules there are."""
        return len(self._families)

    def has_more_than(self, n: int) -> bool:
        """Tell whether some combination has more than `n` learning rates to draw from."""
        return any(family.rates.n_listed > n for family in self._families)

    def candidates(self, columns: dict[str, np.ndarray]) -> Candidates:
        """Return candidates of this space from their columns."""
        return Candidates(columns, self.levels)

    def named(self, params: list[dict[str, Any]]) -> Candidates:
        """Return candidates of this space from what :meth:`.Candidates.params` returned."""
        columns = {}
        met = [name for one in params for name in one]
        numbers = [name for name in self.others if name in self.members]
        for name in dict.fromkeys([*met, *numbers]):
            values = [one.get(name, np.nan) for one in params]
            if name == RATE or name in self.members:
                columns[name] = np.array(values, float)
            else:
                levels = [self._level(name, value) for value in values]
                columns[name] = np.array(self._positions(name, levels))
        return Candidates(columns, self.levels)

    def _level(self, parameter: str, name: Any) -> Level:
        """Return the level of this name among the values of a parameter."""
        listed = [part.others[parameter] for part in self.parts if parameter in part.others]
        values = [value for one in listed if one.is_listed for value in one.highest]
        levels = [*self.levels.get(parameter, []), *(Level(name_of(v), v) for v in values), UNSET]
        found = [one for one in levels if type(one.name) is type(name) and one.name == name]
        return found[0] if found else Level(name, name)

    def one_strategy(self, rate: float) -> Strategy:
        """Return some strategy of the space at a learning rate."""
        if not self.is_joint:
            return self.family(0, np.array([rate])).strategy(0)
        space = copy(self)
        space.levels = {name: list(levels) for name, levels in self.levels.items()}
        drawn = space.sample(1, np.random.RandomState(0))
        return drawn.with_rates(np.array([rate]), like=0).strategy(0)

    def family(self, number: int, rates: np.ndarray) -> Candidates:
        """Return candidates of one combination at these learning rates."""
        levels = self._families[number].levels
        columns = {name: np.full(len(rates), level) for name, level in levels.items()}
        return Candidates({RATE: np.asarray(rates, float), **columns}, self.levels)

    def family_of(self, candidates: Candidates, index: int) -> int:
        """Return the number of the combination that a candidate is of."""
        levels = {name: int(candidates.columns[name][index]) for name in self.levels}
        return next(i for i, family in enumerate(self._families) if family.levels == levels)

    def bounds(self, number: int) -> tuple[float, float]:
        """Return the lowest and the highest learning rate of one combination."""
        return self._families[number].rates.bounds()

    def sample(self, n_candidates: int | None, random_state: np.random.RandomState) -> Candidates:
        """Draw candidates, of every combination of the listed values as many as of the others.

        At most `n_candidates` are drawn, of some combinations where there are more of these, or 16
        of each where that is None. Combinations whose rates are the same distribution are drawn the
        same rates. Where other parameters are searched, too, :func:`.draw` draws all of them, 32
        candidates where `n_candidates` is None, and equal ones are one. The candidates come in
        order of the listed values, then of the learning rate.
        """
        if self.is_joint:
            n = N_JOINT_CANDIDATES if n_candidates is None else n_candidates
            return self.of_rows(draw(self.parts, self.members, self.own, n, random_state))
        drawn: dict[tuple[int, int], np.ndarray] = {}
        parts = []
        for number, n in self.shares(n_candidates, random_state):
            rates = self._families[number].rates
            if (id(rates), n) not in drawn:
                drawn[id(rates), n] = rates.sample(n, random_state)
            parts.append(self.family(number, drawn[id(rates), n]))
        return Candidates.concat(parts).sort()

    def of_rows(self, rows: list[dict[str, Any]]) -> Candidates:
        """Return different candidates from rows as :func:`.draw` returns them."""
        columns = {RATE: np.array([row[RATE] for row in rows])}
        for name in LEVEL_OF:
            if name in self.levels:
                columns[name] = np.array([row[name] for row in rows])
        for name in self.others:
            values = [row.get(name, UNSET) for row in rows]
            if name in self.members:
                numbers = [np.nan if value is UNSET else value for value in values]
                columns[name] = np.array(numbers, float)
            else:
                levels = [one if one is UNSET else Level(name_of(one), one) for one in values]
                columns[name] = np.array(self._positions(name, levels))
        is_own = np.array([row[IS_OWN] for row in rows])
        return Candidates(columns, self.levels, is_own).distinct().sort()

    def part(self, number: int) -> Part:
        """Return the part of the space that one combination of optimizer and schedule is."""
        family = self._families[number]
        positions = {name: [position] for name, position in family.levels.items()}
        return Part(family.rates, positions, self.parts[family.part].others)

    def may_be_own(self, number: int) -> bool:
        """Tell whether strategies of one combination can differ from the estimator in their rate
        alone.
        """
        return are_own(self.parts, self.own)[self._families[number].part]

    def sample_one(
        self, number: int, n_candidates: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        """Draw learning rates (n,) of one combination, in increasing order."""
        return self._families[number].rates.sample(n_candidates, random_state)

    def shares(
        self, n_candidates: int | None, random_state: np.random.RandomState
    ) -> list[tuple[int, int]]:
        """Return the combinations that are drawn from, and how many candidates of each."""
        n_families = self.n_families
        if n_candidates is None:
            return [(number, N_CANDIDATES) for number in range(n_families)]
        if n_candidates < n_families:
            chosen = random_state.choice(n_families, n_candidates, replace=False)
            return [(int(number), 1) for number in np.sort(chosen)]
        each, more = divmod(n_candidates, n_families)
        return [(number, each + (number < more)) for number in range(n_families)]

    def over(self, ranges: dict[int, Any]) -> "StrategySpace":
        """Return the same space with other learning rates, by the number of a combination."""
        space = copy(self)
        made = {id(rates): LearningRates(rates) for rates in ranges.values()}
        space._families = list(self._families)
        for number, rates in ranges.items():
            space._families[number] = self._families[number]._replace(rates=made[id(rates)])
        return space


def _check_parts(param_distributions: Any) -> list[dict[str, Any]]:
    """Return the dicts of a space, or say that they are none."""
    is_dict = param_distributions is None or isinstance(param_distributions, Mapping)
    parts = [param_distributions or {}] if is_dict else param_distributions
    if not isinstance(parts, list | tuple) or not all(isinstance(p, Mapping) for p in parts):
        raise TypeError(
            "The 'param_distributions' parameter must be a dict or a list of "
            f"dicts. Got {param_distributions!r} instead."
        )
    if not parts:
        raise ValueError(
            "The 'param_distributions' parameter must hold at least one dict. "
            "Got an empty list instead; leave it out to search the learning rate."
        )
    return [{str(name): values for name, values in part.items()} for part in parts]
