"""Draws from joint spaces: a Latin hypercube over numbers, and a few static settings.

Each static setting is a program of its own, so that only a few are drawn, and each is given enough
candidates to be worth compiling.
"""

from collections.abc import Collection, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from scipy.stats import qmc
from sklearn.model_selection import ParameterGrid

from .candidates import OPTIMIZER, RATE, SCHEDULE, are_same, is_same
from .distributions import UNKNOWN, Dimension, is_number
from .levels import plain

IS_OWN = "is own"
"""Beside the parameters of a candidate: whether it differs from the estimator in its rate alone."""

PER_SETTING = 8
"""How many candidates are drawn, about, for each static setting."""


def draw(
    parts: Sequence[Any],
    members: Collection[str],
    own: Mapping[str, Any],
    n_candidates: int,
    random_state: np.random.RandomState,
) -> list[dict[str, Any]]:
    """Return candidates as dicts of values; optimizers and schedules are positions of levels.

    Each part, a :class:`.space.Part`, gets about as many of them as the others. Learning rates and
    `members`, the parameters that are numbers of one program, are drawn by a Latin hypercube
    (McKay, Beckman & Conover, 1979, doi:10.1080/00401706.1979.10489755), schedules in equal shares.
    Of all static settings, one is drawn for every eight candidates, but at least two, in which each
    listed value comes about as often as the others; a setting's learning rates are spread over all.
    Where lists hold fewer than eight for a setting, there are more settings, and where they hold no
    more than the candidates that there are to be, all are taken.
    The candidates of one setting, or else a quarter of them, differ in their rates alone: they have
    the values that parameters have of their `own` where they are not searched, or those of the
    space that are nearest. So what a search of the rate alone would choose is compared with all
    others.
    """
    each, more = divmod(n_candidates, len(parts))
    numbers = [each + (i < more) for i in range(len(parts))]
    if not each:
        numbers = [0] * len(parts)
        for i in random_state.choice(len(parts), n_candidates, replace=False):
            numbers[int(i)] = 1
    rows: list[dict[str, Any]] = []
    for part, n, may_be_own in zip(parts, numbers, are_own(parts, own), strict=True):
        nearest = nearest_own(part.others, own)
        drawn = _drawn_from(part, members, nearest, n, random_state) if n else []
        for row in drawn:
            row[IS_OWN] = may_be_own and all(is_same(row[name], v) for name, v in nearest.items())
        rows += drawn
    return rows


def nearest_own(others: Mapping[str, Dimension], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of parameters that are nearest to those of their own, where one is."""
    nearest = {name: one.nearest(own[name]) for name, one in others.items() if name in own}
    return {name: value for name, value in nearest.items() if value is not UNKNOWN}


def adapted(others: Mapping[str, Dimension], recorded: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the values of parameters that are nearest to recorded ones; see :func:`plain`.

    None where the value of some parameter is like none that there is.
    """
    values: dict[str, Any] = {}
    for name, one in others.items():
        value = recorded[name]
        listed = one.highest if one.is_listed else []
        same = [known for known in listed if plain(known) == value]
        numbers = [known for known in listed if is_number(known)] if is_number(value) else []
        if same or numbers:
            values[name] = same[0] if same else min(numbers, key=lambda known: abs(known - value))
        else:
            values[name] = UNKNOWN if one.is_listed else one.nearest(value)
        if values[name] is UNKNOWN:
            return None
    return values


def packed(others: Mapping[str, Dimension], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of parameters as what can be saved: of listed ones, their positions."""
    positions = {name: one.highest for name, one in others.items() if one.is_listed}
    return {
        name: next(i for i, value in enumerate(positions[name]) if is_same(value, row[name]))
        if name in positions
        else row[name]
        for name in others
    }


def unpacked(others: Mapping[str, Dimension], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of parameters that :func:`packed` has packed."""
    return {
        name: one.highest[row[name]] if one.is_listed else row[name] for name, one in others.items()
    }


def are_own(parts: Sequence[Any], own: Mapping[str, Any]) -> list[bool]:
    """Tell which parts can hold candidates that differ from the estimator in their rates alone.

    Of several optimizers or schedules, none is the estimator's own. Where some part holds all own
    values, those of others that are merely nearest do not count.
    """
    known = [nearest_own(part.others, own) for part in parts]
    found = []
    for part, nearest in zip(parts, known, strict=True):
        listed = [{tuple(one.positions.get(name, ())) for one in parts} for name in part.positions]
        is_one = all(len(several) == 1 and len(*several) == 1 for several in listed)
        found.append(is_one and nearest.keys() == part.others.keys())
    is_exact = [
        is_known and all(is_same(value, own[name]) for name, value in nearest.items())
        for is_known, nearest in zip(found, known, strict=True)
    ]
    return is_exact if any(is_exact) else found


def latin_hypercube(n: int, n_columns: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return points (n, n_columns) of a Latin hypercube, the first coordinate in order."""
    generator = np.random.default_rng(random_state.randint(2**31 - 1))
    points = qmc.LatinHypercube(n_columns, rng=generator).random(n)
    return np.asarray(points[points[:, 0].argsort()])


def _drawn_from(
    part: Any,
    members: Collection[str],
    known: dict[str, Any],
    n: int,
    random_state: np.random.RandomState,
) -> list[dict[str, Any]]:
    """Return `n` candidates of a part; those of one setting, or else a quarter of them, have the
    `known` values of their own.
    """
    numeric = {name: one for name, one in part.others.items() if name in members}
    static = {name: one for name, one in part.others.items() if name not in members}
    positions = {name: Dimension(name, listed) for name, listed in part.positions.items()}
    if OPTIMIZER in positions:
        static[OPTIMIZER] = positions[OPTIMIZER]
    free = numeric | ({SCHEDULE: positions[SCHEDULE]} if SCHEDULE in positions else {})
    quantiles = latin_hypercube(n, 1 + len(free), random_state)
    columns = {RATE: part.rates.at(quantiles[:, 0], random_state)}
    for column, (name, one) in enumerate(free.items(), start=1):
        columns[name] = one.at(quantiles[:, column], random_state)
    n_free = part.rates.n_listed * prod(one.n_listed for one in free.values())
    n_settings = max(min(2, n), int(n // min(PER_SETTING, n_free)))
    settings = _settings(static, n_settings, random_state)
    settings = _with_own(settings, {name: v for name, v in known.items() if name in static})
    if len(settings) * n_free <= n:
        every = _grid(free, **{RATE: part.rates.listed})
        return [one | setting for setting in settings for one in every]
    # Neighbours by rate are dealt different settings.
    rounds = [random_state.permutation(len(settings)) for _ in range(0, n, len(settings))]
    dealt = np.concatenate(rounds)[:n]
    is_own = (dealt == 0) if len(settings) > 1 else (np.arange(n) % 4 == 1)
    numbers = {name: value for name, value in known.items() if name in numeric}
    return [
        {name: column[i] for name, column in columns.items()}
        | settings[setting]
        | (numbers if is_own[i] else {})
        for i, setting in enumerate(dealt)
    ]


def _with_own(settings: list[dict[str, Any]], own: dict[str, Any]) -> list[dict[str, Any]]:
    """Return settings with that of the estimator's own values first, in place of one most like it,
    so that listed values still come about as often as the others.
    """
    most_like = max(settings, key=lambda one: sum(is_same(one[name], own[name]) for name in own))
    return [most_like | own, *(one for one in settings if one is not most_like)]


def _settings(
    static: dict[str, Dimension], n: int, random_state: np.random.RandomState
) -> list[dict[str, Any]]:
    """Return at most `n` static settings, all different where that is known."""
    if not static:
        return [{}]
    n_all = prod(one.n_listed for one in static.values())
    n = int(min(n, n_all))
    best: list[dict[str, Any]] = []
    for _ in range(50):
        quantiles = latin_hypercube(n, len(static), random_state)
        columns = [one.at(quantiles[:, i], random_state) for i, one in enumerate(static.values())]
        drawn = [dict(zip(static, row, strict=True)) for row in zip(*columns, strict=True)]
        different = [one for i, one in enumerate(drawn) if not _is_among(one, drawn[:i])]
        best = max(best, different, key=len)
        if len(best) == n:
            return best
    if n_all == np.inf:
        return best
    left = [one for one in _grid(static) if not _is_among(one, best)]
    more = random_state.choice(len(left), n - len(best), replace=False)
    return [*best, *(left[int(i)] for i in more)]


def _is_among(setting: dict[str, Any], others: list[dict[str, Any]]) -> bool:
    return any(are_same(setting, one) for one in others)


def _grid(listed: dict[str, Dimension], **others: list[Any]) -> list[dict[str, Any]]:
    """Return all combinations of listed values."""
    return list(ParameterGrid({name: one.highest for name, one in listed.items()} | others))
