"""The base class of search algorithms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from .._experience import Situation
from .._progress import warn
from .._space import Candidates, StrategySpace
from ..exceptions import SingleCandidateWarning
from .history import History, Rung


@dataclass(frozen=True)
class Problem:
    """The search, as an algorithm is told of it before anything is trained.

    Attributes
    ----------
    space : StrategySpace, where candidates come from
    was_open : bool, whether its learning rates were left open, and found by a sweep
    n_candidates : int or None, how many candidates to try in all, as given by the user
    budget : int, in epochs
    random_state : numpy.random.RandomState, where draws come from
    describe : callable, returns the :class:`.Situation` by which searches are compared
    remember : callable
        Takes a name and a value of numbers, strings, arrays, lists and dicts. Returns the value,
        or that which was remembered where a saved search goes on.
    """

    space: StrategySpace
    was_open: bool
    n_candidates: int | None
    budget: int
    random_state: np.random.RandomState
    describe: Callable[[], Situation]
    remember: Callable[[str, Any], Any]


class BaseSearch(BaseEstimator):
    """Base class of search algorithms, which decide what is trained, and for how long.

    Without overrides: all candidates are drawn at random, and trained for the full budget. A
    subclass overrides `propose`, `promote`, or both.

    See Also
    --------
    RandomSearch, Halving, Portfolio, Hypergradient : The algorithms that there are.
    """

    adapts_rates: ClassVar[bool] = False
    """Whether every candidate moves its own learning rate after each epoch."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    def check(self, space: StrategySpace) -> None:
        """Raise ValueError where a space cannot be searched; called before anything is trained.

        Parameters
        ----------
        space : StrategySpace
            As the user gave it.
        """

    def propose(self, problem: Problem, history: History | None) -> Candidates | None:
        """Return the next candidates to train.

        Parameters
        ----------
        problem : Problem
            The search.
        history : History or None
            What was seen of the candidates before; None at first.

        Returns
        -------
        candidates : Candidates or None
            None ends the search.
        """
        if history is not None:
            return None
        if problem.n_candidates == 1 and problem.space.has_more_than(1):
            message = (
                "n_candidates=1 draws a single learning rate at random, and compares it with no "
                "other: raise n_candidates, or give the rate itself, such as "
                "learning_rates=[1e-3], to train at exactly that one."
            )
            warn(SingleCandidateWarning(message), stacklevel=7)
        return problem.space.sample(problem.n_candidates, problem.random_state)

    def promote(self, rung: Rung) -> tuple[np.ndarray, float]:
        """Return which candidates go on, and up to which epoch, before they are compared again.

        Called before the first epoch, too, and then again until the full budget is reached.

        Parameters
        ----------
        rung : Rung
            What was seen so far.

        Returns
        -------
        staying : int ndarray of shape (n_staying,)
            Positions of those that go on, out of ``rung.staying``. None end the round.
        epoch : int or float
            Counted from 1; ``rung.budget`` for the full budget. Below 1, a share of the first
            epoch, where ``rung.steps_per_epoch`` is not 0.
        """
        return rung.staying, rung.budget
