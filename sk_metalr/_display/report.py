"""One HTML page about a search: what was chosen, from what, and at what cost."""

import base64
import hashlib
import io
import os
import platform
import re
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from .._persistence import versions
from .._persistence.archive import check_destination, replace_file
from .._search import diagnostics
from .._space import OPTIMIZER, RATE, SCHEDULE
from .._task import MultiLabel
from .drawing import MANY_CURVES, fitted_classifier, import_optional, labels_of, searched
from .learning_curves import LearningCurvesDisplay
from .learning_rate import LearningRateDisplay
from .reliability import ReliabilityDisplay
from .strategy import StrategyDisplay
from .summary import in_words

NEEDED = "A report needs jinja2 and matplotlib: pip install 'jinja2>=3.1' 'matplotlib>=3.8'."

MANY = 30
"""Number of class labels, or of names of features, that are listed."""

FIGURES: dict[str, Any] = {
    "Response curve: held-out loss against learning rate.": LearningRateDisplay,
    "Learning curves: held-out loss of all candidates against epochs.": LearningCurvesDisplay,
}


RELIABILITY = "Reliability: how often predictions of rows it has not seen are right."

STRATEGIES = "Strategies: held-out loss of all candidates against each hyperparameter."


def report(estimator: Any, path: str | os.PathLike[str], X: Any = None, y: Any = None) -> Path:
    """Write an HTML page about a fitted classifier or regressor.

    The page shows what was chosen, the response curve and the learning curves, a sortable table of
    all candidates, what the search cost, anything worth knowing, versions and parameters. It is a
    single file that loads nothing from elsewhere. The same estimator gives the same page.

    Parameters
    ----------
    estimator : MetaLRClassifier, MetaLRRegressor, sklearn.pipeline.Pipeline or other meta-estimator
        Fitted; a Pipeline or a search must end in one of the first two. Its parameters are written
        down as they are now.
    path : str or os.PathLike
        File to write, in a folder that exists. An existing file is replaced once the page is
        complete; if anything fails before that, it stays as it was.
    X, y : array-like of shape (n_samples, ...), and (n_samples,), default=None
        Features and labels that a classifier has not seen, for a reliability diagram.

    Returns
    -------
    path : pathlib.Path
        The file.

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError
        If `estimator` holds no MetaLRClassifier or MetaLRRegressor, or that is not fitted.
    OSError
        If `path` is a folder, or in a folder that does not exist or cannot be written to.
    ImportError
        If jinja2 or matplotlib is not installed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sk_metalr import MetaLRClassifier, report
    >>> X, y = load_iris(return_X_y=True)
    >>> fitted = MetaLRClassifier(n_candidates=4, cv=0.2, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     report(fitted, f"{folder}/search.html").name
    'search.html'
    """
    fitted = fitted_classifier(estimator, "report")
    check_destination(Path(path))
    if (X is None) != (y is None):
        raise ValueError("The 'X' and 'y' parameters of report must be given together.")
    # Labels may hold what UTF-8 cannot say, such as half a surrogate pair.
    page = _page(fitted, estimator, X, y).encode(errors="xmlcharrefreplace")
    replace_file(Path(path), page)
    return Path(path)


def _page(fitted: Any, estimator: Any, X: Any, y: Any) -> str:
    jinja2 = import_optional("jinja2", NEEDED)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"digest": _digest, "exact": _exact, "text": _text}
    names = getattr(fitted, "feature_names_in_", ["without names"])
    results = fitted.cv_results_
    splits_last = sorted(results, key=lambda name: name.startswith("split"))
    columns = {name: np.asarray(results[name]) for name in splits_last if name != "params"}
    page: str = environment.get_template("report.html").render(
        title=f"Search report: learning rate {fitted.best_learning_rate_:.3g}",
        tiles=_chosen(fitted) | _trained(fitted),
        worth_knowing=_worth_knowing(fitted),
        figures=_figures(fitted, estimator, X, y),
        models=_models(fitted),
        columns={"row": np.arange(len(results["params"]))} | columns,
        best_index=fitted.best_index_,
        cost=fitted.search_cost_,
        data={
            **_targets(fitted),
            f"{fitted.n_features_in_} features": _listed(names),
        },
        reproducible=_reproducible(fitted),
        estimator=_repr(estimator),
        params={name: _repr(value) for name, value in fitted.get_params(deep=False).items()},
        versions=versions() | {"python": platform.python_version()},
    )
    return page


def _decisive(fitted: Any) -> tuple[str, str, bool]:
    """Return the name of the score that chose, of its column, and if it is a recorded loss."""
    means = [name for name in fitted.cv_results_ if name.startswith("mean_test_")]
    columns = [name.removeprefix("mean_test_") for name in means]
    column = fitted.refit if fitted.refit in columns else columns[0]
    task = fitted._seen_task
    is_loss = fitted.score_name_ == task.scorer_name
    return task.score_label if is_loss else fitted.score_name_, column, is_loss


def _targets(fitted: Any) -> dict[str, str]:
    """Return what the targets are, by how many there are."""
    if hasattr(fitted, "classes_"):
        what = "labels" if isinstance(fitted._seen_task, MultiLabel) else "classes"
        return {f"{len(fitted.classes_)} {what}": _listed(fitted.classes_)}
    means = _listed([f"{one:.4g}" for one in fitted.target_mean_])
    is_known = bool(fitted.target_mean_.any())  # 0 where targets are not centred
    return {f"{fitted.n_outputs_} numbers to predict": f"of a mean of {means}" * is_known}


def _chosen(fitted: Any) -> dict[str, tuple[str, str]]:
    """Return what was chosen, and how good it is: value and note by name."""
    averaged = "; weights are averaged over the last" * fitted.uses_averages_
    low, high = fitted.learning_rate_interval_
    interval = f"{low:.3g} … {high:.3g} within one standard error"
    if low == high:
        interval = "no other rate is within one standard error"
    _, n_splits, n_epochs = fitted.learning_curves_.shape
    name, column, is_loss = _decisive(fitted)
    spread = fitted.cv_results_[f"std_test_{column}"][fitted.best_index_]
    score, note = fitted.best_score_, f"± {spread:.2g} over {n_splits} splits"
    if n_splits == 1:
        note = "on one split"
    if is_loss:
        alone = f"{fitted._seen_task.trivially} alone".removeprefix("the ")
        score, note = -score, f"{note}; {alone}: {fitted._baseline_score:.3g}"
    return {
        "Learning rate": (f"{fitted.best_learning_rate_:.3g}", interval),
        "Epochs": (str(fitted.best_n_epochs_), f"of {n_epochs} at most{averaged}"),
        **{k.capitalize(): (in_words(v), "") for k, v in fitted.best_params_.items() if k != RATE},
        f"Held-out {name}": (f"{score:.4g}", note),
        **_temperature(fitted),
    }


def _temperature(fitted: Any) -> dict[str, tuple[str, str]]:
    if not fitted._seen_task.has_temperature:
        return {}
    return {"Temperature": (f"{fitted.temperature_:.3g}", "what logits are divided by")}


def _trained(fitted: Any) -> dict[str, tuple[str, str]]:
    """Return what was trained, and how long it took: value and note by name."""
    cost, n_models = fitted.search_cost_, len(getattr(fitted, "estimators_", []))
    refitted = f"{n_models} models", "on all rows; their predictions are averaged"
    if n_models == 1:
        refitted = "one model", "on all rows"
    elif not n_models:
        refitted = "none", "refit=False: it cannot predict"
    members = f"{cost['n_candidates']} × {cost['n_splits']}"
    parts = f"search {cost['search_seconds']:.1f} s, refit {cost['refit_seconds']:.1f} s"
    return {
        "Searched": (members, f"candidates × splits, search={_repr(fitted.search)}"),
        "Refitted": refitted,
        "Whole fit": (f"{cost['total_seconds']:.1f} s", parts),
    }


def _worth_knowing(fitted: Any) -> list[str]:
    """Return what `fit` warned about, and what else readers of the curves should know."""
    results, curves, baseline = fitted.cv_results_, fitted.learning_curves_, fitted.baseline_loss_
    best, n_chosen, scale = fitted.best_index_, fitted.best_n_epochs_, fitted.feature_scale_
    n_seen, n_epochs = results["n_resources"].max(), curves.shape[2]
    task, rates = fitted._seen_task, results[f"param_{RATE}"].data
    how = ""
    if fitted.estimator is not None:  # the ready-made network scales features itself
        classes = getattr(fitted, "classes_", None)
        how = diagnostics.off_scale(scale, curves, rates, baseline, task, classes)
    name, _, is_loss = _decisive(fitted)
    edge = at_baseline = harm = ""
    if not diagnostics.is_edge_known(fitted.n_candidates, fitted.search_cost_):
        edge = diagnostics.edge_message(*diagnostics.family_of(results, best))
    if is_loss:
        loss = -results["selection_score"][best]
        at_baseline = diagnostics.baseline_message(loss, baseline, how, task)
    if not at_baseline:
        harm = diagnostics.scale_message(how, curves[best, :, n_chosen - 1].mean(), baseline, scale)
    messages = (
        edge,
        f"The search ended after {n_seen} of {n_epochs} epochs." if n_seen < n_epochs else "",
        at_baseline,
        "" if is_loss else f"The choice was made on {name}; the curves show the {_loss(task)}.",
        _divergence(results),
        harm,
        diagnostics.budget_message(curves, best, n_chosen, baseline, task),
    )
    return [message for message in messages if message]


def _loss(task: Any) -> str:
    return str(task.loss_label).removesuffix(" (nats)")


def _divergence(results: dict[str, Any]) -> str:
    """Say how many candidates diverged, and from which learning rate on; empty if none did."""
    rows, labels = np.flatnonzero(results["diverged"]), labels_of(results)
    lowest: dict[str, float] = {}
    for row in rows:
        rate = results["params"][row][RATE]
        lowest[labels[row]] = min(rate, lowest.get(labels[row], np.inf))
    rates = [f"{rate:.3g} with {name}" if name else f"{rate:.3g}" for name, rate in lowest.items()]
    if not rates:
        return ""
    return (
        f"{len(rows)} of {len(results['params'])} candidates diverged. The lowest learning rate "
        f"that did: {'; '.join(rates)}."
    )


def _models(fitted: Any) -> list[dict[str, Any]]:
    """Return a row for each refitted model of an ensemble; none where there is one model."""
    if len(getattr(fitted, "estimators_", [])) < 2:
        return []
    return [
        {"candidate": model["index"], "epochs": model["n_epochs"]}
        | {"averaged": model["uses_averages"], "temperature": model["temperature"]}
        | {"weight": float(weight)}
        for model, weight in zip(fitted.ensemble_, fitted.ensemble_weights_, strict=True)
    ]


def _figures(fitted: Any, estimator: Any, X: Any, y: Any) -> dict[str, str]:
    """Return SVG images in Base64 by their captions.

    Each is an image of its own, so that its ids are its own, too, and nothing in it is HTML.
    """
    style = import_optional("matplotlib.style", NEEDED)
    new_figure = import_optional("matplotlib.figure", NEEDED).Figure
    n_curves = len(set(labels_of(fitted.cv_results_)))
    size = (5, 3.6) if n_curves <= MANY_CURVES else (7.5, max(4.2, 0.22 * n_curves))
    images = {}
    # The user's style may be made for other pages; the salt makes ids the same every time.
    with style.context(["default", {"svg.hashsalt": "sk_metalr"}]):
        for caption, display in FIGURES.items():
            figure, file = new_figure(figsize=size, layout="constrained"), io.BytesIO()
            display.from_estimator(fitted, ax=figure.subplots())
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
            images[caption] = base64.b64encode(file.getvalue()).decode()
        if set(searched(fitted.cv_results_)) - {RATE, OPTIMIZER, SCHEDULE}:
            file = io.BytesIO()
            drawn = StrategyDisplay.from_estimator(fitted, figure=new_figure(layout="constrained"))
            drawn.figure_.savefig(file, format="svg", transparent=True, metadata={"Date": None})
            images[STRATEGIES] = base64.b64encode(file.getvalue()).decode()
        if X is not None:
            figure, file = new_figure(figsize=(5, 3.6), layout="constrained"), io.BytesIO()
            ReliabilityDisplay.from_estimator(estimator, X, y, ax=figure.subplots())
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
            images[RELIABILITY] = base64.b64encode(file.getvalue()).decode()
    return images


def _listed(values: Any) -> str:
    more = f" and {len(values) - MANY} more" if len(values) > MANY else ""
    return ", ".join(str(value) for value in values[:MANY]) + more


def _reproducible(fitted: Any) -> str:
    """Say whether another fit would choose the same."""
    seed = fitted.random_state
    if not isinstance(seed, Integral):
        return (
            f"random_state={_repr(seed)} is not an int, so another fit draws other candidates, "
            "splits and initial weights."
        )
    learned = ", versions and experience" if "n_records" in fitted.search_cost_ else " and versions"
    return f"random_state={seed}: the same data{learned} give the same choice."


def _repr(value: Any) -> str:
    """Return the repr in full, without addresses in memory, which mean nothing later."""
    is_cut = type(value).__repr__ is BaseEstimator.__repr__
    text = value.__repr__(N_CHAR_MAX=10**6) if is_cut else repr(value)
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", text)


def _digest(script: str) -> str:
    """Return the hash of a script, as a Content-Security-Policy names it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _exact(number: Any) -> str:
    """Return a number with all its digits, for the script to sort by; empty if it is NaN."""
    return "" if np.isnan(number) else repr(float(number)).replace("inf", "Infinity")


def _text(value: Any) -> str:
    """Return a value as people read it."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else f"{value:.4g}"
    return str(value)
