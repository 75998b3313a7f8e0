"""What people look at: plots, a summary, a report."""

from .learning_curves import LearningCurvesDisplay
from .learning_rate import LearningRateDisplay
from .report import report
from .summary import Block, diagram, summary

__all__ = [
    "Block",
    "LearningCurvesDisplay",
    "LearningRateDisplay",
    "diagram",
    "report",
    "summary",
]
