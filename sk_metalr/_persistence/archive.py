"""One file of a manifest and named parts, whose damage shows when it is read."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from ..exceptions import RefusedFileError

MANIFEST, DIGEST = "manifest.json", "manifest.sha256"

MALFORMED = BadZipFile, ValueError, LookupError, TypeError, RuntimeError, OverflowError
"""Errors that come up in reading a file that is damaged, or made to do harm."""


def write_archive(path: Path, manifest: dict[str, Any], parts: dict[str, bytes]) -> None:
    """Write a file, or raise an OSError and leave what was there as it was.

    The SHA-256 of each part is added to the manifest, as ``parts``. Parts are stored without
    compression, so that nothing grows when it is read.
    """
    listed = manifest | {"parts": {name: _digest(data) for name, data in parts.items()}}
    head = json.dumps(listed, indent=1, allow_nan=False).encode()
    content = BytesIO()
    with ZipFile(content, "w", ZIP_STORED) as archive:
        for name, data in {MANIFEST: head, DIGEST: _digest(head).encode(), **parts}.items():
            archive.writestr(name, data)
    replace_file(path, content.getvalue())


def check_destination(path: Path) -> None:
    """Raise an OSError where no file could be written, because of its folder."""
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; name a file to save to.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r} to save to.")


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, or raise an OSError and leave what was there as it was."""
    # Beside its destination, so that it need only be renamed when it is complete.
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Could not save to {str(path)!r} ({error.strerror or error}); a file of that name is "
            "as it was. Save to a folder that can be written to and has room.",
        ) from error
    finally:
        with suppress(OSError):  # the error above, if any, says more
            temporary.unlink(missing_ok=True)


def read_archive(
    path: Path, check: Callable[[dict[str, Any]], None]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest and the parts of a file, all of them as they were written.

    Calls `check` with the manifest before it looks at the parts. Raises RefusedFileError if the
    file is truncated, altered or something else, and OSError if it cannot be read.
    """
    content = path.read_bytes()
    try:
        with ZipFile(BytesIO(content)) as archive:
            check_stored(archive, len(content))
            parts = {info.filename: archive.read(info) for info in archive.infolist()}
        head, digest = parts.pop(MANIFEST), parts.pop(DIGEST)
        if _digest(head).encode() != digest:
            raise ValueError("its manifest is not the one that was written")
        manifest = json.loads(head)
        listed = dict(manifest["parts"])
    except (*MALFORMED, OSError, EOFError) as error:
        raise RefusedFileError(
            f"{str(path)!r} is damaged, or no file that sk_metalr wrote: {error}."
        ) from error
    check(manifest)
    digests = {name: _digest(data) for name, data in parts.items()}
    wrong = [name for name in {**digests, **listed} if digests.get(name) != listed.get(name)]
    if wrong:
        raise RefusedFileError(
            f"{str(path)!r} was truncated or altered after it was saved: "
            f"{', '.join(sorted(wrong))} is not what its manifest says."
        )
    return manifest, parts


def check_stored(archive: ZipFile, n_bytes: int) -> None:
    """Raise ValueError where reading all parts of a ZIP file of `n_bytes` would take more."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise ValueError("it holds two parts of one name")
    if any(info.compress_type != ZIP_STORED for info in infos):
        raise ValueError("it holds a compressed part")
    if sum(max(info.file_size, info.compress_size) for info in infos) > n_bytes:
        raise ValueError("its parts are larger than the file")


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
