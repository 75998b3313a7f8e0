"""
Baselines on ten tables, and a critical-difference plot
=======================================================

Is a tuned network worth it on small tables? Five classifiers are compared by their test log-loss
on ten tables: logistic regression, gradient boosting and a multi-layer perceptron of scikit-learn,
all with their default parameters, and one Keras network at Adam's default rate for all epochs, and
with the rate and the number of epochs that ``MetaLRClassifier`` chooses.

Ten tables and one division of each say little about neighbours in rank. The critical-difference
plot (Demsar, "Statistical comparisons of classifiers over multiple data sets", 2006) draws that.
"""

# %%
# Tables
# ------
# Four come with scikit-learn, six with the examples. The strength of concrete is a number and is
# cut into three classes of equal size. Half of the rows, at most 500, are trained on; up to 2000
# others are tested on.

import warnings
from pathlib import Path
from time import perf_counter

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scikeras.wrappers import KerasClassifier
from scipy.stats import friedmanchisquare, rankdata, studentized_range
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from sk_metalr import MetaLRClassifier
from sk_metalr.exceptions import EdgeOfSpaceWarning

# Sphinx-Gallery runs a script in its own folder and does not define __file__.
DATA = (Path(__file__).parent if "__file__" in globals() else Path.cwd()) / "data"

warnings.simplefilter("ignore", EdgeOfSpaceWarning)  # a best rate at the edge of what was tried
warnings.simplefilter("ignore", ConvergenceWarning)  # the perceptron, after its 200 epochs

tables = {
    load.__name__.removeprefix("load_"): load(return_X_y=True, as_frame=True)
    for load in (load_digits, load_wine, load_breast_cancer, load_iris)
}
for name, target in {
    "wa_churn": "churn",
    "penguins": "species",
    "attrition": "Attrition",
    "hpc_data": "class",
    "credit_data": "Status",
    "concrete": "compressive_strength",
}.items():
    frame = pd.read_csv(DATA / f"{name}.csv.gz")
    labels = frame.pop(target)
    if name == "concrete":
        labels = pd.qcut(labels, 3, labels=["low", "middle", "high"]).astype(str)
    tables[name] = frame, labels

# %%
# Classifiers
# -----------
# All get the same columns: numbers imputed and scaled, categories one-hot encoded.

columns = make_column_transformer(
    (
        make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
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
    """Build one hidden layer, as wide as that of MLPClassifier."""
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(100, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


default = KerasClassifier(
    network,
    loss="sparse_categorical_crossentropy",
    optimizer="adam",
    epochs=30,
    verbose=0,
    random_state=0,
)
classifiers = {
    "LogisticRegression": LogisticRegression(max_iter=1000),
    "HistGradientBoosting": HistGradientBoostingClassifier(random_state=0),
    "MLPClassifier": MLPClassifier(random_state=0),
    "Keras, default rate": default,
    "MetaLRClassifier": MetaLRClassifier(default, random_state=0),
}

# %%
# Test log-loss
# -------------
# The first Keras fit of a process loads libraries; a fit of one epoch goes before. Every table has
# another number of columns, so every search compiles anew. On tables as small as these, threads
# that wait for each other would slow down gradient boosting; it gets one.

X, y = tables["iris"]
clone(default).set_params(epochs=1).fit(StandardScaler().fit_transform(X), y)
losses, seconds = {}, {}
for name, (X, y) in tables.items():
    n_train = min(500, len(y) // 2)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, test_size=min(2000, len(y) - n_train), stratify=y, random_state=0
    )
    losses[name], seconds[name] = {}, {}
    for label, classifier in classifiers.items():
        start = perf_counter()
        with threadpool_limits(1, user_api="openmp"):
            model = make_pipeline(clone(columns), clone(classifier)).fit(X_train, y_train)
        seconds[name][label] = perf_counter() - start
        losses[name][label] = log_loss(y_test, model.predict_proba(X_test))
losses = pd.DataFrame(losses).T
seconds = pd.DataFrame(seconds).T
print("Test log-loss in nats:")
print(losses.round(3).to_string())
print("Seconds a fit, mean:")
print(seconds.mean().round(2).to_string())

# %%
# Ranks
# -----
# The Friedman test asks whether all classifiers could have the same mean rank. Nemenyi's critical
# difference is how far two mean ranks have to be apart to differ at the 5 % level.

ranks = pd.DataFrame(rankdata(losses, axis=1), index=losses.index, columns=losses.columns).mean()
n_tables, n_classifiers = losses.shape
p_value = friedmanchisquare(*losses.to_numpy().T).pvalue
quantile = studentized_range.ppf(0.95, n_classifiers, np.inf) / np.sqrt(2)
difference = quantile * np.sqrt(n_classifiers * (n_classifiers + 1) / (6 * n_tables))
print(ranks.sort_values().round(2).to_string())
print(f"Friedman test: p = {p_value:.2g}; critical difference of mean ranks {difference:.2f}")

# %%
# What holds here: the tuned network has a better mean rank and a better mean log-loss than the same
# network at the default rate for all epochs. None of the others chooses its parameters on held-out
# rows; tuned likewise, they could do better.

gain = losses["Keras, default rate"] - losses["MetaLRClassifier"]
print(f"MetaLRClassifier against the default rate: better on {sum(gain > 0)} of {n_tables} tables,")
print(f"better or within 0.01 nats on {sum(gain > -0.01)}")
print(f"Mean gain {gain.mean():.3f} nats, worst {gain.min():.3f}")

assert p_value < 0.05
assert ranks["MetaLRClassifier"] < ranks["Keras, default rate"]
assert gain.mean() > 0.01

# %%
# Critical-difference plot
# ------------------------
# Best rank at the left. A bar links classifiers whose mean ranks do not differ significantly.


def draw_critical_difference(ax, ranks, difference):
    """Draw mean ranks on an axis, names beside, and bars over groups that cannot be told apart."""
    ranks = ranks.sort_values()
    n, values = len(ranks), ranks.to_numpy()
    ax.set(xlim=(-1.3, n + 2.3), ylim=(-1.6, 2.4), xticks=range(1, n + 1))
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("mean rank of the test log-loss (1 is best)")
    ax.yaxis.set_visible(False)
    ax.spines[["left", "right", "bottom"]].set_visible(False)
    ax.spines["top"].set_bounds(1, n)
    ax.plot([1, 1 + difference], [1.9, 1.9], color="0.4", marker="|")
    ax.text(
        1 + difference + 0.1,
        1.9,
        f"critical difference {difference:.2f}",
        va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        zorder=4,
    )
    n_left = (n + 1) // 2
    for number, (label, rank) in enumerate(ranks.items()):
        left = number < n_left
        y = -0.3 - 0.5 * (number if left else n - 1 - number)  # the outer ones first
        end = 0.8 if left else n + 0.2
        ax.plot([rank, rank, end], [2.4, y, y], color="0.6", linewidth=0.8, zorder=1)
        ax.text(
            end + (-0.05 if left else 0.05),
            y,
            f"{label} ({rank:.1f})",
            ha="right" if left else "left",
            va="center",
            fontsize="small",
        )
    ax.scatter(values, np.full(n, 2.4), s=30, color="#0072B2", clip_on=False, zorder=3)
    height, reached = 1.3, 0
    for first in range(n):
        last = int(np.flatnonzero(values <= values[first] + difference)[-1])
        if last > max(first, reached):
            bar = [values[first] - 0.03, values[last] + 0.03]
            ax.plot(bar, [height, height], color="#D55E00", linewidth=4, zorder=2)
            height, reached = height - 0.4, last


figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
draw_critical_difference(ax, ranks, difference)
plt.show()
