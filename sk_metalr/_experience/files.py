"""Files of records, one a line, which many processes append to at once."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from .._progress import warn
from ..exceptions import ExperienceWarning
from .records import VERSION, ExperienceRecord

LOCK_SECONDS = 60
"""Seconds that an append waits for others to end theirs, which take milliseconds."""


def lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def append_line(path: Path, line: str) -> None:
    """Write a line at the end of a file, at once, while nobody else does.

    Where the last line was left without its end, it is ended first.
    """
    with FileLock(lock_of(path), timeout=LOCK_SECONDS), path.open("a+b", buffering=0) as file:
        is_torn = False
        if file.tell():
            file.seek(-1, os.SEEK_END)
            is_torn = file.read() != b"\n"
        content = ("\n" * is_torn + line).encode()
        if file.write(content) < len(content):
            raise OSError(f"The disk of {str(path)!r} is full; the search was not recorded.")


def read_records(path: Path) -> Iterator[ExperienceRecord]:
    """Yield the records of a file; warn of lines that hold none.

    The last line is left out without a word where its end is missing: someone may be writing it.
    Raises ValueError where all others are no records.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    n_records = n_newer = 0
    bad: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if values["version"] > VERSION:
                n_newer += 1
                continue
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
        _warn(
            f"In {str(path)!r} {len(bad)} of {n_records + n_newer + len(bad)} lines are no records "
            f"of a search and are left out: {', '.join(bad[:3])}{' …' * (len(bad) > 3)}. Was a "
            "process killed while it wrote? Then delete them."
        )
    if n_newer:
        _warn(
            f"{n_newer} records of {str(path)!r} were written by a newer sk_metalr, and are left "
            "out; upgrade to read them."
        )


def _warn(message: str) -> None:
    warn(ExperienceWarning(message), stacklevel=6)
