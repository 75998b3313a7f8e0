"""The figures of speed."""

from pathlib import Path

import pandas as pd

from benchmarks.harness.drawing import OTHER, OURS, PEER, plt, save


def ratios(table: pd.DataFrame, path: Path) -> None:
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
    save(figure, path)
