"""From records of tables that are set aside to a table of rules."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.pages import Bar, markdown, rows_of_tables
from benchmarks.suites.aside.measure import DEFAULT, UNCALIBRATED


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the part of the page, and the bar."""
    rows = rows_of_tables(records)
    if rows.empty:
        return [], []
    loss = rows.pivot_table(index="table", columns="rule", values="log_loss", sort=False)
    mean = loss.mean()
    bar = (
        f"{DEFAULT}: mean test log-loss below that of {UNCALIBRATED}",
        f"{mean[DEFAULT]:.4f} against {mean[UNCALIBRATED]:.4f}",
        bool(mean[DEFAULT] < mean[UNCALIBRATED]),
    )
    return [_part(loss, rows.seed.nunique())], [bar]


def _part(loss: pd.DataFrame, n_divisions: int) -> str:
    against_default = loss.sub(loss[DEFAULT], axis=0)
    against_plain = loss.sub(loss[UNCALIBRATED], axis=0)
    summary = pd.DataFrame(
        {
            "rule": loss.columns,
            "log-loss": loss.mean().to_numpy(),
            "against the default": against_default.mean().to_numpy(),
            "± standard error": (against_default.std() / np.sqrt(len(loss))).to_numpy(),
            f"against {UNCALIBRATED}": against_plain.mean().to_numpy(),
            "worst table against it": against_plain.max().to_numpy(),
        }
    )
    shown = loss[[DEFAULT, UNCALIBRATED, "hindsight"]].reset_index()
    return "\n\n".join(
        [
            "## Rules of the choice",
            f"Mean test log-loss, in nats, on {len(loss)} tables of R packages, {n_divisions} "
            "divisions each, that no other page reports: the numbers in the rule of the choice "
            "were set on these. All rules choose from the same trained curves; a choice is trained "
            "from three initial weights, an ensemble's models from one each. Hindsight: the best "
            "rate and epoch, without temperatures and averages of weights.",
            markdown(summary, 4),
            "Test log-loss on each table:",
            markdown(shown, 3),
        ]
    )
