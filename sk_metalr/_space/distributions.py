"""Distributions that strategies are drawn from: lists, and objects that draw."""

from numbers import Real
from typing import Any

import numpy as np
from scipy.stats import loguniform, qmc, rv_discrete
from sklearn.model_selection import ParameterSampler

from .candidates import RATE, is_same

UNKNOWN = object()
"""Stands for a value that is not known."""


class LearningRates:
    """Learning rates to draw from: a list, a distribution with a method ``rvs``, or None for the
    log-uniform one on 1e-5 … 1; "auto" stands for a distribution that is still to be found.
    """

    def __init__(self, values: Any = None) -> None:
        self.values = values
        self.is_open = isinstance(values, str) and values == "auto"
        if values is None or self.is_open:
            values = loguniform(1e-5, 1.0)
        is_distribution = hasattr(values, "rvs")
        self._drawn_from = values if is_distribution else np.unique(_check_rates(values)).tolist()
        self.n_listed = np.inf if is_distribution else len(self._drawn_from)

    def sample(self, n_candidates: int, random_state: np.random.RandomState) -> np.ndarray:
        """Draw learning rates (n,), at most `n_candidates`, in increasing order.

        A list that holds no more than `n_candidates` rates is used up: each rate once. A longer
        one is sampled without replacement. A distribution of SciPy's, which knows its quantiles,
        is drawn from by a Latin hypercube: one rate from each of `n_candidates` parts of equal
        probability, because independent draws leave gaps of a decade now and then (McKay, Beckman
        & Conover, 1979, doi:10.1080/00401706.1979.10489755).
        """
        n_candidates = int(n_candidates)
        if hasattr(self._drawn_from, "dist") and hasattr(self._drawn_from, "ppf"):
            generator = np.random.default_rng(random_state.randint(2**31 - 1))
            quantiles = qmc.LatinHypercube(1, rng=generator).random(n_candidates)[:, 0]
            return np.sort(_check_rates(self._drawn_from.ppf(quantiles)))
        n_iter = min(n_candidates, self.n_listed)
        sampler = ParameterSampler({"rate": self._drawn_from}, n_iter, random_state=random_state)
        return np.sort(_check_rates([params["rate"] for params in sampler]))

    @property
    def listed(self) -> list[float]:
        """The rates of a list, in increasing order."""
        return list(self._drawn_from)

    def at(self, quantiles: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
        """Return learning rates at quantiles (n,), or drawn ones where quantiles are not known."""
        return _check_rates(Dimension(RATE, self._drawn_from).at(quantiles, random_state))

    def bounds(self) -> tuple[float, float]:
        """Return the lowest and the highest learning rate; raise ValueError if rates are left open,
        a list, or a distribution without a support.
        """
        if self.values is None:
            return 0.0, np.inf
        if not hasattr(self.values, "support"):
            raise ValueError(
                "Learning rates must be left out, or be a distribution of "
                "scipy's, for search='portfolio', which takes its bounds and proposes rates within "
                f"them. Got {self.values!r} instead; leave it out, or try these rates with "
                "search='random'."
            )
        low, high = self.values.support()
        return float(low), float(high)


class Dimension:
    """Values of one parameter to draw from: a list, or a distribution with a method ``rvs``."""

    def __init__(self, name: str, values: Any) -> None:
        self.name = name
        self.is_listed = not hasattr(values, "rvs")
        if self.is_listed and (
            not isinstance(values, list | tuple | range | np.ndarray) or not len(values)
        ):
            raise ValueError(
                f"The {name!r} values of param_distributions must be a list [...] of at least one "
                "value, or a distribution with a method rvs, such as scipy.stats.uniform(0, 0.5). "
                f"Got {values!r} instead."
            )
        self._values: Any = [_plain(v) for v in values] if self.is_listed else values

    @property
    def n_listed(self) -> float:
        """How many values there are; infinity for a distribution."""
        return len(self._values) if self.is_listed else np.inf

    @property
    def highest(self) -> list[Any]:
        """The values of a list, or the highest of a distribution; raise ValueError if unbounded."""
        if self.is_listed:
            return list(self._values)
        high = self._values.support()[1] if hasattr(self._values, "support") else np.inf
        if not np.isfinite(high):
            raise ValueError(
                f"The {self.name!r} values of param_distributions must have a highest one. Got "
                f"{self._values!r} instead; give a list."
            )
        return [int(high)]

    def at(self, quantiles: np.ndarray, random_state: np.random.RandomState) -> list[Any]:
        """Return values at quantiles (n,) from 0 to 1, or drawn ones where these are not known.

        Where each n-th part holds one of the quantiles, listed values come in equal shares, as far
        as n allows, and each as likely as the others (systematic sampling).
        """
        if self.is_listed:
            n, n_values = len(quantiles), len(self._values)
            parts = np.floor(np.minimum(quantiles, 1 - 1e-9) * n)
            start = quantiles.min() * n % 1
            at = ((parts + start) * n_values / n).astype(int)
            return [self._values[i] for i in np.minimum(at, n_values - 1)]
        if hasattr(self._values, "dist") and hasattr(self._values, "ppf"):
            is_whole = isinstance(self._values.dist, rv_discrete)
            values = self._values.ppf(quantiles)
            values = values.astype(int) if is_whole else values
        else:
            values = [self._values.rvs(random_state=random_state) for _ in quantiles]
        return [_plain(value) for value in values]

    def nearest(self, value: Any) -> Any:
        """Return a value if it is listed or supported, the nearest number, or else UNKNOWN."""
        if self.is_listed:
            if any(is_same(one, value) for one in self._values):
                return value
            if not is_number(value) or not all(map(is_number, self._values)):
                return UNKNOWN
            return min(self._values, key=lambda one: abs(one - value))
        if not is_number(value) or not hasattr(self._values, "support"):
            return UNKNOWN
        low, high = self._values.support()
        is_whole = isinstance(getattr(self._values, "dist", None), rv_discrete)
        value = min(max(value, low), high)
        return int(value) if is_whole else float(value)

    def probes(self, random_state: np.random.RandomState) -> list[Any]:
        """Return values that stand for all: those of a list, or three of a distribution."""
        return self._values if self.is_listed else self.at(np.array([0.1, 0.5, 0.9]), random_state)


def is_number(value: Any) -> bool:
    """Tell whether a value is a real number, and no bool."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _plain(value: Any) -> Any:
    """Return a number of NumPy's as one of Python's, integers where they are whole by type."""
    return value.item() if isinstance(value, np.generic) else value


def _check_rates(learning_rates: Any) -> np.ndarray:
    """Return the rates as a float64 array, or say which one cannot be used."""
    try:
        rates = np.asarray(learning_rates, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        rates = np.empty(0)
    if rates.ndim != 1 or rates.size == 0:
        raise ValueError(
            "Learning rates must be numbers in a flat list with at least "
            f"one of them. Got {learning_rates!r} instead."
        )
    float32 = np.finfo(np.float32)  # the type that optimizers keep their rates in
    unusable = rates[~((rates >= float32.tiny) & (rates <= float32.max))]
    if unusable.size:
        raise ValueError(
            "Learning rates must be finite and above 0, of the range of "
            f"float32. Got {unusable[0]} instead; leave them out, or give a distribution with "
            "positive support such as scipy.stats.loguniform(1e-5, 1)."
        )
    return rates
