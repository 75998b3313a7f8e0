"""Random search."""

from .._space import Candidates
from .base import BaseSearch, Problem
from .edge import beyond_the_edge
from .history import History


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
        """Return candidates drawn at random; then those beyond the edge of an open space."""
        if history is not None and problem.was_open:
            return beyond_the_edge(problem, history)
        return super().propose(problem, history)
