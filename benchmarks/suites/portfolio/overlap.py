"""How often folds of a table are recognised as such, and other rows told apart from them.

Every training part of a cross-validation is scaled anew, each by another scaler, as in a Pipeline.
"""

from itertools import combinations

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler

from benchmarks.harness.tables import NAMES, TEXT, load_frame, preprocessing
from sk_metalr._experience.fingerprint import fingerprint, shares_rows

SCALERS = StandardScaler(), MinMaxScaler(), QuantileTransformer(n_quantiles=40)
MAX_ROWS = 1_500
FOLDS = 2, 3, 5, 10
QUARTERS = "quarters of a table, which share no row"


def shares() -> list[dict]:
    """Return how often two parts of a table are said to share rows or to be folds of one."""
    rows = []
    for name in NAMES:
        if name == TEXT:  # its columns are topics, which are fitted to the rows
            continue
        X, y = load_frame(name)
        code = np.unique(y, return_inverse=True)[1]
        kept = np.random.RandomState(0).permutation(len(y))[:MAX_ROWS]
        X, code = X.iloc[kept], code[kept]
        for n in FOLDS:
            for kind, splitter in (("stratified", StratifiedKFold), ("not stratified", KFold)):
                folds = splitter(n, shuffle=True, random_state=0).split(X, code)
                what = f"training parts of {n} folds, {kind}"
                rows.append(_row(name, what, X, code, [train for train, _ in folds]))
        quarters = KFold(4, shuffle=True, random_state=0).split(X, code)
        rows.append(_row(name, QUARTERS, X, code, [test for _, test in quarters]))
    return rows


def _row(table, what, X, code, parts) -> dict:
    prints = [
        fingerprint(_prepared(X.iloc[part], SCALERS[number % len(SCALERS)]), code[part])
        for number, part in enumerate(parts)
    ]
    found = [shares_rows(one, other) for one, other in combinations(prints, 2)]
    return {"table": table, "comparison": what, "share": float(np.mean(found))}


def _prepared(X, scaler) -> np.ndarray:
    prepare = preprocessing().set_params(**{"pipeline-1__standardscaler": scaler})
    return np.asarray(prepare.fit_transform(X), np.float32)
