"""Between a search and the experience: candidates from what was learned, records for what will be.

The experience is asked before a search, and told after it. Records of searches whose rows are
among those at hand (another fold of the same table) are set aside: what they know, they know
from the rows that this search is to be scored on.
"""

import os
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from . import _wrapped as wrapped
from ._experience import Experience, ExperienceRecord
from ._explore import Found
from ._fingerprint import Fingerprint, fingerprint, shares_rows
from ._meta_features import data_features
from ._population import preserved_random_state
from ._portfolio import portfolio
from ._refit import Evaluation
from ._selection import cautious_losses, response_surface
from ._space import Candidates, StrategySpace
from .exceptions import ExperienceWarning

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
PACKAGES = ["sk-metalr", "keras", "tensorflow", "scikit-learn"]


@dataclass(frozen=True)
class Situation:
    """What a search is compared with others by.

    Attributes
    ----------
    rows : Fingerprint
        Of all rows that are searched on.
    tasks : list of dict of str to number or str
        Meta-features, for each optimizer of the space.
    """

    rows: Fingerprint
    tasks: list[dict[str, Any]]

    @classmethod
    def of(cls, evaluation: Evaluation, space: StrategySpace) -> "Situation":
        """Return the situation of a search that is about to begin."""
        data = evaluation.data
        with preserved_random_state():
            opened = wrapped.open_estimator(
                evaluation.estimator, data.X, data.y, seed=evaluation.seed
            )
        of_data = data_features(data.X, data.code)
        of_model = wrapped.task_features(opened, evaluation.plan, space.optimizers)
        return cls(fingerprint(data.X), [of_data | one for one in of_model])


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
        Records of the same optimizers whose rows are others.
    n_set_aside : int
        Records of any optimizer that share rows.
    unlike : list of str
        Optimizer and schedule, in words, whose candidates were drawn at random.
    """

    candidates: Candidates
    spare: Candidates | None
    n_records: int
    n_set_aside: int
    unlike: list[str]

    @property
    def cost(self) -> dict[str, int]:
        """What ``search_cost_`` says of it."""
        return {"n_records": self.n_records, "n_records_set_aside": self.n_set_aside}

    @property
    def message(self) -> str:
        """Say that candidates were drawn at random; empty if none were."""
        if not self.unlike:
            return ""
        return (
            f"The experience holds no searches like this one ({'; '.join(self.unlike)}), so the "
            f"candidates were drawn at random: {len(self.candidates.learning_rates)} in all. "
            "record_experience=True adds this search for the next ones."
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
    FileNotFoundError
        If there is no such file, or no folder for a new one.
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
    if isinstance(experience, Experience):
        return experience
    if not records:
        return Experience.load(experience)
    folder = Path(os.fspath(experience)).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r} to keep an experience in.")
    return Experience(experience)


def advise(
    space: StrategySpace,
    situation: Situation,
    experience: Experience,
    n_candidates: int | None,
    random_state: np.random.RandomState,
) -> Advice:
    """Return candidates from the experience, at random where it knows nothing of the like.

    Parameters
    ----------
    space : StrategySpace
        Optimizers, schedules, and the bounds of learning rates.
    situation : Situation
        The search at hand.
    experience : Experience
        Finished searches.
    n_candidates : int or None
        Learning rates for each optimizer and schedule. None: 4, or 16 at random.
    random_state : numpy.random.RandomState
        Where a draw comes from.

    Raises
    ------
    ValueError
        If the space is a list of learning rates.
    """
    others = [
        record for record in experience if not shares_rows(situation.rows, record.fingerprint)
    ]
    labels = {task["optimizer"] for task in situation.tasks}
    parts, spare, unlike = [], [], []
    for optimizer, task in enumerate(situation.tasks):
        bounds = space.bounds(optimizer)
        for number, schedule in enumerate(space.schedules):
            task = task | {"schedule": schedule.name}
            drawn = space.sample_one(optimizer, n_candidates or N_AT_RANDOM, random_state)
            found = portfolio(task, others, n_candidates or N_FROM_EXPERIENCE, bounds)
            rates = found.learning_rates
            if rates.size and n_candidates is None:
                spare.append(_family(drawn, optimizer, number))
            if not rates.size:
                unlike.append(f"{task['optimizer']}, {task['schedule']}")
                rates = drawn
            parts.append(_family(rates, optimizer, number))
    return Advice(
        _together(parts),
        _together(spare) if spare else None,
        sum(record.features["optimizer"] in labels for record in others),
        len(experience) - len(others),
        unlike,
    )


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
    return {name: version(name) for name in PACKAGES} | {"date": f"{datetime.now(UTC):%F}"}


def finished_searches(
    space: StrategySpace,
    situation: Situation,
    found: Found,
    no_skill_loss: float,
    n_held_out: int,
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
    no_skill_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    n_held_out : int
        How many rows were held out, on all splits together.
    """
    candidates, record = found.candidates, found.record
    if not record.is_complete:
        return []
    losses = cautious_losses(record.losses[0], record.losses[1], n_held_out)
    surface = response_surface(
        losses,
        candidates.learning_rates,
        no_skill_loss,
        candidates.family,
        record.n_resources,
    )
    epochs, curve = surface.lowest(surface.smoothed)
    went_on = record.n_resources == record.losses.shape[-1]
    records = []
    for family in np.unique(candidates.family[went_on]):
        (mine,) = np.nonzero((candidates.family == family) & went_on)
        errors = [surface.standard_error(int(i), int(epochs[i])) for i in mine]
        schedule = space.schedules[candidates.schedule[mine[0]]].name
        records.append(
            ExperienceRecord(
                situation.rows,
                situation.tasks[candidates.optimizer[mine[0]]] | {"schedule": schedule},
                candidates.learning_rates[mine],
                curve[mine],
                np.where(np.isfinite(curve[mine]), errors, np.inf),
                epochs[mine] + 1,
                no_skill_loss,
                provenance=provenance(),
            )
        )
    return records


def record(experience: Experience, searches: list[ExperienceRecord]) -> None:
    """Add finished searches to the experience; warn where its file cannot be written.

    By then all has been trained: that is not given up for a record of it.
    """
    try:
        for one in searches:
            experience.append(one)
    except OSError as error:
        warnings.warn(
            ExperienceWarning(f"The search was not recorded: {error}. The fit itself is complete."),
            stacklevel=5,
        )
