"""What to do with a tick that waits, and with one whose run has ended: rules without side effects, each answer with its reason."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.schedule.model import Attempt, AttemptState, Interrupted, Overlap, Schedule, Tick, TickState
from pipeline.schedule.triggers import Cron, Every, span_text

_LONGEST_DELAY = 3600.0
_INTERRUPTIONS = 5
_CLOCKED = tuple(f"{kind.KIND}:" for kind in (Cron, Every))
MANUAL = ("manual", "backfill")


class Verb(enum.Enum):
    """What to do with a tick."""

    START = "start"
    WAIT = "wait"
    SKIP = "skip"
    REPLACE = "replace"


@dataclass(frozen=True)
class Decision:
    """What to do with a tick that waits, and why.

    Attributes:
        verb: What; REPLACE stops the run that goes on, and waits for its end.
        reason: Why, in a sentence.
        not_before: The moment at which to decide again, where it is known; else 0.
    """

    verb: Verb
    reason: str
    not_before: int = 0


@dataclass(frozen=True)
class Situation:
    """What a decision depends on.

    Attributes:
        schedule: The schedule of the tick.
        running: The attempt of this schedule that goes on; None if there is none.
        ahead: The oldest other tick of this schedule that waits and was due before; None if there is none.
        newest: Whether no newer tick of this schedule waits.
        free: How many more runs may go on, over all schedules.
        places: How many runs may go on at once.
        now: The moment, in milliseconds since 1970-01-01 UTC.
    """

    schedule: Schedule
    running: Attempt | None
    ahead: Tick | None
    newest: bool
    free: int
    places: int
    now: int


def decide(tick: Tick, at: Situation) -> Decision:
    """Returns what to do with a tick that waits."""
    policy, manual = at.schedule.policy, tick.trigger in MANUAL
    paused = at.schedule.paused is not None and not manual and not tick.attempts
    if paused and not tick.ordered and tick.trigger.startswith(_CLOCKED):
        return Decision(Verb.SKIP, f"the schedule is paused: {at.schedule.paused}")
    if not tick.ordered and not tick.attempts and (decision := _crowded(tick, at)) is not None:
        return decision
    if paused:
        return Decision(Verb.WAIT, f"the schedule is paused: {at.schedule.paused}")
    if at.running is not None:
        return Decision(Verb.WAIT, f"run {at.running.run} of this schedule goes on")
    if at.ahead is not None:
        return Decision(Verb.WAIT, f"its turn comes after tick {at.ahead.id}")
    if tick.not_before > at.now:
        return Decision(Verb.WAIT, tick.reason, tick.not_before)
    quiet = policy.quiet.until(at.now) if policy.quiet and not manual else None
    if quiet is not None and policy.quiet is not None:
        return Decision(Verb.WAIT, f"quiet hours, {policy.quiet.text}", quiet)
    if at.free <= 0:
        return Decision(Verb.WAIT, f"all {at.places} places for runs are taken" if at.places > 1 else "the place for runs is taken")
    return Decision(Verb.START, "")


def _crowded(tick: Tick, at: Situation) -> Decision | None:
    """Returns what the overlap policy says where another run or tick of the schedule is in the way; None where none is."""
    overlap = at.schedule.policy.overlap
    if overlap is Overlap.SKIP and (at.running is not None or at.ahead is not None):
        busy = f"run {at.running.run} goes on" if at.running else f"tick {at.ahead.id} waits"  # type: ignore[union-attr]
        return Decision(Verb.SKIP, f"{busy}, and the schedule skips what overlaps")
    if overlap is Overlap.REPLACE:
        if not at.newest:
            return Decision(Verb.SKIP, "a newer tick came before it began, and the schedule takes the newest")
        if at.running is not None:
            return Decision(Verb.REPLACE, f"run {at.running.run} is being stopped for it")
        return None
    if at.ahead is not None and not at.ahead.ordered:
        return Decision(Verb.SKIP, f"tick {at.ahead.id} waits already, and the schedule lets one wait")
    return None


def sentences(reasons: Sequence[str]) -> str:
    """Returns the reasons of a verdict in one text, each as a sentence."""
    return " ".join(f"{reason.rstrip('.')}." for reason in reasons)


@dataclass(frozen=True)
class Outcome:
    """How a run ended, as its store, or else its process, tells.

    Attributes:
        state: DONE, FAILED, BLOCKED or INTERRUPTED.
        reason: Why.
        details: What it decided: `blessed`, `pushed`, `verdicts`; and when it `started`, if it did.
    """

    state: AttemptState
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Settlement:
    """What becomes of an attempt and its tick when its run has ended.

    Attributes:
        attempt: State of the attempt.
        attempt_reason: Why.
        tick: State of the tick; WAITING where it is tried again.
        reason: Why.
        not_before: When it is tried again.
        failures: How many attempts of the tick have failed.
        events: What there is to notify about.
    """

    attempt: AttemptState
    attempt_reason: str
    tick: TickState
    reason: str
    not_before: int = 0
    failures: int = 0
    events: tuple[str, ...] = ()


_TROUBLE = (AttemptState.FAILED, AttemptState.BLOCKED, AttemptState.TIMED_OUT)


def settle(schedule: Schedule, tick: Tick, attempts: Sequence[Attempt], outcome: Outcome, before: Attempt | None, now: int) -> Settlement:
    """Returns what becomes of a tick whose run has ended.

    Args:
        schedule: Its schedule.
        tick: The tick.
        attempts: Its attempts, the last of them the one that has ended.
        outcome: How it ended.
        before: The attempt of the schedule that ended before this one; None if there is none.
        now: The moment, in milliseconds since 1970-01-01 UTC.
    """
    attempt = attempts[-1]
    if outcome.state is AttemptState.DONE:
        return Settlement(outcome.state, outcome.reason, TickState.DONE, outcome.reason, 0, tick.failures, _good_news(outcome, before))
    if outcome.state is AttemptState.BLOCKED:
        return Settlement(outcome.state, outcome.reason, TickState.BLOCKED, outcome.reason, 0, tick.failures, ("blocked",))
    if attempt.stop == "replaced":
        return Settlement(AttemptState.REPLACED, attempt.reason, TickState.REPLACED, attempt.reason, 0, tick.failures)
    if attempt.stop == "stopped":
        return Settlement(AttemptState.INTERRUPTED, attempt.reason, TickState.FAILED, f"stopped: {attempt.reason}", 0, tick.failures)
    if attempt.stop == "timed out":
        return _failed(schedule, tick, AttemptState.TIMED_OUT, attempt.reason, now)
    if outcome.state is AttemptState.INTERRUPTED or attempt.stop == "shutdown":
        return _interrupted(schedule, tick, attempts, attempt.reason if attempt.stop else outcome.reason, now)
    return _failed(schedule, tick, AttemptState.FAILED, outcome.reason, now)


def _good_news(outcome: Outcome, before: Attempt | None) -> tuple[str, ...]:
    events = ["recovered"] if before is not None and before.state in _TROUBLE else []
    if outcome.details.get("pushed"):
        events.append("pushed")
    if outcome.details.get("blessed") is False:
        events.append("not blessed")
    return tuple(events)


def _failed(schedule: Schedule, tick: Tick, state: AttemptState, reason: str, now: int) -> Settlement:
    policy, failures = schedule.policy, tick.failures + 1
    if failures > policy.retries:
        tries = f" ({failures} tries)" if policy.retries else ""
        return Settlement(state, reason, TickState.FAILED, f"{reason}{tries}", 0, failures, ("failed",))
    delay = min(policy.retry_delay * 2 ** (failures - 1), max(_LONGEST_DELAY, policy.retry_delay))
    said = f"try {failures + 1} of {policy.retries + 1}, {span_text(delay)} after the last: {reason}"
    return Settlement(state, reason, TickState.WAITING, said, now + round(delay * 1000), failures)


def _interrupted(schedule: Schedule, tick: Tick, attempts: Sequence[Attempt], reason: str, now: int) -> Settlement:
    policy, state = schedule.policy, AttemptState.INTERRUPTED
    if policy.interrupted is Interrupted.FAIL:
        return Settlement(state, reason, TickState.FAILED, reason, 0, tick.failures + 1, ("failed",))
    times = 1 + sum(attempt.state is state and attempt.stop != "shutdown" for attempt in attempts[:-1])
    if times > _INTERRUPTIONS:
        return Settlement(state, reason, TickState.FAILED, f"{reason} ({times} times)", 0, tick.failures + 1, ("failed",))
    verb = "goes on with" if policy.interrupted is Interrupted.RESUME else "begins again after"
    return Settlement(state, reason, TickState.WAITING, f"{verb} run {attempts[-1].run}: {reason}", 0, tick.failures)


def resumes(schedule: Schedule, attempts: Sequence[Attempt]) -> bool:
    """Returns whether the next attempt goes on with the run of the last one."""
    if not attempts or schedule.policy.interrupted is not Interrupted.RESUME:
        return False
    return attempts[-1].state is AttemptState.INTERRUPTED and bool(attempts[-1].details.get("started"))
