"""Prediction by several models of one architecture, in one call where TensorFlow allows it."""

from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from .._keras import called, input_shapes, layers_of
from .._models.keras_model import overrides
from .architecture import architecture_key
from .recent import Recent
from .scope import ValueScope
from .suitability import convolutions, has_loops, predicts_by_row
from .tracing import plain_biases

ROWS_AT_ONCE = 4096
NUMBERS_AT_ONCE = 2**24
"""How many numbers the layers of a model are handed at once, about: 64 MB of them."""

ROWS_ALIKE = 16
"""Rows are filled up to a multiple of this many: the vector instructions of a processor round the
last few numbers of an array in another way, so a row's outputs would depend on its place."""

ONE_BY_ONE = object()
"""In place of a function, where models have to predict one after the other."""

_functions = Recent(n_kept=16)
_by_row: WeakKeyDictionary[keras.Model, bool] = WeakKeyDictionary()
_keys: WeakKeyDictionary[keras.Model, str | None] = WeakKeyDictionary()
"""Keys of fitted models, whose layers stay as they are: making one takes some milliseconds."""


def outputs_of(models: list[keras.Model], x: list[Any]) -> np.ndarray:
    """Return what models give for the same rows: (n_models, n_rows, n_outputs).

    The models are of one architecture; `x` holds the rows as encoded for each of them: an array of
    shape (n_rows, ...), or a list or dict of such. Models are called directly: ``Model.predict``
    traces a program for every new model, which takes longer than most predictions, and warns.
    """
    n_rows, at_once = len(keras.tree.flatten(x)[0]), _rows_at_once(models[0], x[0])
    n_more = -n_rows % ROWS_ALIKE if _treats_rows_apart(models[0]) else 0
    filled_up = np.minimum(np.arange(n_rows + n_more), n_rows - 1)
    parts = []
    for start in range(0, n_rows, at_once):
        at = filled_up[start : start + at_once]
        block = [keras.tree.map_structure(lambda array, at=at: array[at], rows) for rows in x]
        parts.append(_outputs(models, block))
    return np.concatenate(parts, axis=1)[:, :n_rows]


def _rows_at_once(model: keras.Model, x: Any) -> int:
    """Return how many rows like `x` a model predicts at once, so that its layers fit into memory.

    Where it is not known what they are handed, it is taken for 128 times a row.
    """
    of_row = sum(int(np.prod(part.shape[1:])) for part in keras.tree.flatten(x))
    called_on = [one for one in layers_of(model) if not isinstance(one, keras.layers.InputLayer)]
    known = [[s[1:] for s in input_shapes(one) if None not in s[1:]] for one in called_on]
    numbers = sum(max(int(np.prod(shape)) for shape in shapes) for shapes in known if shapes)
    if not all(known):
        numbers = max(numbers, 128 * of_row)
    n_rows = min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // max(1, numbers))
    return max(ROWS_ALIKE, n_rows // ROWS_ALIKE * ROWS_ALIKE)


def _treats_rows_apart(model: keras.Model) -> bool:
    """Tell whether it is known that other rows do not change what a model predicts for one."""
    if model not in _by_row:
        _by_row[model] = predicts_by_row(model)
    return _by_row[model]


def _outputs(models: list[keras.Model], x: list[Any]) -> np.ndarray:
    architecture = _common_key(models)
    if architecture is None:
        return _one_by_one(models, x)
    variables = zip(*(model.variables for model in models), strict=True)
    values = [tf.stack([variable.value for variable in alike]) for alike in variables]
    rows = tf.nest.map_structure(lambda *alike: tf.constant(np.stack(alike)), *x)
    specs = tf.nest.map_structure(
        lambda stacked: tf.TensorSpec([len(models), None, *stacked.shape[2:]], stacked.dtype), rows
    )
    key = architecture, len(models), *tf.nest.flatten(specs)
    function = _functions.get(key, lambda: _stacked(models[0], values, specs))
    if function is ONE_BY_ONE:
        return _one_by_one(models, x)
    try:
        return np.asarray(function(values, rows), dtype=np.float64)
    except tf.errors.OpError:  # that it was vectorised wrongly shows only now
        return _one_by_one(models, x)


def _one_by_one(models: list[keras.Model], x: list[Any]) -> np.ndarray:
    pairs = zip(models, x, strict=True)
    return np.stack([np.asarray(outputs_as_predicted(*pair), np.float64) for pair in pairs])


def outputs_as_predicted(model: keras.Model, x: Any) -> Any:
    """Return what a model's ``predict`` would, in one batch."""
    if overrides(model, "predict"):
        of_predict = str(signature(model.predict))
        is_quiet = "verbose" in of_predict or "**" in of_predict
        return model.predict(x, verbose=0) if is_quiet else model.predict(x)
    if overrides(model, "predict_step"):
        return model.predict_on_batch(x)
    return called(model, x, training=False)


def _common_key(models: list[keras.Model]) -> str | None:
    """Return the architecture that models have in common; None if they must not be stacked."""
    if len(models) == 1 or has_loops(models[0]) or convolutions(models[0]):
        return None
    for model in models:
        if model not in _keys:
            _keys[model] = architecture_key(model)
    keys = {_keys[model] for model in models}
    return keys.pop() if len(keys) == 1 else None


def _stacked(model: keras.Model, values: list[Any], rows: Any) -> Any:
    """Return a function of stacked variables and rows: outputs (n_models, n_rows, n_outputs).

    `values` and `rows` are tensors like those that it takes, or their specs. Tracing it takes about
    0.1 s. It does not hold the model, of the same architecture, that it was traced from. Returns
    ONE_BY_ONE where TensorFlow cannot vectorise the model.
    """

    def one(of_model: Any) -> Any:
        values, x = of_model
        with ValueScope(state_mapping=list(zip(model.variables, values, strict=True))):
            return called(model, x, training=False)

    def every(values: list[Any], x: Any) -> Any:
        return tf.vectorized_map(one, (values, x), fallback_to_while_loop=False, warn=False)

    try:
        with plain_biases():
            return tf.function(every, autograph=False).get_concrete_function(values, rows)
    except Exception:  # of many kinds; a model that cannot predict says so by itself, too
        return ONE_BY_ONE
