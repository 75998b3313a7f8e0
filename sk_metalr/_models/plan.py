"""The training plan of the wrapped estimator, and settings that need ``Model.fit``."""

from copy import copy
from dataclasses import dataclass
from math import ceil, floor
from numbers import Integral, Real
from typing import Any

import numpy as np
from scikeras.wrappers import BaseWrapper
from sklearn.utils import check_random_state

from .._space.schedules import Schedule
from .strategy import Rate, TabulatedRate

MAX_EPOCHS = 10**6


@dataclass(frozen=True)
class TrainingPlan:
    """Full budget of the wrapped estimator in epochs, rows of a batch, None for all rows at once,
    and whether rows are shuffled before every epoch.
    """

    n_epochs: int
    batch_size: int | None
    shuffle: bool

    def rows_per_batch(self, n_rows: int) -> int:
        """Return how many rows a full batch holds when there are `n_rows`."""
        return n_rows if self.batch_size is None else min(self.batch_size, n_rows)


def training_plan(estimator: BaseWrapper) -> TrainingPlan:
    """Read epochs, batch size and shuffling as SciKeras routes them to ``Model.fit``."""

    def routed(name: str) -> Any:
        return getattr(estimator, f"fit__{name}", getattr(estimator, name))

    if getattr(estimator, "fit__class_weight", None) is not None:
        raise ValueError(
            "The search would not see fit__class_weight of the wrapped KerasClassifier; use its "
            "'class_weight' parameter."
        )
    _check_refit_settings(estimator.random_state, routed("validation_split"))
    n_epochs, batch_size = routed("epochs"), routed("batch_size")
    if not _is_count(n_epochs) or n_epochs > MAX_EPOCHS:
        raise ValueError(
            "The 'epochs' parameter of the wrapped estimator must be an int of at least 1 "
            f"and at most {MAX_EPOCHS:,}, of which each is recorded. Got {n_epochs!r} instead."
        )
    if batch_size is None:
        batch_size = 32  # as for Keras's own fit
    takes_all = np.ndim(batch_size) == 0 and batch_size == -1
    if not takes_all and not _is_count(batch_size):
        raise ValueError(
            "The 'batch_size' parameter of the wrapped estimator must be an int of at least "
            f"1, -1 for all rows, or None. Got {batch_size!r} instead."
        )
    batch_size = None if takes_all else int(batch_size)
    return TrainingPlan(int(n_epochs), batch_size, bool(routed("shuffle")))


def plan_with(estimator: BaseWrapper, **params: Any) -> TrainingPlan:
    """Return the plan of an estimator with other parameters, or raise ValueError."""
    other = copy(estimator)
    for name, value in params.items():
        setattr(other, f"fit__{name}" if hasattr(other, f"fit__{name}") else name, value)
    return training_plan(other)


def _check_refit_settings(random_state: Any, validation_split: Any) -> None:
    """Raise ValueError for what would end the refit, after all of the search."""
    try:
        check_random_state(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The 'random_state' parameter of the wrapped estimator must be an int from 0 to "
            f"2**32 - 1, a RandomState or None. Got {random_state!r} instead."
        ) from error
    is_real = isinstance(validation_split, Real) and not isinstance(validation_split, bool)
    if validation_split is not None and not (is_real and 0 <= validation_split < 1):
        raise ValueError(
            "The 'validation_split' parameter of the wrapped estimator must be a float, at "
            f"least 0 and less than 1. Got {validation_split!r} instead."
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def scheduled_rate(
    estimator: BaseWrapper,
    plan: TrainingPlan,
    learning_rate: float,
    schedule: Schedule,
    n_rows: int,
) -> Rate:
    """Return the learning rate of a fit on `n_rows` rows by a plan: itself, or a Keras schedule."""
    if schedule.is_constant:
        return learning_rate
    fraction = getattr(estimator, "fit__validation_split", estimator.validation_split) or 0.0
    n_trained = floor(n_rows * (1.0 - fraction))  # as Keras counts
    n_steps = plan.n_epochs * ceil(n_trained / plan.rows_per_batch(n_trained))
    return TabulatedRate(learning_rate, schedule.factors(n_steps), schedule.name)


def ignored_rate(estimator: BaseWrapper) -> float | None:
    """Return a learning rate that was set by its own parameter, which a search replaces; that of
    an optimizer that was given does not count, as it has to have one.
    """
    return getattr(estimator, "optimizer__learning_rate", None)


def asks_for_keras_loop(estimator: BaseWrapper) -> bool:
    """Tell whether metrics or arguments of ``fit`` want Keras's own loop."""
    plain = {"fit__epochs", "fit__batch_size", "fit__shuffle", "fit__verbose", "fit__callbacks"}
    params = estimator.get_params(deep=False)
    has_fit_arguments = any(
        name.startswith("fit__") and name.count("__") == 1 and name not in plain for name in params
    )
    return bool(estimator.metrics or estimator.validation_split or has_fit_arguments)
