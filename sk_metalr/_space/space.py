"""The strategy space: which learning rates, optimizers and schedules are tried."""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import loguniform
from scipy.stats._distn_infrastructure import rv_frozen
from sklearn.model_selection import ParameterSampler

from .schedules import Schedule, check_schedules

__all__ = ["Candidates", "Strategy", "StrategySpace"]

DEFAULT_LOW, DEFAULT_HIGH = 1e-5, 1.0
FLOAT32 = np.finfo(np.float32)
"""Of which optimizers have their rates."""


@dataclass(frozen=True)
class Strategy:
    """A point of the strategy space.

    Attributes
    ----------
    learning_rate : float
        With a schedule, the highest of the run.
    optimizer : str, keras.optimizers.Optimizer or None
        None for the wrapped model's own.
    schedule : Schedule
    """

    learning_rate: float
    optimizer: Any
    schedule: Schedule


@dataclass(frozen=True)
class Candidates:
    """Strategies that were drawn, in order of optimizer, schedule and learning rate.

    Attributes
    ----------
    learning_rates : ndarray of shape (n_candidates,)
        Learning rate of each; with a schedule, the highest of its run.
    optimizer : int ndarray of shape (n_candidates,)
        Position of its optimizer among those of the space.
    schedule : int ndarray of shape (n_candidates,)
        Position of its schedule among those of the space.
    """

    learning_rates: np.ndarray
    optimizer: np.ndarray
    schedule: np.ndarray

    @property
    def family(self) -> np.ndarray:
        """Number each combination of optimizer and schedule: (n_candidates,) integers."""
        return self.optimizer * (self.schedule.max() + 1) + self.schedule


class StrategySpace:
    """The set S of strategies that a search draws its candidates from.

    Parameters
    ----------
    learning_rates : array-like of float, object with a method ``rvs``, dict of such, "auto" \
            or None
        A finite list of learning rates, a distribution, or None for the log-uniform
        distribution on 1e-5 … 1. A dict holds them by the name of the optimizer. ``"auto"``
        leaves them open.
    optimizers : sequence of str or keras.optimizers.Optimizer, or None
        Optimizers; None stands for the one that the wrapped model is compiled with.
    schedules : sequence of str, keras LearningRateSchedule or callable
        Schedules.

    Attributes
    ----------
    optimizers : list
        As given, ``[None]`` for None.
    optimizer_names : list of str
        Their names; empty for None.
    schedules : list of Schedule
    is_open : bool
        Whether learning rates are still to be found.
    """

    def __init__(
        self, learning_rates: Any = None, optimizers: Any = None, schedules: Any = ("constant",)
    ) -> None:
        self.schedules: list[Schedule] = check_schedules(schedules)
        self.optimizers = [None] if optimizers is None else list(optimizers)
        self.optimizer_names = [] if optimizers is None else _check_names(self.optimizers)
        self.is_open = isinstance(learning_rates, str) and learning_rates == "auto"
        if self.is_open:
            learning_rates = None
        if isinstance(learning_rates, dict):
            _check_keys(learning_rates, self.optimizer_names)
            given = [learning_rates.get(name) for name in self.optimizer_names]
        else:
            given = [learning_rates] * len(self.optimizers)
        self.learning_rates = [_LearningRates(rates) for rates in given]

    def sample(self, n_candidates: int, random_state: np.random.RandomState) -> Candidates:
        """Draw candidates: learning rates, for each optimizer with each schedule the same.

        Parameters
        ----------
        n_candidates : int
            The largest number of learning rates to try with each optimizer and schedule.
        random_state : numpy.random.RandomState
            Where the draw comes from.

        Returns
        -------
        candidates : Candidates
        """
        parts = []
        drawn: dict[int, np.ndarray] = {}
        for number, learning_rates in enumerate(self.learning_rates):
            key = id(learning_rates.values)
            if key not in drawn:
                drawn[key] = learning_rates.sample(n_candidates, random_state)
            rates = drawn[key]
            for schedule in range(len(self.schedules)):
                parts.append((rates, np.full(len(rates), number), np.full(len(rates), schedule)))
        return Candidates(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def sample_one(
        self, optimizer: int, n_candidates: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        """Draw learning rates of one optimizer, by its position: in increasing order."""
        return self.learning_rates[optimizer].sample(n_candidates, random_state)

    def has_more_than(self, n: int) -> bool:
        """Tell whether some optimizer has more than `n` learning rates to draw from."""
        return any(
            rates.is_distribution or len(rates.learning_rates) > n for rates in self.learning_rates
        )

    def bounds(self, optimizer: int) -> tuple[float, float]:
        """Return the lowest and the highest learning rate of one optimizer, by its position.

        Raises
        ------
        ValueError
            If learning rates are left open, a list, or a distribution without a support.
        """
        given = self.learning_rates[optimizer].values
        if given is None and not self.is_open:
            return 0.0, np.inf
        if not hasattr(given, "support"):
            shown = "'auto'" if self.is_open else repr(given)
            raise ValueError(
                "The 'learning_rates' parameter of MetaLRClassifier must be None or a distribution "
                "of scipy's for search='portfolio', which takes its bounds and proposes rates "
                f"within them. Got {shown} instead; leave it out, or try these rates with "
                "search='random'."
            )
        low, high = given.support()
        return float(low), float(high)

    def over(self, learning_rates: list[Any]) -> "StrategySpace":
        """Return the same space over these learning rates, one entry for each optimizer."""
        space = copy(self)
        space.learning_rates = [_LearningRates(rates) for rates in learning_rates]
        space.is_open = False
        return space

    def strategy(self, candidates: Candidates, index: int) -> Strategy:
        """Return the strategy of one candidate."""
        return Strategy(
            float(candidates.learning_rates[index]),
            self.optimizers[candidates.optimizer[index]],
            self.schedules[candidates.schedule[index]],
        )

    def params(self, candidates: Candidates) -> list[dict[str, Any]]:
        """Return the parameters of every candidate, those that the space leaves open.

        Returns
        -------
        params : list of dict
            ``learning_rate``; ``optimizer`` and ``schedule``, by name, where they are given.
        """
        has_schedules = len(self.schedules) > 1 or not self.schedules[0].is_constant
        return [
            {"learning_rate": float(rate)}
            | ({"optimizer": self.optimizer_names[optimizer]} if self.optimizer_names else {})
            | ({"schedule": self.schedules[schedule].name} if has_schedules else {})
            for rate, optimizer, schedule in zip(
                candidates.learning_rates, candidates.optimizer, candidates.schedule, strict=True
            )
        ]


class _LearningRates:
    """Learning rates to draw from.

    Parameters
    ----------
    values : array-like of float, object with a method ``rvs``, or None
        See :class:`StrategySpace`.
    """

    def __init__(self, values: Any = None) -> None:
        self.values = values
        if values is None:
            values = loguniform(DEFAULT_LOW, DEFAULT_HIGH)
        self.is_distribution = hasattr(values, "rvs")
        if not self.is_distribution:
            values = np.unique(_check_rates(values)).tolist()
        self.learning_rates = values

    def sample(self, n_candidates: int, random_state: np.random.RandomState) -> np.ndarray:
        """Draw learning rates.

        A list that holds no more than `n_candidates` rates is used up: each rate
        once. A longer one is sampled without replacement. A distribution of scipy's, which
        knows its quantiles, is cut into `n_candidates` parts of equal probability, and one
        rate is drawn from each: independent draws leave gaps of a decade now and then
        (stratified sampling; McKay, Beckman & Conover, "A comparison of three methods for
        selecting values of input variables", 1979, doi:10.1080/00401706.1979.10489755).

        Returns
        -------
        rates : ndarray of shape (n,), with n <= n_candidates
            Learning rates in increasing order.
        """
        n_candidates = int(n_candidates)
        if isinstance(self.learning_rates, rv_frozen):
            parts = np.arange(n_candidates) + random_state.uniform(size=n_candidates)
            return np.sort(_check_rates(self.learning_rates.ppf(parts / n_candidates)))
        n_iter = n_candidates
        if not self.is_distribution:
            n_iter = min(n_candidates, len(self.learning_rates))
        sampler = ParameterSampler(
            {"learning_rate": self.learning_rates}, n_iter, random_state=random_state
        )
        return np.sort(_check_rates([params["learning_rate"] for params in sampler]))


def _check_names(optimizers: list[Any]) -> list[str]:
    """Return names of optimizers, or say which cannot be used."""
    names = []
    for optimizer in optimizers:
        name = optimizer if isinstance(optimizer, str) else getattr(optimizer, "name", None)
        if not isinstance(name, str) or not (name is optimizer or hasattr(optimizer, "get_config")):
            raise ValueError(
                "The 'optimizers' parameter of MetaLRClassifier must hold names or instances of "
                f"Keras optimizers, such as 'adam' or keras.optimizers.AdamW(weight_decay=1e-4). "
                f"Got {optimizer!r} instead."
            )
        names.append(name)
    if not names:
        raise ValueError(
            "The 'optimizers' parameter of MetaLRClassifier must hold at least one optimizer. Got "
            "an empty list instead; leave it out for the wrapped model's own."
        )
    if len(set(names)) < len(names):
        raise ValueError(
            "The 'optimizers' parameter of MetaLRClassifier must hold optimizers with different "
            f"names. Got {names} instead; name them apart, as in keras.optimizers.AdamW(name=...)."
        )
    return names


def _check_keys(learning_rates: dict[str, Any], names: list[str]) -> None:
    unknown = [name for name in learning_rates if name not in names]
    if unknown or not names:
        raise ValueError(
            "The 'learning_rates' parameter of MetaLRClassifier, where it is a dict, must hold "
            f"learning rates by names out of {names or 'the optimizers parameter'}. Got "
            f"{list(learning_rates)} instead."
        )


def _check_rates(learning_rates: Any) -> np.ndarray:
    """Return the rates as a float64 array, or say which one cannot be used."""
    try:
        rates = np.asarray(learning_rates, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            "The 'learning_rates' parameter of MetaLRClassifier must hold numbers. "
            f"Got {learning_rates!r} instead."
        ) from error
    if rates.ndim != 1 or rates.size == 0:
        raise ValueError(
            "The 'learning_rates' parameter of MetaLRClassifier must be a flat list with at least "
            f"one learning rate. Got an array of shape {rates.shape} instead."
        )
    unusable = rates[~((rates >= FLOAT32.tiny) & (rates <= FLOAT32.max))]
    if unusable.size:
        raise ValueError(
            "The 'learning_rates' parameter of MetaLRClassifier must hold finite rates above 0, "
            f"of the range of float32. Got {unusable[0]} instead; leave it out, or give a "
            "distribution with positive support such as scipy.stats.loguniform(1e-5, 1)."
        )
    return rates
