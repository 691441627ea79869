"""The root folder: where artifacts, logs, state, code and locks lie, and how files become visible.

artifacts/<pipeline>/<node>/<output>/<execution>[/<index>]   published payloads, never changed again
staging/<execution>/<output>                                 being written; on the same file system, so that a rename publishes
state/<run>/<node>-<key>                                     survives a retry, and a crash followed by `resume`
logs/<run>/<node>.log                                        one per node of a run
code/<sha256>.py                                             user code as it was when it ran
locks/<run>.lock                                             held by the process of the run; free when it is gone
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.artifacts import Artifact
from pipeline.errors import MetadataError, StorageError, UsageError
from pipeline.hashing import digest_file, files_below, size_of

_LAYOUT = 1


class Storage:
    """The folders below one root.

    Args:
        root: The root folder.
        create: Whether to make it where it is not there; without, nothing is written.

    Raises:
        MetadataError: If a newer version of cauce has written it.
        StorageError: If it cannot be made or read.
    """

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.root = root.resolve()
        marker = self.root / "cauce.json"
        try:
            if create and not marker.exists():
                self.root.mkdir(parents=True, exist_ok=True)
                _write_atomically(marker, json.dumps({"layout": _LAYOUT}).encode())
            layout = int(json.loads(marker.read_text())["layout"]) if marker.exists() else _LAYOUT
        except (OSError, ValueError, KeyError) as error:
            raise StorageError(
                f"The root folder {self.root} cannot be used: {error}", hint="Name another one with --root or CAUCE_ROOT."
            ) from error
        if layout > _LAYOUT:
            raise MetadataError(
                f"{self.root} has layout {layout}; this version of cauce knows layout {_LAYOUT}.",
                hint="Install a newer cauce, or use another --root.",
            )

    def staging(self, execution: int) -> Path:
        """The staging folder of an execution."""
        return self.root / "staging" / str(execution)

    def final(self, pipeline: str, node: str, output: str, execution: int) -> Path:
        """Where the payload of an output becomes visible."""
        return self.root / "artifacts" / pipeline / node / output / str(execution)

    def state(self, run: str, node: str, key: str) -> Path:
        """The state folder of a node's work in a run; other work gets another one."""
        return self.root / "state" / run / f"{node}-{key[:12]}"

    def log(self, run: str, node: str) -> Path:
        """The log file of a node in a run."""
        return self.root / "logs" / run / f"{node}.log"

    def commit(self, staged: Path, final: Path) -> None:
        """Makes a staged payload visible by one rename; repeating it after a crash does no harm.

        Raises:
            StorageError: If it cannot be renamed.
        """
        if not staged.exists() and final.exists():
            return
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            staged.rename(final)
        except OSError as error:
            raise StorageError(f"{staged} cannot be published as {final}: {error}") from error

    def remove(self, path: Path) -> None:
        """Removes a file or folder; a folder disappears at once, by a rename, before its files are removed."""
        if path.is_file() or path.is_symlink():
            path.unlink()
        elif path.exists():
            trash = self.root / "staging" / f".trash-{os.getpid()}-{path.parent.name}-{path.name}"
            trash.parent.mkdir(parents=True, exist_ok=True)
            path.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)

    def discard(self, execution: int) -> None:
        """Removes the staging folder of an execution."""
        shutil.rmtree(self.staging(execution), ignore_errors=True)

    def discard_unpublished(self, pipeline: str, node: str, execution: int) -> None:
        """Removes all that an execution left which was never recorded: its staging, and payloads renamed but not recorded."""
        self.discard(execution)
        for orphan in (self.root / "artifacts" / pipeline / node).glob(f"*/{execution}"):
            self.remove(orphan)

    def keep_code(self, file: Path) -> str:
        """Keeps a copy of a user's file under its digest; returns the digest."""
        sha = digest_file(file)
        kept = self.root / "code" / f"{sha}{file.suffix}"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            _write_atomically(kept, file.read_bytes())
        return sha

    def kept_code(self, sha: str, suffix: str = ".py") -> str | None:
        """Returns the text that was kept under a digest; None if it is gone."""
        kept = self.root / "code" / f"{sha}{suffix}"
        return kept.read_text(encoding="utf-8", errors="replace") if kept.is_file() else None

    @contextmanager
    def run_lock(self, run: str) -> Iterator[None]:
        """Holds the lock of a run; the system frees it when the process is gone, however it went.

        Raises:
            UsageError: If another process holds it.
        """
        with self._lock_file(run).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(f"Run {run} is going on in another process.", hint=f"See it: cauce runs show {run}") from error
            yield

    def is_alive(self, run: str) -> bool:
        """Returns whether a process holds the lock of a run."""
        path = self._lock_file(run)
        if not path.exists():
            return False
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _lock_file(self, run: str) -> Path:
        path = self.root / "locks" / f"{run}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def damage(artifact: Artifact) -> str | None:
    """Returns what is wrong with an artifact's files, by a look at their names and sizes; None if nothing is."""
    if not artifact.path.exists():
        return f"{artifact.path} is missing"
    size = size_of(artifact.path)
    if size != artifact.size:
        return f"{artifact.path} has {size:,} bytes, and {artifact.size:,} were published"
    return None


def check_payload(artifact: Artifact, name: str) -> None:
    """Checks a staged payload before it is published.

    Raises:
        StorageError: If it is empty or unreadable.
    """
    files = list(files_below(artifact.path))
    if not files:
        raise StorageError(f"Output '{name}' ({artifact.type_name}) is empty: its executor wrote no file into it.")
    for file in files:
        if not os.access(file, os.R_OK):
            raise StorageError(f"Output '{name}' ({artifact.type_name}): {file.name} cannot be read.")


def _write_atomically(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
