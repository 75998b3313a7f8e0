"""What every part of the report is made of: bars, and tables in Markdown."""

import numpy as np
import pandas as pd

Bar = tuple[str, str, bool]
"""What must hold, what was measured, whether it holds."""


def markdown(frame: pd.DataFrame, decimals: int = 2) -> str:
    """Return a table of text and numbers in Markdown, its index left out."""

    def cell(value) -> str:
        if isinstance(value, float):
            return "" if np.isnan(value) else f"{value:.{decimals}f}"
        return str(value)

    rows = [frame.columns, ["---"] * frame.shape[1], *frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(cell(value) for value in row) + " |" for row in rows)
