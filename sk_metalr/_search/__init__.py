"""The search: which candidates are trained, for how long, and which of them is chosen.

`prepare` checks all that a fit was given, and makes an `evaluation` f(s, D) and a `scoring`. The
`loop` has an algorithm (`random`, `halving`, `portfolio`, `hypergradient`, derived from `base`)
propose candidates and promote them, under an `execution` (`clock`, `checkpoint`), and keeps a
`history`. The `selection` chooses on the response `surface`; `diagnostics` says what to doubt.
"""

from .algorithms import SEARCHES, as_algorithm
from .base import BaseSearch, Problem
from .checkpoint import Checkpoint, checkpointed, search_identity
from .clock import Clock
from .diagnostics import diagnose
from .ensemble import Chosen
from .evaluation import Evaluation
from .execution import Execution
from .halving import Halving
from .history import lower_losses
from .hypergradient import Hypergradient
from .importance import importances
from .loop import SearchResult, run, search
from .portfolio import Portfolio
from .prepare import Prepared, check_fit_arguments, prepare, validated
from .random import RandomSearch
from .results import SearchResultsMixin, cv_results, finished_searches, search_cost
from .scoring import Scoring
