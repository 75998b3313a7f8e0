"""Two tables, from raw columns to a tuned network: what was chosen, and was it worth it?

python docs/examples/quickstart.py [picture.png]
"""

import os
import sys
import warnings
from pathlib import Path
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pandas as pd
from scikeras.wrappers import KerasClassifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk_metalr import MetaLRClassifier
from sk_metalr.exceptions import EdgeOfSpaceWarning

# A best rate at the edge of what was tried is worth knowing, but not in every fold.
warnings.simplefilter("ignore", EdgeOfSpaceWarning)

EPOCHS = 20
CHURN = Path(__file__).parent / "data" / "wa_churn.csv.gz"


def network(meta):
    """Build the Keras model; SciKeras tells it about the data and compiles it."""
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


def keras_classifier():
    """Return the network at Keras's default rate."""
    return KerasClassifier(
        network,
        loss="sparse_categorical_crossentropy",
        optimizer="adam",
        epochs=EPOCHS,
        batch_size=64,
        verbose=0,
        random_state=0,
    )


def mixed_columns():
    """Impute, scale and one-hot encode."""
    numeric = make_pipeline(SimpleImputer(), StandardScaler())
    categorical = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    return make_column_transformer(
        (numeric, make_column_selector(dtype_include="number")),
        (categorical, make_column_selector(dtype_exclude="number")),
    )


def timed_fit(pipeline, X, y):
    """Fit and return the seconds it took."""
    start = perf_counter()
    pipeline.fit(X, y)
    return perf_counter() - start


def compare(name, prepare, X, y):
    """Fit at the default rate and with the rate chosen inside fit, and say what came of it."""
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    default = make_pipeline(prepare(), keras_classifier())
    tuned = make_pipeline(prepare(), MetaLRClassifier(keras_classifier(), random_state=0))
    # The very first Keras fit of a process loads libraries; let neither side pay for it.
    make_pipeline(prepare(), keras_classifier().set_params(epochs=1)).fit(X_train, y_train)
    default_seconds = timed_fit(default, X_train, y_train)
    tuned_seconds = timed_fit(tuned, X_train, y_train)
    again_seconds = timed_fit(tuned, X_train, y_train)
    chosen = tuned[-1]
    low, high = chosen.learning_rate_interval_
    cost = chosen.search_cost_
    print(f"\n{name}: {len(X)} rows")
    print(
        f"  chosen: learning rate {chosen.best_learning_rate_:.2g}, as good within one standard "
        f"error: {low:.2g} to {high:.2g}; {chosen.best_n_epochs_} of {EPOCHS} epochs"
    )
    print(
        f"  test log-loss in nats: {log_loss(y_test, tuned.predict_proba(X_test)):.3f}, at the "
        f"default rate {log_loss(y_test, default.predict_proba(X_test)):.3f}"
    )
    print(
        f"  cost: {cost['n_candidates']} rates x {cost['n_splits']} splits and the refit took "
        f"{tuned_seconds / default_seconds:.1f} x one plain fit ({default_seconds:.1f} s); "
        f"{again_seconds / default_seconds:.1f} x once compiled"
    )
    scores = cross_val_score(tuned, X_train, y_train, cv=3, scoring="neg_log_loss")
    print(f"  cross-validated log-loss: {-scores.mean():.3f} +/- {scores.std():.3f}")
    return chosen


def main():
    """Run both tables."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    compare("Breast cancer", StandardScaler, X, y)
    frame = pd.read_csv(CHURN)
    chosen = compare(
        "Customers who leave", mixed_columns, frame.drop(columns="churn"), frame["churn"]
    )
    if len(sys.argv) > 1:
        from sk_metalr import LearningRateDisplay

        display = LearningRateDisplay.from_estimator(chosen, default_rate=1e-3)
        display.figure_.savefig(sys.argv[1], dpi=120)
        print(f"\nIts response curve: {sys.argv[1]}")


if __name__ == "__main__":
    main()
