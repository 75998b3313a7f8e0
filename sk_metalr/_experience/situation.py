"""The situation of a search, by which it is compared with others."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .. import _models as models
from .._data import TrainingData
from .._persistence import identity, versions
from .._population import preserved_random_state
from .._space import OPTIMIZER, SCHEDULE, Strategy
from .fingerprint import Fingerprint, fingerprint
from .meta_features import data_features


@dataclass(frozen=True)
class Situation:
    """Rows and meta-features of a search, by which it is compared with others.

    `shared` are the meta-features that do not depend on the strategy, `own_optimizer` is that of
    the wrapped model.
    """

    rows: Fingerprint
    shared: dict[str, Any]
    own_optimizer: Any

    @classmethod
    def of(
        cls,
        estimator: Any,
        plan: models.TrainingPlan,
        data: TrainingData,
        settings: dict[str, Any] | None = None,
    ) -> "Situation":
        """Return the situation of a search that is about to begin.

        The estimator is opened with these `settings`, for what it has no values of its own.
        """
        with preserved_random_state():
            labels, _ = data.targets(np.arange(len(data.y)))
            opened = models.open_estimator(estimator, data.X, labels, seed=0, settings=settings)
        strata = data.task.strata(data.target)
        shared = data_features(data.X, strata) | models.task_features(opened, data.task, plan)
        return cls(fingerprint(data.X, strata), shared, opened.model_.optimizer)

    def features(self, strategy: Strategy) -> dict[str, Any]:
        """Return the meta-features of the search for one optimizer and schedule."""
        optimizer = strategy.params.get(OPTIMIZER)
        if optimizer is None:
            optimizer = self.own_optimizer
        label, rule = strategy.schedule.name, strategy.schedule.rule
        if not isinstance(rule, str):  # two functions of one name may not be the same
            label = f"{label} {identity(rule)[:8]}"
        return self.shared | {OPTIMIZER: models.optimizer_label(optimizer), SCHEDULE: label}


def provenance() -> dict[str, str]:
    """Return versions and the date, as they are kept with a record."""
    return versions() | {"date": f"{datetime.now(UTC):%F}"}
