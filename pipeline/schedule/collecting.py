"""Finds the ticks that have come: due times by the clock, everything else by looks that cost little while nothing changes."""

from __future__ import annotations

import heapq
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.metadata import sqlite_file
from pipeline.schedule.clock import Clock
from pipeline.schedule.due import due_ticks
from pipeline.schedule.folders import LOOK, Folders, time_of
from pipeline.schedule.journal import Journal, Look
from pipeline.schedule.model import Schedule
from pipeline.schedule.state import State
from pipeline.schedule.triggers import ArtifactMade, Clocked, Drift, ModelAge, Trigger, Webhook
from pipeline.schedule.watching import Watcher

_STORE_LOOK = 5.0
_AGE_LOOK = 60.0
_FULL_LOOK = 30.0
_SHARE = 500  # a look without a cause is paid off by so many times its cost without one: 0.2 % of a core for all triggers together
_SOON_SHARE = 50
_FRESH = 1e9  # a folder that changed within this second may change again without another time


@dataclass
class _Watched:
    """A trigger that is not of the clock, and what is known of it.

    Attributes:
        times: Its folders, with their times before the last look.
        next: When to look, though nothing seems to have changed, in seconds of the monotonic clock.
        cost: Seconds that the last look took.
    """

    schedule: Schedule
    trigger: Trigger
    cursor: str
    problem: str
    times: dict[str, int] = field(default_factory=dict)
    next: float = 0.0
    cost: float = 0.0

    @property
    def reads_store(self) -> bool:
        """Whether it looks into the metadata store."""
        return isinstance(self.trigger, ArtifactMade | Drift | ModelAge)


@dataclass
class Collector:
    """Records the ticks that have come.

    Attributes:
        state: The database.
        journal: Writes them.
        watcher: Looks at what does not come by the clock.
        clock: The time.
        woken: Is set when a folder changes.
    """

    state: State
    journal: Journal
    watcher: Watcher
    clock: Clock
    woken: threading.Event = field(default_factory=threading.Event)
    schedules: dict[int, Schedule] = field(default_factory=dict)
    _due: list[tuple[int, int, str]] = field(default_factory=list)
    _clocked: dict[tuple[int, str], tuple[Schedule, Clocked, int]] = field(default_factory=dict)
    _watched: list[_Watched] = field(default_factory=list)
    _looked: float = float("-inf")
    _store_looked: float = float("-inf")
    _store_time: int = -1
    _moved: bool = True

    def __post_init__(self) -> None:
        self._folders = Folders(self.clock)

    def end(self) -> None:
        """Watches nothing any more."""
        self._folders.end()

    def load(self) -> None:
        """Reads the schedules and their cursors anew."""
        cursors = self.state.cursors()
        known = {(watched.schedule.id, watched.trigger.key): watched for watched in self._watched}
        self.schedules = {schedule.id: schedule for schedule in self.state.schedules()}
        self._clocked, self._due, self._watched, self._moved = {}, [], [], True
        for schedule in self.schedules.values():
            for trigger in schedule.triggers:
                cursor, problem = cursors.get((schedule.id, trigger.key), ("null", ""))
                if isinstance(trigger, Clocked):
                    self._await(schedule, trigger, int(cursor) if cursor.isdigit() else schedule.created)
                elif not isinstance(trigger, Webhook) and schedule.paused is None:
                    before = known.get((schedule.id, trigger.key))
                    watched = _Watched(schedule, trigger, cursor, problem)
                    if before is not None and before.cursor == cursor:
                        watched.times, watched.next, watched.cost = before.times, before.next, before.cost
                    self._watched.append(watched)

    def _await(self, schedule: Schedule, trigger: Clocked, cursor: int) -> None:
        key = (schedule.id, trigger.key)
        self._clocked[key] = (schedule, trigger, cursor)
        due = next(trigger.due_times(cursor), None)
        if due is not None:
            heapq.heappush(self._due, (due, *key))

    def next_due(self) -> int | None:
        """Returns the next due time of the clock."""
        return self._due[0][0] if self._due else None

    @property
    def watches(self) -> bool:
        """Whether there is anything to look for that does not come by the clock."""
        return bool(self._watched)

    def collect(self) -> int:
        """Records all that has come; returns how many ticks are new."""
        looks = [*self._by_the_clock(), *self._seen()]
        return self.journal.record(looks) if looks else 0

    def _by_the_clock(self) -> Iterator[Look]:
        now = self.clock.now()
        while self._due and self._due[0][0] <= now:
            _, id, key = heapq.heappop(self._due)
            schedule, trigger, cursor = self._clocked[(id, key)]
            ticks, cursor = due_ticks(schedule, trigger, cursor, now)
            self._await(schedule, trigger, cursor)
            yield Look(id, key, str(cursor), ticks)

    def _seen(self) -> Iterator[Look]:
        moment = self.clock.monotonic()
        told = self._folders.told()
        if not self._watched or not (told or moment - self._looked >= LOOK * 0.9):
            return
        self._looked = moment
        changed = told | self._folders.look(entry for watched in self._watched for entry in watched.times.items())
        store_changed = self._store_has_changed(moment)
        pause = max(_FULL_LOOK, _SHARE * sum(watched.cost for watched in self._watched))
        for watched in self._watched:
            due = moment >= watched.next or (store_changed and watched.reads_store) or not changed.isdisjoint(watched.times)
            if due and (look := self._look(watched, moment, pause)) is not None:
                yield look
        if self._moved:
            self._moved = False
            self._folders.watch({path for watched in self._watched for path in watched.times}, self.woken)

    def _look(self, watched: _Watched, moment: float, pause: float) -> Look | None:
        """Looks at a trigger; returns what there is to record, if there is anything."""
        times = {folder: time_of(folder) for folder in watched.times}
        before = self.clock.monotonic()
        look = self.watcher.look(watched.schedule, watched.trigger, watched.cursor, self.clock.now())
        watched.cost = self.clock.monotonic() - before
        self._moved |= set(look.folders) != watched.times.keys()
        # A folder that was not known before the look gets no time, and is looked at once more.
        watched.times = {folder: times.get(folder, -1) for folder in look.folders}
        fresh = any(time > self.clock.now() * 1e6 - _FRESH for time in times.values())
        soon = max(LOOK, _SOON_SHARE * watched.cost)
        watched.next = moment + (soon if look.soon or fresh else _pause(watched, pause))
        changed = bool(look.ticks) or (look.cursor, look.problem) != (watched.cursor, watched.problem)
        watched.cursor, watched.problem = look.cursor, look.problem
        return look if changed else None

    def _store_has_changed(self, moment: float) -> bool:
        """Returns whether the metadata store may have changed: a look at its files, or each time where a server has it."""
        if moment - self._store_looked < _STORE_LOOK:
            return False
        self._store_looked = moment
        file = sqlite_file(self.state.metadata_url)
        before, self._store_time = self._store_time, time_of(str(file)) if file else 0
        return file is None or before != self._store_time


def _pause(watched: _Watched, pause: float) -> float:
    """Returns the seconds until the next look without a cause; those of many triggers are spread."""
    if isinstance(watched.trigger, ModelAge):
        return _AGE_LOOK
    spread = zlib.crc32(f"{watched.schedule.id} {watched.trigger.key}".encode()) % 1000 / 1000
    return pause * (0.5 + spread)
