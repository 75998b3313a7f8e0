"""Strategies: the space that is searched, and the candidates that are drawn from it."""

from .candidates import OPTIMIZER, RATE, SCHEDULE, UNSET, Candidates, Level, Strategy, are_same
from .distributions import Dimension, is_number
from .joint import IS_OWN, adapted, draw, nearest_own, packed, unpacked
from .levels import LEVEL_OF, plain
from .schedules import Schedule, learned, rates_at
from .space import N_CANDIDATES, N_JOINT_CANDIDATES, StrategySpace
