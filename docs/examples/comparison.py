"""What the examples of networks have in common: fit at the default rate and at a chosen one."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from scikeras.wrappers import KerasClassifier
from sklearn.metrics import log_loss

from sk_metalr import MetaLRClassifier

EPOCHS = 15


def compare(title, network, X_train, X_test, y_train, y_test):
    """Fit both, and print how members were trained, what was chosen and what it gained."""
    default = KerasClassifier(
        network,
        loss="sparse_categorical_crossentropy",
        optimizer="adam",
        epochs=EPOCHS,
        verbose=0,
        random_state=0,
    )
    tuned = MetaLRClassifier(default, n_splits=2, random_state=0).fit(X_train, y_train)
    default.fit(X_train, y_train)
    cost = tuned.search_cost_
    print(f"{title}: {len(X_train)} rows to train on")
    print(f"  lane: {cost['lane']} ({cost['lane_reason']})")
    print(
        f"  chosen: learning rate {tuned.best_learning_rate_:.2g}, {tuned.best_n_epochs_} of "
        f"{EPOCHS} epochs; {cost['total_seconds']:.0f} s in all"
    )
    print(
        f"  test log-loss in nats: {log_loss(y_test, tuned.predict_proba(X_test)):.3f}, "
        f"at the default rate {log_loss(y_test, default.predict_proba(X_test)):.3f}"
    )
