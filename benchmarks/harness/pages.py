"""From records to a page: tables in Markdown, bars, and the figures beside it."""

import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["Bar", "markdown", "rows_of_tables", "write"]

Bar = tuple[str, str, bool]
"""What must hold, what was measured, whether it holds."""


def markdown(frame: pd.DataFrame, decimals: int = 2) -> str:
    """Return a table of text and numbers in Markdown, its index left out."""

    def cell(value) -> str:
        if isinstance(value, float):
            return "" if np.isnan(value) else f"{value:.{decimals}f}"
        return str(value)

    rows = [frame.columns, ["---"] * frame.shape[1], *frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(cell(value) for value in row) + " |" for row in rows)


def rows_of_tables(records: dict[str, dict]) -> pd.DataFrame:
    """Return the rows of all records, each with the name of the table that it is of."""
    return pd.DataFrame(
        [
            {"table": record["arguments"]["table"], **row}
            for record in records.values()
            for row in record["result"]
        ]
    )


def write(
    records: dict[str, dict[str, dict]],
    environment: dict[str, str],
    command: str,
    quick: bool,
    out: Path,
    stem: str,
) -> bool:
    """Write tables to a page, records and bars to JSON, and figures; tell whether all bars hold.

    Bars of earlier versions, each in a folder of its own in `out`, are shown beside them.

    Parameters
    ----------
    records : dict of str to dict
        Records by the names of their cells, by suite.
    environment : dict of str to str
        What results depend on beside the code.
    command : str
        The command that was run.
    quick : bool
        Whether only a few cells were measured.
    out : Path
        Folder to write to.
    stem : str
        Name of the page without its suffix.
    """
    (out / "figures").mkdir(parents=True, exist_ok=True)
    parts: list[str] = []
    bars: list[Bar] = []
    for suite, of_suite in records.items():
        if of_suite:
            module = importlib.import_module(f"benchmarks.suites.{suite}.report")
            more_parts, more_bars = module.report(of_suite, quick, out)
            parts += more_parts
            bars += [(what, measured, bool(holds)) for what, measured, holds in more_bars]
    together = {name: record for of_suite in records.values() for name, record in of_suite.items()}
    seconds = sum(record["seconds"] for record in together.values())
    lines = [
        "# Results",
        f"Written by `{command}`, whose cells took {seconds / 60:.0f} minutes in all; do not edit.",
        "\n".join(f"- {name}: {value}" for name, value in environment.items()),
        *([_bars_part(bars, earlier_bars(out, stem))] if bars else []),
        *parts,
    ]
    (out / f"{stem}.md").write_text("\n\n".join(lines) + "\n")
    results = {"environment": environment, "records": together}
    (out / f"{stem.lower()}-bars.json").write_text(json.dumps(bars, indent=1))
    (out / f"{stem.lower()}.json").write_text(json.dumps(results, indent=1))
    for what, measured, holds in bars:
        print(f"{'holds ' if holds else 'MISSED'} {what}: {measured}")
    return all(holds for _, _, holds in bars)


def earlier_bars(out: Path, stem: str) -> dict[str, dict[str, str]]:
    """Return what earlier versions measured, by bar: those that have a folder beside the page."""
    return {
        path.parent.name: {what: measured for what, measured, _ in json.loads(path.read_text())}
        for path in sorted(out.glob(f"*/{stem.lower()}-bars.json"))
    }


def _bars_part(bars: list[Bar], earlier: dict[str, dict[str, str]]) -> str:
    rows = [
        [
            what,
            measured,
            "holds" if holds else "**missed**",
            *(of_version.get(what, "") for of_version in earlier.values()),
        ]
        for what, measured, holds in bars
    ]
    columns = ["bar", "measured", "", *earlier]
    return "## Bars\n\n" + markdown(pd.DataFrame(rows, columns=columns))
