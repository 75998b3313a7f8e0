"""Files and identities: archives, encodings of values, Keras models, hashes, versions."""

from .archive import read_archive, write_archive
from .encoding import decode, encode
from .hashing import identity, of_data, of_versions
from .pickling import Needed
from .saving import load, save
from .versions import versions

__all__ = [
    "Needed",
    "decode",
    "encode",
    "identity",
    "load",
    "of_data",
    "of_versions",
    "read_archive",
    "save",
    "versions",
    "write_archive",
]
