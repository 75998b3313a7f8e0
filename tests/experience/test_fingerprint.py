"""Rows are known again after a scaler fitted anew; fresh rows of the same source are not."""

import json
from itertools import combinations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler

from sk_metalr._experience.fingerprint import Fingerprint, Sketch, fingerprint, shares_rows

SCALERS = StandardScaler(), MinMaxScaler(), QuantileTransformer(n_quantiles=40)


def parts(X, n):
    return np.array_split(np.random.RandomState(0).permutation(len(X)), n)


def scaled(X, rows, number):
    return SCALERS[number % 3].fit_transform(X[rows]).astype(np.float32)


def printed(X, n_first=0):
    """Return the fingerprint of rows of which the first so many are of one class."""
    return fingerprint(X.astype(np.float32), (np.arange(len(X)) >= n_first).astype(int))


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits, load_wine])
def test_folds_of_a_table_share_rows_however_each_was_scaled(load):
    X, _ = load(return_X_y=True)
    folds = parts(X, 5)
    training = [np.concatenate([f for f in folds if f is not held_out]) for held_out in folds]
    prints = [printed(scaled(X, rows, n), 10 * n) for n, rows in enumerate(training)]
    found = [shares_rows(one, other) for one, other in combinations(prints, 2)]
    assert np.mean(found) >= 0.9


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits, load_wine])
def test_fresh_rows_of_the_same_source_are_others(load):
    X, _ = load(return_X_y=True)
    prints = [printed(scaled(X, rows, n), 10 * n) for n, rows in enumerate(parts(X, 4))]
    found = [shares_rows(one, other) for one, other in combinations(prints, 2)]
    assert np.mean(found) <= 0.1


def test_a_part_of_a_table_is_known_again():
    X = np.random.RandomState(0).normal(size=(2_000, 20))
    third, rest, _ = parts(X, 3)
    whole = printed(scaled(X, np.arange(len(X)), 1))
    assert shares_rows(printed(scaled(X, third, 0)), whole)
    assert not shares_rows(printed(scaled(X, third, 0)), printed(scaled(X, rest, 1), 10))


def test_rows_as_they_are_are_known_again_however_few_the_columns():
    X = np.random.RandomState(0).normal(size=(90, 3))
    X[:, 2] = 0
    assert shares_rows(printed(X[:60]), printed(X[30:] * [1, 1, -1], 10))
    assert not shares_rows(printed(X[:45]), printed(X[45:], 10))


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
@pytest.mark.parametrize("n_folds", [2, 3, 10])
def test_stratified_folds_are_known_whatever_was_done_to_their_rows(load, n_folds):
    X, y = load(return_X_y=True)
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0).split(X, y)
    prints = [
        fingerprint(PCA(3).fit_transform(X[rows]).astype(np.float32), y[rows]) for rows, _ in folds
    ]
    assert all(shares_rows(one, other) for one, other in combinations(prints, 2))


@pytest.mark.parametrize(
    ("counts", "n_columns", "alike"),
    [
        ([50, 50], 40, True),
        ([51, 49], 40, True),
        ([52, 50], 40, False),
        ([50, 50, 1], 40, False),
        ([50, 50], 37, True),
        ([50, 50], 35, False),
    ],
)
def test_folds_have_as_many_rows_of_each_class(counts, n_columns, alike):
    one, other = (
        Fingerprint(sum(n), columns, tuple(n), {"all 8x6": Sketch(columns, 100, hashes)})
        for n, columns, hashes in [
            ([50, 50], 40, np.arange(100, dtype=np.uint32)),
            (counts, n_columns, np.arange(100, 200, dtype=np.uint32)),
        ]
    )
    assert shares_rows(one, other) == shares_rows(other, one) == alike


def test_columns_of_two_values_may_come_and_go():
    random = np.random.RandomState(0)
    X = random.normal(size=(600, 12))
    categories = (random.uniform(size=(600, 9)) < 0.3).astype(float)
    fewer = np.concatenate([X, categories[:, 2:]], axis=1)
    assert shares_rows(printed(np.concatenate([X, categories], axis=1)), printed(fewer, 10))


def test_rows_of_few_codes_are_compared_by_shape():
    X = np.random.RandomState(0).randint(2, size=(400, 4)).astype(float)
    assert not printed(X).sketches
    assert shares_rows(printed(X), printed(X[:250]))
    assert not shares_rows(printed(X), printed(X[:100]))
    assert not shares_rows(printed(X), printed(X[:, :3]))


def test_images_count_as_rows():
    images = np.random.RandomState(0).uniform(size=(300, 6, 6, 1))
    flat = printed(images.reshape(300, -1))
    assert flat.to_dict() == printed(images).to_dict()
    assert (flat.n_rows, flat.n_columns) == (300, 36)


@pytest.mark.parametrize(("n_mine", "n_theirs", "n_shared"), [(100, 90, 60), (5000, 900, 450)])
def test_containment_is_the_share_of_the_smaller_set(n_mine, n_theirs, n_shared):
    hashes = np.unique(
        np.random.RandomState(0).randint(2**32, size=n_mine + n_theirs, dtype=np.uint32)
    )
    np.random.RandomState(1).shuffle(hashes)
    mine, theirs = hashes[:n_mine], hashes[n_mine - n_shared : n_mine + n_theirs - n_shared]
    one, other = (
        Sketch(3, len(values), np.sort(values.astype(np.uint32))[:128]) for values in (mine, theirs)
    )
    expected = n_shared / min(n_mine, n_theirs)
    # Exact where both are known in full, else within three standard errors of 128 draws.
    assert one.containment(other) == pytest.approx(expected, abs=0 if n_mine <= 128 else 0.25)
    assert one.containment(other) == other.containment(one)


def test_it_survives_json_and_is_small():
    X, _ = load_breast_cancer(return_X_y=True)
    before = printed(X, 100)
    text = json.dumps(before.to_dict())
    after = Fingerprint.from_dict(json.loads(text))
    assert after.to_dict() == before.to_dict()
    assert shares_rows(before, after)
    assert len(text) < 8_000
