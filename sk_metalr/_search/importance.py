"""The importance of each hyperparameter: how much of the loss varies with it."""

from typing import Any

import numpy as np

from .._space import RATE

N_TREES, N_ROWS = 64, 512


def importances(results: dict[str, Any]) -> dict[str, float]:
    """Return the share of the variance of the loss that each parameter explains by itself.

    A random forest is fitted to the smoothed losses of the candidates in ``cv_results_``; the share
    is the variance of its mean over all other parameters (functional ANOVA; Hutter, Hoos &
    Leyton-Brown, "An efficient approach for assessing hyperparameter importance", 2014). What
    parameters explain only together is in no share. All are 0 where no candidate differs.
    """
    from sklearn.ensemble import RandomForestRegressor

    names = [name.removeprefix("param_") for name in results if name.startswith("param_")]
    score = results["selection_score"]
    worst = np.nanmin(score)
    loss = -np.where(np.isnan(score), worst, score)
    design = np.stack([_column(name, results) for name in names], axis=1)
    forest = RandomForestRegressor(N_TREES, min_samples_leaf=2, random_state=0).fit(design, loss)
    random = np.random.RandomState(0)
    rows = np.stack([random.choice(column, N_ROWS) for column in design.T], axis=1)
    total = forest.predict(rows).var()
    shares = {}
    for number, name in enumerate(names):
        values, counts = np.unique(design[:, number], return_counts=True)
        some = slice(None, None, max(1, len(values) // 16))
        means = np.array([_mean_at(forest, rows[:64], number, value) for value in values[some]])
        overall = np.average(means, weights=counts[some])
        explained = np.average((means - overall) ** 2, weights=counts[some])
        shares[name] = float(min(1.0, explained / total)) if total > 0 else 0.0
    return shares


def _mean_at(forest: Any, rows: np.ndarray, number: int, value: float) -> float:
    """Return the mean prediction for rows (n_rows, n) whose column of this number has a value."""
    fixed = rows.copy()
    fixed[:, number] = value
    return float(forest.predict(fixed).mean())


def _column(name: str, results: dict[str, Any]) -> np.ndarray:
    """Return a parameter's values as numbers (n_candidates,); of what is listed, positions."""
    column = results[f"param_{name}"]
    if column.dtype != object:
        values = column.filled(np.nan)
        return np.log(values) if name == RATE else np.nan_to_num(values, nan=-1.0)
    seen: list[Any] = []
    for value in column.data:
        if value not in seen:
            seen.append(value)
    return np.array([float(seen.index(value)) for value in column.data])
