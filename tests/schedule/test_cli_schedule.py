"""`cauce schedule`: what people type, what they see, and real runs that it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pipeline.schedule.model import AttemptState, TickState
from pipeline.schedule.reports import Reports
from pipeline.schedule.state import State
from tests.cli import cauce
from tests.project import Project
from tests.schedule.spanned import REPOSITORY, SPANNED, write_spans

SLEEPING = """
    from pipeline import Pipeline
    from tests.fakes import NearDoubler, Sleeping, Source

    def create_pipeline():
        return Pipeline("sleeping", [Sleeping(Source(), pids="{pids}", seconds={seconds})])
"""
SIMPLE = """
    from pipeline import Pipeline
    from tests.fakes import FileSource, NearDoubler

    def create_pipeline():
        return Pipeline("simple", [NearDoubler(FileSource(file="numbers.txt"))])
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, project: Project) -> Iterator[None]:
    """Runs find the components of the tests; each test stands in its project; the handlers of signals are those of before."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.chdir(project.folder)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def simple(project: Project) -> Project:
    """A project with a definition that runs at once."""
    project.write("definition.py", SIMPLE)
    project.write("numbers.txt", "1 2 3")
    return project


def once(project: Project) -> None:
    said = cauce("schedule", "run", "--once", root=project.root)
    assert said.code == 0, said.err


def until(wanted: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_schedule_is_added_listed_shown_run_and_removed(simple: Project) -> None:
    words = [
        "--cron",
        "0 6 * * 1-5",
        "--timezone",
        "Europe/Berlin",
        "--retries",
        2,
        "--quiet",
        "22:00-06:00",
        "--set",
        "NearDoubler.factor=3",
    ]
    said = cauce("schedule", "add", "nightly", simple.folder, *words, "--json", root=simple.root)
    added = said.json("schedule-add")
    assert (added["pipeline"], added["zone"], added["settings"]) == ("simple", "Europe/Berlin", {"NearDoubler.factor": "3"})
    assert len(added["next"]) == 5
    assert "No daemon works" in said.err
    cauce("schedule", "trigger", "nightly", "--reason", "a test", root=simple.root)
    once(simple)
    (row,) = cauce("schedule", "list", "--json", root=simple.root).json("schedule-list")
    assert (row["name"], row["state"], row["counts"]) == ("nightly", "active", {"done": 1})
    shown = cauce("schedule", "show", "nightly", "--json", root=simple.root).json("schedule-show")
    (tick,) = shown["latest"]
    assert (tick["cause"], tick["state"], tick["trigger"]) == ("by hand: a test", "done", "manual")
    (run,) = simple.store.runs()
    assert (run.id, json.loads(str(run.properties["settings"]))) == (tick["run"], {"NearDoubler.factor": "3"})
    text = cauce("schedule", "show", "nightly", root=simple.root).out
    assert "cron '0 6 * * 1-5' (Europe/Berlin)" in text
    assert "quiet 22:00-06:00" in text
    assert cauce("schedule", "list", root=simple.root).out.splitlines()[1].startswith("nightly")
    assert cauce("schedule", "remove", "nightly", root=simple.root).code == 0
    assert cauce("schedule", "list", "--json", root=simple.root).json("schedule-list") == []
    assert len(simple.store.runs()) == 1


def test_history_says_of_each_tick_what_became_of_it_and_why(simple: Project) -> None:
    cauce("schedule", "add", "a", simple.folder, "--every", "7d", root=simple.root)
    cauce("schedule", "trigger", "a", root=simple.root)
    once(simple)
    (simple.folder / "numbers.txt").unlink()
    cauce("schedule", "trigger", "a", root=simple.root)
    once(simple)
    done, failed = cauce("schedule", "history", "a", "--json", root=simple.root).json("schedule-history")
    assert (done["state"], done["attempts"][0]["state"]) == ("done", "done")
    assert failed["state"] == "failed"
    assert failed["reason"].startswith("FileSource failed: ")
    assert "numbers.txt is missing" in failed["reason"]
    text = cauce("schedule", "history", root=simple.root).out
    assert [line.split()[1] for line in text.splitlines()[1:]] == ["a", "a"]
    assert "numbers.txt is missing" in text


def test_definition_that_no_longer_loads_fails_its_tick_with_the_message(simple: Project) -> None:
    cauce("schedule", "add", "a", simple.folder, "--every", "7d", root=simple.root)
    simple.write("definition.py", "def create_pipeline():\n    return nothing\n")
    cauce("schedule", "trigger", "a", root=simple.root)
    once(simple)
    (tick,) = cauce("schedule", "history", "--json", root=simple.root).json("schedule-history")
    assert tick["state"] == "failed"
    assert "it ended before it began: error:" in tick["reason"]
    assert "name 'nothing' is not defined" in tick["reason"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cron", "61 * * * *"], "wrong minute: '61'"),
        (["--cron", "0 6 * * *", "--timezone", "Europe/Berln"], "Did you mean 'Europe/Berlin'?"),
        (["--every", "5"], "A time is written 90s, 15m"),
        (["--quiet", "22-06", "--every", "1h"], "Quiet hours are written 22:00-06:00"),
        (["--every", "1h", "--set", "Doubler.factor=2"], "has no node 'Doubler'. Did you mean 'NearDoubler'?"),
        (["--every", "1h", "--set", "NearDoubler.factr=2"], "Did you mean 'factor'?"),
        (["--every", "1h", "--every", "60m"], "has the trigger twice: every 1h"),
        (["--on-span", "input"], "No node of 'simple' reads spans."),
        (["--on-span", "data/x"], "--on-span expects a pattern that names spans"),
        (["--on-span", "data/{SPAM}/x"], "SPAM"),
        (["--every", "1h", "--ready", "_SUCCESS"], "--ready is of spans"),
        (["--every", "1h", "--each-span"], "no node of 'simple' has a parameter 'span'"),
        (["--on-artifact", "simple"], "would start itself"),
        (["--webhook", "hunter2"], "--webhook expects where a secret is: env:NAME or file:PATH"),
        (["--every", "1h", "--notify", "failed webhook https://example.org/x secret=hunter2"], "expects where a secret is"),
        (["--every", "1h", "--notify", "failled command ./x"], "--notify knows no event 'failled'. Did you mean 'failed'?"),
        (["--every", "1h", "--notify", "failed pager x"], "--notify knows no kind 'pager'"),
        (["--every", "1h", "--notify", "failed smtp a@example.org"], "misses server and from"),
        ([], "has no trigger"),
    ],
)
def test_wrong_schedules_are_refused_when_they_are_added(simple: Project, words: list[str], message: str) -> None:
    said = cauce("schedule", "add", "a", simple.folder, *words, root=simple.root)
    assert (said.code, message in said.err) == (2, True), said.err
    assert "hunter2" not in said.err
    assert cauce("schedule", "list", "--json", root=simple.root).json("schedule-list") == []


def test_definitions_that_do_not_load_are_refused_when_they_are_added(simple: Project) -> None:
    assert "There is no definition at" in cauce("schedule", "add", "a", "nowhere.py", "--every", "1h", root=simple.root).err
    simple.write("definition.py", "def create_pipeline():\n    raise ValueError('no such table')\n")
    assert "create_pipeline raised ValueError: no such table" in cauce("schedule", "add", "a", ".", "--every", "1h", root=simple.root).err


def test_names_are_unique_and_unknown_ones_are_answered_with_the_nearest(simple: Project) -> None:
    cauce("schedule", "add", "nightly", simple.folder, "--every", "1h", root=simple.root)
    again = cauce("schedule", "add", "nightly", simple.folder, "--every", "2h", root=simple.root)
    assert (again.code, "There is a schedule 'nightly' already." in again.err) == (2, True)
    for verb in ("show", "history", "pause", "resume", "remove", "trigger", "stop", "backfill"):
        words = {"pause": ["--reason", "x"], "stop": ["--reason", "x"], "backfill": ["--spans", "1"]}.get(verb, [])
        said = cauce("schedule", verb, "nigthly", *words, root=simple.root)
        assert (said.code, "There is no schedule 'nigthly'. Did you mean 'nightly'?" in said.err) == (2, True)
    said = cauce("schedule", "add", "no/slash", simple.folder, "--every", "1h", root=simple.root)
    assert "A schedule's name may hold letters" in said.err


def test_reading_makes_no_database(simple: Project) -> None:
    assert cauce("schedule", root=simple.root).err.startswith("There are no schedules.")
    assert cauce("schedule", "history", "--json", root=simple.root).json("schedule-history") == []
    status = cauce("schedule", "status", "--json", root=simple.root)
    assert (status.code, status.json("schedule-status")["state"]) == (1, "none")
    assert "There are no schedules yet." in cauce("schedule", "show", "a", root=simple.root).err
    assert not (simple.root / "schedule.db").exists()


def test_paused_schedule_says_so(simple: Project) -> None:
    cauce("schedule", "add", "a", simple.folder, "--every", "1h", root=simple.root)
    assert cauce("schedule", "pause", "a", "--reason", "holidays", root=simple.root).code == 0
    shown = cauce("schedule", "show", "a", "--json", root=simple.root).json("schedule-show")
    assert (shown["state"], shown["paused"], shown["next"]) == ("paused", "holidays", [])
    assert "holidays" in cauce("schedule", "list", root=simple.root).out
    assert cauce("schedule", "resume", "a", root=simple.root).code == 0
    assert "is not paused" in cauce("schedule", "resume", "a", root=simple.root).err


def test_backfill_shows_what_would_run_and_then_runs_in_order(project: Project) -> None:
    project.write("definition.py", SPANNED)
    write_spans(project, [1, 2, 3])
    cauce("schedule", "add", "s", project.folder, "--every", "7d", root=project.root)
    assert cauce("schedule", "backfill", "s", "--spans", "2", root=project.root).code == 0
    plans = cauce("schedule", "backfill", "s", "--spans", "1..3", "--dry-run", "--json", root=project.root).json("schedule-backfill")
    assert [(plan["span"], plan["nodes"][0]["action"]) for plan in plans] == [(1, "run"), (2, "cached"), (3, "run")]
    assert len(project.store.runs()) == 1
    text = cauce("schedule", "backfill", "s", "--spans", "1..3", "--dry-run", root=project.root).out
    assert [" ".join(line.split()) for line in text.splitlines()[1:]] == [
        "1 SpanSource Blocking -",
        "2 - - SpanSource, Blocking",
        "3 SpanSource Blocking -",
    ]
    ticks = cauce("schedule", "backfill", "s", "--spans", "1,3", "--json", root=project.root).json("schedule-backfill")
    assert [(tick["cause"], tick["state"]) for tick in ticks] == [("backfill of span 1", "done"), ("backfill of span 3", "done")]
    runs = project.store.runs()
    assert [json.loads(str(run.properties["settings"])) for run in runs] == [{"SpanSource.span": str(span)} for span in (2, 1, 3)]


def test_backfill_refuses_spans_that_are_not_there_before_it_runs_any(project: Project) -> None:
    project.write("definition.py", SPANNED)
    write_spans(project, [1, 2])
    cauce("schedule", "add", "s", project.folder, "--every", "7d", root=project.root)
    said = cauce("schedule", "backfill", "s", "--spans", "1..4", root=project.root)
    assert (said.code, "Node 'SpanSource' has no span 3, 4." in said.err, "Its spans: 1..2" in said.err) == (2, True, True)
    assert "--spans is written 1..12" in cauce("schedule", "backfill", "s", "--spans", "4..1", root=project.root).err
    assert State(project.url).ticks() == []


def test_new_spans_run_one_by_one_where_each_is_wanted(project: Project) -> None:
    project.write("definition.py", SPANNED)
    write_spans(project, [1])
    cauce("schedule", "add", "s", project.folder, "--on-span", "input", "--each-span", root=project.root)
    write_spans(project, [2, 3])
    write_spans(project, [4], value=500)
    once(project)
    ticks = cauce("schedule", "history", "s", "--json", root=project.root).json("schedule-history")
    assert [(tick["cause"], tick["state"]) for tick in ticks] == [
        ("span 2 is new", "done"),
        ("span 3 is new", "done"),
        ("span 4 is new", "blocked"),
    ]
    assert "the largest number is 500" in ticks[2]["reason"]


def test_run_that_is_killed_is_resumed_under_its_id(project: Project) -> None:
    pids = project.folder / "pids"
    project.write("definition.py", SLEEPING.format(pids=pids, seconds=60))
    cauce("schedule", "add", "s", project.folder, "--every", "7d", root=project.root)
    cauce("schedule", "trigger", "s", root=project.root)
    state = State(project.url)
    with _daemon(project) as daemon:
        until(pids.exists)
        (attempt,) = state.open_attempts()
        os.killpg(attempt.pid, signal.SIGKILL)
        project.write("definition.py", SLEEPING.format(pids=pids, seconds=0))
        until(lambda: state.ticks()[0].state is TickState.DONE)
        assert daemon.poll() is None
    attempts = state.attempts([1])[1]
    assert [(attempt.state, attempt.resumes) for attempt in attempts] == [(AttemptState.INTERRUPTED, False), (AttemptState.DONE, True)]
    assert len({attempt.run for attempt in attempts}) == 1


def test_run_goes_on_when_the_daemon_is_killed_and_the_next_one_takes_it_over_and_stops_it_when_told(project: Project) -> None:
    pids = project.folder / "pids"
    project.write("definition.py", SLEEPING.format(pids=pids, seconds=60))
    cauce("schedule", "add", "s", project.folder, "--every", "7d", root=project.root)
    cauce("schedule", "trigger", "s", root=project.root)
    state = State(project.url)
    with _daemon(project) as first:
        until(pids.exists)
        first.kill()
    (attempt,) = state.open_attempts()
    os.kill(attempt.pid, 0)
    with _daemon(project) as second:
        until(lambda: Reports(project.url).daemon().pid == second.pid)
        assert cauce("schedule", "remove", "s", root=project.root).err.startswith(f"error: Run {attempt.run} of schedule 's' goes on.")
        cauce("schedule", "stop", "s", "--reason", "enough", root=project.root)
        until(lambda: not state.open_attempts())
    (tick,) = state.ticks()
    assert (tick.state, tick.reason, tick.attempts) == (TickState.FAILED, "stopped: enough", 1)
    (run,) = project.store.runs()
    assert (run.id, run.state.value) == (attempt.run, "interrupted")


def test_second_daemon_waits_and_takes_over_when_the_first_is_killed(simple: Project) -> None:
    cauce("schedule", "add", "a", simple.folder, "--every", "7d", root=simple.root)
    with _daemon(simple) as first:
        until(lambda: Reports(simple.url).daemon().pid == first.pid)
        said = cauce("schedule", "run", "--once", root=simple.root)
        assert (said.code, f"A daemon works already: process {first.pid}" in said.err) == (2, True)
        with _daemon(simple) as second:
            until(lambda: "standby" in "".join(log.read_text() for log in simple.folder.glob("daemon-*.log")))
            assert Reports(simple.url).daemon().pid == first.pid
            first.kill()
            first.wait()
            until(lambda: Reports(simple.url).daemon().pid == second.pid, seconds=30)


@contextmanager
def _daemon(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a daemon in a process of its own as long as the block lasts."""
    log = project.folder / f"daemon-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "pipeline", "schedule", "run", "--port", "0", "--log-json", "--root", str(project.root)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        code = process.wait(30)
    assert code in (0, -signal.SIGKILL), log.read_text()
    assert all({"time", "level", "event", "message"} <= set(json.loads(line)) for line in log.read_text().splitlines())
