"""A scikit-learn classifier that chooses the learning rate of a Keras model inside ``fit``."""

from . import exceptions
from ._estimator import MetaLRClassifier
from ._plot import LearningCurvesDisplay, LearningRateDisplay

__all__ = [
    "LearningCurvesDisplay",
    "LearningRateDisplay",
    "MetaLRClassifier",
    "__version__",
    "exceptions",
]
__version__ = "0.1.0"
