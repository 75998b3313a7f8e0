"""Fitted estimators in one file, and back, without pickle; or in a pickle, with their models.

The file is a ZIP archive of a manifest in JSON, arrays in NumPy's format and each refitted model in
Keras's.
"""

import os
import warnings
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any, ClassVar, Self

from sklearn.utils.validation import check_is_fitted

from .. import _models as models
from ..exceptions import ForgottenParametersWarning, RefusedFileError
from .archive import MALFORMED, check_destination, read_archive, write_archive
from .encoding import decode, encode
from .hashing import versions
from .keras_models import Needed, model_from_bytes, model_to_bytes, needed_by

FORMAT = 1  # version of the format; files of lower versions can be read, too
NEEDED = "_needed_by_models"
REFITTED = "estimators_", "best_estimator_"


class SavingMixin:
    """Estimators that are written to a file, read from one, and pickled with their models."""

    _algorithms: ClassVar[dict[str, type]] = {}  # search algorithms that may be parameters
    estimator: Any

    def __getstate__(self) -> dict[str, Any]:
        refitted = [one.model_ for one in getattr(self, "estimators_", [])]
        objects: dict[str, Any] = {}
        for model in (*refitted, *models.models_given(self.estimator)):
            objects |= needed_by(model)
        state: Any = super().__getstate__()
        return {NEEDED: Needed(objects), **state}  # models are read after it

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        state.pop(NEEDED).leave()
        super().__setstate__(state)  # type: ignore[misc]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted estimator to a file, without pickle.

        All that a fit leaves is kept, and the parameters, as far as they are no code: numbers,
        strings, lists, SciPy's distributions, Keras's optimizers and schedules. A function that
        builds the model, a splitter or a scorer of one's own is forgotten.

        Parameters
        ----------
        path : str or os.PathLike
            File to write, in a folder that exists. A file that is there is replaced once the new
            one is complete; if anything fails before, it stays as it was.

        Returns
        -------
        path : pathlib.Path
            The file.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        ValueError
            If the model has a ``Lambda`` layer, or the wrapped classifier an encoder of targets of
            its own, which are code; or one of features that its class does not make again.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self, "best_learning_rate_")
        check_destination(Path(path))
        parts: dict[str, bytes] = {}
        manifest = _manifest(self, parts)
        write_archive(Path(path), manifest, parts)
        return Path(path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        """Read a fitted estimator from a file that :meth:`save` wrote.

        Nothing is unpickled, models are read in Keras's safe mode, and what they name must be one
        of Keras's own layers, losses or optimizers, or registered. Warns about parameters that
        were forgotten.

        Parameters
        ----------
        path : str or os.PathLike
            The file.
        custom_objects : dict of str to class or function, default=None
            Layers and functions of one's own in the model, by name, as for
            ``keras.saving.load_model``, unless they are registered with Keras; also the subclass
            of ``KerasClassifier`` that was wrapped, where it brings a feature encoder.

        Returns
        -------
        fitted : MetaLRClassifier or MetaLRRegressor
            Predicts as the one that was saved; of the class that ``load`` is called on.

        Raises
        ------
        RefusedFileError
            If the file is damaged, altered, of a newer version, or names unknown code.
        TypeError
            If it was saved by another class.
        OSError
            If there is no such file, or it cannot be read.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn.datasets import load_iris
        >>> from sk_metalr import MetaLRClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> fitted = MetaLRClassifier(n_candidates=4, cv=0.2, random_state=0).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     loaded = MetaLRClassifier.load(fitted.save(f"{folder}/iris.metalr"))
        >>> bool((loaded.predict_proba(X) == fitted.predict_proba(X)).all())
        True
        """
        manifest, parts = read_archive(Path(path), partial(_check_manifest, cls, path))
        try:
            estimator, forgotten = _estimator(cls, manifest, parts, custom_objects or {})
        except (*MALFORMED, AttributeError) as error:
            raise RefusedFileError(f"{str(path)!r} cannot be loaded. {error}") from error
        if forgotten:
            message = (
                f"These parameters could not be saved and are at their defaults now: {forgotten}. "
                "Predictions do not depend on them; set_params gives them back before another fit."
            )
            warnings.warn(ForgottenParametersWarning(message), stacklevel=2)
        return estimator


def _manifest(estimator: Any, parts: dict[str, bytes]) -> dict[str, Any]:
    """Return all that is saved of an estimator as JSON; arrays and models are put among `parts`."""
    params = estimator.get_params(deep=False)
    left = {k: v for k, v in vars(estimator).items() if _is_attribute(k) and k not in REFITTED}
    return {
        "format": FORMAT,
        "class": type(estimator).__name__,
        "versions": versions(),
        "parameters": {k: _parameter(v, parts, estimator._algorithms) for k, v in params.items()},
        "attributes": {k: _attribute(k, v, parts) for k, v in left.items()},
        "estimators": [_refitted(one, parts) for one in getattr(estimator, "estimators_", [])],
    }


def _is_attribute(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def _parameter(value: Any, parts: dict[str, bytes], algorithms: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter as JSON, or else its shortened repr; a search algorithm by its name."""
    for name, kind in algorithms.items():
        if type(value) is kind:
            params = value.get_params(deep=False).items()
            stored_params = {key: _parameter(one, parts, {}) for key, one in params}
            if all("value" in one for one in stored_params.values()):
                return {"algorithm": name, "params": stored_params}
    path = getattr(value, "path", value)  # an experience goes by its file
    trial = dict(parts)
    try:
        stored = encode(os.fspath(path) if isinstance(path, os.PathLike) else value, trial)
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


def _check_manifest(of_class: type, path: Any, manifest: dict[str, Any]) -> None:
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


def _estimator(
    of_class: Any, manifest: dict[str, Any], parts: dict[str, bytes], custom: dict[str, Any]
) -> tuple[Any, str]:
    """Return the estimator of a manifest, and which of its parameters were forgotten, in words."""
    stored = manifest["parameters"]
    unknown = sorted(set(stored) - set(of_class().get_params(deep=False)))
    if unknown:
        raise ValueError(f"{of_class.__name__} has no parameter {unknown[0]!r}")
    given, forgotten = {}, []
    for name, one in stored.items():
        if "value" in one:
            given[name] = decode(one["value"], parts)
        elif "algorithm" in one:
            params = {key: decode(p["value"], parts) for key, p in one["params"].items()}
            given[name] = of_class._algorithms[one["algorithm"]](**params)
        else:
            forgotten.append(f"{name} ({shorten(str(one['repr']), 60)})")
    estimator = of_class(**given)
    vars(estimator).update(_attributes(manifest["attributes"], parts))
    refitted = [_put_together(one, parts, custom) for one in manifest["estimators"]]
    if not hasattr(estimator, "best_learning_rate_"):
        raise ValueError("it holds nothing that was fitted")
    if refitted:
        estimator.estimators_, estimator.best_estimator_ = refitted, refitted[0]
    return estimator, ", ".join(forgotten)


def _attributes(stored: dict[str, Any], parts: dict[str, bytes]) -> dict[str, Any]:
    wrong = [name for name in stored if not _is_attribute(name)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no attribute of a fit")
    return {name: decode(value, parts) for name, value in stored.items()}


def _put_together(stored: dict[str, Any], parts: dict[str, bytes], custom: dict[str, Any]) -> Any:
    params = stored["parameters"]
    apart = models.FittedParts(
        model=model_from_bytes(parts[stored["model"]], custom),
        targets=stored["targets"],
        params={name: decode(one["value"], parts) for name, one in params.items()},
        state=_attributes(stored["attributes"], parts),
        encoder=decode(stored.get("encoder"), parts),
    )
    return models.put_together(apart, custom)
