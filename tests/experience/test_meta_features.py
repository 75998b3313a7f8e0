"""What a task is like, and which tasks are alike."""

import keras
import numpy as np
import pytest

from sk_metalr._experience import meta_features
from sk_metalr._experience.meta_features import data_features, distances, largest_difference
from sk_metalr._models.keras_model import model_features
from sk_metalr._models.strategy import optimizer_label
from sk_metalr._task import Classification

layers = keras.layers
TASK = {
    **{"n_rows": 1000, "n_features": 20, "n_classes": 2, "class_entropy": 0.69, "scale": 1.0},
    **{"n_parameters": 20_000, "depth": 3, "layers": "dense", "batch_size": 32, "n_epochs": 40},
}


def test_a_table_is_looked_at_in_parts(monkeypatch):
    random = np.random.RandomState(0)
    X = np.c_[random.normal(size=(50, 3)), random.uniform(size=(50, 4)) < 0.05]
    code = random.randint(3, size=50)
    whole = data_features(X, code)
    monkeypatch.setattr(meta_features, "MAX_VALUES", 60)
    assert data_features(X, code) == pytest.approx(whole)
    assert whole["share_binary"] == pytest.approx(4 / 7)


def test_features_of_a_table():
    X = np.array([[0, 1.0, 5], [1, 1, 6], [0, 1, 7], [1, 1, 8]])
    assert data_features(X, np.array([0, 0, 1, 1])) == {
        "n_rows": 4,
        "n_features": 3,
        "n_classes": 2,
        "class_entropy": pytest.approx(np.log(2)),
        "share_binary": pytest.approx(2 / 3),  # a constant has two values at most
        "share_sparse": pytest.approx(1 / 3),
        "scale": pytest.approx(np.sqrt((2 + 4 + 25 + 36 + 49 + 64) / 12)),
    }


def test_a_class_without_rows_does_not_count():
    X = np.arange(8.0).reshape(4, 2)
    assert data_features(X, np.array([0, 0, 2, 2])) == data_features(X, np.array([0, 0, 1, 1]))


@pytest.mark.parametrize(
    ("change", "least", "most"),
    [
        ({}, 0, 0),
        ({"n_rows": 1100}, 0, 0.2),
        ({"n_rows": 10_000}, 1, 2),
        ({"batch_size": 128}, 1, 1.5),
        ({"batch_size": None}, 2, 4),
        ({"layers": "convolutional+dense"}, 2, 2),
        ({"layers": "dense+normalization"}, 1, 1),
    ],
)
def test_distance_grows_with_the_difference(change, least, most):
    (away,) = distances(TASK, [TASK | change])
    assert least - 1e-9 <= away <= most + 1e-9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 1e-3}, "the scale of the features"),
        ({"n_features": 2_000}, "the number of columns"),
        ({"layers": "dense+rnn"}, "layers of the kind 'rnn'"),
    ],
)
def test_the_largest_difference_is_named(change, words):
    assert largest_difference(TASK, TASK | change) == words


def test_no_task_is_far_from_none():
    assert distances(TASK, []).shape == (0,)


def test_features_of_a_model():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            keras.Sequential([layers.Dense(4), layers.Dropout(0.1)]),
            layers.Dense(2),
        ]
    )
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert model_features(model, Classification()) == {
        "n_parameters": model.count_params(),
        "depth": 3,
        "layers": "convolutional+dense+normalization+regularization",
        "output": "logits",
    }


@pytest.mark.parametrize(("n_units", "output"), [(1, "sigmoid"), (3, "softmax")])
def test_the_output_of_a_model(n_units, output):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(n_units, activation=output)])
    model.compile(loss="binary_crossentropy")
    assert model_features(model, Classification())["output"] == output


@pytest.mark.parametrize(
    ("optimizer", "label"),
    [
        ("adam", "Adam"),
        (keras.optimizers.Adam(0.3, name="mine"), "Adam"),
        (keras.optimizers.AdamW(weight_decay=0.1), "AdamW"),
        (keras.optimizers.SGD(momentum=0.9), "SGD(momentum=0.9)"),
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "SGD"),
    ],
)
def test_an_optimizer_goes_by_its_class_and_settings(optimizer, label):
    assert optimizer_label(optimizer) == label
