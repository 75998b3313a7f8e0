"""The three lanes against each other, on every family of layers."""

import keras
import numpy as np
import pytest
from make import SMALL_FITS_WARN, make_block, make_setup, small_classifier, small_mlp

from sk_metalr import MetaLRClassifier
from sk_metalr._population import lanes

pytestmark = SMALL_FITS_WARN


layers = keras.layers
N_ROWS, N_FEATURES, N_CLASSES, EPOCHS = 40, 6, 3, 2
RATES = [1e-2, 1e-1]


class RunningMean(layers.Layer):
    """Subtracts a mean that it keeps itself."""

    def build(self, shape):
        self.mean = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * keras.ops.mean(x, axis=0))
        return x - self.mean


def dense(**options):
    return layers.Dense(8, activation="relu", **options)


def image(*hidden):
    return [layers.Reshape((3, 2, 1)), *hidden, layers.Flatten()]


def sequence(*hidden):
    return [layers.Reshape((3, 2)), *hidden]


CHAINS = {
    "Dense": lambda: [dense()],
    "BatchNormalization": lambda: [dense(), layers.BatchNormalization()],
    "LayerNormalization": lambda: [dense(), layers.LayerNormalization()],
    "GroupNormalization": lambda: [layers.Dense(8), layers.GroupNormalization(2)],
    "Dropout": lambda: [dense(), layers.Dropout(0.3, seed=1)],
    "GaussianNoise": lambda: [layers.GaussianNoise(0.5, seed=1), dense()],
    "Embedding": lambda: [layers.Embedding(9, 4), layers.Flatten()],
    "Conv1D": lambda: [layers.Reshape((6, 1)), layers.Conv1D(4, 3), layers.Flatten()],
    "Conv1D causal": lambda: [
        layers.Reshape((6, 1)),
        layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="tanh"),
        layers.Flatten(),
    ],
    "Conv2D": lambda: image(layers.Conv2D(4, 2)),
    "Conv2D strided": lambda: image(
        layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same", use_bias=False),
        layers.Conv2D(3, 2, padding="same"),
    ),
    "Conv3D": lambda: [
        layers.Reshape((3, 2, 1, 1)),
        layers.Conv3D(3, (2, 2, 1), kernel_regularizer="l2"),
        layers.Flatten(),
    ],
    "SeparableConv2D": lambda: image(layers.SeparableConv2D(4, 2)),
    "pooling": lambda: image(
        layers.AveragePooling2D((2, 1), strides=1), layers.MaxPooling2D((2, 1))
    ),
    "LSTM": lambda: sequence(layers.LSTM(4)),
    "GRU": lambda: sequence(layers.GRU(4)),
    "Bidirectional": lambda: sequence(layers.Bidirectional(layers.SimpleRNN(3))),
    "constraints": lambda: [
        dense(kernel_constraint="non_neg", bias_constraint=keras.constraints.MaxNorm(0.01))
    ],
    "regularizers": lambda: [
        dense(
            kernel_regularizer=keras.regularizers.L1L2(0.01, 0.01),
            activity_regularizer=keras.regularizers.L2(0.01),
        )
    ],
    "frozen": lambda: [dense(trainable=False), dense()],
    "own state": lambda: [RunningMean(), dense()],
    "nested model": lambda: [keras.Sequential([keras.Input((N_FEATURES,)), dense(), dense()])],
}


def chain(name):
    hidden = CHAINS[name]()
    return keras.Sequential([keras.Input((N_FEATURES,)), *hidden, head()])


def head():
    return layers.Dense(N_CLASSES, activation="softmax")


def attention():
    inputs = keras.Input((N_FEATURES,))
    rows = layers.Reshape((3, 2))(inputs)
    rows = layers.add([rows, layers.MultiHeadAttention(2, 2)(rows, rows)])
    return keras.Model(inputs, head()(layers.Flatten()(rows)))


def shared():
    inputs = keras.Input((N_FEATURES,))
    twice = layers.Dense(N_FEATURES, activation="tanh")
    return keras.Model(inputs, head()(twice(twice(inputs) + inputs)))


def several_inputs():
    left, right = keras.Input((2,)), keras.Input((4,))
    return keras.Model([left, right], head()(layers.concatenate([dense()(left), right])))


GRAPHS = {"MultiHeadAttention": attention, "shared layer": shared, "inputs": several_inputs}


def setup_of(name):
    keras.utils.set_random_seed(0)
    model = GRAPHS[name]() if name in GRAPHS else chain(name)
    # Adam would blow up rounding where a gradient is 0, as of a bias before normalisation.
    model.compile(keras.optimizers.SGD(momentum=0.9), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    if name == "Embedding":
        X = rng.integers(9, size=X.shape).astype(np.float32)
    classes = rng.integers(N_CLASSES, size=N_ROWS)
    return make_setup(
        model,
        [X[:, :2], X[:, 2:]] if name == "inputs" else X,
        classes,
        train=np.arange(30),
        test=np.arange(30, N_ROWS),
        train_weight=rng.uniform(0.5, 2.0, size=30).astype(np.float32),
        batch_size=8,
    )


def trained(setup, lane):
    block = make_block([setup], RATES, budget=EPOCHS, engine=lane)
    losses = block.train(EPOCHS)["log_loss"]
    members = [block.trained_member(candidate, 0) for candidate in range(len(RATES))]
    return losses, [member.weights + member.non_trainable for member in members]


NOT_VECTORIZABLE = {"SeparableConv2D"}


SLOW = {
    *("LSTM", "GRU", "Bidirectional", "Conv1D causal", "Conv2D strided", "Conv3D"),
    *("MultiHeadAttention", "GroupNormalization", "regularizers"),
}
"""Those that need long to compile."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name in SLOW else [])
        for name in [*CHAINS, *GRAPHS]
    ],
)
def test_all_lanes_train_alike(name):
    ways = (
        ["compiled", "keras"] if name in NOT_VECTORIZABLE else ["vectorized", "compiled", "keras"]
    )
    results = {lane: trained(setup_of(name), lane) for lane in ways}
    losses, members = results.pop("keras")
    assert np.isfinite(losses).all()
    start = setup_of(name).model.trainable_variables[0].numpy()
    assert not np.allclose(members[1][0], start)
    for other_losses, other_members in results.values():
        np.testing.assert_allclose(other_losses, losses, atol=1e-5)
        for mine, theirs in zip(other_members, members, strict=True):
            for a, b in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-5)


def test_mixed_precision_trains_alike():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        (losses, members), *others = (
            trained(setup_of("Dense"), lane) for lane in ("keras", "compiled", "vectorized")
        )
    finally:
        keras.config.set_dtype_policy("float32")
    for other_losses, other_members in others:
        # Sums of 8 bits each differ by their order.
        np.testing.assert_allclose(other_losses, losses, rtol=0.02)
        for mine, theirs in zip(other_members, members, strict=True):
            for a, b in zip(mine, theirs, strict=True):
                assert a.dtype == np.float32
                np.testing.assert_allclose(a, b, atol=0.02)


def noisy(meta):
    return keras.Sequential(
        [keras.Input((meta["n_features_in_"],)), dense(), layers.Dropout(0.3), head()]
    )


WAYS = {
    "compiled": {"engine": "compiled"},
    "Keras's loop": {"engine": "keras"},
    "two at a time": {"max_memory": 10_000},
    "groups of three": {},
}


@pytest.mark.parametrize(
    ("model", "search", "with_xla", "way"),
    [
        *((small_mlp, "random", True, way) for way in WAYS if way != "Keras's loop"),
        pytest.param(small_mlp, "random", True, "Keras's loop", marks=pytest.mark.long),
        *((small_mlp, "halving", True, way) for way in ("compiled", "groups of three")),
        # Without XLA, which draws other numbers from the same seed.
        (noisy, "random", False, "two at a time"),
        pytest.param(noisy, "random", False, "Keras's loop", marks=pytest.mark.long),
    ],
)
def test_the_choice_is_the_same_in_every_lane_and_chunking(
    iris, monkeypatch, model, search, with_xla, way
):
    def fitted(**params):
        wrapped = small_classifier(model, epochs=4)
        space = {"n_candidates": 8, "cv": 2, "search": search}
        return MetaLRClassifier(wrapped, random_state=0, **space, **params).fit(*iris)

    monkeypatch.setattr(lanes, "MIN_STEPS_TO_COMPILE", 0 if with_xla else 10**9)
    whole = fitted()
    if way == "groups of three":
        monkeypatch.setattr(lanes, "_group_size", lambda *_: 3)
    other = fitted(**WAYS[way])
    np.testing.assert_allclose(other.learning_curves_, whole.learning_curves_, rtol=1e-2)
    assert other.best_params_ == whole.best_params_
    assert other.best_n_epochs_ == whole.best_n_epochs_
