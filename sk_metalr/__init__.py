"""A scikit-learn classifier that chooses the learning rate of a Keras model inside ``fit``."""

from . import _backend, exceptions  # noqa: F401  (_backend first: it says what is missing)
from ._estimator import MetaLRClassifier
from ._experience import Experience, ExperienceRecord
from ._plot import LearningCurvesDisplay, LearningRateDisplay
from ._report import report

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
