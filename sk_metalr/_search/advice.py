"""Between a search and the experience: candidates from what was learned, records for what will be.

The experience is asked before a search, and told after it. Records of searches whose rows are
among those at hand (another fold of the same table) are set aside: what they know, they know
from the rows that this search is to be scored on.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .. import _models as wrapped
from .._experience.fingerprint import Fingerprint, fingerprint, shares_rows
from .._experience.meta_features import data_features
from .._experience.portfolio import portfolio
from .._experience.store import Experience, ExperienceRecord
from .._persistence.hashing import identity
from .._population import preserved_random_state
from .._progress import warn
from .._refit import Evaluation
from .._space.schedules import Schedule
from .._space.space import Candidates, StrategySpace
from ..exceptions import ExperienceWarning
from .explore import Found
from .selection import View, cautious_losses, response_surface

__all__ = [
    "Advice",
    "Situation",
    "advise",
    "finished_searches",
    "open_experience",
    "provenance",
    "record",
]

N_FROM_EXPERIENCE, N_AT_RANDOM = 4, 16
MODULES = {
    **{"sk-metalr": "sk_metalr", "keras": "keras"},
    **{"tensorflow": "tensorflow", "scikit-learn": "sklearn"},
}


@dataclass(frozen=True)
class Situation:
    """What a search is compared with others by, and these others.

    Attributes
    ----------
    experience : Experience
        Finished searches.
    rows : Fingerprint
        Of all rows that are searched on.
    tasks : list of dict of str to number or str
        Meta-features, for each optimizer of the space.
    """

    experience: Experience
    rows: Fingerprint
    tasks: list[dict[str, Any]]

    @classmethod
    def of(
        cls, evaluation: Evaluation, space: StrategySpace, experience: Experience
    ) -> "Situation":
        """Return the situation of a search that is about to begin."""
        data = evaluation.data
        with preserved_random_state():
            opened = wrapped.open_estimator(
                evaluation.estimator, data.X, data.y, seed=evaluation.seed
            )
        of_data = data_features(data.X, data.code)
        of_model = wrapped.task_features(opened, evaluation.plan, space.optimizers)
        tasks = [of_data | one for one in of_model]
        return cls(experience, fingerprint(data.X, data.code), tasks)


@dataclass(frozen=True)
class Advice:
    """Candidates, and what they rest on.

    Attributes
    ----------
    candidates : Candidates
        From the experience, or drawn at random.
    spare : Candidates or None
        Drawn at random, for each optimizer and schedule whose candidates were not: to be tried
        where those show no skill. None where all were, or their number was given.
    n_records : int
        Records of tasks alike, of other rows, that candidates rest on.
    n_set_aside : int
        Records of any optimizer that share rows.
    n_drawn : int
        How many of the candidates were drawn at random.
    unlike : list of str
        Optimizers and schedules whose candidates were all drawn at random, and why, in words.
    """

    candidates: Candidates
    spare: Candidates | None
    n_records: int
    n_set_aside: int
    n_drawn: int
    unlike: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return numbers, strings and arrays."""
        spare = None if self.spare is None else vars(self.spare)
        return vars(self) | {"candidates": vars(self.candidates), "spare": spare}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Advice":
        """Return what :meth:`to_dict` was called on."""
        spare = None if values["spare"] is None else Candidates(**values["spare"])
        return cls(**values | {"candidates": Candidates(**values["candidates"]), "spare": spare})

    def cost(self, found: Found) -> dict[str, int]:
        """Return what ``search_cost_`` says of it."""
        tried = found.candidates.learning_rates
        spare = np.empty(0) if self.spare is None else self.spare.learning_rates
        return {
            "n_records": self.n_records,
            "n_records_set_aside": self.n_set_aside,
            "n_drawn_at_random": self.n_drawn + int(np.isin(tried, spare).sum()),
        }

    @property
    def message(self) -> str:
        """Say that candidates were drawn at random, and why; empty if none were."""
        if not self.n_drawn:
            return ""
        drawn = f"{self.n_drawn} of {len(self.candidates.learning_rates)} candidates"
        if not self.unlike:
            return (
                "The experience knows too few rates that are within the bounds of learning_rates "
                f"and were tried before, so {drawn} were drawn at random."
            )
        aside = (
            f" Set aside were {self.n_set_aside} searches that share rows with this table, or are "
            "taken for folds of it, because each class has as many rows."
        )
        return (
            f"The experience holds no searches like this one ({'; '.join(self.unlike)}), so "
            f"{drawn} were drawn at random.{aside if self.n_set_aside else ''}"
        )


def open_experience(experience: Any, search: str, records: bool) -> Experience | None:
    """Return the store that the `experience` parameter names, or None where none is needed.

    Parameters
    ----------
    experience : "default", str, os.PathLike, Experience or None
        As given.
    search : str
        How is searched.
    records : bool
        Whether this search is to be added.

    Raises
    ------
    ValueError
        If it is needed and is not there, or cannot be added to.
    OSError
        If there is no such file, or no folder for a new one, or it may not be written.
    """
    if search != "portfolio" and not records:
        return None
    if experience is None or (records and experience == "default"):
        raise ValueError(
            "The 'experience' parameter of MetaLRClassifier must be a file or an Experience for "
            f"{'record_experience=True' if records else repr(search)}. Got {experience!r} "
            "instead; give it a path, such as 'experience.jsonl'."
        )
    if records and search == "hypergradient":
        raise ValueError(
            "The 'record_experience' parameter of MetaLRClassifier must be False for "
            "search='hypergradient', whose candidates change their rates. Got True instead."
        )
    if isinstance(experience, str | PathLike) and Path(experience).is_dir():
        raise ValueError(
            "The 'experience' parameter of MetaLRClassifier must be a file, 'default', an "
            f"Experience or None. Got the folder {str(experience)!r} instead; name a file in it."
        )
    if not isinstance(experience, Experience):
        experience = Experience(experience) if records else Experience.load(experience)
    else:
        experience.refresh()
    if records:
        experience.check_writable()
    return experience


def advise(
    space: StrategySpace,
    situation: Situation,
    n_candidates: int | None,
    random_state: np.random.RandomState,
) -> Advice:
    """Return candidates from the experience, at random where it knows nothing of the like.

    Parameters
    ----------
    space : StrategySpace
        Optimizers, schedules, and the bounds of learning rates.
    situation : Situation
        The search at hand, and the finished ones.
    n_candidates : int or None
        Learning rates for each optimizer and schedule. None: 4, or 16 at random.
    random_state : numpy.random.RandomState
        Where a draw comes from.

    Raises
    ------
    ValueError
        If the space is a list of learning rates.
    """
    records = list(situation.experience)
    others = [one for one in records if not shares_rows(situation.rows, one.fingerprint)]
    parts, spare, unlike, n_drawn = [], [], [], 0
    alike: set[int] = set()
    for optimizer, task in enumerate(situation.tasks):
        bounds = space.bounds(optimizer)
        for number, schedule in enumerate(space.schedules):
            task = task | {"schedule": schedule_label(schedule)}
            drawn = space.sample_one(optimizer, n_candidates or N_AT_RANDOM, random_state)
            found = portfolio(task, others, n_candidates or N_FROM_EXPERIENCE, bounds)
            rates = found.learning_rates
            if not rates.size:
                unlike.append(f"{task['optimizer']}, {task['schedule']}: {found.reason}")
                rates = drawn
            elif len(rates) < (n_candidates or N_FROM_EXPERIENCE):
                rates = _filled(rates, drawn)
            elif n_candidates is None:
                spare.append(_family(drawn, optimizer, number))
            n_drawn += len(rates) - len(found.learning_rates)
            alike.update(map(id, found.records))
            parts.append(_family(rates, optimizer, number))
    return Advice(
        _together(parts),
        _together(spare) if spare else None,
        n_records=len(alike),
        n_set_aside=len(records) - len(others),
        n_drawn=n_drawn,
        unlike=unlike,
    )


def _filled(rates: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return as many rates as were drawn, first those that lie furthest from all others."""
    for _ in range(len(drawn) - len(rates)):
        away = np.abs(np.log(drawn[:, None] / rates)).min(axis=1)
        if away.max() == 0:
            break
        rates = np.append(rates, drawn[away.argmax()])
    return np.sort(rates)


def schedule_label(schedule: Schedule) -> str:
    """Return what a schedule is called in a record: two of one name may not be the same."""
    if isinstance(schedule.rule, str):
        return schedule.name
    return f"{schedule.name} {identity(schedule.rule)[:8]}"


def _family(rates: np.ndarray, optimizer: int, schedule: int) -> Candidates:
    return Candidates(rates, np.full(len(rates), optimizer), np.full(len(rates), schedule))


def _together(parts: list[Candidates]) -> Candidates:
    return Candidates(
        np.concatenate([part.learning_rates for part in parts]),
        np.concatenate([part.optimizer for part in parts]),
        np.concatenate([part.schedule for part in parts]),
    )


def provenance() -> dict[str, str]:
    """Return versions and the date, as they are kept with a record."""
    versions = {name: import_module(module).__version__ for name, module in MODULES.items()}
    return versions | {"date": f"{datetime.now(UTC):%F}"}


def finished_searches(
    space: StrategySpace, situation: Situation, found: Found, view: View
) -> list[ExperienceRecord]:
    """Return what there is to record of a search: its curve for each optimizer and schedule.

    None where the search ended before its budget did. Candidates that were not trained for all
    of it are left out.

    Parameters
    ----------
    space, situation
        See :func:`advise`.
    found : Found
        What the search found.
    view : View
        How many rows were held out, and what the class frequencies lose on them.
    """
    candidates, record = found.candidates, found.record
    if not record.is_complete:
        return []
    losses = cautious_losses(record.losses[0], record.losses[1], view.n_held_out)
    surface = response_surface(
        losses,
        candidates.learning_rates,
        view.no_skill_loss,
        candidates.family,
        record.n_resources,
    )
    epochs, curve = surface.lowest(surface.smoothed)
    went_on = record.n_resources == record.losses.shape[-1]
    records = []
    for family in np.unique(candidates.family[went_on]):
        (mine,) = np.nonzero((candidates.family == family) & went_on)
        errors = [surface.standard_error(int(i), int(epochs[i])) for i in mine]
        schedule = schedule_label(space.schedules[candidates.schedule[mine[0]]])
        records.append(
            ExperienceRecord(
                situation.rows,
                situation.tasks[candidates.optimizer[mine[0]]] | {"schedule": schedule},
                candidates.learning_rates[mine],
                curve[mine],
                np.where(np.isfinite(curve[mine]), errors, np.inf),
                epochs[mine] + 1,
                view.no_skill_loss,
                provenance=provenance(),
            )
        )
    return records


def record(space: StrategySpace, situation: Situation, found: Found, view: View) -> None:
    """Add a finished search to the experience; warn where that cannot be done.

    By then all has been trained: that is not given up for a record of it. The parameters are
    those of :func:`finished_searches`.
    """
    try:
        for one in finished_searches(space, situation, found, view):
            situation.experience.append(one)
    except Exception as error:
        warn(
            ExperienceWarning(
                f"The search was not recorded: {str(error).rstrip('.')}. The fit itself is "
                "complete."
            ),
            stacklevel=5,
        )
