"""From records of quality to tables, bars and figures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from benchmarks.harness.pages import Bar, markdown
from benchmarks.suites.quality import calibrated, figures
from benchmarks.suites.quality import measure as quality

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

LOOKED_AT = [
    *("attrition", "breast_cancer", "cells", "concrete", "credit_data", "digits"),
    *("hpc_data", "iris", "mlc_churn", "penguins", "wine"),
]
"""Tables that the rule of the choice was set on; the others were left aside till then."""


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Draw the figures; return the part of the page, and the bars."""
    scores = quality_frame(records)
    return [quality_part(scores, out)], list(quality_bars(scores, quick))


def quality_frame(records: dict[str, dict]) -> pd.DataFrame:
    rows = [row for record in records.values() for row in record["result"]]
    return pd.DataFrame(rows)


def by_table(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the mean over divisions: one row a table, one column a method."""
    means = scores.pivot_table(index="table", columns="method", values=column, sort=False)
    return means[[name for name in dict.fromkeys(scores.method) if name in means]]


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
                        "Brier": "brier",
                        "ECE": "calibration_error",
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
            f"{len(loss)} tables, {n_divisions} train/test division{'s'[: n_divisions > 1]} each; "
            f"2 × 128 units, Adam, batches of {quality.BATCH_SIZE}, {quality.EPOCHS} epochs, "
            f"{quality.N_CANDIDATES} candidates. Excess: test log-loss in nats over the best rate "
            "and epoch in hindsight. Choices are refitted from three initial weights, those of the "
            "default from ten; scores are means over them. What is chosen on the test rows is as "
            "low as a choice among these models can get, but by luck. Rank: among the ways of "
            f"choosing. p: Wilcoxon's signed-rank test against {quality.OURS} over tables, not "
            "corrected for their number.",
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


def calibration_bars(scores: pd.DataFrame) -> Iterator[Bar]:
    """Compare the default with the choice of before, and an ensemble with refits of one choice."""
    ours, plain, ten = quality.OURS, quality.UNCALIBRATED, calibrated.ENSEMBLES[10]
    five_plain, ten_of_one = quality.FIVE_MODELS, calibrated.SAME_CHOICE[10]
    one_on_test, ten_on_test = calibrated.CHOSEN_ON_TEST.values()
    loss = by_table(scores, "log_loss")
    mean = loss.mean()
    for better, worse, on_test, by, at_most in [
        (ours, plain, one_on_test, 0.010, 0.02),
        (ten, five_plain, ten_on_test, 0.012, 0.015),
    ]:
        yield (
            f"{better}: mean at least {by:.3f} nats below {worse}",
            f"{mean[better]:.4f} against {mean[worse]:.4f}; chosen on the test rows: "
            f"{mean[on_test]:.4f}",
            bool(mean[worse] - mean[better] >= by),
        )
        above = (loss[better] - loss[worse]).sort_values()
        yield (
            f"{better}: no table more than {at_most} nats above {worse}",
            f"{above.iloc[-1]:+.4f} ({above.index[-1]})",
            bool(above.iloc[-1] <= at_most),
        )
    yield (
        f"{ten}: mean below {ten_of_one}",
        f"{mean[ten]:.4f} against {mean[ten_of_one]:.4f}",
        bool(mean[ten] < mean[ten_of_one]),
    )
    yield (
        "mean no worse than that of the best single model in hindsight, uncalibrated",
        f"{mean[ours]:.4f} against {mean[quality.HINDSIGHT]:.4f}; chosen on the test rows: "
        f"{mean[one_on_test]:.4f}",
        bool(mean[ours] <= mean[quality.HINDSIGHT]),
    )
    for column, name, sign in [
        ("calibration_error", "expected calibration error", 1),
        ("brier", "Brier score", 1),
        ("accuracy", "accuracy", -1),
        ("balanced_accuracy", "balanced accuracy", -1),
    ]:
        of_all = by_table(scores, column).mean()
        yield (
            f"mean {name} no worse than that of {plain}",
            f"{of_all[ours]:.4f} against {of_all[plain]:.4f}; chosen on the test rows: "
            f"{of_all[one_on_test]:.4f}",
            bool(sign * of_all[ours] <= sign * of_all[plain]),
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
        f"{mine.max():.4f} ({mine.idxmax()}); chosen on the test rows: "
        f"{excess[calibrated.CHOSEN_ON_TEST[1]][mine.idxmax()]:.4f}",
        bool(mine.max() <= 0.06),
    )
    yield from calibration_bars(scores)
    ranks = loss[CHOOSING].rank(axis=1).mean().sort_values()
    four, all_of_them = excess[quality.PORTFOLIO], excess[quality.UNCALIBRATED]
    yield (
        "portfolio of 4: mean excess at most that of 16 random",
        f"{four.mean():.4f} against {all_of_them.mean():.4f}",
        bool(four.mean() <= all_of_them.mean()),
    )
    yield (
        "portfolio of 4: worst table at most 0.01 above that of 16 random",
        f"{four.max():.4f} against {all_of_them.max():.4f}",
        bool(four.max() <= all_of_them.max() + 0.01),
    )
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
