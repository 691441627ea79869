"""What people decided about a destination of pushed models: that it is pinned, and which models were rolled back.

It is kept in the destination itself, in `.cauce.json`, so that it holds for every pipeline that pushes there, whatever store it has.
Servers look at folders with numbers only. Loads no heavy library.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError, UsageError

STATE_FILE = ".cauce.json"


@dataclass(frozen=True)
class Pin:
    """Why, and since when, nothing else is pushed; UTC, as ISO 8601.

    Attributes:
        version: The version that was served when it was pinned.
        reason: Why.
        since: When.
    """

    version: int
    reason: str
    since: str


@dataclass(frozen=True)
class Withdrawn:
    """A model that was rolled back, and is not pushed again.

    Attributes:
        digest: Digest of its SavedModel.
        version: The last version that served it.
        reason: Why it was rolled back.
        since: When; UTC, as ISO 8601.
    """

    digest: str
    version: int
    reason: str
    since: str


@dataclass(frozen=True)
class Standing:
    """What holds for a destination now.

    Attributes:
        pin: The pin; None if it is not pinned.
        withdrawn: The models that were rolled back, the last ones last.
    """

    pin: Pin | None = None
    withdrawn: tuple[Withdrawn, ...] = ()

    def withdrawal(self, digest: str) -> Withdrawn | None:
        """Returns why the model with this digest is not pushed again; None if it may be."""
        return next((one for one in reversed(self.withdrawn) if one.digest == digest), None)


def standing_of(destination: Path) -> Standing:
    """Returns what holds for a destination.

    Raises:
        StorageError: If it cannot be read: whoever pushes must not guess.
    """
    file = destination / STATE_FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        pin = None if found["pin"] is None else Pin(**found["pin"])
        return Standing(pin, tuple(Withdrawn(**one) for one in found["withdrawn"]))
    except FileNotFoundError:
        return Standing()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"{file} is damaged: {error}. It says whether the destination is pinned and which models were rolled back.",
            hint="Restore it, or remove it and say again what held: cauce models pin, cauce models rollback.",
        ) from error


def pin(destination: Path, version: int, reason: str) -> Pin:
    """Pins a destination.

    Raises:
        UsageError: If it is pinned already.
    """
    made = Pin(version, reason, _now())

    def change(standing: Standing) -> Standing:
        if standing.pin is not None:
            raise UsageError(
                f"{destination} is pinned already, since {standing.pin.since}: {standing.pin.reason}",
                hint=f"End that first: cauce models unpin {destination} --reason '...'",
            )
        return dataclasses.replace(standing, pin=made)

    _change(destination, change)
    return made


def unpin(destination: Path) -> Pin:
    """Ends the pin of a destination, and returns it.

    Raises:
        UsageError: If it is not pinned.
    """
    ended: list[Pin] = []

    def change(standing: Standing) -> Standing:
        if standing.pin is None:
            raise UsageError(f"{destination} is not pinned.")
        ended.append(standing.pin)
        return dataclasses.replace(standing, pin=None)

    _change(destination, change)
    return ended[0]


def withdraw(destination: Path, models: Mapping[int, str], reason: str, *, but: str) -> None:
    """Notes that models, given as digests by version, were rolled back, and that the model with the digest `but` was not."""

    def change(standing: Standing) -> Standing:
        again = {*models.values(), but}
        kept = tuple(one for one in standing.withdrawn if one.digest not in again)
        now = _now()
        added = {digest: Withdrawn(digest, version, reason, now) for version, digest in models.items() if digest != but}
        return dataclasses.replace(standing, withdrawn=(*kept, *added.values()))

    _change(destination, change)


def _change(destination: Path, change: Callable[[Standing], Standing]) -> None:
    with _locked(destination):
        before = standing_of(destination)
        after = change(before)
        if after != before:
            _write(destination / STATE_FILE, dataclasses.asdict(after))


def _write(file: Path, content: dict[str, Any]) -> None:
    aside = file.with_name(f"{file.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        aside.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        aside.replace(file)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time change the state."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
