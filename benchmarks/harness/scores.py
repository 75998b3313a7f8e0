"""Scores of predicted probabilities on test rows."""

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    recall_score,
)


def mean_score(y: np.ndarray, several: list[np.ndarray]) -> dict[str, float]:
    """Return test scores, means over several models."""
    scores = [score(y, probabilities) for probabilities in several]
    return {name: float(np.mean([one[name] for one in scores])) for name in scores[0]}


def score(y: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return test scores; log-loss in nats, clipped for all as the population clips it."""
    classes = np.unique(y)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if not np.isfinite(probabilities).all():  # a refit that diverged tells nothing
        probabilities = np.ones((len(y), len(classes)))
    probabilities = probabilities.clip(np.finfo(np.float32).eps)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = classes[probabilities.argmax(axis=1)]
    return {
        "log_loss": log_loss(y, probabilities, labels=classes),
        "accuracy": accuracy_score(y, labels),
        "balanced_accuracy": balanced_accuracy_score(y, labels),
        "f1_macro": f1_score(y, labels, average="macro"),
        "recall_macro": recall_score(y, labels, average="macro"),
        "brier": float(((probabilities - (y[:, None] == classes)) ** 2).sum(axis=1).mean()),
        "calibration_error": calibration_error(labels == y, probabilities.max(axis=1)),
    }


def calibration_error(is_right: np.ndarray, confidence: np.ndarray, n_bins: int = 15) -> float:
    """Return the expected calibration error of the most probable classes, in bins of equal width.

    (Guo et al., 2017, arXiv:1706.04599, equation 3.)
    """
    number = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(number, is_right - confidence, n_bins)
    return float(np.abs(gaps).sum() / len(confidence))
