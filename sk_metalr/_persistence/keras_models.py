"""Keras models as bytes, Keras's objects as JSON; read without code that came with them.

Keras's safe mode refuses lambdas that were saved as byte code, but has had holes: CVE-2025-1550
(before Keras 3.9), CVE-2025-8747 and CVE-2025-9906 (before 3.11), CVE-2026-1462 (before 3.13.2).
All of them had a model's configuration name things that are no part of a model. So the
configuration is read here first, and whatever it names must be one of Keras's own parts of models,
or what the user has registered.
"""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
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


def model_to_bytes(model: keras.Model) -> bytes:
    """Return a compiled model as a ``.keras`` file; ValueError if Keras cannot save and load it."""
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            model.save(path)
            data = path.read_bytes()
    except OSError:
        raise
    except Exception as error:  # whatever a layer of the user's may raise
        raise ValueError(f"Keras cannot save the refitted model: {short(error)}") from error
    for one in named_in(_config(data)):
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
        raise ValueError(f"Keras cannot load the model: {short(error)}") from error


def object_to_config(value: Any) -> Any:
    """Return an object of Keras's or a registered one as JSON; ValueError if it is another one."""
    config = keras.saving.serialize_keras_object(value)
    _check_config(config, None)
    return json.loads(json.dumps(config))


def object_from_config(config: Any) -> Any:
    """Return what :func:`object_to_config` was given; ValueError as there."""
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
    for one in named_in(config):
        name = f"{one.get('module')}.{one['class_name']}"
        if str(one["class_name"]) in CODE:
            raise ValueError(f"It names {name}, which carries code or reads it from elsewhere.")
        if registered_name(one) not in known and not is_keras_own(one):
            raise ValueError(
                f"It names {name} ({registered_name(one)!r}), which is none of Keras's own. If "
                "you trust the file, import where that is registered with keras.saving."
                "register_keras_serializable, or pass it: load(path, custom_objects={...})."
            )


def named_in(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a configuration that names a class or a function."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        config = list(config.values())
    if isinstance(config, list | tuple):
        for part in config:
            yield from named_in(part)


def registered_name(one: dict[str, Any]) -> str:
    """Return the name by which Keras looks for a registered object."""
    if one["class_name"] == "function":
        return str(one.get("config"))
    return str(one.get("registered_name") or one["class_name"])


def is_keras_own(one: dict[str, Any]) -> bool:
    """Tell whether a part of a configuration names one of Keras's own, or nothing to look for."""
    module, name = one.get("module"), registered_name(one)
    if module is None:  # Keras looks nowhere else
        return True
    if one["class_name"] == "function":
        homes = [home for key, home in FUNCTIONS.items() if module in (key, "builtins")]
        return any(hasattr(home, name) for home in homes)
    return str(module) in CLASSES or str(module).startswith(PRIVATE_HOMES)


def short(error: Exception) -> str:
    """Return the first paragraph of what an error says, or else of which kind it is."""
    said = str(error).partition("Arguments received by")[0].strip()
    paragraph = " ".join(said.partition("\n\n")[0].split())
    return paragraph[:300] or type(error).__name__
