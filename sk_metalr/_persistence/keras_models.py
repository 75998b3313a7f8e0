"""Keras models as bytes and in pickles, and Keras's objects as JSON.

A file is read without code that came with it. Keras's safe mode refuses lambdas that were saved as
byte code, but has had holes: CVE-2025-1550 (before Keras 3.9), CVE-2025-8747 and CVE-2025-9906
(before 3.11), CVE-2026-1462 (before 3.13.2). All of them had a model's configuration name things
that are no part of a model. So the configuration is read here first, and whatever it names must be
one of Keras's own parts of models, or what the user has registered.

SciKeras pickles a Keras model as a ``.keras`` file, which names layers of the user's but does not
bring them along. Pickle does, by reference, if they come before the model: as :class:`Needed`.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from pickle import PicklingError
from tempfile import TemporaryDirectory
from types import FunctionType
from typing import Any
from zipfile import ZipFile

import keras

from .archive import check_stored

LAYERS_OF_CODE = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
CODE = LAYERS_OF_CODE | {"__lambda__", "__typespec__"}
"""Objects that carry code, or read it from another file."""

HOMES = "activations", "constraints", "initializers", "losses", "metrics", "ops", "regularizers"
FUNCTIONS = {f"keras.{name}": getattr(keras, name) for name in HOMES}
"""Modules in which Keras keeps the functions that models name."""

CLASSES = {
    *(*FUNCTIONS, "keras", "keras.dtype_policies", "keras.layers", "keras.optimizers"),
    *("keras.optimizers.schedules", "keras.quantizers", "keras.random"),
}
"""Modules in which Keras keeps the classes of the parts of models."""

PRIVATE_HOMES = "keras.src.models.", "keras.src.ops.", "keras.src.layers."
"""The same for functional models and their operations."""

PARTS = (
    *(keras.layers.Layer, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer),
    *(keras.initializers.Initializer, keras.regularizers.Regularizer),
    *(keras.constraints.Constraint, keras.optimizers.schedules.LearningRateSchedule),
)
"""Kinds of parts that models are made of."""


def model_to_bytes(model: keras.Model) -> bytes:
    """Return a compiled model as a ``.keras`` file; ValueError if it could not be loaded again."""
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            model.save(path)
            data = path.read_bytes()
    except OSError:
        raise
    except Exception as error:  # whatever a layer of the user's may raise
        raise ValueError(f"Keras cannot save the refitted model: {_short(error)}") from error
    for one in _named_in(_config(data)):
        if str(one["class_name"]) in CODE:
            raise ValueError(
                f"The refitted model has a {one['class_name']}, which carries code of its own and "
                "would not be loaded; write it as a subclass of keras.layers.Layer instead, and "
                "register that with keras.saving.register_keras_serializable."
            )
    return data


def model_from_bytes(data: bytes, custom_objects: dict[str, Any] | None = None) -> keras.Model:
    """Return the compiled model of a ``.keras`` file, in Keras's safe mode.

    Raises ValueError if it holds code, is no model, or names something that is neither Keras's own,
    nor registered, nor one of the classes and functions in `custom_objects`.
    """
    _check_config(_config(data), custom_objects)
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            path.write_bytes(data)
            return keras.saving.load_model(path, custom_objects=custom_objects, safe_mode=True)
    except OSError:
        raise
    except Exception as error:  # whatever a layer of the user's may raise
        raise ValueError(f"Keras cannot load the model: {_short(error)}") from error


def object_to_config(value: Any) -> Any:
    """Return an object of Keras's, or one registered with it, as JSON; ValueError for any other."""
    config = keras.saving.serialize_keras_object(value)
    _check_config(config, None)
    return json.loads(json.dumps(config))


def object_from_config(config: Any) -> Any:
    """Return what :func:`object_to_config` was given; ValueError if that cannot have been."""
    _check_config(config, None)
    return keras.saving.deserialize_keras_object(config, safe_mode=True)


def _config(data: bytes) -> Any:
    """Return the configuration in a ``.keras`` file."""
    with ZipFile(BytesIO(data)) as archive:
        check_stored(archive, len(data))
        return json.loads(archive.read("config.json"))


def _check_config(config: Any, custom_objects: dict[str, Any] | None) -> None:
    """Raise ValueError where a configuration names what is no known part of a model."""
    known = {**(custom_objects or {}), **keras.saving.get_custom_objects()}
    for one in _named_in(config):
        name = f"{one.get('module')}.{one['class_name']}"
        if str(one["class_name"]) in CODE:
            raise ValueError(f"It names {name}, which carries code or reads it from elsewhere.")
        if _registered_name(one) not in known and not _is_keras_own(one):
            raise ValueError(
                f"It names {name} ({_registered_name(one)!r}), which is none of Keras's own. If "
                "you trust the file, import where that is registered with keras.saving."
                "register_keras_serializable, or pass it: load(path, custom_objects={...})."
            )


def _named_in(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a configuration that names a class or a function."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        config = list(config.values())
    if isinstance(config, list | tuple):
        for part in config:
            yield from _named_in(part)


def _registered_name(one: dict[str, Any]) -> str:
    """Return the name by which Keras looks for a registered object."""
    if one["class_name"] == "function":
        return str(one.get("config"))
    return str(one.get("registered_name") or one["class_name"])


def _is_keras_own(one: dict[str, Any]) -> bool:
    """Tell whether a part of a configuration names one of Keras's own, or nothing to look for."""
    module, name = one.get("module"), _registered_name(one)
    if module is None:  # Keras looks nowhere else
        return True
    if one["class_name"] == "function":
        homes = [home for where, home in FUNCTIONS.items() if module in (where, "builtins")]
        return any(hasattr(home, name) for home in homes)
    if "." in str(one["class_name"]):  # Keras would look in the modules inside of that one
        return False
    return str(module) in CLASSES or str(module).startswith(PRIVATE_HOMES)


def _short(error: Exception) -> str:
    """Return the first paragraph of what an error says, or else of which kind it is."""
    said = str(error).partition("Arguments received by")[0].strip()
    paragraph = " ".join(said.partition("\n\n")[0].split())
    return paragraph[:300] or type(error).__name__


class Needed:
    """Classes and functions, by Keras's names for them, that are in its scope once unpickled."""

    def __init__(self, objects: dict[str, Any], in_scope: bool = False) -> None:
        self._objects = objects
        self._scope = ExitStack()
        if in_scope:
            self._scope.enter_context(keras.saving.CustomObjectScope(objects))

    def __reduce__(self) -> tuple[Any, ...]:
        return Needed, (self._objects, True)

    def leave(self) -> None:
        """Take them out of scope again, where they are in it."""
        self._scope.close()


def needed_by(model: keras.Model) -> dict[str, Any]:
    """Return what a model needs, by Keras's names; PicklingError if it could not be unpickled."""
    try:
        named = list(_named_in(keras.saving.serialize_keras_object(model)))
    except Exception as error:  # whatever a layer of the user's may raise
        raise PicklingError(f"Keras cannot save the model: {_short(error)}") from error
    own = {one.__name__: one for one in _within(model)}
    # SciKeras registers the class of a model by this name, once it pickles it.
    within, _, of_class = type(model).__qualname__.rpartition(".")
    objects = {f"{within}>{of_class}": type(model)}
    for one in named:
        name = _registered_name(one)
        found = keras.saving.get_registered_object(name) or own.get(name)
        if one["class_name"] == "__lambda__":
            raise PicklingError(
                "The model has a lambda, which Keras would not load again. Write a layer as a "
                "subclass of keras.layers.Layer instead of a Lambda, and a function by its name."
            )
        if found is not None:
            objects[name] = found
        elif not _is_keras_own(one):
            raise PicklingError(
                f"The model names {one.get('module')}.{name}, which Keras would not find again. "
                "Register it with keras.saving.register_keras_serializable."
            )
    return objects


def _within(model: keras.Model) -> Iterator[Any]:
    """Yield the functions and the classes of parts of a model that are not Keras's own."""
    waiting, seen = [model], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple | set):
            waiting.extend(one)
        elif isinstance(one, PARTS):
            waiting.extend(vars(one).values())
        thing = one if isinstance(one, FunctionType) else type(one)
        if isinstance(one, (FunctionType, *PARTS)) and thing.__module__.split(".")[0] != "keras":
            yield thing
