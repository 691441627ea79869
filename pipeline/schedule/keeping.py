"""What keeps the scheduler small for months: old ticks are counted and removed, old logs go, and `cauce gc` runs once a day."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.schedule.clock import Clock
from pipeline.schedule.journal import Journal
from pipeline.schedule.lease import Lease
from pipeline.schedule.logs import say
from pipeline.schedule.model import DAY, Schedule
from pipeline.schedule.runs import CauceRuns
from pipeline.schedule.state import State

_LOOK = 600.0
_MOST_TICKS = 20_000
_MOST_BATCHES = 20
_TAIL = 2_000


@dataclass
class Keeper:
    """Tidies up, now and then.

    Attributes:
        state: The database.
        runs: Where runs print, and what `cauce gc` gets.
        clock: The time.
    """

    state: State
    runs: CauceRuns
    clock: Clock
    _looked: float = float("-inf")
    _collected: float = float("-inf")
    _gc: subprocess.Popen[bytes] | None = None
    _journal: Journal | None = field(default=None, repr=False)

    def begin(self, lease: Lease, woken: threading.Event) -> None:
        """Begins with the first look in a while: a daemon that starts has more urgent things to do."""
        self._journal = Journal(lease, self.clock)
        self._looked = self.clock.monotonic() - _LOOK + 60
        self._collected = self._last_gc()

    def end(self) -> None:
        """Leaves a `cauce gc` that goes on to its end: it can be killed at any moment too."""

    def step(self, *, idle: bool) -> None:
        """Tidies up, if it is time."""
        if self._gc is not None and self._gc.poll() is not None:
            self._say_gc(self._gc.returncode)
            self._gc = None
        moment = self.clock.monotonic()
        if moment - self._looked < _LOOK or self._journal is None:
            return
        self._looked = moment
        schedules = self.state.schedules()
        kept = self.state.kept()
        for schedule in schedules:
            count, first = kept.get(schedule.id, (0, 0))
            if count > _MOST_TICKS or (count and first < self._kept_since(schedule)):
                self.prune(schedule)
        self.remove_logs(schedules)
        if idle and self._gc is None and self.clock.now() / 1000 - self._collected >= DAY:
            self._start_gc(schedules)

    def prune(self, schedule: Schedule) -> int:
        """Removes the ticks of a schedule that are too old, or too many; they stay counted."""
        if self._journal is None:
            return 0
        before = max(self._kept_since(schedule), self.state.moment_of(schedule.id, _MOST_TICKS))
        removed = 0
        for _ in range(_MOST_BATCHES):
            batch = self._journal.prune(schedule.id, before)
            removed += batch
            if not batch:
                break
        return removed

    def _kept_since(self, schedule: Schedule) -> int:
        return self.clock.now() - round(schedule.policy.keep_history * DAY * 1000)

    def remove_logs(self, schedules: Collection[Schedule]) -> None:
        """Removes what runs printed longer ago than any schedule keeps its history."""
        days = max((schedule.policy.keep_history for schedule in schedules), default=0.0)
        before = self.clock.now() / 1000 - days * DAY
        for log in self.runs.folder.glob("*.log"):
            with contextlib.suppress(OSError):
                if log.stat().st_mtime < before:
                    log.unlink()

    def _mark(self) -> Path:
        return self.runs.folder / "gc.log"

    def _last_gc(self) -> float:
        try:
            return self._mark().stat().st_mtime
        except OSError:
            return 0.0

    def _start_gc(self, schedules: Collection[Schedule]) -> None:
        """Starts `cauce gc`; it judges the runs of all pipelines, so of several schedules the one that keeps most counts."""
        wanted = [schedule.policy.keep_runs for schedule in schedules if schedule.policy.keep_runs is not None]
        if not wanted:
            return
        self._collected = self.clock.now() / 1000
        mark = self._mark()
        mark.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "pipeline", "gc", "--keep", str(max(wanted)), "--apply", "--root", str(self.runs.root)]
        with mark.open("wb") as output:
            self._gc = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.runs.root,
                env=self.runs.environment(),
                start_new_session=True,
            )
        say("gc", f"cauce gc --keep {max(wanted)} --apply", keep=max(wanted))

    def _say_gc(self, code: int) -> None:
        with contextlib.suppress(OSError), self._mark().open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().decode("utf-8", "replace").strip().split("\n")
            say("gc", f"cauce gc: {lines[-1]}", level=logging.WARNING if code else logging.INFO, code=code)
