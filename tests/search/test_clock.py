"""A search that has only so much time."""

import keras
import numpy as np
import pytest
from make import SMALL_FITS_WARN, small_classifier

from sk_metalr import MetaLRClassifier
from sk_metalr._search import clock as clocks
from sk_metalr._search.clock import Clock
from sk_metalr.exceptions import InterruptedSearchWarning

pytestmark = SMALL_FITS_WARN


class Watch:
    """Stands in for ``time.perf_counter``."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def watch(monkeypatch):
    watch = Watch()
    monkeypatch.setattr(clocks, "perf_counter", watch)
    return watch


@pytest.mark.parametrize(("n_models", "expected"), [(1, 8), (2, 8), (0, 5)])
def test_time_is_left_for_the_refit(watch, n_models, expected):
    """Of models that train side by side, or of whose epochs nothing is told."""
    clock = Clock(20.0, start=watch.now)

    def fit(n_epochs, task):
        watch.now += 3.0
        with task("refit", n_epochs) as step:
            for _ in range(n_epochs):
                watch.now += 1.0
                for _ in range(n_models):
                    step(None)

    clock.measure_refit(fit)
    watch.now = 100.0
    clock.search_epoch, seen = 1.0, 0
    while clock.allows(seen + 1):
        watch.now += 1.0
        seen += 1
    # 20 s are for 8 epochs of search and of refit, and 3 s around it. Where only whole refits are
    # seen, 2 epochs of which took 5 s, an epoch is taken for 2.5 s.
    assert seen == expected


def fitted(iris, **params):
    defaults = {"learning_rates": [1e-3, 1e-2, 1e-1], "cv": 2, "random_state": 0}
    return MetaLRClassifier(**(defaults | params)).fit(*iris)


def test_a_fit_without_time_chooses_after_one_epoch(iris):
    seen = []
    told = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append("fit"))
    wrapped = small_classifier(epochs=8, callbacks=[told])
    with pytest.warns(InterruptedSearchWarning, match="after 1 of 8 epochs"):
        hasty = fitted(iris, estimator=wrapped, max_time=1e-3)
    assert hasty.best_n_epochs_ == 1
    assert hasty.predict_proba(iris[0]).shape == (150, 3)
    assert seen == ["fit"]  # the measured refits are not for callbacks to see


def test_a_fit_with_time_to_spare_finds_the_same(iris):
    wrapped = small_classifier(epochs=4)
    free, timed = (fitted(iris, estimator=wrapped, max_time=t) for t in (None, 1e6))
    np.testing.assert_array_equal(free.learning_curves_, timed.learning_curves_)
    assert free.best_params_ == timed.best_params_
    np.testing.assert_array_equal(free.predict_proba(iris[0]), timed.predict_proba(iris[0]))
