"""Schedules, their policies, and what became of their ticks, as the database keeps them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pipeline.schedule.quiet import QuietHours
from pipeline.schedule.triggers import Trigger, trigger_from_json

DAY = 24 * 3600.0


class Overlap(enum.Enum):
    """What becomes of a tick while the schedule's previous run goes on."""

    QUEUE = "queue"
    SKIP = "skip"
    REPLACE = "replace"


class Missed(enum.Enum):
    """What becomes of due times that passed while no daemon was at work."""

    ALL = "all"
    LATEST = "latest"
    NONE = "none"


class Interrupted(enum.Enum):
    """What becomes of a run whose process was killed, or whose machine was switched off."""

    RESUME = "resume"
    RETRY = "retry"
    FAIL = "fail"


class TickState(enum.Enum):
    """States of a tick; the first two are open."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    REPLACED = "replaced"

    @property
    def is_open(self) -> bool:
        """Whether something is still to happen."""
        return self in (TickState.WAITING, TickState.RUNNING)


class AttemptState(enum.Enum):
    """States of an attempt; the first two are open."""

    CLAIMED = "claimed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed out"
    REPLACED = "replaced"


@dataclass(frozen=True)
class Policy:
    """What a schedule does beside its triggers.

    Attributes:
        overlap: What becomes of a tick while the previous run goes on. Default: one waits.
        missed: What becomes of due times that no daemon was there for. Default: the latest runs.
        interrupted: What becomes of a run whose process is gone. Default: it is resumed.
        retries: How often a failed run is tried again. Default: 0.
        retry_delay: Seconds before the first of them; doubled each time, up to an hour. Default: 60.
        timeout: Seconds after which a run is killed. Default: a day.
        quiet: Hours in which nothing is started. Default: none.
        keep_runs: How many runs of each pipeline `cauce gc` keeps when it runs once a day. Default: None, it does not run.
        keep_history: Days for which ticks are kept one by one; afterwards they are only counted. Default: 90.
    """

    overlap: Overlap = Overlap.QUEUE
    missed: Missed = Missed.LATEST
    interrupted: Interrupted = Interrupted.RESUME
    retries: int = 0
    retry_delay: float = 60.0
    timeout: float = DAY
    quiet: QuietHours | None = None
    keep_runs: int | None = None
    keep_history: float = 90.0

    def as_json(self) -> dict[str, Any]:
        """Returns the policy as JSON values."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["quiet"] = self.quiet.text if self.quiet else None
        return {name: value.value if isinstance(value, enum.Enum) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], zone: str) -> Policy:
        """Returns the policy that `as_json` has written; quiet hours are those of the zone."""
        kinds: dict[str, type[enum.Enum]] = {"overlap": Overlap, "missed": Missed, "interrupted": Interrupted}
        made: dict[str, Any] = {name: kinds[name](value) if name in kinds else value for name, value in values.items()}
        made["quiet"] = QuietHours(made["quiet"], zone) if made.get("quiet") else None
        return cls(**made)


@dataclass(frozen=True)
class Target:
    """Where notifications go.

    Attributes:
        kind: `command`, `webhook` or `smtp`.
        events: Names of events that are sent there.
        address: A command, an URL, or the recipient's address.
        options: Everything else. A secret is named here (`env:NAME`, `file:PATH`), and never kept.
    """

    kind: str
    events: tuple[str, ...]
    address: str
    options: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Returns the target as JSON values."""
        return {"kind": self.kind, "events": list(self.events), "address": self.address, "options": dict(self.options)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Target:
        """Returns the target that `as_json` has written."""
        return cls(values["kind"], tuple(values["events"]), values["address"], values["options"])


@dataclass(frozen=True)
class Schedule:
    """When a pipeline runs, and how.

    Attributes:
        id: Number in the database; 0 where it is not there yet.
        name: What a person calls it; unique.
        pipeline: Name of the pipeline.
        definition: Path of the definition's file.
        triggers: What makes it run; each with its own key.
        zone: Time zone of cron expressions and quiet hours.
        policy: What it does beside.
        settings: Parameters that its runs set, `{"trainer.train_steps": "200"}`.
        span_nodes: Nodes whose `span` is set to the span that arrived: one run for each span, in order. Default: none, the runs take
            the spans that the definition asks for.
        targets: Where notifications go.
        paused: Why it is paused; None if it is not.
        created: Milliseconds since 1970-01-01 UTC.
    """

    id: int
    name: str
    pipeline: str
    definition: str
    triggers: tuple[Trigger, ...]
    zone: str = "UTC"
    policy: Policy = Policy()
    settings: Mapping[str, str] = field(default_factory=dict)
    span_nodes: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    paused: str | None = None
    created: int = 0

    def config(self) -> dict[str, Any]:
        """Returns what the database keeps as JSON."""
        return {
            "triggers": [trigger.as_json() for trigger in self.triggers],
            "zone": self.zone,
            "policy": self.policy.as_json(),
            "settings": dict(self.settings),
            "span_nodes": list(self.span_nodes),
            "targets": [target.as_json() for target in self.targets],
        }

    @staticmethod
    def parts(config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that `config` has written."""
        zone = config["zone"]
        return {
            "triggers": tuple(trigger_from_json(values) for values in config["triggers"]),
            "zone": zone,
            "policy": Policy.from_json(config["policy"], zone),
            "settings": config["settings"],
            "span_nodes": tuple(config["span_nodes"]),
            "targets": tuple(Target.from_json(values) for values in config["targets"]),
        }


@dataclass(frozen=True)
class NewTick:
    """A tick that is to be recorded.

    Attributes:
        key: What it is the tick of; recorded once in a schedule, whatever happens.
        trigger: Key of the trigger, or `manual`, `backfill`.
        due: When it was due, in milliseconds since 1970-01-01 UTC.
        cause: What made it.
        reason: Why it is in its state; empty before it was looked at.
        state: WAITING, or SKIPPED where it is decided already.
        ordered: Whether it runs whatever goes on, in its turn: a backfill, a span of its own, a missed time that is caught up.
        settings: Parameters that its run sets beside those of the schedule.
    """

    key: str
    trigger: str
    due: int
    cause: str
    reason: str = ""
    state: TickState = TickState.WAITING
    ordered: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tick(NewTick):
    """A due time or an event, and what became of it; `reason` says why.

    Attributes:
        id: Number in the database.
        schedule: Number of its schedule.
        noticed: When it was recorded.
        decided: When its state was last changed.
        not_before: When it may start at the earliest; 0 at once.
        attempts: How many attempts have begun.
        failures: How many of them have failed; those that were interrupted are not counted.
    """

    id: int = 0
    schedule: int = 0
    noticed: int = 0
    decided: int = 0
    not_before: int = 0
    attempts: int = 0
    failures: int = 0


@dataclass(frozen=True)
class Attempt:
    """One process that ran, or was to run, for a tick.

    Attributes:
        id: Number in the database.
        tick: Number of its tick.
        schedule: Number of its schedule.
        number: 1 for the first attempt of its tick.
        run: Id of the run, known before the process is started.
        resumes: Whether it goes on with a run that was interrupted.
        state: How it does.
        reason: Why it ended so; why it is being stopped, while it goes on.
        stop: Why its process was told to stop; empty if it was not: `timed out`, `replaced`, `shutdown`.
        host: Name of the machine.
        pid: Number of its process; 0 until it is known.
        claimed: Milliseconds since 1970-01-01 UTC.
        started: The same; 0 until its process was started.
        ended: The same; 0 while it goes on.
        details: What its run has decided: `blessed`, `pushed`, and the verdicts by node.
    """

    id: int
    tick: int
    schedule: int
    number: int
    run: str
    resumes: bool
    state: AttemptState
    reason: str
    stop: str
    host: str
    pid: int
    claimed: int
    started: int
    ended: int
    details: Mapping[str, Any] = field(default_factory=dict)
