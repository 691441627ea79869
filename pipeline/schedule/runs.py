"""Runs as processes: started with an id that is known beforehand, found again after the daemon was killed, stopped as a group.

A run outlives the daemon that started it. It is known by its id, which stands on its command line; how it ended, its metadata store says.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil

from pipeline.driver import Action
from pipeline.errors import CauceError
from pipeline.loading import find_project
from pipeline.metadata import MetadataStore
from pipeline.records import Run, RunState
from pipeline.recovery import INTERRUPTED, recover
from pipeline.reports import timestamp
from pipeline.resolution import latest_by_node
from pipeline.schedule.deciding import Outcome
from pipeline.schedule.model import Attempt, AttemptState, Schedule, Tick
from pipeline.storage import Storage

_TAIL = 4_000
_LINES = 3
_FOLDER = "schedule"
_BEGINS = 300.0
_STATES = {RunState.DONE: AttemptState.DONE, RunState.BLOCKED: AttemptState.BLOCKED, RunState.INTERRUPTED: AttemptState.INTERRUPTED}


class Runs(Protocol):
    """What the daemon needs of runs."""

    def start(self, schedule: Schedule, tick: Tick, attempt: Attempt) -> int:
        """Starts the process of an attempt; returns its number."""
        ...

    def is_alive(self, attempt: Attempt) -> bool:
        """Returns whether the process of an attempt is there, whoever has started it."""
        ...

    def stop(self, attempt: Attempt, *, force: bool) -> None:
        """Asks the processes of an attempt to end; kills them with `force`."""
        ...

    def outcome(self, attempt: Attempt) -> Outcome | None:
        """Returns how a run that is not alive has ended; None where it has left no trace."""
        ...


class CauceRuns:
    """Runs of `cauce run`, in processes of their own.

    Args:
        root: The root folder; what a run prints goes to `schedule/<run>.<attempt>.log` below it.
        metadata: URL of the metadata store; it goes to runs in their environment, for it may hold a password.
        hidden: Returns names of variables that runs do not get: they hold secrets.
    """

    def __init__(self, root: Path, metadata: str, *, hidden: Callable[[], Collection[str]] = frozenset) -> None:
        self.root = root.resolve()
        self.metadata = metadata
        self._hidden = hidden
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._store: MetadataStore | None = None

    def store(self) -> MetadataStore:
        """Returns the metadata store, opened at the first call."""
        if self._store is None:
            self._store = MetadataStore(self.metadata)
        return self._store

    @property
    def folder(self) -> Path:
        """The folder with what runs print."""
        return self.root / _FOLDER

    def log(self, attempt: Attempt) -> Path:
        """Returns the file with what the process of an attempt prints."""
        return self.folder / f"{attempt.run}.{attempt.number}.log"

    def start(self, schedule: Schedule, tick: Tick, attempt: Attempt) -> int:
        log = self.log(attempt)
        log.parent.mkdir(parents=True, exist_ok=True)
        # Of a session of its own: a signal to the daemon does not reach it, and it can be stopped with all that it has started.
        with log.open("ab") as output:
            child = subprocess.Popen(
                self.command(schedule, tick, attempt),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=_folder(schedule),
                env=self.environment(),
                start_new_session=True,
            )
        self._children[attempt.id] = child
        return child.pid

    def command(self, schedule: Schedule, tick: Tick, attempt: Attempt) -> list[str]:
        """Returns the command of an attempt."""
        # Without -P a `pipeline.py` of the user would stand in front of the package.
        words = [sys.executable, "-P", "-m", "pipeline"]
        if attempt.resumes:
            return [*words, "resume", attempt.run, "--root", str(self.root)]
        settings = {**schedule.settings, **tick.settings}
        given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        return [*words, "run", schedule.definition, "--run-id", attempt.run, "--root", str(self.root), *given]

    def environment(self) -> dict[str, str]:
        """Returns the environment of runs."""
        hidden = self._hidden()
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return {**kept, "CAUCE_METADATA": self.metadata, "NO_COLOR": "1"}

    def is_alive(self, attempt: Attempt) -> bool:
        if attempt.host != socket.gethostname():
            return self._goes_on_elsewhere(attempt)
        child = self._children.get(attempt.id)
        if child is not None:
            if child.poll() is None:
                return True
            del self._children[attempt.id]
        if attempt.pid and self._running(attempt.pid, attempt.run) is not None:
            return True
        known = self.goes_on(attempt)
        return self._process(attempt) is not None if known is None else known

    def goes_on(self, attempt: Attempt) -> bool | None:
        """Returns whether a run goes on, as store and lock say; None where it is not in the store. One whose process is gone is marked."""
        run = self.store().find_run(attempt.run)
        if run is not None and run.state is RunState.RUNNING:
            recover(self.store(), Storage(self.root))
            run = self.store().find_run(attempt.run)
        return None if run is None or _is_of_before(run, attempt) else run.state is RunState.RUNNING

    def _goes_on_elsewhere(self, attempt: Attempt) -> bool:
        """Returns whether a run of another machine, which cannot be asked, is to be waited for: the store tells when it has ended."""
        run = self.store().find_run(attempt.run)
        if run is None:
            return time.time() * 1000 - attempt.claimed < _BEGINS * 1000
        return run.state is RunState.RUNNING

    def _process(self, attempt: Attempt) -> psutil.Process | None:
        """Returns the process of an attempt of this machine.

        It may be another one than was recorded: a daemon that was killed right after the start of a process, before that had its command
        line, is followed by one that starts a second process of the same run. The first one works then, and the second one gives up.
        """
        if attempt.host != socket.gethostname():
            return None
        if attempt.pid and (process := self._running(attempt.pid, attempt.run)) is not None:
            return process
        return next((process for pid in psutil.pids() if (process := self._running(pid, attempt.run)) is not None), None)

    def _running(self, pid: int, run: str) -> psutil.Process | None:
        try:
            process = psutil.Process(pid)
            words = process.cmdline()
            alive = process.status() != psutil.STATUS_ZOMBIE and self.names(words, run) and os.getpgid(pid) == pid
        except (psutil.Error, ProcessLookupError, PermissionError):
            return None
        return process if alive else None

    @staticmethod
    def names(words: Sequence[str], run: str) -> bool:
        """Returns whether a command line is that of a run, and not of a command that shows it."""
        return any(before in ("--run-id", "resume") and word == run for before, word in itertools.pairwise(words))

    def stop(self, attempt: Attempt, *, force: bool) -> None:
        process = self._process(attempt)
        if process is None:
            return
        try:
            # It leads its group. The first signal goes to it alone, so that it can end its own processes and record how it ended.
            if force:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.send_signal(signal.SIGTERM)
        except (ProcessLookupError, psutil.NoSuchProcess):
            return

    def outcome(self, attempt: Attempt) -> Outcome | None:
        run = self.store().find_run(attempt.run)
        if run is None:
            return self._not_begun(attempt) if attempt.started else None
        if _is_of_before(run, attempt):
            failed = Outcome(AttemptState.FAILED, f"it could not be resumed: {self._said(attempt)}")
            return failed if attempt.started else None
        if run.state is RunState.RUNNING:
            return Outcome(AttemptState.INTERRUPTED, INTERRUPTED, {"started": timestamp(run.started)})
        return Outcome(_STATES.get(run.state, AttemptState.FAILED), run.reason or "done", self._details(run, attempt))

    def _not_begun(self, attempt: Attempt) -> Outcome:
        said = self._said(attempt)
        if not said:
            return Outcome(AttemptState.INTERRUPTED, "its process is gone, and had not begun the run")
        return Outcome(AttemptState.FAILED, f"it ended before it began: {said}")

    def _said(self, attempt: Attempt) -> str:
        """Returns the last lines that a process printed; empty if it printed nothing."""
        try:
            with self.log(attempt).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
                lines = file.read().decode("utf-8", "replace").split("\n")
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"its log cannot be read ({error.strerror})"
        return " ".join(line.strip() for line in [line for line in lines if line.strip()][-_LINES:])

    def _details(self, run: Run, attempt: Attempt) -> dict[str, Any]:
        executions = latest_by_node(self.store().executions_of_run(run.id))
        verdicts = {
            node: {"kind": execution.verdict, "reasons": list(execution.verdict_reasons)}
            for node, execution in executions.items()
            if execution.verdict
        }
        # A verdict that was reused from an earlier run is no news.
        fresh = [execution.verdict for execution in executions.values() if execution.properties.get("action") == Action.RUN.value]
        failed = [execution.log for execution in executions.values() if execution.error and execution.log]
        return {
            "verdicts": verdicts,
            "blessed": "not blessed" not in fresh if "blessed" in fresh or "not blessed" in fresh else None,
            "pushed": "pushed" in fresh if "pushed" in fresh or "not pushed" in fresh else None,
            "log": failed[0] if failed else str(self.log(attempt)),
            "started": timestamp(run.started),
        }


def _is_of_before(run: Run, attempt: Attempt) -> bool:
    """Returns whether the store tells of the run as it was before this attempt to resume it."""
    return attempt.resumes and run.state not in (RunState.RUNNING, RunState.DONE) and run.ended < attempt.claimed


def _folder(schedule: Schedule) -> Path:
    """Returns the folder that a run works in: its project's, as for a person who types the command there."""
    folder = Path(schedule.definition).parent
    found = find_project(folder) or folder
    return found if found.is_dir() else Path("/")


def problem_of_start(error: OSError | CauceError) -> str:
    """Returns why a process could not be started, in a sentence."""
    return f"its process could not be started: {getattr(error, 'strerror', None) or error}"
