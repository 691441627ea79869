"""Notifications: made in the transaction that ends a run, sent afterwards, and tried again until they arrive.

They are delivered at least once: one that was sent while the daemon was killed is sent again, under the same key.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from pipeline.errors import CauceError
from pipeline.reports import timestamp
from pipeline.schedule import tables
from pipeline.schedule.clock import Clock
from pipeline.schedule.deciding import Outcome, Settlement, sentences
from pipeline.schedule.journal import Notice
from pipeline.schedule.lease import Lease
from pipeline.schedule.logs import say
from pipeline.schedule.model import Attempt, Schedule, Target, Tick
from pipeline.schedule.secrets import without
from pipeline.schedule.sending import send
from pipeline.schedule.state import State
from pipeline.schedule.targets import references, shown_target

TRIES = 8
"""How often a notification is tried; 10 s after the first, then 20 s, and so on."""

PER_MINUTE = 6
"""How many notifications a target of a schedule gets in a minute; later ones wait."""

MOST_WAITING = 20
"""How many notifications of a target may wait; the oldest beyond that are dropped, and the next one says how many."""

_FIRST_DELAY = 10_000
_MINUTE = 60_000
_LOOK = 1.0


@dataclass(frozen=True)
class Teller:
    """Makes the notifications of an end.

    Attributes:
        root: The root folder, which the commands that they name take.
        log: Returns the file with what the process of an attempt printed.
    """

    root: Path
    log: Callable[[Attempt], Path]

    def __call__(self, schedule: Schedule, tick: Tick, attempt: Attempt, end: Settlement, outcome: Outcome) -> Sequence[Notice]:
        return [
            Notice(event, place, self._body(event, schedule, tick, attempt, end, outcome))
            for event in end.events
            for place, target in enumerate(schedule.targets)
            if event in target.events
        ]

    def _body(self, event: str, schedule: Schedule, tick: Tick, attempt: Attempt, end: Settlement, outcome: Outcome) -> dict[str, Any]:
        verdicts = outcome.details.get("verdicts", {})
        told = {"not blessed": "not blessed", "pushed": "pushed"}.get(event)
        reasons = [reason for verdict in verdicts.values() if verdict["kind"] == told for reason in verdict["reasons"]]
        return {
            "event": event,
            "schedule": schedule.name,
            "pipeline": schedule.pipeline,
            "run": attempt.run,
            "tick": tick.id,
            "cause": tick.cause,
            "due": timestamp(tick.due),
            "started": timestamp(attempt.started),
            "reason": sentences(reasons) or end.reason,
            "links": {
                "show": f"cauce runs show {attempt.run} --root {self.root}",
                "history": f"cauce schedule history {schedule.name} --root {self.root}",
                "log": outcome.details.get("log", str(self.log(attempt))),
            },
        }


@dataclass
class Notifier:
    """Sends what waits, in a thread of its own: a server that does not answer holds up no run.

    Attributes:
        state: The database.
        clock: The time.
    """

    state: State
    clock: Clock
    _thread: threading.Thread | None = None

    def begin(self, lease: Lease, woken: threading.Event) -> None:
        """Begins to send."""
        self._lease, self._ended = lease, threading.Event()
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
        self._thread.start()

    def step(self, *, idle: bool) -> None:
        """Does nothing; the thread looks by itself."""

    def end(self) -> None:
        """Sends what waits and can be sent at once, and ends."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join(timeout=15)
            self._thread = None

    def _work(self) -> None:
        while True:
            last = self._ended.is_set()
            try:
                self.send_waiting()
            except CauceError as error:
                say("notify", f"notifications cannot be sent now: {error.message}", level=logging.WARNING)
            if last:
                return
            self._ended.wait(_LOOK)

    def send_waiting(self) -> int:
        """Sends all that waits and may be sent now; returns how many arrived."""
        waiting = self._waiting()
        if not waiting:
            return 0
        schedules = {schedule.id: schedule for schedule in self.state.schedules()}
        arrived = 0
        for row in waiting:
            schedule = schedules.get(row.schedule)
            target = schedule.targets[row.target] if schedule and row.target < len(schedule.targets) else None
            if schedule is None or target is None:
                continue
            if not self._holds_back(row):
                arrived += self._send(row, schedule, target)
        return arrived

    def _waiting(self) -> Sequence[Any]:
        own = tables.notices.c
        with self.state.reading() as connection:
            query = select(tables.notices).where(own.state == "waiting", own.not_before <= self.clock.now()).order_by(own.id).limit(100)
            return connection.execute(query).all()

    def _holds_back(self, row: Any) -> bool:
        """Lets a notification wait where its target has had enough in this minute, or drops it where too many wait already."""
        own, now = tables.notices.c, self.clock.now()
        same = (own.schedule == row.schedule, own.target == row.target)
        recent = select(own.ended).where(*same, own.state == "sent", own.ended > now - _MINUTE).order_by(own.ended)
        with self.state.reading() as connection:
            sent = connection.execute(recent).scalars().all()
            newer = connection.execute(select(func.count()).where(*same, own.state == "waiting", own.id > row.id)).scalar() or 0
        if newer >= MOST_WAITING:
            self._write(row.id, state="dropped", problem=f"{newer} newer ones wait for the same target", ended=now)
            return True
        if len(sent) >= PER_MINUTE:
            self._write(row.id, not_before=int(sent[-PER_MINUTE]) + _MINUTE)
            return True
        return False

    def _send(self, row: Any, schedule: Schedule, target: Target) -> bool:
        body = {**json.loads(row.body), "dropped": self._dropped(row), "sent": timestamp(self.clock.now())}
        folder = Path(schedule.definition).parent
        try:
            send(target, body, key=row.key, now=self.clock.now(), folder=folder)
        except (CauceError, OSError, ValueError) as error:
            self._failed(row, target, without(str(error), references(target)))
            return False
        self._write(row.id, state="sent", tries=row.tries + 1, problem="", ended=self.clock.now())
        say("notified", f"{schedule.name}: {row.event}: {shown_target(target)}", schedule=schedule.name, tick=row.tick, notified=row.event)
        return True

    def _dropped(self, row: Any) -> int:
        """Returns how many notifications were dropped since the last one that this target got."""
        own = tables.notices.c
        same = (own.schedule == row.schedule, own.target == row.target, own.id < row.id)
        with self.state.reading() as connection:
            last = connection.execute(select(func.max(own.id)).where(*same, own.state == "sent")).scalar() or 0
            return int(connection.execute(select(func.count()).where(*same, own.state == "dropped", own.id > last)).scalar() or 0)

    def _failed(self, row: Any, target: Target, problem: str) -> None:
        tries, now = row.tries + 1, self.clock.now()
        if tries >= TRIES:
            self._write(row.id, state="failed", tries=tries, problem=problem, ended=now)
            say("notify", f"{shown_target(target)}: given up after {tries} tries: {problem}", level=logging.ERROR)
        else:
            self._write(row.id, tries=tries, problem=problem, not_before=now + _FIRST_DELAY * 2 ** (tries - 1))
            say("notify", f"{shown_target(target)}: {problem}; it is tried again", level=logging.WARNING)

    def _write(self, id: int, **values: Any) -> None:
        with self._lease.fenced() as connection:
            connection.execute(update(tables.notices).where(tables.notices.c.id == id).values(**values))
