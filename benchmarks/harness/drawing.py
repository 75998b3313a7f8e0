"""What all figures share; colours from Okabe and Ito's colour-blind-safe palette."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

__all__ = ["OTHER", "OURS", "PEER", "plt", "save"]

OURS, PEER, OTHER = "#0072B2", "#E69F00", "#999999"


def save(figure, path: Path) -> None:
    """Write a figure to a file, and close it."""
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
