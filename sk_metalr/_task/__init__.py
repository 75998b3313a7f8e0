"""Tasks: what the targets of rows are, what a prediction of them costs, and how it is calibrated.

A task is told about rows and models by those who know them. The population asks it for losses of
outputs, the choice for losses at a temperature, and the estimators for predictions.
"""

from .base import Task
from .classification import Classification
from .labels import MultiLabel, OneHot
from .regression import Regression
from .scaling import TargetScaler
