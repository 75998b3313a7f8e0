"""All that is known about the wrapped estimator: SciKeras stays in this folder.

SciKeras has had no release since April 2024. What is taken from it here: how a
``KerasClassifier`` builds and compiles its model, its encoders, its class weights and
its training parameters; and how a trained model is handed back to it.
"""

from .given import as_keras_classifier, check_fresh, input_dtype, models_given
from .keras_model import check_optimizers, has_logits, optimizer_label
from .opened import check_model, open_estimator, task_features
from .parts import FittedParts, put_together, taken_apart
from .plan import (
    TrainingPlan,
    asks_for_keras_loop,
    ignored_rate,
    scheduled_rate,
    training_plan,
)
from .rows import (
    check_row_shape,
    encode,
    encode_features,
    features_to_open,
    has_weights,
    to_probabilities,
    training_weights,
)
from .trained import (
    early_stops,
    fit_with_keras,
    is_finite,
    load_trained,
    rate_setters,
    refits_with_keras,
    with_strategy,
    without_callbacks,
)

__all__ = [
    "FittedParts",
    "TrainingPlan",
    "as_keras_classifier",
    "asks_for_keras_loop",
    "check_fresh",
    "check_model",
    "check_optimizers",
    "check_row_shape",
    "early_stops",
    "encode",
    "encode_features",
    "features_to_open",
    "fit_with_keras",
    "has_logits",
    "has_weights",
    "ignored_rate",
    "input_dtype",
    "is_finite",
    "load_trained",
    "models_given",
    "open_estimator",
    "optimizer_label",
    "put_together",
    "rate_setters",
    "refits_with_keras",
    "scheduled_rate",
    "taken_apart",
    "task_features",
    "to_probabilities",
    "training_plan",
    "training_weights",
    "with_strategy",
    "without_callbacks",
]
