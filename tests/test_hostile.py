"""Hostile input: every outcome is a correct fit, or one clear error before training.

Most properties stop where training begins, which keeps an example at some milliseconds; a few
train. Whatever comes of a fit, nothing that was given to it has changed.
"""

import pickle
import random
import re
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make import SMALL_FITS_WARN, small_classifier, small_mlp
from sklearn.model_selection import KFold

from sk_metalr import MetaLRClassifier
from sk_metalr._population import Block
from sk_metalr.exceptions import AllDivergedError

pytestmark = SMALL_FITS_WARN


N = 40
X = np.random.RandomState(0).normal(size=(N, 3)).astype(np.float32)
Y = np.tile([0, 1], N // 2)
ROWS = np.arange(N)

INTERNALS = re.compile(
    "only integer scalar|could not broadcast|out of memory|ufunc|tensorflow|Graph execution|"
    "not supported between|unhashable|is ambiguous|has no attribute|assert|"
    "positional argument|must have same number of dimensions"
)


def hypothetically(*arguments, **named):
    """Run a test for a few examples, the same each time, and for many where it has time."""
    common = {"deadline": None, "suppress_health_check": list(HealthCheck)}

    def decorate(test):
        few = settings(max_examples=8, derandomize=True, database=None, **common)
        many = settings(max_examples=150, database=None, **common)

        @pytest.mark.parametrize(
            "profile", [few, pytest.param(many, marks=pytest.mark.long)], ids=["few", "many"]
        )
        def examples(profile):
            profile(given(*arguments, **named)(test))()

        return examples

    return decorate


class Begun(BaseException):
    """Training has begun."""


def begin(*_, **__):
    raise Begun


def make(estimator=None, **params):
    defaults = {"n_candidates": 2, "cv": 2, "random_state": 0}
    estimator = small_classifier(epochs=1) if estimator is None else estimator
    return MetaLRClassifier(estimator, **(defaults | params))


def picture(value):
    """Return what a value holds, comparable; of what does not pickle, its identity."""
    if isinstance(value, pd.DataFrame | pd.Series):  # which pickle otherwise once looked at
        return pd.util.hash_pandas_object(value).tolist(), str(getattr(value, "dtypes", ""))
    try:
        return pickle.dumps(value)
    except Exception:
        return id(value)


def random_states():
    return pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002


def attempt(X=X, y=Y, estimator=None, fit=None, trains=False, **params):
    """Fit; return the fitted classifier, "begun" or the error, once it is a clear one."""
    model, fit = make(estimator, **params), fit or {}
    given = [X, y, *fit.values(), *params.values()]
    pictures, before = [picture(value) for value in given], vars(model).copy()
    states = random_states()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)  # scikit-learn's, ours: no skill
        warnings.filterwarnings("ignore", "A column-vector y")
        if not trains:
            patch.setattr(Block, "train", begin)
        try:
            outcome = model.fit(X, y, **fit)
        except Begun:
            outcome = "begun"
        except (ValueError, TypeError, AllDivergedError) as error:
            outcome = error
    if isinstance(outcome, Exception):
        said = str(outcome).partition("It is not: ")[0]
        assert len(said) > 15
        assert not INTERNALS.search(said), said
        assert trains or not isinstance(outcome, AllDivergedError)
    assert [picture(value) for value in given] == pictures
    if model.random_state is not None:  # which is NumPy's global one
        assert random_states() == states
    if outcome is not model:
        assert vars(model) == before
    return outcome


def assert_sound(fitted, X, y, weight=None):
    """Assert what holds of every classifier that was fitted."""
    counted = np.ravel(y) if weight is None else np.ravel(y)[np.asarray(weight) > 0]
    np.testing.assert_array_equal(fitted.classes_, np.unique(counted))
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (len(X), len(fitted.classes_))
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert np.isin(fitted.predict(X), fitted.classes_).all()


# Features


def _with(value, dtype=np.float64):
    changed = X.astype(dtype)
    changed[0, 0] = value
    return changed


def _read_only():
    values = X.copy()
    values.flags.writeable = False
    return values


VIEWS = {
    "Fortran order": np.asfortranarray(X),
    "negative strides": X[::-1, ::-1][::-1, ::-1],
    "every other column": np.repeat(X, 2, axis=1)[:, ::2],
    "big endian": X.astype(">f8"),
    "read-only": _read_only(),
    "one row for all": np.broadcast_to(X[:1], X.shape),
    "half precision": X.astype(np.float16),
    "bytes": (X > 0).astype(np.uint8),
    "bool": X > 0,
    "objects": X.astype(object),
    "long double": X.astype(np.longdouble),
    "huge integers": np.full((N, 3), 2**62),
    "subnormal": _with(5e-324),
    "large": _with(3.4e38),
    "constant": np.zeros((N, 3)),
    "categories of numbers": pd.DataFrame({"a": pd.Categorical([1, 2] * 20), "b": X[:, 0]}),
    "nullable without NA": pd.DataFrame({"a": pd.array([1, 2] * 20, dtype="Int64")}),
    "nothing is masked": np.ma.masked_array(X),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_features_that_are_numbers_are_taken(kind):
    assert attempt(VIEWS[kind]) == "begun"


TIMES = pd.DataFrame({"a": pd.date_range("2020", periods=N)})
BAD_X = {
    "NaN": (_with(np.nan), "NaN"),
    "infinity": (_with(-np.inf), "infinity"),
    "beyond float32": (_with(1e300), "infinity or a value too large for dtype..float32"),
    "just beyond float32": (_with(3.5e38), "too large"),
    "objects beyond float32": (np.full((N, 3), 1e300, dtype=object), "too large"),
    "text beyond float32": (np.full((N, 3), "1e300"), "too large"),
    "endless integers": (np.full((N, 3), 10**400, dtype=object), "must be numbers"),
    "sparse": (sp.csr_matrix(X), "dense"),
    "masked": (np.ma.masked_array(X, X > 1), "X holds masked values"),
    "structured": (np.zeros(N, dtype=[("a", "f4"), ("b", "i4")]), "must be numbers"),
    "complex": (X.astype(complex), "Complex"),
    "text": (np.full((N, 3), "a"), "encode text"),
    "datetime": (np.zeros((N, 3), "M8[s]"), "X holds times"),
    "timedelta": (np.zeros((N, 3), "m8[s]"), "X holds times"),
    "frame of times": (TIMES, "X holds times"),
    "frame with times": (TIMES.assign(b=1.0), "X holds times"),
    "nullable with NA": (pd.DataFrame({"a": pd.array([1, None] * 20, dtype="Int64")}), "NaN"),
    "categories of text": (pd.DataFrame({"a": pd.Categorical(["u", "v"] * 20)}), "encode text"),
    "no rows": (np.empty((0, 3)), "0 sample"),
    "no columns": (np.empty((N, 0)), "0 feature"),
    "flat": (X[:, 0], "Expected 2D"),
    "ragged": ([[1, 2], [3]] * 20, "must be numbers"),
    "generator": ((row for row in X), "must be numbers"),
    "dict": ({"a": X}, "must be numbers"),
    "None": (None, "Expected 2D"),
    "deeper": (X[:, :, None, None], "rows of shape"),
}


@pytest.mark.parametrize("kind", BAD_X)
def test_features_that_are_not_are_refused(kind):
    values, said = BAD_X[kind]
    error = attempt(values, np.empty(0) if kind == "no rows" else Y)
    assert re.search(said, str(error))
    assert "\x1b" not in str(error)


def test_a_memory_map_is_read_and_never_written(tmp_path):
    np.save(tmp_path / "X.npy", X)
    written = (tmp_path / "X.npy").read_bytes()
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r+")
    fitted = attempt(mapped, trains=True)
    assert_sound(fitted, mapped, Y)
    assert (tmp_path / "X.npy").read_bytes() == written


def test_rows_of_another_shape_are_not_predicted():
    fitted = make().fit(X, Y)
    with pytest.raises(ValueError, match="rows of shape \\(3,\\)"):
        fitted.predict(X[:, :, None])
    with pytest.raises(ValueError, match="masked"):
        fitted.predict(np.ma.masked_array(X, X > 1))


# Labels


def _objects(*values):
    labels = np.empty(N, dtype=object)
    labels[:] = [values[i % len(values)] for i in range(N)]
    return labels


GOOD_Y = {
    "column": Y[:, None],
    "bool": Y > 0,
    "huge integers": np.array([2**62, -(2**62)])[Y],
    "uint64": np.array([2**64 - 1, 0], np.uint64)[Y],
    "floats": Y * 1.0,
    "datetime": np.array(["2020", "2021"], "M8[D]")[Y],
    "text": np.array(["", "ä"])[Y],
    "text objects": _objects("", "b"),
    "category": pd.Series(pd.Categorical(["u", "v"] * 20)),
    "nullable": pd.Series([1, 2] * 20, dtype="Int64"),
    "string": pd.Series(["u", "v"] * 20, dtype="string"),
    "another index": pd.Series(Y, index=ROWS[::-1]),
}


@pytest.mark.parametrize("kind", GOOD_Y)
def test_labels_that_are_classes_are_taken(kind):
    assert attempt(y=GOOD_Y[kind]) == "begun"


BAD_Y = {
    "mixed": (_objects("a", 1), "y must hold values of one type.*'int', 'str'"),
    "text and None": (_objects("a", None), "y must hold values of one type"),
    "text and bytes": (_objects("a", b"a"), "y must hold values of one type"),
    "bytes": (np.array([b"a", b"b"])[Y], "bytes"),
    "NaN": (np.where(Y, 1, np.nan), "NaN"),
    "NaN among objects": (_objects("a", np.nan), "NaN"),
    "NaT": (np.array(["2020", "NaT"], "M8[D]")[Y], "NaT"),
    "NA": (pd.Series([1, None] * 20, dtype="Int64"), "NaN"),
    "NA among strings": (pd.Series(["u", None] * 20, dtype="string"), "missing values"),
    "NA among categories": (pd.Series(pd.Categorical(["u", None] * 20)), "NaN"),
    "infinity": (np.where(Y, 1, np.inf), "infinity"),
    "huge floats": (np.array([1e300, 0.0])[Y], "continuous"),
    "complex": (Y * 1j, "Complex"),
    "decimals": (_objects(Decimal(1), Decimal(2)), "Unknown label type"),
    "tuples": (_objects((1, 2), (3, 4)), "multi-label"),
    "sets": (_objects(frozenset([1]), frozenset([2])), "Unknown label type"),
    "masked": (np.ma.masked_array(Y, ROWS < 2), "y holds masked values"),
    "structured": (np.zeros(N, dtype=[("a", "i4")]), "one label in each row"),
    "void": (np.array([b"ab", b"cd"], "V2")[Y], "one label in each row"),
    "one-hot": (np.eye(2)[Y], "argmax"),
    "one row each": (ROWS, "only 1 row"),
    "one class": (np.zeros(N), "one class only"),
    "zeros of both signs": (np.array([0.0, -0.0])[Y], "one class only"),
    "generator": ((label for label in Y), "1d array"),
    "too few": (Y[1:], "inconsistent"),
}


@pytest.mark.parametrize("kind", BAD_Y)
def test_labels_that_are_not_are_refused(kind):
    labels, said = BAD_Y[kind]
    assert re.search(said, str(attempt(y=labels)))


def test_a_hundred_thousand_classes_begin_to_train():
    y = np.repeat(np.arange(100_000), 2)
    one = small_classifier(small_mlp, model__hidden=2, epochs=1, batch_size=1024)
    rows = np.arange(len(y))
    halves = [(rows[::2], rows[1::2])]
    assert attempt(np.zeros((len(y), 1), np.float32), y, one, cv=halves) == "begun"


# Weights, groups, validation rows

WEIGHTS = {
    "overflow": (_with(1e300)[:, 0], "Negative|add up to no more"),
    "the sum overflows": (np.full(N, 1e38), "add up to no more"),
    "vanish": (np.full(N, 1e-300), "at least 1e-38"),
    "one vanishes": (np.r_[np.ones(N - 1), 5e-324], "at least 1e-38"),
    "negative": (np.r_[np.ones(N - 1), -1], "Negative"),
    "NaN": (np.r_[np.ones(N - 1), np.nan], "NaN"),
    "infinite": (np.r_[np.ones(N - 1), np.inf], "infinity"),
    "zeros": (np.zeros(N), "non-zero|is 0"),
    "a class is left out": ((Y == 0) * 1.0, "one class only"),
    "a column": (np.ones((N, 1)), "1D"),
    "masked": (np.ma.masked_array(np.ones(N), ROWS < 2), "masked"),
    "text": (np.full(N, "a"), "could not convert"),
    "too few": (np.ones(3), "sample_weight"),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_cannot_be_counted_with_are_refused(kind):
    weight, said = WEIGHTS[kind]
    assert re.search(said, str(attempt(fit={"sample_weight": weight})))


GROUPS = {
    "mixed": (_objects("a", 1), "groups must hold values of one type"),
    "None among text": (_objects("a", None), "groups must hold values of one type"),
    "two columns": (np.c_[Y, Y], r"shape \(n_samples,\)"),
    "masked": (np.ma.masked_array(ROWS, ROWS < 2), "masked"),
    "one": (np.zeros(N), "same group"),
    "too few": (ROWS[1:], "inconsistent"),
}


@pytest.mark.parametrize("kind", GROUPS)
def test_groups_that_name_none_are_refused(kind):
    groups, said = GROUPS[kind]
    assert re.search(said, str(attempt(fit={"groups": groups})))


VALIDATION = {
    "deeper": (X[:, :, None], Y, "X_val must hold rows of the same shape"),
    "beyond float32": (_with(1e300), Y, "too large"),
    "mixed": (X, _objects("a", 1), "y_val must hold labels of the type"),
    "None": (X, _objects(None), "y_val must hold labels of the type"),
    "NaN": (X, np.where(Y, 1, np.nan), "class nan"),
    "masked": (X, np.ma.masked_array(Y, ROWS < 2), "y_val holds masked"),
    "times": (np.zeros((N, 3), "M8[s]"), Y, "X holds times"),
    "none": (X[:0], Y[:0], "0 sample"),
}


@pytest.mark.parametrize("kind", VALIDATION)
def test_validation_rows_that_do_not_suit_are_refused(kind):
    X_val, y_val, said = VALIDATION[kind]
    assert re.search(said, str(attempt(cv="auto", fit={"X_val": X_val, "y_val": y_val})))


# Splitters


class Splitter:
    """Yields what it was given."""

    def __init__(self, pairs):
        self.pairs = pairs

    def split(self, X, y, groups=None):
        yield from self.pairs

    def get_n_splits(self, *_):
        return len(self.pairs)


FIRST, LAST = ROWS[:30], ROWS[30:]
CUTS = {
    "masks": (ROWS < 30, ROWS >= 30),
    "lists": (FIRST.tolist(), LAST.tolist()),
    "ranges": (range(30), range(30, 40)),
    "from the end": (FIRST, -1 - np.arange(5)),
    "rows again and again": (np.tile(FIRST, 2), np.tile(LAST, 3)),
}
BAD_CUTS = {
    "beyond the end": ((FIRST, np.arange(30, 50)), "Split 0 of cv must be a pair"),
    "beyond the beginning": ((FIRST, [-41]), "Split 0 of cv must be a pair"),
    "floats": ((FIRST * 1.0, LAST), "Split 0 of cv must be a pair"),
    "NaN": ((np.full(3, np.nan), LAST), "Split 0 of cv must be a pair"),
    "objects": ((FIRST.astype(object), LAST), "Split 0 of cv must be a pair"),
    "short masks": ((ROWS[:20] < 9, ROWS[:20] > 9), "Split 0 of cv must be a pair"),
    "sets": ((set(FIRST.tolist()), set(LAST.tolist())), "Split 0 of cv must be a pair"),
    "numbers": ((1, 2), "Split 0 of cv must be a pair"),
    "None": ((None, None), "Split 0 of cv must be a pair"),
    "two columns": ((FIRST.reshape(-1, 2), LAST), "Split 0 of cv must be a pair"),
    "three": ((FIRST, LAST, LAST), "Split 0 of cv must be a pair"),
    "text": ((["a"], ["b"]), "Split 0 of cv must be a pair"),
    "endless": (([10**400], [1]), "Split 0 of cv must be a pair"),
    "overlap": ((FIRST, ROWS[20:]), "also holds out"),
    "overlap from the end": ((FIRST, -1 - np.arange(35)), "also holds out"),
    "nothing held out": ((ROWS, []), "holds out no rows"),
    "nothing to train on": (([], ROWS), "in no training row"),
}
WEIGHT = np.r_[np.zeros(3), np.ones(N - 3)]


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["all rows", "some rows"])
@pytest.mark.parametrize("cut", CUTS)
def test_pairs_are_taken_in_any_form(cut, weight):
    assert attempt(cv=[CUTS[cut]], fit={"sample_weight": weight}) == "begun"


@pytest.mark.parametrize("form", ["pairs", "splitter"])
@pytest.mark.parametrize("cut", BAD_CUTS)
def test_splits_that_cannot_be_are_refused(cut, form):
    pair, said = BAD_CUTS[cut]
    cv = [pair] if form == "pairs" else Splitter([pair])
    assert re.search(said, str(attempt(cv=cv)))


def test_what_a_splitter_raises_is_told_as_it_is():
    class Broken(Splitter):
        def split(self, X, y, groups=None):
            raise KeyError("mine")

    model = make(cv=Broken([]))
    before = vars(model).copy()
    with pytest.raises(KeyError, match="mine"):
        model.fit(X, Y)
    assert vars(model) == before


def test_a_class_is_no_splitter():
    assert "call it: KFold()" in str(attempt(cv=KFold))


# Parameters

ODD = [0, -1, 1, 2, 10**9, 10**20, 1.0, 2.5, 1e300, 5e-324, np.nan, np.inf, True, np.int64(2)]
ODD += [np.int8(2), np.float64(2.5), np.float32(0.2), "2", "auto", None, [1], {}, 1 + 0j, b"2"]
NUMBERS = ["n_candidates", "n_models", "max_memory"]
OTHERS = ["search", "engine", "random_state", "scoring", "refit", "cv", "learning_rates"]
OTHERS += ["param_distributions", "checkpoint_dir", "n_jobs", "verbose"]
WRAPPED = ["epochs", "batch_size", "validation_split", "random_state", "class_weight"]


@hypothetically(st.sampled_from(NUMBERS + OTHERS), st.sampled_from(ODD))
def test_odd_parameters_begin_or_are_refused(name, value):
    # Of that many it draws, or makes, as many as it is told.
    if not (name in ("n_candidates", "cv") and value == 10**9):
        attempt(**{name: value})


@hypothetically(st.sampled_from(WRAPPED), st.sampled_from(ODD))
def test_odd_parameters_of_the_wrapped_begin_or_are_refused(name, value):
    attempt(estimator=small_classifier(**({"epochs": 1} | {name: value})))


BAD_WRAPPED = [
    *[("epochs", v) for v in (0, -1, 10**20, 1.0, True, "2", None, np.nan, np.array(2))],
    *[("batch_size", v) for v in (0, -2, 1.0, True, "2", np.nan, np.array([2, 3]))],
    *[("validation_split", v) for v in (-1, 1.0, 2.0, "x", np.nan, True)],
    *[("random_state", v) for v in (-1, 2**40, 1.5, "x", np.nan)],
    *[("class_weight", {0: v}) for v in (-1.0, np.nan, np.inf, 1e300)],
    *[("class_weight", v) for v in ({0: 0.0, 1: 0.0}, [1], "x", 1.0)],
]


@pytest.mark.parametrize(("name", "value"), BAD_WRAPPED)
def test_what_would_fail_after_the_search_is_refused_before(name, value):
    error = attempt(estimator=small_classifier(**({"epochs": 1} | {name: value})))
    assert re.search(f"'{name}' parameter of the wrapped (estimator|KerasClassifier)", str(error))


def test_a_seed_may_be_of_numpy():
    seeds = [small_classifier(epochs=1, random_state=seed) for seed in (3, np.int64(3))]
    fits = [attempt(estimator=one, trains=True).predict_proba(X) for one in seeds]
    np.testing.assert_array_equal(*fits)


BAD_PARAMETERS = [
    ({"learning_rates": [1e39]}, "range of float32. Got 1e.39"),
    ({"learning_rates": [1e-46]}, "range of float32. Got 1e-46"),
    ({"learning_rates": [10**400]}, "must be numbers"),
    ({"learning_rates": {}}, "must be numbers"),
    ({"param_distributions": {3: [1]}}, "Got '3' too"),
    ({"param_distributions": {"schedule": [lambda progress: "x"]}}, "must give one number"),
    ({"param_distributions": {"schedule": [lambda progress: None]}}, "must give one number"),
    ({"param_distributions": {"schedule": [lambda progress: 1e300]}}, "must give finite factors"),
    ({"scoring": [["accuracy"]]}, "'scoring' parameter"),
    ({"scoring": lambda *_: None}, "'scoring' parameter"),
    ({"scoring": lambda *_: {"a": 1}}, "'scoring' parameter"),
]


@pytest.mark.parametrize(("params", "said"), BAD_PARAMETERS)
def test_parameters_that_cannot_be_are_refused(params, said):
    assert re.search(said, str(attempt(**params)))


@pytest.mark.parametrize("params", [{"n_candidates": True}, {"cv": 1e-300}, {"cv": 0.9}])
def test_parameters_at_the_limit_are_taken(params):
    assert attempt(**params) == "begun"


# Whole fits

VALUES = st.sampled_from([0.0, 1.0, -1.0, 1e-45, 5e-324, 1e30, 3.4e38, -3.4e38, 1e300, np.nan])
LABELS = st.sampled_from(["int", "text", "object", "bool"])


@st.composite
def tables(draw):
    """Draw a table of one shape: one program serves all fits."""
    values = X.astype(draw(st.sampled_from([np.float64, np.float32, np.longdouble])))
    with np.errstate(over="ignore"):
        for _ in range(draw(st.integers(0, 3))):
            row, column = draw(st.integers(0, N - 1)), draw(st.integers(0, 2))
            values[row, column] = draw(VALUES)
    column = draw(st.sampled_from([None, 0, 1]))
    if column is not None:
        values[:, column] = draw(st.sampled_from([0.0, 5.0])) if column else values[:, 2]
    order = draw(st.sampled_from("CF"))
    values = np.array(values, order=order)[:: draw(st.sampled_from([1, -1]))]
    values.flags.writeable = False
    kinds = {"int": [0, 7], "text": ["", "b"], "bool": [False, True]}
    kind = draw(LABELS)
    y = _objects("u", "v") if kind == "object" else np.array(kinds[kind])[Y]
    choices = st.sampled_from([0.0, 1.0, 3.0, 1e-30])
    weight = draw(st.none() | st.lists(choices, min_size=N, max_size=N).map(np.array))
    return values, y, weight


@hypothetically(tables())
def test_a_table_is_fitted_or_refused(table):
    values, y, weight = table
    outcome = attempt(values, y, fit={"sample_weight": weight}, trains=True)
    if isinstance(outcome, MetaLRClassifier):
        assert_sound(outcome, values, y, weight)
    else:
        with np.errstate(over="ignore"):
            is_plain = np.isfinite(values.astype(np.float32)).all()
        assert not is_plain or isinstance(outcome, AllDivergedError) or weight is not None
