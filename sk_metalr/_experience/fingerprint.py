"""Fingerprints of tables, which tell whether two tables share rows, but keep no row.

A classifier in a Pipeline sees rows after a scaler that was fitted on the rows at hand, so the same
row looks a little different in each fold. No increasing transform of a column changes the order of
its values. So a row is described by *codes*: for some columns, between which quantiles of the
column its value lies. Codes are hashed, and the lowest hashes are kept: a sketch, from which the
overlap of two sets can be told (Broder, "On the resemblance and containment of documents", 1997,
doi:10.1109/SEQUEN.1997.666900).

A value beside a quantile may fall on its other side in another fold, the more often the finer the
codes are; coarse codes are shared by different rows. Hence several sketches, of few and of many
columns, coarse and fine, one of the values as they are, and a threshold that rises with the share
of rows that have the codes of another row. Folds that need not share rows, such as the halves of a
table, each of which the other is tested on, are known by their numbers of rows of each class.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import numpy as np

from .meta_features import batches

RESOLUTIONS = [
    *[("all", 4, 6), ("all", 4, 8), ("all", 8, 6), ("all", 16, 4), ("all", 32, 4)],
    *[("all", 32, 8), ("many-valued", 8, 4)],
]
"""Kind of the columns that are drawn, how many at most, and into how many parts each is cut.

Columns of two values come and go with the categories that an encoder has seen; the others stay.
"""

EXACT = "exact"  # name of the sketch of the values as they are: no scaler was fitted to each fold
N_HASHES = 128  # that a sketch keeps: 512 bytes
MIN_DISTINCT = 0.6  # lowest share of rows with codes of their own in a sketch that is kept
MIN_COLUMNS = 0.9  # of two folds' numbers, lower over higher: encoders see other categories
MARGIN = 0.1  # share of common rows above which tables without duplicates are said to share rows
DUPLICATES = 1.75  # a row that has the codes of another one has about twice that chance elsewhere


@dataclass(frozen=True)
class Sketch:
    """The lowest hashes of a set of row codes, in increasing order: uint32 of shape (n,), n <= 128.

    The codes are of some of `n_columns` columns, and have `n_distinct` different hashes in all.
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
        """Return what :meth:`to_list` was called on; ValueError if that cannot be."""
        n_columns, n_distinct, text = values
        hashes = np.frombuffer(b64decode(text), "<u4")
        if not 0 < len(hashes) <= int(n_distinct):
            raise ValueError("its fingerprint has a sketch without rows")
        return cls(int(n_columns), int(n_distinct), hashes)

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
    """Shape of a table, rows of each class and named sketches, by which its rows are recognised."""

    n_rows: int
    n_columns: int
    class_counts: tuple[int, ...]
    sketches: dict[str, Sketch]

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and strings, for JSON."""
        sketches = {name: sketch.to_list() for name, sketch in self.sketches.items()}
        return vars(self) | {"class_counts": list(self.class_counts), "sketches": sketches}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Fingerprint":
        """Return what :meth:`to_dict` was called on; ValueError if that cannot be."""
        sketches = {name: Sketch.from_list(one) for name, one in values["sketches"].items()}
        counts = tuple(int(n) for n in values["class_counts"])
        n_rows, n_columns = int(values["n_rows"]), int(values["n_columns"])
        if n_rows < 1 or sum(counts) != n_rows:
            raise ValueError("its fingerprint has not as many rows as its classes")
        return cls(n_rows, n_columns, counts, sketches)


def fingerprint(X: np.ndarray, code: np.ndarray) -> Fingerprint:
    """Return the fingerprint of a table of finite numbers, float32 of shape (n_samples, ...).

    `code`, of shape (n_samples,), is the class of each row, counted from 0.
    """
    X = X.reshape(len(X), -1)
    hashes = {EXACT: (X.shape[1], _exact_hashes(X))} | _code_hashes(X)
    sketches = {}
    for name, (n_columns, of_rows) in hashes.items():
        distinct = np.unique((of_rows >> np.uint64(32)).astype(np.uint32))
        if len(distinct) >= MIN_DISTINCT * len(X):
            sketches[name] = Sketch(n_columns, len(distinct), distinct[:N_HASHES])
    return Fingerprint(*X.shape, tuple(np.bincount(code).tolist()), sketches)


def shares_rows(one: Fingerprint, other: Fingerprint) -> bool:
    """Tell whether two tables seem to share rows, or to be folds of one table.

    They share rows where a sketch says so of a few in ten of the smaller one or more; or, if they
    have no sketch of codes in common, because nearly all rows have the codes of another one, where
    they have as many columns, and numbers of rows within a factor of 2. They seem to be folds of
    one table where each class has as many rows in both, give or take one.
    """
    if are_stratified_alike(one, other):
        return True
    were_compared = False
    for name in one.sketches.keys() & other.sketches.keys():
        mine, theirs = one.sketches[name], other.sketches[name]
        if mine.n_columns != theirs.n_columns:
            continue
        were_compared |= name != EXACT
        distinct = min(mine.n_distinct / one.n_rows, theirs.n_distinct / other.n_rows)
        if mine.containment(theirs) > MARGIN + DUPLICATES * (1 - distinct):
            return True
    if were_compared:
        return False
    ratio = one.n_rows / other.n_rows
    return one.n_columns == other.n_columns and 0.5 <= ratio <= 2


def are_stratified_alike(one: Fingerprint, other: Fingerprint) -> bool:
    """Tell whether two tables have as many rows of each class, and columns, as folds have."""
    if len(one.class_counts) != len(other.class_counts) or len(one.class_counts) < 2:
        return False  # of numbers, there is one class, which says nothing
    apart = np.abs(np.subtract(one.class_counts, other.class_counts)).max()
    fewer, more = sorted([one.n_columns, other.n_columns])
    return bool(apart <= 1 and fewer >= MIN_COLUMNS * more)


def _exact_hashes(X: np.ndarray) -> np.ndarray:
    """Return a hash of every row as it is: (n_samples,) of type uint64."""
    factors = np.random.RandomState(0).randint(2**63, size=X.shape[1], dtype=np.uint64)
    sums = [
        # Adding 0 makes one of -0.0 and 0.0.
        ((X[rows].astype(np.float32) + 0.0).view(np.uint32) * factors).sum(axis=1, dtype=np.uint64)
        for rows in batches(X)
    ]
    return _mixed(np.concatenate(sums))


def _code_hashes(X: np.ndarray) -> dict[str, tuple[int, np.ndarray]]:
    """Return for each resolution the number of columns, and a uint64 hash of each row's codes."""
    inside = (X.min(axis=0) < X) & (X.max(axis=0) > X)
    pools = {"all": np.arange(X.shape[1]), "many-valued": np.flatnonzero(inside.any(axis=0))}
    drawn = {}
    for number, (kind, n_columns, n_parts) in enumerate(RESOLUTIONS):
        pool = pools[kind]
        order = np.random.RandomState(len(pool)).permutation(pool)
        # Other columns each time: one whose codes have moved spoils one sketch.
        columns = np.roll(order, -7 * number)[:n_columns].tolist()
        if columns:
            drawn[f"{kind} {n_columns}x{n_parts}"] = (len(pool), columns, n_parts)
    hashes = {name: np.zeros(len(X), np.uint64) for name in drawn}
    for column in sorted({column for _, columns, _ in drawn.values() for column in columns}):
        values, ordered = X[:, column], np.sort(X[:, column])
        for name, (_, columns, n_parts) in drawn.items():
            if column in columns:
                codes = _codes(values, ordered, n_parts).astype(np.uint64)
                hashes[name] = _mixed(hashes[name] * np.uint64(0x9E3779B97F4A7C15) + codes)
    return {name: (n_pool, hashes[name]) for name, (n_pool, _, _) in drawn.items()}


def _codes(values: np.ndarray, ordered: np.ndarray, n_parts: int) -> np.ndarray:
    """Return from 1 on which part of a column each value is in, or, of a few, which it is.

    `values`, `ordered` (the values in increasing order) and codes are of shape (n_samples,).
    """
    few = ordered[np.append(True, ordered[1:] > ordered[:-1])]
    if len(few) <= 2 * n_parts:
        return np.searchsorted(few, values) + 1
    cuts = np.unique(ordered[np.arange(1, n_parts) * len(values) // n_parts])
    # Twice the part; an odd number for the value of a cut, of which there may be many.
    return np.searchsorted(cuts, values, "left") + np.searchsorted(cuts, values, "right") + 1


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Return bits in which each depends on all: the last step of MurmurHash3."""
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return bits ^ (bits >> np.uint64(33))
