"""Real classification tables, ready for a Keras model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

DATA = Path(__file__).parent / "data"
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
}
NAMES = [*TARGETS, *BUNDLED]


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
    frame = pd.read_csv(DATA / f"{name}.csv.gz")
    frame = frame.drop(columns=["case"], errors="ignore").dropna(subset=TARGETS[name])
    return frame.drop(columns=TARGETS[name]), frame[TARGETS[name]].to_numpy(dtype=object)


def preprocessing():
    """Impute, scale and one-hot encode, as a careful user would."""
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categorical = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    return make_column_transformer(
        (numeric, make_column_selector(dtype_include="number")),
        (categorical, make_column_selector(dtype_exclude="number")),
    )


def load(name: str, seed: int) -> Table:
    """Return a table with a quarter of its rows set aside, preprocessing fitted without them."""
    X, y = load_frame(name)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=seed
    )
    prepare = preprocessing().fit(X_train)
    return Table(
        name,
        prepare.transform(X_train).astype(np.float32),
        prepare.transform(X_test).astype(np.float32),
        y_train,
        y_test,
    )
