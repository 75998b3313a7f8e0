"""From records of networks to a table and a bar."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.pages import Bar, markdown, rows_of_tables
from benchmarks.suites.parts.measure import PLAIN, READY_MADE


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the part of the page, and the bar."""
    rows = rows_of_tables(records)
    if rows.empty:
        return [], []
    loss = rows.pivot_table(index="table", columns="network", values="log_loss", sort=False)
    mean = loss.mean()
    bar = (
        f"{READY_MADE}: mean test log-loss below that of {PLAIN}",
        f"{mean[READY_MADE]:.4f} against {mean[PLAIN]:.4f}",
        bool(mean[READY_MADE] < mean[PLAIN]),
    )
    return [_part(rows, loss)], [bar]


def _part(rows: pd.DataFrame, loss: pd.DataFrame) -> str:
    against = loss.sub(loss[PLAIN], axis=0)
    summary = pd.DataFrame(
        {
            "network": loss.columns,
            "log-loss": loss.mean().to_numpy(),
            f"against {PLAIN}": against.mean().to_numpy(),
            "± standard error": (against.std() / np.sqrt(len(loss))).to_numpy(),
            "median": against.median().to_numpy(),
            "better on": (against < 0).mean().to_numpy(),
            "worst table": against.max().to_numpy(),
            "median seconds": rows.groupby("network").seconds.median()[loss.columns].to_numpy(),
        }
    )
    return "\n\n".join(
        [
            "## Parts of the ready-made network",
            f"Mean test log-loss, in nats, on {len(loss)} tables of R packages, "
            f"{rows.seed.nunique()} divisions each. Numbers were scaled before; the ready-made "
            "network scales all columns again. Seconds are of a search, with what it compiles, and "
            "two refits.",
            markdown(summary, 4),
            "Test log-loss on each table:",
            markdown(loss.reset_index(), 3),
        ]
    )
