"""From the record of memory to a sentence and a bar."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.pages import Bar


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the part of the page, and the bar."""
    (record,) = records.values()
    result = record["result"]
    return [memory_part(result)], list(memory_bars(result))


def memory_part(result: dict) -> str:
    resident = result["resident_megabytes"]
    return (
        "## Memory\n\n"
        f"Resident memory after 1, 10 and {len(resident)} fits in one process, each on another "
        f"number of rows: {resident[0]:.0f}, {resident[9]:.0f} and {resident[-1]:.0f} MB."
    )


def memory_bars(result: dict) -> Iterator[Bar]:
    growth, retracing = result["growth"], result["retracing_warnings"]
    n_fits = len(result["resident_megabytes"])
    yield (
        f"memory over {n_fits} fits: < 5 MB a fit after the tenth, no warning of retracing",
        f"{growth:.2f} MB, {retracing} warnings",
        growth < 5 and retracing == 0,
    )
