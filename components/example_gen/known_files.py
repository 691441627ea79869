"""Digests of files that an earlier run has read: of a window that moves on, the files of the old spans are looked at and not read again.

A digest is trusted while size, times and inode of its file are what they were. The time of change (ctime) is among them, which no
program can set; a file that was changed while it was digested, or less than two seconds before, is not remembered.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from pipeline.hashing import digest_file

NOTE = "input_states"
"""Property of an execution: the states of its input files, as JSON."""

_SETTLED_NS = 2_000_000_000
_LARGEST_NOTE = 60_000


@dataclass(frozen=True)
class FileState:
    """What tells whether a file is still the same.

    Attributes:
        size: Bytes.
        modified: Time of the last change of its content, in nanoseconds.
        changed: Time of the last change of content or inode, in nanoseconds.
        inode: Number of the inode.
    """

    size: int
    modified: int
    changed: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Returns the state of a file now."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


_known: ContextVar[Mapping[str, tuple[FileState, str]] | None] = ContextVar("known", default=None)


def digest_known(path: Path) -> str:
    """Returns the digest of a file, without reading it where it is known."""
    state, digest = (_known.get() or {}).get(str(path), (None, ""))
    return digest if state is not None and state == FileState.of(path) else digest_file(path)


@contextmanager
def knowing(notes: Iterable[str]) -> Iterator[None]:
    """Lets `digest_known` trust what earlier executions noted, as long as the block lasts."""
    known = {path: (FileState(*state), digest) for note in notes for path, *state, digest in json.loads(note)}
    token = _known.set(known)
    try:
        yield
    finally:
        _known.reset(token)


def note_of(digests: Iterable[tuple[Path, str]], *, since: int) -> str:
    """Returns the states of files as an execution notes them, as many as fit.

    Args:
        digests: The files, with their digests.
        since: When the first of them was begun to be digested, in nanoseconds since 1970-01-01 UTC.
    """
    items: list[str] = []
    for path, digest in digests:
        state = FileState.of(path)
        if max(state.modified, state.changed) < since - _SETTLED_NS:
            items.append(json.dumps([str(path), state.size, state.modified, state.changed, state.inode, digest]))
    while sum(map(len, items)) + 2 * len(items) > _LARGEST_NOTE:
        items.pop(0)
    return f"[{', '.join(items)}]"
