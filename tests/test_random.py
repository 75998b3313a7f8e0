"""Random states of the caller."""

import random

import numpy as np
import pytest
import tensorflow as tf
from models import small_classifier
from tensorflow.python.framework import config

from sk_metalr import MetaLRClassifier


@pytest.mark.parametrize("seed", [None, 7])
def test_fit_changes_no_global_state(iris, seed):
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    tf.random.set_seed(3)
    tf.random.normal(())
    before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    estimator = MetaLRClassifier(small_classifier(), n_candidates=2, n_splits=1, random_state=seed)
    estimator.fit(*iris)
    assert random.getstate() == before[0]
    if seed is not None:  # without a seed scikit-learn draws from NumPy's global state
        np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    next_number = float(tf.random.normal(()))
    tf.random.set_seed(3)
    tf.random.normal(())
    assert float(tf.random.normal(())) == next_number
    assert not config.is_op_determinism_enabled()
