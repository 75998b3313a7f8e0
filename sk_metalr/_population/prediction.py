"""Prediction by several models of one architecture, in one call where TensorFlow allows it."""

from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from .architecture import architecture_key, convolutions, has_loops
from .recent import Recent
from .scope import ValueScope

ROWS_AT_ONCE = 4096

_functions = Recent(n_kept=16)


def outputs_of(models: list[keras.Model], x: list[Any]) -> np.ndarray:
    """Return what each model gives for the same rows.

    Models are called directly: ``Model.predict`` traces a program for every new model,
    which takes longer than most predictions, and warns about it.

    Parameters
    ----------
    models : list of keras.Model
        Of one architecture.
    x : list of (ndarray of shape (n_rows, ...), or list or dict of such)
        The rows, as encoded for each model.

    Returns
    -------
    outputs : ndarray of shape (n_models, n_rows, n_outputs)
    """
    n_rows = len(keras.tree.flatten(x[0])[0])
    parts = []
    for start in range(0, n_rows, ROWS_AT_ONCE):
        end = start + ROWS_AT_ONCE
        blocks = [
            keras.tree.map_structure(lambda array, at=slice(start, end): array[at], one)
            for one in x
        ]
        parts.append(_outputs(models, blocks))
    return np.concatenate(parts, axis=1)


def _outputs(models: list[keras.Model], x: list[Any]) -> np.ndarray:
    architecture = _common_key(models)
    if architecture is None:
        one_by_one = [
            outputs_as_predicted(model, rows) for model, rows in zip(models, x, strict=True)
        ]
        return np.stack([np.asarray(outputs, dtype=np.float64) for outputs in one_by_one])
    values = [
        tf.stack([variable.value for variable in alike])
        for alike in zip(*(model.variables for model in models), strict=True)
    ]
    rows = tf.nest.map_structure(lambda *alike: tf.stack(alike), *x)
    specs = tf.nest.map_structure(_any_number_of_rows, rows)
    key = architecture, len(models), *tf.nest.flatten(specs)
    function = _functions.get(key, lambda: _stacked(models[0], values, specs))
    return np.asarray(function(values, rows), dtype=np.float64)


def outputs_as_predicted(model: keras.Model, x: Any) -> Any:
    """Return what a model's ``predict`` would, in one batch."""
    if type(model).predict_step is keras.Model.predict_step:
        return model(x, training=False)
    return model.predict_on_batch(x)


def _common_key(models: list[keras.Model]) -> str | None:
    """Return what tells the architecture of some models from others; None to not stack them."""
    if len(models) == 1 or has_loops(models[0]) or convolutions(models[0]):
        return None
    keys = {_key(model) for model in models}
    return keys.pop() if len(keys) == 1 else None


_keys: WeakKeyDictionary[keras.Model, str | None] = WeakKeyDictionary()
"""Keys of fitted models, whose layers stay as they are: making one takes some milliseconds."""


def _key(model: keras.Model) -> str | None:
    if model not in _keys:
        _keys[model] = architecture_key(model)
    return _keys[model]


def _any_number_of_rows(stacked: Any) -> tf.TensorSpec:
    n_models, _, *of_row = stacked.shape
    return tf.TensorSpec([n_models, None, *of_row], stacked.dtype)


def _stacked(model: keras.Model, values: list[Any], rows: Any) -> Any:
    """Return a function of stacked variables and rows: outputs (n_models, n_rows, n_outputs).

    Tracing it takes about 0.1 s. It does not hold the model that it was traced from.

    Parameters
    ----------
    model : keras.Model
        Of the architecture.
    values : list of tensors
        Stacked variables.
    rows : TensorSpec, or list or dict of such
        Type of the stacked rows.
    """

    def one(of_model: Any) -> Any:
        values, x = of_model
        mapping = list(zip(model.variables, values, strict=True))
        with ValueScope(state_mapping=mapping):
            return model(x, training=False)

    def every(values: list[Any], x: Any) -> Any:
        return tf.vectorized_map(one, (values, x), fallback_to_while_loop=False, warn=False)

    return tf.function(every, autograph=False).get_concrete_function(values, rows)
