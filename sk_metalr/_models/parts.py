"""A fitted estimator taken apart into what is no code, and put together again."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scikeras.utils.transformers import ClassifierLabelEncoder, RegressorTargetEncoder
from scikeras.wrappers import BaseWrapper, KerasClassifier, KerasRegressor
from sklearn.preprocessing import FunctionTransformer

from ._scikeras import begin_callbacks
from .given import OneHotKerasClassifier, OneHotTargets, input_dtype
from .rows import is_identity


@dataclass(frozen=True)
class FittedParts:
    """Parts of a fitted estimator, without code.

    `targets` tells how targets are encoded: as SciKeras does for a sparse loss ("labels") or for a
    categorical one ("one-hot labels"), as keras.wrappers.SKLearnClassifier does ("one-hot"), or
    not at all: several labels ("indicators") or numbers ("numbers").
    `params` lack the function that builds the model; `state` holds further attributes of a fit.
    `encoder`, where a subclass of the user's brings a feature encoder, holds the name of the
    ``class`` and the learned ``state`` of the encoder.
    """

    model: keras.Model
    targets: str
    params: dict[str, Any]
    state: dict[str, Any]
    encoder: dict[str, Any] | None = None


def taken_apart(fitted: BaseWrapper) -> FittedParts:
    """Return the parts of a fitted estimator; raise ValueError if it has an encoder of targets of
    the user's own, or one of features that cannot be put together again.
    """
    encoder = fitted.target_encoder_
    if type(encoder) not in (ClassifierLabelEncoder, OneHotTargets, RegressorTargetEncoder):
        raise ValueError(
            f"The wrapped {type(fitted).__name__} encodes its targets with a "
            f"{type(encoder).__name__}, which is code and cannot be saved. Give it plain labels."
        )
    kept_apart = "model_", "target_encoder_", "feature_encoder_"
    state = {
        name: dict(value) if name == "history_" else value
        for name, value in vars(fitted).items()
        if name.endswith("_") and not name.startswith("_") and name not in kept_apart
    }
    params = fitted.get_params(deep=False)
    return FittedParts(
        model=fitted.model_,
        targets=_kind_of_targets(fitted),
        params={k: v for k, v in params.items() if k not in ("model", "build_fn")},
        state=state,
        encoder=None if is_identity(fitted.feature_encoder_) else _encoder_apart(fitted),
    )


def _kind_of_targets(fitted: BaseWrapper) -> str:
    encoder = fitted.target_encoder_
    if type(encoder) is RegressorTargetEncoder:
        return "numbers"
    if type(encoder) is OneHotTargets and not encoder.has_labels:
        return "one-hot"
    if fitted.target_type_ == "multilabel-indicator":
        return "indicators"
    width = np.shape(encoder.transform(fitted.classes_))[-1]
    return "labels" if width == 1 else "one-hot labels"


def _encoder_apart(fitted: BaseWrapper) -> dict[str, Any]:
    """Return the class name and the state that make a user's feature encoder again."""
    encoder = fitted.feature_encoder_
    settings = encoder.get_params(deep=False) if hasattr(encoder, "get_params") else {}
    state = {name: value for name, value in vars(encoder).items() if name not in settings}
    rows = np.random.RandomState(0).normal(size=(4, *fitted.X_shape_[1:])).astype(input_dtype())
    try:
        again = fitted.feature_encoder
        vars(again).update(state)
        for some in (rows, np.abs(rows).round()):
            pair = _encoded(again, some), _encoded(encoder, some)
            if not all(keras.tree.flatten(keras.tree.map_structure(np.array_equal, *pair))):
                raise ValueError("made anew by its class, it encodes otherwise")
    except Exception as error:  # whatever an encoder of the user's may raise
        kind = type(fitted).__name__
        raise ValueError(
            f"The wrapped {kind} encodes features with a {type(encoder).__name__} that cannot be "
            f"saved: {error}. Let its property feature_encoder return an encoder that holds what "
            "it learns in attributes of its own, encode in a Pipeline before MetaLRClassifier, or "
            "take the columns apart in the model: x[:, :2]."
        ) from error
    return {"class": type(fitted).__name__, "state": state}


def _encoded(encoder: Any, rows: np.ndarray) -> Any:
    """Return encoded rows; of an encoder that knows certain categories only, what it says of
    others.
    """
    try:
        return encoder.transform(rows)
    except ValueError as error:
        return np.array(str(error))


def put_together(parts: FittedParts, custom_objects: dict[str, Any] | None) -> BaseWrapper:
    """Return a fitted estimator that predicts as the one that was taken apart, but cannot be fitted
    again, as it does not know how its model is built. Raise ValueError if its class brings a
    feature encoder and is not among the `custom_objects`.
    """
    if parts.targets == "one-hot":
        fitted, encoder = OneHotKerasClassifier(**parts.params), OneHotTargets()
    elif parts.targets == "numbers":
        fitted = _class_of(KerasRegressor, parts, custom_objects or {})(**parts.params)
        encoder = RegressorTargetEncoder()
    else:
        fitted = _class_of(KerasClassifier, parts, custom_objects or {})(**parts.params)
        loss = "categorical_crossentropy" if parts.targets == "one-hot labels" else None
        encoder = ClassifierLabelEncoder(loss=loss)
    fitted.__dict__.update(parts.state)
    fitted.history_ = defaultdict(list, fitted.history_)
    fitted.target_encoder_ = encoder.fit(_some_targets(fitted, parts.targets))
    if parts.encoder is None:
        fitted.feature_encoder_ = FunctionTransformer().fit(np.zeros((1, 1)))
    else:
        fitted.feature_encoder_ = fitted.feature_encoder
        fitted.feature_encoder_.__dict__.update(parts.encoder["state"])
    fitted.model_ = parts.model
    begin_callbacks(fitted)
    return fitted


def _some_targets(fitted: BaseWrapper, kind: str) -> np.ndarray:
    """Return targets such as an encoder was fitted on."""
    if kind == "numbers":
        return np.zeros((2, fitted.n_outputs_) if fitted.y_ndim_ == 2 else 2)
    if kind == "indicators":
        n_labels = len(fitted.classes_)
        return np.concatenate([np.ones((1, n_labels), int), np.zeros((1, n_labels), int)])
    return np.repeat(fitted.classes_, 3)  # more rows than classes, or they would not look like such


def _class_of(
    own: type[BaseWrapper], parts: FittedParts, custom_objects: dict[str, Any]
) -> type[BaseWrapper]:
    if parts.encoder is None:
        return own
    name = parts.encoder["class"]
    found = custom_objects.get(name)
    if not (isinstance(found, type) and issubclass(found, own)):
        raise ValueError(
            f"It was fitted with a subclass of {own.__name__}, {name}, that encodes features. If "
            f"you trust the file, pass it: load(path, custom_objects={{{name!r}: {name}}})."
        )
    return found
