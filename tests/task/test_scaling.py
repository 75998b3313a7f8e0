"""Scaling of targets, and what a regression asks of it; without any model."""

import keras
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from sk_metalr._recorded import Recorded
from sk_metalr._task import MultiLabel, Regression, TargetScaler
from sk_metalr._task.losses import same_loss

RNG = np.random.RandomState(0)
Y = RNG.normal(5, [1e-3, 1.0, 1e4], size=(50, 3))


def test_it_scales_as_scikit_learn_does():
    expected = StandardScaler().fit(Y)
    scaler = TargetScaler.learned(Y, "standard")
    np.testing.assert_allclose(scaler.transform(Y), expected.transform(Y))
    np.testing.assert_allclose(scaler.inverse(scaler.transform(Y)), Y)
    one = TargetScaler.learned(Y[:, 0], "standard")
    np.testing.assert_allclose(one.transform(Y[:, 0]), expected.transform(Y)[:, 0])


def test_a_constant_is_centred_and_predicted_as_it_is():
    scaler = TargetScaler.learned(np.full(7, 0.1), "standard")
    np.testing.assert_array_equal(scaler.transform(np.full(7, 0.1)), 0)
    np.testing.assert_array_equal(scaler.inverse(np.ones((4, 1))), 0.1)


def test_weights_count():
    weight = np.linspace(0, 1, len(Y))
    expected = StandardScaler().fit(Y, sample_weight=weight)
    scaler = TargetScaler.learned(Y, "standard", weight)
    np.testing.assert_allclose(scaler.transform(Y), expected.transform(Y), atol=1e-9)


@pytest.mark.parametrize(("kind", "mean"), [("positive", 1.0), ("none", 5.0)])
def test_other_kinds_do_not_shift(kind, mean):
    y = np.array([0.0, 5, 10])
    scaler = TargetScaler.learned(y, kind)
    assert scaler.transform(y)[0] == 0
    assert scaler.transform(y).mean() == mean


@pytest.mark.parametrize(
    ("loss", "scaling"),
    [
        ("mean_squared_error", "standard"),
        (keras.losses.Huber(), "standard"),
        (keras.losses.Poisson(), "positive"),
        ("poisson", "positive"),
        ("mean_squared_logarithmic_error", "none"),
        (keras.losses.MeanAbsolutePercentageError(), "none"),
    ],
)
def test_the_loss_says_how_targets_may_be_scaled(loss, scaling):
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    assert Regression().suited(loss).scaling == scaling
    assert Regression(scales=False).suited(loss).scaling == "none"


def test_losses_are_told_apart_by_their_settings():
    huber = keras.losses.Huber
    assert same_loss(huber(delta=0.5), huber(delta=0.5, name="other"))
    assert not same_loss(huber(delta=0.5), huber(delta=1.0))
    assert not same_loss(keras.losses.get("mse"), keras.losses.get("mae"))


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error", "huber", "poisson"])
def test_losses_are_those_of_keras_less_those_of_a_perfect_prediction(loss):
    rng = np.random.RandomState(1)
    target, outputs = rng.uniform(0.1, 2, (2, 20, 3)).astype(np.float32)
    weight = rng.uniform(0.1, 2, 20).astype(np.float32)
    function = keras.losses.get(loss)
    task = Regression(3, by_training_loss=True).suited(function)
    (found,) = np.asarray(task.losses(outputs, target, weight))
    call = function.call if hasattr(function, "call") else function
    excess = np.asarray(call(target, outputs)) - np.asarray(call(target, target))
    np.testing.assert_allclose(found, (excess * weight).sum(), rtol=1e-4)
    assert found > 0


def test_squared_errors_are_recorded_for_each_output():
    rng = np.random.RandomState(1)
    target, outputs = rng.normal(size=(2, 20, 3)).astype(np.float32)
    weight = rng.uniform(0.1, 2, 20).astype(np.float32)
    task = Regression(3)
    found = np.asarray(task.losses(outputs, target, weight))
    of_outputs = ((outputs - target) ** 2 * weight[:, None]).sum(axis=0)
    np.testing.assert_allclose(found, [of_outputs.mean(), *of_outputs], rtol=1e-4)
    recorded = Recorded(task.recorded, (found / weight.sum()).reshape(4, 1, 1, 1))
    scaler = TargetScaler(np.zeros(3), np.array([1.0, 10.0, 100.0]))
    expected = -(of_outputs / weight.sum() * scaler.scale**2).mean()
    np.testing.assert_allclose(task.scores(recorded, [scaler])[0, 0, 0], expected, rtol=1e-4)


def test_the_baseline_is_that_of_the_best_constant():
    y = np.random.RandomState(0).exponential(size=(500, 1))
    assert Regression().baseline_loss(y, None) == pytest.approx(y.var())
    weight = np.linspace(0, 1, 500)
    mean = np.average(y, axis=0, weights=weight)
    expected = np.average((y - mean) ** 2, weights=weight[:, None])
    assert Regression().baseline_loss(y, weight) == pytest.approx(expected)
    task = Regression(by_training_loss=True).suited(keras.losses.MeanAbsoluteError())
    assert task.baseline_loss(y, None) == pytest.approx(np.abs(y - np.median(y)).mean(), rel=1e-3)


def test_labels_are_kept_as_logits_and_come_back():
    task = MultiLabel()
    p = np.array([[0.2, 0.999, 1.0], [0.5, 0.0, 1e-3]])
    target, weight = np.array([[0, 1, 1], [1, 0, 0]]), np.array([1.0, 2.0])
    values, of_label, of_row = task.from_kept(task.kept(p), target, weight)
    back = task.kept_at(values, 1.0)
    np.testing.assert_allclose(back[:, 1].reshape(p.shape), p, atol=2e-3)
    np.testing.assert_array_equal(of_label, [0, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(of_row, [1, 1, 1, 2, 2, 2])
    assert np.isfinite(task.loss(back.clip(1e-30), of_label, of_row))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_probabilities_of_labels_at_a_temperature(temperature):
    logits = np.array([[-2.0, 0.3], [4.0, 0.0]])
    expected = 1 / (1 + np.exp(-logits / temperature))
    np.testing.assert_allclose(MultiLabel(True).predicted(logits, temperature), expected)
    p = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(MultiLabel().predicted(p, temperature), expected, rtol=1e-6)
    np.testing.assert_allclose(MultiLabel().tempered(p, temperature), expected)
    np.testing.assert_allclose(
        MultiLabel().exported(p.astype(np.float32), temperature), expected, rtol=1e-4
    )
