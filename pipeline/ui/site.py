"""What all pages share: the store, the root folder, and what is remembered between requests."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from pipeline.artifacts import SUMMARY_FILE, Artifact
from pipeline.errors import DataError, UsageError
from pipeline.lineage.ledger import Ledger
from pipeline.lineage.serving import ModelVersion, model_versions
from pipeline.lineage.tables import Tables
from pipeline.metadata import EMPTY, MetadataStore, sqlite_file
from pipeline.records import Run, RunState
from pipeline.recovery import recover
from pipeline.storage import Storage

T = TypeVar("T")
LARGEST_SUMMARY = 64 << 20
"""Bytes of a `summary.json` that are read; a larger one is refused with that reason."""

_REMEMBERED = 512
_SECONDS_BETWEEN_RECOVERIES = 5.0


class NotThereError(UsageError):
    """The address names something that is not there; the message says what."""


class Site:
    """The store and root folder that the pages show.

    Args:
        store: The metadata store.
        storage: The root folder.
        url: URL of the store, where there was none yet when `store` was opened: it is looked for again.
    """

    def __init__(self, store: MetadataStore, storage: Storage, url: str = "") -> None:
        self.storage = storage
        self.ledger = Ledger(store, storage)
        self._file = sqlite_file(url)
        self._url = url
        self._remembered: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._recovered = 0.0

    @property
    def store(self) -> MetadataStore:
        """The metadata store; an empty one as long as there is none."""
        if self.ledger.store.url == EMPTY and self._file is not None and self._file.exists():
            self.ledger = Ledger(MetadataStore(self._url), self.storage)
        return self.ledger.store

    def runs(self) -> list[Run]:
        """Returns all runs, oldest first; those whose process is gone are marked first, as each command does."""
        found = self._of_now("runs", self.store.runs)
        now = time.monotonic()
        if any(run.state is RunState.RUNNING for run in found) and now >= self._recovered:
            self._recovered = now + _SECONDS_BETWEEN_RECOVERIES
            if recover(self.store, self.storage):
                return self.store.runs()
        return found

    def tables(self) -> Tables:
        """Returns the columns of all runs, executions and artifacts as they are now."""
        return self._of_now("tables", lambda: Tables(self.store))

    def models(self) -> list[ModelVersion]:
        """Returns the versions in all folders that models were pushed to."""
        return model_versions(self.store)

    def run(self, text: str) -> Run:
        """Returns the run with this id; `latest` is the last one.

        Raises:
            NotThereError: If there is none.
        """
        runs = self.runs()
        found = runs[-1:] if text == "latest" else [run for run in runs if run.id == text]
        if not found:
            raise NotThereError(f"There is no run '{text}'.")
        return found[0]

    def artifact(self, id: int) -> Artifact:
        """Returns the artifact with this number.

        Raises:
            NotThereError: If there is none.
        """
        found = self.store.artifacts([id]) if 0 < id < 1 << 62 else []
        if not found:
            raise NotThereError(f"There is no artifact {id}.")
        return found[0]

    def summary(self, artifact: Artifact) -> dict[str, Any]:
        """Returns an artifact's `summary.json`; empty where there is none.

        Raises:
            DataError: If it is damaged, or too large to be read.
        """
        file = artifact.path / SUMMARY_FILE
        try:
            status = file.lstat()
        except OSError:
            return {}
        if file.is_symlink() or not file.is_file():
            raise DataError(f"{file} is not a file.")
        if status.st_size > LARGEST_SUMMARY:
            raise DataError(f"{file} has {status.st_size:,} bytes; at most {LARGEST_SUMMARY:,} are read.")

        def read() -> dict[str, Any]:
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError) as error:
                raise DataError(f"{file} is damaged: {error}", hint=f"Run its node again: --rerun {artifact.producer}") from error
            if not isinstance(found, dict):
                raise DataError(f"{file} is damaged: expected an object.")
            return found

        return self.remember(("summary", str(file), status.st_mtime_ns, status.st_size), read)

    def summary_or_none(self, artifact: Artifact) -> dict[str, Any]:
        """Returns an artifact's `summary.json`; empty where there is none that can be read."""
        try:
            return self.summary(artifact)
        except DataError:
            return {}

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """Returns what was made for a key, or makes it; the keys used last are kept."""
        with self._lock:
            if key in self._remembered:
                self._remembered.move_to_end(key)
                found: T = self._remembered[key]
                return found
        made = make()
        with self._lock:
            self._remembered[key] = made
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return made

    def _of_now(self, name: str, make: Callable[[], T]) -> T:
        """Returns what was made since the store changed last; where that cannot be asked, each time anew."""
        version = self.version()
        return make() if version is None else self.remember((name, version), make)

    def version(self) -> Hashable | None:
        """Returns what changes whenever a SQLite store is written to; None for other stores."""
        file = sqlite_file(self.store.url)
        if file is None:
            return None
        found = []
        for path in (file, file.with_name(file.name + "-wal"), file.with_name(file.name + "-journal")):
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((path.name, status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)


def number(text: str, what: str) -> int:
    """Returns the whole number that an address holds.

    Raises:
        UsageError: If it is none.
    """
    if not (text.isdecimal() and text.isascii() and len(text) < 19):
        raise UsageError(f"Expected {what} as a whole number. Received: {text[:60]!r}")
    return int(text)
