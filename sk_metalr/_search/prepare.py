"""Preparation of a fit: all that it was given is checked before anything is trained."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import psutil
from sklearn.utils.validation import validate_data

from .. import _models as models
from .._data import (
    TrainingData,
    check_no_times,
    check_training_data,
    check_unmasked,
    with_validation_rows,
)
from .._experience import Situation
from .._population import Options
from .._progress import warn
from .._space import OPTIMIZER, StrategySpace
from .._splits import Split, make_splits, renumbered
from .._task import Classification
from ..exceptions import CallbackWarning, IgnoredRateWarning
from .blocks import with_members
from .evaluation import Evaluation
from .scoring import Scoring, check_scorers

NO_NUMBERS = (
    *("could not convert string", "float() argument must be", "Cannot cast array data"),
    *("The DType", "int too large", "setting an array element"),
)
"""Beginnings of NumPy's messages that something is not an array of numbers."""

TRAINING = "epochs", "batch_size", "verbose", "callbacks", "shuffle", "class_weight"
OTHER_ARGUMENTS = {
    **{name: f"KerasClassifier(build_model, {name}=...)" for name in TRAINING},
    "validation_data": "fit(X, y, X_val=..., y_val=...)",
    "validation_split": "MetaLRClassifier(cv=...)",
}
"""Places of arguments of Keras's ``fit`` that are not ``KerasClassifier(fit__<name>=...)``."""


@dataclass(frozen=True)
class Prepared:
    """A fit that is about to begin, checked.

    The refit trains on all rows of `data`, the search on those of the evaluation. `refit_seeds`
    are those of initial weights and of the order of rows in the refit.
    """

    data: TrainingData
    space: StrategySpace
    evaluation: Evaluation
    scoring: Scoring
    refit_seeds: tuple[int, int]
    n_models: int

    @cached_property
    def situation(self) -> Situation:
        """The situation of the search, by which it is compared with others."""
        return Situation.of(self.evaluation.estimator, self.evaluation.plan, self.evaluation.data)


def prepare(
    classifier: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    groups: Any,
    validation: tuple[Any, Any],
    random_state: np.random.RandomState,
) -> Prepared:
    """Check all that a fit was given, ``(X_val, y_val)`` as `validation`, and draw its seeds.

    Parameters of the classifier are read; of its attributes, those of scikit-learn's
    ``validate_data`` are set. Raises ValueError or TypeError if something cannot be used.
    """
    estimator = models.as_keras_classifier(classifier.estimator)
    if classifier.n_models > 1 and classifier.refit:
        models.check_fresh(estimator)
    space = StrategySpace(classifier.param_distributions, classifier.learning_rates)
    models.check_searchable(estimator, space.others)
    if epochs := space.take_out("epochs"):
        estimator = models.largest_budget(estimator, epochs)
    plan = models.training_plan(estimator)
    _warn_of_ignored_settings(estimator, classifier.refit)
    scorers, decisive = check_scorers(classifier.scoring, classifier.refit)
    X, y = validated(classifier, X, y, ensure_min_samples=2)
    data = check_training_data(X, y, sample_weight, groups)
    search_seed, *refit_seeds = random_state.randint(2**30, size=3).tolist()
    rows, splits = _split(classifier, data, *validation, random_state)
    baseline, calibrate = data.baseline_loss, classifier.calibrate
    scoring = Scoring(scorers, decisive, rows, splits, baseline, calibrate)
    is_ensemble = classifier.n_models > 1 and scoring.worst_loss is not None
    memory = classifier.max_memory
    refits_alike = (
        classifier.refit
        and OPTIMIZER not in space.levels
        and plan.batch_size is not None
        and not (estimator.callbacks or models.asks_for_keras_loop(estimator))
    )
    options = Options(
        task=Classification(),
        budget=plan.n_epochs,
        shuffle=plan.shuffle,
        metrics=scoring if scoring.names else None,
        averages=calibrate,
        keeps_predictions=calibrate and bool(classifier.refit) and is_ensemble,
        max_memory=psutil.virtual_memory().available / 4 if memory is None else memory,
        n_rows_later=len(data.y) if refits_alike else 0,
        engine=classifier.engine,
    )
    evaluation = Evaluation(estimator, plan, rows, splits, search_seed, options)
    if space.is_joint:
        space = with_members(space, evaluation, np.random.RandomState(search_seed))
        if space.members != set(space.others):  # there are several programs
            evaluation = replace(evaluation, options=replace(options, n_rows_later=0))
    seeds, n_models = tuple(refit_seeds), classifier.n_models
    return Prepared(data, space, evaluation, scoring, seeds, n_models)


def _warn_of_ignored_settings(estimator: Any, refit: Any) -> None:
    """Warn of a learning rate that the chosen one replaces, or that replaces the chosen one."""
    setters = models.rate_setters(estimator) if refit else []
    if setters:
        message = (
            f"The callback {setters[0]} of the wrapped KerasClassifier sets the learning rate of "
            "the refit in place of the one that is chosen, and acts in no candidate. Leave it out; "
            "param_distributions={'schedule': [...]} searches rates that change."
        )
        warn(CallbackWarning(message), stacklevel=5)
    rate = models.ignored_rate(estimator)
    if rate is not None:
        message = (
            f"The parameter optimizer__learning_rate={rate!r} of the wrapped classifier has no "
            "effect, because fit chooses the learning rate. Remove it from the classifier, or from "
            "the grid of an outer search, and give rates to choose from as learning_rates=[...]."
        )
        warn(IgnoredRateWarning(message), stacklevel=5)


def _split(
    classifier: Any, data: TrainingData, X_val: Any, y_val: Any, random_state: np.random.RandomState
) -> tuple[TrainingData, list[Split]]:
    """Return the rows to search on, and which of them are held out in each split."""
    if X_val is None and y_val is None:
        cv = renumbered(classifier.cv, data.kept)
        return data, make_splits(cv, data.y, groups=data.groups, random_state=random_state)
    is_default = isinstance(classifier.cv, str) and classifier.cv == "auto"
    if X_val is None or y_val is None or not is_default:
        raise ValueError(
            "X_val and y_val must be given together, and not along with cv: candidates are "
            "scored on one or the other."
        )
    rows, split = with_validation_rows(data, validated(classifier, X_val, reset=False), y_val)
    return rows, [split]


def validated(classifier: Any, *arrays: Any, **settings: Any) -> Any:
    """Return features (and labels) as arrays, features of Keras's float type."""
    check_unmasked(**dict(zip("Xy", arrays, strict=False)))
    check_no_times(arrays[0])
    settings |= {"dtype": models.input_dtype(), "allow_nd": True}
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # it looks for infinity next
            return validate_data(classifier, *arrays, **settings)
    except (ValueError, TypeError, OverflowError) as error:
        if str(error).startswith("Sparse data was passed"):
            raise TypeError(
                "X must be dense. Got sparse data instead: encode with "
                "OneHotEncoder(sparse_output=False) and ColumnTransformer(sparse_threshold=0), or "
                "pass X.toarray() where it fits into memory."
            ) from error
        if "NA is ambiguous" in str(error):
            raise ValueError("y holds missing values (NA); leave out their rows.") from error
        if not str(error).startswith(NO_NUMBERS):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"{error}. Features must be numbers: encode text and categories in a Pipeline, for "
            "instance with sklearn.preprocessing.OneHotEncoder."
        ) from error


def check_fit_arguments(unknown: dict[str, Any]) -> None:
    """Raise TypeError where ``fit`` was given what goes elsewhere, and say where."""
    for name in sorted(unknown):
        where = OTHER_ARGUMENTS.get(name, f"KerasClassifier(build_model, fit__{name}=...)")
        raise TypeError(
            "MetaLRClassifier.fit takes X, y, sample_weight, groups, X_val and y_val. Got "
            f"{name!r} too, which goes into {where}."
        )
