"""Searches that outlive their process."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from filelock import FileLock
from make import SMALL_FITS_WARN, small_classifier, small_mlp, small_regressor
from sklearn.model_selection import ShuffleSplit

from sk_metalr import Halving, MetaLRClassifier, MetaLRRegressor
from sk_metalr._persistence import archive
from sk_metalr._persistence.hashing import identity
from sk_metalr._population import Block
from sk_metalr._population.training import Trainer
from sk_metalr._search import checkpoint, execution
from sk_metalr.exceptions import CheckpointWarning, EdgeOfSpaceWarning, RefusedFileError

pytestmark = SMALL_FITS_WARN


SEARCHES = {
    "random": {},
    "halving": {"search": Halving(2, 2), "n_candidates": 6},
    "hypergradient": {"search": "hypergradient", "epochs": 20},
    "open": {"learning_rates": "auto", "n_candidates": 3},
    "optimizers": {"param_distributions": {"optimizer": ["sgd", "adam"]}, "n_candidates": 4},
}


@pytest.fixture(autouse=True)
def saved_after_every_epoch(monkeypatch):
    monkeypatch.setattr(execution, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(execution, "TIMES_A_SAVE", 0.0)


def make(folder=None, epochs=8, estimator=None, **params):
    estimator = estimator or small_classifier(epochs=epochs)
    defaults = {"n_candidates": 4, "cv": 2, "random_state": 0}
    return MetaLRClassifier(estimator, checkpoint_dir=folder, **(defaults | params))


class Killed(BaseException):
    """Stands in for the end of the process."""


@pytest.fixture
def kill_at(monkeypatch):
    """Return a function that has the training of epochs end the process, at some of them."""
    train_epoch = Trainer._train_epoch

    def kill(*moments):
        moments, n_trained = list(moments), [0]  # in epochs of groups

        def mortal(self, group, setup, epoch, *until):
            if len(setup.test):  # a refit holds out nothing
                n_trained[0] += 1
                if moments and n_trained[0] >= moments[0]:
                    moments.pop(0)
                    raise Killed
            return train_epoch(self, group, setup, epoch, *until)

        monkeypatch.setattr(Trainer, "_train_epoch", mortal)
        return n_trained

    return kill


def fitted_at_last(X, y, folder, **params):
    """Fit, again and again, until nothing kills it."""
    n_deaths = 0
    while True:
        try:
            return make(folder, **params).fit(X, y), n_deaths
        except Killed:
            n_deaths += 1


def assert_same(one, other, X):
    np.testing.assert_array_equal(one.learning_curves_, other.learning_curves_)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.best_params_ == other.best_params_
    assert one.best_n_epochs_ == other.best_n_epochs_
    assert one.search_cost_["member_epochs"] == other.search_cost_["member_epochs"]
    assert one.search_cost_["lane"] == other.search_cost_["lane"]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[] if kind in ("random", "halving") else [pytest.mark.long])
        for kind in SEARCHES
    ],
)
def test_a_search_goes_on_where_it_was(iris, tmp_path, kill_at, kind):
    X, y = iris
    counted = kill_at()
    whole = make(**SEARCHES[kind]).fit(X, y)
    n_whole = counted[0]
    n_trained = kill_at(8, 14, 21, 30)
    resumed, n_deaths = fitted_at_last(X, y, tmp_path, **SEARCHES[kind])
    assert n_deaths >= 2
    assert_same(whole, resumed, X)
    if kind == "hypergradient":
        np.testing.assert_array_equal(
            whole.learning_rate_trajectories_, resumed.learning_rate_trajectories_
        )
    # What was saved is not trained again: each death costs an epoch of every group.
    n_groups = 4 if kind == "optimizers" else 2
    assert n_trained[0] <= n_whole + n_deaths * n_groups
    assert not (tmp_path / checkpoint.FILE).exists()


def test_a_search_goes_on_that_compared_in_the_first_epoch(iris, tmp_path, kill_at):
    X, y = np.tile(iris[0], (5, 1)), np.tile(iris[1], 5)
    params = {
        "estimator": small_classifier(epochs=3, batch_size=1),
        "search": "halving",
        "n_candidates": 9,
        "cv": 0.5,
    }
    whole = make(**params).fit(X, y)
    assert set(whole.cv_results_["n_resources"]) == {0, 1, 3}
    # Two groups train a part of the first epoch, and one the rest, which is saved.
    n_trained = kill_at(3, 7)
    resumed, n_deaths = fitted_at_last(X, y, tmp_path, **params)
    assert n_deaths == 2
    n_of_later_epochs = n_trained[0] - (3 + 4)
    n_trained = kill_at(4, 6)
    again, n_deaths = fitted_at_last(X, y, tmp_path, **params)
    assert n_deaths == 2
    assert n_trained[0] == 3 + n_of_later_epochs + n_deaths
    assert_same(resumed, again, X)
    np.testing.assert_array_equal(resumed.cv_results_["iter"], again.cv_results_["iter"])
    assert_same(whole, resumed, X)
    for name in ("n_resources", "iter", "mean_test_score"):
        np.testing.assert_array_equal(whole.cv_results_[name], resumed.cv_results_[name])


def test_a_regression_goes_on_where_it_was(iris, tmp_path, kill_at):
    X, _ = iris
    params = {"learning_rates": [1e-3, 1e-2, 1e-1], "cv": 2, "random_state": 0}
    whole = MetaLRRegressor(small_regressor(epochs=6), **params).fit(X, X[:, :2])
    kill_at(8)
    again = MetaLRRegressor(small_regressor(epochs=6), checkpoint_dir=tmp_path, **params)
    with pytest.raises(Killed):
        again.fit(X, X[:, :2])
    again.fit(X, X[:, :2])
    np.testing.assert_array_equal(whole.learning_curves_, again.learning_curves_)
    np.testing.assert_array_equal(whole.predict(X), again.predict(X))


def test_early_stops_are_remembered(iris, tmp_path, kill_at):
    X, y = iris
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1)
    params = {"estimator": small_classifier(epochs=12, callbacks=stop), "learning_rates": [0.1, 1]}
    whole = make(**params).fit(X, y)
    kill_at(5, 8, 11)
    resumed, n_deaths = fitted_at_last(X, y, tmp_path, **params)
    assert n_deaths
    assert_same(whole, resumed, X)


@pytest.mark.long
def test_the_lane_is_remembered(iris, tmp_path, kill_at):
    X, y = iris
    params = {"engine": "keras", "n_candidates": 2, "epochs": 4}
    whole = make(**params).fit(X, y)
    kill_at(15)
    resumed, n_deaths = fitted_at_last(X, y, tmp_path, **params)
    assert n_deaths == 1
    assert_same(whole, resumed, X)


@pytest.mark.long
def test_workers_go_on_where_this_process_was(iris, tmp_path, kill_at):
    X, y = iris
    whole = make(search=Halving(2)).fit(X, y)
    kill_at(10)
    with pytest.raises(Killed):
        make(tmp_path, search=Halving(2)).fit(X, y)
    resumed = make(tmp_path, search=Halving(2), n_jobs=2).fit(X, y)
    assert_same(whole, resumed, X)


def test_without_a_seed_it_goes_on_with_the_one_that_it_began_with(iris, tmp_path, kill_at):
    X, y = iris
    kill_at(8)
    with pytest.raises(Killed):
        make(tmp_path, random_state=None).fit(X, y)
    again = [make(tmp_path, random_state=None) for _ in range(2)]
    saved = (tmp_path / checkpoint.FILE).read_bytes()
    rates = []
    for one in again:
        (tmp_path / checkpoint.FILE).write_bytes(saved)
        rates.append(one.fit(X, y).cv_results_["param_optimizer__learning_rate"].data)
    np.testing.assert_array_equal(*rates)
    fresh = make(tmp_path, random_state=None).fit(X, y)
    assert (fresh.cv_results_["param_optimizer__learning_rate"].data != rates[0]).any()


@pytest.fixture(scope="module")
def begun(iris, tmp_path_factory):
    """Return what a search has saved that was killed."""
    folder = tmp_path_factory.mktemp("begun")
    train = Block.train

    def train_once(self, *args):
        if self.n_epochs:
            raise Killed
        return train(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "SAVE_SECONDS", 0.0)
        patch.setattr(execution, "TIMES_A_SAVE", 0.0)
        patch.setattr(Block, "train", train_once)
        with pytest.raises(Killed):
            make(folder).fit(*iris)
    return (folder / checkpoint.FILE).read_bytes()


def other_mlp(meta):
    """Build another network by the same parameters."""
    return small_mlp(meta, hidden=9)


DIFFERING = {
    "data": ({}, lambda X, y: (X + 1, y), r"the features"),
    "labels": ({}, lambda X, y: (X, np.roll(y, 1)), r"the labels"),
    "parameter": ({"scoring": "accuracy"}, None, r"the parameter 'scoring'"),
    "algorithm": ({"search": Halving()}, None, r"the parameter 'search'"),
    "estimator": ({"estimator": small_classifier(other_mlp, epochs=8)}, None, r"'estimator'"),
    "epochs": ({"epochs": 9}, None, r"the parameter 'estimator'"),
    "random splits": ({"cv": ShuffleSplit(2)}, None, r"'cv'"),
    "seed": ({"random_state": 1}, None, r"'random_state'"),
    "no seed": ({"random_state": None}, None, r"'random_state'"),
}


@pytest.mark.parametrize("kind", DIFFERING)
def test_another_search_is_refused(iris, tmp_path, begun, kind):
    params, change, message = DIFFERING[kind]
    path = tmp_path / checkpoint.FILE
    path.write_bytes(begun)
    estimator = make(tmp_path, **params)
    before = vars(estimator).copy()
    with pytest.raises(ValueError, match=f"'checkpoint_dir' parameter .*{message}.*delete"):
        estimator.fit(*(change(*iris) if change else iris))
    assert path.read_bytes() == begun
    assert vars(estimator) == before


def test_another_version_is_refused(iris, tmp_path, begun, monkeypatch):
    (tmp_path / checkpoint.FILE).write_bytes(begun)
    monkeypatch.setattr(keras, "__version__", "99.0")
    with pytest.raises(ValueError, match="the version of keras"):
        make(tmp_path).fit(*iris)


def test_a_model_that_is_built_otherwise_is_refused(iris, tmp_path, begun, monkeypatch):
    (tmp_path / checkpoint.FILE).write_bytes(begun)
    wider = keras.layers.Dense.__init__

    def init(self, units, **kwargs):
        wider(self, units + (units == 8), **kwargs)

    monkeypatch.setattr(keras.layers.Dense, "__init__", init)
    with pytest.raises(ValueError, match="the model"):
        make(tmp_path).fit(*iris)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.999])
def test_a_truncated_file_is_refused(iris, tmp_path, begun, keep):
    path = tmp_path / checkpoint.FILE
    path.write_bytes(begun[: int(keep * len(begun))])
    with pytest.raises(RefusedFileError, match=r"damaged|truncated"):
        make(tmp_path).fit(*iris)


def test_a_full_disk_costs_the_checkpoint_not_the_search(iris, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(archive.os, "replace", full)
    with pytest.warns(CheckpointWarning, match="not saved: .*No space left") as told:
        fitted = make(tmp_path).fit(*iris)
    assert len([one for one in told if one.category is CheckpointWarning]) == 1
    assert_same(make().fit(*iris), fitted, iris[0])
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.LOCK]


def test_a_folder_that_cannot_be_written_to_is_refused(iris, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"'checkpoint_dir' parameter .* written to"):
        make(tmp_path / "file" / "folder").fit(*iris)


def test_a_save_that_was_cut_short_is_cleared_away(iris, tmp_path, begun):
    (tmp_path / checkpoint.FILE).write_bytes(begun)
    (tmp_path / f".{checkpoint.FILE}.0123.tmp").write_bytes(begun[:100])
    assert_same(make().fit(*iris), make(tmp_path).fit(*iris), iris[0])
    assert {path.name for path in tmp_path.iterdir()} <= {checkpoint.LOCK}


def test_a_folder_serves_one_fit_at_a_time(iris, tmp_path):
    with (
        FileLock(tmp_path / checkpoint.LOCK),
        pytest.raises(ValueError, match=r"'checkpoint_dir' parameter .* another fit uses now"),
    ):
        make(tmp_path).fit(*iris)
    assert make(tmp_path).fit(*iris).score(*iris) > 0.5


def make_counter(start):
    return lambda meta: start


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ([1, 2.5, "a", None], [1, 2.5, "a", None], True),
        ([1], (1,), False),
        (np.arange(3), np.arange(3), True),
        (np.arange(3), np.arange(3.0), False),
        (make_counter(1), make_counter(1), True),
        (make_counter(1), make_counter(2), False),
        (small_mlp, other_mlp, False),
        (small_classifier(), small_classifier(), True),
        (small_classifier(), small_classifier(epochs=4), False),
        (keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.1), True),
        (keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.2), False),
        (ShuffleSplit(3), ShuffleSplit(3), True),
        (ShuffleSplit(3), ShuffleSplit(4), False),
        (ShuffleSplit(3).split, ShuffleSplit(3).split, True),
        (ShuffleSplit(3).split, ShuffleSplit(4).split, False),
        (keras, keras, True),
        (keras, np, False),
    ],
)
def test_identity_is_what_a_value_holds(one, other, alike):
    assert (identity(one) == identity(other)) is alike


FIT = """
import sys
sys.path[:0] = {tests!r}
import numpy as np
from sklearn.datasets import load_iris
from sk_metalr import Halving
from sk_metalr._search import execution
from test_checkpoint import make
execution.SAVE_SECONDS = execution.TIMES_A_SAVE = 0.0
X, y = load_iris(return_X_y=True)
fitted = make(sys.argv[1], epochs=60, search=Halving(2)).fit(X, y)
print("fitted", fitted.best_learning_rate_, fitted.best_n_epochs_, fitted.predict_proba(X).sum(0))
np.savez(sys.argv[2], curves=fitted.learning_curves_, probabilities=fitted.predict_proba(X))
"""


def start(folder, result):
    code = FIT.format(tests=[str(parent) for parent in Path(__file__).parents[:2]])
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(folder), str(result)])


def modified(file):
    return file.stat().st_mtime_ns if file.exists() else 0


def is_running(process, seconds):
    """Wait for the end of a process; tell whether it did not come."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


@pytest.mark.long
def test_a_search_survives_twenty_kills(tmp_path):
    """Twenty times ``kill -9``, at random moments of its work."""
    whole = tmp_path / "whole.npz"
    assert start(tmp_path / "a", whole).wait() == 0
    folder, result = tmp_path / "b", tmp_path / "resumed.npz"
    file = folder / checkpoint.FILE
    random, n_kills = np.random.default_rng(0), 0
    while not result.exists():
        process = start(folder, result)
        written = modified(file)
        while n_kills < 20 and modified(file) == written and is_running(process, 0.01):
            pass  # until it has got a little further
        if n_kills < 20 and is_running(process, random.uniform(0, 0.1)):
            process.send_signal(signal.SIGKILL)
            n_kills += 1
        process.wait()
    assert n_kills == 20
    with np.load(whole) as expected, np.load(result) as got:
        for name in expected:
            np.testing.assert_array_equal(got[name], expected[name])
    assert {path.name for path in folder.iterdir()} <= {checkpoint.LOCK}


def test_the_edge_is_told_of_as_ever(iris, tmp_path):
    with pytest.warns(EdgeOfSpaceWarning):
        make(tmp_path, learning_rates=[1e-4, 1e-3]).fit(*iris)
