"""From records of scaling and memory to tables, bars and a figure."""

from collections.abc import Iterator
from pathlib import Path

import figures
import numpy as np
import pandas as pd
from writing import Bar, markdown


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
            "Seconds of a whole fit once compiled, as one thing grows (`benchmarks/scaling.py` "
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
        "two Dask workers against one process: time ≤ 1.1 ×, the same choice",
        f"{ratio:.2f} ×, {result['n_choices']} choice",
        ratio <= 1.1 and result["n_choices"] == 1,
    )
