"""Build the experience that sk_metalr ships: response curves on the benchmark's tables.

    python benchmarks/build_experience.py [--jobs 2] [--limit N]

Every table is searched with two plain strategies, and with a balanced fraction of all
combinations of model, optimizer, batch size, epochs and number of rows. Each search is written
down when it ends: started again after an interruption, the command goes on where it was. Then
all are written to sk_metalr/_experience/default.jsonl.

From a quarter of an hour to an hour and a half on two cores, by how fast they are.
"""

import argparse
import hashlib
import json
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.model_selection import StratifiedKFold, train_test_split
from tables import NAMES, load

HERE = Path(__file__).parent
SEARCHES = HERE / "records" / "experience"
SHIPPED = HERE.parent / "sk_metalr" / "_experience" / "default.jsonl"
RATES = np.geomspace(1e-5, 10, 25)
"""Four a decade."""

N_FOLDS = 5
N_PER_TABLE = 10
"""Searches of each table beside the two plain ones."""

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
        """Where its curves are kept."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]
        return SEARCHES / f"{digest}.npz"


def cells() -> list[Cell]:
    """Return all searches: the plain ones of every table first, then round after round."""
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
    return list(dict.fromkeys(plain + rounds))


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


def rows_of(cell: Cell):
    """Return the table of a search, with as many training rows as it asks for."""
    table = load(cell.table, seed=0)
    X, y = table.X_train, table.y_train
    if cell.n_rows < len(y):
        X, _, y, _ = train_test_split(X, y, train_size=cell.n_rows, stratify=y, random_state=0)
    return X, y, table.X_test, table.y_test


def estimator_of(cell: Cell):
    """Return the classifier of a search, unfitted."""
    from scikeras.wrappers import KerasClassifier

    return KerasClassifier(
        network,
        model__model=cell.model,
        loss="sparse_categorical_crossentropy",
        batch_size=cell.batch_size,
        epochs=cell.n_epochs,
        verbose=0,
        **OPTIMIZERS[cell.optimizer],
    )


def train(cell: Cell) -> float:
    """Search, and keep the learning curves; return seconds."""
    from sk_metalr._search.advice import provenance

    warnings.simplefilter("ignore")
    start = perf_counter()
    curves, mean_curves = curves_of(estimator_of(cell), *rows_of(cell), RATES)
    seconds = perf_counter() - start
    SEARCHES.mkdir(parents=True, exist_ok=True)
    partial = cell.path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            cell=json.dumps(asdict(cell)),
            curves=curves.astype(np.float32),
            mean_curves=mean_curves.astype(np.float32),
            seconds=seconds,
            provenance=json.dumps(provenance()),
        )
    partial.rename(cell.path)
    return seconds


def curves_of(estimator, X, y, X_test, y_test, rates, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """Return log-losses of some rates, and the same with the mean over classes in place of y.

    Of shape (n_rates, n_folds + 1, n_epochs). The last split is trained on all rows, and scored
    on the test rows, which are in none of the others: for judging what the experience proposes,
    and no part of it.
    """
    from sk_metalr import MetaLRClassifier

    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(X, y)
    rows = np.arange(len(y) + len(y_test))
    splits = [*folds, (rows[: len(y)], rows[len(y) :])]
    X, y = np.concatenate([X, X_test]), np.concatenate([y, y_test])
    search = MetaLRClassifier(
        estimator,
        learning_rates=rates,
        n_candidates=len(rates),
        cv=splits,
        refit=False,
        random_state=seed,
    ).fit(X, y)
    curves = search.learning_curves_
    # What a cautious loss adds is the mean over all classes of a row held out.
    return curves, (len(y) + 1) * search.cautious_learning_curves_ - len(y) * curves


def record_of(cell: Cell):
    """Return what the experience keeps of a search."""
    from sk_metalr import ExperienceRecord
    from sk_metalr import _models as wrapped
    from sk_metalr._experience.fingerprint import fingerprint
    from sk_metalr._experience.meta_features import data_features
    from sk_metalr._search.selection import cautious_losses, response_surface

    X, y, *_ = rows_of(cell)
    estimator = estimator_of(cell)
    opened = wrapped.open_estimator(estimator, X, y, seed=0)
    (task,) = wrapped.task_features(opened, wrapped.training_plan(estimator), [None])
    code = np.unique(y, return_inverse=True)[1]
    features = data_features(X, code) | task | {"schedule": "constant"}
    kept = np.load(cell.path)
    curves, means = (kept[name][:, :N_FOLDS].astype(float) for name in ("curves", "mean_curves"))
    losses = cautious_losses(curves, means, len(y))
    surface = response_surface(losses, RATES, features["class_entropy"])
    epochs, curve = surface.lowest(surface.smoothed)
    errors = [surface.standard_error(i, int(epoch)) for i, epoch in enumerate(epochs)]
    return ExperienceRecord(
        fingerprint(X, code),
        features,
        RATES,
        curve,
        np.where(np.isfinite(curve), errors, np.inf),
        epochs + 1,
        features["class_entropy"],
        source=cell.table,
        provenance=json.loads(str(kept["provenance"])),
    )


def write(done: list[Cell], path: Path) -> None:
    """Write the records of searches, in place of what was there."""
    from sk_metalr import Experience

    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    experience = Experience(partial)
    for cell in done:
        experience.append(record_of(cell))
    partial.rename(path)
    Path(f"{partial}.lock").unlink(missing_ok=True)
    print(f"{len(experience)} records, {path.stat().st_size / 1e6:.2f} MB: {path}")


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
        for cell, seconds in zip(missing, pool.map(train, missing), strict=True):
            print(f"{cell}: {seconds:.0f} s", flush=True)
    write([cell for cell in cells() if cell.path.exists()], arguments.out)


if __name__ == "__main__":
    main()
