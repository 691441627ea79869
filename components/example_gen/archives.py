"""Members of `.tar`, `.tar.gz`, `.tar.bz2`, `.tar.xz` and `.zip`, read one after another; nothing is ever unpacked to disk.

So a member named `../../etc/passwd`, a link or a device can do no harm: names are only shown, and what is not a file is not read.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from pipeline.errors import DataError

_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ARCHIVE_SUFFIXES = (*_TAR_SUFFIXES, ".zip")
_COMPRESSED: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_DAMAGES = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
_BUFFER_BYTES = 1 << 18
_MOST_BYTES = 1 << 30  # a record of TFRecord, and a protocol buffer, hold 2 GiB at most


def is_archive(name: str) -> bool:
    """Tells by its name whether a file is an archive."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def read_members(path: Path, is_wanted: Callable[[str], bool], folders: set[str]) -> Iterator[tuple[str, bytes | None]]:
    """Yields name and content of each file in an archive, in its order; None for the content of one that is not wanted.

    Args:
        path: The archive.
        is_wanted: Tells by its name whether a file is wanted.
        folders: Gets the names of the folders that the archive lists.

    Raises:
        DataError: If the archive is damaged, cut off or encrypted.
    """
    members = _zip_members if path.name.lower().endswith(".zip") else _tar_members
    try:
        for name, content in members(path, is_wanted, folders):
            if not _is_hidden(name):
                yield name.removeprefix("./"), content
    except (*_DAMAGES, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read as an archive: {error or type(error).__name__}.", hint="Copy or make it again.") from error


def _is_hidden(name: str) -> bool:
    """Tells whether a member is hidden, as files of folders are that are not read either, or left by the packer of macOS."""
    if "/." not in name and not name.startswith((".", "__MACOSX/")):
        return False
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/")) or name.startswith("__MACOSX/")


def _tar_members(path: Path, is_wanted: Callable[[str], bool], folders: set[str]) -> Iterator[tuple[str, bytes | None]]:
    # It only ever reads on, so a compressed archive is read once from front to end; its own stream mode takes ten times as long.
    with _opened(path) as stream, tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # it would keep all of them
            if member.isdir():
                folders.add(member.name.removeprefix("./"))
            if not member.isfile():
                continue
            content = archive.extractfile(member) if is_wanted(member.name) and member.size <= _MOST_BYTES else None
            yield member.name, content.read() if content is not None else None


def _opened(path: Path) -> IO[bytes]:
    """Opens a file, decompressed as its first bytes ask for."""
    with path.open("rb") as raw:
        head = raw.read(6)
    for magic, opened in _COMPRESSED.items():
        if head.startswith(magic):
            return cast(IO[bytes], io.BufferedReader(cast(Any, opened(path)), _BUFFER_BYTES))
    return path.open("rb", buffering=_BUFFER_BYTES)


def _zip_members(path: Path, is_wanted: Callable[[str], bool], folders: set[str]) -> Iterator[tuple[str, bytes | None]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename
            if member.is_dir():
                folders.add(name.rstrip("/"))
            elif is_wanted(name) and member.file_size <= _MOST_BYTES:
                # A member may unfold to far more than it says; reading ends where it said.
                with archive.open(member) as stream:
                    yield name, stream.read(_MOST_BYTES)
            else:
                yield name, None
