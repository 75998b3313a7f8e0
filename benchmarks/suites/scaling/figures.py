"""The figures of scaling."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.drawing import OTHER, OURS, PEER, plt, save


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
    save(figure, path)
