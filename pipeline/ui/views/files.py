"""Files of known artifacts and logs, read in bounded pieces.

A path is opened a step at a time below the artifact's own folder, and no step may be a link: what a producer, or somebody with
access to the folder, has put there cannot lead out of it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.artifacts import Artifact
from pipeline.ui.site import NotThereError, Site

MOST_FILES = 500
SHOWN_BYTES = 256 << 10
_PIECE = 64 << 10


@dataclass(frozen=True)
class FileLine:
    """A file of an artifact; `size` is None where it is a link, which is not followed."""

    path: str
    size: int | None


@dataclass(frozen=True)
class Tail:
    """The end of a log.

    Attributes:
        node: The node that wrote it.
        text: Its end, in whole lines.
        size: Bytes of the whole log.
        cut: Whether something is left out before it.
    """

    node: str
    text: str
    size: int
    cut: bool


def files_of(artifact: Artifact) -> tuple[tuple[FileLine, ...], bool]:
    """Returns an artifact's files in order, at most 500 of them, and whether these are all."""
    found: list[FileLine] = []
    root = artifact.path
    if root.is_symlink() or not root.is_dir():
        return (), True
    for folder, folders, names in os.walk(root):
        folders.sort()
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*names, *links]):
            if len(found) == MOST_FILES:
                return tuple(found), False
            path = Path(folder) / name
            with contextlib.suppress(OSError):
                status = path.lstat()
                regular = stat.S_ISREG(status.st_mode)
                found.append(FileLine(path.relative_to(root).as_posix(), status.st_size if regular else None))
    return tuple(found), True


@contextlib.contextmanager
def opened(root: Path, path: str) -> Iterator[IO[bytes]]:
    """Opens a file below a folder; neither links nor steps upwards are followed.

    Raises:
        NotThereError: If it is not there, is no file, or the path leads elsewhere.
    """
    steps = path.split("/")
    if any(step in ("", ".", "..") or "\0" in step or "\\" in step for step in steps):
        raise NotThereError(f"{path!r} is not the path of a file.")
    folder = -1
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        for step in steps[:-1]:
            deeper = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = deeper
        handle = os.open(steps[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        raise NotThereError(f"There is no file '{path}' that can be read: {error.strerror}.") from error
    finally:
        if folder >= 0:
            os.close(folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotThereError(f"'{path}' is not a file.")
    with os.fdopen(handle, "rb") as stream:
        yield stream


def pieces(root: Path, path: str) -> Iterator[bytes]:
    """Yields the content of a file below a folder, 64 KiB at a time."""
    with opened(root, path) as stream:
        while piece := stream.read(_PIECE):
            yield piece


def shown_text(root: Path, path: str) -> tuple[str | None, bool]:
    """Returns the beginning of a file as text, None where it is not text, and whether something is left out."""
    with opened(root, path) as stream:
        data = stream.read(SHOWN_BYTES + 1)
    if b"\0" in data:
        return None, False
    return data[:SHOWN_BYTES].decode("utf-8", "replace"), len(data) > SHOWN_BYTES


def log_folder(site: Site, run: str) -> Path:
    """Returns the folder of a run's logs."""
    return site.storage.root / "logs" / run


def tail_of(site: Site, run: str, node: str, most: int) -> Tail | None:
    """Returns the last bytes of a node's log, from the beginning of a line; None where there is no log."""
    try:
        with opened(log_folder(site, run), f"{node}.log") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - most))
            data = stream.read(most)
    except NotThereError:
        return None
    if size > most:
        data = data[data.find(b"\n") + 1 :]
    return Tail(node, data.decode("utf-8", "replace"), size, size > most)
