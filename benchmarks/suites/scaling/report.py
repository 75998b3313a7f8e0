"""From records of scaling to a table, a bar and a figure."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.pages import Bar, markdown
from benchmarks.suites.scaling import figures


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Draw the figure; return the part of the page, and the bar."""
    table = scaling_table(records)
    return [scaling_part(table, out)], list(scaling_bars(table))


def scaling_table(records: dict[str, dict]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "axis": record["arguments"]["axis"],
                "value": record["arguments"][record["arguments"]["axis"]],
                **{k: v for k, v in record["result"].items() if k != "breakdown"},
                "training_seconds": record["result"]["breakdown"]["training_seconds"],
                "peak": record["peak_megabytes"],
            }
            for record in records.values()
        ]
    )


def exponent(values: np.ndarray, seconds: np.ndarray) -> float:
    """Return the slope of log seconds over log value, on the upper three points."""
    return float(np.polyfit(np.log(values[-3:]), np.log(seconds[-3:]), 1)[0])


def scaling_part(table: pd.DataFrame, out: Path) -> str:
    figures.scaling(table, out / "figures" / "scaling.png")
    shown = pd.DataFrame(
        {
            "axis": table.axis,
            "value": [f"{value:,}" for value in table.value],
            "seconds": table.seconds,
            "first fit": table.first_seconds,
            "floor: arithmetic": table.arithmetic_seconds,
            "floor: traffic": table.traffic_seconds,
            "× floor": table.seconds / np.maximum(table.arithmetic_seconds, table.traffic_seconds),
            "peak memory, MB": [f"{peak:.0f}" for peak in table.peak],
        }
    )
    exponents = [
        f"- {axis}: {exponent(part.value.to_numpy(float), part.seconds.to_numpy()):.2f}"
        for axis, part in table.groupby("axis", sort=False)
    ]
    return "\n\n".join(
        [
            "## Scaling",
            "Seconds of a whole fit once compiled, as one thing grows (`benchmarks/suites/scaling` "
            "says from what). The floor is the arithmetic of all training steps at the speed of a "
            "large matrix product, and the traffic of weights, gradients and moments at the speed "
            "of a memory copy; caches can beat the second.",
            markdown(shown),
            "Exponents fitted to the upper three points:",
            "\n".join(exponents),
            "![scaling](figures/scaling.png)",
        ]
    )


def scaling_bars(table: pd.DataFrame) -> Iterator[Bar]:
    seconds = table[table.axis == "n_candidates"].set_index("value").seconds
    factor = seconds[64] / seconds[1]
    yield "from 1 to 64 candidates, width 32: time grows < 2 ×", f"{factor:.2f} ×", factor < 2
