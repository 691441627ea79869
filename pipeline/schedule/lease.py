"""Which daemon works: the one that holds the lease. Every change that a daemon makes carries the number of its lease (the fence)."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.errors import CauceError
from pipeline.schedule import tables
from pipeline.schedule.clock import Clock
from pipeline.schedule.state import State

PATIENCE = 20.0
"""Seconds after which a daemon that gives no sign of life loses the lease."""

BEAT = 4.0
"""Seconds between two signs of life."""

_FREE = ""
_SAME_START = 2  # the system counts from its start, which it knows to the second


class LeaseLostError(CauceError):
    """Another daemon has taken over: this one was silent for too long. What it wanted to write was not written."""


@dataclass(frozen=True)
class Holder:
    """The daemon that has the lease.

    Attributes:
        holder: Its own name; empty if it has given the lease back.
        fence: Number of the lease; grows with each.
        beat: Number of its last sign of life.
        host: Name of its machine.
        pid: Number of its process.
        process_started: When that process was started, in seconds since 1970-01-01 UTC.
        since: Since when it has the lease, in milliseconds since 1970-01-01 UTC.
        seen: Its last sign of life, by its own clock.
        once: Whether it ends when nothing is due: `cauce schedule run --once`.
        port: Where it answers on loopback; 0 if it does not.
        places: How many runs it lets go on at once.
    """

    holder: str
    fence: int
    beat: int
    host: str
    pid: int
    process_started: int
    since: int
    seen: int
    once: bool
    port: int
    places: int

    @property
    def is_gone(self) -> bool:
        """Whether its process is known to be gone; False on another machine, which cannot be asked."""
        if self.holder == _FREE:
            return True
        return self.host == socket.gethostname() and abs(process_started(self.pid) - self.process_started) > _SAME_START


def process_started(pid: int) -> int:
    """Returns when a process was started, in seconds since 1970-01-01 UTC; 0 if there is none."""
    try:
        process = psutil.Process(pid)
        return 0 if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time())
    except psutil.Error:
        return 0


def current_holder(state: State) -> Holder | None:
    """Returns who has, or last had, the lease; None before the first daemon."""
    with state.reading() as connection:
        row = connection.execute(select(tables.lease)).one_or_none()
    return Holder(**{name: value for name, value in row._mapping.items() if name != "id"}) if row else None


class Lease:
    """A daemon's claim to be the one that works.

    The clocks of two machines may differ: a holder is silent if its beat has not moved for `PATIENCE` seconds of the watcher's own clock.

    Args:
        state: The database.
        clock: The time.
        once: See `Holder`.
        places: See `Holder`.
    """

    def __init__(self, state: State, clock: Clock, *, once: bool = False, places: int = 1) -> None:
        self._state = state
        self._clock = clock
        self._once = once
        self._places = places
        self._name = secrets.token_hex(8)
        self._fence = 0
        self._watched: tuple[int, int] | None = None
        self._watched_since = 0.0
        self._beaten = 0.0

    @property
    def held(self) -> bool:
        """Whether this daemon has the lease, as far as it knows."""
        return self._fence > 0

    def acquire(self) -> Holder | None:
        """Takes the lease if it is free, its holder's process is gone, or has been silent; returns the holder if not."""
        found = current_holder(self._state)
        if found is not None and not found.is_gone and not self._is_silent(found):
            return found
        fence = (found.fence if found else 0) + 1
        now = self._clock.now()
        values = {
            "holder": self._name,
            "fence": fence,
            "beat": 1,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process_started": process_started(os.getpid()),
            "since": now,
            "seen": now,
            "once": self._once,
            "port": 0,
            "places": self._places,
        }
        if not self._take(found, values):
            return current_holder(self._state)
        self._fence, self._watched, self._beaten = fence, None, self._clock.monotonic()
        return None

    def _take(self, found: Holder | None, values: dict[str, object]) -> bool:
        try:
            with self._state.raw_transaction() as connection:
                if found is None:
                    connection.execute(insert(tables.lease).values(id=1, **values))
                    return True
                same = (tables.lease.c.fence == found.fence, tables.lease.c.beat == found.beat, tables.lease.c.holder == found.holder)
                return connection.execute(update(tables.lease).where(*same).values(**values)).rowcount == 1
        except IntegrityError:
            return False  # another daemon was faster

    def _is_silent(self, found: Holder) -> bool:
        seen = (found.fence, found.beat)
        if seen != self._watched:
            self._watched, self._watched_since = seen, self._clock.monotonic()
        return self._clock.monotonic() - self._watched_since > PATIENCE

    def beat(self) -> None:
        """Gives a sign of life, if it is time for one.

        Raises:
            LeaseLostError: If another daemon has taken over.
        """
        if self._clock.monotonic() - self._beaten >= BEAT:
            with self.fenced():
                pass

    @contextmanager
    def fenced(self) -> Iterator[Connection]:
        """Gives a connection whose changes are made only if this daemon still has the lease; a sign of life comes with them.

        Raises:
            LeaseLostError: If it does not.
        """
        with self._state.transaction() as connection:
            mine = (tables.lease.c.holder == self._name, tables.lease.c.fence == self._fence)
            values = {"beat": tables.lease.c.beat + 1, "seen": self._clock.now()}
            if connection.execute(update(tables.lease).where(*mine).values(**values)).rowcount != 1:
                self._fence = 0
                raise LeaseLostError("Another daemon has taken over: this one was silent for too long.")
            yield connection
        self._beaten = self._clock.monotonic()

    def announce(self, port: int) -> None:
        """Says where the daemon answers."""
        with self.fenced() as connection:
            connection.execute(update(tables.lease).values(port=port))

    def release(self) -> None:
        """Gives the lease back, so that a waiting daemon need not wait for silence."""
        if self.held:
            with self.fenced() as connection:
                connection.execute(update(tables.lease).values(holder=_FREE, port=0))
            self._fence = 0
