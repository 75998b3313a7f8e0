"""Values as JSON and arrays, and back, of the same types.

A value that JSON has no word for is written as an object with one key, which names its type.
"""

from io import BytesIO
from math import isfinite, prod
from typing import Any

import keras
import numpy as np
import scipy.stats

from .keras_models import object_from_config, object_to_config

KERAS_OBJECTS = (
    *(keras.optimizers.Optimizer, keras.optimizers.schedules.LearningRateSchedule),
    *(keras.losses.Loss, keras.metrics.Metric),
)
DISTRIBUTIONS = scipy.stats.rv_continuous, scipy.stats.rv_discrete


def encode(value: Any, parts: dict[str, bytes]) -> Any:
    """Return a value as JSON can say it; arrays are put among `parts`, by their names.

    Raises TypeError unless it is None, a bool, number, string or array, a list, tuple or dict of
    such, a frozen distribution of SciPy's, or an optimizer, schedule, loss or metric of Keras's.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if isfinite(value) else {"float": repr(value)}
    if type(value) in (list, range):
        return [encode(one, parts) for one in value]
    if type(value) is tuple:
        return {"tuple": [encode(one, parts) for one in value]}
    if type(value) is dict:
        return {"dict": [[encode(k, parts), encode(v, parts)] for k, v in value.items()]}
    if isinstance(value, np.ndarray | np.generic | np.dtype):
        return _encode_array(value, parts)
    if isinstance(getattr(value, "dist", None), DISTRIBUTIONS):
        name = value.dist.name
        if type(getattr(scipy.stats, name, None)) is not type(value.dist):
            raise TypeError(f"the distribution {name!r} is none of SciPy's")
        arguments = [encode(list(value.args), parts), encode(dict(value.kwds), parts)]
        return {"distribution": [name, *arguments]}
    if isinstance(value, KERAS_OBJECTS):
        try:
            return {"keras": object_to_config(value)}
        except Exception as error:  # whatever a class of the user's may raise
            raise TypeError(str(error)) from error
    raise TypeError(f"an object of type {type(value).__name__!r} cannot be told in JSON")


def _encode_array(value: Any, parts: dict[str, bytes]) -> Any:
    if isinstance(value, np.dtype) and value.kind not in "VT":
        return {"dtype": value.str}
    if isinstance(value, np.generic) and value.dtype.kind not in "VO":
        return {"scalar": _put(np.asarray(value), parts)}
    if type(value) is np.ma.MaskedArray:
        mask = np.ma.getmaskarray(value)
        return {"masked": [encode(value.data, parts), encode(mask, parts)]}
    if type(value) is np.ndarray and value.dtype.kind == "O":
        values = [encode(one, parts) for one in value.ravel().tolist()]
        return {"objects": [list(value.shape), values]}
    if type(value) is np.ndarray and value.dtype.kind not in "VT":
        return {"array": _put(value, parts)}
    raise TypeError(f"{type(value).__name__} of {getattr(value, 'dtype', value)} cannot be stored")


def _put(array: np.ndarray, parts: dict[str, bytes]) -> str:
    """Put an array among the parts, and return its name."""
    name = f"arrays/{len(parts)}.npy"
    file = BytesIO()
    np.save(file, array, allow_pickle=False)
    parts[name] = file.getvalue()
    return name


def decode(stored: Any, parts: dict[str, bytes]) -> Any:
    """Return what :func:`encode` was given; ValueError, TypeError or LookupError if nothing was."""
    match stored:
        case None | bool() | int() | float() | str():
            return stored
        case list():
            return [decode(one, parts) for one in stored]
        case {"float": str(text)}:
            return float(text)
        case {"tuple": list(values)}:
            return tuple(decode(values, parts))
        case {"dict": list(items)}:
            return {decode(key, parts): decode(value, parts) for key, value in items}
        case {"dtype": str(text)}:
            return np.dtype(text)
        case {"scalar": name}:
            return _get(parts[name])[()]
        case {"array": name}:
            return _get(parts[name])
        case {"masked": [data, mask]}:
            return np.ma.MaskedArray(decode(data, parts), mask=decode(mask, parts))
        case {"objects": [shape, values]}:
            flat = np.empty(len(values), dtype=object)
            flat[:] = [decode(one, parts) for one in values]
            return flat.reshape(shape)
        case {"distribution": [name, args, kwds]}:
            distribution = getattr(scipy.stats, name, None)
            if not isinstance(distribution, DISTRIBUTIONS):
                raise ValueError(f"{name!r} is none of SciPy's distributions")
            return distribution(*decode(args, parts), **decode(kwds, parts))
        case {"keras": config}:
            return object_from_config(config)
    raise ValueError(f"it holds {str(stored)[:60]!r}, which means nothing here")


def _get(data: bytes) -> np.ndarray:
    """Read an array, unless its header declares another size than it has."""
    file = BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it holds an array of an unknown format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if prod(shape) * dtype.itemsize != len(data) - file.tell() or min(shape, default=0) < 0:
        raise ValueError("it holds an array of another size than it declares")
    return np.asarray(np.load(BytesIO(data), allow_pickle=False))
