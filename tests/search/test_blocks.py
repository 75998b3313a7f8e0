"""Which candidates are members of one program."""

import keras
import numpy as np
import pytest
from make import SMALL_FITS_WARN
from scikeras.wrappers import KerasClassifier
from scipy.stats import loguniform, uniform
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer

from sk_metalr import MetaLRClassifier
from sk_metalr._search import blocks as blocks_module
from sk_metalr._search import prepare
from sk_metalr._search.blocks import planned

layers = keras.layers
X = np.random.RandomState(0).normal(size=(60, 4)).astype(np.float32)
Y = np.arange(60) % 3
pytestmark = SMALL_FITS_WARN


def compiled(*hidden):
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def dropping(dropout=0.1, units=8):
    return compiled(
        layers.Dense(units), layers.Dropout(dropout), layers.Dense(8), layers.Dropout(dropout / 2)
    )


def only_where_it_drops(dropout=0.1):
    return compiled(layers.Dense(8), *([layers.Dropout(dropout)] if dropout > 0.3 else []))


def clipped(dropout=0.1):
    return compiled(layers.Dense(8), layers.Dropout(max(dropout, 0.3)))


def crossed(dropout=0.1, more=1.0):
    return compiled(layers.Dense(8), layers.Dropout(dropout * more))


def scaled(scale=1.0):
    model = compiled(layers.Dense(8))
    kernel, *others = model.get_weights()
    model.set_weights([kernel * scale, *others])
    return model


@keras.saving.register_keras_serializable(package="tests")
class Doubled(layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def with_a_layer_of_its_own(dropout=0.1):
    return compiled(layers.Dense(8), Doubled(), layers.Dropout(dropout))


def blocks_of(build, space, n=12, seed=0):
    is_wrapped = isinstance(build, KerasClassifier)
    wrapped = build if is_wrapped else KerasClassifier(build, epochs=1, verbose=0)
    fitted = MetaLRClassifier(wrapped, space, cv=2)
    prepared = prepare(fitted, X, Y, None, None, (None, None), np.random.RandomState(seed))
    candidates = prepared.space.sample(n, np.random.RandomState(seed))
    return candidates, planned(candidates, prepared.evaluation)


def rates_of(block):
    """Return the rates of a block's dropout layers, each of shape (n_candidates,)."""
    return [values for name, values in block.values.items() if name.endswith(".rate")]


DROPOUT = {"model__dropout": uniform(0, 0.6)}


def test_numbers_of_layers_are_data():
    candidates, (block,) = blocks_of(dropping, DROPOUT)
    dropout = candidates.columns["model__dropout"]
    first, second = rates_of(block)
    np.testing.assert_allclose(first, dropout, rtol=1e-9)
    np.testing.assert_allclose(second, dropout / 2, rtol=1e-9)
    np.testing.assert_array_equal(block.positions, np.arange(12))


def test_a_listed_zero_is_a_number_like_others():
    candidates, (block,) = blocks_of(dropping, {"model__dropout": [0, 0.2, 0.5]})
    first, _ = rates_of(block)
    np.testing.assert_allclose(first, candidates.columns["model__dropout"], rtol=1e-9)
    assert set(candidates.columns["model__dropout"]) == {0, 0.2, 0.5}


def test_each_static_setting_is_a_block():
    candidates, blocks = blocks_of(dropping, DROPOUT | {"model__units": [4, 8]}, 16)
    assert [len(block.positions) for block in blocks] == [8, 8]
    assert sorted(block.settings["model__units"] for block in blocks) == [4, 8]
    for block in blocks:
        dropout = candidates.columns["model__dropout"][block.positions]
        np.testing.assert_allclose(rates_of(block)[0], dropout, rtol=1e-9)


def test_what_only_rounding_tells_apart_is_no_data():
    _, blocks = blocks_of(dropping, DROPOUT | {"model__units": [4, 8]}, 16)
    for block in blocks:  # the learning rate, and rates of two layers
        assert len(block.values) == 3


@pytest.mark.parametrize("seed", range(4))
def test_most_models_follow_from_those_that_are_built(monkeypatch, seed):
    space = {
        **DROPOUT,
        "optimizer__weight_decay": loguniform(1e-6, 1e-1),
        "optimizer__beta_1": uniform(0.8, 0.1),
        "model__units": [4, 8],
    }
    estimator = KerasClassifier(dropping, optimizer="adam", epochs=1, verbose=0)
    random_state, n_built = np.random.RandomState(seed), []
    prepared = prepare(
        MetaLRClassifier(estimator, space, cv=2), X, Y, None, None, (None, None), random_state
    )
    built = blocks_module.built
    monkeypatch.setattr(blocks_module, "built", lambda *how: n_built.append(how) or built(*how))
    planned(prepared.space.sample(32, random_state), prepared.evaluation)
    assert len(n_built) <= 9


def dropping_in_four(a=0.2, b=0.2, c=0.2, d=0.2):
    return compiled(*(layers.Dropout(rate) for rate in (a, b, c, d)))


@pytest.mark.parametrize("seed", range(6))
def test_what_follows_from_others_is_of_the_same_dict(seed):
    names = [f"model__{name}" for name in "abcd"]
    space = [{name: uniform(0, 0.6) for name in some} for some in (names[:2], names[2:])]
    random_state = np.random.RandomState(seed)
    fitted = MetaLRClassifier(KerasClassifier(dropping_in_four, epochs=1, verbose=0), space, cv=2)
    prepared = prepare(fitted, X, Y, None, None, (None, None), random_state)
    candidates = prepared.space.sample(32, random_state)
    for block in planned(candidates, prepared.evaluation):
        params = [candidates.params()[position] for position in block.positions]
        for name, rates in zip(names, rates_of(block), strict=True):
            np.testing.assert_allclose(rates, [one.get(name, 0.2) for one in params], rtol=1e-9)


def dropping_where_wide(units=4, dropout=0.2):
    return compiled(layers.Dense(units), layers.Dropout(dropout if units > 4 else 0.1))


@pytest.mark.parametrize("seed", range(6))
def test_what_a_function_makes_of_a_number_depends_on_a_static_one(seed):
    space = {"model__dropout": [0.1, 0.2, 0.5], "model__units": [4, 8], "batch_size": [8, 16]}
    random_state = np.random.RandomState(seed)
    wrapped = KerasClassifier(dropping_where_wide, epochs=1, verbose=0)
    fitted = MetaLRClassifier(wrapped, space, cv=2)
    prepared = prepare(fitted, X, Y, None, None, (None, None), random_state)
    candidates = prepared.space.sample(32, random_state)
    for block in planned(candidates, prepared.evaluation):
        params = [candidates.params()[position] for position in block.positions]
        wanted = [one["model__dropout"] if one["model__units"] > 4 else 0.1 for one in params]
        np.testing.assert_allclose(*rates_of(block), wanted, rtol=1e-9)


def elastic(alpha=1e-4, ratio=0.1):
    penalty = keras.regularizers.L1L2(alpha * ratio, alpha * (1 - ratio))
    return compiled(layers.Dense(8, kernel_regularizer=penalty))


@pytest.mark.parametrize("seed", range(6))
def test_equal_candidates_do_not_check_each_other(seed):
    """A product of two short lists is no linear map, though it is on any three of its values."""
    space = {"model__alpha": [1e-4, 1e-2], "model__ratio": [0.1, 0.9]}
    candidates, (block,) = blocks_of(elastic, space, 32, seed)
    alpha, ratio = (candidates.columns[name] for name in space)
    l1, l2 = (block.values[name] for name in sorted(block.values) if name.endswith(("l1", "l2")))
    np.testing.assert_allclose(l1, (alpha * ratio)[block.positions], rtol=1e-6)
    np.testing.assert_allclose(l2, (alpha * (1 - ratio))[block.positions], rtol=1e-6)


def rising(first=0.1, step=0.1):
    return compiled(layers.Dense(8), layers.Dropout(min(0.9, first + step)))


def together(first=0.1, step=0.1):
    hidden = [layers.Dropout(0.5)] if min(first, step) > 0.45 else []
    return compiled(layers.Dense(8), layers.Dropout(first), layers.Dropout(step), *hidden)


@pytest.mark.parametrize("seed", range(4))
def test_what_only_a_corner_of_two_numbers_meets_is_built(seed):
    space = {"model__first": uniform(0, 0.6), "model__step": uniform(0, 0.6)}
    candidates, (block,) = blocks_of(rising, space, 32, seed)
    expected = sum(candidates.columns[name] for name in space).clip(None, 0.9)
    np.testing.assert_allclose(*rates_of(block), expected[block.positions], rtol=1e-6)
    candidates, blocks = blocks_of(together, space, 64, seed)
    is_corner = np.min([candidates.columns[name] for name in space], axis=0) > 0.45
    assert len(blocks) == 1 + is_corner.any()


def smoothing_alone():
    return keras.Sequential([keras.Input((4,)), layers.Dense(8), layers.Dense(3, "softmax")])


def test_the_loss_has_a_value_of_its_own():
    estimator = KerasClassifier(
        smoothing_alone, loss=keras.losses.CategoricalCrossentropy, optimizer="adam", epochs=1
    )
    space = {"loss__label_smoothing": uniform(0, 0.2)}
    fitted = MetaLRClassifier(estimator, space, cv=2)
    prepared = prepare(fitted, X, np.eye(3)[Y], None, None, (None, None), np.random.RandomState(0))
    candidates = prepared.space.sample(8, np.random.RandomState(0))
    smoothing = candidates.columns["loss__label_smoothing"]
    np.testing.assert_array_equal(smoothing == 0, candidates.is_own)
    assert candidates.is_own.sum() == 2


def test_batches_of_other_sizes_are_other_blocks():
    _, blocks = blocks_of(dropping, DROPOUT | {"batch_size": [8, 16]}, 16)
    assert len(blocks) == 2
    assert blocks[0].values.keys() == blocks[1].values.keys()


def test_a_layer_that_is_there_or_not_makes_two_blocks():
    candidates, blocks = blocks_of(only_where_it_drops, DROPOUT)
    assert len(blocks) == 2
    for block in blocks:
        is_there = candidates.columns["model__dropout"][block.positions] > 0.3
        assert is_there.all() or not is_there.any()


def other_in_the_middle(dropout=0.1):
    hidden = [layers.Dense(8, "tanh" if dropout == 0.2 else "relu"), layers.Dropout(dropout)]
    return compiled(*hidden)


def test_each_number_of_a_short_list_is_built():
    candidates, blocks = blocks_of(other_in_the_middle, {"model__dropout": [0.1, 0.2, 0.3, 0.4]})
    dropout = candidates.columns["model__dropout"]
    assert {frozenset(dropout[block.positions]) for block in blocks} == {
        frozenset([0.2]),
        frozenset([0.1, 0.3, 0.4]),
    }


@pytest.mark.parametrize(
    ("build", "space", "expected"),
    [
        (clipped, DROPOUT, lambda one: max(one["model__dropout"], 0.3)),
        (
            crossed,
            DROPOUT | {"model__more": uniform(0.1, 1)},
            lambda one: one["model__dropout"] * one["model__more"],
        ),
    ],
)
def test_what_a_function_makes_of_its_numbers_counts(build, space, expected):
    candidates, (block,) = blocks_of(build, space)
    wanted = [expected(one) for one in candidates.params()]
    (rate,) = rates_of(block)
    np.testing.assert_allclose(rate, wanted, rtol=1e-9)


def test_a_space_knows_what_parameters_are_where_they_are_not_searched():
    space = DROPOUT | {"model__units": [4, 16], "batch_size": [8, 16]}
    space |= {"optimizer__beta_1": uniform(0.5, 0.4), "optimizer__weight_decay": [0.0, 0.1]}
    fitted = MetaLRClassifier(KerasClassifier(dropping, epochs=1, verbose=0), space, cv=2)
    own = prepare(fitted, X, Y, None, None, (None, None), np.random.RandomState(0)).space.own
    assert own == {
        "model__dropout": 0.1,
        "model__units": 8,
        "batch_size": 32,
        "optimizer__beta_1": pytest.approx(0.9),
        "optimizer__weight_decay": 0.0,
    }


class Binned(KerasClassifier):
    """Encodes features by a number of its own."""

    def __init__(self, model=None, n_bins=3, **kwargs):
        super().__init__(model, **kwargs)
        self.n_bins = n_bins

    @property
    def feature_encoder(self):
        return KBinsDiscretizer(self.n_bins, encode="ordinal", quantile_method="linear")


def test_what_encodes_features_is_told_apart():
    wrapped = Binned(lambda: compiled(layers.Dense(8)), epochs=1, verbose=0)
    candidates, blocks = blocks_of(wrapped, {"n_bins": [2, 5]})
    n_bins = candidates.columns["n_bins"]
    assert [len(set(n_bins[block.positions])) for block in blocks] == [1, 1]


def test_an_encoder_that_cannot_be_pickled_is_known_again():
    class Halved(KerasClassifier):
        @property
        def feature_encoder(self):
            return FunctionTransformer(lambda X: X / 2)

    candidates, blocks = blocks_of(Halved(dropping, epochs=1, verbose=0), DROPOUT)
    assert len(blocks) == 1
    assert len(set(candidates.columns["model__dropout"])) > 3


def test_models_that_start_from_other_weights_are_apart():
    _, blocks = blocks_of(scaled, {"model__scale": [0.5, 1.0, 2.0]}, 24)
    assert len(blocks) == 3


def test_numbers_of_an_optimizer_need_no_known_layers():
    space = {"optimizer__weight_decay": uniform(0, 0.1)}
    candidates, (block,) = blocks_of(with_a_layer_of_its_own, space)
    decay = candidates.columns["optimizer__weight_decay"]
    np.testing.assert_allclose(block.values["optimizer__weight_decay"], decay, rtol=1e-9)


def test_unknown_layers_are_apart_for_each_setting():
    _, blocks = blocks_of(with_a_layer_of_its_own, DROPOUT, 16)
    assert len(blocks) == 2  # two settings are drawn of what is not known to be one program
