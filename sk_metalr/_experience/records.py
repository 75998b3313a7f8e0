"""Records of finished searches, each a line of JSON in a file that many processes append to."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from .._progress import warn
from ..exceptions import ExperienceWarning
from .fingerprint import Fingerprint
from .meta_features import coordinates

VERSION = 1  # of the format of a line
LOCK_SECONDS = 60  # that an append waits for others to end theirs, which take milliseconds


@dataclass(frozen=True, eq=False)
class ExperienceRecord:
    """One finished search: on what, of what, and the response curve.

    Parameters
    ----------
    fingerprint : Fingerprint
        Of the training rows; none of them can be read from it.
    features : dict of str to number or str
        What the task was like: see :mod:`.meta_features`.
    learning_rates : ndarray of shape (n,)
        Rates that were tried with one optimizer and schedule, in increasing order; where other
        hyperparameters were searched, too, those of all candidates, in any order.
    losses, standard_errors : ndarray of shape (n,)
        Held-out log-loss at the best epoch as the choice saw it, Laplace-smoothed, then smoothed
        over rates and epochs; and its standard error. In nats; infinite where the rate diverged.
    n_epochs : int ndarray of shape (n,)
        Best number of epochs.
    baseline_loss : float
        Log-loss of always predicting the class frequencies, in nats.
    source : str
        What the rows are called; may be empty.
    provenance : dict of str to str
        Versions and date.
    others : dict of str to list of length n
        What the candidates had of other hyperparameters, by the names of ``set_params``: numbers,
        strings and other plain values, what is none by its name, None where it had none.
    """

    fingerprint: Fingerprint
    features: dict[str, Any]
    learning_rates: np.ndarray
    losses: np.ndarray
    standard_errors: np.ndarray
    n_epochs: np.ndarray
    baseline_loss: float
    source: str = ""
    provenance: dict[str, str] = field(default_factory=dict)
    others: dict[str, list[Any]] = field(default_factory=dict)

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
                "learning_rate": [_short(float(rate)) for rate in self.learning_rates],
                "loss": [_short(float(loss)) for loss in self.losses],
                "standard_error": [_short(float(error)) for error in self.standard_errors],
                "n_epochs": self.n_epochs.tolist(),
            },
            "baseline_loss": _short(self.baseline_loss),
            "provenance": self.provenance,
            "fingerprint": self.fingerprint.to_dict(),
        }
        if self.others:
            others = {name: [_short(v) for v in tried] for name, tried in self.others.items()}
            values["others"] = others
        return json.dumps(values, separators=(",", ":"), allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ExperienceRecord":
        """Return the record that a parsed line holds.

        Raises LookupError, TypeError, ValueError or ArithmeticError if it holds no record.

        Parameters
        ----------
        values : dict
            What ``json.loads`` made of :meth:`to_line`.

        Returns
        -------
        record : ExperienceRecord
            The record, arrays in place of lists.
        """
        curve = values["curve"]
        rates, losses, errors = (
            np.array([np.inf if value is None else value for value in curve[name]], np.float64)
            for name in ("learning_rate", "loss", "standard_error")
        )
        n_epochs = np.array(curve["n_epochs"], int)
        if not (rates.ndim == 1 and rates.shape == losses.shape == errors.shape == n_epochs.shape):
            raise ValueError("its curve has columns of different lengths")
        others = {name: list(tried) for name, tried in dict(values.get("others", {})).items()}
        if any(len(tried) != len(rates) for tried in others.values()):
            raise ValueError("its columns are of different lengths")
        if not (rates.size and rates.min() > 0 and (others or (np.diff(rates) > 0).all())):
            raise ValueError("its learning rates are not above 0, in increasing order")
        if np.isinf(rates).any() or np.isnan([losses, errors]).any():
            raise ValueError("its curve is not all numbers")
        baseline = float(values["baseline_loss"])
        if not 0 < baseline < np.inf:
            raise ValueError("its baseline loss is not above 0")
        features = dict(values["features"])
        if not (isinstance(features["optimizer"], str) and isinstance(features["schedule"], str)):
            raise ValueError("its optimizer and schedule are not both words")
        if not np.isfinite(coordinates(features)).all():  # what the next search asks of it
            raise ValueError("its features are not all numbers")
        rows = Fingerprint.from_dict(values["fingerprint"])
        source, made = values.get("source", ""), dict(values.get("provenance", {}))
        return cls(rows, features, rates, losses, errors, n_epochs, baseline, source, made, others)


def _short(value: Any) -> Any:
    """Return a number with six digits; None where it is not finite."""
    if not isinstance(value, float | np.floating):
        return value
    return float(f"{value:.6g}") if np.isfinite(value) else None


def to_lines(records: Iterable[ExperienceRecord]) -> Iterator[str]:
    """Yield the lines of a whole file; in place of a fingerprint that is known, a hash of it.

    Fingerprints are most of a line, and searches of one table share theirs.
    """
    known: set[str] = set()
    for record in records:
        values = json.loads(record.to_line())
        rows = _hash(values["fingerprint"])
        if rows in known:
            values["fingerprint"] = rows
        known.add(rows)
        yield json.dumps(values, separators=(",", ":"), allow_nan=False) + "\n"


def _hash(fingerprint: dict[str, Any]) -> str:
    return sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]


def lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def append_line(path: Path, line: str) -> None:
    """Write a line at the end of a file, at once, while nobody else does.

    Where the last line was left without its end, it is ended first.
    """
    with FileLock(lock_of(path), timeout=LOCK_SECONDS), path.open("a+b", buffering=0) as file:
        file.seek(max(0, file.tell() - 1))
        is_torn = file.read() not in (b"", b"\n")
        content = ("\n" * is_torn + line).encode()
        if file.write(content) < len(content):
            raise OSError(f"The disk of {str(path)!r} is full; the search was not recorded.")


def read_records(path: Path) -> Iterator[ExperienceRecord]:
    """Yield the records of a file; warn of lines that hold none.

    A line may hold a hash in place of a fingerprint that came before; see :func:`to_lines`.
    The last line is left out without a word where its end is missing: someone may be writing it.
    Raises ValueError where all others are no records.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    n_records = n_newer = 0
    bad: list[str] = []
    written: dict[str, Any] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if values["version"] > VERSION:
                n_newer += 1
                continue
            rows = values["fingerprint"]
            if isinstance(rows, str):
                values["fingerprint"] = written[rows]
            else:
                written[_hash(rows)] = rows
            yield ExperienceRecord.from_dict(values)
            n_records += 1
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            if number < len(lines):
                bad.append(f"line {number} ({error})")
    if bad and not (n_records or n_newer):
        raise ValueError(
            f"{str(path)!r} is no experience: no line of it is a record of a search, beginning "
            f"with {bad[0]}. Name another file."
        )
    if bad:
        message = (
            f"In {str(path)!r} {len(bad)} of {n_records + n_newer + len(bad)} lines are no records "
            f"of a search and are left out: {', '.join(bad[:3])}{' …' * (len(bad) > 3)}. Was a "
            "process killed while it wrote? Then delete them."
        )
        warn(ExperienceWarning(message), stacklevel=5)
    if n_newer:
        message = (
            f"{n_newer} records of {str(path)!r} were written by a newer sk_metalr, and are left "
            "out; upgrade to read them."
        )
        warn(ExperienceWarning(message), stacklevel=5)
