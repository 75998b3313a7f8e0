"""The search algorithms by their names."""

from typing import Any

from sklearn.base import clone

from .._sklearn import validate_params
from .base import BaseSearch
from .halving import Halving
from .hypergradient import Hypergradient
from .portfolio import Portfolio
from .random import RandomSearch

SEARCHES: dict[str, type[BaseSearch]] = {
    "random": RandomSearch,
    "halving": Halving,
    "portfolio": Portfolio,
    "hypergradient": Hypergradient,
}


def as_algorithm(given: Any) -> BaseSearch:
    """Return the search algorithm of a name, or a checked copy of the object that was given."""
    if isinstance(given, str):
        return SEARCHES[given]()
    if isinstance(given, type):
        raise TypeError(
            "The 'search' parameter must be a name or an object. Got the "
            f"class {given.__name__} instead; call it: {given.__name__}()."
        )
    algorithm: BaseSearch = clone(given)
    validate_params(algorithm)
    return algorithm
