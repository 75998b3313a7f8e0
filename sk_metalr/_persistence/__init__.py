"""Files and identities: archives, encodings of values, Keras models, hashes, versions."""

from .archive import read_archive, write_archive
from .encoding import decode, encode
from .hashing import identity, of_data, of_versions, versions
from .saving import SavingMixin
