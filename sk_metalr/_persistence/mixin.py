"""Saving, loading and pickling of fitted estimators."""

import os
from pathlib import Path
from typing import Any, ClassVar, Self

from .. import _models as models
from .pickling import Needed, needed_by
from .saving import load, save

NEEDED = "_needed_by_models"


class SavingMixin:
    """Estimators that are written to a file, read from one, and pickled with their models."""

    _algorithms: ClassVar[dict[str, type]] = {}
    """Classes of search algorithms that may be parameters, by name."""

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
        """Write the fitted classifier to a file, without pickle.

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
        return save(self, Path(path))

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        """Read a fitted classifier from a file that :meth:`save` wrote.

        Nothing is unpickled, models are read in Keras's safe mode, and what they name must be one
        of Keras's own layers, losses or optimizers, or registered. Warns about parameters that
        were forgotten.

        Parameters
        ----------
        path : str or os.PathLike
            The file.
        custom_objects : dict of str to class or function, default=None
            Layers and functions of one's own in the model, by name, as for
            ``keras.saving.load_model``; those that are registered with Keras are found without.
            Also the subclass of ``KerasClassifier`` that was wrapped, where it brings a feature
            encoder.

        Returns
        -------
        fitted : MetaLRClassifier
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
        return load(cls, Path(path), custom_objects)
