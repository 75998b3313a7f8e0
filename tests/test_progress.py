"""How far a fit is, and what an interruption leaves of it."""

import io
import re
import sys
import threading
import warnings
from itertools import pairwise

import keras
import pytest
from make import SMALL_FITS_WARN, small_classifier
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_metalr import Halving, MetaLRClassifier, _progress
from sk_metalr._population.training import Trainer
from sk_metalr._search import execution

pytestmark = SMALL_FITS_WARN


callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 or newer")


def make(epochs=6, **params):
    defaults = {"learning_rates": [1e-3, 1e-2, 1e-1, 1.0], "cv": 2, "random_state": 0}
    return MetaLRClassifier(**({"estimator": small_classifier(epochs=epochs)} | defaults | params))


class Recorder:
    """A scikit-learn callback that writes down what it is told."""

    def __init__(self):
        self.told = []

    def setup(self, estimator, context):
        self.told.append("setup")

    def on_fit_task_begin(self, estimator, context):
        if context.max_subtasks != 0:
            self.told.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        if context.max_subtasks == 0:
            self.told.append("step")

    def teardown(self, estimator, context):
        self.told.append("teardown")


def test_callbacks_see_every_task_and_step(iris):
    recorder = Recorder()
    make(search=Halving(2, 3)).set_callbacks(recorder).fit(*iris)
    begin, *told, end = recorder.told
    assert (begin, end) == ("setup", "teardown")
    names = [name for name in told if name != "step"]
    assert names[0] == "fit"
    assert names[1] == "search, up to epoch 3"
    assert names[2].startswith("search, up to epoch 6: ")
    assert names[3] == "refit"
    rungs = [told[told.index(a) + 1 : told.index(b)] for a, b in pairwise(names[1:])]
    assert [len(steps) for steps in rungs] == [2 * 3, 2 * 3]  # a group a split, three epochs


class OwnConvolution(keras.layers.Layer):
    """Only TensorFlow can tell that it does not vectorise."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(2, shape[-1], 3))

    def call(self, x):
        return keras.ops.conv(x, self.kernel)


def test_callbacks_go_along_to_the_next_lane(iris):
    def build(meta):
        layers = [keras.layers.Reshape((4, 1)), OwnConvolution(), keras.layers.Flatten()]
        return keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, "softmax")])

    recorder = Recorder()
    searching = make(estimator=small_classifier(build, epochs=2)).set_callbacks(recorder)
    assert searching.fit(*iris).search_cost_["lane"] == "compiled"
    assert recorder.told[-1] == "teardown"


def test_callbacks_end_where_a_fit_fails(iris):
    recorder = Recorder()
    failing = make(learning_rates=[1e30, 1e31]).set_callbacks(recorder)
    with pytest.raises(ValueError, match="diverged"):
        failing.fit(*iris)
    assert recorder.told[-1] == "teardown"
    assert [name for name in vars(failing) if name.endswith(("_ctx", "_teardown", "_"))] == []


def test_progress_bars_go_with_a_pipeline(iris, capsys):
    pytest.importorskip("rich")
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), make(epochs=2))
    pipeline.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = capsys.readouterr().out
    assert "MetaLRClassifier - search" in shown
    assert "MetaLRClassifier - refit" in shown
    assert clone(pipeline).fit(X, y).score(X, y) > 0.5


def test_a_verbose_fit_shows_each_rung(iris, capsys):
    make(search=Halving(2, 3), verbose=2).fit(*iris)
    shown = capsys.readouterr().out
    assert "search, up to epoch 3" in shown
    assert "up to epoch 3: best mean neg_log_loss" in shown
    assert shown.strip().splitlines()[-1].startswith("[sk_metalr] learning rate")
    make(epochs=1).fit(*iris)
    assert capsys.readouterr().out == ""


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


def test_into_a_file_each_task_is_two_lines(iris, capsys):
    make(epochs=30, verbose=1).fit(*iris)
    shown = capsys.readouterr().out
    assert not set(shown) & set("\r\b\x1b")
    begin, end, refit_begin, refit_end, outcome = shown.splitlines()
    assert begin == "[sk_metalr] search"
    assert end.startswith("[sk_metalr] search: 60 steps in ")
    assert refit_begin == "[sk_metalr] refit"
    assert refit_end.startswith("[sk_metalr] refit: ")
    assert "best" not in refit_end
    assert outcome.startswith("[sk_metalr] learning rate")


def test_on_a_screen_a_line_is_drawn_anew(iris, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setattr(_progress, "SECONDS_BETWEEN_DRAWINGS", -1.0)
    make(verbose=1).fit(*iris)
    search, _, refit = sys.stdout.getvalue().partition("[sk_metalr] refit")
    drawings = search.splitlines()[1:]
    assert "1/12 [==." in search
    assert "12/12 [==============================] " in search
    assert all("s left" in line for line in search.split("\r")[1:-1])
    assert drawings[-1].rstrip().rpartition(" ")[0].endswith(", best mean neg_log_loss")
    assert refit.count("\r") > 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scoring": "accuracy"},
        {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"},
        pytest.param(
            {
                "scoring": "neg_brier_score",
                "param_distributions": {"optimizer": ["sgd", "adam"]},
                "n_jobs": 2,
            },
            marks=pytest.mark.long,
        ),
    ],
)
def test_the_best_that_is_shown_is_the_score_that_chooses(iris, capsys, options):
    fitted = make(epochs=1, verbose=1, **options).fit(*iris)
    shown = capsys.readouterr().out
    name = options.get("scoring", "neg_log_loss")
    name = name if isinstance(name, str) else options["refit"]
    assert re.findall(r"best mean (\w+) (\S+)", shown) == [(name, f"{fitted.best_score_:.4f}")]


def test_a_search_that_goes_on_shows_the_best_of_all(iris, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(execution, "TIMES_A_SAVE", 0.0)
    with monkeypatch.context() as patched:
        interrupt_in_epoch(patched, 5)
        with pytest.raises(KeyboardInterrupt):
            make(verbose=1, checkpoint_dir=tmp_path).fit(*iris)
    assert re.search(r"search: \d+ of 12 steps in", capsys.readouterr().out)
    fitted = make(verbose=1, checkpoint_dir=tmp_path).fit(*iris)
    (best,) = re.findall(r"best mean neg_log_loss (\S+)", capsys.readouterr().out)[-1:]
    assert float(best) >= round(fitted.best_score_, 4)


class BrokenPipe(io.StringIO):
    """A reader that went away."""

    def write(self, text):
        raise BrokenPipeError


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "stream",
    [None, closed(), BrokenPipe(), object()],
    ids=["missing", "closed", "broken pipe", "no stream"],
)
def test_a_failing_print_does_not_cost_the_fit(iris, monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    fitted = make(search=Halving(2, 3), verbose=2).fit(*iris)
    assert fitted.score(*iris) > 0.5


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_an_encoding_lacks_is_told_in_ascii(iris, monkeypatch, encoding):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    fitted = make(verbose=1).fit(*iris)
    told = written.getvalue().decode(encoding).splitlines()[-1]
    assert f"learning rate {fitted.best_learning_rate_:.3g} (within one standard error:" in told
    assert re.search(r"4 candidates [x×] 2 splits", told)


def test_a_failing_stderr_does_not_cost_the_fit(iris, monkeypatch):
    def show(*args, **kwargs):
        raise ValueError("I/O operation on closed file.")

    monkeypatch.setattr(warnings, "showwarning", show)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        fitted = make(learning_rates=[1e-5, 1e-4]).fit(*iris)
    assert fitted.score(*iris) > 0


def interrupt_in_epoch(monkeypatch, epoch):
    """Have a group interrupted, once, while it trains this epoch."""
    train_epoch, lock, pending = Trainer._train_epoch, threading.Lock(), [True]

    def interrupted(self, group, setup, number):
        with lock:
            if number == epoch and len(setup.test) and pending and group.split == 1:
                pending.clear()
                raise KeyboardInterrupt
        return train_epoch(self, group, setup, number)

    monkeypatch.setattr(Trainer, "_train_epoch", interrupted)


def test_an_interruption_leaves_it_unfitted(iris, monkeypatch):
    interrupt_in_epoch(monkeypatch, 4)
    interrupted = make()
    before = vars(interrupted).copy()
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(*iris)
    assert vars(interrupted) == before
    assert interrupted.fit(*iris).score(*iris) > 0.5


def test_a_notebook_shows_what_was_chosen_also_in_a_pipeline(iris):
    unfitted = make(epochs=2)
    assert "held-out score" not in unfitted._repr_html_()
    fitted = unfitted.fit(*iris)
    pipeline = make_pipeline(StandardScaler(), fitted)
    for page in (
        fitted._repr_html_(),
        fitted._repr_mimebundle_()["text/html"],
        pipeline._repr_html_(),
        pipeline._repr_mimebundle_()["text/html"],
    ):
        assert f"learning rate {fitted.best_learning_rate_:.3g}" in page
        assert "held-out score" in page
        assert "4 candidates × 2 splits" in page
        assert "KerasClassifier" in page
    assert fitted.search_cost_["equivalent_single_fits"] == (
        (4 * 2 * 2 + fitted.best_n_epochs_) / 2
    )
