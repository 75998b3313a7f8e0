"""Heads: several labels a row, and losses of classes beside the cross-entropy."""

import pickle
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from make import SMALL_FITS_WARN, small_classifier, small_mlp
from scipy import sparse
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, cross_val_score
from sklearn.multioutput import ClassifierChain
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from sk_metalr import Experience, MetaLRClassifier, ReliabilityDisplay, report, verify
from sk_metalr._models import training_weights
from sk_metalr._refit import predicted
from sk_metalr._task import Classification
from sk_metalr.exceptions import ForgottenParametersWarning

pytestmark = SMALL_FITS_WARN
layers, losses = keras.layers, keras.losses
SLOWER = "compiled", "keras"
CROSS_ENTROPY = "sparse_categorical_crossentropy"


@pytest.fixture(scope="module")
def labelled():
    X, Y = make_multilabel_classification(
        n_samples=160, n_features=8, n_classes=3, n_labels=2, random_state=0
    )
    return scale(X), Y


def labels_mlp(meta, activation="sigmoid", units=None, loss=None):
    """Build a network with an output for each label."""
    model = keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            layers.Dense(8, "relu"),
            layers.Dense(units or meta["n_classes_"], activation),
        ]
    )
    if loss is not None:
        model.compile("adam", loss)
    return model


def make(estimator=None, **params):
    if estimator is None:
        estimator = small_classifier(labels_mlp, loss="binary_crossentropy", epochs=20)
    defaults = {"learning_rates": [1e-3, 1e-2, 1e-1], "cv": 2, "random_state": 0}
    return MetaLRClassifier(estimator, **(defaults | params))


@pytest.fixture(scope="module")
def fitted(labelled):
    return make(n_models=3).fit(*labelled)


class TestSeveralLabels:
    def test_shapes_are_those_of_scikit_learns_own(self, labelled, fitted):
        X, Y = labelled
        own = MLPClassifier(max_iter=3, random_state=0)
        with pytest.warns(ConvergenceWarning):
            own.fit(X, Y)
        assert fitted.predict_proba(X).shape == own.predict_proba(X).shape
        predicted, expected = fitted.predict(X), own.predict(X)
        assert predicted.shape == expected.shape
        assert predicted.dtype == expected.dtype
        assert set(np.unique(predicted)) == {0, 1}
        np.testing.assert_array_equal(fitted.classes_, own.classes_)
        assert fitted.score(X, Y) > own.score(X, Y)

    def test_the_loss_is_the_mean_over_labels(self, labelled):
        X, Y = labelled
        train, test = np.arange(100), np.arange(100, 160)

        def own(estimator, rows, y):
            p = estimator.predict_proba(rows)
            return np.mean([-log_loss(y[:, k], p[:, k], labels=[0, 1]) for k in range(3)])

        scoring = {"own": own, "recorded": "neg_log_loss"}
        found = make(cv=[(train, test)], scoring=scoring, calibrate=False).fit(X, Y)
        results = found.cv_results_
        np.testing.assert_allclose(
            results["mean_test_own"], results["mean_test_recorded"], rtol=1e-4
        )
        share = Y.mean(axis=0)
        entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share)).mean()
        assert found.baseline_loss_ == pytest.approx(entropy)

    @pytest.mark.parametrize(
        ("engine", "output"),
        [
            ("vectorized", "probabilities"),
            ("vectorized", "logits"),
            *(pytest.param(engine, "logits", marks=pytest.mark.long) for engine in SLOWER),
        ],
    )
    def test_it_equals_keras(self, engine, output, labelled):
        X, Y = labelled
        activation = "sigmoid" if output == "probabilities" else None
        loss = losses.BinaryCrossentropy(from_logits=output == "logits")
        estimator = small_classifier(
            labels_mlp, model__activation=activation, model__loss=loss, loss=None
        )
        found = make(estimator, engine=engine, n_models=2).fit(X, Y)
        differences = verify(found, X, Y, n_candidates=2)
        assert differences["max_loss_difference"] < 1e-5
        assert differences["max_weight_difference"] < 1e-5
        exported = found.export_model().predict(X.astype(np.float32), verbose=0)
        np.testing.assert_allclose(exported, found.predict_proba(X), atol=1e-5)

    def test_temperature_and_ensemble(self, labelled, fitted):
        X, Y = labelled
        assert 0.2 < fitted.temperature_ < 10
        assert len(fitted.ensemble_) == 3
        assert -fitted.best_score_ < fitted.baseline_loss_
        np.testing.assert_allclose(
            fitted.predict_log_proba(X), np.log(fitted.predict_proba(X)), rtol=1e-6
        )
        found = make(scoring="f1_macro").fit(X, Y)
        assert 0.5 < found.best_score_ <= 1

    def test_it_is_kept_and_shown(self, labelled, fitted, tmp_path):
        X, _ = labelled
        path = fitted.save(tmp_path / "labels.metalr")
        with pytest.warns(ForgottenParametersWarning):  # the function that builds the model
            loaded = MetaLRClassifier.load(path)
        for other in (loaded, pickle.loads(pickle.dumps(fitted))):
            np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
            np.testing.assert_array_equal(other.predict(X), fitted.predict(X))
        assert "3 labels" in report(fitted, tmp_path / "page.html").read_text()
        assert len(Experience().record(make().fit(*labelled), *labelled)) == 1

    def test_ready_made_sparse_weighted_and_inside_scikit_learn(self, labelled):
        X, Y = labelled
        ready_made = MetaLRClassifier(n_candidates=4, cv=0.25, random_state=0)
        assert ready_made.fit(X, sparse.csr_matrix(Y)).score(X, Y) > 0.3
        weighted = make().fit(X, Y.astype(bool), np.linspace(0.1, 2, len(Y)))
        assert weighted.predict(X).shape == Y.shape
        assert cross_val_score(make(), X, Y, cv=2, scoring="f1_macro").mean() > 0.4
        one_label = MetaLRClassifier(small_classifier(), n_candidates=2, cv=0.25, random_state=0)
        chain = ClassifierChain(one_label)
        assert chain.fit(X, Y).predict(X).shape == Y.shape

    def test_two_labels_are_no_two_classes(self, labelled):
        X, Y = labelled
        found = make(scoring=["roc_auc", "average_precision"], refit="roc_auc").fit(X, Y[:, :2])
        assert 0.5 < found.best_score_ <= 1
        assert found.predict_proba(X).shape == (len(X), 2)

    def test_keras_own_wrapper_leaves_labels_as_they_are(self, labelled):
        def build(X, y):
            meta = {"n_features_in_": X.shape[1], "n_classes_": y.shape[1]}
            return labels_mlp(meta, loss="binary_crossentropy")

        X, Y = labelled
        wrapped = keras.wrappers.SKLearnClassifier(build, fit_kwargs={"epochs": 30})
        found = make(wrapped).fit(X, Y[:, :2])
        assert found.score(X, Y[:, :2]) > 0.5
        assert set(np.unique(found.best_estimator_.predict(X))) == {0, 1}

    def test_own_validation_rows_and_a_label_that_nobody_has(self, labelled):
        X, Y = labelled
        Y = np.column_stack([Y, np.zeros(len(Y), int)])
        found = make(cv="auto").fit(X[:120], Y[:120], X_val=X[120:], y_val=Y[120:])
        assert np.isfinite(found.predict_proba(X)).all()
        with pytest.raises(ValueError, match="zeros and ones in 4 columns"):
            make(cv="auto").fit(X[:120], Y[:120], X_val=X[120:], y_val=Y[120:, :2])

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"model__units": 2}, "y has 3 labels"),
            ({"loss": "sparse_categorical_crossentropy"}, "use 'binary_crossentropy'"),
            ({"model__activation": "softmax"}, "no probabilities of labels"),
            ({"model__activation": None}, "no probabilities of labels"),
        ],
    )
    def test_other_heads_are_refused(self, settings, said, labelled):
        given = {"loss": "binary_crossentropy"} | settings
        with pytest.raises(ValueError, match=said):
            make(small_classifier(labels_mlp, **given)).fit(*labelled)

    def test_they_are_not_drawn_as_classes(self, labelled, fitted):
        with pytest.raises(TypeError, match="several labels"):
            ReliabilityDisplay.from_estimator(fitted, *labelled)
        with pytest.raises(ValueError, match="MultiLabelBinarizer"):
            make().fit(labelled[0], [list(np.flatnonzero(row)) for row in labelled[1]])

    @pytest.mark.parametrize("y", [np.full((160, 3), 2), np.full((160, 2), "a"), np.eye(160)[:, 0]])
    def test_other_columns_are_refused(self, y, labelled):
        y = y if y.ndim == 2 else np.stack([y, y + 0.5], axis=1)
        with pytest.raises(ValueError, match="zeros and ones in a column for each"):
            make().fit(labelled[0], y)


def scores_mlp(meta, units, activation=None):
    """Build a network that gives scores."""
    return labels_mlp(meta, activation, units)


OF_CLASSES = {
    "focal": (3, "softmax", losses.CategoricalFocalCrossentropy(gamma=2.0)),
    "focal from logits": (3, None, losses.CategoricalFocalCrossentropy(from_logits=True)),
    "smoothed": (3, "softmax", losses.CategoricalCrossentropy(label_smoothing=0.1)),
    "categorical, by name": (3, "softmax", "categorical_crossentropy"),
    "categorical hinge": (3, None, "categorical_hinge"),
    "binary focal": (1, "sigmoid", losses.BinaryFocalCrossentropy(gamma=2.0)),
    "binary smoothed": (1, "sigmoid", losses.BinaryCrossentropy(label_smoothing=0.1)),
    "hinge": (1, None, "hinge"),
    "squared hinge": (1, "tanh", losses.SquaredHinge()),
}


OFTEN = "focal", "hinge"


class TestLossesOfClasses:
    @pytest.mark.parametrize(
        "name",
        [
            pytest.param(name, marks=[] if name in OFTEN else [pytest.mark.long])
            for name in OF_CLASSES
        ],
    )
    @pytest.mark.parametrize("is_compiled", [True, pytest.param(False, marks=pytest.mark.long)])
    def test_they_are_trained_on_and_judged_by_the_log_loss(self, name, is_compiled, iris):
        X, y = iris
        units, activation, loss = OF_CLASSES[name]
        y = y if units == 3 else y % 2
        params = {"model": scores_mlp, "model__units": units, "model__activation": activation}
        if is_compiled:  # SciKeras is not told of the loss, and encodes no classes for it
            params |= {"model": labels_mlp, "model__loss": loss, "loss": None}
        else:
            params |= {"loss": loss}
        found = make(small_classifier(epochs=15, **params)).fit(X, y)
        probabilities = found.predict_proba(X)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        assert log_loss(y, probabilities) < found.baseline_loss_
        assert -found.best_score_ < found.baseline_loss_
        differences = verify(found, X, y, n_candidates=2)
        assert differences["max_loss_difference"] < 1e-5
        assert differences["max_weight_difference"] < 1e-5
        exported = found.export_model().predict(X.astype(np.float32), verbose=0)
        np.testing.assert_allclose(exported, probabilities, atol=1e-5)

    def test_class_weights_go_with_them(self, iris):
        X, y = iris
        loss = losses.CategoricalFocalCrossentropy()
        estimator = small_classifier(small_mlp, loss=loss, class_weight="balanced", epochs=10)
        assert make(estimator).fit(X[20:], y[20:]).score(X, y) > 0.8

    @pytest.mark.parametrize(("units", "activation"), [(1, "sigmoid"), (3, "softmax")])
    def test_probabilities_are_no_scores(self, units, activation, iris):
        X, y = iris
        loss = "hinge" if units == 1 else "categorical_hinge"
        params = {"model__units": units, "model__activation": activation, "loss": loss}
        with pytest.raises(ValueError, match="of scores on both sides of 0"):
            make(small_classifier(scores_mlp, **params)).fit(X, y if units == 3 else y % 2)

    def test_a_loss_of_the_users_own_is_not_known_by_its_name(self, iris):
        def hinge(y_true, y_pred):
            return losses.sparse_categorical_crossentropy(y_true, y_pred)

        X, y = iris
        found = make(small_classifier(small_mlp, loss=hinge, epochs=20)).fit(X, y)
        outputs = found.best_estimator_.model_(X.astype(np.float32))
        expected = np.asarray(outputs) ** (1 / found.temperature_)
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.predict_proba(X), expected, atol=1e-5)

    def test_what_is_no_probability_is_refused(self, iris):
        for loss in ("mean_squared_error", "poisson", "cosine_similarity"):
            with pytest.raises(ValueError, match="use a cross-entropy"):
                make(small_classifier(loss=loss)).fit(*iris)


def make_categorical(loss="categorical_crossentropy", activation="softmax", **params):
    how = {"epochs": 8, "random_state": 0, "model__activation": activation}
    return make(small_classifier(labels_mlp, loss=loss, **how), **params)


@pytest.fixture(scope="module")
def both(iris):
    """The same fit of one-hot targets, and of classes."""
    X, y = iris
    fits = make_categorical(n_models=2), make_categorical(n_models=2)
    return fits[0].fit(X, np.eye(3)[y]), fits[1].fit(X, y)


class TestOneHotTargets:
    """A matrix of one 1 in each row, as Keras's users give classes."""

    def test_they_are_classes(self, both, iris):
        one_hot, by_class = both
        X, y = iris
        for name in ("learning_curves_", "calibrated_learning_curves_", "temperature_"):
            np.testing.assert_array_equal(getattr(one_hot, name), getattr(by_class, name))
        np.testing.assert_array_equal(one_hot.predict_proba(X), by_class.predict_proba(X))
        np.testing.assert_array_equal(one_hot.predict(X), np.eye(3)[by_class.predict(X)])
        assert one_hot.score(X, np.eye(3)[y]) == by_class.score(X, y)
        assert one_hot.target_type_ == "one-hot"
        np.testing.assert_array_equal(one_hot.classes_, np.arange(3))
        verify(one_hot, X, np.eye(3)[y])

    def test_they_are_known_again(self, both, iris, tmp_path):
        X, y = iris
        one_hot, _ = both
        one_hot.save(tmp_path / "model.metalr")
        with pytest.warns(ForgottenParametersWarning):
            loaded = MetaLRClassifier.load(tmp_path / "model.metalr")
        for again in (loaded, pickle.loads(pickle.dumps(one_hot))):
            np.testing.assert_array_equal(again.predict(X), one_hot.predict(X))
        report(one_hot, tmp_path / "report.html")
        exported = np.asarray(one_hot.export_model()(X))
        np.testing.assert_allclose(exported, one_hot.predict_proba(X), atol=1e-5)
        assert len(Experience().record(one_hot, X, np.eye(3)[y])) == 1

    def test_own_rows_and_other_scorers(self, iris):
        X, y = iris
        Y = np.eye(3)[y]
        folds = KFold(3, shuffle=True, random_state=0)
        own = make_categorical(cv="auto", scoring=["accuracy", "roc_auc_ovr"])
        own.fit(X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2])
        assert 0.3 < own.best_score_ <= 1.0
        assert cross_val_score(make_categorical(), X, Y, cv=folds).mean() > 0.3
        twice = np.ones_like(Y[1::2])
        with pytest.raises(ValueError, match="one 1 in each row"):
            make_categorical(cv="auto").fit(X[::2], Y[::2], X_val=X[1::2], y_val=twice)

    def test_keras_wrapper_and_weights_of_classes(self, iris):
        X, y = iris

        def build(X, y):
            model = keras.Sequential(
                [keras.Input(X.shape[1:]), layers.Dense(y.shape[1], "softmax")]
            )
            model.compile("adam", "categorical_crossentropy")
            return model

        wrapped = keras.wrappers.SKLearnClassifier(build, fit_kwargs={"epochs": 3})
        fitted = make(wrapped).fit(X, np.eye(3)[y])
        assert fitted.predict(X).shape == (150, 3)
        assert fitted.target_type_ == "one-hot"

    def test_labels_stay_labels(self, iris):
        X, y = iris
        fitted = make_categorical("binary_crossentropy", "sigmoid").fit(X, np.eye(3)[y])
        assert fitted.target_type_ == "multilabel-indicator"
        wide = {"model__activation": "softmax", "model__units": 4}
        wrapped = small_classifier(labels_mlp, loss="categorical_crossentropy", **wide)
        with pytest.raises(ValueError, match="width 4 but y has 3"):
            make(wrapped).fit(X, np.eye(3)[y])


@pytest.mark.parametrize("head", ["labels", "one-hot"])
def test_scorers_are_given_probabilities_where_outputs_are_logits(head, iris):
    X, Y = iris[0], np.eye(3)[iris[1]]
    kind = losses.BinaryCrossentropy if head == "labels" else losses.CategoricalCrossentropy
    estimator = small_classifier(
        labels_mlp, model__activation=None, model__loss=kind(from_logits=True), loss=None
    )

    def own(estimator, rows, y):
        p = estimator.predict_proba(rows)
        if head == "one-hot":
            return np.log(p[y == 1]).mean()
        p = np.clip(p, 1e-7, 1 - 1e-7)
        return (y * np.log(p) + (1 - y) * np.log(1 - p)).mean()

    scoring = {"own": own, "recorded": "neg_log_loss"}
    results = make(estimator, scoring=scoring, calibrate=False).fit(X, Y).cv_results_
    np.testing.assert_allclose(results["mean_test_own"], results["mean_test_recorded"], rtol=1e-4)


def test_class_weights_of_one_hot_rows_are_those_of_classes():
    y = np.repeat([0, 1, 2], [16, 3, 1])
    for class_weight in ("balanced", {0: 1.0, 1: 2.0, 2: 5.0}):
        opened = SimpleNamespace(class_weight=class_weight)
        found = training_weights(opened, np.eye(3)[y], None)
        np.testing.assert_allclose(found, training_weights(opened, y, None))
    with pytest.raises(ValueError, match="Give fit a sample_weight"):
        training_weights(opened, np.ones((4, 2)), None)


def test_models_of_one_unit_and_of_two_predict_together(cancer):
    def build(units=1):
        model = keras.Sequential([keras.Input((30,)), layers.Dense(units, "sigmoid")])
        model.compile("adam", "binary_crossentropy" if units == 1 else CROSS_ENTROPY)
        return model

    X, y = cancer
    each = [
        small_classifier(build, model__units=units, epochs=1, loss=None).fit(X, y)
        for units in (1, 2)
    ]
    found = predicted(Classification(), each, X.astype(np.float32), [1.0, 1.0])
    outputs = [one.model_.predict(X, verbose=0) for one in each]
    both = outputs[0][:, 0], outputs[1][:, 1] / outputs[1].sum(axis=1)
    np.testing.assert_allclose(found[:, 1], np.mean(both, axis=0), atol=1e-5)
