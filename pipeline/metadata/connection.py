"""A connection to ML Metadata: its URL, waiting for locks, connecting anew, and errors without passwords."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

# What the library logs is part of the errors that it raises; this must stand before its import.
os.environ.setdefault("GLOG_minloglevel", "2")

from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

from pipeline.errors import MetadataError

R = TypeVar("R")
EMPTY = "empty:"
"""The URL of a store in memory, for reading where there is none yet."""
_PATIENCE = 60.0
_CONTENDED = re.compile(r"locked|busy|deadlock|lock wait|concurrent|duplicate", re.IGNORECASE)
# The client of PostgreSQL has no words for a connection that was found closed; a full disk leaves a SQLite transaction that never ends.
_LOST = re.compile(
    r"closed the connection|terminating connection|no connection|connection reset|gone away|lost connection|source error: $"
    r"|transaction already open",
    re.IGNORECASE,
)
_SQLITE = "sqlite://"

logging.getLogger("absl").addFilter(lambda record: not str(record.msg).startswith("mlmd client"))


def sqlite_file(url: str) -> Path | None:
    """Returns the file of a SQLite store; None for any other URL."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def redacted(url: str) -> str:
    """Returns a URL without its passwords."""
    return re.sub(r"(sslpassword=)[^&]*", r"\1***", re.sub(r"(://[^/@:]*:).*@", r"\1***@", url))


def connection_config(url: str) -> proto.ConnectionConfig:
    """Returns the connection for a store's URL.

    Args:
        url: `sqlite:///path/metadata.db`, `postgresql://user:password@host:port/database` or `mysql://...`; options of TLS as ML
            Metadata names them may follow: `?sslmode=require`.

    Raises:
        MetadataError: For any other URL.
    """
    config = proto.ConnectionConfig()
    file = sqlite_file(url)
    if url == EMPTY:
        config.fake_database.SetInParent()
    elif file is not None:
        config.sqlite.filename_uri = str(file)
        config.sqlite.connection_mode = proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    else:
        _configure_server(config, url)
    return config


def _configure_server(config: proto.ConnectionConfig, url: str) -> None:
    parts = urlsplit(url)
    database, port = parts.path.lstrip("/"), _port(parts, url)
    target: Any
    if parts.scheme in ("postgresql", "postgres"):
        target, tls = config.postgresql, "ssloption"
        target.host, target.port, target.dbname = parts.hostname or "localhost", str(port or 5432), database
    elif parts.scheme == "mysql":
        target, tls = config.mysql, "ssl_options"
        target.host, target.port, target.database = parts.hostname or "127.0.0.1", port or 3306, database
    else:
        raise MetadataError(f"Expected a store URL sqlite:///PATH, postgresql://... or mysql://... Received: {redacted(url)}")
    target.user, target.password = unquote(parts.username or ""), unquote(parts.password or "")
    # Creating the database needs rights that few accounts have; the tables are always created.
    target.skip_db_creation = True
    options = getattr(target, tls)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        field = options.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            known = ", ".join(options.DESCRIPTOR.fields_by_name)
            raise MetadataError(f"The store URL {redacted(url)} has the unknown option '{name}'. Known: {known}.")
        setattr(options, name, value.lower() in ("1", "true") if field.cpp_type == field.CPPTYPE_BOOL else value)


def _port(parts: SplitResult, url: str) -> int | None:
    try:
        return parts.port
    except ValueError as error:
        raise MetadataError(
            f"The port of the store URL {redacted(url)} is not a number from 0 to 65535.",
            hint="Write special characters of a password with their code: %2F for /, %40 for @.",
        ) from error


class Connection:
    """A connection that waits where the database is locked, and is made anew where the server has closed it.

    Args:
        url: See `connection_config`.

    Raises:
        MetadataError: If it cannot be opened, with what the database said.
    """

    def __init__(self, url: str) -> None:
        self._url = redacted(url)
        self._config = connection_config(url)
        self._lock = threading.RLock()
        self._library: Any = None
        file = sqlite_file(url)
        self._turn: int | None = None
        said: list[str] = []
        try:
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                self._turn = self._lock_file(file)
            with contextlib.nullcontext() if file is not None else _native_errors(said):
                self._library = self._patiently(lambda: metadata_store.MetadataStore(self._config))
        except (errors.StatusError, RuntimeError, OSError) as error:
            raise self._not_opened("; ".join(said) or str(error)) from error

    def call(self, use: Callable[[Any], R]) -> R:
        """Calls `use` with the library's store, from one thread at a time.

        Raises:
            AlreadyExistsError: Of the library, where another process was faster.
            MetadataError: For all else that goes wrong.
        """
        try:
            return self._patiently(lambda: use(self._library))
        except errors.AlreadyExistsError:
            raise
        except (errors.StatusError, RuntimeError) as error:
            raise MetadataError(f"The metadata store {self._url} failed: {error}") from error

    def _patiently(self, call: Callable[[], R]) -> R:
        deadline, delay = time.monotonic() + _PATIENCE, 0.005
        while True:
            try:
                with self.turn():
                    return call()
            except (errors.StatusError, RuntimeError) as error:
                lost = self._library is not None and _LOST.search(str(error)) is not None
                contended = isinstance(error, errors.AbortedError) or (
                    isinstance(error, errors.InternalError | errors.UnavailableError | RuntimeError) and _CONTENDED.search(str(error))
                )
                hopeless = not (lost or contended)
                if hopeless or time.monotonic() > deadline:
                    raise
            time.sleep(delay)
            delay = min(delay * 2, 0.25)
            if lost:
                self._connect_anew()

    def _lock_file(self, file: Path) -> int | None:
        """Opens the file by which processes take turns; None where the folder may only be read, or its file system knows no locks."""
        try:
            descriptor = os.open(f"{file}.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except PermissionError:
            return None
        weakref.finalize(self, os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return descriptor
        except OSError:
            return None
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return descriptor

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Lets the processes that share a SQLite file call one after the other: found locked, SQLite sleeps far too long."""
        with self._lock:
            if self._turn is None:
                yield
                return
            fcntl.flock(self._turn, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _connect_anew(self) -> None:
        try:
            with self.turn():
                self._library = metadata_store.MetadataStore(self._config)
        except (errors.StatusError, RuntimeError):
            return  # the server may be starting again; the next call fails with the lost connection, and tries again

    def _not_opened(self, said: str) -> MetadataError:
        if "is greater than library version" in said:
            return MetadataError(
                f"The metadata store {self._url} was written by a newer version of ML Metadata: {said}",
                hint="Install a newer cauce, or name another store with CAUCE_METADATA or --root.",
            )
        return MetadataError(
            f"The metadata store {self._url} cannot be opened: {said}",
            hint="Check CAUCE_METADATA, that the database exists, and who may use it.",
        )


@contextlib.contextmanager
def _native_errors(said: list[str]) -> Iterator[None]:
    """Collects what native code writes to the process's stderr: the clients of servers say only there why they fail."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            found = re.findall(r"error: (.+(?:\n\t.+)*)", file.read().decode("utf-8", "replace"))
            said.extend(" ".join(text.split()) for text in found)
