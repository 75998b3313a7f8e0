"""Preparation of a fit: all that it was given is checked before anything is trained."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import psutil
import scipy.sparse
from sklearn.utils.validation import validate_data

from .. import _models as models
from .._data import TrainingData, check_no_times, check_training_data, with_validation_rows
from .._experience import Situation
from .._population import Options, preserved_random_state
from .._progress import warn
from .._space import OPTIMIZER, StrategySpace
from .._splits import Split, make_splits, renumbered
from .._task.checks import check_unmasked
from ..exceptions import CallbackWarning, IgnoredRateWarning, ScaleWarning
from .blocks import buildable, with_members
from .evaluation import Evaluation
from .scoring import Scoring, check_scorers

NO_NUMBERS = (
    *("could not convert string", "float() argument must be", "Cannot cast array data"),
    *("The DType", "int too large", "setting an array element"),
)
"""Beginnings of NumPy's messages that something is not an array of numbers."""

CGROUP = Path("/sys/fs/cgroup")

MAX_WHOLE = 2**24
"""Greatest whole number up to which float32 holds all."""

TRAINING = "epochs", "batch_size", "verbose", "callbacks", "shuffle", "class_weight"
OTHER_ARGUMENTS = {
    **{name: f"{{wrapper}}(build_model, {name}=...)" for name in TRAINING},
    "validation_data": "fit(X, y, X_val=..., y_val=...)",
    "validation_split": "{estimator}(cv=...)",
}
"""Places of arguments of Keras's ``fit`` that are not ``{wrapper}(fit__<name>=...)``."""


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

    @property
    def held_out_rows(self) -> list[int]:
        """Checksums that tell which rows each split holds out."""
        return [crc32(np.asarray(test).tobytes()) for _, test in self.evaluation.splits]

    @cached_property
    def situation(self) -> Situation:
        """The situation of the search, by which it is compared with others."""
        evaluation, own = self.evaluation, self.space.own
        some = self.space.one_strategy(1.0).settings if self.space.is_joint else {}
        # The optimizer's are not needed to open a model, and others go with what they are for.
        unknown = {n for n in some if own.get(n) is None and n.split("__")[0] != OPTIMIZER}
        wanted = unknown | {name.split("__")[0] for name in unknown}
        needed = {name: value for name, value in some.items() if name in wanted}
        return Situation.of(evaluation.estimator, evaluation.plan, evaluation.data, needed)


def prepare(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    groups: Any,
    validation: tuple[Any, Any],
    random_state: np.random.RandomState,
) -> Prepared:
    """Check all that a fit was given, ``(X_val, y_val)`` as `validation`, and draw its seeds.

    Parameters of the estimator are read; of its attributes, those of scikit-learn's
    ``validate_data`` are set. Raises ValueError or TypeError if something cannot be used.
    """
    wrapped = models.as_wrapper(estimator.estimator, estimator._wrappers)
    if estimator.n_models > 1 and estimator.refit:
        models.check_fresh(wrapped)
    space = StrategySpace(estimator.param_distributions, estimator.learning_rates)
    models.check_searchable(wrapped, space.others)
    has_own_epochs = any("epochs" not in part.others for part in space.parts)
    if epochs := space.take_out("epochs"):
        wrapped = models.largest_budget(wrapped, epochs, has_own_epochs)
    plan = models.training_plan(wrapped)
    _warn_of_ignored_settings(wrapped, estimator.refit)
    _warn_of_rounding(X)
    task = estimator._task()
    scorers, decisive = check_scorers(estimator.scoring, estimator.refit, task)
    X, y = validated(estimator, X, y, ensure_min_samples=2)
    data = check_training_data(task, X, y, sample_weight, groups)
    if estimator.estimator is None:
        wrapped.set_params(loss=data.task.ready_made_loss)
    if data.task.needs_loss:
        data = _with_loss(data, wrapped, space)
    search_seed, *refit_seeds = random_state.randint(2**30, size=3).tolist()
    rows, splits = _split(estimator, data, *validation, random_state)
    calibrate = estimator.calibrate and data.task.has_temperature
    scoring = Scoring(scorers, decisive, rows, splits, data.baseline_loss, calibrate)
    options = _options(estimator, wrapped, plan, data, scoring, space)
    evaluation = Evaluation(wrapped, plan, rows, splits, search_seed, options)
    if space.is_joint:
        space = with_members(space, evaluation, np.random.RandomState(search_seed))
        if space.members != set(space.others):  # there are several programs
            evaluation = replace(evaluation, options=replace(options, n_rows_later=0))
    seeds, n_models = tuple(refit_seeds), estimator.n_models
    return Prepared(data, space, evaluation, scoring, seeds, n_models)


def _options(
    estimator: Any,
    wrapped: Any,
    plan: Any,
    data: TrainingData,
    scoring: Scoring,
    space: StrategySpace,
) -> Options:
    """Return how the population is trained, and what is recorded of it."""
    is_ensemble = estimator.n_models > 1 and scoring.worst_loss is not None
    memory = estimator.max_memory
    refits_alike = (
        estimator.refit
        and OPTIMIZER not in space.levels
        and plan.batch_size is not None
        and not (wrapped.callbacks or models.asks_for_keras_loop(wrapped))
    )
    return Options(
        task=data.task,
        budget=plan.n_epochs,
        shuffle=plan.shuffle,
        metrics=scoring if scoring.names else None,
        averages=estimator.calibrate,
        keeps_predictions=estimator.calibrate and bool(estimator.refit) and is_ensemble,
        max_memory=_free_memory() / 4 if memory is None else memory,
        n_rows_later=len(data.y) if refits_alike else 0,
        engine=estimator.engine,
    )


def _free_memory() -> float:
    """Return how many bytes are free, of the machine or of the container that this runs in."""
    free = psutil.virtual_memory().available
    try:
        limit, used = (
            int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current")
        )
    except (OSError, ValueError):  # there is no limit
        return free
    return min(free, max(limit - used, limit // 4))


def _with_loss(data: TrainingData, wrapped: Any, space: StrategySpace) -> TrainingData:
    """Return data whose task knows the loss that models train on, of which it depends.

    Raises ValueError where losses are searched that cannot be compared.
    """
    X = models.features_to_open(wrapped, data.X, slice(None))
    labels, _ = data.targets(np.arange(len(data.y)))
    tasks = []
    for settings in _settings_of_losses(space):
        with preserved_random_state(), buildable(settings):
            opened = models.open_estimator(wrapped, X, labels, seed=0, settings=settings)
        tasks.append(models.suited(data.task, opened.model_))
    if not all(task.is_comparable(tasks[0]) for task in tasks):
        raise ValueError(
            "The 'param_distributions' parameter must hold losses that can be compared: by a "
            "scorer, and such as take targets that are scaled alike. Name a scorer, or search "
            "losses of one kind."
        )
    classes, target = tasks[0].encode(data.y)
    return replace(data, task=tasks[0], classes=classes, target=target)


def _settings_of_losses(space: StrategySpace) -> Iterator[dict[str, Any]]:
    """Yield settings with each loss that is searched, alike in all else."""
    for part in space.parts:
        probes = {n: one.probes(np.random.RandomState(0)) for n, one in part.others.items()}
        first = space.first_setting(part) | {name: values[0] for name, values in probes.items()}
        for loss in part.others["loss"].highest if "loss" in part.others else [None]:
            yield first if loss is None else first | {"loss": loss}


def _warn_of_ignored_settings(wrapped: Any, refit: Any) -> None:
    """Warn of a learning rate that the chosen one replaces, or that replaces the chosen one."""
    setters = models.rate_setters(wrapped) if refit else []
    if setters:
        message = (
            f"The callback {setters[0]} of the wrapped estimator sets the learning rate of "
            "the refit in place of the one that is chosen, and acts in no candidate. Leave it out; "
            "param_distributions={'schedule': [...]} searches rates that change."
        )
        warn(CallbackWarning(message), stacklevel=5)
    rate = models.ignored_rate(wrapped)
    if rate is not None:
        message = (
            f"The parameter optimizer__learning_rate={rate!r} of the wrapped estimator has no "
            "effect, because fit chooses the learning rate. Remove it from the estimator, or from "
            "the grid of an outer search, and give rates to choose from as learning_rates=[...]."
        )
        warn(IgnoredRateWarning(message), stacklevel=5)


def _warn_of_rounding(X: Any) -> None:
    """Warn of whole numbers that float32 does not tell apart, such as those of customers."""
    if models.input_dtype() != np.float32:
        return
    is_frame = hasattr(X, "select_dtypes")
    columns = X.select_dtypes("integer").to_numpy() if is_frame else X
    if not isinstance(columns, np.ndarray) or columns.dtype.kind not in "iu" or not columns.size:
        return
    largest = max(abs(int(columns.min())), abs(int(columns.max())))
    if largest > MAX_WHOLE:
        message = (
            f"X holds whole numbers of up to {largest:,}, and float32, which they are cast to, "
            f"holds all of only up to {MAX_WHOLE:,}. Number what you look up from 0, for "
            "instance with sklearn.preprocessing.OrdinalEncoder, and scale what you measure."
        )
        warn(ScaleWarning(message), stacklevel=5)


def _split(
    estimator: Any, data: TrainingData, X_val: Any, y_val: Any, random_state: np.random.RandomState
) -> tuple[TrainingData, list[Split]]:
    """Return the rows to search on, and which of them are held out in each split."""
    if X_val is None and y_val is None:
        cv, strata = renumbered(estimator.cv, data.kept), data.task.strata(data.target)
        if data.classes is not None and data.target.ndim == 1:
            strata = data.classes[strata]  # which are named where they are rare
        how: dict[str, Any] = {"groups": data.groups, "random_state": random_state}
        return data, make_splits(cv, data.X, data.y, strata=strata, **how)
    is_default = isinstance(estimator.cv, str) and estimator.cv == "auto"
    if X_val is None or y_val is None or not is_default:
        raise ValueError(
            "X_val and y_val must be given together, and not along with cv: candidates are "
            "scored on one or the other."
        )
    rows, split = with_validation_rows(data, validated(estimator, X_val, reset=False), y_val)
    return rows, [split]


def validated(estimator: Any, *arrays: Any, **settings: Any) -> Any:
    """Return features (and targets) as arrays, features of Keras's float type."""
    check_unmasked(**dict(zip("Xy", arrays, strict=False)))
    check_no_times(arrays[0])
    settings |= {"dtype": models.input_dtype(), "allow_nd": True}
    try:
        if len(arrays) > 1:
            X, y = arrays
            y = y.toarray() if scipy.sparse.issparse(y) else y
            shape = y.shape if hasattr(y, "shape") else _shape(y)
            settings["multi_output"] = len(shape) == 2 and shape[1] != 1
            arrays = X, y
        with np.errstate(over="ignore", invalid="ignore"):  # it looks for infinity next
            return validate_data(estimator, *arrays, **settings)
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


def _shape(y: Any) -> tuple[int, ...]:
    """Return the shape of targets; raise ValueError where rows are of different lengths."""
    try:
        return np.asarray(y).shape
    except ValueError as error:
        raise ValueError(
            f"y must hold rows of one length. Got others instead ({error}); of lists of labels, "
            "sklearn.preprocessing.MultiLabelBinarizer makes columns of zeros and ones."
        ) from error


def check_fit_arguments(estimator: Any, unknown: dict[str, Any]) -> None:
    """Raise TypeError where ``fit`` was given what goes elsewhere, and say where."""
    names = {
        "estimator": type(estimator).__name__,
        "wrapper": estimator._wrappers.own.__name__,
    }
    takes_class_weight = "class_weight" in signature(estimator._wrappers.own).parameters
    for name in sorted(unknown):
        if name == "class_weight" and not takes_class_weight:
            raise TypeError(
                f"{names['estimator']}.fit takes no class_weight, as numbers have no classes; give "
                "each row a sample_weight."
            )
        where = OTHER_ARGUMENTS.get(name, f"{{wrapper}}(build_model, fit__{name}=...)")
        raise TypeError(
            f"{names['estimator']}.fit takes X, y, sample_weight, groups, X_val and y_val. Got "
            f"{name!r} too, which goes into {where.format(**names)}."
        )
