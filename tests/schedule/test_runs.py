"""Runs as processes: their command, their environment, how they are found, and what they say when they end before they begin."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from pipeline.records import RunState
from pipeline.schedule.model import Attempt, AttemptState, Schedule, Tick
from pipeline.schedule.runs import CauceRuns
from tests.fakes import Source
from tests.project import Project

RUN = "20260101-000000-abcdef"


def attempt(**given: object) -> Attempt:
    made = Attempt(1, 1, 1, 1, RUN, False, AttemptState.RUNNING, "", "", socket.gethostname(), 0, 1, 1, 0)
    return replace(made, **given)  # type: ignore[arg-type]


def tick(**given: object) -> Tick:
    return replace(Tick("k", "cron:", 0, "cron", id=1, schedule=1), **given)  # type: ignore[arg-type]


@pytest.fixture
def runs(project: Project) -> CauceRuns:
    return CauceRuns(project.root, project.url, hidden=lambda: {"HOOK_SECRET"})


def test_run_gets_its_id_its_settings_and_those_of_its_tick(runs: CauceRuns) -> None:
    schedule = Schedule(1, "s", "p", "/p/definition.py", (), settings={"A.steps": "5", "A.span": "1"})
    words = runs.command(schedule, tick(settings={"A.span": "7"}), attempt())
    assert words[1:] == [
        *["-P", "-m", "pipeline", "run", "/p/definition.py", "--run-id", RUN, "--root", str(runs.root)],
        *["--set", "A.steps=5", "--set", "A.span=7"],
    ]
    assert runs.command(schedule, tick(), attempt(resumes=True))[4:] == ["resume", RUN, "--root", str(runs.root)]


def test_run_gets_the_store_in_its_environment_and_no_secret_of_notifications(runs: CauceRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "x")
    monkeypatch.setenv("OTHER", "y")
    environment = runs.environment()
    assert (environment["CAUCE_METADATA"], environment["OTHER"]) == (runs.metadata, "y")
    assert "HOOK_SECRET" not in environment
    assert os.environ["HOOK_SECRET"] == "x"


def test_process_is_found_by_its_command_line_where_its_number_was_never_recorded(runs: CauceRuns) -> None:
    """The daemon was killed right after the start; and a command that only shows the run is none."""
    sleep = "import time; time.sleep(60)"
    run = subprocess.Popen([sys.executable, "-c", sleep, "--run-id", RUN], start_new_session=True)
    other = subprocess.Popen([sys.executable, "-c", sleep, "runs", "show", RUN], start_new_session=True)
    try:
        deadline = time.monotonic() + 10
        while not runs.is_alive(attempt(state=AttemptState.CLAIMED, started=0)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        runs.stop(attempt(), force=False)
        assert run.wait(10) != 0
        assert not runs.is_alive(attempt())
        assert other.poll() is None
    finally:
        run.kill()
        other.kill()
        run.wait()
        other.wait()


def test_end_of_a_run_is_what_the_store_says(runs: CauceRuns, project: Project) -> None:
    result = project.run(Source(), id=RUN).result
    outcome = runs.outcome(attempt())
    assert outcome is not None
    assert (result.run, outcome.state, outcome.reason) == (RUN, AttemptState.DONE, "done")
    project.store.update_run(RUN, {"state": RunState.BLOCKED.value, "reason": "fare is missing"})
    blocked = runs.outcome(attempt())
    assert blocked is not None
    assert (blocked.state, blocked.reason) == (AttemptState.BLOCKED, "fare is missing")


def test_run_of_an_id_that_is_there_is_refused(project: Project) -> None:
    project.run(Source(), id=RUN)
    with pytest.raises(Exception, match=f"There is a run {RUN} already"):
        project.run(Source(), id=RUN)
    assert len(project.store.runs()) == 1
    with pytest.raises(Exception, match="A run's id may hold letters"):
        project.run(Source(), id="../up")


def test_process_that_ended_before_its_run_began_has_failed_if_it_said_why_and_was_killed_if_not(runs: CauceRuns) -> None:
    assert runs.outcome(attempt(started=0)) is None
    killed = runs.outcome(attempt())
    assert killed is not None
    assert killed.state is AttemptState.INTERRUPTED
    runs.log(attempt()).parent.mkdir(parents=True)
    runs.log(attempt()).write_text("error: There is no definition at '/p'.\nMake one: cauce new FOLDER\n")
    failed = runs.outcome(attempt())
    assert failed is not None
    assert (failed.state, failed.reason) == (
        AttemptState.FAILED,
        "it ended before it began: error: There is no definition at '/p'. Make one: cauce new FOLDER",
    )


def test_attempt_to_resume_that_never_came_to_it_is_told_from_the_run_as_it_was(runs: CauceRuns, project: Project) -> None:
    project.run(Source(), id=RUN)
    project.store.update_run(RUN, {"state": RunState.INTERRUPTED.value, "ended": 1_000})
    resumed = attempt(resumes=True, claimed=2_000, started=0)
    assert runs.outcome(resumed) is None
    failed = runs.outcome(replace(resumed, started=3_000))
    assert failed is not None
    assert failed.reason.startswith("it could not be resumed")
    project.store.update_run(RUN, {"ended": 4_000})
    interrupted = runs.outcome(replace(resumed, started=3_000))
    assert interrupted is not None
    assert interrupted.state is AttemptState.INTERRUPTED


def test_run_of_another_machine_is_waited_for_as_long_as_the_store_says_so(runs: CauceRuns, project: Project) -> None:
    elsewhere = attempt(host="elsewhere", claimed=int(time.time() * 1000))
    assert runs.is_alive(elsewhere)
    project.run(Source(), id=RUN)
    assert not runs.is_alive(elsewhere)
    project.store.update_run(RUN, {"state": RunState.RUNNING.value, "host": "elsewhere"})
    assert runs.is_alive(elsewhere)
    assert not runs.is_alive(replace(elsewhere, run="20260101-000000-000000", claimed=1))
