"""The pictures of RESULTS.md; colours from Okabe and Ito's colour-blind-safe palette."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

OURS, PEER, OTHER = "#0072B2", "#E69F00", "#999999"


def _save(figure, path: Path) -> None:
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def speed_bars(table: pd.DataFrame, path: Path) -> None:
    """Bars of every contender's ratio in the main setting."""
    main = table[table.setting == table.setting.iloc[0]]
    main = main[~main.contender.str.contains("predict_proba|cross_val")].sort_values("ratio")
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(main) + 1))
    colours = [
        OURS if name.startswith("MetaLR") else OTHER if "MLPClassifier" in name else PEER
        for name in main.contender
    ]
    bars = axes.barh(main.contender, main.ratio, color=colours)
    axes.bar_label(bars, labels=[f"{ratio:.2g}" for ratio in main.ratio], padding=3)
    axes.axvline(1, color="black", linewidth=1, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlim(right=main.ratio.max() * 2)
    axes.invert_yaxis()
    axes.set_xlabel("time of the whole search and refit, in plain Keras fits")
    axes.set_title(main.setting.iloc[0])
    _save(figure, path)


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
    _save(figure, path)


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
    _save(figure, path)


def scaling(table: pd.DataFrame, path: Path) -> None:
    """Seconds of a fit and of its floor along every axis."""
    groups = list(table.groupby("axis", sort=False))
    figure, grid = plt.subplots(1, len(groups), figsize=(3.2 * len(groups), 3), sharey=True)
    for axes, (name, part) in zip(np.atleast_1d(grid), groups, strict=True):
        axes.plot(part.value, part.seconds, "o-", color=OURS, label="fit")
        axes.plot(part.value, part.arithmetic_seconds, "s--", color=PEER, label="arithmetic")
        axes.plot(part.value, part.traffic_seconds, "^:", color=OTHER, label="memory traffic")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(name)
    np.atleast_1d(grid)[0].set_ylabel("seconds")
    np.atleast_1d(grid)[0].legend(fontsize=8)
    _save(figure, path)
