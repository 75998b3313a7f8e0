"""Strategies: the space that is searched, and the candidates that are drawn from it."""

from .candidates import OPTIMIZER, RATE, SCHEDULE, UNSET, Candidates, Level, Strategy, are_same
from .distributions import is_number
from .schedules import Schedule, learned, rates_at
from .space import N_CANDIDATES, StrategySpace
