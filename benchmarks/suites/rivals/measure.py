"""Whole fits of ours and of the strongest rivals, each at its defaults, on the same rows.

Ours train the ready-made network; one of them, two plain hidden layers of 128 units.

Rivals are given the features as the network gets them: numeric, categories one-hot, scaled. Their
own early stopping, where they have it by default, is theirs. A fit is timed with all that it does,
imports aside; the first of ours in a process compiles. They come with
``pip install -e ".[rivals]"``. Each imports its own library: TensorFlow and PyTorch do not live in
one process.
"""

import warnings
from importlib.metadata import version
from time import perf_counter

from scipy.stats import loguniform, uniform
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.preprocessing import LabelEncoder
from sklearn.svm import SVC

from benchmarks.harness.scores import score
from benchmarks.harness.tables import NAMES, load

FIRST, OTHERS = [0], [1, 2]
"""Divisions that all are measured on, and those that all but the slowest are."""
EPOCHS, BATCH_SIZE = 40, 32
OURS = "MetaLRClassifier"
PLAIN = f"{OURS} around 2 × 128 units"
ENSEMBLE = f"{OURS}, n_models=10"
JOINT = f"{OURS}, joint search, n_models=10"
SPACE = {
    "model__dropout": uniform(0, 0.6),
    "optimizer__weight_decay": loguniform(1e-6, 1e-1),
    "model__units": [32, 64, 128],
}
STOPPED = "early stopping, CalibratedClassifierCV by temperature"
SLOWEST = JOINT, STOPPED, "TabM"
PACKAGES = "catboost", "lightgbm", "xgboost", "pytabkit", "torch"


def ours(seed: int, space: dict | None = None, **params):
    """Return ours around the ready-made network, or search its units, dropout and decay, too."""
    import keras  # noqa: F401 - before the fit, whose time it is no part of

    from sk_metalr import MetaLRClassifier

    return MetaLRClassifier(None, space, random_state=seed, **params)


def around_plain(seed: int):
    """Wrap the network of the other suites."""
    from benchmarks.harness.networks import keras_classifier
    from sk_metalr import MetaLRClassifier

    wrapped = keras_classifier(EPOCHS, batch_size=BATCH_SIZE, random_state=seed)
    return MetaLRClassifier(wrapped, random_state=seed)


def calibrated_stopping(seed: int):
    """Stop the network early at Keras's default rate, and fit a temperature on five folds."""
    import keras

    from benchmarks.harness.networks import TaggedKerasClassifier

    plain = around_plain(seed).estimator.get_params(deep=False)
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    how = {"callbacks": [stop], "validation_split": 0.2, "compile__steps_per_execution": 16}
    wrapped = TaggedKerasClassifier(**plain | how)
    return CalibratedClassifierCV(wrapped, method="temperature", ensemble=False)


def catboost(seed: int):
    from catboost import CatBoostClassifier

    return CatBoostClassifier(verbose=0, allow_writing_files=False, random_seed=seed)


def lightgbm(seed: int):
    from lightgbm import LGBMClassifier

    return LGBMClassifier(verbose=-1, random_state=seed)


def xgboost(seed: int):
    from xgboost import XGBClassifier

    class OfAnyLabels(XGBClassifier):
        """XGBoost takes classes as numbers from 0 on."""

        def fit(self, X, y):
            return super().fit(X, LabelEncoder().fit_transform(y))

    return OfAnyLabels(random_state=seed)


def realmlp(seed: int):
    from pytabkit import RealMLP_TD_Classifier

    return RealMLP_TD_Classifier(random_state=seed, device="cpu")


def tabm(seed: int):
    from pytabkit import TabM_D_Classifier

    return TabM_D_Classifier(random_state=seed, device="cpu")


CONTENDERS = {
    OURS: ours,
    ENSEMBLE: lambda seed: ours(seed, n_models=10),
    JOINT: lambda seed: ours(seed, SPACE, n_models=10),
    PLAIN: around_plain,
    STOPPED: calibrated_stopping,
    "CatBoost": catboost,
    "LightGBM": lightgbm,
    "XGBoost": xgboost,
    "RealMLP": realmlp,
    "TabM": tabm,
    "HistGradientBoosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "RandomForest, calibrated": lambda seed: CalibratedClassifierCV(
        RandomForestClassifier(random_state=seed)
    ),
    "SVC, calibrated": lambda seed: CalibratedClassifierCV(SVC(), ensemble=False),
}


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own: a contender on divisions of a table."""
    names = [] if quick else NAMES
    return {
        f"rivals {table} {contender} {divisions}": {
            "table": table,
            "contender": contender,
            "divisions": divisions,
        }
        for divisions in (FIRST, OTHERS)
        for table in names
        for contender in CONTENDERS
        if divisions == FIRST or contender not in SLOWEST
    }


def measure(table: str, contender: str, divisions: list[int]) -> dict:
    """Return one record for each train/test division, and versions."""
    warnings.simplefilter("ignore")
    rows = []
    for seed in divisions:
        rows_of = load(table, seed)
        unfitted = CONTENDERS[contender](seed)
        start = perf_counter()
        fitted = unfitted.fit(rows_of.X_train, rows_of.y_train)
        seconds = perf_counter() - start
        scores = score(rows_of.y_test, fitted.predict_proba(rows_of.X_test))
        rows.append({"contender": contender, "seed": seed, "seconds": seconds, **scores})
    return {"rows": rows, "versions": {name: version(name) for name in PACKAGES}}
