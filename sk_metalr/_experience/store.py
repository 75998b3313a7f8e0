"""Experience: finished searches, written down for those to come."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .records import ExperienceRecord, append_line, lock_of, read_records

if TYPE_CHECKING:
    import pandas

SHIPPED = Path(__file__).parent / "default.jsonl"


class Experience:
    """Finished searches that the next one learns from, in memory or in a file.

    The file holds one search per line, in JSON. It is only ever appended to, under a lock, so that
    many processes may record at a time; a fit reads what others have added. Rows of a table are
    not in it, only hashes that tell whether another table shares rows with it.

    Parameters
    ----------
    path : str, os.PathLike or None, default=None
        A file to read, and to append to; the first record creates it. None: in memory. What
        another process (a worker of joblib's, say) records in memory stays with that process.

    Raises
    ------
    TypeError, ValueError
        If `path` is no path; if it is a folder, a file that holds no record at all, or "default",
        which is no file but what :meth:`load` calls the experience that comes with this package.

    See Also
    --------
    Portfolio : The search that learns from it.

    Examples
    --------
    >>> from sk_metalr import Experience
    >>> experience = Experience.load("default")
    >>> len(experience) > 100
    True
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        if not isinstance(path, str | os.PathLike | None):
            raise TypeError(
                "The 'path' parameter of Experience must be a path or None. Got an object of type "
                f"{type(path).__name__!r} instead; Experience().merge(records) takes records."
            )
        if path is not None and (path == "default" or Path(path).is_dir()):
            raise ValueError(
                "The 'path' parameter of Experience must name a file, or be None. Got "
                f"{os.fspath(path)!r} instead; name one, such as 'experience.jsonl'. "
                "Experience.load('default') is the one that comes with this package."
            )
        self.path = None if path is None else Path(path).absolute()
        self._records: list[ExperienceRecord] = []
        self.refresh()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Experience":
        """Read an experience; FileNotFoundError if there is no such file.

        Parameters
        ----------
        path : str or os.PathLike
            A file; or ``"default"`` for what comes with this package, as a copy in memory.

        Returns
        -------
        experience : Experience
        """
        if path == "default":
            experience = cls()
            experience._records = list(read_records(SHIPPED))
            return experience
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"There is no experience at {os.fspath(path)!r}. Experience(path) begins one, and "
                "'default' is the one that comes with this package."
            )
        return cls(path)

    def refresh(self) -> "Experience":
        """Read the file again, where there is one: others may have added to it.

        Returns
        -------
        self : Experience
            With all records of the file.
        """
        if self.path is not None and self.path.exists():
            self._records = list(read_records(self.path))
        return self

    def append(self, record: ExperienceRecord) -> "Experience":
        """Add a record, also to the file where there is one; TypeError if it is no record.

        Parameters
        ----------
        record : ExperienceRecord
            A finished search.

        Returns
        -------
        self : Experience
            With one record more.
        """
        if not isinstance(record, ExperienceRecord):
            raise TypeError(
                "The 'record' parameter of Experience.append must be an ExperienceRecord. Got an "
                f"object of type {type(record).__name__!r} instead; merge takes several."
            )
        if self.path is not None:
            append_line(self.path, record.to_line())
        self._records.append(record)
        return self

    def record(
        self,
        fitted: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> "Experience":
        """Add a finished search: what it found for each optimizer and schedule.

        No row is kept, only meta-features, the numbers of rows of each class and hashes, which tell
        whether another table shares rows with this one.

        Parameters
        ----------
        fitted : MetaLRClassifier or MetaLRRegressor
            Fitted by any search except hypergradient; one that ended early adds nothing.
        X, y : array-like of shape (n_samples, n_features) or (n_samples, ...), and (n_samples,)
            The features and the targets that it was fitted on.
        sample_weight, groups : array-like of shape (n_samples,), default=None
            Their weights and their groups, if there were any.
        X_val, y_val : array-like of shape (n_val, ...) and (n_val,), default=None
            The user's own validation rows and their labels, if there were any.

        Returns
        -------
        self : Experience
            With a record more for each optimizer and schedule; none where the search ended before
            its budget did.

        Raises
        ------
        sklearn.exceptions.NotFittedError, TypeError
            If it is not fitted, or neither of these.
        ValueError
            If the data, or the rows that ``cv`` holds out, are not those of the fit, if it was
            loaded from a file, or if its candidates changed their rates.
        OSError
            If the file cannot be written.
        """
        if hasattr(fitted, "learning_rate_trajectories_"):
            raise ValueError(
                "A search by 'hypergradient' cannot be recorded, because its candidates change "
                "their learning rates; record one by 'random' or 'halving'."
            )
        if not hasattr(fitted, "_experience_records"):
            raise TypeError(
                "The 'fitted' parameter of Experience.record must be a fitted MetaLRClassifier or "
                f"MetaLRRegressor. Got an object of type {type(fitted).__name__!r} instead."
            )
        self.check_writable()
        for record in fitted._experience_records(X, y, sample_weight, groups, (X_val, y_val)):
            self.append(record)
        return self

    def merge(self, other: Iterable[ExperienceRecord]) -> "Experience":
        """Add the records of another experience that are not in this one.

        Parameters
        ----------
        other : Experience or iterable of ExperienceRecord
            Where they come from; it stays as it is. TypeError for a path: :meth:`load` reads one.

        Returns
        -------
        self : Experience
            With the records of both.
        """
        if isinstance(other, str | os.PathLike):
            raise TypeError(
                "The 'other' parameter of Experience.merge must hold records. Got the path "
                f"{os.fspath(other)!r} instead; give Experience.load of it."
            )
        known = {record.to_line() for record in self.refresh()}
        for record in list(other):
            line = record.to_line() if isinstance(record, ExperienceRecord) else None
            if line not in known:
                self.append(record)
                known.add(str(line))
        return self

    def to_frame(self) -> "pandas.DataFrame":
        """Return one row a record: its features, its best rate, what that gained.

        Returns
        -------
        frame : pandas.DataFrame
            It needs pandas.
        """
        import pandas

        rows = []
        for record in self:
            best = int(np.argmin(record.losses))
            row = {
                "source": record.source,
                **record.features,
                **{f"best_{name}": tried[best] for name, tried in record.others.items()},
                "best_learning_rate": record.learning_rates[best],
                "best_n_epochs": record.n_epochs[best],
                "loss": record.losses[best],
                "standard_error": record.standard_errors[best],
                "baseline_loss": record.baseline_loss,
                "n_learning_rates": len(record.learning_rates),
                "date": record.provenance.get("date", ""),
            }
            rows.append(row)
        return pandas.DataFrame(rows)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[ExperienceRecord]:
        return iter(self._records)

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else f"in {str(self.path)!r}"
        return f"<Experience of {len(self)} searches {where}>"

    def __sklearn_clone__(self) -> "Experience":
        """Return itself: clones of an estimator learn from one store, and add to it."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Have a copy in another process read and append to the same file, where there is one."""
        return {"path": self.path, "_records": [] if self.path else self._records}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        with suppress(OSError, ValueError):  # a fitted classifier is not lost with its store
            self.refresh()

    def check_writable(self) -> None:
        """Raise an OSError where no record could be added, because of the folder or the file."""
        if self.path is None:
            return
        if not self.path.parent.is_dir():
            raise FileNotFoundError(
                f"There is no folder {str(self.path.parent)!r} to keep an experience in."
            )
        for path in (self.path, lock_of(self.path)):
            if not os.access(path if path.exists() else path.parent, os.W_OK):
                raise PermissionError(
                    f"The experience at {str(self.path)!r} cannot be added to: {str(path)!r} may "
                    "not be written; name another file."
                )
