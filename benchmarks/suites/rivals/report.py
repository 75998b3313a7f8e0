"""From records of rivals to tables and bars."""

from pathlib import Path

import pandas as pd

from benchmarks.harness.pages import Bar, markdown
from benchmarks.suites.rivals.measure import ENSEMBLE


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
    loss = rows.pivot_table(index="table", columns="contender", values="log_loss", sort=False)
    ranks = loss.rank(axis=1).mean()
    versions = next(iter(records.values()))["result"]["versions"]
    return [_part(rows, loss, ranks, versions)], _bars(loss, ranks)


def _part(rows: pd.DataFrame, loss: pd.DataFrame, ranks: pd.Series, versions: dict) -> str:
    summary = rows.groupby("contender", sort=False).agg(
        {"log_loss": "mean", "accuracy": "mean", "balanced_accuracy": "mean"}
        | {"brier": "mean", "calibration_error": "mean", "seconds": "median"}
    )
    summary.columns = ["log-loss", "accuracy", "balanced", "Brier", "ECE", "median seconds"]
    summary.insert(0, "mean rank", ranks[summary.index])
    summary.insert(0, "contender", summary.index)
    return "\n\n".join(
        [
            "## Rivals",
            f"Whole fits at defaults on {len(loss)} tables, {rows.seed.nunique()} divisions each; "
            f"{', '.join(f'{name} {number}' for name, number in versions.items())}. Rank by test "
            "log-loss among all.",
            markdown(summary.sort_values("log-loss"), 3),
            "Test log-loss on each table:",
            markdown(loss.reset_index(), 3),
        ]
    )


def _bars(loss: pd.DataFrame, ranks: pd.Series) -> list[Bar]:
    others = [name for name in loss if not name.startswith("MetaLR")]
    mean, rival = loss.mean(), loss[others].mean().idxmin()
    best = ranks[others].idxmin()
    return [
        (
            f"{ENSEMBLE}: lowest mean log-loss of all rivals",
            f"{mean[ENSEMBLE]:.4f} against {mean[rival]:.4f} ({rival})",
            bool(mean[ENSEMBLE] < mean[rival]),
        ),
        (
            f"{ENSEMBLE}: best mean rank of all rivals",
            f"{ranks[ENSEMBLE]:.2f} against {ranks[best]:.2f} ({best})",
            bool(ranks[ENSEMBLE] < ranks[best]),
        ),
    ]
