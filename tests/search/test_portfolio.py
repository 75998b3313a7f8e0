"""The experience is asked before a search and told after it, and no row leaks through it."""

import json
import warnings
from dataclasses import replace

import keras
import numpy as np
import pytest
from make import SMALL_FITS_WARN, small_classifier
from numpy.ma import masked
from scipy.stats import loguniform, uniform
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_metalr import Experience, Halving, MetaLRClassifier, Portfolio
from sk_metalr._experience import Situation
from sk_metalr._population.training import Trainer
from sk_metalr._search import Evaluation, execution, portfolio
from sk_metalr.exceptions import (
    AllDivergedError,
    BaselineWarning,
    EdgeOfSpaceWarning,
    ExperienceWarning,
)

pytestmark = SMALL_FITS_WARN


QUICK = {"cv": 0.2, "random_state": 0, "refit": False}


def random(**params):
    return MetaLRClassifier(small_classifier(), **QUICK | params)


def informed(experience, **params):
    return random(search=Portfolio(experience), **params)


def recorded(experience, X, y, **params):
    """Search at random, and add it to the experience."""
    fitted = random(**params).fit(X, y)
    experience.record(fitted, X, y)
    return fitted


@pytest.fixture(scope="module")
def learned(cancer):
    """Return what three searches on different rows have recorded."""
    return three_searches(cancer, n_candidates=6)


def three_searches(cancer, **params):
    X, y = cancer
    experience = Experience()
    for part in range(3):
        rows = slice(100 * part, 100 * part + 100)
        recorded(experience, X[rows], y[rows], **params)
    return experience


def fresh_rows(cancer):
    X, y = cancer
    return X[300:400], y[300:400]


def test_a_search_is_recorded_as_the_choice_saw_it(cancer):
    X, y = cancer
    experience = Experience()
    fitted = recorded(experience, X, y, n_candidates=4, calibrate=False)
    (one,) = experience
    np.testing.assert_array_equal(
        one.learning_rates, fitted.cv_results_["param_optimizer__learning_rate"]
    )
    np.testing.assert_allclose(one.losses, -fitted.cv_results_["selection_score"])
    np.testing.assert_array_equal(one.n_epochs, fitted.cv_results_["n_epochs"])
    assert one.baseline_loss == fitted.baseline_loss_
    expected = {"n_rows": 569, "n_features": 30, "n_classes": 2, "optimizer": "Adam"}
    expected |= {"depth": 2, "n_parameters": 30 * 8 + 8 + 18, "batch_size": 16, "n_epochs": 3}
    assert expected.items() <= one.features.items()
    assert "n_records" not in fitted.search_cost_


def test_there_is_a_record_for_each_optimizer_and_schedule(cancer):
    experience = Experience()
    listed = {"optimizer": ["sgd", "adam"], "schedule": ["constant", "cosine"]}
    recorded(experience, *fresh_rows(cancer), param_distributions=listed, n_candidates=8)
    names = [(one.features["optimizer"], one.features["schedule"]) for one in experience]
    assert names == [(o, s) for o in ("SGD", "Adam") for s in ("constant", "cosine")]
    assert [len(one.learning_rates) for one in experience] == [2] * 4


def test_of_halving_only_those_that_went_all_the_way_are_recorded(cancer):
    experience = Experience()
    fitted = recorded(experience, *fresh_rows(cancer), search=Halving(), n_candidates=9)
    (one,) = experience
    n_resources = fitted.cv_results_["n_resources"]
    assert len(one.learning_rates) == np.count_nonzero(n_resources == 3) < 9


def test_a_search_that_ended_early_is_not_recorded(cancer):
    experience = Experience()
    with pytest.warns(UserWarning, match="ended after"):
        recorded(experience, *fresh_rows(cancer), n_candidates=2, max_time=1e-6)
    assert len(experience) == 0


def test_candidates_come_from_what_was_learned(cancer, learned):
    fitted = informed(learned).fit(*fresh_rows(cancer))
    rates = fitted.cv_results_["param_optimizer__learning_rate"].data
    assert len(rates) == 4
    cost = fitted.search_cost_
    assert (cost["n_records"], cost["n_records_set_aside"]) == (3, 0)
    best = [one.learning_rates[one.losses.argmin()] for one in learned]
    assert rates.min() >= min(best) / 3
    assert len(learned) == 3  # nothing was added


def test_bounds_and_number_of_candidates_are_the_users(cancer, learned):
    fitted = informed(learned, n_candidates=3, learning_rates=loguniform(1e-5, 1e-4)).fit(
        *fresh_rows(cancer)
    )
    rates = fitted.cv_results_["param_optimizer__learning_rate"].data
    assert len(rates) == 3
    assert rates.max() <= 1.001e-4


@pytest.mark.parametrize(("params", "n"), [({}, 16), ({"n_candidates": 3}, 3)])
def test_a_task_unlike_all_is_searched_at_random_and_said_so(cancer, learned, params, n):
    X, y = fresh_rows(cancer)
    with pytest.warns(ExperienceWarning, match=r"like this one \(RMSprop.*: none .* optimizer\)"):
        fitted = informed(learned, param_distributions={"optimizer": ["rmsprop"]}, **params).fit(
            X, y
        )
    drawn = random(param_distributions={"optimizer": ["rmsprop"]}, **params).fit(X, y)
    assert len(fitted.cv_results_["params"]) == len(drawn.cv_results_["params"]) == n
    cost = fitted.search_cost_
    assert (cost["n_records"], cost["n_drawn_at_random"]) == (0, n)


def test_some_optimizers_are_known_and_others_drawn(cancer, learned):
    X, y = fresh_rows(cancer)
    with pytest.warns(ExperienceWarning, match="16 of 20 candidates were drawn"):
        fitted = informed(learned, param_distributions={"optimizer": ["adam", "rmsprop"]}).fit(X, y)
    cost = fitted.search_cost_
    assert (cost["n_records"], cost["n_drawn_at_random"]) == (3, 16)


def test_where_the_experience_proposes_too_few_others_are_drawn(cancer, learned):
    X, y = fresh_rows(cancer)
    with pytest.warns(ExperienceWarning, match="too few strategies .* of 12 candidates"):
        fitted = informed(learned, n_candidates=12, learning_rates=loguniform(1e-4, 2e-4)).fit(X, y)
    rates = fitted.cv_results_["param_optimizer__learning_rate"].data
    assert len(np.unique(rates)) == 12
    assert 1e-4 <= rates.min() < rates.max() <= 2.001e-4
    assert 0 < fitted.search_cost_["n_drawn_at_random"] < 12


def test_where_the_few_do_not_beat_the_baseline_more_are_tried(cancer, learned):
    X, y = fresh_rows(cancer)
    shuffled = np.random.RandomState(0).permutation(y)
    with pytest.warns(BaselineWarning, match="No learning rate did better"):
        fitted = informed(learned, cv=3).fit(X, shuffled)
    rates = fitted.cv_results_["param_optimizer__learning_rate"].data
    assert len(rates) == 4 + 16
    assert (np.diff(rates) > 0).all()
    assert fitted.search_cost_["member_epochs"] == 20 * 3 * 3
    assert fitted.search_cost_["n_drawn_at_random"] == 16


@pytest.mark.parametrize(
    ("factor", "params", "reason"),
    [
        (1e4, {}, "fewer than 3 .* the next one differs most in the scale of the features"),
        (1, {"learning_rates": loguniform(1e-9, 1e-7)}, "none .* rates within these bounds"),
    ],
)
def test_why_the_experience_proposes_nothing_is_said(cancer, learned, factor, params, reason):
    X, y = fresh_rows(cancer)
    with pytest.warns(ExperienceWarning, match=reason):
        informed(learned, **params).fit(X * factor, y)


def test_where_few_rates_were_ever_tried_as_many_as_ever_are_drawn(cancer, learned):
    narrow = Experience().merge(
        replace(
            one,
            learning_rates=np.array([1e-4, 1.2e-4]),
            losses=one.losses[:2],
            standard_errors=one.standard_errors[:2],
            n_epochs=one.n_epochs[:2],
        )
        for one in learned
    )
    with pytest.warns(ExperienceWarning, match="too few strategies .* of 16 candidates"):
        fitted = informed(narrow).fit(*fresh_rows(cancer))
    assert len(fitted.cv_results_["params"]) == 16


def test_functions_of_one_name_are_schedules_of_their_own(cancer):
    experience = Experience()
    X, y = fresh_rows(cancer)
    for schedule in (lambda progress: 1 - progress, lambda progress: progress + 0.1):
        recorded(experience, X, y, param_distributions={"schedule": [schedule]}, n_candidates=2)
    one, other = (record.features["schedule"] for record in experience)
    assert one != other
    assert one.startswith("<lambda> ")


def misled(learned, lowest, highest, **features):
    """Return records of searches that went better, the nearer they came to one end."""
    n = len(next(iter(learned)).losses)
    rates = np.geomspace(lowest, highest, n)
    return Experience().merge(
        replace(
            one,
            features=one.features | features,
            learning_rates=rates,
            losses=np.linspace(0.6, 0.3, n),
        )
        for one in learned
    )


def test_beyond_the_outermost_rate_others_are_tried(cancer, learned):
    X, y = fresh_rows(cancer)
    low = misled(learned, 1e-4, 3e-3)
    fitted = informed(low).fit(X, y)
    rates = fitted.cv_results_["param_optimizer__learning_rate"].data
    assert len(rates) > 4 + 2
    np.testing.assert_allclose(rates[4:] / rates[3:-1], 10**0.5)
    assert fitted.cv_results_["selection_score"].argmax() < len(rates) - 1
    assert fitted.search_cost_["member_epochs"] == len(rates) * 3
    bounds = loguniform(1e-4, 4e-3)
    with pytest.warns(EdgeOfSpaceWarning, match="highest that was tried"):
        fitted = informed(low, learning_rates=bounds).fit(X, y)
    assert fitted.cv_results_["param_optimizer__learning_rate"].data[-1] == pytest.approx(4e-3)


@pytest.mark.parametrize(
    ("engine", "n_opened"), [("vectorized", 2), pytest.param("keras", 6, marks=pytest.mark.long)]
)
def test_what_is_tried_later_starts_from_the_same_weights(
    cancer, learned, monkeypatch, engine, n_opened
):
    """Models are opened once, unless Keras's own loop has trained them."""
    opened = []
    setups = Evaluation.setups

    def counted(*args):
        found = setups(*args)
        opened.extend(found)
        return found

    monkeypatch.setattr(Evaluation, "setups", counted)
    low = misled(learned, 1e-4, 1e-3)
    fitted = informed(low, cv=2, engine=engine).fit(*fresh_rows(cancer))
    rates = fitted.cv_results_["param_optimizer__learning_rate"].data
    assert len(rates) >= 4 + 2
    assert len(opened) == n_opened if engine == "vectorized" else len(opened) >= n_opened
    at_once = random(learning_rates=rates.tolist(), cv=2, engine=engine).fit(*fresh_rows(cancer))
    np.testing.assert_allclose(
        at_once.learning_curves_, fitted.learning_curves_, rtol=1e-4, atol=1e-6
    )


def test_as_many_rates_are_tried_as_were_asked_for(cancer, learned):
    model = informed(misled(learned, 1e-4, 3e-3), n_candidates=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", EdgeOfSpaceWarning)
        fitted = model.fit(*fresh_rows(cancer))
    assert len(fitted.cv_results_["params"]) == 4


def test_where_all_that_were_proposed_diverge_others_are_tried(cancer, learned):
    high = misled(learned, 1e18, 1e20, optimizer="SGD")
    fitted = informed(high, param_distributions={"optimizer": ["sgd"]}).fit(*fresh_rows(cancer))
    assert len(fitted.cv_results_["params"]) == 4 + 16
    assert fitted.cv_results_["diverged"][-4:].all()
    assert fitted.best_learning_rate_ < 10
    asked_for = informed(high, param_distributions={"optimizer": ["sgd"]}, n_candidates=4)
    with pytest.raises(AllDivergedError):
        asked_for.fit(*fresh_rows(cancer))


def test_records_of_the_same_rows_are_set_aside(cancer, learned):
    X, y = cancer
    with pytest.warns(ExperienceWarning, match="no searches like this one.* aside were 1 "):
        fitted = informed(learned, n_candidates=2).fit(X[:100], y[:100])
    assert fitted.search_cost_["n_records"] == 0  # two alike are too few
    assert fitted.search_cost_["n_records_set_aside"] == 1


def test_no_row_leaks_from_one_fold_to_another_through_the_experience(cancer, monkeypatch):
    X, y = cancer
    experience = Experience().merge(Experience.load("default"))
    model = make_pipeline(StandardScaler(), informed(experience, refit=True))
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    costs, probabilities = [], []
    for rows, _ in folds.split(X, y):
        untold = clone_with(model, Experience.load("default")).fit(X[rows], y[rows])
        told = model.fit(X[rows], y[rows])
        probabilities.append((untold.predict_proba(X), told.predict_proba(X)))
        costs.append((untold[-1].search_cost_, told[-1].search_cost_))
        experience.record(told[-1], told[:-1].transform(X[rows]), y[rows])
    for untold, told in probabilities:
        np.testing.assert_array_equal(untold, told)
    aside = [told["n_records_set_aside"] - untold["n_records_set_aside"] for untold, told in costs]
    assert aside == [0, 1, 2, 3]
    assert all(untold["n_records"] == told["n_records"] for untold, told in costs)
    # It was the experience that proposed, and what other folds had learned would have counted.
    assert all(told["n_records"] and not told["n_drawn_at_random"] for _, told in costs)
    monkeypatch.setattr(portfolio, "shares_rows", lambda one, other: False)
    rows, _ = next(folds.split(X, y))
    assert model.fit(X[rows], y[rows])[-1].search_cost_["n_records"] > costs[0][1]["n_records"]


def clone_with(pipeline, experience):
    return clone(pipeline).set_params(metalrclassifier__search=Portfolio(experience))


@pytest.mark.parametrize(
    ("experience", "params", "message"),
    [
        (None, {}, "'experience' parameter .* Got None"),
        (3, {}, "'experience' parameter"),
        (".", {}, r"'experience' .* Got the folder '\.'"),
        ("default", {"learning_rates": [0.1, 0.2]}, r"earning rates .* Got \[0.1"),
        ("default", {"learning_rates": "auto"}, "earning rates .* Got 'auto'"),
    ],
)
def test_what_does_not_go_together_is_refused(cancer, experience, params, message, monkeypatch):
    monkeypatch.setattr(Situation, "of", None)  # no work is done before
    with pytest.raises(ValueError, match=message):
        informed(experience, **params).fit(*cancer)


def test_what_cannot_be_recorded_is_refused(cancer, tmp_path):
    X, y = fresh_rows(cancer)
    experience = Experience()
    moving = random(search="hypergradient", n_candidates=2).fit(X, y)
    with pytest.raises(ValueError, match="'hypergradient' cannot be recorded"):
        experience.record(moving, X, y)
    fitted = random(n_candidates=2).fit(X, y)
    with pytest.raises(ValueError, match="must be those that the estimator was fitted on"):
        experience.record(fitted, X[:90], y[:90])
    with pytest.raises(TypeError, match="must be a fitted MetaLRClassifier"):
        experience.record(StandardScaler(), X, y)
    with pytest.raises(NotFittedError):
        experience.record(random(), X, y)
    with pytest.raises(FileNotFoundError, match="no folder"):
        Experience(tmp_path / "no" / "one.jsonl").record(fitted, X, y)
    assert not len(experience)


def test_a_path_is_read_and_made(cancer, tmp_path):
    X, y = fresh_rows(cancer)
    with pytest.raises(FileNotFoundError, match="no experience at"):
        informed(tmp_path / "none.jsonl").fit(X, y)
    path = str(tmp_path / "mine.jsonl")
    for _ in range(2):
        recorded(Experience(path), X, y, n_candidates=2)
    assert len(Experience.load(path)) == 2


def interrupt_in_epoch_3(monkeypatch):
    """Have training saved after each epoch, and interrupted in the third."""
    train_epoch = Trainer._train_epoch

    def dies_in_epoch_3(self, group, setup, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        return train_epoch(self, group, setup, epoch)

    monkeypatch.setattr(execution, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(execution, "TIMES_A_SAVE", 0.0)
    monkeypatch.setattr(Trainer, "_train_epoch", dies_in_epoch_3)


def test_a_saved_search_goes_on_with_the_candidates_it_began_with(
    cancer, learned, tmp_path, monkeypatch
):
    X, y = fresh_rows(cancer)
    interrupt_in_epoch_3(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        informed(learned, checkpoint_dir=tmp_path).fit(X, y)
    monkeypatch.undo()
    later = [replace(one, losses=one.losses[::-1], source="later") for one in learned]
    grown = Experience().merge([*learned, *later])
    went_on = informed(grown, checkpoint_dir=tmp_path).fit(X, y)
    began_with = informed(learned).fit(X, y)
    np.testing.assert_array_equal(went_on.learning_curves_, began_with.learning_curves_)
    changed = informed(grown).fit(X, y)
    assert changed.cv_results_["params"] != went_on.cv_results_["params"]


JOINT = {"model__hidden": [4, 8], "optimizer__weight_decay": loguniform(1e-5, 1e-1)}


@pytest.fixture(scope="module")
def jointly_learned(cancer):
    """Return what three joint searches on different rows have recorded."""
    return three_searches(cancer, param_distributions=JOINT, n_candidates=8)


def test_a_joint_search_is_recorded_with_all_that_it_searched(jointly_learned):
    one = next(iter(jointly_learned))
    assert len(jointly_learned) == 3
    assert one.others.keys() == JOINT.keys()
    assert set(one.others["model__hidden"]) == {4, 8}
    assert all(0 <= value <= 1e-1 for value in one.others["optimizer__weight_decay"])
    assert {len(values) for values in one.others.values()} == {len(one.learning_rates)}
    assert one.to_line() == type(one).from_dict(json.loads(one.to_line())).to_line()
    frame = jointly_learned.to_frame()
    assert frame["best_model__hidden"].isin([4, 8]).all()


def test_joint_strategies_come_from_what_was_learned(cancer, jointly_learned):
    fitted = informed(jointly_learned, param_distributions=JOINT).fit(*fresh_rows(cancer))
    cost, results = fitted.search_cost_, fitted.cv_results_
    assert (cost["n_records"], cost["n_drawn_at_random"]) == (3, 0)
    assert cost["n_candidates"] == 8
    tried = {rate for one in jointly_learned for rate in one.learning_rates}
    assert len(tried & set(results["param_optimizer__learning_rate"].data)) >= 4
    decays = results["param_optimizer__weight_decay"].data
    is_own = (results["param_model__hidden"] == 8) & (decays <= 1e-5)
    assert 2 <= np.count_nonzero(is_own) < 8


def test_a_joint_search_of_what_nobody_has_searched_is_drawn_and_said_so(cancer, jointly_learned):
    searched = {"param_distributions": {"model__activation": ["relu", "tanh"]}, "n_candidates": 4}
    X, y = fresh_rows(cancer)
    with pytest.warns(ExperienceWarning, match="none of them has searched model__activation"):
        fitted = informed(jointly_learned, **searched).fit(X, y)
    assert fitted.search_cost_["n_drawn_at_random"] == fitted.search_cost_["n_candidates"] == 4


def test_searches_of_rates_alone_leave_joint_ones_aside(cancer, learned, jointly_learned):
    X, y = fresh_rows(cancer)
    both = Experience().merge(learned).merge(jointly_learned)
    rates = [
        informed(one).fit(X, y).cv_results_["param_optimizer__learning_rate"].data
        for one in (learned, both)
    ]
    np.testing.assert_array_equal(*rates)


def test_a_saved_joint_search_goes_on_with_what_was_proposed(
    cancer, jointly_learned, tmp_path, monkeypatch
):
    X, y = fresh_rows(cancer)
    # What is listed may be nothing that could be saved.
    space = JOINT | {"model__activation": [keras.activations.relu, keras.activations.tanh]}
    tried = [["relu", "tanh"] * 4] * 3
    learned = [
        replace(one, others=one.others | {"model__activation": names[: len(one.losses)]})
        for one, names in zip(jointly_learned, tried, strict=True)
    ]
    later = [replace(one, losses=one.losses[::-1], source="later") for one in learned]
    grown = Experience().merge([*learned, *later])
    began, how = Experience().merge(learned), {"param_distributions": space}
    with monkeypatch.context() as patched:
        interrupt_in_epoch_3(patched)
        with pytest.raises(KeyboardInterrupt):
            informed(began, checkpoint_dir=tmp_path, **how).fit(X, y)
    went_on = informed(grown, checkpoint_dir=tmp_path, **how).fit(X, y)
    began_with = informed(began, **how).fit(X, y)
    np.testing.assert_array_equal(went_on.learning_curves_, began_with.learning_curves_)
    assert went_on.best_params_ == began_with.best_params_
    changed = informed(grown, **how).fit(X, y)
    assert changed.cv_results_["params"] != went_on.cv_results_["params"]


def test_dicts_have_portfolios_of_their_own_and_others_where_those_show_nothing(cancer):
    space = [{"model__hidden": [4, 8]}, {"optimizer__beta_1": uniform(0.5, 0.4)}]
    experience = three_searches(cancer, param_distributions=space, n_candidates=6)
    assert [list(one.others) for one in experience] == [
        ["model__hidden"],
        ["optimizer__beta_1"],
    ] * 3
    X, y = fresh_rows(cancer)
    shuffled = np.random.RandomState(0).permutation(y)
    with pytest.warns(ExperienceWarning, match="none of them has searched learning rates alone"):
        fitted = informed(experience, param_distributions=[*space[:1], {}], n_candidates=4).fit(
            X, y
        )
    assert fitted.search_cost_["n_records"] == 3
    with pytest.warns(BaselineWarning, match="No learning rate did better"):
        fitted = informed(experience, param_distributions=space).fit(X, shuffled)
    assert fitted.search_cost_["n_records"] == 6
    assert fitted.search_cost_["n_candidates"] > 16  # others were drawn, too
    betas = fitted.cv_results_["param_optimizer__beta_1"]
    hidden = fitted.cv_results_["param_model__hidden"]
    assert [value is masked for value in betas] == [value != "the model's own" for value in hidden]


def test_a_joint_search_of_several_optimizers_draws_no_more_than_random_search(cancer, learned):
    X, y = fresh_rows(cancer)
    space = {"optimizer": ["sgd", "rmsprop"], "optimizer__momentum": uniform(0, 0.9)}
    with pytest.warns(ExperienceWarning, match="32 of 32 candidates were drawn"):
        fitted = informed(learned, param_distributions=space).fit(X, y)
    experience = Experience().record(fitted, X, y)
    assert [one.features["optimizer"] for one in experience] == ["SGD", "RMSprop"]
    assert {next(iter(one.others)) for one in experience} == {"optimizer__momentum"}


def test_a_loss_given_in_the_space_alone_is_recorded(cancer):
    X, y = fresh_rows(cancer)
    weights = dict(zip(np.unique(y), [1.0, 2.0], strict=True))
    space = {"loss": ["sparse_categorical_crossentropy"], "class_weight": [None, weights]}
    wrapped = small_classifier(loss=None)
    fitted = MetaLRClassifier(wrapped, space, n_candidates=4, **QUICK).fit(X, y)
    (one,) = Experience().record(fitted, X, y)
    assert set(one.others["loss"]) == {"sparse_categorical_crossentropy"}
    assert sorted(map(str, one.others["class_weight"])) == ["None"] * 2 + ["{'0': 1, '1': 2}"] * 2
    assert type(one).from_dict(json.loads(one.to_line())).others == one.others
