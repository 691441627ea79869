"""What the daemon writes: each step in the life of a tick, one transaction, made only while it holds the lease.

recorded (waits, or is skipped) -> claimed (an attempt with a run id) -> running (its process is known) -> ended, or waits again

A daemon may be killed between any two steps: the next one finds the tick in the state of the last step, and goes on from there.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection

from pipeline.schedule import tables
from pipeline.schedule.clock import Clock
from pipeline.schedule.deciding import Settlement
from pipeline.schedule.lease import Lease
from pipeline.schedule.model import Attempt, AttemptState, NewTick, Tick, TickState
from pipeline.schedule.state import insert_ticks

_WIDTH = 2_000
_PRUNED = 500


@dataclass(frozen=True)
class Look:
    """What a look at a trigger gave.

    Attributes:
        schedule: Number of the schedule.
        trigger: Key of the trigger.
        cursor: What it has seen by now.
        ticks: What is new, to be recorded together with the cursor.
        problem: Why it could not look, or what keeps it from firing; empty if nothing.
        soon: Whether time alone may change what is seen: files that must have been left alone for a while.
        folders: Folders whose times change when a file comes or goes.
    """

    schedule: int
    trigger: str
    cursor: str
    ticks: tuple[NewTick, ...] = ()
    problem: str = ""
    soon: bool = False
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """A tick whose state, reason or earliest start changes."""

    tick: Tick
    state: TickState
    reason: str
    not_before: int = 0


@dataclass(frozen=True)
class Notice:
    """A notification that is to be sent to the target of this place in the schedule's list."""

    event: str
    target: int
    body: Mapping[str, Any]


class Journal:
    """Writes the steps.

    Args:
        lease: The lease that must be held.
        clock: The time.
    """

    def __init__(self, lease: Lease, clock: Clock) -> None:
        self._lease = lease
        self._clock = clock

    def record(self, looks: Sequence[Look]) -> int:
        """Records ticks with the cursors that account for them, all at once; returns how many are new."""
        added = 0
        with self._lease.fenced() as connection:
            for look in looks:
                own = (tables.cursors.c.schedule == look.schedule, tables.cursors.c.trigger == look.trigger)
                # Nothing is recorded for a schedule that was removed meanwhile: its cursors went with it.
                values = {"cursor": look.cursor, "problem": look.problem[:_WIDTH]}
                if connection.execute(update(tables.cursors).where(*own).values(**values)).rowcount:
                    added += len(insert_ticks(connection, look.schedule, look.ticks, self._clock.now()))
        return added

    def change(self, changes: Sequence[Change]) -> None:
        """Records what was decided about ticks that wait."""
        with self._lease.fenced() as connection:
            for change in changes:
                values = {"state": change.state.value, "reason": change.reason[:_WIDTH], "not_before": change.not_before}
                own = (tables.ticks.c.id == change.tick.id, tables.ticks.c.state == TickState.WAITING.value)
                connection.execute(update(tables.ticks).where(*own).values(**values, decided=self._clock.now()))

    def claim(self, tick: Tick, run: str, *, resumes: bool) -> Attempt | None:
        """Records that a run of this id is about to be started; None where the tick waits no longer."""
        now = self._clock.now()
        number, host = tick.attempts + 1, socket.gethostname()
        attempt = Attempt(0, tick.id, tick.schedule, number, run, resumes, AttemptState.CLAIMED, "", "", host, 0, now, 0, 0)
        values = {name: value for name, value in vars(attempt).items() if name not in ("id", "state", "details")}
        with self._lease.fenced() as connection:
            own = (tables.ticks.c.id == tick.id, tables.ticks.c.state == TickState.WAITING.value)
            running = {"state": TickState.RUNNING.value, "reason": f"run {run}", "attempts": attempt.number, "decided": now}
            if not connection.execute(update(tables.ticks).where(*own).values(**running)).rowcount:
                return None
            made = connection.execute(insert(tables.attempts).values(**values, state=attempt.state.value, details="{}"))
            id = int(made.inserted_primary_key[0])  # type: ignore[index]
        return Attempt(**{**vars(attempt), "id": id})

    def started(self, attempt: Attempt, pid: int) -> Attempt:
        """Records that the process of an attempt was started."""
        values = {"pid": pid, "started": self._clock.now(), "host": socket.gethostname()}
        with self._lease.fenced() as connection:
            own = tables.attempts.c.id == attempt.id
            connection.execute(update(tables.attempts).where(own).values(**values, state=AttemptState.RUNNING.value))
        return Attempt(**{**vars(attempt), **values, "state": AttemptState.RUNNING})

    def stopping(self, attempt: Attempt, stop: str, reason: str) -> Attempt:
        """Records why a run is about to be stopped."""
        with self._lease.fenced() as connection:
            own = (tables.attempts.c.id == attempt.id, tables.attempts.c.stop == "")
            connection.execute(update(tables.attempts).where(*own).values(stop=stop, reason=reason[:_WIDTH]))
        return Attempt(**{**vars(attempt), "stop": stop, "reason": reason})

    def end(self, tick: Tick, attempt: Attempt, end: Settlement, details: Mapping[str, Any], notices: Sequence[Notice]) -> None:
        """Records how an attempt ended, what becomes of its tick, and what there is to notify about."""
        now = self._clock.now()
        with self._lease.fenced() as connection:
            ended = {"state": end.attempt.value, "reason": end.attempt_reason[:_WIDTH], "ended": now, "details": json.dumps(details)}
            connection.execute(update(tables.attempts).where(tables.attempts.c.id == attempt.id).values(**ended))
            values = {"state": end.tick.value, "reason": end.reason[:_WIDTH], "not_before": end.not_before, "failures": end.failures}
            connection.execute(update(tables.ticks).where(tables.ticks.c.id == tick.id).values(**values, decided=now))
            for notice in notices:
                _insert_notice(connection, tick, attempt, notice, now)

    def prune(self, schedule: int, before: int) -> int:
        """Removes closed ticks that were decided before a moment, some at a time, and counts them; returns how many."""
        closed = [state.value for state in TickState if not state.is_open]
        own = (tables.ticks.c.schedule == schedule, tables.ticks.c.state.in_(closed), tables.ticks.c.decided < before)
        with self._lease.fenced() as connection:
            query = select(tables.ticks.c.id, tables.ticks.c.state).where(*own).order_by(tables.ticks.c.id).limit(_PRUNED)
            found = connection.execute(query).all()
            ids = [row.id for row in found]
            for state in {row.state for row in found}:
                _count(connection, schedule, state, sum(row.state == state for row in found))
            connection.execute(delete(tables.notices).where(tables.notices.c.tick.in_(ids)))
            connection.execute(delete(tables.attempts).where(tables.attempts.c.tick.in_(ids)))
            connection.execute(delete(tables.ticks).where(tables.ticks.c.id.in_(ids)))
        return len(ids)


def _insert_notice(connection: Connection, tick: Tick, attempt: Attempt, notice: Notice, now: int) -> None:
    key = f"{tick.schedule}.{tick.id}.{attempt.number}.{notice.event}.{notice.target}"
    if connection.execute(select(func.count()).select_from(tables.notices).where(tables.notices.c.key == key)).scalar():
        return
    values = {"key": key, "event": notice.event, "target": notice.target, "body": json.dumps(notice.body)}
    state = {"state": "waiting", "tries": 0, "not_before": 0, "problem": "", "created": now, "ended": 0}
    connection.execute(insert(tables.notices).values(schedule=tick.schedule, tick=tick.id, **values, **state))


def _count(connection: Connection, schedule: int, state: str, more: int) -> None:
    own = (tables.counts.c.schedule == schedule, tables.counts.c.state == state)
    if not connection.execute(update(tables.counts).where(*own).values(count=tables.counts.c.count + more)).rowcount:
        connection.execute(insert(tables.counts).values(schedule=schedule, state=state, count=more))
