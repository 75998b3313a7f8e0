"""From records of speed to tables, bars and a figure."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.pages import Bar, markdown
from benchmarks.suites.speed import figures
from benchmarks.suites.speed import measure as speed
from benchmarks.suites.speed.peers import (
    ENSEMBLE,
    HALVING,
    OF_NUMBERS,
    OTHERS,
    OURS,
    PEERS,
    PORTFOLIO,
    SHORTER,
    UNCALIBRATED,
    VARIANTS,
)

ONE_SPLIT, FIVE_SPLITS = OURS
MORE = speed.CROSS_VALIDATION, *speed.PREDICTIONS


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Draw the figure; return the part of the page, and the bars."""
    turns = {
        name: float(np.median(seconds))
        for record in records.values()
        for name, seconds in record["result"].get("by_turns", {}).items()
    }
    fits = {name: one for name, one in records.items() if "by_turns" not in one["result"]}
    table = speed_table(fits)
    return [speed_part(fits, table, out)], [*speed_bars(table), *calibration_bars(turns)]


def speed_table(records: dict[str, dict]) -> pd.DataFrame:
    """Return one row for each setting and contender, ratios to the plain fit beside it."""
    ratios: dict[tuple[str, str], list[float]] = {}
    firsts, peaks = {}, {}
    for record in records.values():
        key = record["arguments"]["setting"], record["arguments"]["contender"]
        result = record["result"]
        values = (np.array(result["seconds"]) / np.array(result["plain"])).tolist()
        if key[1] in (*OURS, *OF_NUMBERS, *VARIANTS, *SHORTER, *MORE) and len(values) > 1:
            firsts[key], values = values[0], values[1:]
        ratios.setdefault(key, []).extend(values)
        peaks[key] = max(record["peak_megabytes"], peaks.get(key, 0))
    return pd.DataFrame(
        [
            {
                "setting": key[0],
                "contender": key[1],
                "ratio": float(np.median(values)),
                "low": min(values),
                "high": max(values),
                "fits": len(values),
                "first": firsts.get(key, np.nan),
                "peak": peaks[key],
            }
            for key, values in ratios.items()
        ]
    )


def ratio_of(table: pd.DataFrame, setting: str, contender: str, which: str = "ratio") -> float:
    found = table[(table.setting == setting) & (table.contender == contender)]
    return float(found[which].iloc[0]) if len(found) else np.nan


def ours_beside(table: pd.DataFrame, setting: str, contender: str, which: str = "ratio") -> float:
    """Return our ratio at as many splits as the contender has."""
    return ratio_of(table, setting, FIVE_SPLITS if "cv=5" in contender else ONE_SPLIT, which)


def speed_part(records: dict[str, dict], table: pd.DataFrame, out: Path) -> str:
    figures.ratios(table, out / "figures" / "speed.png")
    fits = table[
        table.contender.isin([*OURS, *OF_NUMBERS, *VARIANTS, *SHORTER, *PEERS, *OTHERS])
    ].copy()
    for column, which in (("slower", "ratio"), ("slower_than_first", "first")):
        fits[column] = [
            row.ratio / ours_beside(table, row.setting, row.contender, which)
            for row in fits.itertuples()
        ]
    shown = pd.DataFrame(
        {
            "setting": fits.setting,
            "contender": fits.contender,
            "× one plain fit (range)": [
                f"{r.ratio:.2f} ({r.low:.2f} … {r.high:.2f}; {r.fits})" for r in fits.itertuples()
            ],
            "first fit": fits["first"],
            "× ours at equal splits": fits.slower,
            "× our first fit": fits.slower_than_first,
            "peak memory, MB": [f"{peak:.0f}" for peak in fits.peak],
        }
    )
    return "\n\n".join(
        [
            "## Speed",
            "Whole fits, refit included, as a multiple of one plain `KerasClassifier.fit` of the "
            "same network beside it: digits (also as images, with convolutions) and wa_churn, "
            "Adam, 20 epochs, batches of 32, 16 candidates (KerasTuner's Hyperband draws as many "
            "as its rule says; HalvingRandomSearchCV refits for the epochs of its last rung, and "
            "MetaLRClassifier for as many epochs as it chose, which are listed below). "
            "Median, range and number of fits; our first fit in a process, which compiles, by "
            "itself. Memory is resident memory of the process and its children, what they share "
            "counted in each. The unit of MetaLRRegressor is a plain `KerasRegressor.fit` to the "
            "digits as numbers.",
            markdown(shown),
            "![speed](figures/speed.png)",
            breakdown(records),
        ]
    )


def breakdown(records: dict[str, dict]) -> str:
    """Return where our own seconds go, in the first fit and in later ones."""
    rows = []
    for record in records.values():
        costs = [cost for cost in record["result"].get("breakdown", []) if cost]
        if not costs:
            continue
        arguments = record["arguments"]
        for label, part in (("first", costs[:1]), ("later", costs[1:])):
            mean = {
                name.removesuffix("_seconds"): float(np.median([cost[name] for cost in part]))
                for name in costs[0]
                if name.endswith("_seconds")
            }
            rows.append(
                {
                    "setting": arguments["setting"],
                    "contender": arguments["contender"],
                    "fit": label,
                    **mean,
                    "epochs of the refit": f"{np.median([c['refit_epochs'] for c in part]):g}",
                }
            )
    return "Where our seconds go (`search_cost_`):\n\n" + markdown(pd.DataFrame(rows))


def speed_bars(table: pd.DataFrame) -> Iterator[Bar]:
    limits = {
        (speed.MAIN, ONE_SPLIT): 1.0,
        ("digits, width 32", ONE_SPLIT): 0.8,
        ("digits, width 512", ONE_SPLIT): 2.5,
        (speed.MAIN, FIVE_SPLITS): 2.5,
        (speed.MAIN, PORTFOLIO): 1.5,
        (speed.IMAGES, HALVING): 3.0,
        (speed.MAIN, speed.CROSS_VALIDATION): 1.0,
        (speed.MAIN, speed.PREDICTION): 1.0,
        (speed.MAIN, speed.ENSEMBLE_PREDICTION): 0.1,
    }
    for (setting, contender), limit in limits.items():
        value = ratio_of(table, setting, contender)
        if not np.isnan(value):
            yield f"{contender}, {setting}: ≤ {limit} × plain", f"{value:.2f}", value <= limit
    for contender, of_classes in zip(OF_NUMBERS, OURS, strict=True):
        value = ratio_of(table, speed.MAIN, contender) / ratio_of(table, speed.MAIN, of_classes)
        if not np.isnan(value):
            name = f"{contender}, {speed.MAIN}: ≤ 1.1 × the ratio of {of_classes}"
            yield name, f"{value:.2f}", value <= 1.1
    # At width 512 every way trains the same arithmetic, and that is most of its time: with the
    # 2.5 × plain asked for above, 12 × would be 30 × plain, and no peer takes that long.
    peers = table[table.contender.isin(PEERS) & (table.setting != "digits, width 512")]
    if len(peers):
        factors = [
            row.ratio / ours_beside(table, row.setting, row.contender) for row in peers.itertuples()
        ]
        i = int(np.argmin(factors))
        closest = f"{factors[i]:.1f} × ({peers.contender.iloc[i]}; {peers.setting.iloc[i]})"
        yield (
            "every peer search at least 12 × slower (all settings but width 512)",
            closest,
            factors[i] >= 12,
        )


def calibration_bars(turns: dict[str, float]) -> Iterator[Bar]:
    """Compare seconds, by contender, of fits that took turns."""
    for contender, limit in {FIVE_SPLITS: 1.1, ENSEMBLE: 1.5}.items():
        if turns:
            value = turns[contender] / turns[UNCALIBRATED]
            name = f"{contender}, {speed.MAIN}: ≤ {limit} × the same with calibrate=False"
            yield name, f"{value:.2f}", value <= limit
