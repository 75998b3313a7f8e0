"""Growth of a space beyond the outermost learning rate."""

import numpy as np
from scipy.stats import loguniform

from .._space import Candidates
from .base import Problem
from .history import History

MAX_GROWTH = 4
"""Number of times that a space grows: by a decade, or by one rate where rates were proposed."""

MIN_NEW_CANDIDATES = 3


def beyond_the_edge(problem: Problem, history: History) -> Candidates | None:
    """Draw candidates from the decade beyond the best one, if that is the outermost."""
    if history.choice is None or history.n_rounds > MAX_GROWTH:
        return None
    best = history.choice.index
    rates, edge = rates_of_family(history.candidates, best)
    if len(rates) < 2 or rates.min() < edge < rates.max():
        return None
    low, high = (edge / 10, edge) if edge == rates.min() else (edge, edge * 10)
    decades = np.log10(rates.max() / rates.min())
    n = max(MIN_NEW_CANDIDATES, round(len(rates) / decades))
    # Away from the edge itself, where a candidate is already.
    parts = (np.arange(n) + problem.random_state.uniform(0.25, 0.75, size=n)) / n
    return history.candidates.with_rates(np.sort(loguniform(low, high).ppf(parts)), like=best)


def rates_of_family(candidates: Candidates, index: int) -> tuple[np.ndarray, float]:
    """Return the learning rates of a candidate's family, and its own."""
    families, rates = candidates.families, candidates.learning_rates
    return rates[families == families[index]], float(rates[index])
