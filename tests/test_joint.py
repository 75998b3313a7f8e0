"""Joint search: any hyperparameter of the wrapped estimator, as Keras itself trains it."""

import inspect
from pathlib import Path

import keras
import numpy as np
import pytest
from make import SMALL_FITS_WARN
from scikeras.wrappers import KerasClassifier
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_metalr import MetaLRClassifier, StrategyDisplay, report, verify
from sk_metalr._keras import spared_of_decay
from sk_metalr._search.importance import importances
from sk_metalr.exceptions import ForgottenParametersWarning

layers = keras.layers
X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
RATES = [1e-3, 3e-3]
pytestmark = SMALL_FITS_WARN


def build(
    meta,
    units=8,
    activation="relu",
    dropout=0.1,
    noise=0.1,
    l1=1e-4,
    l2=1e-4,
    smoothing=0.1,
    spatial=0.1,
    optimizer="adamw",
    config=(),
):
    model = keras.Sequential(
        [
            keras.Input(meta["X_shape_"][1:]),
            layers.GaussianNoise(noise),
            layers.Dense(units, activation, kernel_regularizer=keras.regularizers.L1L2(l1, l2)),
            layers.Dropout(dropout),
            layers.Reshape((4, -1)),
            layers.SpatialDropout1D(spatial),
            layers.Flatten(),
            layers.Dense(8, activation, bias_regularizer=keras.regularizers.L2(l2)),
            layers.Dropout(dropout / 2),
            layers.Dense(meta["n_classes_"], "softmax"),
        ]
    )
    made = keras.optimizers.get({"class_name": optimizer, "config": dict(config)})
    model.compile(made, keras.losses.CategoricalCrossentropy(label_smoothing=smoothing))
    return model


def classifier(function=build, **params):
    return KerasClassifier(
        function,
        **{"loss": "categorical_crossentropy", "epochs": 3, "batch_size": 32, "verbose": 0}
        | {"random_state": 0}
        | params,
    )


def fitted(space, function=build, n_candidates=6, fixed=None, **params):
    estimator = classifier(function, **(fixed or {}))
    params = {"cv": 2, "random_state": 0, "learning_rates": RATES} | params
    return MetaLRClassifier(estimator, space, n_candidates=n_candidates, **params).fit(X, Y)


NUMBERS = {
    "model__dropout": [0.0, 0.2, 0.6],
    "model__spatial": [0.0, 0.3],
    "model__noise": [0.0, 0.1, 0.5],
    "model__l1": [0.0, 1e-3, 1e-1],
    "model__l2": [0.0, 1e-3, 1e-1],
    "model__smoothing": [0.0, 0.05, 0.3],
    "optimizer__weight_decay": [0.0, 1e-3, 1e-1],
    "optimizer__beta_1": [0.5, 0.9, 0.99],
    "optimizer__beta_2": [0.9, 0.999],
    "optimizer__epsilon": [1e-8, 1e-2],
}
OF_OTHERS = {
    "sgd": {"optimizer__momentum": [0.5, 0.9], "optimizer__clipnorm": [0.1, 1.5]},
    "rmsprop": {"optimizer__rho": [0.5, 0.9], "optimizer__clipvalue": [0.01, 1.5]},
    "nadam": {"optimizer__beta_1": [0.5, 0.9], "optimizer__global_clipnorm": [0.1, 1.5]},
    "adamax": {"optimizer__beta_2": [0.9, 0.99]},
    "lion": {"optimizer__beta_1": [0.5, 0.9]},
    "adagrad": {"optimizer__epsilon": [1e-7, 1e-2]},
    "adadelta": {"optimizer__rho": [0.5, 0.95]},
}


@pytest.mark.parametrize(
    "engine",
    ["vectorized", *(pytest.param(lane, marks=pytest.mark.long) for lane in ("compiled", "keras"))],
)
def test_every_number_trains_as_keras_trains_it(engine):
    one = fitted(NUMBERS, n_candidates=8, engine=engine)
    assert one.search_cost_["lane"] == engine
    columns = {name: one.cv_results_[f"param_{name}"].data for name in NUMBERS}
    assert all(column.dtype == float and len(set(column)) > 1 for column in columns.values())
    assert verify(one, X, Y, n_candidates=8)["max_loss_difference"] < 1e-5


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long) for name in NUMBERS])
def test_each_number_by_itself_trains_as_keras_trains_it(name):
    one = fitted({name: NUMBERS[name]})
    assert one.cv_results_[f"param_{name}"].dtype == float
    assert verify(one, X, Y, n_candidates=6)["max_loss_difference"] < 1e-5


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", *(pytest.param(one, marks=pytest.mark.long) for one in OF_OTHERS if one != "sgd")],
)
def test_numbers_of_each_optimizer_train_as_keras_trains_them(optimizer):
    space = OF_OTHERS[optimizer]
    settings = {name.removeprefix("optimizer__"): values[0] for name, values in space.items()}
    fixed = {"model__optimizer": optimizer, "model__config": settings}
    one = fitted(space, fixed=fixed, n_candidates=4, learning_rates=[1e-4, 1e-3], cv=0.3)
    assert one.search_cost_["lane"] == "vectorized"
    assert all(one.cv_results_[f"param_{name}"].dtype == float for name in space)
    assert verify(one, X, Y, n_candidates=4)["max_loss_difference"] < 1e-5


def test_the_choice_is_the_same_in_every_lane_and_chunk():
    space = {"model__dropout": uniform(0, 0.5), "model__units": [4, 8], "batch_size": [16, 32]}
    fits = [
        fitted(space, n_candidates=16, cv=0.3, engine=engine, max_memory=memory)
        for engine, memory in (("vectorized", None), ("compiled", None), ("vectorized", 1e5))
    ]
    first, *others = fits
    results = first.cv_results_["params"]
    assert len({(one["model__units"], one["batch_size"]) for one in results}) == 2
    for other in others:
        assert other.best_params_ == first.best_params_
        np.testing.assert_allclose(other.learning_curves_, first.learning_curves_, atol=1e-4)


def test_static_parameters_train_as_keras_trains_them():
    space = {
        "model__units": [4, 8],
        "model__activation": ["relu", "tanh"],
        "batch_size": [16, 32],
        "class_weight": [None, "balanced", {0: 2.0, 1: 1.0, 2: 1.0}],
        "optimizer": ["sgd", keras.optimizers.Adam(name="mine")],
        "schedule": ["constant", "cosine"],
    }
    one = fitted(space, n_candidates=32, cv=0.3)
    results = one.cv_results_
    assert results["param_model__units"].dtype == object
    settings = {str({n: p[n] for n in space if n != "schedule"}) for p in results["params"]}
    assert len(settings) == 8
    differences = verify(one, X, Y, n_candidates=8)
    assert differences["max_loss_difference"] < 1e-5
    assert differences["max_weight_difference"] < 1e-4


def test_the_refit_has_all_that_was_chosen():
    space = {"model__units": [6], "model__dropout": uniform(0.2, 0.2), "batch_size": [25]}
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"}
    one = fitted(space, plain, n_candidates=4, fixed=fixed)
    refitted = one.best_estimator_
    assert refitted.batch_size == 25
    kernels = [weight.shape for weight in refitted.model_.get_weights() if weight.ndim == 2]
    assert kernels[0] == (4, 6)
    rates = [layer.rate for layer in refitted.model_.layers if type(layer) is layers.Dropout]
    chosen = one.best_params_["model__dropout"]
    assert rates == [chosen]
    assert refitted.get_params()["model__dropout"] == chosen


def test_the_most_epochs_are_the_budget_and_no_parameter():
    one = fitted({"epochs": [2, 5], "model__units": [4]}, n_candidates=4)
    assert one.learning_curves_.shape[2] == 5
    assert "epochs" not in one.best_params_


@pytest.mark.parametrize("search", ["random", "halving", "hypergradient"])
def test_every_search_takes_joint_spaces(search):
    space = {"model__dropout": uniform(0, 0.5), "model__units": [4, 8]}
    one = fitted(space, n_candidates=16, search=search, learning_rates=None)
    assert len(one.cv_results_["params"]) == 16
    assert one.predict_proba(X).shape == (150, 3)


def needing(units, dropout=0.1):
    return plain(units, dropout=dropout)


def test_a_function_may_need_what_is_searched():
    space = {"model__units": [4, 8], "model__dropout": uniform(0, 0.5)}
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"}
    one = fitted(space, needing, n_candidates=8, cv=0.3, fixed=fixed)
    assert one.best_params_["model__units"] in (4, 8)


def test_each_part_of_a_space_gives_only_its_own_parameters():
    space = [{"optimizer": ["sgd"], "optimizer__momentum": uniform(0.5, 0.4)}, {}]
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"}
    one = fitted(space, plain, n_candidates=8, cv=0.3, fixed=fixed)
    params = one.cv_results_["params"]
    assert {"optimizer__momentum" in p for p in params} == {True, False}
    assert all(("optimizer__momentum" in p) == (p["optimizer"] == "sgd") for p in params)
    mask = one.cv_results_["param_optimizer__momentum"].mask
    np.testing.assert_array_equal(mask, [p["optimizer"] != "sgd" for p in params])
    assert verify(one, X, Y, n_candidates=4)["max_loss_difference"] < 1e-5
    assert len(StrategyDisplay.from_estimator(one).axes_) == 3
    parts = [one.search_cost_[f"{name}_seconds"] for name in ("compiling", "training", "scoring")]
    assert sum(parts) <= one.search_cost_["search_seconds"]


def test_an_ensemble_of_joint_candidates_predicts_saves_and_exports(tmp_path):
    space = {"model__dropout": [0.0, 0.3], "model__units": [4, 8], "batch_size": [16, 32]}
    one = fitted(space, n_candidates=16, n_models=4, learning_rates=None, fixed={"epochs": 6})
    probabilities = one.predict_proba(X)
    one.save(tmp_path / "one.metalr")
    with pytest.warns(ForgottenParametersWarning):
        again = MetaLRClassifier.load(tmp_path / "one.metalr")
    np.testing.assert_allclose(again.predict_proba(X), probabilities, atol=1e-6)
    exported = one.export_model()
    np.testing.assert_allclose(exported.predict(X, verbose=0), probabilities, atol=1e-5)


def test_halving_makes_an_ensemble_where_a_block_has_lost_all_its_candidates():
    space = {"model__units": [4, 8, 16, 32]}
    params = {"n_candidates": 32, "n_models": 4, "search": "halving", "learning_rates": None}
    one = fitted(space, **params, fixed={"epochs": 9})
    last = one.cv_results_["n_resources"] == 9
    assert len(set(one.cv_results_["param_model__units"].data[last])) < 4
    assert len({model["index"] for model in one.ensemble_}) > 1


def test_an_ensemble_of_optimizers_of_which_one_averages_by_itself():
    averaging = keras.optimizers.Adam(use_ema=True, name="averaging")
    space = {"optimizer": [averaging, "adam"]}
    one = fitted(space, n_candidates=8, n_models=3, learning_rates=[1e-3, 1e-2, 3e-2, 1e-1])
    assert np.isfinite(one.predict_proba(X)).all()


def plain(units=8, activation="relu", dropout=0.2, max_norm=3.0):
    constraint = keras.constraints.MaxNorm(max_norm)
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(units, activation, kernel_constraint=constraint),
            layers.Dropout(dropout),
            layers.Dense(3, "softmax"),
        ]
    )


PUBLIC_GRIDS = {
    "batch size and epochs": {"batch_size": [10, 20, 40], "epochs": [2, 4]},
    "optimizer": {"optimizer": ["sgd", "rmsprop", "adagrad", "adam", "nadam"]},
    "rate and momentum": {
        "optimizer__learning_rate": [0.001, 0.01, 0.1],
        "optimizer__momentum": [0.0, 0.4, 0.9],
    },
    "dropout and weight constraint": {
        "model__dropout": [0.0, 0.2, 0.5],
        "model__max_norm": [1.0, 2.0, 4.0],
    },
    "neurons": {"model__units": [1, 5, 10, 30]},
}


@pytest.mark.parametrize(
    "name",
    [
        name if "dropout" in name else pytest.param(name, marks=pytest.mark.long)
        for name in PUBLIC_GRIDS
    ],
)
def test_public_grids_are_searched_as_they_stand(name):
    optimizer = "SGD" if "momentum" in name else "adam"
    estimator = KerasClassifier(
        plain, loss="sparse_categorical_crossentropy", optimizer=optimizer, epochs=4, verbose=0
    )
    search = MetaLRClassifier(estimator, PUBLIC_GRIDS[name], n_candidates=24, random_state=0)
    chosen = make_pipeline(StandardScaler(), search).fit(X, Y)[-1]
    searched = {"optimizer__learning_rate", *PUBLIC_GRIDS[name]} - {"epochs"}
    assert set(chosen.best_params_) == searched
    for parameter in searched - {"optimizer__learning_rate"}:
        seen = set(chosen.cv_results_[f"param_{parameter}"].data)
        assert len(seen) > 1
        assert seen <= set(PUBLIC_GRIDS[name][parameter])


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"unit": [4]}, "Got 'unit' too, which is no parameter"),
        ({"verbose": [0, 1]}, "Got 'verbose' too, which is not part of a strategy"),
        ({"fit__shuffle": [True]}, "Got 'fit__shuffle' too"),
        ({"model__units": [2, 8]}, "'model__units': 2.*too few units"),
        ({"model__layers": [2, 8]}, "'model__layers': 2"),
        ({"model__units": 4}, "must be a list"),
        ({"model__units": []}, "at least one value"),
        ({"optimizer__momentun": [0.9]}, "'optimizer__momentun': 0.9"),
        ({"batch_size": [0, 16]}, "'batch_size'.*Got 0"),
        ({"epochs": [0]}, "'epochs'.*Got 0"),
        ({"epochs": norm(10)}, "'epochs'.*must have a highest one"),
        ({"epochs": randint(1, 10), "model__units": ["many"]}, "'model__units': 'many'"),
    ],
)
def test_what_cannot_be_searched_is_named_before_training(space, said, monkeypatch):
    from sk_metalr._population import Block

    monkeypatch.setattr(Block, "train", None)
    estimator = KerasClassifier(
        needs_many_units, loss="sparse_categorical_crossentropy", optimizer="adam", verbose=0
    )
    with pytest.raises(ValueError, match=f"(?s){said}"):
        MetaLRClassifier(estimator, space).fit(X, Y)


def test_the_ready_made_network_is_searched():
    space = {"model__units": [8, 16], "model__dropout": [0.0, 0.3], "model__n_layers": [1, 2]}
    one = MetaLRClassifier(None, space, n_candidates=16, cv=0.3, random_state=0).fit(X, Y)
    assert one.cv_results_["param_model__dropout"].dtype == float
    n_dense = sum(isinstance(one_, layers.Dense) for one_ in one.best_estimator_.model_.layers)
    assert n_dense == one.best_params_["model__n_layers"] + 1


def conditional(units=8, dropout=0.2):
    return plain(units, dropout=dropout) if dropout > 0.1 else plain(units, "tanh", 0.0)


def normalised(units=8, noise=0.1, rate=0.1):
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.GaussianNoise(noise),
            layers.Dense(units),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(rate**2),
            layers.Dense(3, "softmax"),
        ]
    )


def residual(units=8, dropout=0.1, depth=1):
    x = inputs = keras.Input((4,))
    x = layers.Dense(units, "relu")(x)
    for _ in range(depth):
        x = layers.add([x, layers.Dropout(dropout)(layers.Dense(units, "relu")(x))])
    return keras.Model(inputs, layers.Dense(3, "softmax")(x))


def penalised(units=8, l1=0.0, l2=0.01):
    penalty = keras.regularizers.L1L2(l1, l2)
    dense = layers.Dense(units, "relu", kernel_regularizer=penalty, activity_regularizer=penalty)
    return keras.Sequential([keras.Input((4,)), dense, layers.Dense(3, "softmax")])


def compiled_here(units=8, learning_rate=1e-3, clipnorm=1.0):
    model = plain(units)
    optimizer = keras.optimizers.AdamW(learning_rate, clipnorm=clipnorm)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def sequence(units=4, dropout=0.1):
    shape = [keras.Input((4,)), layers.Reshape((4, 1)), layers.Conv1D(units, 2, "relu")]
    rest = [layers.SpatialDropout1D(dropout), layers.Flatten(), layers.Dense(3, "softmax")]
    return keras.Sequential([*shape, *rest])


def recurrent(units=4, dropout=0.1):
    shape = [keras.Input((4,)), layers.Reshape((4, 1)), layers.GRU(units, dropout=dropout)]
    return keras.Sequential([*shape, layers.Dropout(dropout), layers.Dense(3, "softmax")])


def needs_many_units(units=8):
    if units < 4:
        raise RuntimeError("too few units")
    return plain(units)


def tuned_inside(units=8, rate=0.1, decay=1e-3):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(units, "relu"),
            layers.Dropout(rate),
            layers.Dense(3, "softmax"),
        ]
    )
    optimizer = keras.optimizers.SGD(momentum=0.5, weight_decay=decay)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


BUILDERS = (
    *(plain, conditional, normalised, residual, penalised, compiled_here, sequence, recurrent),
    *(needs_many_units, tuned_inside),
)
VALUES = {
    "units": [[4, 8], [3], randint(2, 9), [0, 4], ["wide"]],
    "activation": [["relu", "tanh"], ["up"], [keras.activations.elu, "relu"]],
    "number": [uniform(0, 0.5), [0.0, 0.2], [0.1], [0, 0.5, 2.0], [-1.0, 0.1], [None], [np.nan]],
    "depth": [[1, 2], [0, 1], [1.5]],
    "batch_size": [[16, 32], [None, 16], [0], [-1, 16], ["all"], randint(8, 20)],
    "epochs": [[1, 2], [0]],
    "class_weight": [[None, "balanced"], [{0: 1, 1: 2, 2: 1}], ["heavy"]],
    "optimizer": [["sgd", "adam"], ["sgdd"], [keras.optimizers.RMSprop()]],
    "optimizer__weight_decay": [loguniform(1e-6, 1e-1), [None, 1e-3], [0, 1e-2], ["a"]],
    "optimizer__momentum": [[0.0, 0.9], uniform(0, 0.9)],
    "schedule": [["constant", "cosine"], ["up"]],
    "nothing": [[1, 2]],
}


def random_space(random):
    """Return a function, and a space of some of its arguments and of other parameters."""
    function = BUILDERS[random.randint(len(BUILDERS))]
    space = {}
    for name in inspect.signature(function).parameters:
        kind = name if name in VALUES else "number"
        if random.uniform() < 0.5:
            space[f"model__{name}"] = VALUES[kind][random.randint(len(VALUES[kind]))]
    for name in ("batch_size", "epochs", "class_weight", "optimizer", "schedule", "nothing"):
        if random.uniform() < 0.15:
            space[name] = VALUES[name][random.randint(len(VALUES[name]))]
    for name in ("optimizer__weight_decay", "optimizer__momentum"):
        if random.uniform() < 0.2:
            space[name] = VALUES[name][random.randint(len(VALUES[name]))]
    return function, space


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200))
def test_a_random_space_is_searched_as_keras_trains_or_refused(seed, monkeypatch):
    from sk_metalr._population import Block

    function, space = random_space(np.random.RandomState(seed))
    estimator = classifier(function, loss="sparse_categorical_crossentropy", optimizer="adam")
    search = MetaLRClassifier(
        estimator, space, n_candidates=6, cv=0.3, random_state=0, learning_rates=RATES
    )
    trained, train = [], Block.train

    def noticed(self, *args):
        trained.append(self)
        return train(self, *args)

    monkeypatch.setattr(Block, "train", noticed)
    said = ""
    try:
        search.fit(X, Y)
    except (ValueError, TypeError) as error:
        said = str(error)
    if said:
        assert not trained, f"{function.__name__}, {space}: {said}"
        assert any(name.split("__")[-1] in said for name in space), said
    else:
        assert verify(search, X, Y, n_candidates=2)["max_loss_difference"] < 1e-4


def test_rates_cannot_be_left_open_in_a_joint_space():
    space = {"model__units": [4, 8]}
    with pytest.raises(ValueError, match="Got 'auto' instead"):
        MetaLRClassifier(classifier(), space, learning_rates="auto").fit(X, Y)


def test_a_joint_search_is_shown(tmp_path):
    space = {"model__dropout": uniform(0, 0.5), "model__units": randint(1, 9)}
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"}
    one = fitted(space, plain, n_candidates=16, learning_rates=None, fixed=fixed)
    shares = one.importances_
    assert set(shares) == {"optimizer__learning_rate", *space}
    assert all(0 <= share <= 1 for share in shares.values())
    display = StrategyDisplay.from_estimator(one)
    names = [axes.get_xlabel() for axes in display.axes_]
    assert names == sorted(shares, key=lambda name: -shares[name])
    page = report(one, tmp_path / "page.html").read_text()
    assert "against each hyperparameter" in page


class Doubled:
    """A function with a name and no hash."""

    __name__ = "doubled"

    def __call__(self, x):
        return 2.0 * x

    def __reduce__(self):
        raise TypeError("not to be pickled")


def two_units(meta, units, activation="relu"):
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(units, activation), layers.Dense(3, "softmax")]
    )


def wider(meta, units=16):
    return two_units(meta, units)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("model__activation", [keras.activations.elu, "relu"]),
        ("model", [wider, build]),
        ("model__activation", ["relu", Doubled()]),
    ],
)
def test_values_may_be_objects(name, values):
    units = {} if name == "model" else {"model__units": 4}
    loss = "categorical_crossentropy" if name == "model" else "sparse_categorical_crossentropy"
    fixed = {"loss": loss, "optimizer": "adam"} | units
    found = fitted({name: values}, two_units, n_candidates=16, fixed=fixed)
    names = set(found.cv_results_[f"param_{name}"])
    assert len(names) == 2
    assert verify(found, X, Y, n_candidates=2)["max_weight_difference"] < 1e-4


def test_clipping_at_0_is_none():
    found = fitted({"optimizer__clipnorm": [0.0, 1.0]}, n_candidates=16)
    assert set(found.cv_results_["param_optimizer__clipnorm"]) == {0.0, 1.0}
    assert verify(found, X, Y, n_candidates=8)["max_loss_difference"] < 1e-5


def test_time_is_measured_with_what_a_function_needs():
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"}
    found = fitted({"model__units": [4, 8]}, two_units, fixed=fixed, max_time=600)
    assert found.best_params_["model__units"] in (4, 8)


@pytest.mark.parametrize("routed", [{}, {"fit__batch_size": 64}])
def test_a_refit_by_keras_has_the_chosen_batches(routed):
    space = {"batch_size": [8], "schedule": ["linear"]}
    fixed = {"epochs": 4, **routed}
    found = fitted(space, n_candidates=2, fixed=fixed, engine="keras")
    rate = found.best_estimator_.model_.optimizer._learning_rate
    n_steps = -(-len(X) // 8)
    assert len(rate.factors) == 4 * n_steps
    iterations = int(found.best_estimator_.model_.optimizer.iterations)
    assert iterations == found.best_n_epochs_ * n_steps


def test_importances_are_shares_where_values_come_unequally_often():
    units = np.ma.array([16.0] * 8 + [64.0] * 24)
    rates = np.ma.array(np.random.RandomState(0).permutation(np.geomspace(1e-4, 1e-1, 32)))
    results = {
        "param_model__units": units,
        "param_optimizer__learning_rate": rates,
        "selection_score": -np.where(units.data == 16, 0.9, 0.5),
    }
    shares = importances(results)
    assert 0.85 < shares["model__units"] <= 1
    assert shares["optimizer__learning_rate"] < 0.1


def deep(meta, hidden=(8,)):
    model = keras.Sequential([keras.Input((4,))])
    while len(hidden):
        model.add(layers.Dense(hidden.pop(0), "relu"))
    model.add(layers.Dense(3, "softmax"))
    return model


def test_a_function_may_use_up_what_it_is_handed():
    listed = [[6, 5], [4]]
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"}
    one = fitted({"model__hidden": listed}, deep, fixed=fixed)
    assert listed == [[6, 5], [4]]
    found = {str(params["model__hidden"]) for params in one.cv_results_["params"]}
    assert found == {"[6, 5]", "[4]"}
    widths = [w.shape[1] for w in one.best_estimator_.model_.get_weights() if w.ndim == 2]
    assert widths == [*one.best_params_["model__hidden"], 3]


@pytest.mark.parametrize("engine", ["vectorized", "keras"])
def test_listed_objects_are_left_as_they_are(engine):
    def penalised(meta, penalty):
        hidden = layers.Dense(6, "relu", kernel_regularizer=penalty)
        return keras.Sequential([keras.Input((4,)), hidden, layers.Dense(3, "softmax")])

    weak, strong = keras.regularizers.L2(1e-4), keras.regularizers.L2(1e-2)
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"}
    space = {"model__penalty": [weak, strong], "batch_size": [30, 50]}
    one = fitted(space, penalised, fixed=fixed, n_candidates=8, engine=engine)
    assert (float(weak.l2), float(strong.l2)) == pytest.approx((1e-4, 1e-2))
    assert verify(one, X, Y, n_candidates=4)["max_loss_difference"] < 1e-5


def embedding(meta, start):
    first = layers.Dense(3, kernel_initializer=lambda *_, **__: keras.ops.convert_to_tensor(start))
    return keras.Sequential([keras.Input((4,)), first, layers.Dense(3, "softmax")])


def test_listed_arrays_are_values_like_others():
    starts = [np.zeros((4, 3), np.float32), np.eye(4, 3, dtype=np.float32)]
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam", "model__start": None}
    one = fitted({"model__start": starts}, embedding, fixed=fixed)
    assert len({params["model__start"] for params in one.cv_results_["params"]}) == 2


def test_the_loss_may_be_searched_alone():
    space = {"loss": ["sparse_categorical_crossentropy"], "model__units": [4, 8]}
    one = fitted(space, plain, fixed={"optimizer": "adam", "loss": None})
    assert one.best_params_["loss"] == "sparse_categorical_crossentropy"


def test_epochs_of_one_dict_are_not_those_of_another():
    space = [{"epochs": [2], "model__units": [4]}, {"model__units": [6]}]
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam", "epochs": 5}
    assert fitted(space, plain, fixed=fixed).learning_curves_.shape[2] == 5
    fixed["epochs"] = 1
    alone = fitted({"epochs": [3]}, plain, fixed=fixed, learning_rates="auto")
    assert alone.learning_curves_.shape[2] == 3


def test_layers_that_models_share_may_not_be_switched_by_one_of_them():
    shared = layers.Dense(6, "relu")

    def tuned(meta, fine=False):
        shared.trainable = fine
        return keras.Sequential([keras.Input((4,)), shared, layers.Dense(3, "softmax")])

    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"}
    with pytest.raises(ValueError, match="must make all of its layers"):
        fitted({"model__fine": [False, True]}, tuned, fixed=fixed)


def test_weights_that_a_function_spares_of_decay_are_spared_by_listed_optimizers():
    def sparing(meta, compile_kwargs):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax")])
        optimizer = compile_kwargs["optimizer"]
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.compile(optimizer, "sparse_categorical_crossentropy")
        return model

    space = {"optimizer": ["adamw", "lion"], "optimizer__weight_decay": [0.0, 0.1]}
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"}
    one = fitted(space, sparing, fixed=fixed, n_candidates=8)
    assert spared_of_decay(one.best_estimator_.model_) == [1]
    assert verify(one, X, Y, n_candidates=4)["max_loss_difference"] < 1e-5


def test_files_of_one_name_are_told_apart():
    def reading(meta, file):
        width = 4 if file.parent.name == "narrow" else 6
        return keras.Sequential(
            [keras.Input((4,)), layers.Dense(width), layers.Dense(3, "softmax")]
        )

    files = [Path("narrow", "weights.h5"), Path("wide", "weights.h5")]
    fixed = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"}
    one = fitted({"model__file": files}, reading, fixed=fixed)
    assert {params["model__file"] for params in one.cv_results_["params"]} == {*map(str, files)}
