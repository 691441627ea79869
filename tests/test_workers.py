"""Executors in processes of their own: how they die, are stopped, are tried again, and leave nothing running."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.component import Component, Input, Output
from pipeline.context import Context, Progress
from pipeline.errors import DataError, ExecutionError, InterruptedRunError, NodeTimeoutError, ProcessDiedError, UserCodeError
from pipeline.executor import Job, Result
from pipeline.workers import Workers
from tests.fakes import Applying, Doubler, Failing, Numbers, Sleeping, Source, write
from tests.project import Project


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Workers of a run; when the server has ended, nothing of it is left."""
    before = set(psutil.Process().children(recursive=True))
    made = Workers(tmp_path_factory.mktemp("workers") / "server.log")
    yield made
    made.close()
    assert set(psutil.Process().children(recursive=True)) <= before


class Run:
    """Runs jobs on the numbers 1, 2, 3, and keeps what is heard."""

    def __init__(self, workers: Workers, folder: Path) -> None:
        self.workers = workers
        self.folder = folder
        self.progress: list[Progress] = []
        self.memory: list[int] = []

    def see(self, resident: int) -> None:
        """Hears how much a process holds."""
        self.memory.append(resident)
        if resident > 60_000_000:
            (self.folder / "seen").touch()

    def __call__(self, kind: type[Component], *, needs: tuple[str, ...] = (), timeout: float | None = None, **parameters: Any) -> Result:
        inputs = self.folder / "input"
        inputs.mkdir(exist_ok=True)
        write(Numbers(inputs), [1, 2, 3])
        staging = self.folder / "staging"
        context = Context("p", "r", "node", 1, self.folder, self.folder, staging / ".temp", self.folder / "state")
        (output,) = (name for name in ("doubled", "result", "slept", "made", "applied") if name in kind.execute.__annotations__)
        job = Job(kind, {"numbers": Numbers(inputs)}, {output: Numbers(staging / output)}, parameters, context)
        return self.workers.run(
            job, needs=needs, log=self.folder / "node.log", timeout=timeout, progress=self.progress.append, memory=self.see
        )

    def fails(self, error: type[Exception], kind: type[Component] = Failing, **given: Any) -> str:
        """Returns the message with which a job fails, whether it is raised or is the result's."""
        if kind is Failing:
            given = {"marker": "", **given}
        with pytest.raises(error) as raised:
            result = self(kind, **given)
            assert result.error is not None
            raise result.error
        return str(raised.value)

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text()


@pytest.fixture
def run(workers: Workers, tmp_path: Path) -> Run:
    """Runs jobs, in children of one server."""
    return Run(workers, tmp_path)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs jobs in children of a server of its own, which can import what lies in the folder."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = Run(Workers(tmp_path / "server.log"), tmp_path)
    yield made
    made.workers.close()


def until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    """Waits until something holds; returns whether it did in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def gone(pid: int) -> bool:
    """Returns whether a process has ended, reaped or not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class Printing(Component):
    """Prints in every way, also below Python."""

    def execute(self, context: Any, numbers: Input[Numbers], made: Output[Numbers]) -> None:
        sys.stdout.write("from print\n")
        os.write(2, b"from native code\n")
        context.log.info("from the log")
        write(made, [os.getpid(), os.getppid()])


class Holding(Component):
    """Holds 60 MB until that is seen."""

    def execute(self, context: Any, numbers: Input[Numbers], made: Output[Numbers]) -> None:
        held = b"x" * 60_000_000
        until((context.project / "seen").exists)
        write(made, [len(held)])


def test_job_runs_in_a_process_of_its_own_and_reports(run: Run) -> None:
    result = run(Doubler, factor=2)
    assert result.error is None
    assert run.progress == [Progress("doubling", 3, {})]
    assert (run.folder / "staging" / "doubled" / "numbers.json").read_text() == "[2, 4, 6]"
    assert result.peak_memory > 1_000_000


def test_all_that_a_process_prints_goes_to_its_log(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(Printing).error is None
    assert "from print\n" in run.log
    assert "from native code\n" in run.log
    assert "INFO cauce.node: from the log\n" in run.log
    assert capfd.readouterr() == ("", "")


def test_memory_of_the_process_is_reported_and_its_peak_recorded(run: Run) -> None:
    result = run(Holding)
    assert (run.folder / "seen").exists()
    assert result.peak_memory > 60_000_000


def test_os_exit_of_user_code_fails_the_node_with_its_status(run: Run) -> None:
    message = run.fails(ProcessDiedError, how="exit")
    assert message == f"Node 'node': its process left with status 7 before it was done (os._exit?).\nWhat it printed: {run.folder}/node.log"


def test_killed_process_fails_the_node_with_the_signal(run: Run) -> None:
    assert run.fails(ProcessDiedError, how="kill").startswith(
        "Node 'node': its process was killed by SIGKILL (often: the machine is out of memory)."
    )
    assert run(Doubler, factor=2).error is None


def test_node_that_takes_too_long_is_stopped_with_what_it_started(run: Run) -> None:
    began = time.monotonic()
    pids = run.folder / "pids"
    assert run.fails(NodeTimeoutError, Sleeping, timeout=0.5, pids=str(pids), seconds=60) == (
        "Node 'node' took longer than its timeout of 0.5 s, and was stopped."
    )
    assert time.monotonic() - began < 10
    assert until(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


def test_time_that_heavy_imports_take_does_not_count_for_the_timeout(own: Run) -> None:
    (own.folder / "slow_import_module.py").write_text("import time\ntime.sleep(0.4)\n")
    assert own(Doubler, needs=("slow_import_module",), timeout=0.3, factor=2).error is None


def test_cancel_stops_running_jobs_and_lets_none_begin(own: Run) -> None:
    pids = own.folder / "pids"
    errors: list[str] = []
    thread = threading.Thread(target=lambda: errors.append(own.fails(InterruptedRunError, Sleeping, pids=str(pids), seconds=60)))
    thread.start()
    assert until(pids.exists)
    own.workers.cancel()
    thread.join(10)
    assert errors == ["Node 'node' was stopped with the run.\nGo on: cauce resume"]
    assert until(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


def test_process_that_will_not_end_is_killed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.workers._GRACE", 0.2)
    assert "took longer than its timeout" in run.fails(NodeTimeoutError, Stubborn, timeout=0.2)
    pid = int((run.folder / "stubborn").read_text())
    assert until(lambda: gone(pid))


class Stubborn(Component):
    """Ignores all that asks it to end."""

    def execute(self, context: Any, numbers: Input[Numbers], made: Output[Numbers]) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (context.project / "stubborn").write_text(str(os.getpid()))
        time.sleep(60)


def test_user_function_that_raises_is_named_and_its_traceback_is_in_the_log(run: Run) -> None:
    (run.folder / "rules_far.py").write_text("def apply(values):\n    raise KeyError('absent')\n")
    assert run.fails(UserCodeError, Applying, function="rules_far") == "Node 'node': rules_far.py:2 apply raised KeyError: 'absent'"
    assert "Traceback (most recent call last):" in run.log


def test_error_of_a_class_that_only_the_child_knows_arrives(run: Run) -> None:
    assert run.fails(DataError, how="unknown error") == "only I know this"


def test_sys_exit_in_a_child_is_an_error_of_its_node(run: Run) -> None:
    assert run.fails(ExecutionError, how="leave") == "Node 'node' failed: SystemExit: 3"


def test_parameter_that_cannot_be_sent_is_an_error_with_the_way_out(run: Run) -> None:
    message = run.fails(ExecutionError, Doubler, factor=threading.Lock())
    assert message.startswith("Node 'node' cannot be sent to a process of its own: cannot pickle")
    assert "Parameters must be plain data" in message


def test_component_without_an_importable_name_travels_by_value(run: Run) -> None:
    class Local(Component):
        def execute(self, context: Any, numbers: Input[Numbers], made: Output[Numbers]) -> None:
            write(made, [5])

    class Script(Doubler):
        """As in a notebook, or a script that is run."""

    Script.__module__ = "__main__"
    assert run(Local).error is None
    assert run(Script, factor=2).error is None


def test_component_whose_module_the_child_does_not_find_is_an_error(run: Run) -> None:
    class Lost(Doubler):
        """Of a module that was made up."""

    Lost.__module__, Lost.__qualname__ = "lost_module", "Lost"
    module = type(sys)("lost_module")
    module.Lost = Lost  # type: ignore[attr-defined]
    sys.modules["lost_module"] = module
    try:
        assert run.fails(ExecutionError, Lost, factor=2) == "The job cannot be loaded: ModuleNotFoundError: No module named 'lost_module'"
    finally:
        del sys.modules["lost_module"]


@pytest.mark.parametrize("text", ["raise ImportError('not here')", "import sys; sys.exit(4)"])
def test_module_that_cannot_be_imported_fails_only_who_needs_it(own: Run, text: str) -> None:
    (own.folder / "broken_import_module.py").write_text(text)
    own.workers.warm(["broken_import_module", "no_such_module"])
    assert own(Doubler, needs=("broken_import_module",), factor=2).error is None
    assert "broken_import_module" in (own.folder / "server.log").read_text()


def test_module_that_ends_the_server_fails_its_node_and_the_next_one_gets_a_new_server(own: Run) -> None:
    (own.folder / "deadly_module.py").write_text("import os; os._exit(9)")
    message = own.fails(ProcessDiedError, Doubler, needs=("deadly_module",), factor=2)
    assert "is gone without a word" in message
    assert str(own.folder / "server.log") in message
    assert own(Doubler, factor=2).error is None


def test_closing_leaves_no_thread_and_no_descriptor_open(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    threads, before = threading.active_count(), open_files()
    for _ in range(2):
        workers = Workers(tmp_path / "server.log")
        assert Run(workers, tmp_path)(Doubler, factor=2).error is None
        workers.close()
    assert (threading.active_count(), open_files()) == (threads, before)


def test_closing_does_not_wait_for_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endless_module.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    workers = Workers(tmp_path / "server.log")
    workers.warm(["endless_module"])
    began = time.monotonic()
    workers.close()
    assert time.monotonic() - began < 5


def test_unused_workers_start_nothing(tmp_path: Path) -> None:
    Workers(tmp_path / "server.log").close()
    assert not (tmp_path / "server.log").exists()


def test_children_die_with_the_process_of_their_run(project: Project) -> None:
    pids = project.folder / "pids"
    process = os.fork()
    if process == 0:
        try:
            Run(Workers(project.folder / "server.log"), project.folder)(Sleeping, pids=str(pids), seconds=60)
        finally:
            os._exit(1)
    assert until(pids.exists)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    assert until(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


class Littering(Component):
    """Leaves a temporary file behind, in whichever way it ends."""

    def execute(self, context, numbers: Input[Numbers], made: Output[Numbers], *, end: str) -> None:  # type: ignore[no-untyped-def]
        descriptor, path = tempfile.mkstemp()
        (context.project / "littered").write_text(path)
        os.close(descriptor)
        write(made, [1])
        if end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if end == "slow":
            time.sleep(60)


@pytest.mark.parametrize("end", ["done", "killed", "slow"])
def test_temporary_files_go_with_the_process_that_left_them(run: Run, end: str) -> None:
    try:
        run(Littering, end=end, timeout=0.5 if end == "slow" else None)
    except (ProcessDiedError, NodeTimeoutError):
        assert end != "done"
    left = Path((run.folder / "littered").read_text())
    assert left.parent.name.startswith("cauce-")
    assert not left.parent.exists()


def test_temporary_files_go_with_the_process_of_their_run(project: Project) -> None:
    process = os.fork()
    if process == 0:
        try:
            Run(Workers(project.folder / "server.log"), project.folder)(Littering, end="slow")
        finally:
            os._exit(1)
    littered = project.folder / "littered"
    assert until(lambda: littered.exists() and littered.read_text() != "")
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    assert until(lambda: not Path(littered.read_text()).parent.exists())


def test_no_place_for_temporary_files_fails_the_node_with_the_way_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(run.folder / "nowhere"))
    with pytest.raises(ExecutionError, match=r"'node': there is no place for temporary files: .*nowhere"):
        run(Littering, end="done")


class Telling(Component):
    """Tells a variable of its process, and what a module saw that the server imported."""

    def execute(self, context, numbers: Input[Numbers], result: Output[Numbers], *, value: str = "") -> None:  # type: ignore[no-untyped-def]
        context.note(variable=os.environ.get("CAUCE_TEST_VARIABLE", ""))
        write(result, [1])

    @classmethod
    def environment(cls, parameters: Any) -> dict[str, str]:
        """The parameter as a variable."""
        return {"CAUCE_TEST_VARIABLE": parameters["value"]} if parameters["value"] else {}


def test_an_executor_that_needs_variables_has_a_server_that_began_with_them(project: Project) -> None:
    source = Source()
    nodes = [Telling(source, id=f"told{index}", value=value) for index, value in enumerate(["", "one", "two"])]
    project.run(*nodes)
    store = project.store
    told = {execution.node: execution.properties.get("variable") for run in store.runs() for execution in store.executions_of_run(run.id)}
    assert {name: value for name, value in told.items() if name.startswith("told")} == {
        "told0": "",
        "told1": "one",
        "told2": "two",
    }
