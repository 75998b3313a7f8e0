"""From records to RESULTS.md: tables, bars, figures."""

import json
from collections.abc import Iterator
from pathlib import Path

import figures
import numpy as np
import pandas as pd
import quality
import speed
from peers import OTHERS, OURS, PEERS
from scipy.stats import wilcoxon

ONE_SPLIT, FIVE_SPLITS = OURS
Bar = tuple[str, str, bool]
"""What must hold, what was measured, whether it holds."""


def write(
    records: dict[str, dict], environment: dict[str, str], command: str, quick: bool, out: Path
) -> bool:
    """Write RESULTS.md, results.json and figures; tell whether every bar holds."""
    suites = {
        suite: {name: record for name, record in records.items() if record["suite"] == suite}
        for suite in ("speed", "quality", "scaling", "memory")
    }
    (out / "figures").mkdir(parents=True, exist_ok=True)
    parts, bars = [], []
    if suites["speed"]:
        table = speed_table(suites["speed"])
        parts.append(speed_part(suites["speed"], table, out))
        bars += list(speed_bars(suites["speed"], table))
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
    seconds = sum(record["seconds"] for record in records.values())
    lines = [
        "# Results",
        f"Written by `{command}` in {seconds / 60:.0f} minutes; do not edit.",
        "\n".join(f"- {name}: {value}" for name, value in environment.items()),
        "## Bars",
        markdown(
            pd.DataFrame(
                [
                    [what, measured, "holds" if holds else "**missed**"]
                    for what, measured, holds in bars
                ],
                columns=["bar", "measured", ""],
            )
        ),
        *parts,
    ]
    (out / "RESULTS.md").write_text("\n\n".join(lines) + "\n")
    results = {"environment": environment, "records": records}
    (out / "results.json").write_text(json.dumps(results, indent=1))
    for what, measured, holds in bars:
        print(f"{'holds ' if holds else 'MISSED'} {what}: {measured}")
    return bool(bars) and all(holds for _, _, holds in bars)


def markdown(frame: pd.DataFrame, decimals: int = 2) -> str:
    """Return a table of text and numbers in Markdown, its index left out."""

    def cell(value) -> str:
        if isinstance(value, float):
            return "" if np.isnan(value) else f"{value:.{decimals}f}"
        return str(value)

    rows = [frame.columns, ["---"] * frame.shape[1], *frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(cell(value) for value in row) + " |" for row in rows)


# Speed


def speed_table(records: dict[str, dict]) -> pd.DataFrame:
    """Return one row for each setting and contender, ratios to the plain fit beside it."""
    ratios: dict[tuple[str, str], list[float]] = {}
    firsts, peaks = {}, {}
    for record in records.values():
        key = record["arguments"]["setting"], record["arguments"]["contender"]
        result = record["result"]
        values = (np.array(result["seconds"]) / np.array(result["plain"])).tolist()
        if key[1] in (*OURS, speed.CROSS_VALIDATION, speed.PREDICTION) and len(values) > 1:
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
    figures.speed_bars(table, out / "figures" / "speed.png")
    fits = table[table.contender.isin([*OURS, *PEERS, *OTHERS])].copy()
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
            "same network beside it: digits and wa_churn, Adam, 20 epochs, batches of 32, 16 "
            "candidates (KerasTuner's Hyperband draws as many as its rule says; halving refits for "
            "the epochs of its last rung). Median, range and number of fits; our first fit in a "
            "process, which compiles, by itself. Memory is resident memory of the process and its "
            "children, what they share counted in each.",
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
                }
            )
    return "Where our seconds go (`search_cost_`):\n\n" + markdown(pd.DataFrame(rows))


def speed_bars(records: dict[str, dict], table: pd.DataFrame) -> Iterator[Bar]:
    limits = {
        (speed.MAIN, ONE_SPLIT): 1.0,
        ("digits, width 32", ONE_SPLIT): 0.8,
        ("digits, width 512", ONE_SPLIT): 2.5,
        (speed.MAIN, FIVE_SPLITS): 2.5,
        (speed.MAIN, speed.CROSS_VALIDATION): 1.0,
        (speed.MAIN, speed.PREDICTION): 1.0,
    }
    for (setting, contender), limit in limits.items():
        value = ratio_of(table, setting, contender)
        if not np.isnan(value):
            yield f"{contender}, {setting}: ≤ {limit} × plain", f"{value:.2f}", value <= limit
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


# Quality

CHOOSING = [
    quality.OURS,
    quality.FIVE_FOLDS,
    quality.FIVE_FOLDS_AND_EPOCHS,
    quality.DEFAULT,
    quality.EARLY_STOPPING,
    "default rate, epoch of one split",
    "default rate, epoch of five splits",
    "RandomizedSearchCV, one split",
    "Optuna TPE, one split",
    "range test, steepest",
    "range test, valley",
]
"""The ways of choosing a rate that are ranked against each other."""

LOOKED_AT = ["attrition", "breast_cancer", "cells", "digits", "iris", "penguins", "wine"]
"""Tables that the rule of the choice was set on; the others were left aside till then."""


def quality_frame(records: dict[str, dict]) -> pd.DataFrame:
    rows = [row for record in records.values() for row in record["result"]]
    return pd.DataFrame(rows)


def by_table(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the mean over divisions: one row a table, one column a method."""
    means = scores.pivot_table(index="table", columns="method", values=column, sort=False)
    return means[list(dict.fromkeys(scores.method))] if column != "excess" else means


def quality_summary(scores: pd.DataFrame) -> pd.DataFrame:
    excess, loss = by_table(scores, "excess"), by_table(scores, "log_loss")
    ranks = loss[CHOOSING].rank(axis=1).mean()
    rows = []
    for method in loss.columns:
        mine = scores[scores.method == method]
        p = np.nan
        if method != quality.OURS and len(loss) > 5:
            p = float(wilcoxon(loss[quality.OURS], loss[method]).pvalue)
        has_excess = method in excess
        rows.append(
            {
                "method": method,
                "mean excess": float(excess[method].mean()) if has_excess else np.nan,
                "median": float(excess[method].median()) if has_excess else np.nan,
                "worst table": float(excess[method].max()) if has_excess else np.nan,
                "mean rank": float(ranks.get(method, np.nan)),
                "log-loss": float(loss[method].mean()),
                **{
                    label: float(mine.groupby("table")[column].mean().mean())
                    for label, column in {
                        "accuracy": "accuracy",
                        "balanced": "balanced_accuracy",
                        "F1": "f1_macro",
                        "recall": "recall_macro",
                    }.items()
                },
                "p": p,
            }
        )
    return pd.DataFrame(rows).sort_values("log-loss")


def quality_part(scores: pd.DataFrame, out: Path) -> str:
    loss, excess = by_table(scores, "log_loss"), by_table(scores, "excess")
    figures.ranks(loss[CHOOSING], out / "figures" / "ranks.png")
    figures.excess(excess[CHOOSING], out / "figures" / "excess.png")
    n_divisions = scores.seed.nunique()
    return "\n\n".join(
        [
            "## Quality",
            f"{len(loss)} real tables, {n_divisions} train/test division{'s'[: n_divisions > 1]} "
            f"each; 2 × 128 units, Adam, batches of {quality.BATCH_SIZE}, {quality.EPOCHS} epochs, "
            f"{quality.N_CANDIDATES} candidates. Excess: test log-loss in nats over the best rate "
            "and epoch in hindsight. Rank: among the ways of choosing a rate. p: Wilcoxon's "
            f"signed-rank test against {quality.OURS} over tables, not corrected for their number.",
            markdown(quality_summary(scores), 3),
            left_aside(excess),
            "Mean excess by table:",
            markdown(excess[CHOOSING].reset_index(), 3),
            "![excess](figures/excess.png)",
            "![ranks](figures/ranks.png)",
        ]
    )


def left_aside(excess: pd.DataFrame) -> str:
    rest = excess.drop(index=LOOKED_AT, errors="ignore")[[quality.OURS, quality.FIVE_FOLDS]]
    if rest.empty:
        return "All of these tables were looked at when the rule of the choice was set."
    ours, five_folds = rest.mean()
    return (
        "The rule of the choice (how much is smoothed, which rows are held out) was set on "
        f"{', '.join(LOOKED_AT)}. On the other {len(rest)} tables the mean excess is {ours:.4f} "
        f"nats, that of the five-fold search {five_folds:.4f}."
    )


def quality_bars(scores: pd.DataFrame, quick: bool) -> Iterator[Bar]:
    loss, excess = by_table(scores, "log_loss"), by_table(scores, "excess")
    above = (loss[quality.OURS] - loss[quality.DEFAULT]).sort_values()
    yield (
        "no table more than 0.02 nats above the default rate",
        f"{above.iloc[-1]:+.4f} ({above.index[-1]})",
        bool(above.iloc[-1] <= 0.02),
    )
    if quick:
        return
    mean = loss.mean()
    yield (
        "mean at least 0.05 nats below the default rate",
        f"{mean[quality.OURS]:.4f} against {mean[quality.DEFAULT]:.4f}",
        bool(mean[quality.DEFAULT] - mean[quality.OURS] >= 0.05),
    )
    yield (
        "mean no worse than early stopping",
        f"{mean[quality.OURS]:.4f} against {mean[quality.EARLY_STOPPING]:.4f}",
        bool(mean[quality.OURS] <= mean[quality.EARLY_STOPPING]),
    )
    mine = excess[quality.OURS]
    yield "mean excess ≤ 0.02 nats", f"{mine.mean():.4f}", bool(mine.mean() <= 0.02)
    yield (
        "worst table's excess ≤ 0.06 nats",
        f"{mine.max():.4f} ({mine.idxmax()})",
        bool(mine.max() <= 0.06),
    )
    ranks = loss[CHOOSING].rank(axis=1).mean().sort_values()
    rank = ranks.pop(quality.OURS)
    five_folds = ranks.pop(quality.FIVE_FOLDS)
    yield (
        "mean rank no worse than the five-fold search's",
        f"{rank:.2f} against {five_folds:.2f}",
        bool(rank <= five_folds),
    )
    yield (
        "mean rank better than every other way of choosing the rate",
        f"{rank:.2f} against {ranks.iloc[0]:.2f} ({ranks.index[0]})",
        bool(rank < ranks.iloc[0]),
    )


# Scaling


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


# Memory


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
