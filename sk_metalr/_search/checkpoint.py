"""A search that is saved while it goes on, so that it outlives its process.

All that a search does depends on its data, parameters and random state. So a search that is
started again does the same again, except for the training that was saved: that is remembered.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from .. import _persistence as persistence
from .._population import GroupSnapshot, Population, Snapshot
from .._progress import warn
from .._recorded import Recorded
from ..exceptions import CheckpointWarning, RefusedFileError

FORMAT = 4
FILE, LOCK = "search.checkpoint", "search.lock"

WITHOUT_EFFECT = {"checkpoint_dir", "max_memory", "max_time", "n_jobs", "verbose"}
"""Parameters that may differ where a search goes on."""


@contextmanager
def checkpointed(folder: str | os.PathLike[str] | None) -> Iterator["Checkpoint | None"]:
    """Hold a folder while a search is saved in it; None for a search that is not saved.

    A folder that is missing is made. Raises ValueError if another fit uses it or nothing can be
    written there, and RefusedFileError if what was saved there is damaged.
    """
    if folder is None:
        yield None
        return
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        held = FileLock(path / LOCK, timeout=0).acquire()
    except Timeout as error:
        raise ValueError(
            "The 'checkpoint_dir' parameter must be a folder of its own for "
            f"each fit that runs. Got {str(folder)!r} instead, which another fit uses now; wait "
            "for that, or name another folder."
        ) from error
    except OSError as error:
        raise ValueError(
            "The 'checkpoint_dir' parameter must be a folder that can be "
            f"written to. Got {str(folder)!r} instead ({error.strerror or error})."
        ) from error
    with held:
        yield Checkpoint(path / FILE)


class Checkpoint:
    """A search as it is saved in a file, which may hold one already."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._n_populations = 0
        self._is_writable = True
        saved: Any = {"identity": {}, "random_state": None, "remembered": {}, "populations": []}
        for unfinished in path.parent.glob(f".{path.name}.*.tmp"):
            unfinished.unlink()
        if path.exists():
            manifest, parts = persistence.read_archive(path, self._check_format)
            saved = persistence.decode(manifest["search"], parts)
        self._saved: dict[str, Any] = saved

    def _check_format(self, manifest: dict[str, Any]) -> None:
        if manifest.get("format") != FORMAT:
            raise RefusedFileError(
                f"{str(self.path)!r} was written by another version of sk_metalr; delete it to "
                "start the search anew."
            )

    def random_state(self, given: np.random.RandomState) -> np.random.RandomState:
        """Return the random state that the search began with; `given` if it begins now."""
        if self._saved["random_state"] is None:
            self._saved["random_state"] = given.get_state()
            return given
        again = np.random.RandomState()
        again.set_state(self._saved["random_state"])
        return again

    def remember(self, name: str, value: Any) -> Any:
        """Return what was remembered when the search began; `value` if it begins now."""
        return self._saved["remembered"].setdefault(name, value)

    def check(self, identity: dict[str, str]) -> None:
        """Raise ValueError if another search was saved; `identity` is what a search depends on."""
        saved = self._saved["identity"]
        differing = [name for name in identity if saved.get(name, identity[name]) != identity[name]]
        if differing:
            raise ValueError(
                "The 'checkpoint_dir' parameter must be an empty folder, or "
                f"hold the same search. Got {str(self.path.parent)!r} instead, where one was saved "
                f"that differs in {', '.join(differing)}; name another folder, or delete "
                f"{str(self.path)!r}."
            )
        saved.update(identity)

    def begin(self, population: Population) -> tuple[int, Recorded | None]:
        """Have a population go on from where it was saved.

        Returns how many populations of the search there were before, and what was recorded of
        this one; None where it was not saved yet.
        """
        number, self._n_populations = self._n_populations, self._n_populations + 1
        of_part = f" of part {number + 1} of the search" if number else ""
        self.check({f"the model or the candidates{of_part}": population.origin})
        if number >= len(self._saved["populations"]):
            return number, None
        saved = self._saved["populations"][number]
        snapshots = []
        for plain in saved["snapshots"]:
            groups = [GroupSnapshot(**group) for group in plain["groups"]]
            snapshots.append(Snapshot(**plain | {"groups": groups}))
        population.restore(snapshots)
        return number, Recorded(tuple(saved["names"]), saved["values"])

    def save(self, number: int, recorded: Recorded, snapshots: list[Snapshot]) -> None:
        """Save a population as it is now, and what those before have shown; or warn, once."""
        before = self._saved["populations"][:number]
        for population in before:
            for snapshot in population["snapshots"]:
                snapshot["groups"] = [group | {"state": None} for group in snapshot["groups"]]
        plain = [vars(one) | {"groups": [vars(group) for group in one.groups]} for one in snapshots]
        saved = {"names": recorded.names, "values": recorded.values, "snapshots": plain}
        self._saved["populations"] = [*before, saved]
        parts: dict[str, bytes] = {}
        manifest = {"format": FORMAT, "search": persistence.encode(self._saved, parts)}
        try:
            persistence.write_archive(self.path, manifest, parts)
        except OSError as error:
            if self._is_writable:
                told = f"The search goes on but is not saved: {error}"
                warn(CheckpointWarning(told), stacklevel=2)
            self._is_writable = False

    def finish(self) -> None:
        """Remove what was saved."""
        self.path.unlink(missing_ok=True)


def search_identity(estimator: Any, algorithm: Any, prepared: Any) -> dict[str, str]:
    """Return what a search depends on, by its name in a message: parameters, data, versions."""
    of_algorithm = algorithm.get_params(deep=False)
    of_algorithm.pop("experience", None)  # except for the candidates that it proposes
    given = estimator.get_params(deep=False) | {"search": [type(algorithm), of_algorithm]}
    if not isinstance(estimator.random_state, Integral):
        given["random_state"] = None  # the one that the search began with is saved
    params = {
        f"the parameter {name!r}": persistence.identity(value)
        for name, value in given.items()
        if name not in WITHOUT_EFFECT
    }
    of_data = persistence.of_data(prepared.evaluation.data, prepared.evaluation.splits)
    return of_data | persistence.of_versions() | params
