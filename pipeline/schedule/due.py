"""Which due times have come, and what the policy on missed times says of each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

from pipeline.schedule.model import Missed, NewTick, Schedule, TickState
from pipeline.schedule.triggers import Clocked

GRACE = 60_000
"""Milliseconds by which a tick may be late and is not a missed one: a daemon that is restarted misses nothing."""

MOST = 2_000
"""Due times that are accounted for in one transaction."""

_CAUGHT_UP = "missed, for no daemon was at work then; caught up"
_MISSED = "missed, for no daemon was at work then"


def due_ticks(schedule: Schedule, trigger: Clocked, cursor: int, now: int) -> tuple[tuple[NewTick, ...], int]:
    """Returns a tick for each due time later than the cursor and not later than now, at most `MOST`, and the cursor after them."""
    within = itertools.takewhile(lambda due: due <= now, trigger.due_times(cursor))
    dues = list(itertools.islice(within, MOST))
    if not dues:
        return (), cursor
    complete = len(dues) < MOST
    ticks = tuple(_tick(schedule, trigger, dues, place, now, complete=complete) for place in range(len(dues)))
    return ticks, dues[-1]


def _tick(schedule: Schedule, trigger: Clocked, dues: Sequence[int], place: int, now: int, *, complete: bool) -> NewTick:
    due, missed = dues[place], schedule.policy.missed
    key, cause = f"{trigger.key}|{due // 1000}" if due % 1000 == 0 else f"{trigger.key}|{due}ms", trigger.describe()
    if schedule.paused is not None:
        return NewTick(key, trigger.key, due, cause, f"the schedule is paused: {schedule.paused}", TickState.SKIPPED)
    if now - due <= GRACE:
        return NewTick(key, trigger.key, due, cause)
    latest = complete and place == len(dues) - 1
    if missed is Missed.ALL:
        return NewTick(key, trigger.key, due, f"{cause}; {_CAUGHT_UP}", ordered=True)
    if missed is Missed.LATEST and latest:
        return NewTick(key, trigger.key, due, f"{cause}; {_CAUGHT_UP}")
    if missed is Missed.LATEST:
        last = f"; the schedule catches up the latest only, {_text(dues[-1])}" if complete else "; the schedule catches up the latest only"
        return NewTick(key, trigger.key, due, cause, _MISSED + last, TickState.SKIPPED)
    return NewTick(key, trigger.key, due, cause, f"{_MISSED}; the schedule catches up none", TickState.SKIPPED)


def _text(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
