"""Random states: those of the caller, and those that a fit with a seed has to itself."""

import random
import sys
from contextlib import contextmanager
from threading import Event, Thread

import keras
import numpy as np
import pytest
import tensorflow as tf
from make import SMALL_FITS_WARN, small_classifier, small_mlp
from tensorflow.python.framework import config

from sk_metalr import MetaLRClassifier
from sk_metalr._population.member import Member
from sk_metalr._space import RATE
from sk_metalr._task import Classification

layers = keras.layers
pytestmark = SMALL_FITS_WARN


@pytest.mark.parametrize("seed", [None, 7])
def test_fit_changes_no_global_state(iris, seed):
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    tf.random.set_seed(3)
    tf.random.normal(())
    before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    estimator = MetaLRClassifier(small_classifier(), n_candidates=2, cv=0.2, random_state=seed)
    estimator.fit(*iris)
    assert random.getstate() == before[0]
    if seed is not None:  # without a seed scikit-learn draws from NumPy's global state
        np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    next_number = float(tf.random.normal(()))
    tf.random.set_seed(3)
    tf.random.normal(())
    assert float(tf.random.normal(())) == next_number
    assert not config.is_op_determinism_enabled()


def fitted(X, y, model=small_mlp):
    wrapped = small_classifier(model, epochs=2)
    rates = [1e-2, 1e-1]
    return MetaLRClassifier(wrapped, learning_rates=rates, cv=2, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def alone(iris):
    return fitted(*iris)


def assert_same(one, other, X):
    np.testing.assert_array_equal(one.learning_curves_, other.learning_curves_)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


@contextmanager
def another_thread_goes_on(draw):
    """Call a function again and again in another thread; raise what it raised."""
    begun, is_over, errors = Event(), Event(), []

    def go_on():
        while not is_over.is_set():
            try:
                draw()
            except Exception as error:
                errors.append(error)
                is_over.set()
            begun.set()

    thread, interval = Thread(target=go_on), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that it gets in between wherever it can
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]


@pytest.mark.parametrize(
    "draw",
    [
        random.random,
        np.random.random,
        keras.initializers.RandomNormal,
    ],
    ids=["Python", "NumPy", "Keras"],
)
def test_a_seeded_fit_is_the_same_whatever_other_threads_draw(iris, alone, draw):
    X, y = iris
    with another_thread_goes_on(draw):
        disturbed = fitted(X, y)
    assert_same(alone, disturbed, X)


def mlp_beside_chance(meta):
    """Build a network, and have another thread do what TensorFlow may be told to refuse."""
    with another_thread_goes_on(tf.random.Generator.from_non_deterministic_state):
        return small_mlp(meta)


def test_other_threads_may_do_what_is_not_deterministic(iris, alone):
    X, y = iris
    assert_same(alone, fitted(X, y, mlp_beside_chance), X)


def shifted_mlp(meta):
    """Build a network with a constant that Keras draws without a seed."""
    model = small_mlp(meta)
    inputs = keras.Input((meta["n_features_in_"],))
    shift = keras.ops.convert_to_numpy(keras.random.normal((meta["n_features_in_"],)))
    return keras.Model(inputs, model(inputs + shift))


@pytest.mark.long
def test_what_keras_draws_without_a_seed_is_the_same_in_the_next_fit(iris):
    X, y = iris
    assert_same(fitted(X, y, shifted_mlp), fitted(X, y, shifted_mlp), X)


def test_seeds_that_no_layer_draws_from_stay_out_of_a_step():
    """Carried along, they made a program of many members three times slower."""
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dropout(0.5), layers.Dropout(0.3), layers.Dense(3, "softmax")]
    )
    model.layers[0].rate = 0.0
    model.compile("adam", "sparse_categorical_crossentropy")
    member = Member(model, Classification())
    state, shared = tf.nest.map_structure(tf.constant, member.initial_state(model))
    rows, ones = np.ones((2, 4), np.float32), np.ones(2, np.float32)
    _, step, _ = member.train_step(
        state, shared, {RATE: tf.constant(0.1)}, rows, ones[:, None], ones
    )
    assert step.seeds.keys() == {1}
    first, second = step.after(shared).seeds
    np.testing.assert_array_equal(first, shared.seeds[0])
    assert not np.array_equal(second, shared.seeds[1])
