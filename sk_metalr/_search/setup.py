"""What a fit begins with: all that it was given, checked before anything is trained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from .. import _models as wrapped
from .._data import (
    TrainingData,
    check_no_times,
    check_training_data,
    check_unmasked,
    with_validation_rows,
)
from .._progress import warn
from .._refit import Evaluation
from .._space.space import Candidates, StrategySpace
from .._splits import Split, make_splits, renumbered
from ..exceptions import CallbackWarning, IgnoredRateWarning
from .advice import N_AT_RANDOM, Situation, open_experience
from .scoring import HeldOutMetrics, check_scoring, decisive_scorer
from .selection import View

__all__ = ["Setup", "check_fit_arguments", "set_up", "validated"]

NO_NUMBERS = (
    *("could not convert string", "float() argument must be", "Cannot cast array data"),
    *("The DType", "int too large", "setting an array element"),
)
"""How NumPy begins to say that something is not an array of numbers."""

TRAINING = "epochs", "batch_size", "verbose", "callbacks", "shuffle", "class_weight"
OTHER_ARGUMENTS = {
    **{name: f"KerasClassifier(build_model, {name}=...)" for name in TRAINING},
    "validation_data": "fit(X, y, X_val=..., y_val=...)",
    "validation_split": "MetaLRClassifier(validation_fraction=...)",
}
"""Where arguments of Keras's ``fit`` go, if not to ``KerasClassifier(fit__<name>=...)``."""


@dataclass(frozen=True)
class Setup:
    """What a fit begins with.

    Attributes
    ----------
    data : TrainingData
        All rows, which the refit trains on.
    space : StrategySpace
        Where candidates come from.
    candidates : Candidates or None
        Drawn from it; None where they are still to be found.
    evaluation : Evaluation
        The rows that are searched on, their splits, and how members train on them.
    metrics : HeldOutMetrics
        What held-out rows are scored by, beside the log-loss.
    decisive : str
        Name of the scorer that chooses.
    view : View
        What of it the choice looks at.
    refit_seeds : list of int
        Of initial weights and of the order of rows in the refit.
    situation : Situation or None
        What this search is like, and which others there were, where an experience is asked or told.
    """

    data: TrainingData
    space: StrategySpace
    candidates: Candidates | None
    evaluation: Evaluation
    metrics: HeldOutMetrics
    decisive: str
    view: View
    refit_seeds: list[int]
    situation: Situation | None

    def decisive_scores(self, recorded: np.ndarray) -> np.ndarray:
        """Return what the scorer that chooses gave, greater is better, of recorded losses."""
        return self.metrics.scores(recorded)[self.decisive]


def set_up(
    asked: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    groups: Any,
    validation: tuple[Any, Any],
    random_state: np.random.RandomState,
) -> Setup:
    """Check all that a fit was given, and draw what it begins with.

    Parameters
    ----------
    asked : MetaLRClassifier
        Its parameters are read; of its attributes, those of scikit-learn's ``validate_data`` are
        set.
    X, y, sample_weight, groups
        As given to ``fit``.
    validation : tuple of (array-like or None, array-like or None)
        ``X_val`` and ``y_val``.
    random_state : numpy.random.RandomState
        Where everything is drawn from.

    Raises
    ------
    ValueError, TypeError, OSError
        If something cannot be used.
    """
    estimator = wrapped.as_keras_classifier(asked.estimator)
    if asked.n_refits > 1 and asked.refit and asked.refit != "committee":
        wrapped.check_fresh(estimator)
    _warn_of_callbacks(estimator, asked.refit)
    plan = wrapped.training_plan(estimator)
    if (rate := wrapped.ignored_rate(estimator)) is not None:
        warn(
            IgnoredRateWarning(
                f"The parameter optimizer__learning_rate={rate!r} of the wrapped classifier has no "
                "effect, because fit chooses the learning rate. Remove it from the classifier, or "
                "from the grid of an outer search, and give rates to choose from as "
                "learning_rates=[...]."
            ),
            stacklevel=5,
        )
    space = _space(asked)
    experience = open_experience(asked.experience, asked.search, asked.record_experience)
    scorers = check_scoring(asked.scoring)
    decisive = decisive_scorer(scorers, asked.refit)
    X, y = validated(asked, X, y, ensure_min_samples=2)
    data = check_training_data(X, y, sample_weight, groups)
    search_seed, *refit_seeds = random_state.randint(2**30, size=3).tolist()
    candidates = None
    if not space.is_open and asked.search != "portfolio":
        candidates = space.sample(asked.n_candidates or N_AT_RANDOM, random_state)
    rows, splits = _split(asked, data, *validation, random_state)
    metrics = HeldOutMetrics(scorers, rows, splits)
    settings = _settings(asked, estimator, plan, len(data.y), metrics)
    evaluation = Evaluation(estimator, plan, rows, splits, search_seed, settings)
    view = View(
        n_held_out=len(np.unique(np.concatenate([test for _, test in splits]))),
        no_skill_loss=data.no_skill_loss,
        metric=metrics.position(decisive),
        cautious=asked.selection != "min",
    )
    situation = None if experience is None else Situation.of(evaluation, space, experience)
    return Setup(
        data,
        space,
        candidates,
        evaluation,
        metrics,
        decisive,
        view,
        refit_seeds,
        situation,
    )


def _warn_of_callbacks(estimator: Any, refit: Any) -> None:
    """Warn of callbacks that set another learning rate than the one that will be chosen."""
    setters = wrapped.rate_setters(estimator) if refit else []
    if setters:
        warn(
            CallbackWarning(
                f"The callback {setters[0]} of the wrapped KerasClassifier sets the learning rate "
                "of the refit in place of the one that is chosen, and acts in no candidate. Leave "
                "it out; the parameter 'schedules' of MetaLRClassifier searches rates that change."
            ),
            stacklevel=6,
        )


def _space(asked: Any) -> StrategySpace:
    """Return the strategy space, checked."""
    space = StrategySpace(asked.learning_rates, asked.optimizers, asked.schedules)
    wrapped.check_optimizers(space.optimizers)
    if asked.search == "hypergradient" and not all(s.is_constant for s in space.schedules):
        raise ValueError(
            "The 'schedules' parameter of MetaLRClassifier must be left out for "
            "search='hypergradient', which learns a schedule itself."
        )
    if asked.search == "portfolio":
        for optimizer in range(len(space.optimizers)):
            space.bounds(optimizer)  # which a list has not
    return space


def _settings(
    asked: Any, estimator: Any, plan: wrapped.TrainingPlan, n_rows: int, metrics: HeldOutMetrics
) -> dict[str, Any]:
    """Return what every population of this search is made with."""
    refits_alike = (
        asked.refit
        and asked.refit != "committee"
        and asked.optimizers is None
        and plan.batch_size is not None
        and not (estimator.callbacks or wrapped.asks_for_keras_loop(estimator))
    )
    return {
        "engine": asked.engine,
        "metrics": metrics if metrics.names else None,
        "max_memory": _free_memory() / 4 if asked.max_memory is None else asked.max_memory,
        "n_rows_later": n_rows if refits_alike else 0,
    }


def _split(
    asked: Any, data: TrainingData, X_val: Any, y_val: Any, random_state: np.random.RandomState
) -> tuple[TrainingData, list[Split]]:
    """Return the rows to search on, and which of them are held out in each split."""
    if X_val is None and y_val is None:
        splits = make_splits(
            renumbered(asked.cv, data.kept),
            data.y,
            n_splits=asked.n_splits,
            validation_fraction=asked.validation_fraction,
            groups=data.groups,
            random_state=random_state,
        )
        return data, splits
    if X_val is None or y_val is None or asked.cv is not None:
        raise ValueError(
            "X_val and y_val must be given together, and not along with cv: candidates are "
            "scored on one or the other."
        )
    rows, split = with_validation_rows(data, validated(asked, X_val, reset=False), y_val)
    return rows, [split]


def validated(asked: Any, *arrays: Any, **settings: Any) -> Any:
    """Return features (and labels) as arrays, features of Keras's float type."""
    check_unmasked(**dict(zip("Xy", arrays, strict=False)))
    check_no_times(arrays[0])
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # it looks for infinity next
            return validate_data(
                asked, *arrays, dtype=wrapped.input_dtype(), allow_nd=True, **settings
            )
    except (ValueError, TypeError, OverflowError) as error:
        if str(error).startswith("Sparse data was passed"):
            raise TypeError(
                "X must be dense. Got sparse data instead: encode with "
                "OneHotEncoder(sparse_output=False) and ColumnTransformer(sparse_threshold=0), or "
                "pass X.toarray() where it fits into memory."
            ) from error
        if "NA is ambiguous" in str(error):
            raise ValueError(
                "y holds missing values (NA); leave out rows without a label."
            ) from error
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


def _free_memory() -> float:
    """Return how much memory is to be had, in bytes, where the system tells."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return np.inf
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024.0 * int(kilobytes[0]) if kilobytes else np.inf
