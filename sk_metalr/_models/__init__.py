"""All that is known about the wrapped estimator: SciKeras stays in this folder.

SciKeras has had no release since April 2024. Taken from it are the way a ``KerasClassifier`` or a
``KerasRegressor`` builds and compiles its model, its encoders, class weights and training
parameters, and the way a trained model is handed back to it.
"""

from .exported import exported
from .given import (
    CLASSIFIERS,
    REGRESSORS,
    Wrappers,
    as_wrapper,
    check_apart,
    check_fresh,
    input_dtype,
    keep_fit_kwargs,
    models_given,
)
from .keras_model import n_outputs, suited
from .opened import check_model, open_estimator, rows_to_try, task_features
from .parts import FittedParts, put_together, taken_apart
from .plan import (
    TrainingPlan,
    asks_for_keras_loop,
    ignored_rate,
    plan_with,
    scheduled_rate,
    training_plan,
)
from .rows import (
    check_row_shape,
    encode,
    encode_features,
    features_to_open,
    has_weights,
    training_weights,
)
from .searchable import check_searchable, largest_budget, own_values
from .strategy import optimizer_label, with_routed_settings
from .trained import (
    early_stops,
    fit_with_keras,
    has_callbacks,
    is_finite,
    load_trained,
    rate_setters,
    refits_with_keras,
    with_strategy,
    without_callbacks,
)
