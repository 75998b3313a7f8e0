"""A scikit-learn classifier that chooses the learning rate of a Keras model inside ``fit``."""

from . import _backend, exceptions  # noqa: F401  (_backend first: it says what is missing)
from ._display.plots import LearningCurvesDisplay, LearningRateDisplay
from ._display.report import report
from ._experience.store import Experience, ExperienceRecord
from .classifier import MetaLRClassifier

__all__ = [
    "Experience",
    "ExperienceRecord",
    "LearningCurvesDisplay",
    "LearningRateDisplay",
    "MetaLRClassifier",
    "__version__",
    "exceptions",
    "report",
]
__version__ = "0.1.0"
