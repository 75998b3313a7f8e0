"""Estimators for scikit-learn that choose the learning strategy of a Keras model inside ``fit``."""

from . import _backend, exceptions  # noqa: F401  (_backend first: it says what is missing)
from ._display import (
    LearningCurvesDisplay,
    LearningRateDisplay,
    ReliabilityDisplay,
    StrategyDisplay,
    report,
)
from ._experience import Experience, ExperienceRecord
from ._search import BaseSearch, Halving, Hypergradient, Portfolio, RandomSearch
from .classifier import MetaLRClassifier
from .regressor import MetaLRRegressor
from .verification import verify

__all__ = [
    "BaseSearch",
    "Experience",
    "ExperienceRecord",
    "Halving",
    "Hypergradient",
    "LearningCurvesDisplay",
    "LearningRateDisplay",
    "MetaLRClassifier",
    "MetaLRRegressor",
    "Portfolio",
    "RandomSearch",
    "ReliabilityDisplay",
    "StrategyDisplay",
    "__version__",
    "exceptions",
    "report",
    "verify",
]
__version__ = "0.1.0"
