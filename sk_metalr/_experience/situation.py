"""The situation of a search, by which it is compared with others."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .. import _models as models
from .._data import TrainingData
from .._persistence import identity, versions
from .._population import preserved_random_state
from .._space import OPTIMIZER, SCHEDULE, Schedule, Strategy
from .fingerprint import Fingerprint, fingerprint
from .meta_features import data_features


@dataclass(frozen=True)
class Situation:
    """Rows and meta-features of a search, by which it is compared with others.

    Attributes
    ----------
    rows : Fingerprint
        Of all rows that are searched on; none of them can be read from it.
    shared : dict of str to number or str
        Meta-features that do not depend on the strategy.
    own_optimizer : keras.optimizers.Optimizer
        That of the wrapped model.
    """

    rows: Fingerprint
    shared: dict[str, Any]
    own_optimizer: Any

    @classmethod
    def of(cls, estimator: Any, plan: models.TrainingPlan, data: TrainingData) -> "Situation":
        """Return the situation of a search that is about to begin."""
        with preserved_random_state():
            opened = models.open_estimator(estimator, data.X, data.y, seed=0)
        of_data = data_features(data.X, data.target)
        of_model = models.task_features(opened, plan)
        rows = fingerprint(data.X, data.target)
        return cls(rows, of_data | of_model, opened.model_.optimizer)

    def features(self, strategy: Strategy) -> dict[str, Any]:
        """Return the meta-features of the search for one optimizer and schedule."""
        optimizer = strategy.params.get(OPTIMIZER)
        own = self.own_optimizer if optimizer is None else optimizer
        return self.shared | {
            OPTIMIZER: models.optimizer_label(own),
            SCHEDULE: _schedule_label(strategy.schedule),
        }


def _schedule_label(schedule: Schedule) -> str:
    """Return what a schedule is called in a record: two of one name may not be the same."""
    if isinstance(schedule.rule, str):
        return schedule.name
    return f"{schedule.name} {identity(schedule.rule)[:8]}"


def provenance() -> dict[str, str]:
    """Return versions and the date, as they are kept with a record."""
    return versions() | {"date": f"{datetime.now(UTC):%F}"}
