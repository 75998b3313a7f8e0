"""Which optimizer, which schedule, which rate? The better candidates train on; then a picture.

python docs/examples/strategies.py [picture.png]
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pandas as pd
from quickstart import CHURN, keras_classifier, mixed_columns
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sk_metalr import LearningRateDisplay, MetaLRClassifier

if __name__ == "__main__":
    frame = pd.read_csv(CHURN)
    X_train, X_test, y_train, y_test = train_test_split(
        frame.drop(columns="churn"),
        frame["churn"],
        train_size=2000,
        test_size=2000,
        stratify=frame["churn"],
        random_state=0,
    )
    search = MetaLRClassifier(
        keras_classifier(),
        optimizers=["sgd", "adam", keras.optimizers.AdamW(weight_decay=0.01, name="adamw")],
        schedules=["constant", "cosine"],
        search="halving",
        scoring=["neg_log_loss", "balanced_accuracy"],
        random_state=0,
    )
    model = make_pipeline(mixed_columns(), search).fit(X_train, y_train)
    table = pd.DataFrame(model[-1].cv_results_)
    best = table.loc[table.groupby(["param_optimizer", "param_schedule"]).selection_score.idxmax()]
    columns = {
        "param_optimizer": "optimizer",
        "param_schedule": "schedule",
        "param_learning_rate": "rate",
        "n_resources": "trained for",
        "n_epochs": "epochs",
        "mean_test_neg_log_loss": "log-loss",
        "mean_test_balanced_accuracy": "balanced accuracy",
    }
    best = (
        best[list(columns)].rename(columns=columns).assign(**{"log-loss": lambda t: -t["log-loss"]})
    )
    print("The best candidate of each optimizer with each schedule, on held-out rows:")
    print(best.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    print(f"Chosen: {model[-1].best_params_}, {model[-1].best_n_epochs_} epochs")
    cost = model[-1].search_cost_
    print(
        f"{cost['n_candidates']} candidates × {cost['n_splits']} splits in "
        f"{cost['search_seconds']:.0f} s"
    )
    probabilities = model.predict_proba(X_test)
    print(
        f"Test log-loss {log_loss(y_test, probabilities):.4f} nats, balanced accuracy "
        f"{balanced_accuracy_score(y_test, model.predict(X_test)):.3f}"
    )
    if len(sys.argv) > 1:
        LearningRateDisplay.from_estimator(model[-1], default_rate=1e-3).figure_.savefig(
            sys.argv[1], dpi=120
        )
        print(f"response curves: {sys.argv[1]}")
