"""
Groups: held-out scores for protocols that were never seen
==========================================================

How long will a job on a computing cluster take: very fast (VF), fast (F), moderately long (M) or
long (L)? Each job runs under one of fourteen protocols, and jobs of one protocol resemble each
other. Suppose that the classifier is meant for protocols that are not in the table. Then the search
must hold out whole protocols, too: on random rows, high rates and many epochs look good because
they learn the protocols by heart.

``MetaLRClassifier`` takes scikit-learn's group splitters as ``cv`` and ``groups`` in ``fit``.
"""

# %%
# Data
# ----
# The groups are real: they are the column ``protocol`` of the table, which is not among the
# features.

import warnings
from pathlib import Path
from time import perf_counter

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scikeras.wrappers import KerasClassifier
from sklearn.compose import make_column_transformer
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer

from sk_metalr import LearningRateDisplay, MetaLRClassifier
from sk_metalr.exceptions import BaselineWarning, EdgeOfSpaceWarning

# Sphinx-Gallery runs a script in its own folder and does not define __file__.
DATA = (Path(__file__).parent if "__file__" in globals() else Path.cwd()) / "data"

frame = pd.read_csv(DATA / "hpc_data.csv.gz")
X, y = frame.drop(columns=["class", "protocol"]), frame["class"].to_numpy()
groups = frame["protocol"].to_numpy()
print(f"{len(frame)} jobs, {len(np.unique(groups))} protocols")
print(pd.crosstab(frame["protocol"], frame["class"]))

# %%
# Two searches
# ------------
# They differ in nothing but what they hold out: rows at random, or whole protocols.


def network(meta):
    """Build two hidden layers."""
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


keras_classifier = KerasClassifier(
    network,
    loss="sparse_categorical_crossentropy",
    optimizer="adam",
    epochs=20,
    verbose=0,
    random_state=0,
)
numbers = ["compounds", "input_fields", "iterations", "num_pending", "hour"]
columns = make_column_transformer(
    (PowerTransformer(), numbers), (OneHotEncoder(sparse_output=False), ["day"])
)
splitters = {
    "rows": StratifiedKFold(4, shuffle=True, random_state=0),
    "protocols": StratifiedGroupKFold(4, shuffle=True, random_state=0),
}

# %%
# Each search runs on the rows of three quarters of the protocols, four times, so that every
# protocol is in the test rows once. What a search says is compared with the test log-loss on
# protocols that it never saw. That a whole protocol can be no better than guessing is part of the
# problem; the warnings about it are silenced.

warnings.simplefilter("ignore", EdgeOfSpaceWarning)
warnings.simplefilter("ignore", BaselineWarning)

rows, last = [], {}
start = perf_counter()
unseen = StratifiedGroupKFold(4, shuffle=True, random_state=0)
for train, test in unseen.split(X, y, groups):
    for held_out, splitter in splitters.items():
        model = make_pipeline(
            columns,
            MetaLRClassifier(keras_classifier, cv=splitter, n_candidates=12, random_state=0),
        )
        fit_params = {"metalrclassifier__groups": groups[train]} if held_out == "protocols" else {}
        model.fit(X.iloc[train], y[train], **fit_params)
        last[held_out] = model[-1]
        rows.append(
            {
                "held out": held_out,
                "tested on": "".join(np.unique(groups[test])),
                "rate": model[-1].best_learning_rate_,
                "epochs": model[-1].best_n_epochs_,
                "search says": -model[-1].best_score_,
                "test": log_loss(y[test], model.predict_proba(X.iloc[test]), labels=model.classes_),
            }
        )
print(f"Eight fits: {perf_counter() - start:.0f} s")
results = pd.DataFrame(rows)
print(results.to_string(index=False, float_format=lambda value: f"{value:.3g}"))

# %%
# Held-out rows promise much more than is kept on other protocols. What held-out protocols promise
# is closer to what is kept, and the strategies that they choose do better there. That is little in
# all: these features hardly tell more about an unseen protocol than the class frequencies do.

means = results.groupby("held out")[["search says", "test"]].mean()
gap = (means["test"] - means["search says"]).abs()
print(means.assign(gap=gap).round(3).to_string())
print(f"Always the class frequencies, training rows: {last['rows'].baseline_loss_:.3f}")

assert gap["protocols"] < gap["rows"] - 0.1
assert means.loc["protocols", "test"] < means.loc["rows", "test"]

# %%
# The response curves of the last division. With protocols held out, all rates are within one
# standard error of the best: splits differ much more than rates do.

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), sharey=True, layout="constrained")
for ax, (held_out, fitted) in zip((left, right), last.items(), strict=True):
    LearningRateDisplay.from_estimator(fitted, ax=ax)
    ax.set_title(f"held out: {held_out}")
right.set_ylabel("")
top = max(ax.get_ylim()[1] for ax in (left, right))
left.set_ylim(0, top)
plt.show()

# %%
# Each point is one search. Below the line, the test turned out better than the search had said.

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for held_out, colour, marker in [("rows", "#D55E00", "o"), ("protocols", "#0072B2", "s")]:
    mine = results[results["held out"] == held_out]
    ax.scatter(mine["search says"], mine["test"], c=colour, marker=marker, label=held_out)
low, high = (function(results[["search says", "test"]].to_numpy()) for function in (np.min, np.max))
ax.plot([low, high], [low, high], color="0.5", linewidth=0.8, label="equal")
ax.set(
    xlabel="held-out log-loss in the search (nats)",
    ylabel="test log-loss on unseen protocols (nats)",
)
ax.legend(title="held out", fontsize="small")
plt.show()
