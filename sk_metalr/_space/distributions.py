"""Distributions of learning rates."""

from typing import Any

import numpy as np
from scipy.stats import loguniform, qmc
from sklearn.model_selection import ParameterSampler


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

    def bounds(self) -> tuple[float, float]:
        """Return the lowest and the highest learning rate; raise ValueError if rates are left open,
        a list, or a distribution without a support.
        """
        if self.values is None:
            return 0.0, np.inf
        if not hasattr(self.values, "support"):
            raise ValueError(
                "The learning rates of MetaLRClassifier must be left out, or be a distribution of "
                "scipy's, for search='portfolio', which takes its bounds and proposes rates within "
                f"them. Got {self.values!r} instead; leave it out, or try these rates with "
                "search='random'."
            )
        low, high = self.values.support()
        return float(low), float(high)


def _check_rates(learning_rates: Any) -> np.ndarray:
    """Return the rates as a float64 array, or say which one cannot be used."""
    try:
        rates = np.asarray(learning_rates, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        rates = np.empty(0)
    if rates.ndim != 1 or rates.size == 0:
        raise ValueError(
            "The learning rates of MetaLRClassifier must be numbers in a flat list with at least "
            f"one of them. Got {learning_rates!r} instead."
        )
    float32 = np.finfo(np.float32)  # the type that optimizers keep their rates in
    unusable = rates[~((rates >= float32.tiny) & (rates <= float32.max))]
    if unusable.size:
        raise ValueError(
            "The learning rates of MetaLRClassifier must be finite and above 0, of the range of "
            f"float32. Got {unusable[0]} instead; leave them out, or give a distribution with "
            "positive support such as scipy.stats.loguniform(1e-5, 1)."
        )
    return rates
