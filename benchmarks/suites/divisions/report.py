"""From records of many divisions to a table and bars."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.pages import Bar, markdown, rows_of_tables
from benchmarks.suites.divisions.measure import N_DIVISIONS
from benchmarks.suites.quality.calibrated import ENSEMBLES, OURS
from benchmarks.suites.quality.measure import FIVE_MODELS, UNCALIBRATED

PAIRS = [(OURS, UNCALIBRATED, 0.02), (ENSEMBLES[10], FIVE_MODELS, 0.015)]


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the part of the page, and the bars."""
    rows = rows_of_tables(records)
    summary, bars = [], []
    for better, worse, at_most in PAIRS:
        loss = rows.pivot_table(index=["table", "seed"], columns="method", values="log_loss")
        above = (loss[better] - loss[worse]).unstack("table")
        summary += [
            {
                "method": better,
                "against": worse,
                "table": name,
                "log-loss": float(loss[better][name].mean()),
                "difference": float(above[name].mean()),
                "± standard error": float(above[name].sem()),
            }
            for name in above
        ]
        mean = above.mean().sort_values()
        bars.append(
            (
                f"{better}: no small table more than {at_most} nats above {worse}, "
                f"{N_DIVISIONS} divisions",
                f"{mean.iloc[-1]:+.4f} ({mean.index[-1]})",
                bool(np.all(mean <= at_most)),
            )
        )
    part = (
        "## Many divisions of small tables\n\n"
        f"The tables of fewer than 600 rows, divided {N_DIVISIONS} times, as under Quality "
        "otherwise; test log-loss in nats. On three divisions with few test rows, one row decides."
        "\n\n" + markdown(pd.DataFrame(summary), 4)
    )
    return [part], bars
