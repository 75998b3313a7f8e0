"""Versions of all that trains, as they are kept with results."""

from importlib import import_module

MODULES = {
    **{"sk_metalr": "sk_metalr", "keras": "keras", "tensorflow": "tensorflow"},
    **{"scikeras": "scikeras", "scikit-learn": "sklearn", "numpy": "numpy"},
}


def versions() -> dict[str, str]:
    """Return versions by the names of packages."""
    return {name: import_module(module).__version__ for name, module in MODULES.items()}
