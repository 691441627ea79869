"""The life of one node: retries, timeouts, logs, and what is recorded when."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.component import Component, Input, Output
from pipeline.driver import Action
from pipeline.errors import ExecutionError, NodeTimeoutError, ProcessDiedError
from pipeline.records import ExecutionState
from pipeline.storage import Storage
from tests.fakes import Failing, NearDoubler, NearFailing, Numbers, Sleeping, Source, write
from tests.project import Project


class Observing(Component):
    """Looks at its own record in the store while it works."""

    isolated = False

    def execute(self, context: Any, numbers: Input[Numbers], made: Output[Numbers]) -> None:
        project = Project(context.project)
        (execution,) = project.store.executions([context.execution])
        inputs = [artifact.id for artifact in project.store.inputs_of(context.execution)["numbers"]]
        (context.project / "seen.json").write_text(json.dumps([execution.state.value, inputs, project.store.outputs_of(context.execution)]))
        write(made, [1])


class Continuing(Component):
    """Fails once after half of the work, and goes on from its state."""

    isolated = False

    def execute(self, context: Any, numbers: Input[Numbers], made: Output[Numbers]) -> None:
        checkpoint = context.state / "half"
        if not checkpoint.exists():
            checkpoint.write_text("5")
            raise ValueError("half-way")
        write(made, [int(checkpoint.read_text())])


def test_execution_is_recorded_as_running_with_its_inputs_before_any_work(project: Project) -> None:
    ran = project.run(Observing(Source()))
    assert json.loads((project.folder / "seen.json").read_text()) == ["RUNNING", [ran.output("Source").id], {}]


def test_failed_executor_is_started_again_with_growing_delays(project: Project) -> None:
    marker = project.folder / "marker"
    ran = project.run(NearFailing(Source(), marker=str(marker), retries=2, retry_delay=0.01))
    assert ran.state("NearFailing") == "done"
    assert ran.events.retries == [("NearFailing", 1, "Node 'NearFailing' failed: ValueError: as it was told", 0.01)]

    ran = project.run(NearFailing(Source(), id="always", retries=2, retry_delay=0.01))
    assert ran.state("always") == "failed"
    assert [(attempt, delay) for _, attempt, _, delay in ran.events.retries] == [(1, 0.01), (2, 0.02)]
    assert Path(ran.result["always"].log).read_text().count("ValueError: as it was told") == 3


def test_died_process_is_started_again_too(project: Project) -> None:
    marker = project.folder / "marker"
    ran = project.run(Failing(Source(), how="kill", marker=str(marker), retries=1, retry_delay=0))
    assert ran.state("Failing") == "done"
    assert len(ran.events.retries) == 1
    assert len(project.store.executions_of_node("fake", "Failing")) == 1


def test_wrong_data_is_not_tried_again(project: Project) -> None:
    ran = project.run(NearFailing(Source(), how="unknown error", retries=3, retry_delay=0))
    assert (ran.state("NearFailing"), ran.events.retries) == ("failed", [])


def test_state_survives_a_retry_and_is_gone_after_success(project: Project) -> None:
    ran = project.run(Continuing(Source(), retries=1, retry_delay=0))
    assert (ran.output("Continuing").path / "numbers.json").read_text() == "[5]"
    assert list((project.root / "state").glob("*/Continuing-*")) == []


def test_state_survives_a_failed_run_for_its_resume(project: Project) -> None:
    node = Continuing(Source())
    first = project.run(node)
    assert first.state("Continuing") == "failed"
    assert project.run(node, resume=first.result.run).state("Continuing") == "done"
    assert project.run(Continuing(Source()), rerun=("Continuing",)).state("Continuing") == "failed"


def test_timeout_stops_a_node_even_if_it_is_not_isolated_by_itself(project: Project) -> None:
    class Near(Sleeping):
        isolated = False

    ran = project.run(Near(Source(), id="late", pids=str(project.folder / "pids"), timeout=0.2))
    assert isinstance(ran.result["late"].error, NodeTimeoutError)
    assert project.executions(ran.result.run)["late"].state is ExecutionState.FAILED


def test_error_and_hint_are_recorded_with_the_execution(project: Project) -> None:
    ran = project.run(Failing(Source(), how="exit"))
    error = ran.result["Failing"].error
    assert isinstance(error, ProcessDiedError)
    execution = project.executions(ran.result.run)["Failing"]
    assert execution.error == str(error)
    assert execution.properties["error_type"] == "ProcessDiedError"


def test_reporter_hears_decision_progress_and_end_in_this_order(project: Project) -> None:
    from tests.fakes import Doubler

    ran = project.run(Doubler(Source()))
    assert ran.events.order == [
        ("started", ran.result.run),
        ("decided", "Source"),
        ("done", "Source"),
        ("decided", "Doubler"),
        ("done", "Doubler"),
    ]
    assert ran.events.decisions["Doubler"].action is Action.RUN
    assert [node for node, _ in ran.events.progress] == ["Doubler"]
    assert ran.events.results == [ran.result]


def test_every_node_has_a_log_of_its_own(project: Project) -> None:
    ran = project.run(NearFailing(NearDoubler(Source())))
    logs = {outcome.node: outcome.log for outcome in ran.result.outcomes}
    assert logs == {node: str(project.root / "logs" / ran.result.run / f"{node}.log") for node in ("Source", "NearDoubler", "NearFailing")}
    cached = project.run(NearDoubler(Source()))
    assert {outcome.log for outcome in cached.result.outcomes} == {""}


def test_trouble_of_the_file_system_fails_the_node_and_not_the_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Storage, staged: Path, final: Path) -> None:
        raise PermissionError(13, "Permission denied", str(final))

    project.write("rules_kept.py", "def apply(values):\n    return values\n")
    monkeypatch.setattr(Storage, "commit", refuse)
    ran = project.run(NearDoubler(Source()), Source(id="other"))
    assert ran.states == {"Source": "failed", "other": "failed", "NearDoubler": "not run"}
    error = ran.result["Source"].error
    assert isinstance(error, ExecutionError)
    assert "Node 'Source' failed: PermissionError: [Errno 13] Permission denied" in str(error)
    assert project.executions(ran.result.run)["Source"].state is ExecutionState.FAILED


def test_node_runs_in_the_process_of_the_run_only_if_it_says_so(project: Project) -> None:
    class Telling(Component):
        """Tells its process."""

        isolated = False

        def execute(self, context: Any, numbers: Input[Numbers], made: Output[Numbers]) -> None:
            write(made, [os.getpid()])

    class TellingFar(Telling):
        """Tells its process."""

        isolated = True

    source = Source()
    ran = project.run(Telling(source), TellingFar(source))
    near, far = (json.loads((ran.output(node).path / "numbers.json").read_text())[0] for node in ("Telling", "TellingFar"))
    assert near == os.getpid() != far
    assert ran.result["Telling"].peak_memory == 0 < ran.result["TellingFar"].peak_memory
