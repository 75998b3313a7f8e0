"""
Several labels per row: what goes into a concrete
=================================================

A recipe of concrete may call for slag, for fly ash and for superplasticizer, for all of them or for
none. Which of the three went into a sample is to be told from the other columns: three labels that
do not exclude each other. The network ends in three sigmoids, and ``MetaLRClassifier`` chooses its
learning rate and number of epochs on the mean log-loss over labels.
"""

# %%
# Data
# ----
# 1030 samples of concrete. The three columns become labels and leave the features.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, log_loss, multilabel_confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_metalr import LearningRateDisplay, MetaLRClassifier

# Sphinx-Gallery runs a script in its own folder and does not define __file__.
DATA = (Path(__file__).parent if "__file__" in globals() else Path.cwd()) / "data"

frame = pd.read_csv(DATA / "concrete.csv.gz")
names = ["blast_furnace_slag", "fly_ash", "superplasticizer"]
y = (frame[names] > 0).astype(int).to_numpy()
X = frame.drop(columns=names)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=300, random_state=0)
print(f"{len(X_train)} samples to train on; shares of the labels:")
print(pd.Series(y_train.mean(axis=0), names).round(2).to_string())

# %%
# A network for all labels
# ------------------------
# Without a model of one's own, the ready-made network ends in a sigmoid for each label.

model = make_pipeline(StandardScaler(), MetaLRClassifier(random_state=0))
model.fit(X_train, y_train)
network = model[-1]
print(f"Rate {network.best_learning_rate_:.2g}, {network.best_n_epochs_} epochs, ", end="")
print(f"temperature {network.temperature_:.2f}, {network.search_cost_['total_seconds']:.1f} s")
probabilities = model.predict_proba(X_test)  # a column for each label
print(probabilities[:3].round(2))

# %%
# One logistic regression a label is the baseline.


def mean_loss(probabilities):
    """Return the mean over labels of the log-loss, in nats."""
    losses = [log_loss(y_test[:, k], probabilities[:, k]) for k in range(len(names))]
    return float(np.mean(losses))


baseline = make_pipeline(StandardScaler(), MultiOutputClassifier(LogisticRegression()))
baseline.fit(X_train, y_train)
of_baseline = np.stack([one[:, 1] for one in baseline.predict_proba(X_test)], axis=1)
print(f"Mean log-loss: network {mean_loss(probabilities):.3f}, ", end="")
print(f"logistic regressions {mean_loss(of_baseline):.3f}, ", end="")
print(f"frequencies alone {network.baseline_loss_:.3f} nats")
print(classification_report(y_test, model.predict(X_test), target_names=names, zero_division=0))
assert mean_loss(probabilities) < mean_loss(of_baseline)

# %%
# Pictures
# --------
# The response curve of the search, and what is mistaken for what.

LearningRateDisplay.from_estimator(model)
figure, axes = plt.subplots(1, 3, figsize=(8, 2.8), layout="constrained")
matrices = multilabel_confusion_matrix(y_test, model.predict(X_test))
for ax, name, matrix in zip(axes, names, matrices, strict=True):
    ax.imshow(matrix, cmap="Blues")
    for row in range(2):
        for column in range(2):
            shade = "white" if matrix[row, column] > matrix.max() / 2 else "black"
            ax.text(column, row, matrix[row, column], ha="center", va="center", color=shade)
    ax.set(title=name.replace("_", " "), xlabel="predicted", xticks=[0, 1], yticks=[0, 1])
    ax.set_xticklabels(["without", "with"])
    ax.set_yticklabels(["without", "with"])
axes[0].set_ylabel("true")
plt.show()
