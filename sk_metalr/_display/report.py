"""One page about a search: what was chosen, from what, at what cost."""

import os
import platform
import re
from numbers import Integral
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from sklearn.base import BaseEstimator

from .._persistence import versions
from .._search.diagnostics import (
    best_seen,
    budget_message,
    edge_message,
    family_of,
    is_edge_known,
    no_skill_message,
    off_scale,
    scale_message,
)
from .._search.scoring import check_scorers
from .._space import RATE
from . import page as html
from .curves import (
    MANY_CURVES,
    fitted_classifier,
    import_matplotlib,
    response_curves,
)
from .learning_curves import LearningCurvesDisplay
from .learning_rate import LearningRateDisplay

__all__ = ["report"]

MANY = 30
"""How many class labels or names of features are listed."""


def report(estimator: Any, path: str | os.PathLike[str]) -> Path:
    """Write one HTML page about a fitted classifier.

    The page holds what was chosen, the response curve and the learning curves, the candidates
    in a table that sorts by any column, what the search cost, what is worth knowing, versions
    and parameters. All of it is in this one file: it loads nothing from elsewhere. The same
    estimator gives the same page.

    Parameters
    ----------
    estimator : MetaLRClassifier, sklearn.pipeline.Pipeline or another meta-estimator
        Fitted; a Pipeline or a search ends in a MetaLRClassifier. Its parameters are written
        down as they are now.
    path : str or os.PathLike
        File to write, in a folder that exists. A file that is there is replaced once the page
        is complete; if anything fails before, it stays as it was.

    Returns
    -------
    path : pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If `estimator` is something else.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    FileNotFoundError
        If there is no such folder.
    IsADirectoryError
        If `path` is a folder.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sk_metalr import MetaLRClassifier, report
    >>> X, y = load_iris(return_X_y=True)
    >>> fitted = MetaLRClassifier(n_candidates=4, cv=0.2, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     report(fitted, Path(folder) / "search.html").name
    'search.html'
    """
    fitted = fitted_classifier(estimator, "report")
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r} to write a report to.")
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; name a file to write a report to.")
    page = _page(fitted, estimator)
    # Beside its destination, so that it need only be renamed when it is complete.
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        # Labels may hold what UTF-8 cannot say, such as half a surrogate pair.
        temporary.write_text(page, encoding="utf-8", errors="xmlcharrefreplace", newline="\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _page(fitted: Any, estimator: Any) -> str:
    sections = {
        "Chosen": html.tiles(_chosen(fitted) | _made(fitted)),
        "Worth knowing": html.items(_worth_knowing(fitted)),
        "Curves": _figures(fitted),
        "Candidates": _candidates(fitted),
        "Cost": html.pairs(fitted.search_cost_),
    }
    sections |= {
        "Data": html.pairs(_data(fitted)),
        "How to reproduce": _reproduction(fitted, estimator),
        "Versions": html.paragraph("Those that wrote this page.") + html.pairs(_versions()),
    }
    return html.page(f"Search report: learning rate {fitted.best_learning_rate_:.3g}", sections)


def _decisive(fitted: Any) -> tuple[str, bool]:
    """Return the name of the scorer that chose, and whether it is the log-loss."""
    scorers, name = check_scorers(fitted.scoring, fitted.refit)
    return name, scorers[name] is None


def _chosen(fitted: Any) -> dict[str, tuple[str, str]]:
    """Return what was chosen, and how good it is: by name, value and note."""
    (low, high), n_splits = fitted.learning_rate_interval_, fitted.learning_curves_.shape[1]
    name, is_log_loss = _decisive(fitted)
    results = fitted.cv_results_
    column = f"std_test_{name}" if f"std_test_{name}" in results else "std_test_score"
    spread = f"± {results[column][fitted.best_index_]:.2g} over {n_splits} splits"
    score, note = f"{fitted.best_score_:.4g}", spread if n_splits > 1 else "on one split"
    if is_log_loss:
        name, score = "log-loss (nats)", f"{-fitted.best_score_:.4g}"
        note += f"; class frequencies alone: {fitted.baseline_loss_:.3g}"
    interval = f"{low:.3g} … {high:.3g} within one standard error"
    if low == high == fitted.best_learning_rate_:
        interval = "no other rate is within one standard error"
    return {
        "Learning rate": (f"{fitted.best_learning_rate_:.3g}", interval),
        "Epochs": (str(fitted.best_n_epochs_), f"of {fitted.learning_curves_.shape[2]} at most"),
        **{
            key.capitalize(): (str(value), "")
            for key, value in fitted.best_params_.items()
            if key != RATE
        },
        f"Held-out {name}": (score, note),
    }


def _made(fitted: Any) -> dict[str, tuple[str, str]]:
    """Return what was trained, and how long it took: by name, value and note."""
    cost, n_models = fitted.search_cost_, len(getattr(fitted, "estimators_", []))
    if n_models == 0:
        models, note = "none", "refit=False: it cannot predict"
    else:
        models = "one model" if n_models == 1 else f"{n_models} models"
        note = "on all rows"
        note += "; they predict as one" if n_models > 1 else ""
    return {
        "Searched": (
            f"{cost['n_candidates']} × {cost['n_splits']}",
            f"candidates × splits, search={fitted.search!r}",
        ),
        "Refitted": (models, note),
        "Whole fit": (
            f"{cost['total_seconds']:.1f} s",
            f"search {cost['search_seconds']:.1f} s, refit {cost['refit_seconds']:.1f} s",
        ),
    }


def _worth_knowing(fitted: Any) -> list[str]:
    results, n_epochs = fitted.cv_results_, fitted.learning_curves_.shape[2]
    best = best_seen(results, n_epochs)
    messages = []
    if not is_edge_known(fitted.n_candidates, fitted.search_cost_):
        messages.append(edge_message(*family_of(results["params"], best)))
    n_seen = int(np.isfinite(fitted.learning_curves_).any(axis=(0, 1)).sum())
    if n_seen < n_epochs:
        messages.append(f"The search ended after {n_seen} of {n_epochs} epochs.")
    name, is_log_loss = _decisive(fitted)
    curves, rates = fitted.learning_curves_, results[f"param_{RATE}"].data
    scale, worst = fitted.feature_scale_, fitted.baseline_loss_
    how = off_scale(scale, curves, rates, worst)
    no_skill = ""
    if is_log_loss:
        no_skill = no_skill_message(-results["selection_score"][best], worst, how)
        messages.append(no_skill)
    else:
        messages.append(f"The choice was made on {name}; the curves show the log-loss.")
    if results["diverged"].any():
        lowest = ", ".join(
            f"{curve.learning_rates[curve.diverged].min():.3g} {curve.label}".strip()
            for curve in response_curves(fitted)
            if curve.diverged.any()
        )
        messages.append(
            f"{results['diverged'].sum()} of {len(results['diverged'])} candidates diverged. The "
            f"lowest learning rate that did: {lowest}."
        )
    chosen, n_chosen = curves[fitted.best_index_], fitted.best_n_epochs_
    if how and not no_skill:
        messages.append(scale_message(how, chosen[:, n_chosen - 1].mean(), worst, scale))
    messages.append(budget_message(curves, fitted.best_index_, n_chosen, worst))
    return [message for message in messages if message] or [
        "Nothing: the best rate is not at an edge of the space, it did better than the class "
        "frequencies, the epochs were enough, and no candidate diverged."
    ]


def _figures(fitted: Any) -> str:
    style = import_matplotlib("matplotlib.style")
    new_figure = import_matplotlib("matplotlib.figure").Figure
    n_curves = len(response_curves(fitted))
    size = (5, 3.6) if n_curves <= MANY_CURVES else (7.5, max(4.2, 0.22 * n_curves))
    # The user's style may be made for other pages; the salt makes ids the same every time.
    with style.context(["default", {"svg.hashsalt": "sk_metalr"}]):
        drawn = []
        for display in (LearningRateDisplay, LearningCurvesDisplay):
            ax = new_figure(figsize=size, layout="constrained").subplots()
            drawn.append(display.from_estimator(fitted, ax=ax).figure_)
        captions = (
            "Response curve: held-out log-loss against learning rate.",
            "Learning curves: held-out log-loss of all candidates against epochs.",
        )
        return html.figures(dict(zip(captions, drawn, strict=True)))


def _candidates(fitted: Any) -> str:
    results = fitted.cv_results_
    names = [name for name in results if name != "params"]
    names.sort(key=lambda name: name.startswith("split"))  # single splits last
    return html.table(
        {"row": np.arange(len(results["params"])), **{name: results[name] for name in names}},
        f"cv_results_, one row a candidate; the chosen one, row {fitted.best_index_}, is marked. "
        "A click on the head of a column sorts. Columns of single splits are not printed.",
        marked=fitted.best_index_,
        not_printed="split",
    )


def _data(fitted: Any) -> dict[str, str]:
    names = getattr(fitted, "feature_names_in_", ["without names"])
    return {
        f"{len(fitted.classes_)} classes": _listed(fitted.classes_),
        f"{fitted.n_features_in_} features": _listed(names),
    }


def _listed(values: Any) -> str:
    more = f" and {len(values) - MANY} more" if len(values) > MANY else ""
    return ", ".join(str(value) for value in values[:MANY]) + more


def _reproduction(fitted: Any, estimator: Any) -> str:
    seed = fitted.random_state
    learned = "n_records" in fitted.search_cost_
    depends = "data, versions and experience" if learned else "data and versions"
    said = (
        f"random_state={seed}: the same {depends} give the same choice."
        if isinstance(seed, Integral)
        else f"random_state={_repr(seed)} is no int: another fit draws other candidates, splits "
        "and initial weights."
    )
    params = {name: _repr(value) for name, value in fitted.get_params(deep=False).items()}
    return html.paragraph(said) + html.preformatted(_repr(estimator)) + html.pairs(params)


def _repr(value: Any) -> str:
    """Return the repr in full, without addresses in memory, which tell nothing later."""
    is_cut = type(value).__repr__ is BaseEstimator.__repr__
    text = value.__repr__(N_CHAR_MAX=10**6) if is_cut else repr(value)
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", text)


def _versions() -> dict[str, str]:
    return versions() | {"python": platform.python_version()}
