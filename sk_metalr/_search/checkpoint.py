"""A search that is saved while it goes on, so that it outlives its process.

All that a search does depends on its data, parameters and random state. So a search that is
started again does the same again, but for the training that was saved: that is remembered.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from .._persistence.archive import read_archive, write_archive
from .._persistence.encoding import decode, encode
from .._population import GroupSnapshot, JoinedPopulation, Snapshot
from .._progress import Seen, Step, ignore, warn
from ..exceptions import CheckpointWarning, RefusedFileError

__all__ = ["Checkpoint", "checkpointed"]

FORMAT = 1
FILE, LOCK = "search.checkpoint", "search.lock"


@contextmanager
def checkpointed(
    folder: str | os.PathLike[str] | None, every: int
) -> Iterator["Checkpoint | None"]:
    """Hold a folder while a search is saved in it; None for a search that is not saved.

    Parameters
    ----------
    folder : str, os.PathLike or None
        Made where there is none.
    every : int
        How many epochs are trained at most between two saves.

    Raises
    ------
    ValueError
        If another fit uses the folder, or nothing can be written there.
    RefusedFileError
        If what was saved there is damaged.
    """
    if folder is None:
        yield None
        return
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            "The 'checkpoint_dir' parameter of MetaLRClassifier must be a folder of its own for "
            f"each fit that runs. Got {str(folder)!r} instead, which another fit uses now; wait "
            "for that, or name another folder."
        ) from error
    except OSError as error:
        raise ValueError(
            "The 'checkpoint_dir' parameter of MetaLRClassifier must be a folder that can be "
            f"written to. Got {str(folder)!r} instead ({error.strerror or error})."
        ) from error
    with lock:
        yield Checkpoint(path / FILE, every)


class Checkpoint:
    """What is saved of a search.

    Parameters
    ----------
    path : Path
        The file, which may hold a search already.
    every : int
        See :func:`checkpointed`.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every
        self._n_populations = 0
        self._is_writable = True
        self._saved: dict[str, Any] = {"identity": {}, "random_state": None, "populations": []}
        for unfinished in path.parent.glob(f".{path.name}.*.tmp"):
            unfinished.unlink()
        if path.exists():
            manifest, parts = read_archive(path, self._check_format)
            self._saved = decode(manifest["search"], parts)

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

    def advice(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return what the experience proposed when the search began; `given` if it begins now."""
        advice: dict[str, Any] = self._saved.setdefault("advice", given)
        return advice

    def check(self, identity: dict[str, str]) -> None:
        """Check that the search that was saved is the one that is being done.

        Parameters
        ----------
        identity : dict of str to str
            What the search depends on, by its name in a message.

        Raises
        ------
        ValueError
            If it is another one.
        """
        saved = self._saved["identity"]
        differing = [name for name in identity if saved.get(name, identity[name]) != identity[name]]
        if differing:
            raise ValueError(
                "The 'checkpoint_dir' parameter of MetaLRClassifier must be an empty folder, or "
                f"hold the same search. Got {str(self.path.parent)!r} instead, where one was saved "
                f"that differs in {', '.join(differing)}; name another folder, or delete "
                f"{str(self.path)!r}."
            )
        saved.update(identity)

    def kept(self, population: JoinedPopulation) -> "Kept":
        """Return a population that is saved while it trains, and remembers what was saved."""
        number, self._n_populations = self._n_populations, self._n_populations + 1
        of_part = f" of part {number + 1} of the search" if number else ""
        self.check({f"the model or the candidates{of_part}": population.origin})
        return Kept(population, self, number)

    def saved(self, number: int) -> dict[str, Any] | None:
        """Return ``losses`` and ``snapshots`` of a population; None of one not saved yet."""
        populations = self._saved["populations"]
        return populations[number] if number < len(populations) else None

    def save(self, number: int, losses: np.ndarray, snapshots: list[Snapshot]) -> None:
        """Save a population as it is now; of those before, what they have shown.

        Warns, once, where that is not possible.
        """
        before = self._saved["populations"][:number]
        for population in before:
            for snapshot in population["snapshots"]:
                snapshot["groups"] = [group | {"state": None} for group in snapshot["groups"]]
        of_snapshots = [_plain(snapshot) for snapshot in snapshots]
        self._saved["populations"] = [*before, {"losses": losses, "snapshots": of_snapshots}]
        parts: dict[str, bytes] = {}
        search = encode(self._saved, parts)
        try:
            write_archive(self.path, {"format": FORMAT, "search": search}, parts)
        except OSError as error:
            if self._is_writable:
                told = f"The search goes on but is not saved: {error}"
                warn(CheckpointWarning(told), stacklevel=2)
            self._is_writable = False

    def finish(self) -> None:
        """Remove what was saved."""
        self.path.unlink(missing_ok=True)


class Kept:
    """A population that is saved while it trains.

    Parameters
    ----------
    population : JoinedPopulation
        Untrained. It goes on from where it was saved, if it was.
    checkpoint : Checkpoint
        Where it is saved.
    number : int
        How many populations of the search there were before.
    """

    def __init__(self, population: JoinedPopulation, checkpoint: Checkpoint, number: int) -> None:
        self.population = population
        self._checkpoint, self._number = checkpoint, number
        self._n_shown = 0
        self._losses: np.ndarray | None = None
        saved = checkpoint.saved(number)
        if saved is not None:
            self._losses = saved["losses"]
            population.restore([_snapshot(one) for one in saved["snapshots"]])

    @property
    def n_groups(self) -> int:
        """How many groups train."""
        return self.population.n_groups

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent, also by the processes before; see :attr:`Population.seconds`."""
        return self.population.seconds

    @property
    def member_epochs(self) -> int:
        """Epochs trained, also by the processes before, of all members."""
        return self.population.member_epochs

    @property
    def trajectories(self) -> np.ndarray:
        """Learning rates of each epoch; see :attr:`Population.trajectories`."""
        return self.population.trajectories

    @property
    def lanes(self) -> list[tuple[str, str]]:
        """The lane of every optimizer, and its reason."""
        return self.population.lanes

    @property
    def uses_xla(self) -> list[bool]:
        """Tell for every optimizer whether XLA compiles its training."""
        return self.population.uses_xla

    def train(self, n_epochs: int, step: Step = ignore) -> np.ndarray:
        """Return the losses of epochs that were saved, and train the others.

        See :meth:`Population.train`.
        """
        parts = []
        if self._losses is not None:
            parts.append(self._losses[..., self._n_shown : self._n_shown + n_epochs])
            for shown in self._seen(parts[0]):
                step(shown)
        left = n_epochs - sum(part.shape[-1] for part in parts)
        while left:
            parts.append(self.population.train(min(left, self._checkpoint.every), step))
            left -= parts[-1].shape[-1]
            seen = [] if self._losses is None else [self._losses]
            self._losses = np.concatenate([*seen, parts[-1]], axis=-1)
            self._checkpoint.save(self._number, self._losses, self.population.snapshots())
        self._n_shown += n_epochs
        return np.concatenate(parts, axis=-1)

    def _seen(self, losses: np.ndarray) -> Iterator[Seen | None]:
        """Yield what epochs that were saved showed, as many times as they had groups."""
        _, n_candidates, n_splits, n_epochs = losses.shape
        for epoch in range(n_epochs):
            for group in range(self.n_groups):
                of_split = None
                if group < n_splits:
                    recorded = losses[:, :, group, epoch]
                    of_split = Seen(recorded, np.arange(n_candidates), group, self._n_shown + epoch)
                yield of_split

    def keep(self, candidates: np.ndarray) -> None:
        """Go on with these candidates only, unless that was done before it was saved."""
        if self._losses is not None and self._n_shown == self._losses.shape[-1]:
            self.population.keep(candidates)


def _plain(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as a dict of numbers, strings, lists and arrays."""
    return vars(snapshot) | {"groups": [dict(vars(group)) for group in snapshot.groups]}


def _snapshot(plain: dict[str, Any]) -> Snapshot:
    groups = [GroupSnapshot(**group) for group in plain["groups"]]
    return replace(Snapshot(**plain), groups=groups)
