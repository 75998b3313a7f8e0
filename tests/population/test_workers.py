"""Groups trained by other processes: joblib's own, Dask's and Ray's."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import joblib
import keras
import numpy as np
import pytest
from joblib.parallel import ThreadingBackend
from make import SMALL_FITS_WARN, small_classifier, small_mlp

from sk_metalr import Halving, MetaLRClassifier
from sk_metalr._population.workers import MAX_FAILURES, unordered
from sk_metalr.exceptions import NotVectorizableError

pytestmark = SMALL_FITS_WARN


# Of the tests; workers import this file anew, with the same environment.
PARENT = int(os.environ.setdefault("PROCESS_OF_TESTS", str(os.getpid())))


def make(estimator=None, **params):
    defaults = {"learning_rates": list(np.geomspace(1e-3, 1.0, 9)), "random_state": 0}
    estimator = estimator or small_classifier(epochs=4)
    return MetaLRClassifier(estimator, **(defaults | {"cv": 3} | params))


def assert_same(one, other, X):
    np.testing.assert_array_equal(one.learning_curves_, other.learning_curves_)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.best_params_ == other.best_params_
    assert one.search_cost_["member_epochs"] == other.search_cost_["member_epochs"]
    assert one.search_cost_["lane"] == other.search_cost_["lane"]


def doubled(number, flag=None, times=1):
    """Return twice a number; but kill the worker so many times for the number 1."""
    if number == 1 and flag is not None and os.getpid() != PARENT:
        deaths = len(list(Path(flag).iterdir()))
        if deaths < times:
            Path(flag, str(deaths)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if number == 13:
        raise ValueError("13 is no number")
    return 2 * number


@pytest.mark.long
def test_every_result_comes_once(tmp_path):
    calls = [(number, str(tmp_path)) for number in range(4)]
    assert sorted(unordered(doubled, calls, 2)) == [(n, 2 * n) for n in range(4)]
    assert len(list(tmp_path.iterdir())) == 1  # one worker has died


@pytest.mark.long
def test_workers_that_die_again_and_again_are_an_error(tmp_path):
    with pytest.raises(RuntimeError, match=r"terminated|died|killed"):
        list(unordered(doubled, [(1, str(tmp_path), 99)], 2))
    assert len(list(tmp_path.iterdir())) == MAX_FAILURES


@pytest.mark.long
def test_an_error_of_the_function_is_raised_as_it_is():
    with pytest.raises(ValueError, match="13 is no number"):
        list(unordered(doubled, [(1,), (13,)], 2))


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({}, marks=pytest.mark.long),
        {"search": Halving(2, 1)},
        {"search": "hypergradient", "cv": 0.2},
        pytest.param(
            {"param_distributions": {"optimizer": ["sgd", "adam"]}, "n_models": 2},
            marks=pytest.mark.long,
        ),
    ],
    ids=["random", "halving", "hypergradient", "optimizers"],
)
def test_workers_choose_the_same(iris, params):
    X, y = iris
    assert_same(make(**params).fit(X, y), make(n_jobs=2, **params).fit(X, y), X)


@pytest.mark.long
def test_workers_stop_members_early(iris):
    X, y = iris
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1)
    params = {"estimator": small_classifier(epochs=8, callbacks=stop), "search": "halving"}
    here, there = (make(n_jobs=n_jobs, **params).fit(X, y) for n_jobs in (1, 2))
    assert_same(here, there, X)


def mlp_in_a_mortal_worker(meta, flag):
    """Build a network, and kill the worker that does so, once."""
    if os.getpid() != PARENT and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return small_mlp(meta)


@pytest.mark.long
def test_a_worker_that_is_killed_costs_only_its_work(iris, tmp_path):
    X, y = iris
    flag = tmp_path / "killed"
    mortal = small_classifier(mlp_in_a_mortal_worker, epochs=4, model__flag=str(flag))
    killed = make(mortal, n_jobs=2, search="halving").fit(X, y)
    assert flag.exists()
    assert_same(make(search="halving").fit(X, y), killed, X)


class OwnConvolution(keras.layers.Layer):
    """Nobody can tell from its type that it does not vectorise."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(2, 1, 2))

    def call(self, x):
        return keras.layers.Flatten()(keras.ops.conv(x[..., None], self.kernel))


def convolving_mlp(meta):
    """Build a network with a layer of the user's own."""
    inputs = keras.Input((meta["n_features_in_"],))
    outputs = keras.layers.Dense(meta["n_classes_"], "softmax")(OwnConvolution()(inputs))
    return keras.Model(inputs, outputs)


@pytest.mark.long
def test_what_a_worker_cannot_vectorise_goes_to_the_next_lane(iris):
    X, y = iris
    here, there = (
        make(small_classifier(convolving_mlp, epochs=2), n_jobs=n_jobs, cv=0.2).fit(X, y)
        for n_jobs in (1, 2)
    )
    assert here.search_cost_["lane"] == there.search_cost_["lane"] != "vectorized"
    # Sums over rows depend on how many threads TensorFlow has.
    np.testing.assert_allclose(here.learning_curves_, there.learning_curves_, atol=1e-5)
    assert here.best_params_ == there.best_params_
    with pytest.raises(NotVectorizableError):
        make(small_classifier(convolving_mlp), engine="vectorized", n_jobs=2).fit(X, y)


class CountedThreads(ThreadingBackend):
    """Notes how many workers it is asked to start."""

    started: ClassVar[list[int]] = []

    def configure(self, n_jobs=1, parallel=None, **settings):
        self.started.append(n_jobs)
        return super().configure(n_jobs, parallel, **settings)


@pytest.mark.long
def test_no_more_workers_are_started_than_there_is_work(iris):
    joblib.register_parallel_backend("counted", CountedThreads)
    X, y = iris
    with joblib.parallel_config(backend="counted"):
        there = make(n_jobs=1000, search="halving").fit(X, y)
    n_members = 9 * 3
    assert 1 < max(CountedThreads.started) <= n_members
    assert_same(make(search="halving").fit(X, y), there, X)


def test_threads_are_workers_too(iris):
    X, y = iris
    with joblib.parallel_config(backend="threading", n_jobs=2):
        there = make().fit(X, y)
    assert_same(make().fit(X, y), there, X)


def test_forking_is_refused(iris):
    with (
        joblib.parallel_config(backend="multiprocessing"),
        pytest.raises(ValueError, match=r"'n_jobs' parameter .* use joblib.parallel_config"),
    ):
        make(n_jobs=2).fit(*iris)


def test_splits_that_a_worker_only_counts_have_their_own_numbers_of_rows(iris):
    X, y = iris
    rows = np.random.RandomState(0).permutation(len(y))
    splits = [(rows[50:], rows[:50]), (rows[:113], rows[113:])]
    one = MetaLRClassifier(small_classifier(epochs=1), learning_rates=[1e-2], cv=splits)
    one.set_params(refit=False, random_state=0).fit(X, y)
    evaluation = one._prepared_again(X, y, None, None, (None, None)).evaluation
    for setup, (train, test) in zip(evaluation.setups({}, {1}), splits, strict=True):
        assert len(setup.train_weight) == len(setup.train) == len(train)
        assert len(setup.test_weight) == len(setup.test) == len(test)


@pytest.mark.long
def test_workers_compute_in_the_types_of_this_process(iris):
    policy, how = keras.config.dtype_policy(), {"cv": 2, "learning_rates": [0.01, 0.1]}
    before = make(**how).fit(*iris)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        alone, shared = (make(n_jobs=n, **how).fit(*iris) for n in (1, 2))
    finally:
        keras.config.set_dtype_policy(policy)
    np.testing.assert_allclose(shared.learning_curves_, alone.learning_curves_, atol=1e-5)
    assert not np.allclose(alone.learning_curves_, before.learning_curves_, atol=1e-4)


PAGE_FAULTS = """
from contextlib import nullcontext
from resource import RUSAGE_SELF, getrusage

import numpy as np

from sk_metalr._population.allocator import memory_kept


def faults(context):
    with context:
        before = getrusage(RUSAGE_SELF).ru_minflt
        for _ in range(100):
            np.ones(2**17)
        return getrusage(RUSAGE_SELF).ru_minflt - before


print(faults(nullcontext()), faults(memory_kept()), faults(nullcontext()))
"""


@pytest.mark.long
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about the GNU C library")
def test_freed_memory_is_kept_where_dask_has_told_the_process_not_to():
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", PAGE_FAULTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    before, kept, after = map(int, done.stdout.split())
    # Each of a hundred arrays of 1 MB has 256 pages.
    assert before > 20_000
    assert kept < 2_000
    assert after > 20_000
