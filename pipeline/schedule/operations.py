"""What people do with schedules: add, let go on, trigger, fill in spans of the past."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace

from pipeline.component import Component, spec_of
from pipeline.definition import Pipeline
from pipeline.errors import UsageError
from pipeline.schedule.due import due_ticks
from pipeline.schedule.model import NewTick, Schedule
from pipeline.schedule.state import State
from pipeline.schedule.triggers import ArtifactMade, Clocked, Webhook
from pipeline.schedule.watching import Watcher

_NAME = re.compile(r"\w[\w.-]{0,99}")
_MOST_SPANS = 10_000


def add(state: State, watcher: Watcher, schedule: Schedule) -> Schedule:
    """Records a schedule; what its triggers find now is not new to them.

    Raises:
        UsageError: If its name is taken or wrong, it has no trigger, or one twice, or waits for its own artifacts.
    """
    if not _NAME.fullmatch(schedule.name):
        raise UsageError(f"A schedule's name may hold letters, digits, '_', '-' and '.', at most 100. Received: {schedule.name!r}")
    if not schedule.triggers:
        hint = "Give at least one: --cron '0 6 * * *', --every 1h, --on-span input, --webhook env:TOKEN"
        raise UsageError(f"Schedule '{schedule.name}' has no trigger.", hint=hint)
    keys = [trigger.key for trigger in schedule.triggers]
    for trigger in schedule.triggers:
        if keys.count(trigger.key) > 1:
            many = "takes one webhook" if isinstance(trigger, Webhook) else f"has the trigger twice: {trigger.describe()}"
            raise UsageError(f"Schedule '{schedule.name}' {many}.")
        if isinstance(trigger, ArtifactMade) and trigger.pipeline == schedule.pipeline:
            raise UsageError(f"Schedule '{schedule.name}' would start itself: it runs '{trigger.pipeline}', whose artifacts it waits for.")
    now = schedule.created
    cursors = {trigger.key: str(now) if isinstance(trigger, Clocked) else watcher.begin(trigger, now) for trigger in schedule.triggers}
    return replace(schedule, id=state.add(schedule, cursors))


def go_on(state: State, schedule: Schedule, now: int) -> None:
    """Lets a paused schedule go on: the times until now were paused; spans, files and artifacts that came meanwhile are new to it."""
    accounts = []
    cursors = state.cursors()
    for trigger in schedule.triggers:
        if isinstance(trigger, Clocked):
            cursor, _ = cursors.get((schedule.id, trigger.key), (str(schedule.created), ""))
            place, before = int(cursor), -1
            ticks: list[NewTick] = []
            while place != before:
                before = place
                new, place = due_ticks(schedule, trigger, place, now)
                ticks += new
            accounts.append((trigger.key, str(now), ticks))
    state.resume(schedule, accounts, now)


def trigger(state: State, schedule: Schedule, reason: str, now: int) -> int:
    """Makes a tick by hand; returns its number."""
    key = f"manual|{secrets.token_hex(8)}"
    (tick,) = state.add_ticks(schedule.id, [NewTick(key, "manual", now, f"by hand: {reason}" if reason else "by hand")], now)
    return tick


def span_nodes(pipeline: Pipeline) -> tuple[Component, ...]:
    """Returns the nodes of a pipeline that read spans: those with the parameters `input` and `span`."""
    return tuple(node for node in pipeline.nodes if {"input", "span"} <= set(spec_of(type(node)).parameters))


def spans_of(text: str) -> tuple[int, ...]:
    """Returns the numbers of `1..12`, `3`, or `1..3,7`.

    Raises:
        UsageError: For any other text.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\.\.(\d+))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last - first > _MOST_SPANS:
            raise UsageError(f"--spans is written 1..12, 3, or 1..3,7. Received: {text!r}")
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


def backfill(state: State, schedule: Schedule, nodes: Sequence[str], spans: Sequence[int], now: int) -> list[int]:
    """Makes a tick for each span, to be run one after the other whatever else is due; returns their numbers."""
    batch = secrets.token_hex(4)
    ticks = [
        NewTick(
            f"backfill|{batch}.{span}",
            "backfill",
            now,
            f"backfill of span {span}",
            ordered=True,
            settings={f"{node}.span": str(span) for node in nodes},
        )
        for span in spans
    ]
    return state.add_ticks(schedule.id, ticks, now)
