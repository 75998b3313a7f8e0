"""Shared by the examples of networks: fits at the default rate and at a chosen one."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

from sk_metalr import MetaLRClassifier

EPOCHS = 15
TWO_SPLITS = StratifiedShuffleSplit(2, test_size=0.2, random_state=0)
TIE = 0.01
"""Test log-losses that are no further apart than this, in nats, count as equal."""


def divisions_of_digits(*shape, n_divisions=3):
    """Return images of digits, divided at random into training and test rows, a few times."""
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, *shape) / 16
    return [
        train_test_split(X, y, test_size=0.3, stratify=y, random_state=number)
        for number in range(n_divisions)
    ]


def compare(title, network, divisions, **params):
    """Fit both on each division; print what was chosen and what it gained."""
    print(title)
    losses = []
    for X_train, X_test, y_train, y_test in divisions:
        default = KerasClassifier(
            network,
            loss="sparse_categorical_crossentropy",
            optimizer="adam",
            epochs=EPOCHS,
            verbose=0,
            random_state=0,
        )
        tuned = MetaLRClassifier(default, cv=TWO_SPLITS, random_state=0, **params)
        tuned.fit(X_train, y_train)
        default.fit(X_train, y_train)
        cost = tuned.search_cost_
        losses.append([log_loss(y_test, one.predict_proba(X_test)) for one in (tuned, default)])
        print(
            f"  {len(X_train)} rows: learning rate {tuned.best_learning_rate_:.2g}, "
            f"{tuned.best_n_epochs_} of {EPOCHS} epochs, {cost['total_seconds']:.0f} s in all; "
            f"test log-loss {losses[-1][0]:.3f} nats, at the default rate {losses[-1][1]:.3f}"
        )
    chosen, at_default = np.mean(losses, axis=0)
    print(f"  lane: {cost['lane']} ({cost['lane_reason']})")
    print(f"  mean test log-loss {chosen:.3f} nats, at the default rate {at_default:.3f}")
    assert chosen <= at_default + TIE
