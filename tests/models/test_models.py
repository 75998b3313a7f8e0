"""What is known about the wrapped estimator."""

import keras
import numpy as np
import pytest
from make import SMALL_FITS_WARN, compiled_own_parts, small_classifier, small_mlp
from scikeras.utils.transformers import ClassifierLabelEncoder
from scikeras.wrappers import KerasClassifier, KerasRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.class_weight import compute_sample_weight

from sk_metalr import _models as models
from sk_metalr._models.strategy import at_rate, set_strategy
from sk_metalr._population import preserved_random_state
from sk_metalr._space.schedules import check_schedule
from sk_metalr._task import Classification

pytestmark = SMALL_FITS_WARN


layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype(np.float32)
Y = np.tile([0, 1, 2], 10)


@pytest.fixture(autouse=True)
def _as_inside_fit():
    with preserved_random_state():
        yield


def compiled(units=3, activation="softmax", loss="sparse_categorical_crossentropy", rate=0.5):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(units, activation)])
    model.compile(keras.optimizers.SGD(rate), loss)
    return model


def build_compiled(hidden=5, activation="relu"):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(hidden, activation), layers.Dense(3, "softmax")]
    )
    model.compile(keras.optimizers.Adam(0.5), "sparse_categorical_crossentropy")
    return model


def build_at(learning_rate):
    return compiled(rate=learning_rate)


def build_with_compile_kwargs(meta, compile_kwargs, hidden=5):
    model = keras.Sequential(
        [keras.Input((meta["n_features_in_"],)), layers.Dense(hidden), layers.Dense(3, "softmax")]
    )
    model.compile(loss="sparse_categorical_crossentropy", optimizer=compile_kwargs["optimizer"])
    return model


WAYS = {
    "function": lambda: small_classifier(),
    "function with arguments": lambda: small_classifier(model__hidden=3, activation="tanh"),
    "compiled in the function": lambda: KerasClassifier(build_compiled, model__hidden=7),
    "compile_kwargs": lambda: KerasClassifier(
        build_with_compile_kwargs, optimizer="sgd", optimizer__momentum=0.5
    ),
    "instance": lambda: KerasClassifier(compiled()),
    "optimizer class": lambda: small_classifier(optimizer=keras.optimizers.RMSprop),
    "optimizer instance": lambda: small_classifier(optimizer=keras.optimizers.SGD(momentum=0.5)),
    "schedule": lambda: small_classifier(
        optimizer=keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))
    ),
    "loss class": lambda: small_classifier(loss=keras.losses.SparseCategoricalCrossentropy),
    "loss function": lambda: small_classifier(loss=keras.losses.sparse_categorical_crossentropy),
    "categorical": lambda: small_classifier(loss="categorical_crossentropy"),
    "a rate of the function's own": lambda: KerasClassifier(build_at, learning_rate=0.25),
    "routed to the function": lambda: KerasClassifier(build_at, model__learning_rate=0.25),
    "build_fn": lambda: KerasClassifier(build_fn=build_compiled),
    "compile__optimizer": lambda: small_classifier(
        compile__optimizer=keras.optimizers.SGD(0.5, momentum=0.5)
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:``build_fn`` will be renamed")
def test_every_way_of_building_opens_and_takes_the_rate(way):
    estimator = WAYS[way]()
    params = {key: str(value) for key, value in estimator.get_params().items()}
    opened = models.open_estimator(estimator, X, Y, seed=3)
    assert opened.model_.compiled
    tuned = models.with_strategy(estimator, 0.0625, 7, 3, {})
    fitted = models.open_estimator(tuned, X, Y)
    assert float(fitted.model_.optimizer.learning_rate) == 0.0625
    assert type(fitted.model_.optimizer) is type(opened.model_.optimizer)
    assert getattr(fitted.model_.optimizer, "momentum", 0) == getattr(
        opened.model_.optimizer, "momentum", 0
    )
    assert tuned.epochs == 7
    assert [v.shape for v in fitted.model_.weights] == [v.shape for v in opened.model_.weights]
    assert {key: str(value) for key, value in estimator.get_params().items()} == params
    assert not hasattr(estimator, "model_")


def test_an_instance_is_never_changed():
    model = compiled()
    before = [w.copy() for w in model.get_weights()]
    tuned = models.with_strategy(KerasClassifier(model, verbose=0), 0.01, 2, 0, {})
    tuned.fit(X, Y)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.learning_rate) == 0.5


def test_an_instance_that_keras_cannot_copy_is_refused():
    with pytest.raises(ValueError, match=r"cannot be copied.*register_keras_serializable, or give"):
        models.open_estimator(KerasClassifier(compiled_own_parts()), X, Y)


def test_a_seed_decides_the_initial_weights():
    def weights(seed):
        opened = models.open_estimator(small_classifier(), X, Y, seed=seed)
        return opened.model_.get_weights()[0]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, (3, 16, True)),
        ({"batch_size": None}, (3, 32, True)),
        ({"batch_size": -1}, (3, None, True)),
        ({"epochs": 5, "fit__epochs": 9, "fit__batch_size": 4}, (9, 4, True)),
        ({"shuffle": False}, (3, 16, False)),
    ],
)
def test_the_plan_is_read_as_scikeras_reads_it(params, expected):
    plan = models.training_plan(small_classifier(**params))
    assert (plan.n_epochs, plan.batch_size, plan.shuffle) == expected
    assert plan.rows_per_batch(10) == min(10, plan.batch_size or 10)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"epochs": 0}, "'epochs'"),
        ({"epochs": 1.5}, "'epochs'"),
        ({"batch_size": 0}, "batch_size"),
        ({"fit__class_weight": {0: 2.0}}, "fit__class_weight"),
    ],
)
def test_unusable_plans_are_refused(params, said):
    with pytest.raises(ValueError, match=said):
        models.training_plan(small_classifier(**params))


@pytest.mark.parametrize(
    ("estimator", "remedy"),
    [
        (LogisticRegression(), "wrap what builds"),
        (KerasRegressor(small_mlp), "numbers for MetaLRRegressor"),
        ("mlp", "wrap what builds"),
        (make_pipeline(small_classifier()), "put the Pipeline around this estimator"),
    ],
)
def test_other_estimators_are_refused(estimator, remedy):
    with pytest.raises(TypeError, match=f"must be a .*{remedy}"):
        models.as_wrapper(estimator, models.CLASSIFIERS)


def test_a_function_or_a_model_trains_for_the_ready_made_budget():
    for given in (build_compiled, compiled()):
        estimator = models.as_wrapper(given, models.CLASSIFIERS)
        assert estimator.model is given
        assert models.training_plan(estimator) == models.TrainingPlan(40, 32, True)
    classifier = small_classifier()
    assert models.as_wrapper(classifier, models.CLASSIFIERS) is classifier


def for_keras_wrapper(X, y, hidden=5):
    model = keras.Sequential(
        [
            keras.Input(X.shape[1:]),
            layers.Dense(hidden),
            layers.Dense(y.shape[1], activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy")
    return model


@pytest.mark.parametrize("labels", [np.array(["a", "b", "c"])[Y], Y % 2])
def test_keras_own_wrapper_is_accepted(labels):
    given = keras.wrappers.SKLearnClassifier(
        for_keras_wrapper,
        model_kwargs={"hidden": 7},
        fit_kwargs={"epochs": 3, "batch_size": 8, "initial_epoch": 0},
    )
    estimator = models.as_wrapper(given, models.CLASSIFIERS)
    assert models.training_plan(estimator) == models.TrainingPlan(3, 8, True)
    assert estimator.fit__initial_epoch == 0
    opened = models.open_estimator(estimator, X, labels, seed=0)
    models.check_model(opened, Classification(), X, labels, labels)
    assert opened.model_.layers[0].units == 7
    classes = np.unique(labels)
    _, targets = models.encode(opened, X, labels)
    np.testing.assert_array_equal(classes[targets.argmax(axis=1)], labels)
    assert targets.shape == (len(labels), len(classes))
    opened.fit(X, labels)
    assert set(opened.predict(X)) <= set(classes)


def scaled_for_keras_wrapper(X, y):
    scale = layers.Normalization()
    scale.adapt(X)
    first = keras.initializers.Constant(np.log(y.mean(axis=0)))
    head = layers.Dense(y.shape[1], "softmax", bias_initializer=first)
    model = keras.Sequential([keras.Input(X.shape[1:]), scale, head])
    model.compile("adam", "categorical_crossentropy")
    return model


def test_the_function_of_keras_own_wrapper_sees_the_rows():
    labels = np.array(["a", "b", "c"])[np.minimum(Y, np.tile([0, 2], 15))]
    given = keras.wrappers.SKLearnClassifier(scaled_for_keras_wrapper)
    estimator = models.as_wrapper(given, models.CLASSIFIERS)
    rows = models.features_to_open(estimator, X, np.arange(20))
    opened = models.open_estimator(estimator, rows, labels[:20], seed=0)
    np.testing.assert_allclose(opened.model_.layers[0].mean[0], X[:20].mean(axis=0), atol=1e-6)
    shares = np.unique(labels[:20], return_counts=True)[1] / 20
    np.testing.assert_allclose(opened.model_.layers[1].bias, np.log(shares), rtol=1e-5)
    assert "rows_" not in vars(opened)


def test_keras_own_wrapper_of_a_model_starts_from_fresh_weights():
    model = for_keras_wrapper(X, np.eye(3)[Y])
    estimator = models.as_wrapper(keras.wrappers.SKLearnClassifier(model), models.CLASSIFIERS)
    one, other = (models.open_estimator(estimator, X, Y, seed=seed) for seed in (0, 1))
    assert not np.allclose(one.model_.get_weights()[0], other.model_.get_weights()[0])
    assert not np.allclose(one.model_.get_weights()[0], model.get_weights()[0])


def uncompiled(meta):
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax")])


def nothing(meta):
    uncompiled(meta)


def unbuilt(meta):
    return keras.Sequential([layers.Dense(3, "softmax")])


def wide_model():
    model = keras.Sequential([keras.Input((7,)), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


class Reversed(KerasClassifier):
    """Encodes the classes in another order."""

    @property
    def target_encoder(self):
        return ClassifierLabelEncoder(categories=[np.array(["c", "b", "a"])])


def three_dimensional(meta):
    return keras.Sequential([keras.Input((4,)), layers.Reshape((4, 1)), layers.Dense(3, "softmax")])


def outputs_as(form):
    """Return a function that builds a model of which `form` makes the outputs."""

    def build():
        given = keras.Input((4,))
        model = keras.Model(given, form(layers.Dense(3, "softmax")(given)))
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    return build


@pytest.mark.parametrize(
    ("estimator", "y", "said"),
    [
        (KerasClassifier(outputs_as(lambda x: {"p": x})), Y, r"dict .* outputs\['p'\]"),
        (KerasClassifier(outputs_as(lambda x: {"p": x, "q": x})), Y, r"\['p', 'q'\].*keep the"),
        (KerasClassifier(outputs_as(lambda x: [x, x])), Y, "2 outputs instead; keep the"),
        (KerasClassifier(uncompiled), Y, "has no loss"),
        (small_classifier(nothing), Y, "must return a keras.Model. Got .*'NoneType'"),
        (KerasClassifier(compiled(2)), Y, "width 2 but y has 3"),
        (KerasClassifier(compiled(3)), Y % 2, "width 3 but y has 2"),
        (KerasClassifier(compiled(1, "sigmoid")), Y, "width 1 but y has 3"),
        (
            small_classifier(three_dimensional),
            Y,
            r"shape \(batch, n\), .* Got an output of shape \(None, 4, 3\)",
        ),
        (KerasClassifier(compiled(loss="mse")), Y, "'mean_squared_error'; .*use a cross-entropy"),
        (small_classifier(uncompiled, loss="mse"), Y, "'mean_squared_error'; .*use a cross-ent"),
        (KerasClassifier(compiled(activation=None)), Y, "activation='softmax'"),
        (
            KerasClassifier(compiled(1, None, loss="binary_crossentropy")),
            Y % 2,
            "activation='sigmoid'",
        ),
        (KerasClassifier(compiled(1, "sigmoid")), Y % 2, "'binary_crossentropy'"),
        (KerasClassifier(compiled(1, "softmax", "binary_crossentropy")), Y % 2, "'sigmoid'"),
        (KerasClassifier(compiled(2, loss="binary_crossentropy")), Y % 2, "'sparse_categorical"),
        (KerasClassifier(wide_model), Y, r"rows of shape \(4,\)"),
        (Reversed(compiled()), np.array(["a", "b", "c"])[Y], "keep them sorted"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*You are using a softmax")
def test_models_that_do_not_suit_the_data_are_refused(estimator, y, said):
    def check():
        opened = models.open_estimator(estimator, X, y, seed=0)
        models.check_model(opened, Classification(), X, y, y)

    with pytest.raises((ValueError, TypeError), match=said):
        check()


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 2.0, 2: 0.5}])
def test_training_weights_are_sample_weight_times_class_weight(class_weight):
    opened = models.open_estimator(small_classifier(class_weight=class_weight), X, Y)
    sample_weight = RNG.uniform(size=30)
    before = sample_weight.copy()
    weights = models.training_weights(opened, Y, sample_weight)
    expected = sample_weight * compute_sample_weight(class_weight, Y)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    np.testing.assert_array_equal(sample_weight, before)


@pytest.mark.parametrize(
    ("units", "activation", "loss"),
    [
        (1, "sigmoid", "binary_crossentropy"),
        (1, None, keras.losses.BinaryCrossentropy(from_logits=True)),
        (2, "softmax", "sparse_categorical_crossentropy"),
        (2, None, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
    ],
)
@pytest.mark.parametrize("n_rows", [1, 30])
def test_probabilities_have_a_column_a_class(units, activation, loss, n_rows):
    estimator = KerasClassifier(compiled(units, activation, loss), verbose=0)
    fitted = models.open_estimator(estimator, X, Y % 2)
    outputs = np.asarray(fitted.model_(X[:n_rows]), np.float64)
    probabilities = models.suited(Classification(), fitted.model_).predicted(outputs)
    assert probabilities.shape == (n_rows, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    kernel, bias = fitted.model_.get_weights()
    outputs = X[:n_rows] @ kernel + bias
    log_odds = outputs[:, 0] if units == 1 else outputs[:, 1] - outputs[:, 0]
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-log_odds)), rtol=1e-4)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, False),
        ({"fit__epochs": 2}, False),
        ({"metrics": ["accuracy"]}, True),
        ({"callbacks": keras.callbacks.TerminateOnNaN()}, True),
        ({"validation_split": 0.1}, True),
        ({"fit__validation_freq": 2}, True),
    ],
)
def test_what_only_keras_can_do_is_left_to_keras(params, expected):
    opened = models.open_estimator(small_classifier(**params), X, Y)
    assert models.refits_with_keras(opened) is expected


def test_a_replaced_optimizer_excludes_the_same_weights_from_decay():
    model = compiled()
    model.optimizer = keras.optimizers.AdamW(weight_decay=0.1)
    model.optimizer.exclude_from_weight_decay(var_names=["bias"])
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    set_strategy(model, schedule)
    kernel, bias = model.trainable_variables
    assert model.optimizer.learning_rate is not None
    assert not model.optimizer._use_weight_decay(bias)
    assert model.optimizer._use_weight_decay(kernel)


@pytest.mark.parametrize("is_instance", [True, False])
def test_copies_exclude_the_same_weights_from_decay(is_instance):
    optimizer = keras.optimizers.AdamW(weight_decay=0.1)
    model = compiled()
    if is_instance:
        optimizer.exclude_from_weight_decay(var_list=[model.trainable_variables[1]])
        model.compile(optimizer, "sparse_categorical_crossentropy")
        estimator = KerasClassifier(model)
    else:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        estimator = small_classifier(uncompiled, optimizer=optimizer)
    for one in (estimator, models.with_strategy(estimator, 0.01, 2, 0, {})):
        opened = models.open_estimator(one, X, Y, rate=0.5).model_
        kernel, bias = opened.trainable_variables
        assert opened.optimizer._use_weight_decay(kernel)
        assert not opened.optimizer._use_weight_decay(bias)


def test_a_named_optimizer_has_the_settings_that_are_routed_to_it():
    estimator = small_classifier(optimizer__weight_decay=0.25, optimizer__learning_rate=0.1)
    for listed, expected in (("sgd", 0.25), (keras.optimizers.SGD(weight_decay=0.5), 0.5)):
        settings = {"optimizer": listed}
        opened = models.open_estimator(estimator, X, Y, rate=0.125, settings=settings)
        settings = models.with_routed_settings(estimator, settings)
        tuned = models.with_strategy(estimator, 0.125, 2, 0, settings)
        refitted = models.open_estimator(tuned, X, Y, rate=0.125, settings=settings)
        for one in (opened, refitted):
            assert type(one.model_.optimizer).__name__ == "SGD"
            assert one.model_.optimizer.weight_decay == expected
            assert float(one.model_.optimizer.learning_rate) == 0.125
    assert estimator.optimizer__weight_decay == 0.25
    settings = {"optimizer": "adam"}
    with pytest.raises(ValueError, match="for 'adam' instead; leave them out, or list instances"):
        models.with_routed_settings(estimator.set_params(optimizer__momentum=0.9), settings)


def test_another_optimizer_of_a_float16_model_scales_its_losses():
    def half(meta):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax")])
        model.compile(
            keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=64.0),
            "sparse_categorical_crossentropy",
        )
        return model

    settings = {"optimizer": "sgd"}
    opened = models.open_estimator(small_classifier(half), X, Y, rate=0.5, settings=settings)
    optimizer = opened.model_.optimizer
    assert optimizer.initial_scale == 64.0
    assert type(optimizer.inner_optimizer).__name__ == "SGD"
    assert float(optimizer.learning_rate) == 0.5


def test_a_schedule_inside_of_a_loss_scale_is_replaced():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model = compiled()
    model.optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(schedule))
    set_strategy(model, 0.25)
    model.optimizer.learning_rate = 0.5
    assert float(model.optimizer.learning_rate) == 0.5


@pytest.mark.parametrize(
    ("params", "name"), [({"units": 7}, "model__units"), ({"fit__batch_size": 7}, "batch_size")]
)
def test_own_values_are_those_that_count(params, name):
    def build(meta, units=3):
        return uncompiled(meta)

    assert models.own_values(small_classifier(build, **params), [name]) == {name: 7}


def test_a_method_may_build_the_model():
    class Factory:
        """Builds."""

        def build(self, meta):
            """Build."""
            return compiled()

    estimator = models.as_wrapper(Factory().build, models.CLASSIFIERS)
    assert models.open_estimator(estimator, X, Y).model_.compiled


def test_a_loss_scale_keeps_its_optimizer_at_the_rate():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5, momentum=0.9))
    copy = at_rate(scaled, 0.125)
    assert float(copy.inner_optimizer.learning_rate) == 0.125
    assert copy.inner_optimizer.momentum == 0.9
    assert float(scaled.inner_optimizer.learning_rate) == 0.5


@pytest.mark.parametrize("name", ["validation_split", "fit__validation_split"])
def test_a_scheduled_refit_lasts_as_long_as_keras_trains(name):
    estimator = small_classifier(epochs=3, batch_size=32, **{name: 0.2})
    linear = check_schedule("linear")
    rate = models.scheduled_rate(estimator, models.training_plan(estimator), 0.5, linear, 161)
    assert len(rate.factors) == 3 * 4  # 128 rows
    assert float(rate(0)) == 0.5
    assert float(rate(99)) == pytest.approx(0.5 / 12)
