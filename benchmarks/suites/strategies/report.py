"""From records of strategies to a table."""

from pathlib import Path

import pandas as pd

from benchmarks.harness.pages import Bar, markdown
from benchmarks.suites.strategies.measure import DEFAULT


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the parts of the page, and no bars: there are none."""
    return [strategies_part(records)], []


def strategies_part(records: dict[str, dict]) -> str:
    rows = pd.DataFrame([row for record in records.values() for row in record["result"]])
    by_table = rows.pivot_table(index="table", columns="variant", values="log_loss", sort=False)
    summary = rows.groupby("variant", sort=False).agg(
        {"excess": ["mean", "max"], "log_loss": "mean", "balanced_accuracy": "mean", "fits": "mean"}
    )
    summary.columns = ["mean excess", "worst", "log-loss", "balanced accuracy", "single fits"]
    summary.insert(0, "what is changed", summary.index)
    summary["tables better than the default"] = [
        f"{(by_table[name] < by_table[DEFAULT]).sum()} of {len(by_table)}" for name in summary.index
    ]
    return "\n\n".join(
        [
            "## Strategies",
            f"Whole fits with one thing changed, on {len(by_table)} tables, "
            f"{rows.seed.nunique()} division each. Excess: test log-loss in nats over the best "
            "constant rate and epoch of Adam in hindsight, which other strategies can beat.",
            markdown(summary, 3),
            "Test log-loss on each table:",
            markdown(by_table[summary.index].reset_index(), 3),
        ]
    )
