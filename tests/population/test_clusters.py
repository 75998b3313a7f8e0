"""Groups trained by the workers of a real Dask cluster, and of a real Ray cluster."""

import os
import signal
from pathlib import Path

import joblib
import numpy as np
import pytest
from make import small_classifier
from sklearn.model_selection import GridSearchCV

from sk_metalr import MetaLRClassifier
from sk_metalr._population import Block

# Clusters leave threads, sockets and processes to the garbage collector, and warn of their own age.
pytestmark = pytest.mark.filterwarnings("default")


def make(**params):
    defaults = {"learning_rates": list(np.geomspace(1e-3, 1.0, 9)), "random_state": 0}
    return MetaLRClassifier(small_classifier(epochs=4), **(defaults | {"cv": 3} | params))


def assert_same(one, other, X):
    np.testing.assert_array_equal(one.learning_curves_, other.learning_curves_)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.best_params_ == other.best_params_


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.long
def test_dask_chooses_the_same(iris, dask):
    X, y = iris
    with joblib.parallel_config(backend="dask"):
        there = make(search="halving").fit(X, y)
    assert_same(make(search="halving").fit(X, y), there, X)


@pytest.mark.long
def test_dask_survives_the_death_of_a_worker(iris, dask, monkeypatch):
    X, y = iris
    elsewhere, pids = Block._train_by_executor, list(dask.run(os.getpid).values())

    def deadly(self, *args):
        if self.n_epochs and len(pids) == 2:
            os.kill(pids.pop(), signal.SIGKILL)
        elsewhere(self, *args)

    monkeypatch.setattr(Block, "_train_by_executor", deadly)
    with joblib.parallel_config(backend="dask"):
        there = make(search="halving").fit(X, y)
    assert len(pids) == 1
    assert_same(make(search="halving").fit(X, y), there, X)


def search_within(X, y):
    search = GridSearchCV(make(cv=0.2), {"n_candidates": [2, 3]}, n_jobs=2, cv=2)
    return search.fit(X, y).cv_results_["mean_test_score"]


@pytest.mark.long
def test_searches_within_a_dask_worker(iris, dask):
    X, y = iris
    there = dask.submit(search_within, X, y, pure=False).result()
    np.testing.assert_array_equal(there, search_within(X, y))


@pytest.mark.long
def test_ray_chooses_the_same(iris):
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    X, y = iris
    register_ray()
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    try:
        with joblib.parallel_config(backend="ray", n_jobs=2):
            there = make(search="halving").fit(X, y)
    finally:
        ray.shutdown()
    assert_same(make(search="halving").fit(X, y), there, X)
