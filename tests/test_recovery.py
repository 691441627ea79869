"""A run that is killed at any moment, or stopped: nothing half-written is seen, nothing stays RUNNING, resume finishes it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from pipeline import executor, launcher, publisher
from pipeline.cache import CacheKey
from pipeline.component import Component, Input, Output
from pipeline.driver import Driver
from pipeline.hashing import digest_tree
from pipeline.launcher import Launcher
from pipeline.metadata import MetadataStore
from pipeline.publisher import Publisher
from pipeline.records import ExecutionState, RunState
from pipeline.recovery import INTERRUPTED, recover
from pipeline.storage import Storage, damage
from tests.fakes import Doubler, NearDoubler, NearFailing, Numbers, Sleeping, Source, write
from tests.project import Project


class Half(NearDoubler):
    """Kills the process of the run with its output half-written, the first time."""

    def execute(self, context: Any, numbers: Input[Numbers], doubled: Output[Numbers], *, factor: int = 2) -> None:
        (doubled.path / "numbers.json").write_text("[1, 2")
        (context.state / "checkpoint").write_text("half")
        marker = context.project / "killed"
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        super().execute(context, numbers, doubled, factor=factor)


def ends(middle: type[Component]) -> Component:
    """Three nodes; it is the second one that a run is killed over."""
    return NearDoubler(middle(Source(), id="middle"), id="last")


def in_process(target: Callable[..., Any], *args: Any) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=target, args=args)
    process.start()
    return process


def run_and_die(folder: Path, owner: Any, method: str, call: int) -> None:
    """Runs, and kills its own process when a method of the engine returns for the n-th time."""
    real, calls = getattr(owner, method), iter(range(1, 100))

    def dying(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, method, dying)
    Project(folder).run(ends(NearDoubler), parallel=1)


def assert_nothing_half_written(project: Project) -> None:
    """What the store calls live is whole, to the last byte."""
    for artifact in project.store.all_artifacts():
        assert damage(artifact) is None
        assert digest_tree(artifact.path) == artifact.digest


def assert_put_right(project: Project) -> None:
    """After the next command nothing runs, and there are no files that the store does not know."""
    recover(project.store, project.storage)
    for run in project.store.runs():
        assert run.state is not RunState.RUNNING
        assert all(execution.state is not ExecutionState.RUNNING for execution in project.store.executions_of_run(run.id))
    assert set(project.published()) == {artifact.path for artifact in project.store.all_artifacts()}
    staging = project.root / "staging"
    assert not staging.exists() or list(staging.iterdir()) == []


def assert_resumed_without_a_second_copy(project: Project, run: str, middle: type[Component]) -> None:
    ran = project.run(ends(middle), resume=run)
    assert ran.result.state is RunState.DONE
    assert (ran.output("last").path / "numbers.json").read_text() == "[4, 8, 12]"
    executions = project.store.executions_of_run(run)
    done = [execution.node for execution in executions if execution.state is ExecutionState.COMPLETE]
    assert sorted(done) == ["Source", "last", "middle"]
    assert len(project.published()) == len(project.store.all_artifacts()) == 3
    assert list((project.root / "state").glob("*/*")) == []
    assert [(found.id, found.state) for found in project.store.runs()] == [(run, RunState.DONE)]


STEPS: dict[str, tuple[type | ModuleType, str, int]] = {
    "the run is recorded": (MetadataStore, "begin_run", 1),
    "it is decided": (Driver, "decide", 2),
    "the decision is told": (CacheKey, "to_json", 2),
    "the execution is registered": (Launcher, "_register", 2),
    "the staging folders are made": (executor, "prepare_folders", 2),
    "the executor is done": (launcher, "execute", 2),
    "the payload is checked": (publisher, "check_payload", 2),
    "the payload is renamed": (Storage, "commit", 2),
    "the result is recorded": (MetadataStore, "publish", 2),
    "the result is published": (Publisher, "publish", 2),
    "the state is forgotten": (Launcher, "_forget_state", 2),
    "the last node has ended": (Launcher, "launch", 3),
    "the end of the run is recorded": (MetadataStore, "update_run", 2),
}


@pytest.mark.parametrize("step", STEPS)
def test_run_killed_after_any_step_is_put_right_and_resumed(project: Project, step: str) -> None:
    owner, method, call = STEPS[step]
    process = in_process(run_and_die, project.folder, owner, method, call)
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert_nothing_half_written(project)
    assert_put_right(project)
    (run,) = project.store.runs()
    if step == "the end of the run is recorded":
        assert run.state is RunState.DONE
    else:
        assert (run.state, run.reason) == (RunState.INTERRUPTED, INTERRUPTED)
    assert_resumed_without_a_second_copy(project, run.id, NearDoubler)


def run_middle(folder: Path, middle: type[Component]) -> None:
    Project(folder).run(ends(middle))


def test_run_killed_while_an_output_is_half_written_is_put_right_and_resumed(project: Project) -> None:
    process = in_process(run_middle, project.folder, Half)
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert_nothing_half_written(project)
    assert len(list((project.root / "staging").glob("*/doubled/numbers.json"))) == 1
    assert_put_right(project)
    (run,) = project.store.runs()
    (middle,) = project.store.executions_of_node("fake", "middle")
    assert (middle.state, middle.error) == (ExecutionState.FAILED, INTERRUPTED)
    assert (next((project.root / "state").glob("*/middle-*")) / "checkpoint").read_text() == "half"
    assert_resumed_without_a_second_copy(project, run.id, Half)


def sleep_in_children(folder: Path) -> None:
    # A shell that starts the tests in the background lets them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    source = Source()
    other = Sleeping(source, id="other", pids=str(folder / "others"))
    ran = Project(folder).run(Sleeping(source, pids=str(folder / "pids")), NearDoubler(other))
    os._exit(ran.result.exit_code)


def pids(project: Project) -> list[int]:
    """Waits until both children sleep; returns the ids of them and of what they have started."""
    files = [project.folder / "pids", project.folder / "others"]
    wait_for(lambda: all(file.exists() for file in files))
    return [int(pid) for file in files for pid in file.read_text().split()]


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def server_of(process: BaseProcess) -> psutil.Process:
    (server,) = psutil.Process(process.pid).children()
    return server


def test_run_killed_while_children_work_takes_them_with_it(project: Project) -> None:
    process = in_process(sleep_in_children, project.folder)
    children = pids(project)
    server = server_of(process)
    process.kill()
    process.join()
    wait_for(lambda: all(gone(pid) for pid in [*children, server.pid]))
    assert_put_right(project)
    assert_nothing_half_written(project)
    (run,) = project.store.runs()
    assert run.state is RunState.INTERRUPTED


def test_ctrl_c_stops_cleanly_and_leaves_a_run_that_can_be_resumed(project: Project) -> None:
    process = in_process(sleep_in_children, project.folder)
    children = pids(project)
    server = server_of(process)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(20)
    assert process.exitcode == 130
    wait_for(lambda: all(gone(pid) for pid in [*children, server.pid]))
    (run,) = project.store.runs()
    assert (run.state, run.reason) == (RunState.INTERRUPTED, "stopped by the user")
    states = {execution.node: execution.state for execution in project.store.executions_of_run(run.id)}
    assert states == {"Source": ExecutionState.COMPLETE, "Sleeping": ExecutionState.CANCELED, "other": ExecutionState.CANCELED}
    assert_put_right(project)
    source = Source()
    again = project.run(NearDoubler(source), resume=run.id)
    assert again.states == {"Source": "done", "NearDoubler": "done"}


def test_second_ctrl_c_does_no_harm(project: Project) -> None:
    process = in_process(sleep_in_children, project.folder)
    pids(project)
    for _ in range(3):
        os.kill(process.pid or 0, signal.SIGINT)
        time.sleep(0.02)
    process.join(20)
    assert process.exitcode is not None
    (run,) = project.store.runs()
    assert run.state is RunState.INTERRUPTED
    assert_put_right(project)


def test_interrupted_run_is_mentioned_by_the_next_one(project: Project) -> None:
    process = in_process(run_and_die, project.folder, Driver, "decide", 2)
    process.join(30)
    (run,) = project.store.runs()
    ran = project.run(Source())
    assert ran.events.notes == [f"Run {run.id} of 'fake' was interrupted. Go on with it: cauce resume {run.id}"]
    assert project.run(Source()).events.notes == []


def test_running_run_is_left_alone(project: Project) -> None:
    process = in_process(sleep_in_children, project.folder)
    pids(project)
    assert recover(project.store, project.storage) == []
    (run,) = project.store.runs()
    assert run.state is RunState.RUNNING
    assert {execution.state for execution in project.store.executions_of_run(run.id)} == {ExecutionState.COMPLETE, ExecutionState.RUNNING}
    process.kill()
    process.join()
    assert [found.id for found in recover(project.store, project.storage)] == [run.id]


def test_run_of_another_root_or_machine_is_left_alone(project: Project) -> None:
    project.store.begin_run("p", "elsewhere", {"root": "/other/root", "host": "here"})
    project.store.begin_run("p", "far", {"root": str(project.root), "host": "another-machine"})
    assert recover(project.store, project.storage) == []
    assert [run.state for run in project.store.runs()] == [RunState.RUNNING, RunState.RUNNING]


def test_run_that_ends_while_it_is_looked_at_keeps_its_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    process = in_process(run_and_die, project.folder, Driver, "decide", 2)
    process.join(30)
    store = project.store
    (listed,) = store.runs()
    store.update_run(listed.id, {"state": "done"})
    monkeypatch.setattr(store, "runs", lambda: [listed])
    assert recover(store, project.storage) == []
    assert store.run(listed.id).state is RunState.DONE


def test_resume_with_changed_code_does_the_changed_work_again(project: Project) -> None:
    marker = project.folder / "marker"
    first = project.run(NearFailing(NearDoubler(Source(), factor=2), marker=str(marker)))
    again = project.run(NearFailing(NearDoubler(Source(), factor=3), marker=str(marker)), resume=first.result.run)
    assert again.states == {"Source": "done", "NearDoubler": "done", "NearFailing": "done"}
    assert again.reasons("Source") == ("done by this run before it was resumed",)
    assert again.reasons("NearDoubler") == ("factor is 3, was 2",)
    assert (again.output("NearFailing").path / "numbers.json").read_text() == "[3, 6, 9]"


def test_resume_does_damaged_work_again(project: Project) -> None:
    marker = project.folder / "marker"
    node = NearFailing(NearDoubler(Source()), marker=str(marker))
    first = project.run(node)
    (first.output("NearDoubler").path / "numbers.json").unlink()
    again = project.run(node, resume=first.result.run)
    assert again.states == {"Source": "done", "NearDoubler": "done", "NearFailing": "done"}
    assert again.reasons("NearDoubler")[0].startswith("its cached output 'doubled' is damaged: ")


def test_killed_child_fails_its_node_and_leaves_nothing(project: Project) -> None:
    class Killed(Doubler):
        def execute(self, context: Any, numbers: Input[Numbers], doubled: Output[Numbers], *, factor: int = 2) -> None:
            write(doubled, [1])
            os.kill(os.getpid(), signal.SIGKILL)

    ran = project.run(Killed(Source()), NearDoubler(Source(id="aside", values=(7,)), id="beside"))
    assert ran.states == {"Source": "done", "aside": "done", "Killed": "failed", "beside": "done"}
    assert_put_right(project)
