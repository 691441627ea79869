"""The root folder: where artifacts, logs, state, code and locks lie, and how files become visible.

artifacts/<pipeline>/<node>/<output>/<run>.<execution>   published payloads, never changed again
staging/<run>.<execution>/<output>                       being written; on the same file system, so that a rename publishes
state/<run>/<node>-<key>                                 survives a retry, and a crash followed by `resume`
logs/<run>/<node>.log                                    one per node of a run
logs/<run>/events.jsonl                                  what the run told while it went on
code/<sha256>.py                                         user code as it was when it ran
code/<sha256>.json                                       versions of all packages as they were when it ran
locks/<run>.lock                                         held by the process of the run; free when it is gone
locks/.root                                              shared by all runs; `cauce gc --apply` wants it alone

Another metadata store counts its executions from 1 again: with the run in the name, two stores can share a root.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.artifacts import Artifact
from pipeline.errors import MetadataError, StorageError, UsageError
from pipeline.events import EVENTS_FILE
from pipeline.hashing import extent, files_below

_LAYOUT = 1
_LOCK_TRIES = 10
_TRASH = ".trash-"


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

    def staging(self, run: str, execution: int) -> Path:
        """The staging folder of an execution."""
        return self.root / "staging" / f"{run}.{execution}"

    def final(self, pipeline: str, node: str, output: str, run: str, execution: int, index: int | None = None) -> Path:
        """Where the payload of an output becomes visible, or that of one portion of it."""
        return self.root / "artifacts" / pipeline / node / output / (f"{run}.{execution}" + ("" if index is None else f"-{index}"))

    def state(self, run: str, node: str, key: str) -> Path:
        """The state folder of a node's work in a run; other work gets another one."""
        return self.root / "state" / run / f"{node}-{key[:12]}"

    def remove_empty_state(self, run: str) -> None:
        """Removes the folder of a run's states where none is left in it; only when no node of the run is at work."""
        with contextlib.suppress(OSError):  # it is not there, or a state is
            (self.root / "state" / run).rmdir()

    def log(self, run: str, node: str) -> Path:
        """The log file of a node in a run."""
        return self.root / "logs" / run / f"{node}.log"

    def events(self, run: str) -> Path:
        """The file of the events of a run."""
        return self.root / "logs" / run / EVENTS_FILE

    def commit(self, staged: Path, final: Path) -> None:
        """Makes a staged payload visible by one rename.

        Raises:
            StorageError: If it cannot be renamed.
        """
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
            trash = self.root / "staging" / f"{_TRASH}{secrets.token_hex(8)}"
            trash.parent.mkdir(parents=True, exist_ok=True)
            path.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)

    def empty_trash(self) -> None:
        """Removes what a process was killed over while it removed it."""
        for trash in (self.root / "staging").glob(f"{_TRASH}*"):
            shutil.rmtree(trash, ignore_errors=True)

    def discard(self, run: str, execution: int) -> None:
        """Removes the staging folder of an execution."""
        shutil.rmtree(self.staging(run, execution), ignore_errors=True)

    def discard_unpublished(self, pipeline: str, node: str, run: str, execution: int) -> None:
        """Removes all that an execution left which was never recorded: its staging, and payloads renamed but not recorded."""
        self.discard(run, execution)
        folder = self.root / "artifacts" / pipeline / node
        for orphan in (*folder.glob(f"*/{run}.{execution}"), *folder.glob(f"*/{run}.{execution}-*")):
            self.remove(orphan)

    def keep_code(self, file: Path) -> str:
        """Keeps a copy of a user's file under its digest; returns the digest."""
        return self._keep(file.read_bytes(), file.suffix)

    def keep_text(self, text: str, suffix: str) -> str:
        """Keeps a text under its digest; returns the digest."""
        return self._keep(text.encode("utf-8"), suffix)

    def _keep(self, content: bytes, suffix: str) -> str:
        sha = hashlib.sha256(content).hexdigest()
        kept = self.root / "code" / f"{sha}{suffix}"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            _write_atomically(kept, content)
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
        for _ in range(_LOCK_TRIES):
            with self.vacant(run) as vacant:
                if vacant:
                    yield
                    return
            time.sleep(0.05)  # another command may hold it for a moment, to see whether the run is alive
        raise UsageError(f"Run {run} is going on in another process.", hint=f"See it: cauce runs show {run}")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps `cauce gc` from removing files while it is held; any number of runs may hold it.

        Raises:
            UsageError: If files are being removed.
        """
        with self._root_lock().open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(f"`cauce gc --apply` is removing files below {self.root}.", hint="Try again in a moment.") from error
            yield

    @contextmanager
    def unused(self) -> Iterator[None]:
        """Keeps runs from starting while it is held.

        Raises:
            UsageError: If a run is going on.
        """
        if not self.root.exists():
            yield
            return
        with self._root_lock().open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"A run is going on below {self.root}.", hint="Remove files when it has ended; see it: cauce runs list"
                ) from error
            yield

    def _root_lock(self) -> Path:
        path = self.root / "locks" / ".root"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def vacant(self, run: str) -> Iterator[bool]:
        """Holds the lock of a run where no process has it; gives whether that is so."""
        path = self.root / "locks" / f"{run}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def damage(artifact: Artifact) -> str | None:
    """Returns what is wrong with an artifact's files, by a look at their number and sizes; None if nothing is."""
    if not artifact.path.exists():
        return f"{artifact.path} is missing"
    size, files = extent(artifact.path)
    if size != artifact.size:
        return f"{artifact.path} has {size:,} bytes, and {artifact.size:,} were published"
    if files != artifact.files:
        return f"{artifact.path} has {files:,} files, and {artifact.files:,} were published"
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
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
