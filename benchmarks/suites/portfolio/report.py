"""From records of portfolios to a table and bars."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks.harness.pages import Bar, markdown
from benchmarks.suites.portfolio.measure import FOUR, LIKE, RANDOM, TAUGHT, UNLIKE


def report(records: dict[str, dict], quick: bool, out: Path) -> tuple[list[str], list[Bar]]:
    """Return the parts of the page, and the bars."""
    rows, folds = portfolio_frames(records)
    return [portfolio_part(rows), folds_part(folds)], list(portfolio_bars(rows))


def portfolio_frames(records: dict[str, dict]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what was chosen, and which parts of tables were known again."""
    rows = [row for record in records.values() for row in record["result"]]
    chosen = [row for row in rows if "task" in row]
    return pd.DataFrame(chosen), pd.DataFrame([row for row in rows if "comparison" in row])


def folds_part(rows: pd.DataFrame) -> str:
    by_kind = rows.groupby("comparison", sort=False)["share"]
    missed = [
        ", ".join(rows[(rows.comparison == what) & (rows.share < 1)].table)
        for what in by_kind.groups
    ]
    shown = pd.DataFrame(
        {
            "what is compared": list(by_kind.groups),
            "said to be of one table": [f"{share:.0%}" for share in by_kind.mean()],
            "not always": [few if len(few) < 80 else "" for few in missed],
        }
    )
    return "\n\n".join(
        [
            "## Folds",
            f"Pairs of parts of {rows.table.nunique()} tables, each part scaled anew by one of "
            "three scalers. What is said to be of one table is set aside.",
            markdown(shown),
        ]
    )


def portfolio_part(rows: pd.DataFrame) -> str:
    by_table = rows.groupby(["task", "method", "table"], sort=False)["excess"].mean()
    summary = by_table.groupby(["task", "method"], sort=False).agg(["mean", "median", "max"])
    summary.columns = ["mean excess", "median", "worst table"]
    alike = rows.groupby(["task", "method"], sort=False)
    summary["single fits"] = [f"{fits:.0f}" for fits in alike["fits"].mean()]
    summary["drawn at random"] = [
        "" if method == RANDOM else f"{share:.0%}"
        for (_, method), share in alike["unlike"].mean().items()
    ]
    summary = summary.reset_index()
    return "\n\n".join(
        [
            "## Portfolio",
            f"{rows.table.nunique()} tables, {rows.seed.nunique()} division each; the experience "
            "holds the other tables' searches. Excess: test log-loss in nats over the best rate "
            "and epoch in hindsight, all trained on all training rows from the same initial "
            "weights, mean over three of them. Single fits: epochs trained by the search, over "
            "those of one fit. Drawn at random: on which share of the tables the task was unlike "
            "all that was recorded.",
            markdown(summary, 3),
        ]
    )


def portfolio_bars(rows: pd.DataFrame) -> Iterator[Bar]:
    means = rows.groupby(["task", "method"])["excess"].mean()
    worst = rows.groupby(["task", "method", "table"])["excess"].mean().groupby(level=[0, 1]).max()
    for task in means.index.unique(0):
        allowed = 0.0 if task in LIKE else 0.01
        # Four and no more are for tasks like those recorded; on others the search goes on.
        for way in (FOUR, TAUGHT) if task in LIKE else (TAUGHT,):
            few, sixteen = means[task, way], means[task, RANDOM]
            yield (
                f"{task}, {way}: mean excess at most {allowed:g} above that of {RANDOM}",
                f"{few:.4f} against {sixteen:.4f}",
                bool(few <= sixteen + allowed),
            )
            if task in LIKE:
                few, sixteen = worst[task, way], worst[task, RANDOM]
                yield (
                    f"{task}, {way}: worst table at most 0.01 above that of {RANDOM}",
                    f"{few:.4f} against {sixteen:.4f}",
                    bool(few <= sixteen + 0.01),
                )
    (shuffled,) = [name for name, task in UNLIKE.items() if task.shuffled]
    said = rows[(rows.task == shuffled) & (rows.method == TAUGHT)]["without_skill"]
    yield (
        "labels shuffled: says that no rate has skill",
        f"on {said.mean():.0%} of the tables",
        bool((said == 1).all()),
    )
