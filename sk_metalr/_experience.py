"""Experience: finished searches, written down for those to come.

One search a line, in JSON: readable by anyone, appended to by many processes at once, and never
rewritten. A line that was torn by a crash is left out; no other is lost with it.
"""

import json
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from ._fingerprint import Fingerprint
from ._meta_features import coordinates
from .exceptions import ExperienceWarning

if TYPE_CHECKING:
    import pandas

__all__ = ["Experience", "ExperienceRecord"]

VERSION = 1
"""Version of the format of a line."""

DIGITS = 6
SHIPPED = Path(__file__).parent / "experience.jsonl"


@dataclass(frozen=True, eq=False)
class ExperienceRecord:
    """One finished search: on what, of what, and the response curve.

    Parameters
    ----------
    fingerprint : Fingerprint
        Of the training rows; none of them can be read from it.
    features : dict of str to number or str
        What the task was like: see :mod:`._meta_features`.
    learning_rates : ndarray of shape (n,)
        Rates that were tried with one optimizer and schedule, in increasing order.
    losses : ndarray of shape (n,)
        Held-out log-loss at the best epoch as the choice saw it (cautious, smoothed), in nats;
        infinite where the rate diverged.
    standard_errors : ndarray of shape (n,)
        Their standard errors, in nats; infinite where the rate diverged.
    n_epochs : int ndarray of shape (n,)
        Best number of epochs.
    no_skill_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    source : str
        What the rows are called; may be empty.
    provenance : dict of str to str
        Versions and date.
    """

    fingerprint: Fingerprint
    features: dict[str, Any]
    learning_rates: np.ndarray
    losses: np.ndarray
    standard_errors: np.ndarray
    n_epochs: np.ndarray
    no_skill_loss: float
    source: str = ""
    provenance: dict[str, str] = field(default_factory=dict)

    def to_line(self) -> str:
        """Return the record as one line of JSON, numbers to six digits.

        Returns
        -------
        line : str
            It ends with a newline.
        """
        values = {
            "version": VERSION,
            "source": self.source,
            "features": {name: _short(value) for name, value in self.features.items()},
            "curve": {
                "learning_rate": _short_list(self.learning_rates),
                "loss": _short_list(self.losses),
                "standard_error": _short_list(self.standard_errors),
                "n_epochs": self.n_epochs.tolist(),
            },
            "no_skill_loss": _short(self.no_skill_loss),
            "provenance": self.provenance,
            "fingerprint": self.fingerprint.to_dict(),
        }
        return json.dumps(values, separators=(",", ":"), allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ExperienceRecord":
        """Return the record that a parsed line holds.

        Parameters
        ----------
        values : dict
            What ``json.loads`` made of :meth:`to_line`.

        Returns
        -------
        record : ExperienceRecord
            The record, arrays in place of lists.

        Raises
        ------
        KeyError, ValueError
            If something is missing or cannot be.
        """
        curve = values["curve"]
        columns = [curve["learning_rate"], curve["loss"], curve["standard_error"]]
        rates, losses, errors = (
            np.array([np.inf if value is None else value for value in column], np.float64)
            for column in columns
        )
        n_epochs = np.array(curve["n_epochs"], int)
        if not (rates.ndim == 1 and rates.shape == losses.shape == errors.shape == n_epochs.shape):
            raise ValueError("its curve has columns of different lengths")
        if not (np.isfinite(rates) & (rates > 0)).all():
            raise ValueError("its learning rates are not all above 0")
        features = dict(values["features"])
        if not (isinstance(features["optimizer"], str) and isinstance(features["schedule"], str)):
            raise ValueError("its optimizer and schedule are not both words")
        if not np.isfinite(coordinates(features)).all():  # what the next search asks of it
            raise ValueError("its features are not all numbers")
        return cls(
            Fingerprint.from_dict(values["fingerprint"]),
            features,
            rates,
            losses,
            errors,
            n_epochs,
            float(values["no_skill_loss"]),
            values.get("source", ""),
            dict(values.get("provenance", {})),
        )


class Experience:
    """Finished searches that the next one learns from, in memory or in a file.

    The file holds one search a line, in JSON. It is only ever appended to, under a lock, so that
    many processes may record at a time. Rows of a table are not in it, only hashes that tell
    whether another table shares rows with it.

    Parameters
    ----------
    path : str, os.PathLike or None, default=None
        A file to read, and to append to; the first record creates it. None: in memory.

    See Also
    --------
    MetaLRClassifier : Learns from it (``search="portfolio"``), adds to it
        (``record_experience=True``).

    Examples
    --------
    >>> from sk_metalr import Experience
    >>> experience = Experience.load("default")
    >>> len(experience) > 100
    True
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._records: list[ExperienceRecord] = []
        if self.path is not None and self.path.exists():
            self._records = list(_read(self.path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Experience":
        """Read an experience.

        Parameters
        ----------
        path : str or os.PathLike
            A file; or ``"default"`` for what comes with this package, as a copy in memory.

        Returns
        -------
        experience : Experience

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        """
        if path == "default":
            experience = cls()
            experience._records = list(_read(SHIPPED))
            return experience
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"There is no experience at {os.fspath(path)!r}. Experience(path) begins one, and "
                "so does MetaLRClassifier(experience=path, record_experience=True)."
            )
        return cls(path)

    def append(self, record: ExperienceRecord) -> "Experience":
        """Add a record, also to the file where there is one.

        Parameters
        ----------
        record : ExperienceRecord
            A finished search.

        Returns
        -------
        self : Experience
            With one record more.
        """
        if self.path is not None:
            _append(self.path, record.to_line())
        self._records.append(record)
        return self

    def merge(self, other: Iterable[ExperienceRecord]) -> "Experience":
        """Add the records of another experience that are not in this one.

        Parameters
        ----------
        other : Experience or iterable of ExperienceRecord
            Where they come from; it stays as it is.

        Returns
        -------
        self : Experience
            With the records of both.
        """
        known = {record.to_line() for record in self}
        for record in list(other):
            if record.to_line() not in known:
                self.append(record)
        return self

    def to_frame(self) -> "pandas.DataFrame":
        """Return one row a record: its features, its best rate, what that gained.

        Returns
        -------
        frame : pandas.DataFrame
            It needs pandas.
        """
        import pandas

        return pandas.DataFrame([_summary(record) for record in self])

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


def _summary(record: ExperienceRecord) -> dict[str, Any]:
    best = int(np.argmin(record.losses))
    return {
        "source": record.source,
        **record.features,
        "best_learning_rate": record.learning_rates[best],
        "best_n_epochs": record.n_epochs[best],
        "loss": record.losses[best],
        "standard_error": record.standard_errors[best],
        "no_skill_loss": record.no_skill_loss,
        "n_learning_rates": len(record.learning_rates),
    }


def _append(path: Path, line: str) -> None:
    """Write a line at the end of a file, at once, while nobody else does."""
    with FileLock(f"{path}.lock"):
        torn = _ends_torn(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            content = ("\n" * torn + line).encode()
            if os.write(descriptor, content) < len(content):
                raise OSError(f"The disk of {str(path)!r} is full; the search was not recorded.")
        finally:
            os.close(descriptor)


def _ends_torn(path: Path) -> bool:
    """Tell whether the last line of a file was left without its end."""
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _read(path: Path) -> Iterator[ExperienceRecord]:
    """Yield the records of a file; warn of lines that hold none.

    The last line is left out without a word where its end is missing: someone may be writing it.
    """
    *lines, last = path.read_text(encoding="utf-8", errors="replace").split("\n")
    newer = 0
    for number, line in enumerate([*lines, last], start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if values["version"] > VERSION:
                newer += 1
                continue
            yield ExperienceRecord.from_dict(values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number <= len(lines):
                warnings.warn(
                    f"Line {number} of {str(path)!r} is no record of a search ({error}); it is "
                    "left out. Was a process killed while it wrote? Then delete the line.",
                    ExperienceWarning,
                    stacklevel=4,
                )
    if newer:
        warnings.warn(
            f"{newer} records of {str(path)!r} were written by a newer sk_metalr, and are left "
            "out; upgrade to read them.",
            ExperienceWarning,
            stacklevel=4,
        )


def _short(value: Any) -> Any:
    """Return a number with six digits; None where it is not finite."""
    if not isinstance(value, float | np.floating):
        return value
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None


def _short_list(values: np.ndarray) -> list[float | None]:
    return [_short(float(value)) for value in values]
