"""A fitted KerasClassifier taken apart into what is no code, and put together again."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scikeras.utils.transformers import ClassifierLabelEncoder
from scikeras.wrappers import KerasClassifier
from sklearn.preprocessing import FunctionTransformer

from ._given import OneHotKerasClassifier, OneHotTargets
from ._rows import is_identity

__all__ = [
    "FittedParts",
    "put_together",
    "taken_apart",
]

NOT_OF_DATA = "model_", "target_encoder_", "feature_encoder_"


@dataclass(frozen=True)
class FittedParts:
    """What a fitted KerasClassifier consists of, without code.

    Attributes
    ----------
    model : keras.Model
        The trained model.
    targets : {"labels", "one-hot labels", "one-hot"}
        How targets are encoded: as SciKeras does for a sparse loss and for a categorical one, or
        as keras.wrappers.SKLearnClassifier does.
    params : dict
        Parameters, without the function that builds the model.
    state : dict
        Further attributes that a fit leaves.
    """

    model: keras.Model
    targets: str
    params: dict[str, Any]
    state: dict[str, Any]


def taken_apart(fitted: KerasClassifier) -> FittedParts:
    """Return the parts of a fitted estimator.

    Raises
    ------
    ValueError
        If it has an encoder of the user's own, which is code.
    """
    encoder, features = fitted.target_encoder_, fitted.feature_encoder_
    if not is_identity(features) or type(encoder) not in (ClassifierLabelEncoder, OneHotTargets):
        own = encoder if is_identity(features) else features
        raise ValueError(
            f"The wrapped {type(fitted).__name__} encodes its data with a {type(own).__name__}, "
            "which is code and cannot be saved. Encode features in a Pipeline before "
            "MetaLRClassifier, and give it plain labels."
        )
    width = np.shape(encoder.transform(fitted.classes_))[-1]
    targets = "labels" if width == 1 else "one-hot labels"
    state = {
        name: dict(value) if name == "history_" else value
        for name, value in vars(fitted).items()
        if name.endswith("_") and not name.startswith("_") and name not in NOT_OF_DATA
    }
    params = fitted.get_params(deep=False)
    return FittedParts(
        model=fitted.model_,
        targets="one-hot" if type(encoder) is OneHotTargets else targets,
        params={k: v for k, v in params.items() if k not in ("model", "build_fn")},
        state=state,
    )


def put_together(parts: FittedParts) -> KerasClassifier:
    """Return a fitted estimator that predicts as the one that was taken apart.

    It does not know how its model is built, and so cannot be fitted again.
    """
    if parts.targets == "one-hot":
        fitted, encoder = OneHotKerasClassifier(**parts.params), OneHotTargets()
    else:
        fitted = KerasClassifier(**parts.params)
        loss = "categorical_crossentropy" if parts.targets == "one-hot labels" else None
        encoder = ClassifierLabelEncoder(loss=loss)
    fitted.__dict__.update(parts.state)
    fitted.history_ = defaultdict(list, fitted.history_)
    # More rows than classes, or they would not look like labels.
    rows = np.repeat(fitted.classes_, 3)
    fitted.target_encoder_ = encoder.fit(rows)
    fitted.feature_encoder_ = FunctionTransformer().fit(np.zeros((1, 1)))
    fitted.model_ = parts.model
    fitted._initialize_callbacks()
    return fitted
