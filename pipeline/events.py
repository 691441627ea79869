"""The events of a run on disk, `logs/<run>/events.jsonl`, so that another process can follow a run while it goes on.

One JSON object a line, appended and never changed. What an executor tells several times a second is thinned out: the longer a node
works, the longer the gaps, so that the file stays small however long the run is. A file that cannot be written harms no run.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pipeline.reporter import Reporter

if TYPE_CHECKING:
    from pipeline.context import Progress
    from pipeline.driver import Decision, RunInfo
    from pipeline.outcome import Outcome, RunResult

EVENTS_FILE = "events.jsonl"
_SHORTEST_GAP = 0.4
_GAPS_IN_LIFE = 400
"""A node's gap grows to its age divided by this: about 2,400 events in a hundred days."""

_READ_BYTES = 4 << 20
_WORKS = "run"  # the value of Action.RUN


@dataclass
class EventLog(Reporter):
    """Appends what it hears to a file, once a node works: a run in which nothing changed leaves none.

    Attributes:
        file: The file; its folder is made.
    """

    file: Path
    _stream: IO[str] | None = None
    _waiting: list[str] | None = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _nodes: dict[str, _Pace] = field(default_factory=dict)

    def run_started(self, run: RunInfo, nodes: Sequence[str], log_folder: str) -> None:
        self._say("run_started", run=run.run, nodes=list(nodes))

    def node_decided(self, node: str, decision: Decision) -> None:
        self._nodes[node] = _Pace(time.monotonic())
        self._say("node_decided", node=node, action=decision.action.value)

    def node_progress(self, node: str, progress: Progress) -> None:
        told = {"message": progress.message, "rows": progress.rows, "fields": dict(progress.fields)}
        pace = self._nodes.setdefault(node, _Pace(time.monotonic()))
        pace.held = None if pace.due(progress.message) else told
        if pace.held is None:
            self._say("node_progress", node=node, **told)

    def node_memory(self, node: str, resident: int) -> None:
        pace = self._nodes.setdefault(node, _Pace(time.monotonic()))
        if pace.memory_due():
            self._say("node_memory", node=node, bytes=resident)

    def node_retried(self, node: str, attempt: int, error: str, delay: float) -> None:
        self._say("node_retried", node=node, attempt=attempt, error=error, delay=delay)

    def node_finished(self, node: str, outcome: Outcome) -> None:
        pace = self._nodes.pop(node, None)
        if pace is not None and pace.held is not None:
            self._say("node_progress", node=node, **pace.held)
        self._say("node_finished", node=node, state=outcome.state.value, seconds=round(outcome.seconds, 3))

    def run_finished(self, result: RunResult) -> None:
        self._say("run_finished", state=result.state.value)
        with self._lock:
            if self._stream is not None:
                self._stream.close()
                self._stream = None

    def note(self, text: str, details: Mapping[str, str] | None = None) -> None:
        self._say("note", text=text)

    def _say(self, event: str, **fields: Any) -> None:
        line = json.dumps({"time": round(time.time(), 3), "event": event, **fields}, default=str)
        with self._lock:
            if self._waiting is not None:
                self._waiting.append(line)
                if fields.get("action") != _WORKS:
                    return
                line, self._waiting = "\n".join(self._waiting), None
            with contextlib.suppress(OSError):  # a full disk: the run's own errors will say so
                if self._stream is None:
                    self.file.parent.mkdir(parents=True, exist_ok=True)
                    self._stream = self.file.open("a", encoding="utf-8", buffering=1)
                self._stream.write(line + "\n")


@dataclass
class _Pace:
    """When a node may be heard again; `held` is what it said last, if that was not written."""

    born: float
    held: dict[str, Any] | None = None
    _message: str | None = None
    _next: float = 0.0
    _next_memory: float = 0.0

    def due(self, message: str) -> bool:
        now = time.monotonic()
        if message == self._message and now < self._next:
            return False
        self._message, self._next = message, now + self._gap(now)
        return True

    def memory_due(self) -> bool:
        now = time.monotonic()
        if now < self._next_memory:
            return False
        self._next_memory = now + 2 * self._gap(now)
        return True

    def _gap(self, now: float) -> float:
        return max(_SHORTEST_GAP, (now - self.born) / _GAPS_IN_LIFE)


@dataclass(frozen=True)
class Both(Reporter):
    """Tells two reporters.

    Attributes:
        first: Hears everything first.
        second: Hears everything then.
    """

    first: Reporter
    second: Reporter

    def run_started(self, run: RunInfo, nodes: Sequence[str], log_folder: str) -> None:
        self.first.run_started(run, nodes, log_folder)
        self.second.run_started(run, nodes, log_folder)

    def node_decided(self, node: str, decision: Decision) -> None:
        self.first.node_decided(node, decision)
        self.second.node_decided(node, decision)

    def node_progress(self, node: str, progress: Progress) -> None:
        self.first.node_progress(node, progress)
        self.second.node_progress(node, progress)

    def node_memory(self, node: str, resident: int) -> None:
        self.first.node_memory(node, resident)
        self.second.node_memory(node, resident)

    def node_retried(self, node: str, attempt: int, error: str, delay: float) -> None:
        self.first.node_retried(node, attempt, error, delay)
        self.second.node_retried(node, attempt, error, delay)

    def node_finished(self, node: str, outcome: Outcome) -> None:
        self.first.node_finished(node, outcome)
        self.second.node_finished(node, outcome)

    def run_finished(self, result: RunResult) -> None:
        self.first.run_finished(result)
        self.second.run_finished(result)

    def note(self, text: str, details: Mapping[str, str] | None = None) -> None:
        self.first.note(text, details)
        self.second.note(text, details)


def read_events(file: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Returns the events after an offset in bytes, at most 4 MiB of them, and the offset after them; none where there is no file.

    A last line that is not whole yet is left for the next time; a line that is no event is left out.
    """
    try:
        with file.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(_READ_BYTES)
    except OSError:
        return [], offset
    whole = data[: data.rfind(b"\n") + 1]
    return [event for line in whole.splitlines() if (event := _parsed(line)) is not None], offset + len(whole)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
