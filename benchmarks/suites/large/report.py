"""From the records of large tables to a table and a bar for each batch size."""

from pathlib import Path
from statistics import median

import pandas as pd

from benchmarks.harness.pages import Bar, markdown
from benchmarks.suites.large.measure import SEARCHES

MOST = 2.0


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the part of the page, and the bars."""
    rows = [row_of(record, search) for record in records.values() for search in SEARCHES]
    table = pd.DataFrame(rows)
    part = (
        "## A million rows\n\n"
        "Whole fits of 16 candidates to a million rows of 50 features, two classes, 2 × 64, one "
        "epoch, as a multiple of one plain `KerasClassifier.fit` beside it (medians and ranges "
        "once compiled). The floor is the arithmetic of all training steps, of sixteen candidates "
        "to the end, at the speed of a large matrix product.\n\n" + markdown(table)
    )
    bars = [
        (
            f"a million rows, batches of {row['batch size']:,}, {row['search']}: ≤ {MOST} × plain",
            f"{row['× one plain fit']:.2f} ×",
            row["× one plain fit"] <= MOST,
        )
        for row in table.to_dict("records")
    ]
    return [part], bars


def row_of(record: dict, search: str) -> dict:
    """Return the row of a batch size and a search."""
    result, size = record["result"], record["arguments"]["batch_size"]
    plain, ours = result["seconds"]["plain"], result["seconds"][search]
    ratios = [mine / theirs for mine, theirs in zip(ours[1:], plain[1:], strict=True)]
    return {
        "batch size": size,
        "search": search,
        "× one plain fit": median(ours[1:]) / median(plain[1:]),
        "range": f"{min(ratios):.2f} … {max(ratios):.2f}",
        "first fit": ours[0] / plain[0],
        "plain, s": median(plain[1:]),
        "ours, s": median(ours[1:]),
        "floor, s": result["arithmetic_seconds"],
        "held-out log-loss": f"{-result['scores'][search]:.4f}",
        "peak memory, MB": f"{record['peak_megabytes']:.0f}",
    }
