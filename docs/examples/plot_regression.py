"""
Prices of houses, strength of concrete: regression against baselines
=====================================================================

``MetaLRRegressor`` wraps a Keras regressor and chooses its learning rate and number of epochs
inside ``fit``. Here it predicts what houses in Ames were sold for and what concrete withstands,
beside regressors of scikit-learn and the same network at its default rate. A critical-difference
plot over six tables (Demsar, "Statistical comparisons of classifiers over multiple data sets",
2006) says which of them can be told apart.
"""

# %%
# Tables
# ------
# Two come with the examples and one with scikit-learn; three are functions by Friedman and
# artificial. Prices are spread over two orders of magnitude, so their logarithm is predicted.

import warnings
from pathlib import Path
from time import perf_counter

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scikeras.wrappers import KerasRegressor
from scipy.stats import friedmanchisquare, rankdata, studentized_range
from sklearn.base import clone
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman2, make_friedman3
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sk_metalr import LearningRateDisplay, MetaLRRegressor
from sk_metalr.exceptions import EdgeOfSpaceWarning

# Sphinx-Gallery runs a script in its own folder and does not define __file__.
DATA = (Path(__file__).parent if "__file__" in globals() else Path.cwd()) / "data"

warnings.simplefilter("ignore", EdgeOfSpaceWarning)  # a best rate at the edge of what was tried

tables = {}
for name, target in {"ames": "Sale_Price", "concrete": "compressive_strength"}.items():
    frame = pd.read_csv(DATA / f"{name}.csv.gz")
    numbers = frame.pop(target)
    tables[name] = frame, np.log(numbers) if name == "ames" else numbers
tables["diabetes"] = load_diabetes(return_X_y=True, as_frame=True)
for make, noise in ((make_friedman1, 1.0), (make_friedman2, 100.0), (make_friedman3, 0.1)):
    X, y = make(600, noise=noise, random_state=0)
    tables[make.__name__.removeprefix("make_")] = pd.DataFrame(X).add_prefix("x"), pd.Series(y)

# %%
# Regressors
# ----------
# All get the same columns: numbers imputed and scaled, categories one-hot encoded. A column that is
# nearly always 0, such as the area of a pool, has values of many deviations, and a network that has
# seen few of them errs wildly there: so scaled numbers are clipped, smoothly, at three deviations
# (Holzmüller et al., "Better by default", 2024). Targets are scaled inside ``MetaLRRegressor``;
# ``TransformedTargetRegressor`` does that for the plain network.


def smoothly_clipped(x):
    """Return scaled numbers between -3 and 3, those near 0 as they are."""
    return x / np.sqrt(1 + (x / 3) ** 2)


columns = make_column_transformer(
    (
        make_pipeline(
            SimpleImputer(strategy="median"),
            StandardScaler(),
            FunctionTransformer(smoothly_clipped),
        ),
        make_column_selector(dtype_include="number"),
    ),
    (
        make_pipeline(
            SimpleImputer(strategy="most_frequent"),
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        ),
        make_column_selector(dtype_exclude="number"),
    ),
)


def network(meta):
    """Build two hidden layers and a linear unit for each number to predict."""
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(meta["n_outputs_"]),
        ]
    )


default = KerasRegressor(
    network,
    loss="mean_squared_error",
    optimizer="adam",
    epochs=40,
    verbose=0,
    random_state=0,
)
regressors = {
    "Ridge": RidgeCV(np.logspace(-3, 3, 13)),
    "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0),
    "Keras, default rate": TransformedTargetRegressor(default, transformer=StandardScaler()),
    "MetaLRRegressor": MetaLRRegressor(default, random_state=0),
    "MetaLRRegressor, 5 models": MetaLRRegressor(default, n_models=5, random_state=0),
}

# %%
# Houses
# ------
# One division of the table of prices, in full: what was chosen, and what it is worth.

X, y = tables["ames"]
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=1000, random_state=0)
houses = make_pipeline(clone(columns), clone(regressors["MetaLRRegressor"]))
start = perf_counter()
houses.fit(X_train, y_train)
print(f"{perf_counter() - start:.1f} s, chosen: {houses[-1].best_params_}")
print(f"for {houses[-1].best_n_epochs_} epochs; R² {r2_score(y_test, houses.predict(X_test)):.3f}")
off = np.exp(np.abs(houses.predict(X_test) - y_test)) - 1
print(f"Half of the prices are off by less than {np.median(off):.1%}")

# %%
# The response curve shows the squared error of scaled targets, which is the share of the variance
# that is left: 1 is what the mean of all prices would do.

LearningRateDisplay.from_estimator(houses, default_rate=1e-3)
plt.show()

# %%
# All tables
# ----------
# Half of the rows, at most 500, are trained on; up to 1500 others are tested on. Errors are divided
# by the deviation of the test targets.

errors, seconds = {}, {}
for name, (X, y) in tables.items():
    n_train = min(500, len(y) // 2)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, test_size=min(1500, len(y) - n_train), random_state=0
    )
    errors[name], seconds[name] = {}, {}
    for label, regressor in regressors.items():
        start = perf_counter()
        model = make_pipeline(clone(columns), clone(regressor)).fit(X_train, y_train)
        seconds[name][label] = perf_counter() - start
        error = root_mean_squared_error(y_test, np.ravel(model.predict(X_test)))
        errors[name][label] = error / y_test.std()
errors, seconds = pd.DataFrame(errors).T, pd.DataFrame(seconds).T
print("Normalised RMSE:")
print(errors.round(3).to_string())
print("Seconds a fit, median:")
print(seconds.median().round(2).to_string())

# %%
# What holds here: the tuned network errs less than the same network at the default rate for all
# epochs, and five models of the search less than one. Where trees suit a table better, they do.

gain = errors["Keras, default rate"] - errors["MetaLRRegressor"]
print(f"Against the default rate: better on {sum(gain > 0)} of {len(gain)} tables,")
print(f"mean gain {gain.mean():.3f} deviations, worst {gain.min():.3f}")

assert gain.mean() > 0
assert errors["MetaLRRegressor, 5 models"].mean() < errors["MetaLRRegressor"].mean()

# %%
# Critical-difference plot
# ------------------------
# Best rank at the left. A bar links regressors whose mean ranks over the six tables do not differ
# significantly. With six tables, few differences are significant.


def draw_critical_difference(ax, ranks, difference):
    """Draw mean ranks on an axis, names beside, and bars over groups that cannot be told apart."""
    ranks = ranks.sort_values()
    n, values = len(ranks), ranks.to_numpy()
    ax.set(xlim=(-1.6, n + 2.6), ylim=(-1.8, 2.4), xticks=range(1, n + 1))
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("mean rank of the test error (1 is best)")
    ax.yaxis.set_visible(False)
    ax.spines[["left", "right", "bottom"]].set_visible(False)
    ax.spines["top"].set_bounds(1, n)
    ax.plot([1, 1 + difference], [1.9, 1.9], color="0.4", marker="|")
    label = f"critical difference {difference:.2f}"
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    ax.text(1 + difference + 0.1, 1.9, label, va="center", bbox=paper, zorder=4)
    n_left = (n + 1) // 2
    for number, (label, rank) in enumerate(ranks.items()):
        left = number < n_left
        y = -0.3 - 0.5 * (number if left else n - 1 - number)  # the outer ones first
        end = 0.8 if left else n + 0.2
        ax.plot([rank, rank, end], [2.4, y, y], color="0.6", linewidth=0.8, zorder=1)
        side, step = ("right", -0.05) if left else ("left", 0.05)
        style = {"ha": side, "va": "center", "fontsize": "small"}
        ax.text(end + step, y, f"{label} ({rank:.1f})", **style)
    ax.scatter(values, np.full(n, 2.4), s=30, color="#0072B2", clip_on=False, zorder=3)
    height, reached = 1.3, 0
    for first in range(n):
        last = int(np.flatnonzero(values <= values[first] + difference)[-1])
        if last > max(first, reached):
            bar = [values[first] - 0.03, values[last] + 0.03]
            ax.plot(bar, [height, height], color="#D55E00", linewidth=4, zorder=2)
            height, reached = height - 0.4, last


ranks = pd.DataFrame(rankdata(errors, axis=1), columns=errors.columns).mean()
n_tables, n_regressors = errors.shape
quantile = studentized_range.ppf(0.95, n_regressors, np.inf) / np.sqrt(2)
difference = quantile * np.sqrt(n_regressors * (n_regressors + 1) / (6 * n_tables))
print(f"Friedman test: p = {friedmanchisquare(*errors.to_numpy().T).pvalue:.2g}")
figure, ax = plt.subplots(figsize=(8.4, 3.2), layout="constrained")
draw_critical_difference(ax, ranks, difference)
plt.show()
