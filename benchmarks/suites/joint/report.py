"""From records of joint searches to tables and bars."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.pages import Bar, markdown
from benchmarks.harness.tables import NAMES
from benchmarks.suites.joint.measure import HALVED, JOINT, N_MODELS, RATE_ALONE


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the parts of the page, and the bars."""
    costs = {
        record["arguments"]["space"]: record["result"]
        for record in records.values()
        if "space" in record["arguments"]
    }
    rows = pd.DataFrame(
        [
            {"table": record["arguments"]["table"], **row}
            for record in records.values()
            for row in record["result"].get("rows", [])
        ]
    )
    if rows.empty:
        return [], []
    by_division = ["table", "seed"]
    losses = rows.pivot_table(index=by_division, columns="method", values="log_loss", sort=False)
    against = losses.sub(losses[RATE_ALONE], axis=0)  # on the divisions that both have
    loss, against = (one.groupby("table", sort=False).mean() for one in (losses, against))
    parts = [_cost_part(costs), _quality_part(rows, loss, against)]
    return parts, [*_cost_bars(costs), *_quality_bars(loss)]


def _cost_part(costs: dict[str, dict]) -> str:
    rows = []
    for space, result in costs.items():
        several = {
            "first fit in a process": result["first"],
            "later fits": result["later"],
            "later fits, one split": result["one split"],
        }
        for name, seconds in (several | result["peers"]).items():
            rows.append([space, name, seconds / result["plain"]])
    frame = pd.DataFrame(rows, columns=["space", "contender", "× one plain fit"])
    return "\n\n".join(
        [
            "## Cost of joint searches",
            "Whole fits on digits, 20 epochs, as multiples of one plain fit beside them: 32 "
            "candidates, five folds, halving, refit included. Later fits are medians.",
            markdown(frame),
        ]
    )


def _quality_part(rows: pd.DataFrame, loss: pd.DataFrame, against: pd.DataFrame) -> str:
    missing = [name for name in NAMES if name not in loss.index]
    scores = rows.groupby("method", sort=False).agg({"accuracy": "mean", "brier": "mean"})
    summary = pd.DataFrame(
        {
            "space, choice": loss.columns,
            "log-loss": loss.mean().to_numpy(),
            f"against {RATE_ALONE}": against.mean().to_numpy(),
            "± standard error": (against.std() / np.sqrt(len(loss))).to_numpy(),
            "worst table against it": against.max().to_numpy(),
            "accuracy": scores.accuracy[loss.columns].to_numpy(),
            "Brier": scores.brier[loss.columns].to_numpy(),
        }
    )
    return "\n\n".join(
        [
            "## Joint searches",
            f"{len(loss)} tables, {rows.seed.nunique()} divisions each, 40 epochs. The rate alone: "
            "16 candidates; joint: 32, over rate, dropout, weight decay, label smoothing, units "
            "and batch size. Optuna: the first division alone, and compared on it."
            + (f" Not measured yet: {', '.join(missing)}." if missing else ""),
            markdown(summary.sort_values("log-loss"), 4),
            "Test log-loss on each table:",
            markdown(loss.reset_index(), 3),
        ]
    )


def _cost_bars(costs: dict[str, dict]) -> Iterator[Bar]:
    for space, later, first in (("all", 3.5, 8.0), ("numbers alone", 2.0, 3.5)):
        result = costs[space]
        for name, most in (("later", later), ("first", first)):
            ratio = result[name] / result["plain"]
            what = f"joint space, {space}, {name} fits: ≤ {most} × plain"
            yield what, f"{ratio:.2f}", ratio <= most
    result = costs["all"]
    alike = ("later", 30), ("one split", 15)
    for (name, seconds), (ours, least) in zip(result["peers"].items(), alike, strict=True):
        ratio = seconds / result[ours]
        yield f"{name}: at least {least} × slower", f"{ratio:.1f} ×", ratio >= least


def _quality_bars(loss: pd.DataFrame) -> Iterator[Bar]:
    mean = loss.mean()
    for joint in (JOINT, HALVED):
        for suffix in ("", f", n_models={N_MODELS}"):
            better, worse = joint + suffix, RATE_ALONE + suffix
            yield (
                f"{better}: mean at least 0.004 nats below {worse}",
                f"{mean[better]:.4f} against {mean[worse]:.4f}",
                bool(mean[worse] - mean[better] >= 0.004),
            )
        above = (loss[joint] - loss[RATE_ALONE]).sort_values()
        yield (
            f"{joint}: no table more than 0.015 nats above {RATE_ALONE}",
            f"{above.iloc[-1]:+.4f} ({above.index[-1]})",
            bool(above.iloc[-1] <= 0.015),
        )
