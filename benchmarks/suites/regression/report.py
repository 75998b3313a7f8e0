"""From records of regression to tables and bars."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.pages import Bar, markdown, rows_of_tables
from benchmarks.suites.regression.measure import (
    ENSEMBLE,
    FIRST_ONLY,
    HINDSIGHT,
    NEURAL,
    OURS,
    RANDOMIZED,
    RIVALS,
    SEEDS,
)


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the part of the page, and the bars."""
    rows = rows_of_tables(records)
    if rows.empty:
        return [], []
    errors = rows.pivot_table(
        index=["table", "seed"], columns="contender", values="normalised_rmse", sort=False
    )
    excess = errors.sub(errors[HINDSIGHT], axis=0).drop(columns=HINDSIGHT)
    return [_part(rows, errors, excess)], _bars(errors, excess)


def _part(rows: pd.DataFrame, errors: pd.DataFrame, excess: pd.DataFrame) -> str:
    known = rows[rows.contender != HINDSIGHT]
    summary = known.groupby("contender", sort=False).agg(
        {"normalised_rmse": "mean", "r2": "mean", "seconds": "median"}
    )
    summary.columns = ["normalised RMSE", "R²", "median seconds"]
    ranks = errors[excess.columns].rank(axis=1).mean()
    by_table = excess.groupby("table", sort=False).mean()
    summary.insert(0, "mean rank", ranks[summary.index])
    summary.insert(0, "worst excess", by_table.max()[summary.index])
    summary.insert(0, "mean excess", by_table.mean()[summary.index])
    spread = by_table.std() / np.sqrt(len(by_table))
    summary.insert(1, "± standard error", spread[summary.index])
    summary.insert(0, "contender", summary.index)
    return "\n\n".join(
        [
            "## Regression",
            f"Whole fits on {len(by_table)} tables, {SEEDS} divisions each ({FIRST_ONLY}: the "
            "first only); friedman1 to friedman3 and attrition are artificial. "
            f"{_left_out(errors)}RMSE is normalised by the standard deviation of the test targets; "
            "excess is over the network's best rate and epoch in hindsight on the same division, "
            "and is below 0 where something else than that network does better. Excess and its "
            "standard error are over tables; rank is among all on a division. Two contenders ran "
            "at a time on two cores, so each would take less time alone.",
            markdown(summary.sort_values("normalised RMSE"), 3),
            "Normalised RMSE on each table:",
            markdown(errors.groupby("table", sort=False).mean().reset_index(), 3),
        ]
    )


def _left_out(errors: pd.DataFrame) -> str:
    absent = [name for name in RIVALS if name not in errors]
    return f"Not installed, and left out: {', '.join(absent)}. " if absent else ""


def _bars(errors: pd.DataFrame, excess: pd.DataFrame) -> list[Bar]:
    mean = excess.groupby("table").mean().mean()
    neural = [name for name in NEURAL if name in errors]
    on_all = [name for name in neural if name != FIRST_ONLY]
    on_first = errors.xs(0, level="seed")[neural]
    return [
        (
            f"{OURS}: mean excess at most half that of {RANDOMIZED}",
            f"{mean[OURS]:.4f} against {mean[RANDOMIZED]:.4f}",
            bool(mean[OURS] <= 0.5 * mean[RANDOMIZED]),
        ),
        _lowest_rank("all networks measured on every division", errors[on_all]),
        _lowest_rank(f"all networks on the first division, {FIRST_ONLY} among them", on_first),
    ]


def _lowest_rank(networks: str, errors: pd.DataFrame) -> Bar:
    ranks = errors.rank(axis=1).mean()
    rival = ranks.drop([OURS, ENSEMBLE]).idxmin()
    return (
        f"{ENSEMBLE}: lowest mean rank of {networks}",
        f"{ranks[ENSEMBLE]:.2f} against {ranks[rival]:.2f} ({rival})",
        bool(ranks[ENSEMBLE] < ranks[rival]),
    )
