"""The daemon: holds the lease, collects ticks, starts and ends runs, and sleeps in between."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.errors import CauceError
from pipeline.schedule.clock import Clock
from pipeline.schedule.collecting import Collector
from pipeline.schedule.dispatching import Dispatcher, TellOf, tell_nobody
from pipeline.schedule.folders import LOOK
from pipeline.schedule.journal import Journal
from pipeline.schedule.lease import Holder, Lease, LeaseLostError
from pipeline.schedule.logs import say
from pipeline.schedule.model import TickState
from pipeline.schedule.runs import Runs
from pipeline.schedule.state import State
from pipeline.schedule.watching import Watcher

_IDLE = 1.0
_STANDBY = 2.0
_TROUBLE = 5.0
_LEAVE = 20.0


class Helper(Protocol):
    """What works beside the daemon while it holds the lease: notifications, answers on loopback, tidying up."""

    def begin(self, lease: Lease, woken: threading.Event) -> None:
        """Is called when the daemon has taken the lease."""
        ...

    def step(self, *, idle: bool) -> None:
        """Is called each time that the daemon wakes up; `idle` says that no run goes on."""
        ...

    def end(self) -> None:
        """Is called when the daemon has the lease no longer."""
        ...


@dataclass
class Daemon:
    """Works as long as it holds the lease, and waits for it otherwise.

    Attributes:
        state: The database.
        runs: The processes of runs.
        watcher: Looks at triggers that are not of the clock.
        clock: The time.
        places: How many runs may go on at once.
        once: Whether to end when nothing is left to do.
        only: Numbers of the ticks to work on; None for all, and for whatever comes.
        tell: Makes notifications.
        helpers: What works beside it.
    """

    state: State
    runs: Runs
    watcher: Watcher
    clock: Clock = field(default_factory=Clock)
    places: int = 1
    once: bool = False
    only: frozenset[int] | None = None
    tell: TellOf = tell_nobody
    helpers: Sequence[Helper] = ()
    woken: threading.Event = field(default_factory=threading.Event)
    _stopped: bool = False

    def __post_init__(self) -> None:
        self.lease = Lease(self.state, self.clock, once=self.once, places=self.places)
        self.journal = Journal(self.lease, self.clock)
        self.collector = Collector(self.state, self.journal, self.watcher, self.clock, self.woken)
        self.dispatcher = Dispatcher(self.state, self.journal, self.runs, self.clock, self.places, self.tell, self.only)
        self._changes: tuple[int, int] | None = None
        self._changes_read = float("-inf")
        self._wanted = True

    def stop(self) -> None:
        """Makes `run` end after its current step; from a signal handler or another thread."""
        self._stopped = True
        self.woken.set()

    @property
    def was_stopped(self) -> bool:
        """Whether it ended because it was told to."""
        return self._stopped

    def run(self) -> Holder | None:
        """Works until it is stopped; with `once`, until nothing is left to do, or another daemon has the lease, which is returned."""
        waits = False
        while not self._stopped:
            if not self.lease.held:
                holder = self.lease.acquire()
                if holder is not None:
                    if self.once:
                        return holder
                    if not waits:
                        where = f"process {holder.pid} on {holder.host}"
                        say(
                            "standby",
                            f"another daemon works ({where}); this one takes over when it is gone",
                            pid=holder.pid,
                            host=holder.host,
                        )
                    waits = True
                    self._sleep(_STANDBY)
                    continue
                waits = False
                self.begin()
            delay = self._guarded_step()
            if self.once and self.lease.held and not self._is_busy():
                break
            if not self._stopped:
                self._sleep(delay)
        self._leave()
        return None

    def _sleep(self, seconds: float) -> None:
        self.clock.wait(self.woken, seconds)
        self.woken.clear()

    def begin(self) -> None:
        """Takes up the work where the last daemon left it."""
        self.collector.load()
        self.dispatcher.load()
        self._changes, self._wanted = None, True
        for helper in self.helpers:
            helper.begin(self.lease, self.woken)
        count, open = len(self.collector.schedules), len(self.dispatcher.open)
        say("working", f"the daemon works: {count} schedules, {open} runs go on", schedules=count, running=open)

    def _guarded_step(self) -> float:
        """Does a step; trouble with a database or a disk is logged and waited out, for the daemon must outlive it."""
        try:
            return self.step()
        except LeaseLostError as error:
            say("lease lost", error.message, level=logging.WARNING)
            self._end_helpers()
            return 0.0
        except (CauceError, OSError) as error:
            say("trouble", f"{error}; trying again in {_TROUBLE:g} s", level=logging.ERROR)
            self._changes, self._wanted = None, True
            return _TROUBLE

    def step(self) -> float:
        """Does all there is to do; returns the seconds after which to look again."""
        self.lease.beat()
        self._read_changes()
        if self.only is None:
            self._wanted |= self.collector.collect() > 0
        if self.dispatcher.open:
            self._wanted |= self.dispatcher.supervise(self.collector.schedules) > 0
        wake = self.dispatcher.wake
        if self._wanted or (wake is not None and wake <= self.clock.now()):
            self._wanted = False
            self.dispatcher.dispatch(self.collector.schedules)
        for helper in self.helpers:
            helper.step(idle=not self.dispatcher.open)
        return self._delay()

    def _read_changes(self) -> None:
        """Learns what commands have changed."""
        if self.clock.monotonic() - self._changes_read < LOOK * 0.9 and not self.woken.is_set() and self._changes is not None:
            return
        self._changes_read = self.clock.monotonic()
        changes = self.state.changes()
        if self._changes is None or changes[0] != self._changes[0]:
            self.collector.load()
            self._wanted = True
        if changes != self._changes:
            self.dispatcher.refresh_stops()
            self._wanted = True
        self._changes = changes

    def _delay(self) -> float:
        busy = self.collector.watches or self.dispatcher.open
        moments = [moment for moment in (self.collector.next_due(), self.dispatcher.wake) if moment is not None]
        until = min(((moment - self.clock.now()) / 1000 for moment in moments), default=_IDLE)
        return max(0.0, min(until, LOOK if busy else _IDLE))

    def _is_busy(self) -> bool:
        """Returns whether a run goes on, or could be started now."""
        now = self.clock.now()
        waiting = [tick for tick in self.state.open_ticks() if tick.state is TickState.WAITING]
        if self.only is not None:
            return any(tick.id in self.only for tick in self.state.open_ticks())
        return bool(self.dispatcher.open) or any(tick.not_before <= now for tick in waiting)

    def _leave(self) -> None:
        """Stops the runs, which the next daemon resumes, and gives the lease back."""
        if not self.lease.held:
            return
        try:
            for attempt in list(self.dispatcher.open):
                if not attempt.stop:
                    self.dispatcher.stop(attempt, "shutdown", "the daemon was stopped")
            deadline = self.clock.monotonic() + _LEAVE
            while self.dispatcher.open and self.clock.monotonic() < deadline:
                self.lease.beat()
                self.dispatcher.supervise(self.collector.schedules)
                if self.dispatcher.open:
                    self.clock.wait(threading.Event(), 0.1)
            self._end_helpers()
            self.lease.release()
            say("stopped", "the daemon has stopped")
        except CauceError as error:
            self._end_helpers()
            say("stopped", f"the daemon has stopped: {error}", level=logging.WARNING)

    def _end_helpers(self) -> None:
        self.collector.end()
        for helper in self.helpers:
            helper.end()
