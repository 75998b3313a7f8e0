"""A fitted classifier survives its file; a file that was touched does not pass."""

import copy
import io
import json
import pickle
import subprocess
import sys
import warnings
import zipfile
from hashlib import sha256
from pathlib import Path

import cloudpickle
import keras
import matplotlib
import numpy as np
import pytest
from make import (
    SMALL_FITS_WARN,
    mlp_for_keras_wrapper,
    own_loss,
    own_model,
    own_parts,
    small_classifier,
    small_mlp,
)
from scikeras.utils.transformers import ClassifierLabelEncoder
from scikeras.wrappers import KerasClassifier
from scipy.stats import loguniform, uniform
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.utils.validation import check_is_fitted

from sk_metalr import Experience, Halving, MetaLRClassifier, Portfolio, report
from sk_metalr._persistence.encoding import decode, encode
from sk_metalr._persistence.keras_models import model_from_bytes, model_to_bytes
from sk_metalr.exceptions import ForgottenParametersWarning, RefusedFileError

pytestmark = SMALL_FITS_WARN


matplotlib.use("Agg")

layers = keras.layers
DATA = Path(__file__).parents[1] / "data"

forgets = pytest.mark.filterwarnings("ignore::sk_metalr.exceptions.ForgottenParametersWarning")


def logits(meta):
    return keras.Sequential(
        [keras.Input((meta["n_features_in_"],)), layers.Dense(meta["n_classes_"])]
    )


def one_logit(meta):
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), layers.Dense(1)])


def convolution(meta):
    return keras.Sequential(
        [
            keras.Input(meta["X_shape_"][1:]),
            layers.Conv2D(2, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


def flat(meta):
    return keras.Sequential(
        [
            keras.Input(meta["X_shape_"][1:]),
            layers.Flatten(),
            layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


def functional(meta):
    given = keras.Input((meta["n_features_in_"],))
    hidden = layers.BatchNormalization()(layers.Dense(4)(given))
    outputs = keras.ops.softmax(layers.Dense(meta["n_classes_"])(hidden + 1.0))
    return keras.Model(given, outputs)


class Scaled(layers.Layer):
    def call(self, x):
        return 0.5 * x


def with_own_layer(meta):
    model = small_mlp(meta)
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), Scaled(), *model.layers])


def with_lambda(meta):
    model = small_mlp(meta)
    half = layers.Lambda(lambda x: 0.5 * x)
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), half, *model.layers])


def make(estimator=None, **params):
    estimator = small_classifier() if estimator is None else estimator
    defaults = {"n_candidates": 2, "cv": 0.2, "random_state": 0}
    return MetaLRClassifier(estimator, **(defaults | params))


def of_logits(loss=keras.losses.SparseCategoricalCrossentropy, model=logits, **params):
    return small_classifier(model, loss=loss(from_logits=True), **params)


def few(X, y, labels=None):
    labels = np.unique(y) if labels is None else np.asarray(labels)
    return X[:: len(X) // 75], labels[y[:: len(y) // 75]]


SPACE = {
    "param_distributions": [
        {
            "optimizer": ["sgd"],
            "optimizer__learning_rate": loguniform(1e-3, 1),
            "schedule": ["cosine", keras.optimizers.schedules.PolynomialDecay(0.1, 4)],
        },
        {
            "optimizer": [keras.optimizers.AdamW(weight_decay=1e-3)],
            "optimizer__learning_rate": [0.001, 0.01],
        },
    ],
    "n_candidates": 6,
    "scoring": ["neg_log_loss", "accuracy"],
}
WEIGHTED = {"metrics": ["accuracy"], "class_weight": {0: 1.0, 1: 2.0, 2: 1.0}}

FITS = {
    "logits, several refits, schedules": (
        lambda: make(
            of_logits(), n_models=2, param_distributions={"schedule": ["constant", "cosine"]}
        ),
        np.array(["a", "\ud800", "ccc"], dtype=object),
    ),
    "keras.wrappers": (
        lambda: make(keras.wrappers.SKLearnClassifier(mlp_for_keras_wrapper, fit_kwargs={})),
        ["a", "bb", "ccc"],
    ),
}
MORE_FITS = {
    "floats": (lambda: make(), np.array([0.0, 1.0, 2.0], np.float32)),
    "functional, halving": (
        lambda: make(small_classifier(functional), search=Halving(2), n_candidates=4),
        None,
    ),
    "hypergradient": (lambda: make(search="hypergradient"), None),
    "a space of everything": (lambda: make(small_classifier(**WEIGHTED), **SPACE), None),
    "a rate too high": (lambda: make(learning_rates=[1e-3, 1e30]), None),
}
WRAPPED = {"loss": "sparse_categorical_crossentropy", "epochs": 3, "verbose": 0}
KINDS = [*FITS, *(pytest.param(kind, marks=pytest.mark.long) for kind in MORE_FITS)]


def assert_same(one, other, at="estimator"):
    """Compare values, their types and the types of what they hold."""
    assert type(one) is type(other), at
    if isinstance(one, dict):
        assert list(one) == list(other), at
        for key in one:
            assert_same(one[key], other[key], f"{at}[{key!r}]")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), at
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{at}[{i}]")
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, at
        np.testing.assert_array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(other), at)
        if one.dtype == object:
            assert_same(one.tolist(), other.tolist(), at)
        else:
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other), at)
    else:
        assert one == other or (one != one and other != other), at


def fitted_attributes(fitted):
    refitted = {"estimators_", "best_estimator_"}
    return {k: v for k, v in vars(fitted).items() if k.endswith("_") and k not in refitted}


def assert_equal_fits(loaded, fitted, X):
    assert_same(fitted_attributes(loaded), fitted_attributes(fitted))
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert_same(loaded.predict(X), fitted.predict(X))
    assert len(loaded.estimators_) == len(fitted.estimators_)
    assert loaded.best_estimator_ is loaded.estimators_[0]
    mine, its = loaded.best_estimator_, fitted.best_estimator_
    np.testing.assert_array_equal(mine.predict_proba(X), its.predict_proba(X))
    assert_same(mine.predict(X), its.predict(X))
    assert_same(mine.history_, its.history_)
    assert mine.current_epoch == its.current_epoch
    for a, b in zip(mine.model_.optimizer.variables, its.model_.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


@forgets
@pytest.mark.parametrize("kind", KINDS)
def test_a_round_trip_keeps_everything(iris, tmp_path, kind):
    build, labels = (FITS | MORE_FITS)[kind]
    X, y = few(*iris, labels)
    fitted = build().fit(X, y)
    loaded = MetaLRClassifier.load(fitted.save(tmp_path / "first"))
    check_is_fitted(loaded)
    assert_equal_fits(loaded, fitted, X)
    again = MetaLRClassifier.load(loaded.save(str(tmp_path / "second")))
    assert_same(fitted_attributes(again), fitted_attributes(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


@forgets
def test_one_sigmoid_with_two_classes(cancer, tmp_path):
    X, y = few(*cancer, [False, True])
    fitted = make(of_logits(keras.losses.BinaryCrossentropy, one_logit)).fit(X, y)
    assert_equal_fits(MetaLRClassifier.load(fitted.save(tmp_path / "a")), fitted, X)


@forgets
@pytest.mark.parametrize(
    "model", [flat, pytest.param(convolution, marks=pytest.mark.long)], ids=["flat", "convolution"]
)
def test_images_and_a_categorical_loss(digits, tmp_path, model):
    X, y = few(*digits)
    X = X.reshape(-1, 8, 8, 1)
    estimator = small_classifier(model, loss="categorical_crossentropy")
    fitted = make(estimator).fit(X, y)
    assert_equal_fits(MetaLRClassifier.load(fitted.save(tmp_path / "a")), fitted, X)


def test_a_model_that_was_given_is_kept_or_named(iris, tmp_path):
    X, y = few(*iris)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    saved = make(model).fit(X, y).save(tmp_path / "a")
    with pytest.warns(ForgottenParametersWarning, match=r"estimator \(<Sequential"):
        assert MetaLRClassifier.load(saved).estimator is None


@pytest.mark.parametrize("make", [Path, Experience])
def test_a_search_is_kept_and_its_experience_by_its_path(fitted, tmp_path, make):
    path = tmp_path / "experience.jsonl"
    saved = like(fitted, search=Portfolio(make(path))).save(tmp_path / "a")
    with pytest.warns(ForgottenParametersWarning, match=r"now: estimator \("):
        search = MetaLRClassifier.load(saved).search
    assert type(search) is Portfolio
    assert search.experience == str(path)


def test_what_is_loaded_does_all_that_a_fitted_one_does(iris, tmp_path):
    """The ready-made network is no code of the user's, so nothing is forgotten."""
    frame = pytest.importorskip("pandas").DataFrame(iris[0], columns=list("abcd"))
    fitted = MetaLRClassifier(n_candidates=2, cv=0.2, random_state=0).fit(frame, iris[1])
    loaded = MetaLRClassifier.load(fitted.save(tmp_path / "a"))
    assert_equal_fits(loaded, fitted, frame)
    assert_same(loaded.get_params(), fitted.get_params())
    assert "held-out score" in loaded._repr_html_()
    assert report(loaded, tmp_path / "page.html").stat().st_size > 1000  # draws, too


class Tuned(MetaLRClassifier):
    pass


def like(fitted, of_class=MetaLRClassifier, **params):
    """Return a classifier as if it had been fitted alike with these parameters."""
    other = of_class(**(fitted.get_params(deep=False) | params))
    other.__dict__.update({k: v for k, v in vars(fitted).items() if k.endswith("_")})
    return other


@forgets
def test_without_a_refit(fitted, tmp_path):
    chosen = like(fitted, refit=False)
    del chosen.estimators_, chosen.best_estimator_
    loaded = MetaLRClassifier.load(chosen.save(tmp_path / "a"))
    assert_same(fitted_attributes(loaded), fitted_attributes(fitted))
    assert not hasattr(loaded, "estimators_")


@forgets
def test_a_subclass_loads_as_itself_and_as_nothing_else(fitted, tmp_path):
    path = like(fitted, Tuned).save(tmp_path / "a")
    assert type(Tuned.load(path)) is Tuned
    with pytest.raises(TypeError, match=r"holds a Tuned; load it with Tuned\.load"):
        MetaLRClassifier.load(path)


@pytest.fixture(scope="module")
def fitted(iris):
    return make().fit(*few(*iris, ["a", "b", "c"]))


@pytest.fixture(scope="module")
def content(fitted, tmp_path_factory):
    return fitted.save(tmp_path_factory.mktemp("saved") / "a").read_bytes()


def test_what_cannot_be_stored_is_named_once(fitted, tmp_path):
    changed = like(fitted, cv=KFold(3), scoring={"mine": loguniform}, learning_rates=uniform(0, 1))
    with pytest.warns(ForgottenParametersWarning) as caught:
        loaded = MetaLRClassifier.load(changed.save(tmp_path / "a"))
    (only,) = (one for one in caught if one.category is ForgottenParametersWarning)
    assert only.filename == __file__
    message = str(only.message)
    for name in ("estimator (KerasClassifier", "cv (KFold(", "scoring ("):
        assert name in message
    assert "learning_rates" not in message
    assert loaded.cv == "auto"
    assert loaded.scoring == "neg_log_loss"
    assert loaded.learning_rates.dist.name == "uniform"
    assert loaded.random_state == 0


def test_only_what_is_fitted_is_saved(tmp_path):
    with pytest.raises(NotFittedError):
        make().save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


# Code is not saved.


def test_an_encoder_of_the_users_is_refused(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(
        fitted.best_estimator_, "feature_encoder_", FunctionTransformer(np.negative)
    )
    with pytest.raises(ValueError, match=r"FunctionTransformer that cannot .* in a Pipeline"):
        fitted.save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


class Halves(TransformerMixin, BaseEstimator):
    """Scales rows, and takes them apart."""

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X):
        return {"left": (X - self.mean_)[:, :2], "right": (X - self.mean_)[:, 2:]}


class TwoInputs(KerasClassifier):
    @property
    def feature_encoder(self):
        return Halves()


class PipelineOfInputs(KerasClassifier):
    @property
    def feature_encoder(self):
        return make_pipeline(Halves())


class OneHotFeatures(KerasClassifier):
    @property
    def feature_encoder(self):
        return OneHotEncoder(sparse_output=False)


class OtherLabels(KerasClassifier):
    @property
    def target_encoder(self):
        return type("Mine", (ClassifierLabelEncoder,), {})()


def of_two_inputs(meta):
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    hidden = layers.Concatenate()([layers.Dense(4)(left), layers.Dense(4)(right)])
    return keras.Model({"left": left, "right": right}, layers.Dense(3, "softmax")(hidden))


@forgets
def test_a_model_of_several_inputs_is_saved(iris, tmp_path):
    X, y = few(*iris)
    fitted = make(TwoInputs(of_two_inputs, **WRAPPED)).fit(X, y)
    path = fitted.save(tmp_path / "a")
    with pytest.raises(RefusedFileError, match=r"custom_objects=\{'TwoInputs': TwoInputs\}"):
        MetaLRClassifier.load(path)
    loaded = MetaLRClassifier.load(path, custom_objects={"TwoInputs": TwoInputs})
    assert_equal_fits(loaded, fitted, X)
    assert type(loaded.best_estimator_) is TwoInputs
    again = loaded.save(tmp_path / "b")
    again = MetaLRClassifier.load(again, custom_objects={"TwoInputs": TwoInputs})
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def of_any_columns(meta):
    return keras.Sequential([layers.Dense(3, "softmax")])


@forgets
def test_an_encoder_that_knows_certain_categories_only_is_saved(iris, tmp_path):
    X, y = few(*iris)
    X = X.round() % 3
    fitted = make(OneHotFeatures(of_any_columns, **WRAPPED)).fit(X, y)
    custom = {"OneHotFeatures": OneHotFeatures}
    loaded = MetaLRClassifier.load(fitted.save(tmp_path / "a"), custom_objects=custom)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize(
    ("wrapped", "said"),
    [
        (
            PipelineOfInputs(of_two_inputs, **WRAPPED),
            r"Pipeline that cannot be saved: .*x\[:, :2\]",
        ),
        (OtherLabels(small_mlp, **WRAPPED), "a Mine, which is code .* plain labels"),
    ],
)
def test_an_encoder_that_its_class_does_not_make_again_is_refused(iris, tmp_path, wrapped, said):
    fitted = make(wrapped).fit(*few(*iris))
    with pytest.raises(ValueError, match=said):
        fitted.save(tmp_path / "a")


class Unspeakable(layers.Layer):
    """Cannot be saved, and does not say why."""

    def call(self, x):
        return x

    def get_config(self):
        raise NotImplementedError


class Unnamed(layers.Layer):
    """Cannot be saved, as Keras says at length."""

    def __init__(self, thing):
        super().__init__()

    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("layer", "said"), [(Unspeakable(), "NotImplementedError"), (Unnamed(object()), "Unnamed")]
)
def test_a_layer_that_cannot_be_saved_is_a_reason(fitted, tmp_path, monkeypatch, layer, said):
    model = compiled(lambda meta: keras.Sequential([keras.Input((4,)), layer, layers.Dense(3)]))
    monkeypatch.setattr(fitted.best_estimator_, "model_", model)
    with pytest.raises(ValueError, match=f"cannot save the refitted model: .*{said}"):
        fitted.save(tmp_path / "a")
    with pytest.raises(pickle.PicklingError, match=f"cannot save the model: .*{said}"):
        pickle.dumps(fitted)


def compiled(build):
    model = build({"n_features_in_": 4, "n_classes_": 3})
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_a_lambda_layer_is_refused(fitted, tmp_path, monkeypatch):
    model = compiled(with_lambda)
    monkeypatch.setattr(fitted.best_estimator_, "model_", model)
    with pytest.raises(ValueError, match="has a Lambda, which carries code"):
        fitted.save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    model.save(tmp_path / "own.keras")
    with pytest.raises(ValueError, match="Lambda, which carries code"):
        model_from_bytes((tmp_path / "own.keras").read_bytes())


@forgets
def test_a_layer_of_the_users(fitted, iris, tmp_path, monkeypatch):
    X, _ = iris
    monkeypatch.setattr(fitted.best_estimator_, "model_", compiled(with_own_layer))
    path = fitted.save(tmp_path / "a")
    with pytest.raises(RefusedFileError, match=r"'Scaled'.*none of Keras's own.*custom_objects"):
        MetaLRClassifier.load(path)
    loaded = MetaLRClassifier.load(path, custom_objects={"Scaled": Scaled})
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def edited_model(edit):
    """Return a model whose configuration an attacker has changed."""
    parts = unzipped(model_to_bytes(compiled(small_mlp)))
    config = json.loads(parts["config.json"])
    edit(config)
    return zipped(parts | {"config.json": json.dumps(config).encode()})


def dense(**changes):
    return lambda config: config["config"]["layers"][1].update(changes)


def activation(module, name):
    function = {"module": module, "class_name": "function", "config": name}
    return lambda config: config["config"]["layers"][1]["config"].update(activation=function)


@pytest.mark.parametrize(
    "edit",
    [
        dense(module="os", class_name="system"),
        dense(module="keras.utils", class_name="get_file"),
        dense(module="keras.layers", class_name="TFSMLayer", config={"filepath": "/nowhere"}),
        dense(module="keras", class_name="layers.TFSMLayer", config={"filepath": "/nowhere"}),
        dense(module="keras", class_name="utils.get_file", config={}),
        dense(module="keras.src.saving.saving_lib", class_name="load_model"),
        dense(module="tests.models", class_name="Mine", registered_name="Mine"),
        activation("builtins", "eval"),
        activation("keras.models", "load_model"),
        activation("keras.utils", "get_file"),
        lambda config: config["compile_config"].update(
            loss={"module": "os", "class_name": "function", "config": "system"}
        ),
    ],
)
def test_a_model_that_names_what_is_no_part_of_models_is_refused(edit, monkeypatch):
    monkeypatch.setattr(keras.saving, "load_model", None)  # refused before Keras sees it
    with pytest.raises(ValueError, match="It names"):
        model_from_bytes(edited_model(edit))


# Files that were touched.


def zipped(parts, **settings):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **settings) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def unzipped(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sealed(parts, changes=None):
    """Return a file with another manifest, its digest written anew, as an attacker would."""
    manifest = json.loads(parts["manifest.json"])
    others = {k: v for k, v in parts.items() if not k.startswith("manifest")}
    manifest["parts"] = {name: sha256(data).hexdigest() for name, data in others.items()}
    head = json.dumps(manifest | (changes or {})).encode()
    digest = sha256(head).hexdigest().encode()
    return zipped({"manifest.json": head, "manifest.sha256": digest, **others})


def assert_refused(content, path, match=None):
    path.write_bytes(content)
    with pytest.raises(RefusedFileError, match=match):
        MetaLRClassifier.load(path)


def test_a_flipped_byte_in_any_part_is_noticed(content, tmp_path):
    parts = unzipped(content)
    for name, data in parts.items():
        for at in {0, len(data) // 2, len(data) - 1}:
            flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            assert_refused(zipped(parts | {name: flipped}), tmp_path / "a", "damaged|altered")
        # In place, so that the ZIP file's own sum does not fit.
        at = content.index(data) + len(data) // 2
        flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        assert_refused(flipped, tmp_path / "a", "damaged")


def test_a_truncated_file_is_noticed(content, tmp_path):
    for n_bytes in (0, 1, 100, len(content) // 2, len(content) - 1):
        assert_refused(content[:n_bytes], tmp_path / "a", "damaged")


def test_a_part_too_many_or_too_few_is_noticed(content, tmp_path):
    parts = unzipped(content)
    assert_refused(zipped(parts | {"more": b""}), tmp_path / "a", "altered.*: more is not")
    for name in parts:
        others = {k: v for k, v in parts.items() if k != name}
        assert_refused(zipped(others), tmp_path / "a", "damaged|altered")


def test_bombs_and_paths_do_no_harm(content, tmp_path):
    parts = unzipped(content)
    assert_refused(
        zipped(parts, compression=zipfile.ZIP_DEFLATED), tmp_path / "a", "compressed part"
    )
    assert_refused(zipped(parts | {"../../out": b"x"}), tmp_path / "a", "altered")
    assert not (tmp_path.parent.parent / "out").exists()
    file = io.BytesIO(content)
    with (
        zipfile.ZipFile(file, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("manifest.json", b"{}")
    assert_refused(file.getvalue(), tmp_path / "a", "two parts of one name")
    name = next(name for name in parts if name.endswith(".npy"))
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)}
    )
    assert_refused(
        sealed(parts | {name: file.getvalue()}), tmp_path / "a", "another size than it declares"
    )
    compressed = zipped(unzipped(parts[model_of(parts)]), compression=zipfile.ZIP_DEFLATED)
    assert_refused(sealed(parts | {model_of(parts): compressed}), tmp_path / "a", "compressed")


def model_of(parts):
    return next(name for name in parts if name.endswith(".keras"))


def test_an_attackers_file_with_right_sums_runs_no_code(content, tmp_path):
    parts = unzipped(content)
    name = next(name for name in parts if name.endswith(".npy"))
    file = io.BytesIO()
    np.save(file, np.array([print], dtype=object), allow_pickle=True)
    assert_refused(sealed(parts | {name: file.getvalue()}), tmp_path / "a", "cannot be loaded")
    evil = edited_model(dense(module="os", class_name="system"))
    assert_refused(sealed(parts | {model_of(parts): evil}), tmp_path / "a", r"os\.system")


SYSTEM = {"module": "os", "class_name": "system", "config": {}, "registered_name": None}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": 2}, "format 2, of a later sk_metalr.*Upgrade"),
        ({"format": None}, "of a later"),
        ({"parts": {"arrays/0.npy": "0" * 64}}, "altered"),
        ({"parts": []}, "altered"),
        ({"estimators": [{}]}, "cannot be loaded"),
        ({"estimators": {}, "attributes": {}}, "nothing that was fitted"),
        ({"attributes": {"predict": 1}}, "'predict' is no attribute"),
        ({"attributes": {"classes_": {"array": "arrays/99.npy"}}}, "cannot be loaded"),
        ({"attributes": {"classes_": {"code": "print()"}}}, "means nothing here"),
        ({"parameters": {"colour": {"value": 1}}}, "no parameter 'colour'"),
        ({"parameters": {"cv": {"value": {"distribution": ["rv_histogram", [], []]}}}}, "SciPy"),
        ({"parameters": {"cv": {"value": {"keras": SYSTEM}}}}, r"os\.system"),
        ({"parameters": 1}, "cannot be loaded"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(content, tmp_path, changes, match):
    assert_refused(sealed(unzipped(content), changes), tmp_path / "a", match)


def test_other_files_are_refused_and_missing_ones_are_missing(tmp_path):
    assert_refused(b"", tmp_path / "a", "no file that sk_metalr wrote")
    assert_refused(pickle.dumps([1]), tmp_path / "a", "no file that sk_metalr wrote")
    assert_refused(zipped({"a": b""}), tmp_path / "a", "no file that sk_metalr wrote")
    with pytest.raises(FileNotFoundError):
        MetaLRClassifier.load(tmp_path / "missing")


def test_nothing_in_the_file_is_a_pickle(content):
    for name, data in unzipped(content).items():
        if name.endswith(".npy"):
            assert np.load(io.BytesIO(data), allow_pickle=False).dtype.kind != "O"
        inner = unzipped(data) if name.endswith(".keras") else {name: data}
        for part in inner.values():
            with pytest.raises(Exception):  # noqa: B017, PT011
                pickle.loads(part)


# Writing.


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_file(fitted, tmp_path, monkeypatch, call):
    path = tmp_path / "a"
    path.write_bytes(b"earlier")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"sk_metalr._persistence.archive.os.{call}", full)
    with pytest.raises(OSError, match=r"Could not save to .*No space left.*as it was") as caught:
        fitted.save(path)
    assert caught.value.errno == 28
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert path.read_bytes() == b"earlier"


def test_a_folder_that_cannot_be_written_to(fitted, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing" / "a", tmp_path / "file" / "a"):
        with pytest.raises(FileNotFoundError, match="no folder"):
            fitted.save(path)
    with pytest.raises(IsADirectoryError, match="name a file"):
        fitted.save(tmp_path)

    really = Path.open

    def read_only(path, *args, **settings):
        if path.parent == tmp_path:
            raise PermissionError(13, "Permission denied")
        return really(path, *args, **settings)

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(PermissionError, match=r"Could not save to .*Permission denied"):
        fitted.save(tmp_path / "a")


# Values.


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 1, 10**30, 0.1, float("inf"), float("-inf"), float("nan"), "\ud800ä"),
        *((1, [2, (3,)]), {0: "a", (1, 2): None, "b": {}}),
        *(np.float32(0.1), np.int64(3), np.str_("a"), np.bool_(True), np.dtype(">i4")),
        *(np.array([]), np.array(1.5), np.zeros((2, 0, 3)), np.array([b"a"]), np.array(["ä", ""])),
        *(np.array([1, 2], ">i2"), np.arange(6.0).reshape(2, 3).T, np.array(["1999"], "M8[D]")),
        np.array([[1, "a"], [None, (2.5,)]], dtype=object),
        np.ma.MaskedArray([1.0, 2.0], mask=[True, False]),
        np.ma.MaskedArray(np.array(["a", 1], dtype=object), mask=False),
    ],
    ids=repr,
)
def test_values_come_back_as_they_were(value):
    parts = {}
    stored = json.loads(json.dumps(encode(value, parts), allow_nan=False))
    assert_same(decode(stored, parts), value)


def test_distributions_and_keras_objects_come_back():
    for frozen in (loguniform(1e-4, 1), uniform(loc=1, scale=np.float64(2))):
        parts = {}
        loaded = decode(json.loads(json.dumps(encode(frozen, parts))), parts)
        np.testing.assert_array_equal(loaded.ppf([0.1, 0.7]), frozen.ppf([0.1, 0.7]))
    decay = keras.optimizers.schedules.CosineDecay(0.1, 10)
    loaded = decode(encode(keras.optimizers.AdamW(decay, weight_decay=0.1), {}), {})
    assert isinstance(loaded, keras.optimizers.AdamW)
    assert loaded._learning_rate.get_config() == decay.get_config()


@pytest.mark.parametrize("value", [print, {1}, object(), np.zeros(1, "i4,i4"), 1j, [KFold()]])
def test_other_values_are_not_stored(value):
    with pytest.raises(TypeError):
        encode(value, {})


# Files of earlier versions.


@forgets
@pytest.mark.parametrize("path", sorted(DATA.glob("*.metalr")), ids=lambda path: path.stem)
def test_a_file_of_an_earlier_version_loads(path):
    expected = json.loads(path.with_suffix(".json").read_text())
    loaded = MetaLRClassifier.load(path)
    X = np.array(expected["X"])
    np.testing.assert_allclose(loaded.predict_proba(X), expected["probabilities"], rtol=1e-5)
    assert loaded.predict(X).tolist() == expected["predictions"]
    assert loaded.best_params_ == expected["best_params"]
    assert loaded.best_n_epochs_ == expected["best_n_epochs"]
    assert loaded.search_cost_["lane"] == expected["lane"]


def test_there_is_a_file_of_an_earlier_version():
    assert sorted(path.name for path in DATA.glob("format_*")) != []


# Pickle, for those who trust their files.


def test_joblib_keeps_everything_too(fitted, iris, tmp_path):
    import joblib

    joblib.dump(fitted, tmp_path / "a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = joblib.load(tmp_path / "a")
    assert_equal_fits(loaded, fitted, iris[0])
    assert_same(loaded.get_params(deep=False).keys(), fitted.get_params(deep=False).keys())


LOADING = """
import pickle, sys
import numpy as np
sys.path.insert(0, {tests!r})
with open({path!r}, "rb") as file:
    loaded, X = pickle.load(file)
np.save({out!r}, loaded.predict_proba(X))
"""


@pytest.mark.parametrize(
    "estimator",
    [
        small_classifier(own_parts, loss=own_loss),
        pytest.param(small_classifier(own_model), marks=pytest.mark.long),
    ],
    ids=["layer, activation, loss", "subclass"],
)
def test_what_keras_does_not_know_comes_along_in_a_pickle(iris, tmp_path, estimator):
    X, y = few(*iris)
    fitted = make(estimator).fit(X, y)
    known = set(keras.saving.get_custom_objects())
    path, out = tmp_path / "a.pkl", tmp_path / "out.npy"
    path.write_bytes(pickle.dumps((fitted, X)))
    code = LOADING.format(tests=str(Path(__file__).parents[1]), path=str(path), out=str(out))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_array_equal(np.load(out), fitted.predict_proba(X))
    again = copy.deepcopy(pickle.loads(pickle.dumps(fitted)))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    more = set(keras.saving.get_custom_objects()) - known
    assert all(">" in name for name in more)  # which SciKeras registers itself


def test_cloudpickle_takes_what_a_notebook_defines_as_mlflow_is_told_to_use_it(iris):
    X, y = iris

    def in_a_notebook(meta):
        return small_mlp(meta)

    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(in_a_notebook)
    kept = MetaLRClassifier(
        small_classifier(in_a_notebook), learning_rates=[1e-2], cv=0.2, random_state=0
    ).fit(X, y)
    loaded = pickle.loads(cloudpickle.dumps(kept))
    np.testing.assert_array_equal(loaded.predict_proba(X), kept.predict_proba(X))
    page = (Path(__file__).parents[2] / "docs/user_guide/saving.md").read_text(encoding="utf-8")
    assert 'log_model(pipeline, name="model", serialization_format="cloudpickle")' in page


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_what_would_not_be_unpickled_is_not_pickled(fitted, monkeypatch):
    monkeypatch.setattr(fitted.best_estimator_, "model_", compiled(with_lambda))
    with pytest.raises(pickle.PicklingError, match=r"has a lambda, .* instead of a Lambda"):
        pickle.dumps(fitted)
