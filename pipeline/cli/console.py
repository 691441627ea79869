"""Reporters: a live table on a terminal, plain lines elsewhere, and JSON events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.cli.common import duration, size
from pipeline.context import Progress
from pipeline.driver import Action, Decision, RunInfo
from pipeline.outcome import NodeState, Outcome, RunResult
from pipeline.reporter import Reporter
from pipeline.wording import sentences

STYLES = {
    NodeState.DONE: ("✓", "green"),
    NodeState.CACHED: ("=", "cyan"),
    NodeState.SELECTED: ("=", "cyan"),
    NodeState.SKIPPED: ("-", "yellow"),
    NodeState.BLOCKED: ("■", "red"),
    NodeState.FAILED: ("✗", "red"),
    NodeState.CANCELED: ("✗", "yellow"),
    NodeState.NOT_RUN: ("·", "dim"),
}


@dataclass
class _Row:
    state: str = "waits"
    style: str = "dim"
    started: float = 0.0
    seconds: float | None = None
    reasons: tuple[str, ...] = ()
    progress: Progress | None = None
    memory: int = 0


@dataclass
class LiveReporter(Reporter):
    """A table that is drawn again four times a second, on stderr.

    Attributes:
        console: A console on a terminal.
    """

    console: Console
    _rows: dict[str, _Row] = field(default_factory=dict)
    _live: Live | None = None
    _title: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def run_started(self, run: RunInfo, nodes: Sequence[str], log_folder: str) -> None:
        self._rows = {node: _Row() for node in nodes}
        self._title = f"{run.pipeline}  run {run.run}"
        self._live = Live(get_renderable=self._draw, console=self.console, refresh_per_second=4, transient=True)
        self._live.start()

    def node_decided(self, node: str, decision: Decision) -> None:
        row = self._rows[node]
        row.reasons, row.started = decision.reasons, time.monotonic()
        if decision.action is Action.RUN:
            row.state, row.style = "runs", "bold"

    def node_progress(self, node: str, progress: Progress) -> None:
        self._rows[node].progress = progress

    def node_memory(self, node: str, resident: int) -> None:
        self._rows[node].memory = max(resident, self._rows[node].memory)

    def node_retried(self, node: str, attempt: int, error: str, delay: float) -> None:
        self.note(f"{node} failed ({error}); try {attempt + 1} in {delay:g} s")

    def node_finished(self, node: str, outcome: Outcome) -> None:
        row = self._rows[node]
        row.state, row.style = outcome.state.value, STYLES[outcome.state][1]
        row.seconds, row.reasons = outcome.seconds, outcome.reasons
        row.memory = max(row.memory, outcome.peak_memory)

    def run_finished(self, result: RunResult) -> None:
        self.stop()

    def note(self, text: str, details: Mapping[str, str] | None = None) -> None:
        self.console.print(Text(text, style="yellow"))

    def stop(self) -> None:
        """Takes the table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
        for column in ("", "node", "state"):
            table.add_column(column, no_wrap=True)
        for column in ("elapsed", "memory"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("", overflow="ellipsis", no_wrap=True)
        for node, row in self._rows.items():
            elapsed = row.seconds if row.seconds is not None else time.monotonic() - row.started if row.started else None
            running = row.state == "runs"
            table.add_row(
                Text("▸" if running else " ", style="bold"),
                Text(node),
                Text(row.state, style=row.style),
                "" if elapsed is None else duration(elapsed),
                size(row.memory) if row.memory else "",
                Text((str(row.progress or "") if running else "") or sentences(row.reasons), style="dim"),
            )
        return Group(Text(self._title, style="bold"), table)


@dataclass
class LineReporter(Reporter):
    """One line for each event, on stderr; for logs and pipes.

    Attributes:
        console: Where the lines go.
    """

    console: Console
    _last: dict[str, float] = field(default_factory=dict)

    def _say(self, text: str) -> None:
        self.console.print(Text(text))

    def run_started(self, run: RunInfo, nodes: Sequence[str], log_folder: str) -> None:
        self._say(f"run {run.run} of {run.pipeline}: {len(nodes)} nodes")

    def node_decided(self, node: str, decision: Decision) -> None:
        if decision.action is Action.RUN:
            self._say(f"{node} runs: {sentences(decision.reasons)}")

    def node_progress(self, node: str, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last.get(node, now - 10) >= 10:
            self._last[node] = now
            self._say(f"{node}: {progress}")

    def node_retried(self, node: str, attempt: int, error: str, delay: float) -> None:
        self._say(f"{node} failed ({error}); try {attempt + 1} in {delay:g} s")

    def node_finished(self, node: str, outcome: Outcome) -> None:
        told = outcome.state in (NodeState.DONE, NodeState.BLOCKED) and outcome.verdict is None
        self._say(f"{node} {outcome.state.value} in {duration(outcome.seconds)}" + ("" if told else f": {_told(outcome)}"))

    def note(self, text: str, details: Mapping[str, str] | None = None) -> None:
        self._say(text)


def _told(outcome: Outcome) -> str:
    if outcome.error is not None:
        return outcome.error.message
    if outcome.verdict is not None:
        return f"{outcome.verdict.kind}: {sentences(outcome.verdict.reasons)}"
    return sentences(outcome.reasons)


class JsonReporter(Reporter):
    """One JSON object a line for each event, on stderr."""

    def _say(self, event: str, **fields: object) -> None:
        click.echo(json.dumps({"event": event, "time": round(time.time(), 3), **fields}, default=str), err=True)

    def run_started(self, run: RunInfo, nodes: Sequence[str], log_folder: str) -> None:
        self._say("run_started", run=run.run, pipeline=run.pipeline, nodes=list(nodes), logs=log_folder)

    def node_decided(self, node: str, decision: Decision) -> None:
        self._say("node_decided", node=node, action=decision.action.value, reasons=decision.reasons)

    def node_progress(self, node: str, progress: Progress) -> None:
        self._say("node_progress", node=node, message=progress.message, rows=progress.rows, **dict(progress.fields))

    def node_retried(self, node: str, attempt: int, error: str, delay: float) -> None:
        self._say("node_retried", node=node, attempt=attempt, error=error, delay=delay)

    def node_finished(self, node: str, outcome: Outcome) -> None:
        self._say(
            "node_finished",
            node=node,
            state=outcome.state.value,
            seconds=round(outcome.seconds, 3),
            error=outcome.error and str(outcome.error),
        )

    def run_finished(self, result: RunResult) -> None:
        self._say("run_finished", run=result.run, state=result.state.value, reason=result.reason, seconds=round(result.seconds, 3))

    def note(self, text: str, details: Mapping[str, str] | None = None) -> None:
        self._say("note", text=text)
