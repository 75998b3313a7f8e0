"""Identities of values, texts that are the same in every process, and versions of libraries.

Two fits do the same search where their data, parameters and versions have the same identity.
"""

import json
from functools import partial
from hashlib import sha256
from importlib import import_module
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import joblib
import keras
from sklearn.base import BaseEstimator

from .._data import TrainingData
from .._splits import Split
from .encoding import encode

MAX_DEPTH = 12  # to which objects within objects are looked at
MODULES = {
    **{"sk_metalr": "sk_metalr", "keras": "keras", "tensorflow": "tensorflow"},
    **{"scikeras": "scikeras", "scikit-learn": "sklearn", "numpy": "numpy"},
}


def versions() -> dict[str, str]:
    """Return the versions of all that trains, by the names of packages."""
    return {name: import_module(module).__version__ for name, module in MODULES.items()}


def of_versions() -> dict[str, str]:
    """Return the versions of all that trains, by their name in a message."""
    return {f"the version of {name}": version for name, version in versions().items()}


def of_data(data: TrainingData, splits: list[Split]) -> dict[str, str]:
    """Return the identity of rows and of the splits that were drawn from them."""
    return {
        "the features": joblib.hash(data.X),
        "the labels": identity([data.classes, data.target]),
        "the sample weights": joblib.hash(data.sample_weight),
        "the splits (give cv a random_state)": joblib.hash([list(split) for split in splits]),
    }


def identity(value: Any) -> str:
    """Return the identity of a value: of what it holds, not of where it lies.

    Functions are told apart by their code, objects by their class and attributes.
    """
    text = json.dumps(_described(value, MAX_DEPTH), sort_keys=True)
    return sha256(text.encode()).hexdigest()


def _described(value: Any, depth: int) -> Any:
    """Return a value as JSON: its type, and what it holds."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return [kind, _contents(value, depth - 1)] if depth else kind


def _contents(value: Any, depth: int) -> Any:
    def described(values: Any) -> list[Any]:
        return [_described(one, depth) for one in values]

    match value:
        case list() | tuple() | range():
            return described(value)
        case set() | frozenset():
            return sorted(described(value), key=str)
        case dict():
            return described(value.items())
        case type() | BuiltinFunctionType():
            return f"{value.__module__}.{value.__qualname__}"
        case CodeType():
            return [value.co_code.hex(), list(value.co_names), described(value.co_consts)]
        case FunctionType():
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            return described([value.__code__, value.__defaults__, value.__kwdefaults__, cells])
        case MethodType():
            return described([value.__func__, value.__self__])
        case ModuleType():
            return value.__name__
        case partial():
            return described([value.func, value.args, value.keywords])
        case BaseEstimator():
            return described(sorted(value.get_params(deep=False).items()))
    if hasattr(value, "get_weights"):  # a Keras model; its structure is looked at where it is built
        return joblib.hash(value.get_weights())
    if isinstance(value, keras.losses.Loss):  # whose config may leave out arguments
        return described((k, v) for k, v in sorted(vars(value).items()) if k != "name")
    if hasattr(value, "get_config"):  # Keras numbers the names of what it has made
        return described((k, v) for k, v in sorted(value.get_config().items()) if k != "name")
    parts: dict[str, bytes] = {}
    try:
        return [encode(value, parts), [sha256(data).hexdigest() for data in parts.values()]]
    except TypeError:
        attributes = getattr(value, "__dict__", {})
    return described(sorted((name, one) for name, one in attributes.items() if name[:2] != "__"))
