"""Blocks: which candidates are members of one program.

Models that are built for different settings are compared. Where they differ only in numbers that a
program takes as data, they are members of one block, whatever the parameters are called that made
the difference.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import joblib
import numpy as np
from scipy.stats import rankdata

from .. import _models as models
from .._population import OF_OPTIMIZERS, architecture_key, numbers_of, preserved_random_state
from .._space import OPTIMIZER, RATE, SCHEDULE, Candidates, StrategySpace, is_number

OF_TRAINING = {"batch_size", "class_weight"}
"""Parameters that a built model tells nothing about."""

MORE_THAN_UNKNOWN = 3
"""By how many models that are built outnumber the numbers from which others may follow."""

FEW_VALUES = 8
"""Up to as many different numbers, a model is built for each."""


@dataclass(frozen=True)
class BlockPlan:
    """Candidates of one block: their positions, the settings of the first, and their values.

    Each of the `values`, of shape (n_candidates,), is a number that differs between members.
    """

    positions: np.ndarray
    settings: dict[str, Any]
    values: dict[str, np.ndarray]


def planned(candidates: Candidates, evaluation: Any) -> list[BlockPlan]:
    """Return the blocks of candidates of an evaluation, in the order of their first ones.

    Raises ValueError where no model can be built for a setting, or it does not suit the data.
    """
    plain = {RATE, OPTIMIZER, SCHEDULE}
    if candidates.columns.keys() <= plain:
        listed = [column for name, column in candidates.columns.items() if name == OPTIMIZER]
        number = candidates.numbered(listed)
        every = [np.flatnonzero(number == n) for n in np.unique(number)]
        return [_block(candidates, positions, [], evaluation) for positions in every]
    models_of = _models_of(candidates, evaluation)
    evaluation.varied.update(_differing([one for _, one in models_of.values()]))
    groups: dict[Any, list[int]] = {}
    for position, (of_training, one) in sorted(models_of.items()):
        groups.setdefault((of_training, one.block), []).append(position)
    return [
        _block(candidates, np.array(g), [models_of[position][1] for position in g], evaluation)
        for g in groups.values()
    ]


@dataclass(frozen=True)
class Built:
    """A model that was built: its kind, None where that is not known, a hash of its initial
    weights and of its rows as they are encoded, and its numbers; see :func:`.architecture_key` and
    :func:`.numbers_of`. The `setting` is all that its function was given.
    """

    kind: str | None
    start: str
    numbers: dict[str, float]
    setting: Any = None

    @property
    def block(self) -> Any:
        """What models of one block have in common; those of unknown kinds, the `setting`."""
        own = self.setting if self.kind is None else self.kind
        return own, self.start, tuple(self.numbers)


def _block(
    candidates: Candidates, positions: np.ndarray, alike: list[Built], evaluation: Any
) -> BlockPlan:
    values = {RATE: candidates.learning_rates[positions]}
    for name in alike[0].numbers if alike else ():
        # What some candidates differ in is data in every block, so that later ones find programs.
        if name in evaluation.varied:
            values[name] = np.array([one.numbers[name] for one in alike])
    return BlockPlan(positions, candidates.strategy(int(positions[0])).settings, values)


def _differing(models: list[Built]) -> set[str]:
    """Return names of the numbers in which models of one kind and start differ."""
    first: dict[Any, Built] = {}
    names: set[str] = set()
    for one in models:
        other = first.setdefault(one.block, one)
        names |= {name for name in one.numbers if one.numbers[name] != other.numbers[name]}
    return names


def _models_of(candidates: Candidates, evaluation: Any) -> dict[int, tuple[Any, Built]]:
    """Return, by position, what each candidate has of parameters of training, and its model.

    A model is built for some candidates: of each static setting two that differ in as many numbers
    as any, those with the lowest and the highest of each number and of all together, one for each
    number of a short list, and more until each of them is checked by the others. Where all of their
    models' numbers follow from the candidates' by one linear map, so do those of the others, of
    which the lowest and the highest are checked; else a model is built for each that is unlike the
    others.
    """
    table, columns = _numbers(candidates), candidates.columns
    listed = [n for n in candidates.levels if n not in (SCHEDULE, *OF_TRAINING)]
    is_absent = list(np.isnan(table).T)  # in candidates of another of several dicts
    static = candidates.numbered([columns[name] for name in listed] + is_absent)
    kinds = candidates.numbered(is_absent)
    table = np.nan_to_num(table)
    some: set[int] = set()
    for setting in np.unique(static):
        alike = np.flatnonzero(static == setting)
        n_other = (table[alike] != table[alike[0]]).sum(axis=1)
        some |= {int(alike[0]), int(alike[n_other.argmax()])}
    for column in table.T:
        _, first = np.unique(column, return_index=True)
        few = first if len(first) <= FEW_VALUES else (column.argmin(), column.argmax())
        some |= set(map(int, few))
    models_of: dict[int, Built] = {}
    for kind in np.unique(kinds):
        mine = np.flatnonzero(kinds == kind)
        settings = [candidates.strategy(position).settings for position in mine.tolist()]
        rows = np.column_stack([static[mine], np.ones(len(mine)), table[mine]])
        wanted = np.flatnonzero(np.isin(mine, list(some))).tolist()
        found = _models_of_rows(rows, wanted, settings, evaluation)
        models_of |= dict(zip(mine.tolist(), found, strict=True))
    of_training = [columns[name] for name in candidates.levels if name in OF_TRAINING]
    return {
        position: (tuple(int(column[position]) for column in of_training), one)
        for position, one in models_of.items()
    }


def _models_of_rows(
    rows: np.ndarray, some: list[int], settings: list[dict[str, Any]], evaluation: Any
) -> list[Built]:
    """Return the models of candidates of these settings, of `some` of which at least they are
    built.

    The `rows` (n_candidates, n) hold the number of a static setting, 1, and numbers.
    """
    number = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).tolist()
    inputs = rows[:, 1:]
    together = rankdata(inputs, axis=0).sum(axis=1)
    some = list({*some, int(together.argmin()), int(together.argmax())})
    models: dict[int, Built] = {}  # candidates of equal rows have equal ones
    wanted = _determining(inputs, some)
    while wanted:
        for at in wanted:
            if number[at] not in models:
                models[number[at]] = built(evaluation, settings[at])
        known = {at: models[n] for at, n in enumerate(number) if n in models}
        followed = _followed(inputs, rows[:, 0], known)
        if not followed:  # from those that are known; so each is built
            wanted = [at for at in range(len(rows)) if number[at] not in models]
            continue
        values = np.array([list(followed[at].numbers.values()) for at in range(len(rows))])
        ends = {*values.argmin(axis=0).tolist(), *values.argmax(axis=0).tolist()}
        wanted = [at for at in ends if number[at] not in models]
    return [models.get(n) or followed[at] for at, n in enumerate(number)]


def _numbers(candidates: Candidates) -> np.ndarray:
    """Return all numbers of candidates but the learning rate: (n_candidates, n)."""
    names = [n for n in candidates.columns if n not in candidates.levels and n != RATE]
    columns = [candidates.columns[name] for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(candidates), 0))


def _determining(inputs: np.ndarray, some: list[int]) -> list[int]:
    """Return rows of `inputs` (n_candidates, n), `some` among them, that determine a linear map of
    all: each follows from the others, and there are more than unknown. One of each, where none do.
    Equal ones count once: one does not check the other.
    """
    known, scaled = list(some), inputs / np.maximum(np.abs(inputs).max(axis=0), 1e-300)
    rank = np.linalg.matrix_rank(scaled)
    for position in np.random.RandomState(0).permutation(len(inputs)).tolist():
        rows = np.unique(scaled[known], axis=0)
        leverage = np.einsum("ij,ji->i", rows, np.linalg.pinv(rows))
        is_more = len(rows) >= rank + MORE_THAN_UNKNOWN
        if is_more and np.linalg.matrix_rank(rows) == rank and (leverage < 1 - 1e-9).all():
            break
        if not (scaled[known] == scaled[position]).all(axis=1).any():
            known.append(position)
    return known


def _followed(
    inputs: np.ndarray, static: np.ndarray, models_of: dict[int, Built]
) -> dict[int, Built]:
    """Return the models of candidates that were not built, where they follow from those that were.

    The `inputs` (n_candidates, n) are numbers, 1 the first of each, and `static` (n_candidates,)
    numbers of settings.
    """
    known = np.array(list(models_of))
    names = {tuple(one.numbers) for one in models_of.values()}
    first = {setting: models_of[p] for p, setting in zip(known, static[known], strict=True)}
    is_one = all(
        (one.kind, one.start) == (first[static[position]].kind, first[static[position]].start)
        for position, one in models_of.items()
    )
    if len(names) > 1 or not is_one:
        return {}
    seen = np.array([list(one.numbers.values()) for one in models_of.values()])
    linear, *_ = np.linalg.lstsq(inputs[known], seen, rcond=None)
    if not np.allclose(inputs[known] @ linear, seen, rtol=1e-9, atol=1e-12):
        return {}
    values = inputs @ linear
    values[np.abs(values) < 1e-13 * np.abs(seen).max(axis=0)] = 0.0  # except for roundings
    # A number that is rounded apart would be data of the program, and slow it down.
    values = np.where((seen == seen[0]).all(axis=0), seen[0], values)
    return {
        position: replace(
            first[static[position]],
            numbers=dict(zip(*names, values[position].tolist(), strict=True)),
        )
        for position in range(len(inputs))
    }


def built(evaluation: Any, settings: dict[str, Any]) -> Built:
    """Build a model for settings, and say what tells whether it is of a block with others."""
    train, _ = evaluation.splits[0]
    data = evaluation.data
    X = models.features_to_open(evaluation.estimator, data.X, train)
    y = data.targets(train)[0][train]
    with preserved_random_state(), buildable(settings):
        opened = evaluation.open(X, y, settings, evaluation.seed)
    numbers = numbers_of(opened.model_)
    given = joblib.hash({name: _hash(v) for name, v in settings.items() if name not in numbers})
    x, targets = models.encode(opened, X, y)
    encoded = [targets] if x is X else [targets, x]
    start = joblib.hash([opened.model_.get_weights(), encoded])
    return Built(architecture_key(opened.model_, numbers), start, numbers, given)


def _hash(value: Any) -> Any:
    """Return a hash of what a function is given; of what cannot be pickled, the object's own."""
    try:
        return joblib.hash(value)
    except Exception:  # whatever a class of the user's may raise
        return id(value)  # the space holds it


@contextmanager
def buildable(settings: dict[str, Any]) -> Iterator[None]:
    """Say which settings it was that the wrapped estimator could not be built with."""
    try:
        yield
    except Exception as error:  # whatever a function of the user's may raise
        if not settings:
            raise
        raise ValueError(
            "The 'param_distributions' parameter must hold values that the "
            f"wrapped estimator can be built with. With {settings!r} it said: {error}"
        ) from error


def _check_numbers(values_of: dict[str, list[Any]]) -> None:
    """Raise ValueError where an optimizer, which takes anything, is given what is no number."""
    for name in values_of.keys() & {f"optimizer__{number}" for number in OF_OPTIMIZERS}:
        for value in values_of[name]:
            if value is not None and not (is_number(value) and np.isfinite(value)):
                raise ValueError(
                    f"The {name!r} values of param_distributions must be finite numbers or None. "
                    f"Got {value!r} instead."
                )


def _may_be_numbers(name: str, values: list[Any]) -> bool:
    """Tell whether values of a parameter are all numbers, and not all whole."""
    is_of_model = name not in OF_TRAINING
    are_numbers = all(map(is_number, values)) and any(isinstance(v, float) for v in values)
    return is_of_model and are_numbers


def _side_by_side(values_of: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return settings of second values, of third ones and so on; of short lists, the last."""
    n_values = max(map(len, values_of.values()), default=0)
    return [
        {name: values[min(i, len(values) - 1)] for name, values in values_of.items()}
        for i in range(1, n_values)
    ]


def with_members(
    space: StrategySpace, evaluation: Any, random_state: np.random.RandomState
) -> StrategySpace:
    """Return a space that knows which of its parameters are numbers of one program.

    They are those of which some values, all numbers and not all whole, make models that are members
    of one block. Where that is so of all of them together, they are not looked at one by one.
    Raises ValueError where a value cannot be used, and names it.
    """
    static: set[str] = set()
    for part in space.parts:
        probes = {name: one.probes(random_state) for name, one in part.others.items()}
        _check_numbers(probes)
        first = space.first_setting(part) | {name: values[0] for name, values in probes.items()}
        base = built(evaluation, first)
        numbers = {n: values for n, values in probes.items() if _may_be_numbers(n, values)}
        together = [base, *(built(evaluation, first | at) for at in _side_by_side(numbers))]
        evaluation.varied.update(_differing(together))
        are_members = len({one.block for one in together}) == 1
        for name, values in probes.items():
            if name in OF_TRAINING:
                for value in values:
                    evaluation.plan_of({name: value})
                static.add(name)
            elif not (are_members and name in numbers):
                others = [built(evaluation, first | {name: value}) for value in values[1:]]
                evaluation.varied.update(_differing([base, *others]))
                n_blocks = len({one.block for one in [base, *others]})
                if n_blocks >= max(2, len(values)) or name not in numbers:
                    static.add(name)
    own = models.own_values(evaluation.estimator, space.others)
    # A function may need some of what is searched, and so does an estimator without a loss.
    has_loss = getattr(evaluation.estimator, "loss", None) is not None
    spared = (OPTIMIZER, "loss") if has_loss else (OPTIMIZER,)
    needed = {name: value for name, value in first.items() if name.split("__")[0] not in spared}
    known = {"optimizer__weight_decay": 0.0} | built(evaluation, needed).numbers | own
    own = {name: value for name, value in known.items() if name in space.others}
    return space.with_members(set(space.others) - static, own)
