"""Measures the daemon: idle with 1,000 schedules, and from a new span appearing to the run starting, with the default settings.

python benchmarks/scheduler.py [SECONDS]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from measure import clean_environment

from components.example_gen.spans import available
from pipeline.metadata import MetadataStore
from pipeline.schedule import operations
from pipeline.schedule.clock import Clock
from pipeline.schedule.model import Schedule
from pipeline.schedule.reports import Reports
from pipeline.schedule.state import State
from pipeline.schedule.triggers import Cron, Every, FileChanged, SpanArrived, Trigger
from pipeline.schedule.watching import Watcher

SCHEDULES = 1_000
SPANS = 30
SECONDS = 60.0
ARRIVALS = 10
_SETTLE = 20.0
_PATIENCE = 60.0
_DEFINITION = '''
from pipeline import Input, Output, Pipeline, component
from pipeline.artifacts import Artifact


class Text(Artifact):
    """A text."""


@component
def Writer(text: Output[Text]) -> None:
    """Writes a text."""
    (text.path / "text").write_text("text")


def create_pipeline() -> Pipeline:
    return Pipeline("bench", [Writer()])
'''


@dataclass(frozen=True)
class Idle:
    """What an idle daemon takes: the share of a core, and the bytes that it holds."""

    share: float
    resident: int


class Bench:
    """A project with a scheduler in a folder of its own.

    Args:
        folder: Is made anew.
    """

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.root = folder, folder / "root"
        self.root.mkdir(parents=True)
        self.definition = folder / "definition.py"
        self.definition.write_text(_DEFINITION)
        self.url = f"sqlite://{self.root}/metadata.db"
        self.state = State(self.url)
        self._watcher = Watcher(available, lambda: MetadataStore(self.url))

    def add(self, name: str, trigger: Trigger) -> None:
        """Adds a schedule."""
        made = Schedule(0, name, "bench", str(self.definition), (trigger,), created=Clock().now())
        operations.add(self.state, self._watcher, made)

    @contextmanager
    def daemon(self) -> Iterator[psutil.Process]:
        """Runs the daemon as long as the block lasts, as a person starts it, on a port that is free."""
        command = [sys.executable, "-m", "pipeline", "schedule", "run", "--root", str(self.root), "--port", "18751"]
        with (self.folder / "daemon.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment(os.environ))
        try:
            _wait(lambda: Reports(self.url).daemon().pid == process.pid)
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def idle(folder: Path, seconds: float = SECONDS) -> Idle:
    """Measures a daemon with 1,000 schedules, none of which is due: 500 by the clock, 400 that wait for spans, 100 for files."""
    bench = Bench(folder)
    for number in range(SCHEDULES):
        bench.add(f"s{number:04d}", _trigger(bench.folder, number))
    with bench.daemon() as process:
        time.sleep(_SETTLE)
        before, started = _cpu(process), time.monotonic()
        time.sleep(seconds)
        return Idle((_cpu(process) - before) / (time.monotonic() - started), process.memory_info().rss)


def arrivals(folder: Path, count: int = ARRIVALS) -> list[float]:
    """Measures the seconds from a new span appearing until the run for it is in the metadata store, among other schedules."""
    bench = Bench(folder)
    for number in range(20):
        bench.add(f"s{number:04d}", _trigger(bench.folder, number))
    _span(bench.folder / "arriving", 0)
    bench.add("arriving", SpanArrived("arriving/span-{SPAN}/*.csv", str(bench.folder)))
    found = []
    with bench.daemon():
        time.sleep(3)
        for number in range(1, count + 1):
            appeared = time.time()
            _span(bench.folder / "arriving", number, age=0.0)
            _wait(lambda number=number: len(bench.state.ticks()) >= number and not bench.state.open_ticks())
            found.append(MetadataStore(bench.url).runs()[-1].started / 1000 - appeared)
            time.sleep(0.1 * number)
    return found


def _trigger(folder: Path, number: int) -> Trigger:
    if number % 10 < 5:
        return Cron(f"{number % 60} {number % 24} 1 1 *", "Europe/Berlin") if number % 2 else Every(30 * 24 * 3600.0, Clock().now())
    if number % 10 == 9:
        return FileChanged(str(folder / f"file-{number}"))
    for span in range(SPANS):
        _span(folder / f"source-{number}", span)
    return SpanArrived(f"source-{number}/span-{{SPAN}}/*.csv", str(folder))


def _span(folder: Path, number: int, *, age: float = 3600.0) -> None:
    """Makes a span, an hour ago or now."""
    file = folder / f"span-{number}" / "a.csv"
    file.parent.mkdir(parents=True)
    file.write_text("a,b\n1,2\n")
    os.utime(file, (time.time() - age,) * 2)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _wait(wanted: object) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not wanted():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise SystemExit("The daemon did not do what was waited for; see daemon.log.")
        time.sleep(0.02)


def main() -> None:
    """Measures both, and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for how long the idle daemon is measured")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / ".bench" / "scheduler", help="is made anew")
    arguments = parser.parse_args()
    waited = sorted(arrivals(arguments.folder / "arrivals"))
    print(f"from a new span to its run: {waited[len(waited) // 2]:.2f} s in the middle of {len(waited)}, {waited[-1]:.2f} s at most")
    at_rest = idle(arguments.folder / "idle", arguments.seconds)
    print(f"idle with {SCHEDULES:,} schedules: {at_rest.share:.2%} of a core, {at_rest.resident / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
