"""A fitted estimator in one file, and back, without pickle.

The file is a ZIP archive of a manifest in JSON, arrays in NumPy's format and each refitted model in
Keras's.
"""

import os
import warnings
from pathlib import Path
from textwrap import shorten
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .. import _models as models
from ..exceptions import ForgottenParametersWarning, RefusedFileError
from .archive import MALFORMED, check_destination, read_archive, write_archive
from .encoding import decode, encode
from .keras_models import model_from_bytes, model_to_bytes
from .versions import versions

FORMAT = 1
"""Version of the format; files of lower versions can be read, too."""

REFITTED = "estimators_", "best_estimator_"


def save(estimator: Any, path: Path) -> Path:
    """Write a fitted MetaLRClassifier to a file: see :meth:`SavingMixin.save`."""
    check_is_fitted(estimator, "best_learning_rate_")
    check_destination(path)
    parts: dict[str, bytes] = {}
    manifest = {
        "format": FORMAT,
        "class": type(estimator).__name__,
        "versions": versions(),
        "parameters": {
            name: _parameter(value, parts, estimator._algorithms)
            for name, value in estimator.get_params(deep=False).items()
        },
        "attributes": {
            name: _attribute(name, value, parts)
            for name, value in vars(estimator).items()
            if _is_attribute(name) and name not in REFITTED
        },
        "estimators": [_refitted(one, parts) for one in getattr(estimator, "estimators_", [])],
    }
    write_archive(path, manifest, parts)
    return path


def _is_attribute(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def _parameter(
    value: Any, parts: dict[str, bytes], algorithms: dict[str, type[Any]]
) -> dict[str, Any]:
    """Return a parameter as JSON, or else its shortened repr; a search algorithm by its name."""
    for name, kind in algorithms.items():
        if type(value) is kind:
            params = value.get_params(deep=False).items()
            stored_params = {key: _parameter(one, parts, {}) for key, one in params}
            if all("value" in one for one in stored_params.values()):
                return {"algorithm": name, "params": stored_params}
    value = getattr(value, "path", None) or value  # an experience goes by its file
    trial = dict(parts)
    try:
        stored = encode(os.fspath(value) if isinstance(value, os.PathLike) else value, trial)
    except TypeError:
        return {"repr": shorten(repr(value), 200)}
    parts.update(trial)
    return {"value": stored}


def _attribute(name: str, value: Any, parts: dict[str, bytes]) -> Any:
    try:
        return encode(value, parts)
    except TypeError as error:
        raise ValueError(
            f"The attribute {name!r} of the classifier cannot be saved: {error}. Saved are "
            "numbers, strings, arrays, and lists, tuples and dicts of such."
        ) from error


def _refitted(fitted: Any, parts: dict[str, bytes]) -> dict[str, Any]:
    apart = models.taken_apart(fitted)
    name = f"models/{len(parts)}.keras"
    parts[name] = model_to_bytes(apart.model)
    params = {key: _parameter(value, parts, {}) for key, value in apart.params.items()}
    return {
        "encoder": _attribute("feature_encoder", apart.encoder, parts),
        "model": name,
        "targets": apart.targets,
        "parameters": {key: one for key, one in params.items() if "value" in one},
        "attributes": {key: _attribute(key, one, parts) for key, one in apart.state.items()},
    }


def load(of_class: Any, path: Path, custom_objects: dict[str, Any] | None) -> Any:
    """Return the fitted estimator of a class that a file holds: see :meth:`SavingMixin.load`."""
    manifest, parts = read_archive(path, lambda head: _check_manifest(of_class, head, path))
    try:
        stored = manifest["parameters"]
        given = _parameters(of_class, stored, parts)
        estimator = of_class(**given)
        vars(estimator).update(_attributes(manifest["attributes"], parts))
        refitted = [_put_together(one, parts, custom_objects) for one in manifest["estimators"]]
        if not hasattr(estimator, "best_learning_rate_"):
            raise ValueError("it holds nothing that was fitted")
        forgotten = [
            f"{name} ({shorten(str(one['repr']), 60)})"
            for name, one in stored.items()
            if name not in given
        ]
    except (*MALFORMED, AttributeError) as error:
        raise RefusedFileError(f"{str(path)!r} cannot be loaded. {error}") from error
    if refitted:
        estimator.estimators_, estimator.best_estimator_ = refitted, refitted[0]
    if forgotten:
        warnings.warn(
            ForgottenParametersWarning(
                "These parameters could not be saved and are at their defaults now: "
                f"{', '.join(forgotten)}. "
                "Predictions do not depend on them; set_params gives them back before another fit."
            ),
            stacklevel=3,
        )
    return estimator


def _check_manifest(of_class: type, manifest: dict[str, Any], path: Path) -> None:
    """Raise an error where a file is none of this class, or newer than this version."""
    version = manifest.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise RefusedFileError(
            f"{str(path)!r} is of format {version!r}, of a later sk_metalr; this version reads "
            f"formats up to {FORMAT}. Upgrade sk_metalr."
        )
    name = manifest.get("class")
    if name != of_class.__name__:
        raise TypeError(
            f"{str(path)!r} holds a {name}; load it with {name}.load, not {of_class.__name__}.load."
        )


def _parameters(of_class: Any, stored: dict[str, Any], parts: dict[str, bytes]) -> dict[str, Any]:
    """Return the parameters of an estimator that were stored as more than their repr."""
    unknown = sorted(set(stored) - set(of_class().get_params(deep=False)))
    if unknown:
        raise ValueError(f"{of_class.__name__} has no parameter {unknown[0]!r}")
    given = {}
    for name, one in stored.items():
        if "value" in one:
            given[name] = decode(one["value"], parts)
        elif "algorithm" in one:
            params = {key: decode(p["value"], parts) for key, p in one["params"].items()}
            given[name] = of_class._algorithms[one["algorithm"]](**params)
    return given


def _attributes(stored: dict[str, Any], parts: dict[str, bytes]) -> dict[str, Any]:
    wrong = [name for name in stored if not _is_attribute(name)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no attribute of a fit")
    return {name: decode(value, parts) for name, value in stored.items()}


def _put_together(
    stored: dict[str, Any], parts: dict[str, bytes], custom_objects: dict[str, Any] | None
) -> Any:
    params = stored["parameters"]
    fitted_parts = models.FittedParts(
        model=model_from_bytes(parts[stored["model"]], custom_objects),
        targets=stored["targets"],
        params={name: decode(one["value"], parts) for name, one in params.items()},
        state=_attributes(stored["attributes"], parts),
        encoder=decode(stored.get("encoder"), parts),
    )
    return models.put_together(fitted_parts, custom_objects)
