"""Large data: features are not copied, and memory stays within what is stated."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from make import SMALL_FITS_WARN, small_classifier
from sklearn.preprocessing import StandardScaler

from sk_metalr import MetaLRClassifier
from sk_metalr import _models as wrapped

pytestmark = [
    SMALL_FITS_WARN,
    pytest.mark.skipif(
        not Path("/proc/self/status").exists(), reason="asks Linux how much memory is in use"
    ),
]
MB = 2**20


def measured(folder, *sizes):
    """Return bytes of X, growth of memory in fit and in predict, and accuracy."""
    script = Path(__file__).parent / "large.py"
    command = [sys.executable, str(script), str(folder), *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1].split()
    return [float(value) for value in last[1:5]]


@pytest.mark.long
def test_a_memory_map_is_never_copied_whole(tmp_path):
    n_bytes, fit_peak, predict_peak, accuracy = measured(tmp_path, 100_000, 500, 2, 1)
    assert fit_peak < 0.7 * n_bytes  # held-out rows are a fifth; training rows would be 0.8
    assert predict_peak < 0.2 * n_bytes
    assert accuracy > 0.7


@pytest.mark.long
def test_a_million_rows_stay_within_300_mb(tmp_path):
    population = 16 * 4 * 3 * 7_500  # weights and Adam's two moments
    n_bytes, fit_peak, predict_peak, accuracy = measured(tmp_path, 1_000_000, 50, 16, 32)
    assert fit_peak < n_bytes + population + 300 * MB
    assert predict_peak < 100 * MB
    assert accuracy > 0.8


class Scaled(type(small_classifier())):
    """Has an encoder that learns from rows."""

    @property
    def feature_encoder(self):
        return StandardScaler()


def test_opening_looks_at_rows_only_where_an_encoder_does():
    X, rows = np.arange(40.0, dtype=np.float32).reshape(20, 2), np.arange(5, 20)
    plain = small_classifier()
    stand_in = wrapped.features_to_open(plain, X, rows)
    assert stand_in.shape == (15, 2)
    assert stand_in.strides[0] == 0
    opened = wrapped.open_estimator(plain, stand_in, np.tile([0, 1, 1], 5), seed=0)
    assert opened.X_shape_ == (15, 2)
    assert opened.n_features_in_ == 2
    scaled = Scaled(**plain.get_params())
    np.testing.assert_array_equal(wrapped.features_to_open(scaled, X, rows), X[rows])
    assert np.shares_memory(wrapped.features_to_open(scaled, X, slice(None)), X)


def test_an_encoder_learns_from_the_training_rows_of_its_split(iris, monkeypatch):
    X, y = iris
    seen = []
    monkeypatch.setattr(
        StandardScaler, "fit", lambda self, X: seen.append(X.copy()) or self.partial_fit(X)
    )
    one = Scaled(**small_classifier(epochs=1).get_params())
    cut = np.arange(150) % 3 > 0, np.arange(150) % 3 == 0
    MetaLRClassifier(one, cv=[cut], n_candidates=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(seen[0], X[cut[0]].astype(np.float32))
    assert all(len(values) == 150 for values in seen[1:])
