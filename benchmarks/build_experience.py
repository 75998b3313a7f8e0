"""Build the experience that sk_metalr ships: finished searches of the benchmark's tables.

    python benchmarks/build_experience.py [--jobs 2] [--limit N] [--out FILE]

The learning rates of every table are searched with two plain strategies, and with a balanced
fraction of all combinations of model, optimizer, batch size, epochs and number of rows. Then, of
one model, dropout, width, weight decay, label smoothing and batch size are searched, too. Each
search is recorded as a user's would be, by `Experience.record`, and written down in
`records/experience` when it ends: started again after an interruption, the command goes on where it
was. Delete that folder to search anew, after a change of the code. Then all records are written to
sk_metalr/_experience/default.jsonl.

From a quarter of an hour to an hour and a half on two cores, by how fast they are.
"""

import argparse
import hashlib
import json
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.stats import loguniform, uniform
from sklearn.model_selection import StratifiedKFold, train_test_split

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.harness.tables import NAMES, load

HERE = Path(__file__).resolve().parent
SEARCHES = HERE / "records" / "experience"
SHIPPED = HERE.parent / "sk_metalr" / "_experience" / "default.jsonl"
RATES = np.geomspace(1e-5, 10, 25)
"""Four a decade."""

N_FOLDS = 5
N_PER_TABLE = 10
"""Searches of learning rates of each table beside the two plain ones."""

MODELS = {
    "linear": ((), None),
    "1 x 32": ((32,), None),
    "2 x 128": ((128, 128), None),
    "3 x 256": ((256, 256, 256), None),
    "2 x 128, normalised": ((128, 128), "normalisation"),
    "2 x 128, dropout": ((128, 128), "dropout"),
}
OPTIMIZERS = {
    "adam": {"optimizer": "adam"},
    "momentum": {"optimizer": "sgd", "optimizer__momentum": 0.9},
    "adamw": {"optimizer": "adamw"},
    "rmsprop": {"optimizer": "rmsprop"},
    "sgd": {"optimizer": "sgd"},
}
LEVELS = {
    "model": [*MODELS, "2 x 128"],
    "optimizer": ["adam", "adam", "adam", "momentum", "momentum", "adamw", "rmsprop", "sgd"],
    "batch_size": [16, 32, 64, 128, 256],
    "n_epochs": [10, 20, 40],
    "n_rows": [400, 1_500],
}
"""What varies; a level that is named more than once is drawn more often."""


JOINT = "2 x units"
SPACE = {
    "model__dropout": uniform(0.0, 0.6),
    "model__units": [32, 64, 128],
    "optimizer__weight_decay": loguniform(1e-6, 1e-1),
    "loss__label_smoothing": uniform(0.0, 0.2),
    "batch_size": [16, 32, 64],
}
"""The model whose hyperparameters are searched jointly, and what is searched."""

N_JOINT = 64
"""Candidates of a joint search."""


@dataclass(frozen=True)
class Cell:
    """One search."""

    table: str
    model: str
    optimizer: str
    batch_size: int
    n_epochs: int
    n_rows: int

    @property
    def path(self) -> Path:
        """Where its record is kept."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]
        return SEARCHES / f"{digest}.jsonl"


def cells() -> list[Cell]:
    """Return all searches: the plain ones of every table first, then round after round, and those
    of joint spaces.
    """
    joint = [Cell(table, JOINT, "adam", 32, 40, 1_500) for table in NAMES]
    plain = [
        Cell(table, "2 x 128", optimizer, 32, 40, 1_500)
        for optimizer in ("adam", "momentum")
        for table in NAMES
    ]
    random = np.random.default_rng(0)
    more = []
    for table in NAMES:
        columns = {name: balanced(levels, random) for name, levels in LEVELS.items()}
        rows = zip(*columns.values(), strict=True)
        more.append([Cell(table, *row) for row in rows])
    rounds = [cell for turn in zip(*more, strict=True) for cell in turn]
    return list(dict.fromkeys(plain + rounds + joint))


def balanced(levels: list, random: np.random.Generator) -> list:
    """Return levels for the searches of one table: all in turn, in random order."""
    n_turns = -(-N_PER_TABLE // len(levels))
    turns = np.concatenate([random.permutation(len(levels)) for _ in range(n_turns)])
    return [levels[i] for i in random.permutation(turns[:N_PER_TABLE])]


def network(meta, model):
    """Build one of the models."""
    import keras

    widths, extra = MODELS[model]
    layers = [keras.Input((meta["n_features_in_"],))]
    for width in widths:
        layers.append(keras.layers.Dense(width, activation="relu"))
        if extra == "normalisation":
            layers.append(keras.layers.BatchNormalization())
        if extra == "dropout":
            layers.append(keras.layers.Dropout(0.3))
    layers.append(keras.layers.Dense(meta["n_classes_"], activation="softmax"))
    return keras.Sequential(layers)


def rows_of(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Return as many training rows of a table as a search asks for."""
    table = load(cell.table, seed=0)
    X, y = table.X_train, table.y_train
    if cell.n_rows < len(y):
        X, _, y, _ = train_test_split(X, y, train_size=cell.n_rows, stratify=y, random_state=0)
    return X, y


def estimator_of(cell: Cell):
    """Return the classifier of a search, unfitted."""
    from scikeras.wrappers import KerasClassifier

    from benchmarks.suites.joint.peers import classifier as jointly_searched

    if cell.model == JOINT:
        return jointly_searched(cell.n_epochs, batch_size=cell.batch_size)
    return KerasClassifier(
        network,
        model__model=cell.model,
        loss="sparse_categorical_crossentropy",
        batch_size=cell.batch_size,
        epochs=cell.n_epochs,
        verbose=0,
        **OPTIMIZERS[cell.optimizer],
    )


def search(cell: Cell) -> float:
    """Search a table, and write down what there is to record; return seconds."""
    from sk_metalr import Experience, MetaLRClassifier

    warnings.simplefilter("ignore")
    start = perf_counter()
    X, y = rows_of(cell)
    of_rates = {"learning_rates": RATES, "n_candidates": len(RATES)}
    jointly = {"param_distributions": SPACE, "n_candidates": N_JOINT}
    fitted = MetaLRClassifier(
        estimator_of(cell),
        **(jointly if cell.model == JOINT else of_rates),
        cv=StratifiedKFold(N_FOLDS, shuffle=True, random_state=0),
        refit=False,
        random_state=0,
    ).fit(X, y)
    found = Experience().record(fitted, X, y)
    write([replace(record, source=cell.table) for record in found], cell.path)
    return perf_counter() - start


def write(records: list, path: Path) -> None:
    """Write records to a file, in place of what was there."""
    from sk_metalr._experience.records import to_lines

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text("".join(to_lines(records)), encoding="utf-8")
    partial.replace(path)  # all of it or nothing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="searches at a time")
    parser.add_argument("--limit", type=int, help="only the first so many searches")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="where to write")
    arguments = parser.parse_args()
    wanted = cells()[: arguments.limit]
    missing = [cell for cell in wanted if not cell.path.exists()]
    print(f"{len(wanted)} searches, {len(missing)} of them to do", flush=True)
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        for cell, seconds in zip(missing, pool.map(search, missing), strict=True):
            print(f"{cell}: {seconds:.0f} s", flush=True)
    from sk_metalr import Experience

    done = [cell.path for cell in cells() if cell.path.exists()]
    write([record for path in done for record in Experience.load(path)], arguments.out)
    print(f"{len(done)} searches, {arguments.out.stat().st_size / 1e6:.2f} MB: {arguments.out}")


if __name__ == "__main__":
    main()
