"""A clock that tests move, and runs that take as long as they are told, by that clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from components.example_gen.spans import available
from pipeline.metadata import MetadataStore
from pipeline.schedule import operations
from pipeline.schedule.clock import Clock
from pipeline.schedule.daemon import Daemon
from pipeline.schedule.deciding import Outcome
from pipeline.schedule.model import Attempt, AttemptState, Policy, Schedule, Tick
from pipeline.schedule.state import State
from pipeline.schedule.triggers import Trigger
from pipeline.schedule.watching import Watcher

DONE = Outcome(AttemptState.DONE, "done", {"started": "then"})


def at(text: str, zone: str = "UTC") -> int:
    """Returns the moment of `2026-03-29 02:30`, in milliseconds since 1970-01-01 UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def said(moment: int, zone: str = "UTC") -> str:
    """Returns a moment as `at` takes it."""
    return datetime.fromtimestamp(moment / 1000, UTC).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


@dataclass
class MovedClock(Clock):
    """A clock that goes only when it is moved."""

    moment: int
    elapsed: float = 0.0

    def now(self) -> int:
        return self.moment

    def monotonic(self) -> float:
        return self.elapsed

    def move(self, seconds: float) -> None:
        """Lets time pass."""
        self.moment += round(seconds * 1000)
        self.elapsed += seconds

    def move_to(self, moment: int) -> None:
        """Lets time pass until a moment; none where it is past."""
        self.move(max(0.0, (moment - self.moment) / 1000))

    def wait(self, woken: threading.Event, seconds: float) -> None:
        self.move(seconds)


@dataclass
class TimedRuns:
    """Runs that are no processes: each takes `seconds` of the clock, and ends as `ends` says."""

    clock: MovedClock
    seconds: float = 10.0
    ends: Callable[[Attempt], Outcome] = lambda attempt: DONE
    started: list[Attempt] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    until: dict[str, int] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)

    def start(self, schedule: Schedule, tick: Tick, attempt: Attempt) -> int:
        self.started.append(attempt)
        self.ticks.append(tick)
        self.until[attempt.run] = self.clock.now() + round(self.seconds * 1000)
        return 4_000_000 + attempt.id

    def is_alive(self, attempt: Attempt) -> bool:
        return self.until.get(attempt.run, 0) > self.clock.now()

    def stop(self, attempt: Attempt, *, force: bool) -> None:
        self.stopped.add(attempt.run)
        self.until[attempt.run] = 0

    def outcome(self, attempt: Attempt) -> Outcome | None:
        if attempt.run in self.stopped:
            return Outcome(AttemptState.INTERRUPTED, "interrupted", {"started": "then"})
        return self.ends(attempt) if attempt.run in self.until else None


class World:
    """A scheduler on a clock that is moved."""

    def __init__(self, folder: Path, start: str, *, places: int = 1, seconds: float = 10.0) -> None:
        self.folder = folder
        self.url = f"sqlite://{folder}/metadata.db"
        self.clock = MovedClock(at(start))
        self.runs = TimedRuns(self.clock, seconds)
        self.places = places
        self.state = State(self.url)
        self.watcher = Watcher(available, lambda: MetadataStore(self.url))
        self.daemon = self.new_daemon()
        self._changes: tuple[int, int] | None = None

    def new_daemon(self, **given: Any) -> Daemon:
        """Returns another daemon on the same database."""
        return Daemon(State(self.url), self.runs, self.watcher, self.clock, **{"places": self.places, **given})

    def restart(self) -> None:
        """Replaces the daemon, as after `kill -9`; the lease of the one before is taken as that of a process that is gone."""
        self.daemon.lease.release()
        self.daemon.collector.end()
        self.daemon = self.new_daemon()

    def add(self, name: str, *triggers: Trigger, **given: Any) -> Schedule:
        """Adds a schedule."""
        policy = Policy(**{name: given.pop(name) for name in list(given) if name in Policy.__dataclass_fields__})
        schedule = Schedule(0, name, name, str(self.folder / "definition.py"), triggers, policy=policy, created=self.clock.now(), **given)
        return operations.add(self.state, self.watcher, schedule)

    def step(self) -> float:
        """Lets the daemon do all there is to do now."""
        if not self.daemon.lease.held:
            if self.daemon.lease.acquire() is not None:
                raise RuntimeError("another daemon has the lease")
            self.daemon.begin()
        return self.daemon.step()

    def go(self, seconds: float = 0.0, *, to: str = "") -> None:
        """Lets time pass, and the daemon work at each moment at which something is to happen."""
        end = at(to) if to else self.clock.now() + round(seconds * 1000)
        self.step()
        while self.clock.now() < end:
            # The daemon sleeps half a second at least; where a run has ended, or nothing is known, it looks again then.
            soon = self.clock.now() + 500
            self.clock.move_to(min(max(self._following(soon, end), soon), end))
            self.step()

    def _following(self, soon: int, end: int) -> int:
        """Returns the next moment at which something is to happen."""
        dispatcher, schedules = self.daemon.dispatcher, self.daemon.collector.schedules
        if self._changed() or any(not self.runs.is_alive(attempt) for attempt in dispatcher.open):
            return soon
        limits = [attempt.started + round(schedules[attempt.schedule].policy.timeout * 1000) + 1 for attempt in dispatcher.open]
        known = [self.daemon.collector.next_due(), dispatcher.wake, *limits]
        return min(
            [moment for moment in [*known, *self.runs.until.values()] if moment is not None and moment > self.clock.now()], default=end
        )

    def _changed(self) -> bool:
        """Returns whether a command has changed something since the last look; the first look is one too."""
        before, self._changes = self._changes, self.state.changes()
        return before != self._changes or self.daemon.collector.watches

    def ticks(self, name: str | None = None) -> list[Tick]:
        """Returns the ticks of a schedule, or of all, in the order in which they were due."""
        return self.state.ticks(self.state.schedule(name).id if name else None)

    def states(self, name: str) -> list[tuple[str, str]]:
        """Returns due time and state of each tick."""
        return [(said(tick.due), tick.state.value) for tick in self.ticks(name)]

    def why(self, name: str) -> list[tuple[str, str]]:
        """Returns state and reason of each tick."""
        return [(tick.state.value, tick.reason) for tick in self.ticks(name)]


def changed(schedule: Schedule, **given: Any) -> Schedule:
    """Returns a schedule with other fields."""
    return replace(schedule, **given)
