"""Fits whose outcome was recorded, so that rebuilding the package can be seen to change nothing.

    python tests/recorded.py             compare with the record
    python tests/recorded.py --record    make the record anew

The record is of one machine: another processor rounds otherwise. It was made by the code before the
core was rebuilt, but for "drawn" and "auto", whose learning rates a Latin hypercube draws since
then, "early stopping", whose epochs are since then those that the models trained for, "ready-made
network", which is another network since then, and "halving", whose losses are smoothed since then
as if nobody had stopped. Exits non-zero where a fit has changed by more than 1e-6.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers
from scikeras.wrappers import KerasClassifier
from scipy.stats import loguniform
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.model_selection import (
    GroupKFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.preprocessing import scale

from sk_metalr import Halving, MetaLRClassifier

RECORD = Path(__file__).parent / "data" / "recorded_fits.json"
TOLERANCE = 1e-6
RATE = "optimizer__learning_rate"
RATES = [1e-3, 1e-2, 1e-1]
ONE_SPLIT = StratifiedShuffleSplit(1, test_size=0.3, random_state=2)


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return scale(X), y


def cancer() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X)[:240], np.array(["malignant", "benign"])[y[:240]]


def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:300].reshape(-1, 8, 8, 1) / 16, y[:300]


def text() -> tuple[np.ndarray, np.ndarray]:
    """Return token numbers, 0 where a text has ended."""
    random = np.random.RandomState(0)
    y = random.randint(0, 2, 200)
    X = random.randint(1, 15, (200, 12)) + 10 * y[:, None]
    return np.where(np.arange(12) < random.randint(4, 13, 200)[:, None], X, 0), y


def network(*hidden: Any, optimizer: Any = "adam", activation: str = "softmax") -> Any:
    """Return a function that builds a model with these layers before its output."""

    def build(meta: dict[str, Any]) -> keras.Model:
        n_outputs = 1 if activation == "sigmoid" else meta["n_classes_"]
        model = keras.Sequential([keras.Input(meta["X_shape_"][1:])])
        for make in hidden or (lambda: layers.Dense(16, "relu"),):
            model.add(make())
        model.add(layers.Dense(n_outputs, activation))
        loss = "binary" if n_outputs == 1 else "sparse_categorical"
        model.compile(optimizer, loss=f"{loss}_crossentropy")
        return model

    return build


def classifier(build: Any = None, **params: Any) -> KerasClassifier:
    return KerasClassifier(
        build or network(),
        **{"epochs": 6, "batch_size": 32, "verbose": 0, "random_state": 7} | params,
    )


REGULARISED = (
    lambda: layers.Dense(16, "relu", kernel_regularizer="l2"),
    lambda: layers.BatchNormalization(),
    lambda: layers.Dropout(0.3),
)
CONVOLUTIONAL = (
    lambda: layers.Conv2D(6, 3, activation="relu"),
    lambda: layers.MaxPooling2D(),
    lambda: layers.Flatten(),
)
ON_TEXT = (
    lambda: layers.Embedding(30, 6, mask_zero=True),
    lambda: layers.LSTM(5),
)


def thirds(y: np.ndarray) -> np.ndarray:
    return np.arange(len(y)) // 3


def weights(y: np.ndarray) -> np.ndarray:
    return np.random.RandomState(1).uniform(0.2, 3, len(y))


Fit = tuple[Callable[[], tuple[np.ndarray, np.ndarray]], Any, dict[str, Any], dict[str, Any]]
"""Table, classifier, parameters of the search, arguments of ``fit`` made from the targets."""

FITS: dict[str, Fit] = {
    "vectorized": (iris, classifier(), {}, {}),
    "compiled": (iris, classifier(), {"engine": "compiled"}, {}),
    "keras": (iris, classifier(epochs=3), {"engine": "keras"}, {}),
    "ready-made network": (iris, None, {"cv": ONE_SPLIT}, {}),
    "one split": (cancer, classifier(), {"cv": ONE_SPLIT}, {}),
    "drawn": (
        *(iris, classifier()),
        {"learning_rates": loguniform(1e-4, 1e-1), "n_candidates": 5},
        {},
    ),
    "halving": (
        *(iris, classifier(epochs=9)),
        {"learning_rates": list(np.geomspace(1e-4, 1, 9)), "search": "halving"},
        {},
    ),
    "halving, others": (
        *(cancer, classifier(epochs=8)),
        {
            "learning_rates": None,
            "param_distributions": [
                {"optimizer": ["sgd"], RATE: [0.01, 0.1, 1.0], "schedule": ["constant", "cosine"]},
                {
                    "optimizer": ["adam"],
                    RATE: [1e-4, 1e-3, 0.01],
                    "schedule": ["constant", "cosine"],
                },
            ],
            "search": Halving(factor=2, min_epochs=2),
        },
        {},
    ),
    "portfolio": (
        *(iris, classifier(epochs=20)),
        {"learning_rates": None, "search": "portfolio", "n_candidates": 3},
        {},
    ),
    "hypergradient": (iris, classifier(), {"search": "hypergradient"}, {}),
    "auto": (iris, classifier(), {"learning_rates": "auto", "n_candidates": 4}, {}),
    "optimizers": (
        *(cancer, classifier(epochs=4)),
        {
            "param_distributions": {
                "optimizer": ["sgd", keras.optimizers.AdamW(weight_decay=0.01), "rmsprop"]
            }
        },
        {},
    ),
    "schedules": (
        *(iris, classifier()),
        {
            "param_distributions": {
                "schedule": ["constant", "linear", "cosine", "one_cycle", lambda progress: 0.5]
            }
        },
        {},
    ),
    "optimizers and schedules": (
        *(iris, classifier(epochs=4)),
        {
            "param_distributions": {
                "optimizer": ["sgd", "adam"],
                "schedule": ["cosine", "one_cycle"],
            },
            "cv": ONE_SPLIT,
        },
        {},
    ),
    "sample weights": (iris, classifier(), {}, {"sample_weight": weights}),
    "class weights": (cancer, classifier(class_weight="balanced"), {}, {}),
    "groups": (
        *(iris, classifier()),
        {"cv": GroupKFold(3)},
        {"groups": thirds},
    ),
    "repeated folds": (
        *(iris, classifier(epochs=3)),
        {"cv": RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=3)},
        {},
    ),
    "own validation rows": (cancer, classifier(), {}, {"X_val": True}),
    "five refits": (iris, classifier(random_state=None), {"n_models": 5}, {}),
    "accuracy": (
        cancer,
        classifier(),
        {"scoring": ["accuracy", "roc_auc"], "refit": "roc_auc"},
        {},
    ),
    "early stopping": (
        cancer,
        classifier(
            epochs=15,
            callbacks=keras.callbacks.EarlyStopping,
            callbacks__monitor="loss",
            callbacks__patience=1,
            callbacks__min_delta=0.02,
        ),
        {},
        {},
    ),
    "regularised": (cancer, classifier(network(*REGULARISED)), {}, {}),
    "sigmoid": (cancer, classifier(network(activation="sigmoid")), {}, {}),
    "momentum": (
        iris,
        classifier(network(optimizer=keras.optimizers.SGD(momentum=0.9, clipnorm=1.0))),
        {},
        {},
    ),
    "all rows at once": (iris, classifier(batch_size=-1), {}, {}),
    "convolutions": (digits, classifier(network(*CONVOLUTIONAL), epochs=3), {"cv": ONE_SPLIT}, {}),
    "text": (text, classifier(network(*ON_TEXT), epochs=3), {"cv": ONE_SPLIT}, {}),
    "two workers": (iris, classifier(epochs=3), {"n_jobs": 2}, {}),
    "no refit": (iris, classifier(epochs=3), {"refit": False}, {}),
}


def outcome(name: str) -> dict[str, Any]:
    """Fit, and return choice, scores and predictions."""
    table, estimator, params, arguments = FITS[name]
    X, y = table()
    test = np.arange(len(y)) % 5 == 4
    X_test, X, y_test, y = X[test], X[~test], y[test], y[~test]
    given = {key: make(y) for key, make in arguments.items() if callable(make)}
    if "X_val" in arguments:
        given |= {"X_val": X_test, "y_val": y_test}
    params = {"learning_rates": RATES, "random_state": 0, "calibrate": False} | params
    if "X_val" not in arguments:
        params = {"cv": StratifiedKFold(3, shuffle=True, random_state=1)} | params
    model = MetaLRClassifier(estimator, **params).fit(X, y, **given)
    results = model.cv_results_
    scores = {key: results[key] for key in results if key.startswith(("mean_test", "split"))}
    strategy = model.best_params_
    return {
        "learning_rate": strategy[RATE],
        "optimizer": strategy.get("optimizer"),
        "schedule": strategy.get("schedule"),
        "n_epochs": model.best_n_epochs_,
        "lane": model.search_cost_["lane"],
        "member_epochs": int(model.search_cost_["member_epochs"]),
        "selection_score": results["selection_score"].tolist(),
        "scores": {key: value.tolist() for key, value in scores.items()},
        "predictions": model.predict_proba(X_test).tolist() if model.refit else [],
    }


def differences(was: Any, now: Any, at: str = "") -> list[str]:
    """Return where two outcomes differ by more than the tolerance."""
    if isinstance(was, dict):
        names = sorted(was.keys() | now.keys())
        return [d for k in names for d in differences(was.get(k), now.get(k), f"{at}/{k}")]
    if isinstance(was, list | float):
        if np.shape(was) == np.shape(now) and np.allclose(
            was, now, rtol=0, atol=TOLERANCE, equal_nan=True
        ):
            return []
    elif was == now:
        return []
    return [f"{at}: {str(was)[:80]} became {str(now)[:80]}"]


def main(arguments: list[str]) -> int:
    anew = "--record" in arguments
    names = [name for name in arguments if name != "--record"] or list(FITS)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    changed = 0
    for name in names:
        now = outcome(name)
        if anew:
            record[name] = now
            lines = [f"{json.dumps(key)}: {json.dumps(one)}" for key, one in record.items()]
            RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        found = [] if anew else differences(record[name], now)
        print(name, "recorded" if anew else "; ".join(found) or "as it was", flush=True)
        changed += bool(found)
    return int(changed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
