"""Folders that models are served from: `<destination>/<version>/`, as TensorFlow Serving watches them.

A version is a whole number; the highest is served. A version is written aside, put on disk and renamed, so that one which can be
seen is whole, and it is never changed again. Each holds a record of what it is, `assets.extra/cauce.json`. Loads no heavy library.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from components.destination import withdraw
from pipeline.errors import DataError, StorageError, UsageError, did_you_mean
from pipeline.hashing import digest_tree, extent, files_below

SERVING_FOLDER = "Format-Serving"
RECORD_FILE = "assets.extra/cauce.json"
_ASIDE = re.compile(r"\.(?:incoming|removed)-(.+)-(\d+)-[0-9a-f]+")
_SHARD = re.compile(r"variables\.data-\d{5}-of-(\d{5})")


@dataclass(frozen=True)
class PushRecord:
    """What a served version says about itself.

    Attributes:
        digest: Digest of the SavedModel, without this record.
        size: Its bytes.
        pushed: When it was published, UTC, as ISO 8601.
        model: Name of the Model artifact.
        model_id: Its number in the metadata store; None if it has none.
        pipeline: The pipeline that pushed it.
        run: The run that pushed it.
        reasons: Why it was blessed, in words.
        restored: The version that this one makes the served one again; None for a new model.
        reason: Why that was done.
    """

    digest: str
    size: int
    pushed: str
    model: str = ""
    model_id: int | None = None
    pipeline: str = ""
    run: str = ""
    reasons: tuple[str, ...] = ()
    restored: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class ServedVersion:
    """One version in a destination; `record` is None if something else than cauce put it there."""

    number: int
    path: Path
    record: PushRecord | None

    @property
    def problem(self) -> str | None:
        """What is wrong with its files; None if they are as they were pushed."""
        if self.record is None:
            return f"version {self.number} has no record of cauce"
        size = extent(self.path)[0] - (self.path / RECORD_FILE).stat().st_size
        return None if size == self.record.size else f"version {self.number} holds {size} bytes instead of {self.record.size}"


def serving_path(model: Path) -> Path:
    """Returns the folder of the SavedModel of a Model artifact.

    Raises:
        StorageError: If there is none.
    """
    for folder in (model / SERVING_FOLDER, model):
        if (folder / "saved_model.pb").is_file():
            return folder
    raise StorageError(f"{model} holds no SavedModel. Expected {SERVING_FOLDER}/saved_model.pb.", hint="Run its node again.")


def check_saved_model(path: Path) -> None:
    """Checks that a SavedModel is complete, without loading TensorFlow: its graph can be read, and its variables are there.

    Raises:
        DataError: If it is not, naming the file.
    """
    file = path / "saved_model.pb"
    if not file.is_file() or not _holds_graph(file.read_bytes()):
        raise DataError(f"{file} is missing, empty or cut off: it holds no whole graph.", hint="Train the model again.")
    variables = path / "variables"
    if not variables.is_dir():
        return
    found = [match for file in variables.iterdir() if (match := _SHARD.fullmatch(file.name))]
    if not (variables / "variables.index").is_file() or not found or len(found) != int(found[0][1]):
        raise DataError(f"{variables} lacks variables.index or some of variables.data-*.", hint="Train the model again.")


def _holds_graph(data: bytes) -> bool:
    """Walks the fields of a serialized `SavedModel`; field 2 is a graph."""
    place, graphs = 0, 0
    try:
        while place < len(data):
            tag, place = _varint(data, place)
            value, place = _varint(data, place)
            if tag & 7 == 2:
                place += value
                graphs += tag >> 3 == 2
            elif tag & 7 != 0:
                return False
    except IndexError:
        return False
    return graphs > 0 and place == len(data)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def versions(destination: Path) -> list[ServedVersion]:
    """Returns the versions in a destination, oldest first; none if there is no such folder."""
    if not destination.is_dir():
        return []
    found = [folder for folder in destination.iterdir() if folder.name.isdecimal() and folder.is_dir()]
    return [ServedVersion(int(folder.name), folder, _read_record(folder)) for folder in sorted(found, key=lambda folder: int(folder.name))]


def served_version(destination: Path) -> ServedVersion | None:
    """Returns the version that is served, the highest; None if there is none."""
    return next(reversed(versions(destination)), None)


def _read_record(folder: Path) -> PushRecord | None:
    """Returns the record of a version; None if there is none, or it was damaged by someone."""
    known = {field.name for field in dataclasses.fields(PushRecord)}
    try:
        found = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        record = PushRecord(**{name: value for name, value in found.items() if name in known})
        return dataclasses.replace(record, reasons=tuple(record.reasons))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def publish(saved_model: Path, destination: Path, record: PushRecord) -> tuple[ServedVersion, bool]:
    """Makes a SavedModel the served version, unless the served version holds the same already.

    Args:
        saved_model: The SavedModel's folder; it is copied.
        destination: The folder of versions; it is made.
        record: What the version says about itself; digest, size and time are filled in.

    Returns:
        The served version, and whether it is new.

    Raises:
        DataError: If the SavedModel is not complete.
        StorageError: If it cannot be written; nothing of it can be seen then.
    """
    check_saved_model(saved_model)
    digest = digest_tree(saved_model)
    newest = served_version(destination)
    if newest is not None and newest.record is not None and newest.record.digest == digest and newest.problem is None:
        return newest, False
    return _add(saved_model, destination, dataclasses.replace(record, digest=digest), link=False), True


def rollback(destination: Path, to: int, reason: str) -> ServedVersion:
    """Makes an older version the served one, by publishing its files again under the next number; later models are withdrawn.

    Example:
        rollback(Path("serving/taxi"), to=3, reason="too many false alarms since Monday")

    Args:
        destination: The folder of versions.
        to: The version to serve again.
        reason: Why, for the record.

    Raises:
        UsageError: If there is no such version, or it is the served one.
        StorageError: If its files are not as they were pushed, or cannot be written.
    """
    known = {version.number: version for version in versions(destination)}
    if to not in known:
        raise UsageError(f"{destination} has no version {to}.{did_you_mean(str(to), map(str, known))}")
    if to == max(known):
        raise UsageError(f"Version {to} of {destination} is served already.")
    version = known[to]
    if version.record is not None and version.problem is not None:
        raise StorageError(f"{destination} cannot go back to version {to}: {version.problem}.")
    check_saved_model(version.path)
    record = version.record or PushRecord(digest=digest_tree(version.path), size=0, pushed="")
    # First of all, so that a push which comes in between does not bring the model back.
    withdraw(destination, {one.number: one.record.digest for one in withdrawn_by(destination, to) if one.record}, reason, but=record.digest)
    return _add(version.path, destination, dataclasses.replace(record, restored=to, reason=reason), link=True)


def withdrawn_by(destination: Path, to: int) -> list[ServedVersion]:
    """Returns the versions that a rollback withdraws: those after the one to go back to that hold another model."""
    found = versions(destination)
    target = next((version.record.digest for version in found if version.number == to and version.record), "")
    return [version for version in found if version.number > to and version.record and version.record.digest != target]


def remove_old(destination: Path, keep: int) -> list[int]:
    """Removes all but the newest `keep` versions; returns the numbers of those removed."""
    removed = []
    for version in versions(destination)[:-keep]:
        aside = _aside(destination, "removed")
        with suppress(FileNotFoundError):  # another push removes it as well
            version.path.rename(aside)
            removed.append(version.number)
        shutil.rmtree(aside, ignore_errors=True)
    return removed


def _add(source: Path, destination: Path, record: PushRecord, *, link: bool) -> ServedVersion:
    with _readable_errors(destination):
        destination.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(destination)
        incoming = _aside(destination, "incoming")
        try:
            copy_tree(source, incoming, link=link, without=RECORD_FILE)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            record = dataclasses.replace(record, size=extent(incoming)[0], pushed=now)
            file = incoming / RECORD_FILE
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(dataclasses.asdict(record), indent=1, sort_keys=True) + "\n", encoding="utf-8")
            _sync(incoming)
            newest = served_version(destination)
            number = _rename_to_free(incoming, destination, 1 if newest is None else newest.number + 1)
            _sync_one(destination)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    return ServedVersion(number, destination / str(number), record)


def _rename_to_free(incoming: Path, destination: Path, number: int) -> int:
    """Renames to the first free number; a folder with files in it is never replaced by a rename."""
    while True:
        try:
            incoming.rename(destination / str(number))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            number += 1
        else:
            return number


def _aside(destination: Path, kind: str) -> Path:
    """Returns a name that servers do not look at, and that tells whose it is."""
    return destination / f".{kind}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def _remove_leftovers(destination: Path) -> None:
    """Removes what killed processes of this machine have left."""
    for folder in destination.iterdir():
        owner = _ASIDE.fullmatch(folder.name)
        if owner and owner[1] == socket.gethostname() and not _is_alive(int(owner[2])):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def copy_tree(source: Path, target: Path, *, link: bool, without: str = "") -> None:
    """Copies a tree; with `link` the files are hard links where the file system allows it."""
    target.mkdir(exist_ok=True)
    for file in files_below(source):
        name = file.relative_to(source)
        if name.as_posix() == without:
            continue
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if link:
            try:
                os.link(file, copy)
                continue
            except OSError:
                link = False
        shutil.copyfile(file, copy)


def _sync(folder: Path) -> None:
    """Puts a tree on disk, files before the folders that name them."""
    for file in files_below(folder):
        _sync_one(file)
    for inner in sorted((inner for inner in folder.rglob("*") if inner.is_dir()), reverse=True):
        _sync_one(inner)
    _sync_one(folder)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _readable_errors(destination: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = {
            errno.ENOSPC: "Make room on that file system, then run again: nothing was published.",
            errno.EACCES: "Give this user the right to write there, then run again.",
            errno.EROFS: "That file system is read-only. Choose another destination.",
        }.get(error.errno or 0)
        raise StorageError(f"The model cannot be written to {destination}: {error.strerror or error}.", hint=hint) from error
