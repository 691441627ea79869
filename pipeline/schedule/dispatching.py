"""Starts runs for ticks, watches over them, and says what became of them."""

from __future__ import annotations

import logging
import socket
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import CauceError
from pipeline.runner import new_run_id
from pipeline.schedule.clock import Clock
from pipeline.schedule.deciding import Decision, Outcome, Settlement, Situation, Verb, decide, resumes, settle
from pipeline.schedule.journal import Change, Journal, Notice
from pipeline.schedule.logs import say
from pipeline.schedule.model import Attempt, AttemptState, Schedule, Tick, TickState
from pipeline.schedule.runs import Runs, problem_of_start
from pipeline.schedule.state import State
from pipeline.schedule.triggers import span_text

KILLED_AFTER = 15.0
"""Seconds between asking a run to end, and killing it."""

_GIVEN_UP = 60.0

TellOf = Callable[[Schedule, Tick, Attempt, Settlement, Outcome], Sequence[Notice]]


def tell_nobody(schedule: Schedule, tick: Tick, attempt: Attempt, end: Settlement, outcome: Outcome) -> Sequence[Notice]:
    """Makes no notifications."""
    return ()


@dataclass
class Dispatcher:
    """Starts, watches and ends runs.

    Attributes:
        state: The database.
        journal: Writes what happens.
        runs: The processes.
        clock: The time.
        places: How many runs may go on at once, over all schedules.
        tell: Makes the notifications of an end.
        only: Numbers of the ticks that may be started; None for all.
        open: The attempts that go on.
        wake: The earliest moment at which a tick that waits must be looked at again; None where none must.
    """

    state: State
    journal: Journal
    runs: Runs
    clock: Clock
    places: int
    tell: TellOf = tell_nobody
    only: frozenset[int] | None = None
    open: list[Attempt] = field(default_factory=list)
    wake: int | None = None
    _asked: dict[int, float] = field(default_factory=dict)

    def load(self) -> None:
        """Reads anew which attempts go on: those of an earlier daemon are taken over."""
        self.open = self.state.open_attempts()

    def dispatch(self, schedules: Mapping[int, Schedule]) -> None:
        """Decides about every tick that waits, and starts those that may."""
        waiting: dict[int, list[Tick]] = defaultdict(list)
        for tick in self.state.open_ticks():
            if tick.state is TickState.WAITING and tick.schedule in schedules and (self.only is None or tick.id in self.only):
                waiting[tick.schedule].append(tick)
        running = {attempt.schedule: attempt for attempt in self.open}
        changes: list[Change] = []
        starts: list[Tick] = []
        for tick in sorted((tick for ticks in waiting.values() for tick in ticks), key=lambda tick: (tick.due, tick.id)):
            ticks = waiting[tick.schedule]
            at = Situation(
                schedule=schedules[tick.schedule],
                running=running.get(tick.schedule),
                ahead=ticks[0] if ticks[0].id != tick.id else None,
                newest=ticks[-1].id == tick.id,
                free=self.places - len(running) - len(starts),
                places=self.places,
                now=self.clock.now(),
            )
            decision = decide(tick, at)
            if decision.verb is Verb.START:
                starts.append(tick)
            elif decision.verb is Verb.SKIP:
                ticks.remove(tick)
            changes += self._apply(tick, decision, at)
        if changes:
            self.journal.change(changes)
        for tick in starts:
            self._start(schedules[tick.schedule], tick)
        later = [change.not_before for change in changes if change.not_before]
        kept = [tick.not_before for ticks in waiting.values() for tick in ticks if tick not in starts and tick.not_before]
        self.wake = min([moment for moment in [*later, *kept] if moment > self.clock.now()], default=None)

    def _apply(self, tick: Tick, decision: Decision, at: Situation) -> list[Change]:
        """Returns what a decision changes in the database, if it changes anything."""
        if decision.verb is Verb.SKIP:
            say("skipped", f"{at.schedule.name}: tick {tick.id} is skipped: {decision.reason}", schedule=at.schedule.name, tick=tick.id)
            return [Change(tick, TickState.SKIPPED, decision.reason)]
        if decision.verb is Verb.REPLACE and at.running is not None and not at.running.stop:
            self.stop(at.running, "replaced", f"replaced by tick {tick.id}: {tick.cause}")
        if decision.verb is Verb.START or (decision.reason, decision.not_before) == (tick.reason, tick.not_before):
            return []
        return [Change(tick, TickState.WAITING, decision.reason, decision.not_before)]

    def _start(self, schedule: Schedule, tick: Tick) -> None:
        earlier = self.state.attempts([tick.id])[tick.id]
        again = resumes(schedule, earlier)
        run = earlier[-1].run if again else new_run_id(self.clock.now() / 1000)
        attempt = self.journal.claim(tick, run, resumes=again)
        if attempt is not None:
            self.open.append(attempt)
            self._spawn(schedule, tick, attempt)

    def _spawn(self, schedule: Schedule, tick: Tick, attempt: Attempt) -> None:
        try:
            pid = self.runs.start(schedule, tick, attempt)
        except (OSError, CauceError) as error:
            self._end(schedule, attempt, Outcome(AttemptState.FAILED, problem_of_start(error)))
            return
        self._exchange(self.journal.started(attempt, pid))
        verb = "goes on with" if attempt.resumes else "starts"
        fields: dict[str, Any] = {"schedule": schedule.name, "tick": tick.id, "run": attempt.run, "pid": pid, "attempt": attempt.number}
        say("started", f"{schedule.name}: tick {tick.id} {verb} run {attempt.run}: {tick.cause}", **fields)

    def _exchange(self, attempt: Attempt) -> None:
        self.open = [attempt if known.id == attempt.id else known for known in self.open]

    def supervise(self, schedules: Mapping[int, Schedule]) -> int:
        """Looks after the runs that go on: ends those whose process is gone, stops those that take too long; returns how many ended."""
        ended = 0
        for attempt in list(self.open):
            schedule = schedules.get(attempt.schedule)
            if schedule is None:
                self.open.remove(attempt)
            elif self.runs.is_alive(attempt) and not self._given_up(attempt):
                self._limit(schedule, attempt)
            else:
                ended += self._see_off(schedule, attempt)
        return ended

    def _limit(self, schedule: Schedule, attempt: Attempt) -> None:
        """Stops a run that takes too long, or that was asked to end and does not."""
        timeout = schedule.policy.timeout
        if not attempt.stop and self.clock.now() - (attempt.started or attempt.claimed) > timeout * 1000:
            self.stop(attempt, "timed out", f"it took longer than {span_text(timeout)}")
        elif attempt.stop:
            asked = self._asked.get(attempt.id)
            if asked is None:
                self._ask(attempt)
            elif self.clock.monotonic() - asked > KILLED_AFTER:
                self.runs.stop(attempt, force=True)

    def stop(self, attempt: Attempt, stop: str, reason: str) -> None:
        """Asks a run to end, and records why first."""
        say("stopping", f"run {attempt.run} is being stopped: {reason}", run=attempt.run, level=logging.WARNING)
        stopped = self.journal.stopping(attempt, stop, reason)
        self._exchange(stopped)
        self._ask(stopped)

    def _ask(self, attempt: Attempt) -> None:
        self._asked[attempt.id] = self.clock.monotonic()
        self.runs.stop(attempt, force=False)

    def _given_up(self, attempt: Attempt) -> bool:
        """Returns whether a run of a machine that does not answer was asked to end long ago."""
        asked = self._asked.get(attempt.id)
        return attempt.host != socket.gethostname() and asked is not None and self.clock.monotonic() - asked > _GIVEN_UP

    def _see_off(self, schedule: Schedule, attempt: Attempt) -> int:
        """Ends an attempt whose process is gone; one that was claimed, and never started, is started now."""
        outcome = self.runs.outcome(attempt)
        if outcome is not None or attempt.stop:
            self._end(schedule, attempt, outcome or Outcome(AttemptState.INTERRUPTED, "it had not begun"))
            return 1
        found = self.state.ticks(ids=[attempt.tick])
        say("claimed", f"{schedule.name}: run {attempt.run} was claimed, and never started", run=attempt.run)
        self._spawn(schedule, found[0], attempt)
        return 0

    def _end(self, schedule: Schedule, attempt: Attempt, outcome: Outcome) -> None:
        (tick,) = self.state.ticks(ids=[attempt.tick])
        before = self.state.latest_ended(schedule.id)
        attempts = [*self.state.attempts([tick.id])[tick.id][:-1], attempt]
        end = settle(schedule, tick, attempts, outcome, before, self.clock.now())
        self.journal.end(tick, attempt, end, outcome.details, self.tell(schedule, tick, attempt, end, outcome))
        self.open = [known for known in self.open if known.id != attempt.id]
        self._asked.pop(attempt.id, None)
        level = logging.INFO if end.attempt is AttemptState.DONE else logging.WARNING
        fields: dict[str, Any] = {"schedule": schedule.name, "tick": tick.id, "run": attempt.run, "state": end.attempt.value}
        text = f"{schedule.name}: run {attempt.run} {end.attempt.value}: {end.attempt_reason}"
        say("ended", text, level=level, reason=end.attempt_reason, **fields)

    def refresh_stops(self) -> None:
        """Learns which runs a person has asked to stop."""
        asked = {attempt.id: attempt for attempt in self.state.open_attempts() if attempt.stop}
        self.open = [asked.get(attempt.id, attempt) for attempt in self.open]
