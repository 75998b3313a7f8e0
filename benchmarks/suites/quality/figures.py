"""The figures of quality."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.drawing import OURS, PEER, plt, save


def ranks(loss: pd.DataFrame, path: Path) -> None:
    """Rank of every method on every table, and the mean rank."""
    values = loss.rank(axis=1)
    order = values.mean().sort_values().index
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(order) + 1))
    for i, method in enumerate(order):
        colour = OURS if method == "MetaLRClassifier" else PEER
        spread = np.linspace(-0.2, 0.2, len(values))
        axes.scatter(values[method], i + spread, s=14, color=colour, alpha=0.6)
        axes.plot([values[method].mean()] * 2, [i - 0.35, i + 0.35], color="black", linewidth=2)
    axes.set_yticks(range(len(order)), order)
    axes.invert_yaxis()
    axes.set_xlabel("rank by test log-loss, 1 is best (dots: tables; bar: mean)")
    save(figure, path)


def excess(table: pd.DataFrame, path: Path) -> None:
    """Excess log-loss of every method on every table."""
    order = table.mean().sort_values().index
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(order) + 1))
    for i, method in enumerate(order):
        colour = OURS if method == "MetaLRClassifier" else PEER
        spread = np.linspace(-0.2, 0.2, len(table))
        axes.scatter(table[method].clip(lower=1e-4), i + spread, s=14, color=colour, alpha=0.6)
        axes.plot([table[method].mean()] * 2, [i - 0.35, i + 0.35], color="black", linewidth=2)
    axes.set_yticks(range(len(order)), order)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("test log-loss over the best in hindsight, nats (dots: tables; bar: mean)")
    save(figure, path)
