"""Schedules as tables of factors."""

import keras
import numpy as np
import pytest

from sk_metalr._space.schedules import NAMED, check_schedule


def factors(rule, n_steps=100):
    return check_schedule(rule).factors(n_steps)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("n_steps", [1, 2, 7, 100])
def test_a_named_schedule_has_a_factor_for_each_step(name, n_steps):
    values = factors(name, n_steps)
    assert values.shape == (n_steps,)
    assert values.dtype == np.float32
    assert (values >= 0).all()
    assert values.max() <= 1


def test_named_schedules_are_what_they_are_called():
    assert (factors("constant") == 1).all()
    np.testing.assert_allclose(factors("linear"), 1 - np.arange(100) / 100)
    np.testing.assert_allclose(factors("cosine")[[0, 50]], [1, 0.5], atol=1e-6)
    one_cycle = factors("one_cycle")
    np.testing.assert_allclose(one_cycle[[0, 30]], [1 / 25, 1], atol=1e-6)
    assert (np.diff(one_cycle[:30]) > 0).all()
    assert (np.diff(one_cycle[30:]) < 0).all()


def test_cosine_is_that_of_keras():
    theirs = keras.optimizers.schedules.CosineDecay(0.3, 100)
    np.testing.assert_allclose(factors("cosine"), factors(theirs), atol=1e-6)


def test_keras_schedules_count_steps_and_are_divided_by_their_highest_rate():
    halving = keras.optimizers.schedules.ExponentialDecay(0.4, 10, 0.5)
    np.testing.assert_allclose(factors(halving, 20), 0.5 ** (np.arange(20) / 10), rtol=1e-5)


def test_a_function_of_progress_is_taken_as_it_is():
    np.testing.assert_allclose(factors(lambda progress: 2 + progress, 4), [2, 2.25, 2.5, 2.75])


def test_names():
    def half(progress):
        return 0.5

    rules = ["cosine", half, keras.optimizers.schedules.ExponentialDecay(0.4, 10, 0.5, name="x")]
    assert [check_schedule(rule).name for rule in rules] == ["cosine", "half", "x"]


def test_a_keras_schedule_may_begin_with_nothing():
    frozen = keras.optimizers.schedules.PiecewiseConstantDecay([9], [0.0, 0.1])
    np.testing.assert_array_equal(factors(frozen, 20), np.r_[np.zeros(10), np.ones(10)])


def test_a_schedule_that_takes_one_step_at_a_time_is_asked_step_by_step():
    class Alternating(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 if int(step) % 2 else 0.2

        def get_config(self):
            return {}

    np.testing.assert_allclose(factors(Alternating(), 5), [1, 0.5, 1, 0.5, 1])
