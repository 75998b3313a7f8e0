"""Random search."""

import numpy as np
from scipy.stats import loguniform

from .._space import Candidates
from .base import BaseSearch, Problem
from .history import History

MAX_GROWTH = 4
"""Number of times that a space grows: by a decade each time."""

MIN_NEW_CANDIDATES = 3


class RandomSearch(BaseSearch):
    """Candidates are drawn at random, and all are trained for the full budget.

    With ``learning_rates="auto"``, a further decade is searched while the best learning rate is
    the lowest or the highest that was tried.

    Examples
    --------
    >>> from sk_metalr import MetaLRClassifier, RandomSearch
    >>> MetaLRClassifier(search=RandomSearch())
    MetaLRClassifier(search=RandomSearch())
    """

    def propose(self, problem: Problem, history: History | None) -> Candidates | None:
        """Return candidates drawn at random; then, of an open space, those beyond its edge.

        The latter lie in the decade beyond the best one, if that is the outermost.
        """
        if history is None or not problem.was_open:
            return super().propose(problem, history)
        if history.choice is None or history.n_rounds > MAX_GROWTH:
            return None
        best = history.choice.index
        edge, rates = history.rate_in_family(best)
        if len(rates) < 2 or rates.min() < edge < rates.max():
            return None
        low, high = (edge / 10, edge) if edge == rates.min() else (edge, edge * 10)
        decades = np.log10(rates.max() / rates.min())
        n = max(MIN_NEW_CANDIDATES, round(len(rates) / decades))
        # Away from the edge itself, where a candidate is already.
        parts = (np.arange(n) + problem.random_state.uniform(0.25, 0.75, size=n)) / n
        return history.candidates.with_rates(np.sort(loguniform(low, high).ppf(parts)), like=best)
