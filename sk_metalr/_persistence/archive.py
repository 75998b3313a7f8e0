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


def write_archive(path: Path, manifest: dict[str, Any], parts: dict[str, bytes]) -> None:
    """Write a file, or leave what was there as it was.

    Parts are stored without compression, so that nothing grows when it is read.

    Parameters
    ----------
    path : Path
        File to write, in a folder that exists.
    manifest : dict
        What JSON can say. The SHA-256 of each part is added to it, as ``parts``.
    parts : dict of str to bytes
        By name.

    Raises
    ------
    OSError
        If it cannot be written.
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
        with suppress(OSError):  # of which the error above, if any, says more
            temporary.unlink(missing_ok=True)


def read_archive(
    path: Path, check: Callable[[dict[str, Any]], None]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest and the parts of a file, all of them as they were written.

    Parameters
    ----------
    path : Path
        What :func:`write_archive` wrote.
    check : callable
        Is called with the manifest, before the parts are looked at.

    Raises
    ------
    RefusedFileError
        If the file is truncated, altered, or something else.
    OSError
        If there is no such file, or it cannot be read.
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
    except (BadZipFile, ValueError, LookupError, TypeError, *_ODD) as error:
        raise RefusedFileError(
            f"{str(path)!r} is damaged, or no file that sk_metalr wrote: {error}."
        ) from error
    check(manifest)
    if {name: _digest(data) for name, data in parts.items()} != listed:
        wrong = sorted(
            name
            for name in {*parts, *listed}
            if name not in parts or _digest(parts[name]) != listed.get(name)
        )
        raise RefusedFileError(
            f"{str(path)!r} was truncated or altered after it was saved: {', '.join(wrong)} is not "
            "what its manifest says."
        )
    return manifest, parts


# What zipfile and json raise about files that nobody wrote by accident.
_ODD = (OSError, EOFError, NotImplementedError, RuntimeError, OverflowError)


def check_stored(archive: ZipFile, n_bytes: int) -> None:
    """Raise ValueError where reading all parts of a ZIP file would take more than its size.

    Parameters
    ----------
    archive : ZipFile
        Open.
    n_bytes : int
        Size of the file.
    """
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
