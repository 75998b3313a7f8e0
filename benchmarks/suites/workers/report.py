"""From the record of workers to a sentence and a bar."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.pages import Bar


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the part of the page, and the bar."""
    (record,) = records.values()
    result = record["result"]
    return [workers_part(result)], list(workers_bars(result))


def workers_part(result: dict) -> str:
    seconds, first = result["seconds"], result["first_seconds"]
    return (
        "## Workers\n\n"
        f"A fit by two Dask workers on the two cores took {seconds['dask']:.2f} s, in one process "
        f"{seconds['here']:.2f} s (medians of fits that alternate); the first of each, in which "
        f"every process compiles, {first['dask']:.1f} and {first['here']:.1f} s. Largest "
        f"difference between chosen curves: {result['largest_difference']:.1e} nats."
    )


def workers_bars(result: dict) -> Iterator[Bar]:
    ratio = result["seconds"]["dask"] / result["seconds"]["here"]
    yield (
        "two Dask workers against one process, fits of ten seconds: time ≤ 1.1 ×, the same choice",
        f"{ratio:.2f} ×, {result['n_choices']} choice",
        ratio <= 1.1 and result["n_choices"] == 1,
    )
