"""From records to RESULTS.md: tables, bars, figures."""

import json
from pathlib import Path

import pandas as pd
from report_portfolio import folds_part, portfolio_bars, portfolio_frames, portfolio_part
from report_quality import quality_bars, quality_frame, quality_part
from report_scaling import (
    memory_bars,
    memory_part,
    scaling_bars,
    scaling_part,
    scaling_table,
    workers_bars,
    workers_part,
)
from report_speed import speed_bars, speed_part, speed_table
from report_strategies import strategies_part
from writing import Bar, markdown


def write(
    records: dict[str, dict],
    environment: dict[str, str],
    command: str,
    quick: bool,
    out: Path,
    stem: str,
) -> bool:
    """Write tables to a page of this stem, records to JSON, and figures; tell if all bars hold."""
    suites = {
        suite: {name: record for name, record in records.items() if record["suite"] == suite}
        for suite in ("speed", "quality", "scaling", "memory", "workers", "strategies", "portfolio")
    }
    (out / "figures").mkdir(parents=True, exist_ok=True)
    parts: list[str] = []
    bars: list[Bar] = []
    if suites["speed"]:
        table = speed_table(suites["speed"])
        parts.append(speed_part(suites["speed"], table, out))
        bars += list(speed_bars(table))
    if suites["quality"]:
        scores = quality_frame(suites["quality"])
        parts.append(quality_part(scores, out))
        bars += list(quality_bars(scores, quick))
    if suites["scaling"]:
        table = scaling_table(suites["scaling"])
        parts.append(scaling_part(table, out))
        bars += list(scaling_bars(table))
    for record in suites["memory"].values():
        parts.append(memory_part(record["result"]))
        bars += list(memory_bars(record["result"]))
    for record in suites["workers"].values():
        parts.append(workers_part(record["result"]))
        bars += list(workers_bars(record["result"]))
    if suites["strategies"]:
        parts.append(strategies_part(suites["strategies"]))
    if suites["portfolio"]:
        rows, folds = portfolio_frames(suites["portfolio"])
        parts += [portfolio_part(rows), folds_part(folds)]
        bars += list(portfolio_bars(rows))
    seconds = sum(record["seconds"] for record in records.values())
    lines = [
        "# Results",
        f"Written by `{command}`, whose cells took {seconds / 60:.0f} minutes in all; do not edit.",
        "\n".join(f"- {name}: {value}" for name, value in environment.items()),
        *([_bars_part(bars)] if bars else []),
        *parts,
    ]
    (out / f"{stem}.md").write_text("\n\n".join(lines) + "\n")
    results = {"environment": environment, "records": records}
    (out / f"{stem.lower()}.json").write_text(json.dumps(results, indent=1))
    for what, measured, holds in bars:
        print(f"{'holds ' if holds else 'MISSED'} {what}: {measured}")
    return all(holds for _, _, holds in bars)


def _bars_part(bars: list[Bar]) -> str:
    rows = [[what, measured, "holds" if holds else "**missed**"] for what, measured, holds in bars]
    return "## Bars\n\n" + markdown(pd.DataFrame(rows, columns=["bar", "measured", ""]))
