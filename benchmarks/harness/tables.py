"""Real tables, ready for a Keras model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_friedman1,
    make_friedman2,
    make_friedman3,
)
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

DATA = Path(__file__).parents[1] / "data"
TARGETS = {
    "penguins": "species",
    "attrition": "Attrition",
    "cells": "class",
    "hpc_data": "class",
    "credit_data": "Status",
    "mlc_churn": "churn",
    "stackoverflow": "Remote",
    "wa_churn": "churn",
}
BUNDLED: dict[str, Callable] = {
    "digits": load_digits,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "iris": load_iris,
}
THIRDS = {"ames": "Sale_Price", "concrete": "compressive_strength"}
"""Regression targets, cut into three classes of equal size."""

TEXT = "fine_foods"
NAMES = [*BUNDLED, *TARGETS, *THIRDS, TEXT]
MAX_TRAINING_ROWS = 1_500

NUMBERS: dict[str, str | Callable] = {
    **{"ames": "Sale_Price", "concrete": "compressive_strength", "penguins": "body_mass_g"},
    **{"stackoverflow": "Salary", "credit_data": "Price", "attrition": "MonthlyIncome"},
    "diabetes": load_diabetes,
    "friedman1": lambda **_: make_friedman1(800, noise=1.0, random_state=0),
    "friedman2": lambda **_: make_friedman2(800, noise=100.0, random_state=0),
    "friedman3": lambda **_: make_friedman3(800, noise=0.1, random_state=0),
}
"""Columns of numbers to predict, or functions that return a table; Friedman's are artificial."""


@dataclass(frozen=True)
class Table:
    """A table cut into training and test rows, features numeric and scaled."""

    name: str
    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


def load_frame(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return raw features and labels."""
    if name in BUNDLED:
        return BUNDLED[name](return_X_y=True, as_frame=True)[0], BUNDLED[name]().target
    if name == TEXT:
        parts = [f"small_fine_foods_{part}_data.csv.gz" for part in ("training", "testing")]
        frame = pd.concat([pd.read_csv(DATA / part) for part in parts], ignore_index=True)
        return frame[["review"]].fillna(""), frame["score"].to_numpy(dtype=object)
    frame = pd.read_csv(DATA / f"{name}.csv.gz")
    if name in THIRDS:
        labels = pd.qcut(frame[THIRDS[name]], 3, labels=["low", "middle", "high"])
        return frame.drop(columns=THIRDS[name]), labels.to_numpy(dtype=object)
    frame = frame.drop(columns=["case"], errors="ignore").dropna(subset=TARGETS[name])
    return frame.drop(columns=TARGETS[name]), frame[TARGETS[name]].to_numpy(dtype=object)


def preprocessing(name: str = "", clips: bool = False):
    """Impute, scale and one-hot encode, as a careful user would; text to 100 topics.

    If it `clips`, scaled numbers are clipped smoothly at three deviations (Holzmüller et al.,
    "Better by default", 2024, arXiv:2407.04491), so that no network extrapolates from one outlier.
    """
    if name == TEXT:
        topics = make_pipeline(
            TfidfVectorizer(min_df=3, sublinear_tf=True, stop_words="english"),
            TruncatedSVD(100, random_state=0),
            StandardScaler(),
        )
        return make_column_transformer((topics, "review"))
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    if clips:
        numeric.steps.append(("clip", FunctionTransformer(smoothly_clipped)))
    categorical = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    return make_column_transformer(
        (numeric, make_column_selector(dtype_include="number")),
        (categorical, make_column_selector(dtype_exclude="number")),
    )


def smoothly_clipped(x: np.ndarray) -> np.ndarray:
    """Return scaled numbers between -3 and 3, those near 0 as they are."""
    return x / np.sqrt(1 + (x / 3) ** 2)


def load(name: str, seed: int, max_training_rows: int = MAX_TRAINING_ROWS) -> Table:
    """Return a table with a quarter of its rows or more set aside."""
    X, y = load_frame(name)
    return _divided(name, X, y, seed, max_training_rows, stratify=y)


def load_numbers(name: str, seed: int, max_training_rows: int = MAX_TRAINING_ROWS) -> Table:
    """Return a table of numbers to predict with a quarter of its rows or more set aside."""
    target = NUMBERS[name]
    if isinstance(target, str):
        frame = pd.read_csv(DATA / f"{name}.csv.gz").dropna(subset=target)
        X, y = frame.drop(columns=target), frame[target].to_numpy(np.float64)
    else:
        X, y = target(return_X_y=True)
        X = pd.DataFrame(X).add_prefix("x")
    return _divided(name, X, y, seed, max_training_rows, clips=True)


def _divided(
    name: str,
    X: pd.DataFrame,
    y: np.ndarray,
    seed: int,
    max_training_rows: int,
    stratify=None,
    clips: bool = False,
) -> Table:
    """Divide rows. Preprocessing is fitted on the training rows alone."""
    n_train = min(round(0.75 * len(y)), max_training_rows)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, stratify=stratify, random_state=seed
    )
    prepare = preprocessing(name, clips).fit(X_train)
    return Table(
        name,
        np.asarray(prepare.transform(X_train), dtype=np.float32),
        np.asarray(prepare.transform(X_test), dtype=np.float32),
        y_train,
        y_test,
    )
