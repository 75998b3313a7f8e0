"""From records of rivals to tables and bars."""

from pathlib import Path

import pandas as pd

from benchmarks.harness.pages import Bar, markdown
from benchmarks.suites.rivals.measure import ENSEMBLE, FIRST


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the part of the page, and the bars."""
    rows = pd.DataFrame(
        [
            {"table": record["arguments"]["table"], **row}
            for record in records.values()
            for row in record["result"]["rows"]
        ]
    )
    if rows.empty:
        return [], []
    versions = next(iter(records.values()))["result"]["versions"]
    told = ", ".join(f"{name} {number}" for name, number in versions.items())
    is_first = rows.seed.isin(FIRST)
    parts = [
        f"## Rivals\n\nWhole fits at defaults; {told}. Rank by test log-loss among all. The mean "
        f"difference of the log-loss from that of {ENSEMBLE}, and its standard error, are over "
        "tables; the last column counts those on which a contender is better.",
        *_part("Rivals on the first division", rows[is_first]),
    ]
    bars = _bars("first division", rows[is_first])
    on_all = _on_all_divisions(rows)
    if not is_first.all() and ENSEMBLE in set(on_all.contender):
        parts += _part("Rivals on all divisions", on_all)
        bars += _bars("all divisions", on_all)
    return parts, bars


def _on_all_divisions(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of contenders and tables that were measured on all divisions."""
    n_divisions = rows.groupby(["table", "contender"]).seed.transform("nunique")
    whole = rows[n_divisions == rows.seed.nunique()]
    n_contenders = whole.groupby("table").contender.transform("nunique")
    return whole[n_contenders == n_contenders.max()]


def _losses(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean test log-losses, tables by contenders."""
    return rows.pivot_table(index="table", columns="contender", values="log_loss", sort=False)


def _part(title: str, rows: pd.DataFrame) -> list[str]:
    loss = _losses(rows)
    more = loss.sub(loss[ENSEMBLE], axis=0)
    summary = rows.groupby("contender", sort=False).agg(
        {"log_loss": "mean", "accuracy": "mean", "balanced_accuracy": "mean"}
        | {"brier": "mean", "calibration_error": "mean", "seconds": "median"}
    )
    summary.columns = ["log-loss", "accuracy", "balanced", "Brier", "ECE", "median seconds"]
    summary.insert(0, "contender", summary.index)
    summary.insert(2, "difference", more.mean())
    summary.insert(3, "± standard error", more.sem())
    summary.insert(4, "mean rank", loss.rank(axis=1).mean())
    summary["better on"] = (more < 0).sum()
    n_divisions = rows.seed.nunique()
    return [
        f"## {title}",
        f"{len(loss)} tables, {n_divisions} division{'s' * (n_divisions > 1)} of each.",
        markdown(summary.sort_values("log-loss"), 3),
        "Test log-loss on each table:",
        markdown(loss.reset_index(), 3),
    ]


def _bars(where: str, rows: pd.DataFrame) -> list[Bar]:
    loss = _losses(rows)
    ranks, means = loss.rank(axis=1).mean(), loss.mean()
    others = [name for name in loss if not name.startswith("MetaLR")]
    rival, best = means[others].idxmin(), ranks[others].idxmin()
    return [
        (
            f"{ENSEMBLE}: lowest mean log-loss of all rivals, {where}",
            f"{means[ENSEMBLE]:.4f} against {means[rival]:.4f} ({rival})",
            bool(means[ENSEMBLE] < means[rival]),
        ),
        (
            f"{ENSEMBLE}: best mean rank of all rivals, {where}",
            f"{ranks[ENSEMBLE]:.2f} against {ranks[best]:.2f} ({best})",
            bool(ranks[ENSEMBLE] < ranks[best]),
        ),
    ]
