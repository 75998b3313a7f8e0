"""Regression: one number or several for each row, through every lane and inside scikit-learn."""

import pickle

import keras
import numpy as np
import pandas as pd
import pytest
from make import SMALL_FITS_WARN, small_numbers, small_regressor
from scipy.stats import loguniform
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.ensemble import BaggingRegressor, StackingRegressor
from sklearn.exceptions import DataConversionWarning
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.validation import has_fit_parameter

from sk_metalr import (
    Experience,
    Halving,
    LearningCurvesDisplay,
    LearningRateDisplay,
    MetaLRClassifier,
    MetaLRRegressor,
    Portfolio,
    ReliabilityDisplay,
    StrategyDisplay,
    report,
    verify,
)
from sk_metalr.exceptions import (
    AllDivergedError,
    ExperienceWarning,
    ForgottenParametersWarning,
)

pytestmark = SMALL_FITS_WARN
layers, ops = keras.layers, keras.ops
LONG = pytest.mark.long


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X)[:160], y[:160]


@pytest.fixture(scope="module")
def two_outputs(diabetes):
    X, y = diabetes
    return X, np.stack([y, 1e-3 * X[:, 2] ** 2 + 7], axis=1)


def make(estimator=None, **params):
    estimator = small_regressor(epochs=8) if estimator is None else estimator
    defaults = {"learning_rates": [1e-3, 1e-2, 1e-1], "cv": 2, "random_state": 0}
    return MetaLRRegressor(estimator, **(defaults | params))


@pytest.fixture(scope="module")
def fitted(diabetes):
    return make(small_regressor(epochs=20)).fit(*diabetes)


@pytest.fixture(scope="module")
def fitted_to_two(two_outputs):
    return make(n_models=3).fit(*two_outputs)


def pinball(y_true, y_pred):
    """Loss of the quantile of 0.9."""
    error = y_true - y_pred
    return ops.mean(ops.maximum(0.9 * error, -0.1 * error), axis=-1)


class OwnLoss(keras.losses.Loss):
    """A loss that does not put rows and columns right, and cannot be read from its config."""

    def __init__(self, level):
        super().__init__()
        self.level = level

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        return ops.mean(ops.maximum(self.level * error, (self.level - 1) * error), axis=-1)


LOSSES = {
    "squared": "mean_squared_error",
    "absolute": "mae",
    "Huber": keras.losses.Huber(delta=0.5),
    "log-cosh": "log_cosh",
    "Poisson": "poisson",
    "quantile": pinball,
    "squared logarithmic": "mean_squared_logarithmic_error",
    "absolute percentage": "mean_absolute_percentage_error",
}


def positive_numbers(meta):
    """Build a network whose outputs are above 0."""
    body = small_numbers(meta)
    return keras.Sequential([*body.layers, layers.Activation("softplus")])


class TestEqualsKeras:
    """Curves and refitted weights are those of ``Model.fit`` on targets that are scaled alike."""

    @pytest.mark.parametrize(
        "engine", ["vectorized", *(pytest.param(e, marks=LONG) for e in ("compiled", "keras"))]
    )
    @pytest.mark.parametrize("name", LOSSES)
    @pytest.mark.parametrize("scoring", [None, pytest.param("neg_mean_squared_error", marks=LONG)])
    def test_each_loss_in_each_lane(self, name, engine, scoring, diabetes):
        X, y = diabetes
        of_logarithms = name in ("Poisson", "squared logarithmic")
        model = positive_numbers if of_logarithms else small_numbers
        estimator = small_regressor(model, loss=LOSSES[name], epochs=3)
        rates = [1e-4, 1e-3]
        found = make(estimator, learning_rates=rates, cv=0.3, engine=engine, scoring=scoring)
        found.fit(X[:80], y[:80])
        assert found.search_cost_["lane"] == engine
        differences = verify(found, X[:80], y[:80], n_candidates=2)
        scale_of = max(1.0, np.nanmax(found.learning_curves_))
        assert differences["max_loss_difference"] < 1e-5 * scale_of
        assert differences["max_weight_difference"] < 1e-5

    @pytest.mark.parametrize("scoring", ["neg_mean_squared_error", None])
    def test_several_outputs_and_weights(self, scoring, two_outputs):
        X, y = two_outputs
        weight = np.linspace(0.1, 2, len(y))
        found = make(scoring=scoring).fit(X, y, weight)
        differences = verify(found, X, y, weight)
        assert differences["max_loss_difference"] < 1e-5
        assert differences["max_weight_difference"] < 1e-5


class TestChoice:
    def test_the_score_is_the_mean_squared_error_in_units_of_the_targets(self, diabetes):
        X, y = diabetes
        found = make(cv=[(np.arange(100), np.arange(100, 160))], refit=False).fit(X, y)
        train, test = np.arange(100), np.arange(100, 160)
        assert found.score_name_ == "neg_mean_squared_error"
        of_mean = np.mean((y[test] - y[train].mean()) ** 2) / y[train].std() ** 2
        assert 0 < -found.best_score_ < 2 * of_mean * y[train].std() ** 2
        row, at = found.best_index_, found.best_n_epochs_ - 1
        curve = found.selection_learning_curves_[row, 0, at]
        np.testing.assert_allclose(-found.best_score_, curve * y[train].std() ** 2, rtol=1e-5)

    @pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6, 1e30])
    def test_units_of_the_targets_change_nothing(self, factor, diabetes, fitted):
        X, y = diabetes
        again = make(small_regressor(epochs=20)).fit(X, factor * y + 3 * factor)
        assert again.best_params_ == fitted.best_params_
        expected = factor * (fitted.predict(X) + 3)
        np.testing.assert_allclose(again.predict(X), expected, rtol=1e-4)
        np.testing.assert_allclose(again.best_score_, factor**2 * fitted.best_score_, rtol=1e-3)

    def test_the_refit_is_good(self, diabetes, fitted):
        X, y = diabetes
        assert fitted.score(X, y) > 0.4
        assert fitted.predict(X).dtype == np.float64
        assert fitted.baseline_loss_ == pytest.approx(1.0, abs=1e-4)
        assert fitted.best_score_ > -y.var()

    def test_other_scorers_choose_or_are_reported(self, diabetes):
        scoring = {"r2": "r2", "mse": "neg_mean_squared_error", "mae": "neg_mean_absolute_error"}
        found = make(scoring=scoring, refit="mae").fit(*diabetes)
        results = found.cv_results_
        assert found.score_name_ == "mae"
        assert found.best_score_ == results["mean_test_mae"][found.best_index_]
        assert set(results) >= {"mean_test_r2", "mean_test_mse"}
        assert (results["mean_test_r2"] < 1).all()

    def test_recorded_squared_errors_are_those_of_the_scorer(self, two_outputs):
        def squared(estimator, X, y):
            return -mean_squared_error(y, estimator.predict(X))

        scoring = {"own": squared, "recorded": "neg_mean_squared_error"}
        found = make(scoring=scoring, refit=False).fit(*two_outputs)
        for split in range(2):
            own, recorded = (found.cv_results_[f"split{split}_test_{n}"] for n in scoring)
            np.testing.assert_allclose(recorded, own, rtol=1e-4)

    def test_scores_that_cannot_be_computed_are_not_chosen(self, diabetes):
        X, y = diabetes
        found = make(scoring="neg_mean_squared_log_error", learning_rates=[1e-3, 3e-2])
        found.set_params(estimator=small_regressor(epochs=12)).fit(X, y)
        assert np.isfinite(found.best_score_)

    def test_a_quantile_is_chosen_by_its_own_loss(self, diabetes):
        X, y = diabetes
        found = make(small_regressor(loss=pinball, epochs=30), scoring=None).fit(X, y)
        assert found.score_name_ == "neg_loss"
        assert 0.8 < np.mean(y <= found.predict(X)) < 0.98
        scaled = (y - y.mean()) / y.std()
        error = scaled - np.quantile(scaled, 0.9)
        of_quantile = np.maximum(0.9 * error, -0.1 * error).mean()
        assert found.baseline_loss_ == pytest.approx(of_quantile, rel=0.02)
        assert -found.best_score_ < found.baseline_loss_

    def test_a_loss_object_of_the_users_own_is_given_columns(self, diabetes):
        X, y = diabetes

        def build(meta):
            return small_numbers(meta, loss=OwnLoss(0.1))

        found = make(small_regressor(build, loss=None, epochs=30), scoring=None).fit(X, y)
        assert 0.02 < np.mean(y <= found.predict(X)) < 0.25
        task = found._prepared_again(X, y, None, None, (None, None)).data.task
        assert pickle.loads(pickle.dumps(task)) == task  # without the loss, for workers

    def test_the_poisson_loss_takes_counts(self, diabetes):
        X, _ = diabetes
        y = np.random.RandomState(0).poisson(np.exp(0.5 * X[:, 2] + 1))
        estimator = small_regressor(positive_numbers, loss="poisson", epochs=20)
        found = make(estimator, scoring=None).fit(X, y)
        assert found.target_mean_ == 0
        assert found.target_scale_ == pytest.approx(y.mean())
        assert (found.predict(X) > 0).all()
        assert 0 < -found.best_score_ < found.baseline_loss_  # half the deviance

    def test_the_baseline_of_several_outputs_is_the_mean_of_their_variances(self):
        rng = np.random.default_rng(0)
        X, counts = rng.normal(size=(60, 3)), rng.poisson([1, 100], size=(60, 2))

        def build(meta):
            return keras.Sequential([keras.Input((3,)), layers.Dense(2, "softplus")])

        found = make(small_regressor(build, loss="poisson")).fit(X, counts)
        assert found._baseline_score == pytest.approx(counts.var(axis=0).mean())

    def test_losses_can_be_searched_where_they_are_compared_by_a_scorer(self, diabetes):
        space = {"loss": ["mean_squared_error", "mean_absolute_error"]}
        found = make(param_distributions=space, n_candidates=4, learning_rates=None)
        assert found.fit(*diabetes).best_params_["loss"] in space["loss"]

    @pytest.mark.parametrize(
        ("losses", "scoring"),
        [(["mse", "poisson"], "neg_mean_squared_error"), (["mse", "mae"], None)],
    )
    def test_losses_that_cannot_be_compared_are_refused(self, losses, scoring, diabetes):
        found = make(param_distributions={"loss": losses}, learning_rates=None, scoring=scoring)
        with pytest.raises(ValueError, match="losses that can be compared"):
            found.fit(*diabetes)

    @pytest.mark.parametrize(
        ("estimator", "space"),
        [
            (small_regressor(loss=keras.losses.Huber), {"loss__delta": [0.01, 1.0]}),
            (small_regressor(loss=None, model__loss="mse"), {"model__loss": ["mse", "mae"]}),
        ],
    )
    def test_nor_are_losses_with_other_settings_by_themselves(self, estimator, space, diabetes):
        found = make(estimator, param_distributions=space, learning_rates=None, scoring=None)
        with pytest.raises(ValueError, match="losses are one"):
            found.fit(*diabetes)

    def test_a_function_may_need_what_is_searched(self, diabetes):
        def build(meta, hidden):
            return small_numbers(meta, hidden)

        space = {"model__hidden": [4, 8]}
        found = make(small_regressor(build), param_distributions=space, learning_rates=None)
        found.set_params(n_candidates=4).fit(*diabetes)
        assert found.best_params_["model__hidden"] in (4, 8)

    def test_a_scorer_that_refuses_some_predictions_chooses_among_the_others(self, diabetes):
        X, y = diabetes

        def of_high_ones(estimator, rows, y):
            predictions = estimator.predict(rows)
            if (predictions < 60).any():
                raise ValueError("too low")
            return -mean_squared_error(y, predictions)

        scoring = {"high": of_high_ones, "r2": "r2"}
        found = make(small_regressor(epochs=20), scoring=scoring).fit(X, y)
        assert not found.cv_results_["diverged"].any()
        assert found.score(X, y) > 0.2
        reported = make(small_regressor(epochs=20), scoring=scoring, refit="r2").fit(X, y)
        assert np.isfinite(reported.best_score_)

    def test_any_hyperparameter_is_searched(self, diabetes):
        space = {
            "optimizer__learning_rate": loguniform(1e-3, 1e-1),
            "model__hidden": [4, 8],
            "batch_size": [16, 32],
            "optimizer__beta_1": [0.8, 0.9],
        }
        found = make(param_distributions=space, learning_rates=None, n_candidates=8)
        found.set_params(search=Halving(factor=2)).fit(*diabetes)
        assert set(found.best_params_) == set(space)
        assert verify(found, *diabetes)["max_weight_difference"] < 1e-5

    def test_early_stopping_and_validation_rows(self, diabetes):
        X, y = diabetes
        stop = keras.callbacks.EarlyStopping("val_loss", patience=2)
        estimator = small_regressor(epochs=30, callbacks=[stop])
        found = make(estimator, cv="auto").fit(X[:120], y[:120], X_val=X[120:], y_val=y[120:])
        assert found.learning_curves_.shape[1] == 1
        assert found.best_score_ > -2 * y.var()

    def test_groups_stay_together(self, diabetes):
        X, y = diabetes
        groups = np.arange(len(y)) // 8
        by_splitter = make(cv=GroupKFold(4)).fit(X, y, groups=groups)
        drawn = make(cv=4).fit(X, y, groups=groups)
        assert by_splitter.learning_curves_.shape == drawn.learning_curves_.shape

    def test_held_out_targets_never_reach_training(self, diabetes):
        X, y = diabetes
        train, test = np.arange(100), np.arange(100, 160)
        shift = 10 * y[train].std()
        curves = []
        for sign in (0, 1, -1):
            shifted = np.append(y[train], y[test] + sign * shift)
            found = make(cv=[(train, test)], refit=False).fit(X, shifted)
            curves.append(found.learning_curves_)
        same, above, below = curves
        # (e + c)² + (e - c)² = 2 e² + 2 c², where the weights are the same.
        np.testing.assert_allclose(above + below, 2 * same + 2 * 10**2, rtol=1e-5)


class TestTargets:
    def test_integers_are_numbers(self, diabetes):
        X, y = diabetes
        one, other = (make().fit(X, y.astype(kind)) for kind in (int, float))
        np.testing.assert_array_equal(one.predict(X), other.predict(X))

    def test_a_column_that_is_constant_in_one_split(self, diabetes):
        X, _ = diabetes
        y = np.zeros(160)
        y[80::5] = 50.0
        halves = np.arange(80), np.arange(80, 160)
        scoring = ["neg_mean_squared_error", "neg_root_mean_squared_error"]
        found = make(cv=[halves, halves[::-1]], scoring=scoring).fit(X, y)
        squared, root = (found.cv_results_[f"split0_test_{name}"] for name in scoring)
        np.testing.assert_allclose(-squared, root**2, rtol=0.3)

    def test_a_constant_is_predicted_as_it_is(self, diabetes):
        X, _ = diabetes
        found = make().fit(X, np.full(len(X), 0.1))
        np.testing.assert_array_equal(found.predict(X), 0.1)
        both = make().fit(X, np.stack([X[:, 0], np.full(len(X), -3.0)], axis=1))
        np.testing.assert_array_equal(both.predict(X)[:, 1], -3)

    def test_one_column_is_flattened_with_a_warning(self, diabetes, fitted):
        X, y = diabetes
        with pytest.warns(DataConversionWarning):
            found = make(small_regressor(epochs=20)).fit(X, y[:, None])
        np.testing.assert_array_equal(found.predict(X), fitted.predict(X))

    def test_columns_keep_their_shape_and_units(self, two_outputs, fitted_to_two):
        X, y = two_outputs
        predictions = fitted_to_two.predict(X)
        assert predictions.shape == y.shape
        np.testing.assert_allclose(predictions.mean(axis=0), y.mean(axis=0), rtol=0.1)
        assert fitted_to_two.n_outputs_ == 2

    def test_a_data_frame_of_targets(self, two_outputs):
        X, y = two_outputs
        frame = pd.DataFrame(y, columns=["progress", "square"])
        found = make().fit(pd.DataFrame(X).add_prefix("x"), frame)
        assert found.predict(pd.DataFrame(X).add_prefix("x")).shape == y.shape

    @pytest.mark.parametrize(
        ("y", "said"),
        [
            (np.array(["a", "b"] * 80), "a number for each row"),
            (np.array(["1", "2"] * 80, object), None),
            (np.append(np.zeros(159), np.nan), "NaN"),
            (np.append(np.zeros(159), np.inf), "infinity"),
            (np.append(np.zeros(159), 1e300), "variance is finite"),
            (np.zeros((160, 2, 2)), "y"),
            (np.zeros(159), "inconsistent numbers of samples"),
            (np.ones(160, complex), "omplex"),
            (np.array([None, *np.zeros(159)], object), "finite numbers"),
            ([[0.0], [1.0, 2.0]] * 80, "rows of one length"),
        ],
    )
    def test_other_targets_are_refused_at_once(self, y, said, diabetes):
        X, _ = diabetes
        found = make()
        if said is None:  # scikit-learn reads numbers in strings
            assert found.fit(X, y).score(X, y.astype(float)) <= 1
            return
        with pytest.raises(ValueError, match=said):
            found.fit(X, y)
        assert not hasattr(found, "best_params_")

    @pytest.mark.parametrize(
        ("activation", "y", "shifted", "scale"),
        [
            ("softplus", (100, 300), False, None),
            (keras.ops.softplus, (100, 300), False, None),
            (keras.ops.sigmoid, (0.1, 0.9), False, 1.0),
            ("sigmoid", (0.1, 0.9), False, 1.0),
            (layers.Rescaling(50.0, 200.0), (100, 300), False, 1.0),
        ],
    )
    def test_heads_of_a_range_of_their_own(self, activation, y, shifted, scale, diabetes):
        X, _ = diabetes
        target = np.interp(X[:, 2] + X[:, 8], (-3, 3), y)

        def build(meta):
            model = small_numbers(meta)
            last = layers.Activation(activation) if isinstance(activation, str) else activation
            return keras.Model(model.inputs[0], last(model.outputs[0]))

        found = make(small_regressor(build, epochs=40)).fit(X, target)
        assert found.target_mean_.any() == shifted
        assert scale is None or found.target_scale_ == scale
        assert found.score(X, target) > 0.5

    def test_weights_count_in_the_scaling(self, diabetes):
        X, y = diabetes
        weight = np.append(np.ones(159), 1e-6)
        found = make().fit(X, np.append(y[:159], 1e9), weight)
        assert found.target_scale_ < 2e6
        assert found.baseline_loss_ == pytest.approx(1.0, abs=1e-3)

    def test_without_scaling_targets_are_trained_on_as_they_are(self, diabetes):
        X, y = diabetes
        found = make(small_regressor(epochs=30), standardize=False).fit(X, y / 100)
        assert found.target_mean_ == 0
        assert found.target_scale_ == 1
        assert found.baseline_loss_ == pytest.approx((y / 100).var(), rel=1e-4)
        np.testing.assert_allclose(found.best_estimator_.predict(X), found.predict(X), rtol=1e-5)
        assert found.score(X, y / 100) > 0.3

    def test_a_loss_that_takes_no_scaled_targets_says_what_to_do(self, diabetes):
        def of_logarithms(y_true, y_pred):
            difference = ops.log(1 + y_true) - ops.log(1 + ops.abs(y_pred))
            return ops.mean(ops.square(difference), axis=-1)

        X, y = diabetes
        found = make(small_regressor(loss=of_logarithms))
        with pytest.raises(AllDivergedError, match="standardize=False"):
            found.fit(X, y)
        assert found.set_params(standardize=False).fit(X, y).best_score_ < 0


class TestModels:
    def test_the_ready_made_network(self, diabetes, two_outputs):
        X, y = diabetes
        params = {"n_candidates": 4, "cv": 0.25, "random_state": 0}
        assert MetaLRRegressor(**params).fit(X, y).score(X, y) > 0.3
        assert MetaLRRegressor(**params).fit(*two_outputs).predict(X).shape == (160, 2)

    def test_functions_compiled_models_and_keras_own_wrapper(self, diabetes):
        X, y = diabetes

        def build(X=None, y=None):
            model = keras.Sequential([keras.Input((10,)), layers.Dense(4), layers.Dense(1)])
            model.compile("adam", "mse")
            return model

        wrapped = keras.wrappers.SKLearnRegressor(build, fit_kwargs={"epochs": 2})
        for estimator in (lambda: build(), build(), wrapped):
            found = make(estimator, cv=0.3).fit(X, y)
            assert found.predict(X).shape == y.shape
        assert found.learning_curves_.shape[2] == 2

    @pytest.mark.filterwarnings("ignore:.*You are using a softmax")
    def test_softmax_over_one_unit_and_losses_of_classes_are_refused(self, diabetes):
        def constant(meta):
            return keras.Sequential([keras.Input((10,)), layers.Dense(1, "softmax")])

        with pytest.raises(ValueError, match="always 1"):
            make(small_regressor(constant)).fit(*diabetes)
        with pytest.raises(ValueError, match="of classes"):
            make(small_regressor(loss="binary_crossentropy")).fit(*diabetes)

    def test_the_width_of_the_output_is_checked(self, two_outputs):
        def one_output(meta):
            return keras.Sequential([keras.Input((10,)), layers.Dense(1)])

        with pytest.raises(ValueError, match="2 numbers in a row"):
            make(small_regressor(one_output)).fit(*two_outputs)

    def test_wrappers_of_the_other_kind_are_refused(self, diabetes, iris):
        from make import small_classifier

        with pytest.raises(TypeError, match="classes are for MetaLRClassifier"):
            make(small_classifier()).fit(*diabetes)
        with pytest.raises(TypeError, match="numbers for MetaLRRegressor"):
            MetaLRClassifier(small_regressor()).fit(*iris)

    def test_an_encoder_of_targets_of_the_users_own_is_refused(self, diabetes):
        from sklearn.preprocessing import FunctionTransformer

        class Logarithms(type(small_regressor())):
            @property
            def target_encoder(self):
                return FunctionTransformer(np.log, np.exp)

        with pytest.raises(ValueError, match="TransformedTargetRegressor"):
            make(Logarithms(small_numbers, loss="mse")).fit(*diabetes)


class TestInsideScikitLearn:
    def test_pipeline_and_cross_val_score(self, diabetes):
        pipeline = make_pipeline(StandardScaler(), make(small_regressor(epochs=20)))
        assert cross_val_score(pipeline, *diabetes, cv=2).mean() > 0.2

    def test_transformed_target_regressor(self, diabetes):
        X, y = diabetes
        model = TransformedTargetRegressor(
            make(small_regressor(epochs=20)), func=np.log, inverse_func=np.exp
        )
        assert (model.fit(X, y).predict(X) > 0).all()
        assert model.score(X, y) > 0.2

    def test_grid_search(self, diabetes):
        search = GridSearchCV(make(cv=0.3), {"n_models": [1, 2]}, cv=2).fit(*diabetes)
        assert search.best_params_["n_models"] in (1, 2)

    def test_stacking(self, diabetes):
        X, y = diabetes
        stack = StackingRegressor([("keras", make()), ("ridge", Ridge())], cv=2).fit(X, y)
        assert stack.score(X, y) > 0.2

    def test_bagging(self, diabetes):
        X, y = diabetes
        bag = BaggingRegressor(make(cv=0.3), n_estimators=2, random_state=0).fit(X, y)
        assert bag.predict(X).shape == y.shape
        assert has_fit_parameter(make(), "sample_weight")

    def test_chain_and_several_regressors(self, two_outputs):
        X, y = two_outputs
        for several in (RegressorChain(make(cv=0.3)), MultiOutputRegressor(make(cv=0.3))):
            assert several.fit(X, y).predict(X).shape == y.shape

    def test_permutation_importance(self, diabetes, fitted):
        found = permutation_importance(fitted, *diabetes, n_repeats=2, random_state=0)
        assert found.importances_mean.max() > 0

    def test_partial_dependence(self, diabetes, fitted, fitted_to_two):
        X, _ = diabetes
        display = PartialDependenceDisplay.from_estimator(fitted, X, [2], grid_resolution=3)
        assert np.isfinite(display.pd_results[0]["average"]).all()
        PartialDependenceDisplay.from_estimator(fitted_to_two, X, [2], target=1, grid_resolution=3)


class TestKeeping:
    def test_it_is_saved_loaded_and_pickled(self, diabetes, two_outputs, fitted_to_two, tmp_path):
        X, y = two_outputs
        path = fitted_to_two.save(tmp_path / "two.metalr")
        with pytest.warns(ForgottenParametersWarning):  # the function that builds the model
            loaded = MetaLRRegressor.load(path)
        for other in (loaded, pickle.loads(pickle.dumps(fitted_to_two))):
            np.testing.assert_array_equal(other.predict(X), fitted_to_two.predict(X))
            assert other.score(X, y) == fitted_to_two.score(X, y)
        with pytest.raises(TypeError, match="holds a MetaLRRegressor"):
            MetaLRClassifier.load(path)

    def test_it_is_exported_with_its_scaling(self, two_outputs, fitted, fitted_to_two):
        X, _ = two_outputs
        for one in (fitted, fitted_to_two):
            found = one.export_model().predict(X.astype(np.float32), verbose=0)
            expected = one.predict(X).reshape(len(X), -1)
            np.testing.assert_allclose(found, expected, rtol=1e-4)

    @pytest.mark.long
    def test_workers_choose_the_same(self, two_outputs):
        X, y = two_outputs
        here, there = (make(n_jobs=n, n_models=2).fit(X, y) for n in (1, 2))
        assert here.best_params_ == there.best_params_
        np.testing.assert_allclose(here.predict(X), there.predict(X), rtol=1e-4)

    @pytest.mark.long
    def test_records_of_regression_are_kept_apart(self, diabetes, iris):
        X, y = diabetes
        store = Experience()
        for part in (slice(0, 60), slice(60, 105), slice(105, 160)):
            store.record(make(small_regressor(epochs=20)).fit(X[part], y[part]), X[part], y[part])
        assert len(store) == 3
        search = Portfolio(store)
        rows = np.random.RandomState(0).normal(size=(90, 10))
        target = rows[:, 0] + 0.1 * rows[:, 1]
        params = {"search": search, "learning_rates": None, "cv": 2}
        found = make(small_regressor(epochs=20), **params).fit(rows, target)
        assert found.search_cost_["n_records"] == 3
        with pytest.warns(ExperienceWarning, match="of such targets"):
            MetaLRClassifier(search=search, random_state=0, n_candidates=3).fit(*iris)
        with pytest.warns(ExperienceWarning, match="of such targets"):
            make(search="portfolio", learning_rates=None, n_candidates=3).fit(rows, target)

    def test_other_targets_are_neither_verified_nor_recorded(self, diabetes, fitted):
        X, y = diabetes
        for other in (-y, 10 * y, y + 3):
            with pytest.raises(ValueError, match="must be those"):
                verify(fitted, X, other)
            with pytest.raises(ValueError, match="must be those"):
                Experience().record(fitted, X, other)


class TestShown:
    def test_displays_and_report(self, diabetes, fitted, fitted_to_two, tmp_path):
        display = LearningRateDisplay.from_estimator(fitted)
        assert "squared error of scaled targets" in display.ax_.get_ylabel()
        assert "mean alone" in [text.get_text() for text in display.ax_.texts]
        assert "squared error" in LearningCurvesDisplay.from_estimator(fitted).ax_.get_ylabel()
        StrategyDisplay.from_estimator(fitted)
        for one in (fitted, fitted_to_two):
            page = report(one, tmp_path / "page.html").read_text()
            assert "mean squared error" in page
            assert "numbers to predict" in page
            assert "log-loss" not in page
            assert "nats" not in page
        assert fitted._baseline_score == pytest.approx(diabetes[1].var())
        with pytest.raises(TypeError, match="takes a classifier"):
            ReliabilityDisplay.from_estimator(fitted, *diabetes)

    def test_it_says_what_it_does(self, diabetes, capsys):
        make(verbose=2).fit(*diabetes)
        said = capsys.readouterr().out + capsys.readouterr().err
        assert "neg_mean_squared_error" in said

    def test_wrong_arguments_of_fit_name_the_regressor(self, diabetes):
        with pytest.raises(TypeError, match="give each row a sample_weight"):
            make().fit(*diabetes, class_weight={0: 1.0})
        with pytest.raises(ValueError, match="cannot score the rows of split 0"):
            make(scoring="neg_log_loss").fit(*diabetes)
        with pytest.raises(TypeError, match=r"MetaLRRegressor.fit .* KerasRegressor\(build_model"):
            make().fit(*diabetes, epochs=3)


def test_an_ensemble_is_made_of_targets_of_any_size(diabetes):
    """Their predictions would be none in half precision."""
    X, y = diabetes

    def far(meta):
        layers = [keras.layers.Dense(8, "relu"), keras.layers.Dense(1)]
        return keras.Sequential(
            [keras.Input(meta["X_shape_"][1:]), *layers, keras.layers.Rescaling(1e5, 2e5)]
        )

    model = MetaLRRegressor(
        small_regressor(far, epochs=8),
        n_models=4,
        n_candidates=8,
        cv=2,
        random_state=0,
    ).fit(X[:150], 2e5 + 500 * y[:150])
    assert len({one["index"] for one in model.ensemble_}) > 1


def test_a_score_may_have_the_name_of_a_loss(diabetes):
    one, other = (
        make(scoring={name: "neg_mean_absolute_error", "r2": "r2"}).fit(*diabetes)
        for name in ("loss", "absolute")
    )
    assert one.best_score_ == other.best_score_ < 0
    assert one.best_params_ == other.best_params_


@pytest.mark.filterwarnings("error::sk_metalr.exceptions.ScaleWarning")
def test_the_ready_made_network_takes_features_of_any_size(diabetes):
    X, y = diabetes
    small = MetaLRRegressor(
        param_distributions={"epochs": [3]}, n_candidates=2, cv=0.2, random_state=0
    )
    small.fit(X[:100] * 1e-3, y[:100])
