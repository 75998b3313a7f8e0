"""From records of portfolios to a table and bars."""

from collections.abc import Iterator

import pandas as pd
from portfolio import FOUR, LIKE, RANDOM, TAUGHT, UNLIKE
from writing import Bar, markdown


def portfolio_frame(records: dict[str, dict]) -> pd.DataFrame:
    return pd.DataFrame([row for record in records.values() for row in record["result"]])


def portfolio_part(rows: pd.DataFrame) -> str:
    by_table = rows.groupby(["task", "method", "table"], sort=False)["excess"].mean()
    summary = by_table.groupby(["task", "method"], sort=False).agg(["mean", "median", "max"])
    summary.columns = ["mean excess", "median", "worst table"]
    alike = rows.groupby(["task", "method"], sort=False)
    summary["single fits"] = alike["fits"].mean().round(1)
    unlike = alike["unlike"].mean()
    summary["drawn at random"] = unlike.where(unlike.index.get_level_values("method") != RANDOM)
    summary = summary.reset_index()
    return "\n\n".join(
        [
            "## Portfolio",
            f"{rows.table.nunique()} tables, {rows.seed.nunique()} division each; the experience "
            "holds the other tables' searches. Excess: test log-loss in nats over the best rate "
            "and epoch in hindsight, all trained on all training rows from the same initial "
            "weights. Single fits: epochs trained by the search, over those of one fit. Drawn at "
            "random: on which share of the tables the task was unlike all that was recorded.",
            markdown(summary, 4),
        ]
    )


def portfolio_bars(rows: pd.DataFrame) -> Iterator[Bar]:
    means = rows.groupby(["task", "method"])["excess"].mean()
    worst = rows.groupby(["task", "method", "table"])["excess"].mean().groupby(level=[0, 1]).max()
    for task in means.index.unique(0):
        allowed = 0.0 if task in LIKE else 0.01
        for way in (FOUR, TAUGHT):
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
