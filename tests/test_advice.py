"""The experience is asked before a search and told after it, and no row leaks through it."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from models import small_classifier
from scipy.stats import loguniform
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_metalr import Experience, MetaLRClassifier, _advice, _experience, _refit
from sk_metalr._population import Population
from sk_metalr.exceptions import (
    AllDivergedError,
    EdgeOfSpaceWarning,
    ExperienceWarning,
    NoSkillWarning,
)

QUICK = {"n_splits": 1, "random_state": 0, "refit": False}


def search(experience, **params):
    return MetaLRClassifier(small_classifier(), experience=experience, **QUICK | params)


@pytest.fixture(scope="module")
def learned(cancer):
    """Return what three searches on different rows have recorded."""
    X, y = cancer
    experience = Experience()
    for part in range(3):
        rows = slice(100 * part, 100 * part + 100)
        search(experience, record_experience=True, n_candidates=6).fit(X[rows], y[rows])
    return experience


def fresh_rows(cancer):
    X, y = cancer
    return X[300:400], y[300:400]


def test_a_search_is_recorded_as_the_choice_saw_it(cancer):
    X, y = cancer
    experience = Experience()
    fitted = search(experience, record_experience=True, n_candidates=4).fit(X, y)
    (one,) = experience
    np.testing.assert_array_equal(one.learning_rates, fitted.cv_results_["param_learning_rate"])
    np.testing.assert_allclose(one.losses, -fitted.cv_results_["selection_score"])
    np.testing.assert_array_equal(one.n_epochs, fitted.cv_results_["n_epochs"])
    assert one.no_skill_loss == fitted.no_skill_loss_
    expected = {"n_rows": 569, "n_features": 30, "n_classes": 2, "optimizer": "Adam"}
    expected |= {"depth": 2, "n_parameters": 30 * 8 + 8 + 18, "batch_size": 16, "n_epochs": 3}
    assert expected.items() <= one.features.items()
    assert "n_records" not in fitted.search_cost_


def test_there_is_a_record_for_each_optimizer_and_schedule(cancer):
    experience = Experience()
    search(
        experience,
        record_experience=True,
        optimizers=["sgd", "adam"],
        schedules=["constant", "cosine"],
        n_candidates=2,
    ).fit(*fresh_rows(cancer))
    names = [(one.features["optimizer"], one.features["schedule"]) for one in experience]
    assert names == [(o, s) for o in ("SGD", "Adam") for s in ("constant", "cosine")]
    assert [len(one.learning_rates) for one in experience] == [2] * 4


def test_of_halving_only_those_that_went_all_the_way_are_recorded(cancer):
    experience = Experience()
    fitted = search(experience, record_experience=True, search="halving", n_candidates=9).fit(
        *fresh_rows(cancer)
    )
    (one,) = experience
    n_resources = fitted.cv_results_["n_resources"]
    assert len(one.learning_rates) == np.count_nonzero(n_resources == 3) < 9


def test_a_search_that_ended_early_is_not_recorded(cancer):
    experience = Experience()
    with pytest.warns(UserWarning, match="ended after"):
        search(experience, record_experience=True, n_candidates=2, max_time=1e-6).fit(
            *fresh_rows(cancer)
        )
    assert len(experience) == 0


def test_candidates_come_from_what_was_learned(cancer, learned):
    fitted = search(learned, search="portfolio").fit(*fresh_rows(cancer))
    rates = fitted.cv_results_["param_learning_rate"].data
    assert len(rates) == 4
    cost = fitted.search_cost_
    assert (cost["n_records"], cost["n_records_set_aside"]) == (3, 0)
    best = [one.learning_rates[one.losses.argmin()] for one in learned]
    assert rates.min() >= min(best) / 3
    assert len(learned) == 3  # nothing was added


def test_bounds_and_number_of_candidates_are_the_users(cancer, learned):
    fitted = search(
        learned, search="portfolio", n_candidates=3, learning_rates=loguniform(1e-5, 1e-4)
    ).fit(*fresh_rows(cancer))
    rates = fitted.cv_results_["param_learning_rate"].data
    assert len(rates) == 3
    assert rates.max() <= 1.001e-4


@pytest.mark.parametrize(("params", "n"), [({}, 16), ({"n_candidates": 3}, 3)])
def test_a_task_unlike_all_is_searched_at_random_and_said_so(cancer, learned, params, n):
    X, y = fresh_rows(cancer)
    with pytest.warns(ExperienceWarning, match=r"like this one \(RMSprop.*: none .* optimizer\)"):
        fitted = search(learned, search="portfolio", optimizers=["rmsprop"], **params).fit(X, y)
    drawn = search(None, optimizers=["rmsprop"], **params).fit(X, y)
    assert len(fitted.cv_results_["params"]) == len(drawn.cv_results_["params"]) == n
    cost = fitted.search_cost_
    assert (cost["n_records"], cost["n_drawn_at_random"]) == (0, n)


def test_some_optimizers_are_known_and_others_drawn(cancer, learned):
    X, y = fresh_rows(cancer)
    with pytest.warns(ExperienceWarning, match="16 of 20 candidates were drawn"):
        fitted = search(learned, search="portfolio", optimizers=["adam", "rmsprop"]).fit(X, y)
    cost = fitted.search_cost_
    assert (cost["n_records"], cost["n_drawn_at_random"]) == (3, 16)


def test_where_the_experience_proposes_too_few_others_are_drawn(cancer, learned):
    X, y = fresh_rows(cancer)
    with pytest.warns(ExperienceWarning, match="too few rates .* of 12 candidates"):
        fitted = search(
            learned, search="portfolio", n_candidates=12, learning_rates=loguniform(1e-4, 2e-4)
        ).fit(X, y)
    rates = fitted.cv_results_["param_learning_rate"].data
    assert len(np.unique(rates)) == 12
    assert 1e-4 <= rates.min() < rates.max() <= 2.001e-4
    assert 0 < fitted.search_cost_["n_drawn_at_random"] < 12


def test_where_the_few_show_no_skill_more_are_tried(cancer, learned):
    X, y = fresh_rows(cancer)
    shuffled = np.random.RandomState(0).permutation(y)
    with pytest.warns(NoSkillWarning, match="No learning rate did better"):
        fitted = search(learned, search="portfolio", n_splits=3).fit(X, shuffled)
    rates = fitted.cv_results_["param_learning_rate"].data
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
        search(learned, search="portfolio", **params).fit(X * factor, y)


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
    with pytest.warns(ExperienceWarning, match="too few rates .* of 16 candidates"):
        fitted = search(narrow, search="portfolio").fit(*fresh_rows(cancer))
    assert len(fitted.cv_results_["params"]) == 16


def test_functions_of_one_name_are_schedules_of_their_own(cancer):
    experience = Experience()
    X, y = fresh_rows(cancer)
    for schedule in (lambda progress: 1 - progress, lambda progress: progress + 0.1):
        search(experience, record_experience=True, schedules=[schedule], n_candidates=2).fit(X, y)
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
    fitted = search(low, search="portfolio").fit(X, y)
    rates = fitted.cv_results_["param_learning_rate"].data
    assert len(rates) > 4 + 1
    np.testing.assert_allclose(rates[4:] / rates[3:-1], 10**0.5)
    assert fitted.cv_results_["selection_score"].argmax() == len(rates) - 2
    assert fitted.search_cost_["member_epochs"] == len(rates) * 3
    bounds = loguniform(1e-4, 4e-3)
    with pytest.warns(EdgeOfSpaceWarning, match="highest that was tried"):
        fitted = search(low, search="portfolio", learning_rates=bounds).fit(X, y)
    assert fitted.cv_results_["param_learning_rate"].data[-1] == pytest.approx(4e-3)


@pytest.mark.parametrize(("engine", "n_opened"), [("vectorized", 2), ("keras", 6)])
def test_what_is_tried_later_starts_from_the_same_weights(
    cancer, learned, monkeypatch, engine, n_opened
):
    """Models are opened once, unless Keras's own loop has trained them."""
    opened = []
    split_tasks = _refit.split_tasks

    def counted(*args):
        tasks = split_tasks(*args)
        opened.extend(tasks)
        return tasks

    monkeypatch.setattr(_refit, "split_tasks", counted)
    low = misled(learned, 1e-4, 1e-3)
    fitted = search(low, search="portfolio", n_splits=2, engine=engine).fit(*fresh_rows(cancer))
    rates = fitted.cv_results_["param_learning_rate"].data
    assert len(rates) >= 4 + 2
    assert len(opened) == n_opened if engine == "vectorized" else len(opened) >= n_opened
    at_once = search(None, learning_rates=rates.tolist(), n_splits=2, engine=engine).fit(
        *fresh_rows(cancer)
    )
    np.testing.assert_allclose(
        at_once.learning_curves_, fitted.learning_curves_, rtol=1e-4, atol=1e-6
    )


def test_as_many_rates_are_tried_as_were_asked_for(cancer, learned):
    model = search(misled(learned, 1e-4, 3e-3), search="portfolio", n_candidates=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", EdgeOfSpaceWarning)
        fitted = model.fit(*fresh_rows(cancer))
    assert len(fitted.cv_results_["params"]) == 4


def test_where_all_that_were_proposed_diverge_others_are_tried(cancer, learned):
    high = misled(learned, 1e18, 1e20, optimizer="SGD")
    fitted = search(high, search="portfolio", optimizers=["sgd"]).fit(*fresh_rows(cancer))
    assert len(fitted.cv_results_["params"]) == 4 + 16
    assert fitted.cv_results_["diverged"][-4:].all()
    assert fitted.best_learning_rate_ < 10
    asked_for = search(high, search="portfolio", optimizers=["sgd"], n_candidates=4)
    with pytest.raises(AllDivergedError):
        asked_for.fit(*fresh_rows(cancer))


def test_records_of_the_same_rows_are_set_aside(cancer, learned):
    X, y = cancer
    with pytest.warns(ExperienceWarning, match="no searches like this one.* aside were 1 "):
        fitted = search(learned, search="portfolio", n_candidates=2).fit(X[:100], y[:100])
    assert fitted.search_cost_["n_records"] == 0  # two alike are too few
    assert fitted.search_cost_["n_records_set_aside"] == 1


def test_recording_changes_no_score_of_a_cross_validation(cancer, monkeypatch):
    X, y = cancer
    outcomes = {}
    for records in (False, True):
        experience = Experience().merge(Experience.load("default"))
        n_before = len(experience)
        model = make_pipeline(
            StandardScaler(),
            search(experience, search="portfolio", record_experience=records, refit=True),
        )
        folds = StratifiedKFold(4, shuffle=True, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperienceWarning)
            outcomes[records] = cross_validate(model, X, y, cv=folds, return_estimator=True)
        assert len(experience) == n_before + 4 * records
    np.testing.assert_array_equal(outcomes[False]["test_score"], outcomes[True]["test_score"])
    costs = {
        records: [one[-1].search_cost_ for one in outcome["estimator"]]
        for records, outcome in outcomes.items()
    }
    aside = [
        told["n_records_set_aside"] - untold["n_records_set_aside"]
        for untold, told in zip(costs[False], costs[True], strict=True)
    ]
    assert aside == [0, 1, 2, 3]
    assert [one["n_records"] for one in costs[False]] == [one["n_records"] for one in costs[True]]
    # It was the experience that proposed, and what other folds had learned would have counted.
    assert all(one["n_records"] and not one["n_drawn_at_random"] for one in costs[True])
    monkeypatch.setattr(_advice, "shares_rows", lambda one, other: False)
    rows, _ = next(folds.split(X, y))
    told = model.fit(X[rows], y[rows])[-1]
    untold = outcomes[True]["estimator"][0][-1]
    assert told.search_cost_["n_records"] > untold.search_cost_["n_records"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"search": "portfolio", "experience": None}, "'experience' parameter .* Got None"),
        ({"record_experience": True}, "'experience' parameter .* Got 'default'"),
        ({"record_experience": True, "experience": None}, "'experience' parameter"),
        (
            {"record_experience": True, "experience": Experience(), "search": "hypergradient"},
            "'record_experience' parameter",
        ),
        ({"search": "portfolio", "learning_rates": [0.1, 0.2]}, r"'learning_rates' .* Got \[0.1"),
        ({"search": "portfolio", "learning_rates": "auto"}, "'learning_rates' .* Got 'auto'"),
        ({"search": "portfolio", "experience": 3}, "'experience' parameter"),
        ({"search": "portfolio", "experience": "."}, r"'experience' .* Got the folder '\.'"),
        ({"record_experience": True, "experience": ""}, "'experience' .* Got the folder ''"),
    ],
)
def test_what_does_not_go_together_is_refused(cancer, params, message, monkeypatch):
    monkeypatch.setattr(_advice.Situation, "of", None)  # no work is done before
    model = MetaLRClassifier(small_classifier(), **params)
    with pytest.raises(ValueError, match=message):
        model.fit(*cancer)


def test_a_path_is_read_and_made(cancer, tmp_path):
    X, y = fresh_rows(cancer)
    with pytest.raises(FileNotFoundError, match="no experience at"):
        search(tmp_path / "none.jsonl", search="portfolio").fit(X, y)
    with pytest.raises(FileNotFoundError, match="no folder"):
        search(tmp_path / "no" / "one.jsonl", record_experience=True).fit(X, y)
    path = str(tmp_path / "mine.jsonl")
    for _ in range(2):
        search(path, record_experience=True, n_candidates=2).fit(X, y)
    assert len(Experience.load(path)) == 2


def test_a_search_that_cannot_be_written_down_is_not_lost(cancer, tmp_path, monkeypatch):
    def full(path, line):
        raise OSError("The disk is full")

    monkeypatch.setattr(_experience, "_append", full)
    experience = Experience(tmp_path / "experience.jsonl")
    with pytest.warns(ExperienceWarning, match="not recorded: The disk is full"):
        fitted = search(experience, record_experience=True).fit(*cancer)
    assert fitted.best_learning_rate_ > 0
    assert not len(experience)


def test_a_saved_search_goes_on_with_the_candidates_it_began_with(
    cancer, learned, tmp_path, monkeypatch
):
    experience = Experience().merge(learned)
    X, y = fresh_rows(cancer)
    model = search(experience, search="portfolio", checkpoint_dir=tmp_path, checkpoint_every=1)
    train_epoch = Population._train_epoch

    def dies_in_epoch_3(self, group, task, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        return train_epoch(self, group, task, epoch)

    monkeypatch.setattr(Population, "_train_epoch", dies_in_epoch_3)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    monkeypatch.undo()
    later = [replace(one, losses=one.losses[::-1], source="later") for one in learned]
    grown = search(Experience().merge([*learned, *later]), **vars_of(model)).fit(X, y)
    began_with = search(learned, search="portfolio").fit(X, y)
    np.testing.assert_array_equal(grown.learning_curves_, began_with.learning_curves_)
    changed = search(Experience().merge([*learned, *later]), search="portfolio").fit(X, y)
    assert changed.cv_results_["params"] != grown.cv_results_["params"]


def vars_of(model):
    return {name: getattr(model, name) for name in ("search", "checkpoint_dir", "checkpoint_every")}
