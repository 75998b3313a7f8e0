"""
Choosing an optimizer and a schedule
====================================

Which optimizer, which schedule, which rate? Three optimizers with two schedules make six families
of sixteen learning rates each. ``search="halving"`` trains all of them for a part of the epochs,
and only the better ones to the end.
"""

# %%
# Data and network
# ----------------
# 2000 customers of a telephone company to train on, 2000 to test on: who leaves?

from pathlib import Path
from time import perf_counter

import keras
import matplotlib.pyplot as plt
import pandas as pd
from scikeras.wrappers import KerasClassifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_metalr import LearningRateDisplay, MetaLRClassifier

# Sphinx-Gallery runs a script in its own folder and does not define __file__.
DATA = (Path(__file__).parent if "__file__" in globals() else Path.cwd()) / "data"

frame = pd.read_csv(DATA / "wa_churn.csv.gz")
X_train, X_test, y_train, y_test = train_test_split(
    frame.drop(columns="churn"),
    frame["churn"],
    train_size=2000,
    test_size=2000,
    stratify=frame["churn"],
    random_state=0,
)
columns = make_column_transformer(
    (
        make_pipeline(SimpleImputer(), StandardScaler()),
        make_column_selector(dtype_include="number"),
    ),
    (
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        make_column_selector(dtype_exclude="number"),
    ),
)


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
    batch_size=64,
    verbose=0,
    random_state=0,
)

# %%
# Search
# ------
# Optimizers are given by name, or as instances with settings of their own. Two scores are reported;
# the first one chooses. Three folds instead of five save time.

search = MetaLRClassifier(
    keras_classifier,
    {
        "optimizer": ["sgd", "adam", keras.optimizers.AdamW(weight_decay=0.01, name="adamw")],
        "schedule": ["constant", "cosine"],
    },
    search="halving",
    scoring=["neg_log_loss", "balanced_accuracy"],
    cv=3,
    random_state=0,
)
start = perf_counter()
model = make_pipeline(columns, search).fit(X_train, y_train)
seconds = perf_counter() - start

# %%
# ``cv_results_`` is a table with one row a candidate. Here is the best one of each family, as
# held-out rows see it. "trained for" is how many epochs it saw before halving sent it away.

table = pd.DataFrame(model[-1].cv_results_)
best = table.loc[table.groupby(["param_optimizer", "param_schedule"]).selection_score.idxmax()]
names = {
    "param_optimizer": "optimizer",
    "param_schedule": "schedule",
    "param_optimizer__learning_rate": "rate",
    "n_resources": "trained for",
    "n_epochs": "epochs",
    "mean_test_neg_log_loss": "log-loss",
    "mean_test_balanced_accuracy": "balanced accuracy",
}
best = best[list(names)].rename(columns=names).assign(**{"log-loss": lambda t: -t["log-loss"]})
print(best.to_string(index=False, float_format=lambda value: f"{value:.4g}"))

# %%
# The families are close together: once each has its own rate and number of epochs, the choice of
# the optimizer matters little on this table. Their best rates are decades apart.

rates = best["rate"].astype(float)
spread = best["log-loss"].max() - best["log-loss"].min()
print(f"Best of the families: within {spread:.3f} nats; rates from {rates.min():.2g} to ", end="")
print(f"{rates.max():.2g}")

assert spread < 0.02
assert rates.max() > 10 * rates.min()

# %%
# What was chosen, and is it better than Adam at its default rate for all epochs?

cost = model[-1].search_cost_
print(f"Chosen: {model[-1].best_params_}, {model[-1].best_n_epochs_} epochs")
print(f"{cost['n_candidates']} candidates x {cost['n_splits']} splits, refit: {seconds:.0f} s")
default = make_pipeline(columns, keras_classifier).fit(X_train, y_train)
loss, default_loss = (log_loss(y_test, one.predict_proba(X_test)) for one in (model, default))
print(f"Test log-loss {loss:.3f} nats, Adam at its default rate {default_loss:.3f}")
accuracy, default_accuracy = (
    balanced_accuracy_score(y_test, one.predict(X_test)) for one in (model, default)
)
print(f"Balanced accuracy {accuracy:.3f}, Adam at its default rate {default_accuracy:.3f}")

assert loss < default_loss

# %%
# Response curves of all families
# -------------------------------

LearningRateDisplay.from_estimator(model[-1], default_rate=1e-3)
plt.show()
