"""The strategy space: which learning rates are tried."""

from typing import Any

import numpy as np
from scipy.stats import loguniform
from scipy.stats._distn_infrastructure import rv_frozen
from sklearn.model_selection import ParameterSampler

__all__ = ["StrategySpace"]

DEFAULT_LOW, DEFAULT_HIGH = 1e-5, 1.0


class StrategySpace:
    """The set S of strategies that a search draws its candidates from.

    Parameters
    ----------
    learning_rates : array-like of float, object with a method ``rvs``, or None
        A finite list of learning rates, a distribution, or None for the
        log-uniform distribution on 1e-5 … 1.
    """

    def __init__(self, learning_rates: Any = None) -> None:
        if learning_rates is None:
            learning_rates = loguniform(DEFAULT_LOW, DEFAULT_HIGH)
        self.is_distribution = hasattr(learning_rates, "rvs")
        if not self.is_distribution:
            learning_rates = np.unique(_check_rates(learning_rates)).tolist()
        self.learning_rates = learning_rates

    def sample(self, n_candidates: int, random_state: np.random.RandomState) -> np.ndarray:
        """Draw candidates.

        A list that holds no more than `n_candidates` rates is used up: each rate
        once. A longer one is sampled without replacement. A distribution of scipy's, which
        knows its quantiles, is cut into `n_candidates` parts of equal probability, and one
        rate is drawn from each: independent draws leave gaps of a decade now and then
        (stratified sampling; McKay, Beckman & Conover, "A comparison of three methods for
        selecting values of input variables", 1979, doi:10.1080/00401706.1979.10489755).

        Parameters
        ----------
        n_candidates : int
            The largest number of candidates to return.
        random_state : numpy.random.RandomState
            Where the draw comes from.

        Returns
        -------
        rates : ndarray of shape (n,), with n <= n_candidates
            Learning rates in increasing order.
        """
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


def _check_rates(learning_rates: Any) -> np.ndarray:
    """Return the rates as a float64 array, or say which one cannot be used."""
    try:
        rates = np.asarray(learning_rates, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The 'learning_rates' parameter of MetaLRClassifier must hold numbers. "
            f"Got {learning_rates!r} instead."
        ) from error
    if rates.ndim != 1 or rates.size == 0:
        raise ValueError(
            "The 'learning_rates' parameter of MetaLRClassifier must be a flat list with at least "
            f"one learning rate. Got an array of shape {rates.shape} instead."
        )
    unusable = rates[~(np.isfinite(rates) & (rates > 0))]
    if unusable.size:
        raise ValueError(
            "The 'learning_rates' parameter of MetaLRClassifier must hold finite rates above 0. "
            f"Got {unusable[0]} instead; leave it out, or give a distribution with positive "
            "support such as scipy.stats.loguniform(1e-5, 1)."
        )
    return rates
