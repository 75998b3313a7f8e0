"""Several models predict in one call, and as each would alone."""

import gc
import weakref

import keras
import numpy as np
import pytest

from sk_metalr._persistence import identity
from sk_metalr._population import architecture_key, outputs_of, prediction

layers = keras.layers
RNG = np.random.default_rng(0)


def compiled(model):
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def dense():
    return compiled(
        keras.Sequential(
            [keras.Input((4,)), layers.Dense(8), layers.BatchNormalization(), layers.Dense(3)]
        )
    )


def two_inputs():
    words, numbers = keras.Input((2,), dtype="int32"), keras.Input((3,))
    flat = layers.Flatten()(layers.Embedding(5, 2)(words))
    return compiled(
        keras.Model([words, numbers], layers.Dense(3)(layers.concatenate([flat, numbers])))
    )


def convolution():
    flat = [keras.Input((6, 1)), layers.Conv1D(2, 3), layers.Flatten(), layers.Dense(3)]
    return compiled(keras.Sequential(flat))


def recurrent():
    return compiled(keras.Sequential([keras.Input((6, 1)), layers.GRU(2), layers.Dense(3)]))


def rows(n, *shape):
    return RNG.normal(size=(n, *shape)).astype(np.float32)


X = rows(9, 4)
CASES = {
    dense: ([X, X, X], True),
    two_inputs: ([[RNG.integers(5, size=(9, 2)), rows(9, 3)] for _ in range(3)], True),
    convolution: ([rows(9, 6, 1)] * 3, False),
    recurrent: ([rows(9, 6, 1)] * 3, False),
}


@pytest.mark.parametrize(("build", "x", "is_stacked"), [(f, *c) for f, c in CASES.items()])
def test_models_predict_as_each_alone(build, x, is_stacked, monkeypatch):
    monkeypatch.setattr(prediction, "ROWS_AT_ONCE", 4)
    prediction._functions.clear()
    models = [build() for _ in x]
    outputs = outputs_of(models, x)
    assert len(prediction._functions._kept) == is_stacked  # one function for all sizes of blocks
    alone = [np.asarray(model(one, training=False)) for model, one in zip(models, x, strict=True)]
    np.testing.assert_allclose(outputs, alone, atol=1e-5)


def test_a_function_serves_equal_models_and_keeps_none_alive():
    prediction._functions.clear()
    first = [dense(), dense()]
    outputs_of(first, [X, X])
    (function,) = prediction._functions._kept.values()
    gone = [weakref.ref(model) for model in first]
    del first
    gc.collect()
    assert [one() for one in gone] == [None, None]
    second = [dense(), dense()]
    second[0].set_weights([weight + 1 for weight in second[0].get_weights()])
    outputs = outputs_of(second, [X, X])
    assert list(prediction._functions._kept.values()) == [function]
    np.testing.assert_allclose(outputs[0], np.asarray(second[0](X)), atol=1e-5)


@pytest.mark.parametrize("n_models", [1, 2])
def test_a_row_has_the_same_outputs_wherever_it_stands(n_models):
    shape = [keras.Input((3,)), layers.Dense(16, "relu"), layers.Dense(3, "softmax")]
    models = [compiled(keras.Sequential(shape)) for _ in range(n_models)]
    some = rows(20, 3)
    order = RNG.permutation(20)
    as_given = outputs_of(models, [some] * n_models)
    np.testing.assert_array_equal(outputs_of(models, [some[order]] * n_models), as_given[:, order])
    np.testing.assert_array_equal(outputs_of(models, [some[7:8]] * n_models), as_given[:, 7:8])


def test_models_whose_rows_see_each_other_predict_as_they_are():
    shape = [keras.Input((3,)), layers.Dense(4), layers.UnitNormalization(axis=0)]
    model, some = compiled(keras.Sequential([*shape, layers.Dense(3, "softmax")])), rows(9, 3)
    expected = np.asarray(model(some, training=False))
    np.testing.assert_allclose(outputs_of([model], [some])[0], expected, atol=1e-6)


def test_models_that_cannot_be_stacked_predict_one_by_one():
    def resized():
        inputs = keras.Input((4, 4, 1))
        small = keras.layers.Resizing(2, 2)(inputs)
        outputs = keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(small))
        model = keras.Model(inputs, outputs)
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    models = [resized(), resized()]
    x = np.random.default_rng(0).normal(size=(7, 4, 4, 1)).astype(np.float32)
    expected = [model(x) for model in models]
    for _ in range(2):
        np.testing.assert_allclose(outputs_of(models, [x, x]), expected, atol=1e-6)


def test_functions_that_come_after_each_other_are_told_apart():
    """Of a function that is gone, another may have the place in memory."""

    def key(scale):
        def scaled(x):
            return keras.ops.tanh(scale * x)

        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation=scaled)])
        model.compile("adam", "sparse_categorical_crossentropy")
        return architecture_key(model)

    keys = []
    for scale in range(3):
        keys.append(key(float(scale)))
        gc.collect()
    assert None not in keys
    assert len(set(keys)) == 3


def test_functions_are_known_again_by_what_they_hold():
    """As in another process, or where a search begins again."""

    def key(scale):
        def scaled(x):
            return keras.ops.tanh(scale * x)

        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation=scaled)])
        model.compile("adam", "sparse_categorical_crossentropy")
        return architecture_key(model, number_of=identity)

    assert key(1.0) == key(1.0) != key(2.0)


def test_inputs_that_have_names_are_told_apart():
    def key(*names):
        inputs = [keras.Input((2,), name=name) for name in names]
        hidden = [keras.layers.Dense(3)(inputs[0]), keras.layers.Dense(3, "relu")(inputs[1])]
        outputs = keras.layers.Dense(2, "softmax")(keras.layers.Concatenate()(hidden))
        model = keras.Model(inputs, outputs)
        model.compile("adam", "sparse_categorical_crossentropy")
        return architecture_key(model)

    assert key("left", "right") == key("left", "right") != key("right", "left")
    assert key(None, None) == key(None, None)


def test_rows_are_predicted_in_parts_that_fit_into_memory():
    def model(*hidden):
        return keras.Sequential([keras.Input((64, 8)), *hidden, keras.layers.Flatten()])

    x = np.zeros((1, 64, 8))
    small = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    n_rows = [
        prediction._rows_at_once(one, rows)
        for one, rows in [
            (small, np.zeros((1, 4))),
            (model(keras.layers.Dense(512)), x),
            (model(*[keras.layers.Dense(512) for _ in range(20)]), x),
        ]
    ]
    assert n_rows[0] == 4096 > n_rows[1] > n_rows[2] >= 16
    assert all(n % 16 == 0 for n in n_rows)
