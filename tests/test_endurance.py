"""Many fits: one after another, at once, and within others. Take minutes: ``pytest -m long``."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from make import SMALL_FITS_WARN, small_classifier
from sklearn.model_selection import cross_validate

from sk_metalr import MetaLRClassifier

pytestmark = SMALL_FITS_WARN


MEGABYTE = 2**20


def make(seed=0, hidden=8):
    return MetaLRClassifier(
        small_classifier(model__hidden=hidden),
        n_candidates=4,
        cv=2,
        random_state=seed,
    )


def resident(process=None):
    return (process or psutil.Process()).memory_info().rss


@pytest.mark.long
@pytest.mark.parametrize("n_threads", [1, 8])
def test_fits_at_once_do_not_meet(iris, n_threads):
    """Fits from several threads give what they give one by one."""
    X, y = iris
    alone = [make(seed, 8 + seed % 2).fit(X, y).predict_proba(X) for seed in range(4)]
    with ThreadPoolExecutor(n_threads) as threads:
        together = threads.map(lambda seed: make(seed, 8 + seed % 2).fit(X, y), [0, 1, 2, 3] * 2)
        for number, fitted in enumerate(together):
            np.testing.assert_array_equal(fitted.predict_proba(X), alone[number % 4])


@pytest.mark.long
def test_five_hundred_fits_take_no_more_memory(iris):
    X, y = iris
    used = []
    for number in range(500):
        make(number % 7).fit(X, y).predict_proba(X)
        used.append(resident())
    growth = (np.mean(used[-20:]) - np.mean(used[80:100])) / 400
    print(f"{growth / 1024:.0f} kB a fit, {used[-1] / MEGABYTE:.0f} MB in the end")
    assert growth < 0.2 * MEGABYTE


@pytest.mark.long
def test_a_hundred_cross_validations_take_no_more_memory(iris):
    X, y = iris
    used, scores = [], []
    for _ in range(100):
        scores.append(cross_validate(make(), X, y, cv=2, n_jobs=2)["test_score"])
        children = psutil.Process().children(recursive=True)
        used.append(resident() + sum(resident(child) for child in children))
    np.testing.assert_array_equal(scores, np.tile(scores[0], (100, 1)))
    growth = (np.mean(used[-10:]) - np.mean(used[15:25])) / 80 / 2
    print(f"{growth / 1024:.0f} kB a fit, {used[-1] / MEGABYTE:.0f} MB in the end")
    assert growth < 0.5 * MEGABYTE
