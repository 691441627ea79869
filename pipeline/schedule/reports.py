"""What is known about schedules, their ticks and the daemon, in the form in which the command line and others show it.

Reads the scheduler's database and nothing else, and makes none where there is none. The dictionaries are those that `--json` prints; their
schemas are in `schemas/cli/` (`schedule-list.json`, `schedule-show.json`, `schedule-history.json`, `schedule-status.json`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.reports import timestamp
from pipeline.schedule.clock import Clock
from pipeline.schedule.lease import PATIENCE, current_holder
from pipeline.schedule.model import Attempt, Schedule, Tick, TickState
from pipeline.schedule.state import State
from pipeline.schedule.tables import database_file
from pipeline.schedule.targets import shown_target
from pipeline.schedule.triggers import next_times

NEXT = 5
"""How many of the next times are shown."""


@dataclass(frozen=True)
class AttemptReport:
    """A run that was started, or claimed, for a tick. Times are milliseconds since 1970-01-01 UTC, 0 for none."""

    number: int
    run: str
    state: str
    reason: str
    resumed: bool
    host: str
    started: int
    ended: int
    blessed: bool | None
    pushed: bool | None
    verdicts: Mapping[str, Any]

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it goes on."""
        return round((self.ended - self.started) / 1000, 3) if self.ended and self.started else None

    def as_json(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        values = {**vars(self), "started": timestamp(self.started), "ended": timestamp(self.ended), "verdicts": dict(self.verdicts)}
        return {**values, "seconds": self.seconds}


@dataclass(frozen=True)
class TickReport:
    """A due time or an event, and what became of it.

    Attributes:
        id: Number of the tick.
        schedule: Name of its schedule.
        trigger: Kind of its trigger (`cron`, `every`, `span`, `file`, `artifact`, `drift`, `age`, `webhook`), or `manual`, `backfill`.
        cause: What made it, in words.
        state: A value of `TickState`.
        reason: Why it is in that state: why it waits, was skipped, failed.
        due: When it was due, in milliseconds since 1970-01-01 UTC.
        noticed: When it was recorded.
        decided: When its state or reason last changed.
        not_before: When it is looked at again; 0 where that depends on something else.
        attempts: The runs that were started for it, in order.
    """

    id: int
    schedule: str
    trigger: str
    cause: str
    state: str
    reason: str
    due: int
    noticed: int
    decided: int
    not_before: int
    attempts: tuple[AttemptReport, ...]

    @property
    def run(self) -> str | None:
        """Id of its latest run; None if none was started."""
        return self.attempts[-1].run if self.attempts else None

    def as_json(self) -> dict[str, Any]:
        """Returns what `cauce schedule history --json` prints of it."""
        times = {name: timestamp(getattr(self, name)) for name in ("due", "noticed", "decided", "not_before")}
        return {**vars(self), **times, "run": self.run, "attempts": [attempt.as_json() for attempt in self.attempts]}


@dataclass(frozen=True)
class TriggerReport:
    """A trigger: its kind, itself in words, and what keeps it from firing (empty if nothing does)."""

    kind: str
    text: str
    problem: str


@dataclass(frozen=True)
class ScheduleReport:
    """A schedule as it is now.

    Attributes:
        id: Its number.
        name: Its name.
        pipeline: Name of its pipeline.
        definition: Path of the definition.
        state: `active` or `paused`.
        paused: Why it is paused; None if it is not.
        zone: Its time zone.
        triggers: What makes it run.
        policy: Its policies, as JSON values.
        settings: Parameters that its runs set.
        targets: Where notifications go, without secrets.
        next: Its next times, in milliseconds since 1970-01-01 UTC, each with what is due; empty where it is paused, or has no times.
        latest: The latest ticks, oldest first.
        counts: How many ticks it has had, by state.
        created: When it was made.
    """

    id: int
    name: str
    pipeline: str
    definition: str
    state: str
    paused: str | None
    zone: str
    triggers: tuple[TriggerReport, ...]
    policy: Mapping[str, Any]
    settings: Mapping[str, str]
    targets: tuple[str, ...]
    next: tuple[tuple[int, str], ...]
    latest: tuple[TickReport, ...]
    counts: Mapping[str, int]
    created: int

    def as_json(self) -> dict[str, Any]:
        """Returns what `cauce schedule list --json` prints of it."""
        return {
            **{name: getattr(self, name) for name in ("id", "name", "pipeline", "state", "paused", "zone")},
            "type": "schedule",
            "uri": self.definition,
            "created": timestamp(self.created),
            "triggers": [vars(trigger) for trigger in self.triggers],
            "policy": dict(self.policy),
            "settings": dict(self.settings),
            "targets": list(self.targets),
            "next": [{"due": timestamp(due), "trigger": text} for due, text in self.next],
            "latest": [tick.as_json() for tick in self.latest],
            "counts": dict(self.counts),
        }


@dataclass(frozen=True)
class DaemonReport:
    """The daemon and its work.

    Attributes:
        state: `working`; `silent` where it gave no sign of life for too long; `none` where no daemon has the lease.
        host: Name of its machine; empty if there is none.
        pid: Number of its process; 0 if there is none.
        port: Where it answers on loopback; 0 if it does not.
        since: Since when it works, in milliseconds since 1970-01-01 UTC; 0 if there is none.
        seen: Its last sign of life.
        last_tick: When the latest tick was recorded.
        places: How many runs it lets go on at once.
        running: Ids of the runs that go on.
        waiting: How many ticks wait.
    """

    state: str
    host: str = ""
    pid: int = 0
    port: int = 0
    since: int = 0
    seen: int = 0
    last_tick: int = 0
    places: int = 0
    running: tuple[str, ...] = ()
    waiting: int = 0

    def as_json(self) -> dict[str, Any]:
        """Returns what `cauce schedule status --json` prints."""
        times = {name: timestamp(getattr(self, name)) for name in ("since", "seen", "last_tick")}
        return {**vars(self), **times, "running": list(self.running)}


class Reports:
    """Reads the scheduler's database.

    Args:
        metadata_url: URL of the metadata store, beside which it is.
        clock: The time; the machine's, if not given.

    Raises:
        MetadataError: If there is one and it cannot be opened.
    """

    def __init__(self, metadata_url: str, *, clock: Clock | None = None) -> None:
        file = database_file(metadata_url)
        self._state = State(metadata_url) if file is None or file.is_file() else None
        self._clock = clock or Clock()

    def schedules(self, *, latest: int = 1) -> list[ScheduleReport]:
        """Returns all schedules by name, each with its `latest` ticks."""
        if self._state is None:
            return []
        cursors, counts = self._state.cursors(), self._state.counts()
        return [self._schedule(schedule, cursors, counts.get(schedule.id, {}), latest) for schedule in self._state.schedules()]

    def schedule(self, name: str, *, latest: int = NEXT) -> ScheduleReport:
        """Returns one schedule.

        Raises:
            UsageError: If there is none of that name.
        """
        state = self._opened()
        found = state.schedule(name)
        return self._schedule(found, state.cursors(), state.counts().get(found.id, {}), latest)

    def history(self, name: str | None = None, *, limit: int | None = None) -> list[TickReport]:
        """Returns the ticks of a schedule, or of all, oldest first; or the latest `limit` of them.

        Raises:
            UsageError: If there is no schedule of that name.
        """
        if self._state is None and name is None:
            return []
        state = self._opened()
        wanted = state.schedule(name).id if name is not None else None
        return self._ticks({schedule.id: schedule.name for schedule in state.schedules()}, state.ticks(wanted, limit=limit))

    def daemon(self) -> DaemonReport:
        """Returns the daemon that has the lease, and what goes on."""
        holder = current_holder(self._state) if self._state else None
        if self._state is None:
            return DaemonReport("none")
        ticks = self._state.open_ticks()
        newest = self._state.ticks(limit=1)
        work: dict[str, Any] = {
            "last_tick": newest[-1].noticed if newest else 0,
            "running": tuple(attempt.run for attempt in self._state.open_attempts()),
            "waiting": sum(tick.state is TickState.WAITING for tick in ticks),
        }
        if holder is None or holder.is_gone:
            return DaemonReport("none", **work)
        silent = self._clock.now() - holder.seen > PATIENCE * 1000
        of: dict[str, Any] = {"host": holder.host, "pid": holder.pid, "port": holder.port, "since": holder.since, "seen": holder.seen}
        return DaemonReport("silent" if silent else "working", **of, places=holder.places, **work)

    def _opened(self) -> State:
        if self._state is None:
            raise UsageError("There are no schedules yet.", hint="Make one: cauce schedule add NAME PATH --cron '0 6 * * *'")
        return self._state

    def _schedule(
        self, schedule: Schedule, cursors: Mapping[tuple[int, str], tuple[str, str]], counts: Mapping[str, int], latest: int
    ) -> ScheduleReport:
        paused = schedule.paused is not None
        times = [] if paused else next_times(schedule.triggers, self._clock.now(), NEXT)
        triggers = tuple(
            TriggerReport(trigger.KIND, trigger.describe(), cursors.get((schedule.id, trigger.key), ("", ""))[1])
            for trigger in schedule.triggers
        )
        ticks = self._ticks({schedule.id: schedule.name}, self._opened().ticks(schedule.id, limit=latest)) if latest else []
        return ScheduleReport(
            id=schedule.id,
            name=schedule.name,
            pipeline=schedule.pipeline,
            definition=schedule.definition,
            state="paused" if paused else "active",
            paused=schedule.paused,
            zone=schedule.zone,
            triggers=triggers,
            policy=schedule.policy.as_json(),
            settings=schedule.settings,
            targets=tuple(shown_target(target) for target in schedule.targets),
            next=tuple((due, trigger.describe()) for due, trigger in times),
            latest=tuple(ticks),
            counts=counts,
            created=schedule.created,
        )

    def _ticks(self, names: Mapping[int, str], ticks: Sequence[Tick]) -> list[TickReport]:
        attempts = self._opened().attempts(tick.id for tick in ticks)
        return [tick_report(tick, names.get(tick.schedule, ""), attempts[tick.id]) for tick in ticks]


def tick_report(tick: Tick, schedule: str, attempts: Sequence[Attempt]) -> TickReport:
    """Returns what is shown of a tick."""
    return TickReport(
        id=tick.id,
        schedule=schedule,
        trigger=tick.trigger.partition(":")[0],
        cause=tick.cause,
        state=tick.state.value,
        reason=tick.reason,
        due=tick.due,
        noticed=tick.noticed,
        decided=tick.decided,
        not_before=tick.not_before if tick.state is TickState.WAITING else 0,
        attempts=tuple(_attempt_report(attempt) for attempt in attempts),
    )


def _attempt_report(attempt: Attempt) -> AttemptReport:
    known = attempt.details
    verdicts: Mapping[str, Any] = known.get("verdicts", {})
    return AttemptReport(
        number=attempt.number,
        run=attempt.run,
        state=attempt.state.value,
        reason=attempt.reason,
        resumed=attempt.resumes,
        host=attempt.host,
        started=attempt.started,
        ended=attempt.ended,
        blessed=known.get("blessed"),
        pushed=known.get("pushed"),
        verdicts=verdicts,
    )
