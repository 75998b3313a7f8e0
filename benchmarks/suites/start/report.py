"""From the record of first fits to a sentence and a bar."""

from pathlib import Path

from benchmarks.harness.pages import Bar


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the part of the page, and the bar."""
    (record,) = records.values()
    plain, ours = record["result"]["plain"], record["result"]["ours"]
    n_rounds = record["arguments"]["n_rounds"]
    part = (
        "## Start\n\n"
        "From the import to a fitted model on iris in a new process: plain Keras took "
        f"{plain:.1f} s, MetaLRClassifier {ours:.1f} s, which compiles, searches and refits "
        f"(medians of {n_rounds} that alternate)."
    )
    what = "from the import to the first fitted model, iris: ≤ 2.0 × plain Keras"
    return [part], [(what, f"{ours / plain:.2f} ×", ours <= 2 * plain)]
