"""Parameters of the wrapped estimator that can be searched."""

from collections.abc import Iterable
from inspect import Parameter, signature
from typing import Any

from scikeras.wrappers import BaseWrapper

from ._scikeras import own_kind
from .opened import cloned
from .plan import training_plan

ROUTED = "model__", "optimizer__", "loss__"
"""Beginnings of parameters that SciKeras hands on: to the function, the optimizer, the loss."""

OWN = {"batch_size", "class_weight", "epochs", "loss", "model", "optimizer"}
"""Parameters of wrappers that are part of a strategy."""


def check_searchable(estimator: BaseWrapper, names: Iterable[str]) -> None:
    """Raise ValueError where a parameter is none of the estimator's, or no part of a strategy."""
    given = set(estimator.get_params(deep=False))
    of_wrapper = signature(own_kind(estimator)).parameters.keys()
    known = OWN & of_wrapper | {name for name in given - of_wrapper if "__" not in name}
    for name in names:
        if name in known or name.startswith(ROUTED):
            continue
        prefixes = ", ".join(f"{prefix}*" for prefix in ROUTED)
        is_other = name in given or name.split("__")[0] in ("fit", "predict", "compile", "metrics")
        why = "is not part of a strategy" if is_other else "is no parameter of the estimator"
        raise ValueError(
            "The 'param_distributions' parameter may hold 'schedule', "
            f"{prefixes} and {sorted(known)}. Got {name!r} too, which {why}; leave it out."
        )


def own_values(estimator: BaseWrapper, names: Iterable[str]) -> dict[str, Any]:
    """Return the values that parameters have where they are not searched, as far as it is known:
    those of the estimator, or the defaults of the function that builds its model.
    """
    params = estimator.get_params(deep=False)
    of_wrapper = signature(own_kind(estimator)).parameters
    defaults = signature(estimator.model).parameters if callable(estimator.model) else {}
    values: dict[str, Any] = {}
    for name in names:
        of_function = name.removeprefix("model__")
        argument = defaults.get(of_function)
        given = [one for one in (f"fit__{name}", name) if one in params]
        if of_function in params and of_function not in of_wrapper:  # which is handed on, too
            given.append(of_function)
        if given:
            values[name] = params[given[0]]
        elif argument is not None and argument.default is not Parameter.empty:
            values[name] = argument.default
    if values.get("batch_size", 0) is None:
        values["batch_size"] = 32  # as for Keras's own fit
    return values


def largest_budget(estimator: BaseWrapper, epochs: Iterable[Any], or_own: bool) -> BaseWrapper:
    """Return a clone whose epochs are the most of some, of which each is a budget to choose from,
    the estimator's own one, too, where they are for some candidates only.

    Raises ValueError if one of them is no number of epochs.
    """
    budgets = [
        training_plan(cloned(estimator).set_params(**_epochs(estimator, one))).n_epochs
        for one in epochs
    ]
    if or_own:
        budgets.append(training_plan(estimator).n_epochs)
    return cloned(estimator).set_params(**_epochs(estimator, max(budgets)))


def _epochs(estimator: BaseWrapper, n_epochs: Any) -> dict[str, Any]:
    both = {"epochs": n_epochs, "fit__epochs": n_epochs}
    return both if hasattr(estimator, "fit__epochs") else {"epochs": n_epochs}
