"""Fingerprints of tables: do two of them share rows? Answered without keeping any row.

A classifier in a Pipeline sees rows after a scaler that was fitted on the rows at hand, so the
same row looks a little different in each fold of a cross-validation. What no increasing
transform of a column changes is the order of its values. So a row is described by *codes*: for
some columns, between which quantiles of the column its value lies. Codes are hashed, and of
all hashes the lowest are kept: a sketch, from which the overlap of two sets can be told (Broder,
"On the resemblance and containment of documents", 1997, doi:10.1109/SEQUEN.1997.666900).

A value beside a quantile may fall on its other side in another fold, the more often the finer
the codes are; coarse codes are shared by different rows. Hence several sketches, of few and
of many columns, coarse and fine, and a threshold that rises with the share of rows that have
the codes of another row of their own table.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Fingerprint", "Sketch", "fingerprint", "shares_rows"]

RESOLUTIONS = [
    ("all", 4, 6),
    ("all", 4, 8),
    ("all", 8, 6),
    ("all", 16, 4),
    ("all", 32, 4),
    ("all", 32, 8),
    ("many-valued", 8, 4),
    ("many-valued", 8, 16),
]
"""Which columns are drawn from, how many at most, and into how many parts each is cut.

Columns of two values come and go with the categories that an encoder has seen; the others stay.
"""

N_HASHES = 128
"""How many hashes a sketch keeps: 512 bytes."""

MIN_DISTINCT = 0.6
"""A sketch is kept only where the share of rows with codes of their own is no lower."""

MARGIN = 0.1
DUPLICATES = 1.75
"""A row that shares its codes with others of its table has about twice that chance elsewhere."""


@dataclass(frozen=True)
class Sketch:
    """The lowest hashes of a set of row codes.

    Attributes
    ----------
    n_columns : int
        Of how many columns those that count were drawn.
    n_distinct : int
        How many different hashes the table has.
    hashes : uint32 ndarray of shape (n,), with n <= 128
        The lowest of them, in increasing order.
    """

    n_columns: int
    n_distinct: int
    hashes: np.ndarray

    def to_list(self) -> list[Any]:
        """Return two numbers and a string, for JSON."""
        text = b64encode(self.hashes.astype("<u4").tobytes()).decode()
        return [self.n_columns, self.n_distinct, text]

    @classmethod
    def from_list(cls, values: list[Any]) -> "Sketch":
        """Return what :meth:`to_list` was called on."""
        n_columns, n_distinct, text = values
        return cls(n_columns, n_distinct, np.frombuffer(b64decode(text), "<u4"))

    def containment(self, other: "Sketch") -> float:
        """Estimate which share of the smaller set is in the other one, too: 0 to 1."""
        shared = np.intersect1d(self.hashes, other.hashes)
        smaller, larger = sorted([self.n_distinct, other.n_distinct])
        if larger <= N_HASHES:  # both are known in full
            return len(shared) / smaller
        lowest = np.union1d(self.hashes, other.hashes)[:N_HASHES]
        resemblance = np.isin(lowest, shared).mean()
        return float(min(1.0, resemblance / (1 + resemblance) * (smaller + larger) / smaller))


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a table in order to know its rows again.

    Attributes
    ----------
    n_rows, n_columns : int
        Its shape.
    sketches : dict of str to Sketch
        By the name of their resolution.
    """

    n_rows: int
    n_columns: int
    sketches: dict[str, Sketch]

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and strings, for JSON."""
        sketches = {name: sketch.to_list() for name, sketch in self.sketches.items()}
        return {"n_rows": self.n_rows, "n_columns": self.n_columns, "sketches": sketches}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Fingerprint":
        """Return what :meth:`to_dict` was called on."""
        sketches = {name: Sketch.from_list(one) for name, one in values["sketches"].items()}
        return cls(values["n_rows"], values["n_columns"], sketches)


def fingerprint(X: np.ndarray) -> Fingerprint:
    """Return the fingerprint of a table.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        Finite numbers.
    """
    X = X.reshape(len(X), -1)
    lowest, highest = X.min(axis=0), X.max(axis=0)
    inside = (lowest < X) & (highest > X)
    pools = {"all": np.arange(X.shape[1]), "many-valued": np.flatnonzero(inside.any(axis=0))}
    sketches = {}
    for number, (kind, n_columns, n_parts) in enumerate(RESOLUTIONS):
        pool = pools[kind]
        if not pool.size:
            continue
        order = np.random.RandomState(len(pool)).permutation(pool)
        # Other columns each time: one whose codes have moved spoils one sketch.
        drawn = np.roll(order, -7 * number)[:n_columns]
        hashes = np.unique(_hashes(X, drawn, n_parts))
        if len(hashes) >= MIN_DISTINCT * len(X):
            sketches[f"{kind} {n_columns}x{n_parts}"] = Sketch(
                len(pool), len(hashes), hashes[:N_HASHES]
            )
    return Fingerprint(*X.shape, sketches)


def shares_rows(one: Fingerprint, other: Fingerprint) -> bool:
    """Tell whether two tables seem to share rows, a few in ten of the smaller one or more.

    Tables without any sketch of the same kind, in which nearly all rows equal another one, are
    said to share rows where their shapes are alike: the same columns, and numbers of rows
    within a factor of 2.

    Parameters
    ----------
    one, other : Fingerprint
        What :func:`fingerprint` returned.
    """
    for name in one.sketches.keys() & other.sketches.keys():
        mine, theirs = one.sketches[name], other.sketches[name]
        if mine.n_columns != theirs.n_columns:
            continue
        distinct = min(mine.n_distinct / one.n_rows, theirs.n_distinct / other.n_rows)
        if mine.containment(theirs) > MARGIN + DUPLICATES * (1 - distinct):
            return True
    if one.sketches or other.sketches:
        return False
    ratio = one.n_rows / other.n_rows
    return one.n_columns == other.n_columns and 0.5 <= ratio <= 2


def _hashes(X: np.ndarray, columns: np.ndarray, n_parts: int) -> np.ndarray:
    """Return a hash of every row's codes: (n_samples,) of type uint32."""
    hashes = np.zeros(len(X), np.uint64)
    for column in columns:
        codes = _codes(X[:, column], n_parts).astype(np.uint64)
        hashes = _mixed(hashes * np.uint64(0x9E3779B97F4A7C15) + codes + np.uint64(1))
    return (hashes >> np.uint64(32)).astype(np.uint32)


def _codes(values: np.ndarray, n_parts: int) -> np.ndarray:
    """Return which part of the column each value is in, or, of a few values, which it is."""
    few, position = np.unique(values, return_inverse=True)
    if len(few) <= 2 * n_parts:
        return np.asarray(position)
    cuts = np.unique(np.sort(values)[np.arange(1, n_parts) * len(values) // n_parts])
    # Twice the part; an odd number for the value of a cut, of which there may be many.
    return np.searchsorted(cuts, values, "left") + np.searchsorted(cuts, values, "right")


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Return bits in which each depends on all: the last step of MurmurHash3."""
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return bits ^ (bits >> np.uint64(33))
