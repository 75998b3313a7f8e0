"""
Experience: five tables, one after another
==========================================

A bank asks whether a loan will be paid back, for customers of one age after another. Each age group
is a table of its own, with customers that are in none of the others. The tables arrive one by one,
and the same network is trained on each.

Every search finds out which learning rates are any good for such a network on such data.
``Experience.record`` writes that down, and the search algorithm ``Portfolio`` reads it: once there
are three searches like the one to come, it tries 4 rates instead of 16, and goes on beyond them
while the outermost is the best.
"""

# %%
# Data
# ----
# The column ``Age`` cuts the table into five of about the same size.

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scikeras.wrappers import KerasClassifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_metalr import Experience, MetaLRClassifier, Portfolio
from sk_metalr.exceptions import ExperienceWarning

# Sphinx-Gallery runs a script in its own folder and does not define __file__.
DATA = (Path(__file__).parent if "__file__" in globals() else Path.cwd()) / "data"

frame = pd.read_csv(DATA / "credit_data.csv.gz")
ages = ["18–28", "29–33", "34–38", "39–46", "47–68"]
frame["Group"] = pd.cut(frame["Age"], [17, 28, 33, 38, 46, 68], labels=ages)
print(frame.groupby("Group", observed=True)["Status"].value_counts().unstack())

# %%
# The same pipeline for all
# -------------------------


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


def pipeline(search):
    """Return preprocessing and a classifier that searches."""
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    prepare = make_column_transformer(
        (numeric, make_column_selector(dtype_include="number")),
        (categories, make_column_selector(dtype_exclude="number")),
        sparse_threshold=0,
    )
    keras_classifier = KerasClassifier(
        network, loss="sparse_categorical_crossentropy", optimizer="adam", epochs=20, verbose=0
    )
    return make_pipeline(prepare, MetaLRClassifier(keras_classifier, search=search, random_state=0))


# %%
# One table after another
# -----------------------
# The first searches warn that nothing like them has been recorded, and draw 16 rates at random.
# What they found out is kept in a file, one search per line; rows of the tables are not in it.

folder = TemporaryDirectory()
experience = Experience(Path(folder.name) / "experience.jsonl")
searches = {"16 at random": "random", "experience": Portfolio(experience)}
rows = []
for age in ages:
    table = frame[frame["Group"] == age].drop(columns="Group")
    X, y = table.drop(columns="Status"), table["Status"]
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=0
    )
    row = {"age": age, "rows": len(X_train)}
    for name, search in searches.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperienceWarning)
            model = pipeline(search).fit(X_train, y_train)
        row |= {
            f"fits, {name}": model[-1].search_cost_["equivalent_single_fits"],
            f"rate, {name}": model[-1].best_learning_rate_,
            f"loss, {name}": log_loss(y_test, model.predict_proba(X_test)),
        }
    experience.record(model[-1], model[:-1].transform(X_train), y_train)
    rows.append(row)
result = pd.DataFrame(rows).set_index("age")
print(result.round(4).T.to_string())

# %%
# What was recorded
# -----------------

columns = ["n_rows", "n_parameters", "best_learning_rate", "best_n_epochs", "loss"]
print(experience.to_frame()[columns].to_string())

# %%
# Cheaper
# -------
# From the fourth table on, the search costs a third or less. On the test rows, about two hundred in
# each table, what it finds and what 16 rates find differ by little, as they would by chance with so
# few rows; the user guide has the comparison over fifteen tables.

fig, (cost, quality) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
positions = np.arange(len(ages))
for shift, name, colour in [(-0.2, "16 at random", "0.6"), (0.2, "experience", "C0")]:
    cost.bar(positions + shift, result[f"fits, {name}"], width=0.38, color=colour, label=name)
    quality.bar(positions + shift, result[f"loss, {name}"], width=0.38, color=colour)
for axis, title in [(cost, "cost of the search, in single fits"), (quality, "test log-loss, nats")]:
    axis.set_xticks(positions, ages)
    axis.set_title(title)
    axis.spines[["top", "right"]].set_visible(False)
cost.set_ylim(0, 100)
cost.legend(frameon=False, ncols=2, loc="upper right")
plt.show()

later = result.iloc[3:]
assert (later["fits, experience"] < 0.35 * later["fits, 16 at random"]).all()
difference = result["loss, experience"] - result["loss, 16 at random"]
print(difference.round(4).to_dict())
assert difference.iloc[3:].mean() < 0.02
folder.cleanup()
