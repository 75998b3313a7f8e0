"""Plots, a summary and a report of a fitted search."""

from .learning_curves import LearningCurvesDisplay
from .learning_rate import LearningRateDisplay
from .reliability import ReliabilityDisplay
from .report import report
from .strategy import StrategyDisplay
from .summary import Block, diagram, summary
