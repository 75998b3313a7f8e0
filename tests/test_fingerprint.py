"""Rows are known again after a scaler fitted anew; fresh rows of the same source are not."""

import json
from itertools import combinations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler

from sk_metalr._fingerprint import Fingerprint, Sketch, fingerprint, shares_rows

SCALERS = StandardScaler(), MinMaxScaler(), QuantileTransformer(n_quantiles=40)


def parts(X, n):
    return np.array_split(np.random.RandomState(0).permutation(len(X)), n)


def scaled(X, rows, number):
    return SCALERS[number % 3].fit_transform(X[rows]).astype(np.float32)


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits, load_wine])
def test_folds_of_a_table_share_rows_however_each_was_scaled(load):
    X, _ = load(return_X_y=True)
    folds = parts(X, 5)
    training = [np.concatenate([f for f in folds if f is not held_out]) for held_out in folds]
    prints = [fingerprint(scaled(X, rows, number)) for number, rows in enumerate(training)]
    found = [shares_rows(one, other) for one, other in combinations(prints, 2)]
    assert np.mean(found) >= 0.9


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits, load_wine])
def test_fresh_rows_of_the_same_source_are_others(load):
    X, _ = load(return_X_y=True)
    prints = [fingerprint(scaled(X, rows, number)) for number, rows in enumerate(parts(X, 4))]
    found = [shares_rows(one, other) for one, other in combinations(prints, 2)]
    assert np.mean(found) <= 0.1


def test_a_part_of_a_table_is_known_again():
    X = np.random.RandomState(0).normal(size=(2_000, 20))
    third, rest, _ = parts(X, 3)
    whole = fingerprint(scaled(X, np.arange(len(X)), 1))
    assert shares_rows(fingerprint(scaled(X, third, 0)), whole)
    assert not shares_rows(fingerprint(scaled(X, third, 0)), fingerprint(scaled(X, rest, 1)))


def test_columns_of_two_values_may_come_and_go():
    random = np.random.RandomState(0)
    X = random.normal(size=(600, 12))
    categories = (random.uniform(size=(600, 9)) < 0.3).astype(float)
    fewer = np.concatenate([X, categories[:, 2:]], axis=1)
    assert shares_rows(fingerprint(np.concatenate([X, categories], axis=1)), fingerprint(fewer))


def test_rows_of_few_codes_are_compared_by_shape():
    X = np.random.RandomState(0).randint(2, size=(400, 4)).astype(float)
    assert not fingerprint(X).sketches
    assert shares_rows(fingerprint(X), fingerprint(X[:250]))
    assert not shares_rows(fingerprint(X), fingerprint(X[:100]))
    assert not shares_rows(fingerprint(X), fingerprint(X[:, :3]))


def test_images_count_as_rows():
    images = np.random.RandomState(0).uniform(size=(300, 6, 6, 1))
    flat = fingerprint(images.reshape(300, -1))
    assert flat.to_dict() == fingerprint(images).to_dict()
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
    before = fingerprint(X)
    text = json.dumps(before.to_dict())
    after = Fingerprint.from_dict(json.loads(text))
    assert after.to_dict() == before.to_dict()
    assert shares_rows(before, after)
    assert len(text) < 8_000
