"""Groups of members, trained by the workers of joblib: processes here, or a cluster's.

``joblib.parallel_config(backend=...)`` decides where. Workers are sent groups as they are at
a rung and send them back as they are at the next; what is lost with a worker that dies in
between is trained again by another.
"""

import os
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from .architecture import keras_settings
from .block import Block
from .snapshot import Snapshot
from .worker import train_snapshot

MAX_FAILURES = 3
"""Number of times that workers may die without one having done its work in between."""


def n_workers(n_jobs: int | None) -> int:
    """Return how many workers train, for an `n_jobs` of joblib's: 1 for none but this process.

    Raise ValueError if the active backend forks this process, in which TensorFlow has threads.
    """
    number = 1 if n_jobs == 1 else int(effective_n_jobs(n_jobs))
    backend, _ = get_active_backend()
    if number > 1 and type(backend).__name__ == "MultiprocessingBackend":
        raise ValueError(
            "The 'n_jobs' parameter must be 1 or None where joblib's backend "
            "is 'multiprocessing', which forks the process that TensorFlow runs in. Got "
            f"{n_jobs!r} instead; use joblib.parallel_config(backend='loky')."
        )
    return number


@dataclass
class Workers:
    """Trains groups in several workers; see :data:`.Executor`, and :func:`.train_snapshot`.

    There are `number` of them at most, and no more than there have been groups at a time.
    """

    populate: Callable[[set[int], int], Block]
    number: int
    _most_groups: int = field(default=0, init=False)

    def __call__(
        self, snapshot: Snapshot, n_epochs: int
    ) -> Iterator[tuple[list[int], Snapshot, list[np.ndarray]]]:
        """Yield positions of some groups, a snapshot of them after training, and their records."""
        n_groups = len(snapshot.groups)
        # Not those of this rung: joblib would end workers, which have compiled the program.
        self._most_groups = max(self._most_groups, n_groups)
        n_workers = min(self.number, self._most_groups)
        n_bundles = min(n_workers, n_groups)
        # Groups of one split are neighbours: a worker builds few models.
        bundles = [part.tolist() for part in np.array_split(range(n_groups), n_bundles)]
        parts = [
            replace(snapshot, groups=[snapshot.groups[at] for at in bundle], cost={})
            for bundle in bundles
        ]
        here = os.getpid(), keras_settings()
        arguments = [(self.populate, part, n_epochs, n_bundles, *here) for part in parts]
        for number, (after, losses) in unordered(train_snapshot, arguments, n_workers):
            yield bundles[number], after, losses


def unordered(
    function: Callable[..., Any], arguments: list[tuple[Any, ...]], n_jobs: int
) -> Iterator[tuple[int, Any]]:
    """Call a function with each of some arguments in joblib's workers.

    Yield the number of one of them, and its result, as they come. Raise what the function raised,
    or joblib, once workers have died again and again.
    """
    left, n_failures, error = dict(enumerate(arguments)), 0, None
    while left and error is None:
        try:
            with closing(_outcomes(function, dict(left), n_jobs)) as outcomes:
                for number, result, error in outcomes:
                    if error is not None:
                        break
                    n_failures = 0
                    del left[number]
                    yield number, result
        except Exception:  # of the backend, whichever it is: a worker is gone
            n_failures += 1
            if n_failures == MAX_FAILURES:
                raise
    if error is not None:
        raise error


def _outcomes(
    function: Callable[..., Any], arguments: dict[int, tuple[Any, ...]], n_jobs: int
) -> Generator[tuple[int, Any, Exception | None], None, None]:
    backend, _ = get_active_backend()
    as_they_come = getattr(backend, "supports_return_generator", False)
    outcomes = Parallel(
        n_jobs, batch_size=1, return_as="generator_unordered" if as_they_come else "list"
    )(delayed(_outcome)(function, number, *of_call) for number, of_call in arguments.items())
    try:
        # "yield from" would close it itself, and warn.
        for outcome in outcomes:  # noqa: UP028
            yield outcome
    finally:
        if as_they_come:
            with warnings.catch_warnings():
                # Who stops early, after an error, knows that tasks are left.
                warnings.filterwarnings("ignore", r"\d+ tasks which")
                outcomes.close()


def _outcome(
    function: Callable[..., Any], number: int, *of_call: Any
) -> tuple[int, Any, Exception | None]:
    """Call a function; return what it returns or raises."""
    try:
        return number, function(*of_call), None
    except Exception as error:
        return number, None, error
