"""Inside scikit-learn: its own checks, and everything that takes a classifier."""

from collections import Counter
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pandas as pd
import pytest
from make import SMALL_FITS_WARN, mlp_for_keras_wrapper, small_classifier, small_regressor
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_score,
    learning_curve,
    train_test_split,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from sk_metalr import Halving, MetaLRClassifier, MetaLRRegressor
from sk_metalr.exceptions import RareClassWarning

pytestmark = SMALL_FITS_WARN


CHURN = Path(__file__).parents[1] / "docs" / "examples" / "data" / "wa_churn.csv.gz"

EXPECTED_FAILURES = {
    # As scikit-learn itself lists for SGDClassifier: batches of repeated rows are other batches.
    "check_sample_weight_equivalence_on_dense_data": "repeated rows make other batches",
}


def make(**params):
    estimator = small_classifier(epochs=10)
    return MetaLRClassifier(
        estimator, **({"n_candidates": 4, "cv": 0.2, "random_state": 0} | params)
    )


def scikit_learns_checks():
    """Yield every check for both estimators, under names that do not change between runs.

    Those of the ready-made ones are long, since what they add is a model of this package's own, and
    so are those of other settings.
    """
    params = {"n_candidates": 4, "cv": 0.2, "random_state": 0}
    joint = {"optimizer": ["sgd", "adam"], "batch_size": [16, 32], "schedule": ["cosine"]}
    others = {
        "halving": {"search": "halving", "cv": 2},
        "portfolio": {"search": "portfolio", "n_candidates": None},
        "three models": {"n_models": 3, "cv": 2},
        "joint": {"param_distributions": joint},
        "without vectorizing": {"engine": "compiled"},
        "by Keras": {"engine": "keras", "n_candidates": 2},
        "uncalibrated": {"calibrate": False, "scoring": ["accuracy", "neg_log_loss"]},
    }
    for kind, estimator in {
        "ready-made": MetaLRClassifier(**params),
        "wrapped": MetaLRClassifier(small_classifier(epochs=20), **params),
        "ready-made regressor": MetaLRRegressor(**params),
        "wrapped regressor": MetaLRRegressor(small_regressor(epochs=20), **params),
        **{
            kind: MetaLRClassifier(small_classifier(epochs=20), **(params | other))
            for kind, other in others.items()
        },
    }.items():
        seen = Counter()
        for instance, check in estimator_checks_generator(estimator, mark=None):
            name = check.func.__name__
            seen[name] += 1
            reason = EXPECTED_FAILURES.get(name)
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            if kind.startswith("ready-made") or kind in others:
                marks.append(pytest.mark.long)
            yield pytest.param(instance, check, id=f"{kind}-{name}-{seen[name]}", marks=marks)


@pytest.mark.parametrize(("estimator", "check"), list(scikit_learns_checks()))
@pytest.mark.filterwarnings("ignore")  # the checks provoke scikit-learn's own
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def churn():
    frame = pd.read_csv(CHURN).sample(1200, random_state=0)
    return frame.drop(columns="churn"), frame["churn"]


def churn_pipeline():
    numeric = make_pipeline(SimpleImputer(), StandardScaler())
    categorical = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    prepare = make_column_transformer(
        (numeric, make_column_selector(dtype_include="number")),
        (categorical, make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(prepare, make(learning_rates=[1e-3, 3e-3, 1e-2]))


def test_pipeline_on_a_mixed_table_with_missing_values(churn):
    X, y = churn
    assert X.isna().to_numpy().any()
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    pipeline = churn_pipeline().fit(X_train, y_train)
    assert set(pipeline.predict(X_test)) == {"No", "Yes"}
    assert pipeline.score(X_test, y_test) > (y_test == "No").mean()


@pytest.mark.long
def test_cross_val_score(iris):
    scores = cross_val_score(make(), *iris, cv=3, n_jobs=2)
    np.testing.assert_array_equal(scores, cross_val_score(make(), *iris, cv=3))
    assert scores.mean() > 0.7


@pytest.mark.long
def test_grid_search_over_its_own_parameters(iris):
    grid = {
        "search": ["random", Halving()],
        "estimator__epochs": [2, 10],
    }
    search = GridSearchCV(make(), grid, cv=2, scoring="neg_log_loss").fit(*iris)
    assert search.best_params_["estimator__epochs"] == 10
    assert search.best_estimator_.best_learning_rate_ > 0


def test_stacking(iris):
    X, y = iris
    members = [("keras", make()), ("linear", LogisticRegression())]
    assert StackingClassifier(members, cv=2).fit(X, y).score(X, y) > 0.9


def test_voting(iris):
    X, y = iris
    members = [("keras", make()), ("linear", LogisticRegression())]
    voting = VotingClassifier(members, voting="soft").fit(X, y)
    expected = np.mean([member.predict_proba(X) for member in voting.estimators_], axis=0)
    np.testing.assert_allclose(voting.predict_proba(X), expected)


def test_bagging(iris):
    X, y = iris
    bagging = BaggingClassifier(make(), n_estimators=2, random_state=0).fit(X, y)
    first, second = (member.predict_proba(X) for member in bagging.estimators_)
    assert not np.allclose(first, second)
    assert bagging.score(X, y) > 0.8


def test_calibration(iris):
    X, y = iris
    calibrated = CalibratedClassifierCV(make(), cv=2, ensemble=False).fit(X, y)
    assert calibrated.score(X, y) > 0.8


@pytest.mark.long
def test_one_versus_rest(iris):
    X, y = iris
    assert OneVsRestClassifier(make()).fit(X, y).score(X, y) > 0.7


@pytest.mark.long
def test_tuned_threshold(churn):
    X, y = churn
    tuned = TunedThresholdClassifierCV(churn_pipeline(), cv=2).fit(X, y)
    plain = churn_pipeline().fit(X, y)
    assert 0 < tuned.best_threshold_ < 1
    assert (tuned.predict(X) == "Yes").sum() > (plain.predict(X) == "Yes").sum()


def test_a_clone_trains_keras_own_wrapper_for_as_long(iris):
    wrapped = keras.wrappers.SKLearnClassifier(mlp_for_keras_wrapper, fit_kwargs={"epochs": 3})
    first = MetaLRClassifier(wrapped, learning_rates=[0.01, 0.1], cv=0.2, random_state=0)
    copy = clone(first)
    assert copy.estimator.fit_kwargs is not wrapped.fit_kwargs
    assert copy.fit(*iris).learning_curves_.shape[2] == 3


def test_clone_fits_the_same(iris):
    X, y = iris
    first = make().fit(X, y)
    np.testing.assert_array_equal(clone(first).fit(X, y).predict_proba(X), first.predict_proba(X))


def test_permutation_importance(iris):
    X, y = iris
    fitted = make(n_candidates=8).fit(X, y)
    importance = permutation_importance(fitted, X, y, n_repeats=2, random_state=0)
    assert importance.importances_mean[2:].sum() > importance.importances_mean[:2].sum()


@pytest.mark.long
def test_learning_curve(iris):
    _, train_scores, test_scores = learning_curve(
        make(), *iris, cv=2, train_sizes=[0.5, 1.0], shuffle=True, random_state=0
    )
    assert train_scores.shape == test_scores.shape == (2, 2)
    assert np.isfinite(test_scores).all()


def test_set_output_leaves_it_alone(iris):
    pipeline = make_pipeline(StandardScaler(), make()).set_output(transform="pandas")
    assert isinstance(pipeline.fit(*iris).predict(iris[0]), np.ndarray)


def patients(y):
    """Return groups, each with all classes."""
    return np.arange(len(y)) // 3 % 6


class Members(BaseEstimator):
    """A splitter that notes which groups each split of a fit holds out."""

    seen: ClassVar[list] = []

    def split(self, X, y, groups=None):
        for train, test in GroupKFold(3).split(X, y, groups):
            self.seen.append((set(groups[train]), set(groups[test])))
            yield train, test

    def get_n_splits(self, *_):
        return 3


@pytest.mark.parametrize("within", ["alone", "pipeline", "cross_val_score"])
def test_groups_are_routed_to_the_inner_splits(iris, within):
    X, y = iris
    Members.seen.clear()
    params, outer = {"groups": patients(y)}, GroupKFold(2)
    with config_context(enable_metadata_routing=True):
        model = make(cv=Members()).set_fit_request(groups=True)
        pipeline = make_pipeline(StandardScaler(), model)
        if within == "alone":
            model.fit(X, y, **params)
        elif within == "pipeline":
            pipeline.fit(X, y, **params)
        else:
            cross_val_score(pipeline, X, y, params=params, cv=outer, error_score="raise")
    assert len(Members.seen) == (6 if within == "cross_val_score" else 3)
    assert not any(train & test for train, test in Members.seen)


@pytest.mark.parametrize("cv", ["auto", 2, GroupKFold(2)], ids=["auto", "a number", "a splitter"])
def test_one_group_in_an_outer_fold_is_refused_wherever_groups_come_from(iris, cv):
    """That is how to see that groups arrive: without them these fits would pass."""
    X, y = iris
    two = np.arange(len(y)) % 2
    pipeline = make_pipeline(StandardScaler(), make(cv=cv))
    refused = pytest.raises(ValueError, match="of the same group")
    with config_context(enable_metadata_routing=True), refused:
        cross_val_score(
            pipeline, X, y, params={"groups": two}, cv=GroupKFold(2), error_score="raise"
        )
    with refused:
        pipeline.fit(X, y, metalrclassifier__groups=np.zeros(len(y)))
    with config_context(enable_metadata_routing=True):
        pipeline[-1].set_fit_request(groups=False)
        if cv in ("auto", 2):
            params = {"groups": two}
            assert cross_val_score(pipeline, X, y, params=params, cv=GroupKFold(2)).shape == (2,)


def test_an_outer_fold_may_leave_one_row_of_a_class(iris):
    X, y = iris
    few = np.r_[0:100, 100, 101]
    with pytest.warns(RareClassWarning, match="too few rows .*: 2"):
        scores = cross_val_score(make(), X[few], y[few], cv=StratifiedKFold(2), error_score="raise")
    assert scores.min() > 0.7


def test_a_class_of_one_row_is_among_the_classes(iris):
    X, y = np.r_[iris[0], iris[0][:1] + 20], np.r_[iris[1], 9]
    with pytest.warns(RareClassWarning, match="too few rows .*: 9") as caught:
        fitted = make().fit(X, y)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(fitted.classes_, [0, 1, 2, 9])
    assert fitted.predict_proba(X).shape == (151, 4)
