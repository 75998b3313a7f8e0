"""A scikit-learn classifier that chooses the learning rate of a Keras model inside ``fit``."""

from . import exceptions
from ._estimator import MetaLRClassifier

__all__ = ["MetaLRClassifier", "__version__", "exceptions"]
__version__ = "0.1.0"
