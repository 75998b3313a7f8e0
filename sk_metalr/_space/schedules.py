"""Schedules: how the learning rate changes over the budget, as data.

A schedule is a table of factors, one for each step of the full budget. The rate at a step is the
candidate's learning rate times the factor, so that a candidate's rate is the highest of its run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np


def _cosine(progress: np.ndarray) -> np.ndarray:
    """Loshchilov & Hutter, "SGDR", 2017, arXiv:1608.03983, without restarts."""
    return (1 + np.cos(np.pi * progress)) / 2


def _one_cycle(progress: np.ndarray) -> np.ndarray:
    """Smith & Topin, "Super-convergence", 2018, arXiv:1708.07120, in PyTorch's form: a cosine from
    1/25 up to 1 over 30 % of the budget, and down to 4e-6.
    """
    up = 1 / 25 + (1 - 1 / 25) * _cosine(1 - progress / 0.3)
    down = 4e-6 + (1 - 4e-6) * _cosine((progress - 0.3) / 0.7)
    return np.where(progress < 0.3, up, down)


NAMED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": np.ones_like,
    "linear": lambda progress: 1 - progress,
    "cosine": _cosine,
    "one_cycle": _one_cycle,
}


@dataclass(frozen=True, eq=False)
class Schedule:
    """A schedule by the name that it has in results; its rule is one of :data:`NAMED`, a Keras
    ``LearningRateSchedule``, or a function of progress.
    """

    name: str
    rule: Any

    @property
    def is_constant(self) -> bool:
        """Tell whether every factor is 1."""
        return isinstance(self.rule, str) and self.rule == "constant"

    def factors(self, n_steps: int) -> np.ndarray:
        """Return the float32 factors (n_steps,) of a budget of `n_steps` steps; raise ValueError if
        a factor is negative or not finite, or all are 0.
        """
        progress = np.arange(n_steps) / n_steps
        if isinstance(self.rule, str):
            values = NAMED[self.rule](progress)
        elif hasattr(self.rule, "get_config"):  # Keras's count steps and give rates
            values = _keras_rates(self.rule, n_steps)
            values = values / values.max() if values.max() > 0 else values
        else:
            values = np.array([self._factor(p) for p in progress])
        with np.errstate(over="ignore"):  # what is infinite then is refused
            values = values.astype(np.float32)
        if not np.isfinite(values).all() or (values < 0).any() or not values.any():
            raise ValueError(
                f"The schedule {self.name!r} must give finite factors, none below 0 and some "
                f"above. Got {values.min():.3g} … {values.max():.3g} instead."
            )
        return values

    def _factor(self, progress: float) -> float:
        """Return the number that a function of the user's gives."""
        value = self.rule(progress)
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"The schedule {self.name!r} must give one number for each progress from 0 to 1. "
                f"Got {value!r} instead."
            ) from error


CONSTANT = Schedule("constant", "constant")

_factors = lru_cache(maxsize=64)(Schedule.factors)


def rates_at(
    steps: np.ndarray, n_steps: int, learning_rates: Any, schedules: Sequence[Schedule]
) -> np.ndarray:
    """Return the rates (n, n_members) at some steps (n,), which count from 0, of runs whose highest
    `learning_rates` are (n_members,). After the `n_steps` of the full budget, the last rate stays.
    """
    steps = np.minimum(steps, n_steps - 1)
    factors = [_factors(schedule, n_steps)[steps] for schedule in schedules]
    return np.asarray(learning_rates * np.stack(factors, axis=1))


def _of_epoch(factors: list[float], progress: float) -> float:
    return factors[min(int(progress * len(factors) + 1e-9), len(factors) - 1)]


def learned(factors: np.ndarray) -> Schedule:
    """Return a schedule with a factor for each epoch of the budget: `factors` (n_epochs,)."""
    return Schedule("learned", partial(_of_epoch, factors.tolist()))


def _keras_rates(rule: Any, n_steps: int) -> np.ndarray:
    """Return the rates of a Keras schedule: at all steps at once, where it can do that."""
    steps = np.arange(n_steps)
    few = steps[:: max(1, n_steps // 8)]
    one_by_one = np.array([float(rule(step)) for step in few])
    try:
        values = np.asarray(rule(steps), dtype=np.float64)
    except Exception:  # whatever a schedule of the user's may not like about arrays
        values = np.empty(0)
    if values.shape == steps.shape and np.allclose(values[few], one_by_one, rtol=1e-5):
        return values
    return np.array([float(rule(step)) for step in steps])


def check_schedule(rule: Any) -> Schedule:
    """Return a schedule that a user gave; raise ValueError if it is neither named nor callable."""
    if isinstance(rule, str) and rule in NAMED:
        return Schedule(rule, rule)
    if isinstance(rule, str) or not callable(rule):
        raise ValueError(
            "The 'schedule' values of param_distributions must be names out of "
            f"{sorted(NAMED)}, Keras learning-rate schedules, or functions that return a factor "
            f"for a progress from 0 to 1. Got {rule!r} instead."
        )
    name = getattr(rule, "__name__", None) or getattr(rule, "name", None) or type(rule).__name__
    schedule = Schedule(str(name), rule)
    if not hasattr(rule, "get_config"):  # those of Keras's may begin with rates of 0
        schedule.factors(8)
    return schedule
