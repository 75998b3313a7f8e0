"""Models in the style of public Keras examples, made small."""

from . import images, sequences, tables, training  # noqa: F401
from .registry import MODELS, PublicModel

__all__ = ["MODELS", "PublicModel"]
