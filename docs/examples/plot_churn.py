"""
Customers who leave: mixed columns, few positives, a threshold
==============================================================

A telephone company wants to know which customers will leave. The table holds numbers and
categories, and about one customer in four leaves. The learning rate and the number of epochs of the
network are chosen inside ``fit``, on log-loss, so that its probabilities are good. The threshold
above which a customer counts as leaving is chosen afterwards, from what mistakes cost.
"""

# %%
# Data
# ----
# The table is a sample that IBM published; the company in it is fictional. The 7043 customers are
# divided into rows to train on, rows to choose the threshold on, and rows to test on.

from pathlib import Path
from time import perf_counter

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scikeras.wrappers import KerasClassifier
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import confusion_matrix, log_loss, make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_metalr import LearningRateDisplay, MetaLRClassifier

# Sphinx-Gallery runs a script in its own folder and does not define __file__.
DATA = (Path(__file__).parent if "__file__" in globals() else Path.cwd()) / "data"

frame = pd.read_csv(DATA / "wa_churn.csv.gz")
X, y = frame.drop(columns="churn"), frame["churn"]
X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=2000, stratify=y, random_state=0)
X_train, X_tune, y_train, y_tune = train_test_split(
    X_rest, y_rest, test_size=1500, stratify=y_rest, random_state=0
)
print(f"{len(X_train)} rows to train on, {len(X_tune)} for the threshold, {len(X_test)} to test on")
print(f"{np.mean(y_train == 'Yes'):.1%} of the customers leave")

# %%
# A pipeline
# ----------
# Numbers are imputed and scaled, categories are one-hot encoded. ``MetaLRClassifier`` wraps the
# Keras classifier and stands where it would stand.


def network(meta):
    """Build two hidden layers; SciKeras knows the numbers of features and classes."""
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


columns = make_column_transformer(
    (
        make_pipeline(SimpleImputer(), StandardScaler()),
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
keras_classifier = KerasClassifier(
    network,
    loss="sparse_categorical_crossentropy",
    optimizer="adam",
    epochs=20,
    batch_size=64,
    verbose=0,
    random_state=0,
)
default = make_pipeline(columns, keras_classifier)
tuned = make_pipeline(columns, MetaLRClassifier(keras_classifier, random_state=0))

# %%
# Both are fitted on the same rows. The first Keras fit of a process loads libraries; a fit of one
# epoch goes before, so that neither side pays for it.


def seconds_to_fit(model):
    """Fit and return how long it took."""
    start = perf_counter()
    model.fit(X_train, y_train)
    return perf_counter() - start


clone(default).set_params(kerasclassifier__epochs=1).fit(X_train, y_train)
default_seconds = seconds_to_fit(default)
tuned_seconds = seconds_to_fit(tuned)
again_seconds = seconds_to_fit(tuned)

chosen = tuned[-1]
print(f"Chosen: learning rate {chosen.best_learning_rate_:.2g}, {chosen.best_n_epochs_} epochs")
loss, default_loss = (log_loss(y_test, one.predict_proba(X_test)) for one in (tuned, default))
print(f"Test log-loss: {loss:.3f} nats; at the default rate, all epochs: {default_loss:.3f}")
print(f"One plain fit: {default_seconds:.1f} s; search and refit: {tuned_seconds:.1f} s the first")
print(f"time ({tuned_seconds / default_seconds:.1f} x), {again_seconds:.1f} s once compiled")
print(f"({again_seconds / default_seconds:.1f} x)")

# Better than the default rate, for less than six plain fits.
assert loss < default_loss
assert again_seconds < 6 * default_seconds

# %%
# The response curve shows how much the rate matters: held-out log-loss of every rate, each at its
# own best number of epochs.

LearningRateDisplay.from_estimator(chosen, default_rate=1e-3)
plt.show()

# %%
# The threshold
# -------------
# Suppose that an offer costs 1 and keeps a customer who would have left, and that losing one costs
# 5. (These costs are made up; put your own there.) ``TunedThresholdClassifierCV`` takes the fitted
# pipeline as it is and chooses the threshold on rows that were not trained on.

OFFER, LOST = 1, 5


def mean_cost(y_true, y_predicted):
    """Return the cost of a customer: offers to all who are said to leave, others may be lost."""
    _, needless, missed, kept = confusion_matrix(y_true, y_predicted, labels=["No", "Yes"]).ravel()
    return (OFFER * (needless + kept) + LOST * missed) / len(y_true)


with_threshold = TunedThresholdClassifierCV(
    tuned,
    scoring=make_scorer(mean_cost, greater_is_better=False),
    cv="prefit",
    refit=False,
    store_cv_results=True,
)
with_threshold.fit(X_tune, y_tune)
costs = {
    "offers to nobody": mean_cost(y_test, np.full(len(y_test), "No")),
    "offers to everybody": mean_cost(y_test, np.full(len(y_test), "Yes")),
    "threshold 0.5": mean_cost(y_test, tuned.predict(X_test)),
    f"threshold {with_threshold.best_threshold_:.2f}": mean_cost(
        y_test, with_threshold.predict(X_test)
    ),
}
print("Cost of a customer, on the test rows:")
for name, cost in costs.items():
    print(f"  {name:20s} {cost:.3f}")
nobody, everybody, at_half, at_tuned = costs.values()

assert at_tuned < 0.9 * min(nobody, everybody, at_half)

# %%
# Where probabilities are right, an offer pays above a probability of 1 / 5. The threshold that was
# found on held-out rows is close to that.

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
results = with_threshold.cv_results_
ax.plot(results["thresholds"], -results["scores"], color="#0072B2", label="rows of the threshold")
ax.axvline(0.5, color="0.4", linestyle=":", label="0.5")
ax.axvline(OFFER / LOST, color="#D55E00", linestyle="--", label="1 / 5, from the costs")
ax.axvline(
    with_threshold.best_threshold_,
    color="black",
    label=f"chosen: {with_threshold.best_threshold_:.2f}",
)
ax.set(xlabel="threshold", ylabel="cost of a customer", xlim=(0, 1))
ax.legend(fontsize="small")
plt.show()
