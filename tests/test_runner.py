"""Runs: what starts when, what a failure or a block means for the others, parts of a graph, and two runs at once."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from pipeline.component import Component
from pipeline.errors import MetadataError, UsageError
from pipeline.metadata import MetadataStore
from pipeline.records import ExecutionState, RunState
from pipeline.runner import modules_to_warm, run_info
from tests.fakes import Adder, Blocking, Doubler, Meeting, NearDoubler, NearFailing, Sleeping, Source
from tests.project import Project


def two_that_meet(project: Project, source: Component) -> list[Meeting]:
    return [Meeting(source, id=name, folder=str(project.folder), other=other) for name, other in (("one", "two"), ("two", "one"))]


def test_independent_nodes_work_at_the_same_time(project: Project) -> None:
    one, two = two_that_meet(project, Source())
    ran = project.run(Adder(one.met, two.met))
    assert ran.states == {"Source": "done", "one": "done", "two": "done", "Adder": "done"}
    assert (ran.output("Adder").path / "numbers.json").read_text() == "[2, 4, 6]"


def test_no_more_nodes_than_allowed_work_at_the_same_time(project: Project) -> None:
    source = Source()
    ran = project.run(*(NearDoubler(source, id=f"n{number}", factor=number) for number in range(4)), parallel=1)
    working = 0
    for event, node in ran.events.order[1:]:
        working += 1 if event == "decided" else -1
        assert working in (0, 1), (event, node)


def test_run_is_recorded_with_its_end_and_how_it_was_started(project: Project) -> None:
    ran = project.run(NearDoubler(Source()), settings={"neardoubler.factor": "5"}, rerun=("Source",), only=("Source", "neardoubler"))
    (run,) = project.store.runs()
    assert (run.id, run.pipeline, run.state, run.reason) == (ran.result.run, "fake", RunState.DONE, "")
    assert 0 < run.started <= run.ended
    assert run.properties["settings"] == '{"neardoubler.factor": "5"}'
    assert run.properties["selection"] == '{"start": [], "end": [], "only": ["Source", "neardoubler"]}'
    assert run.properties["root"] == str(project.root)
    assert ran.result.exit_code == 0


def test_failure_stops_what_needs_it_and_lets_independent_nodes_end(project: Project) -> None:
    source = Source()
    failing = NearFailing(source)
    behind = NearDoubler(failing, id="behind")
    far = NearDoubler(behind, id="far")
    independent = NearDoubler(NearDoubler(source, id="well"), id="better", factor=3)
    ran = project.run(far, independent)
    assert ran.states == {
        "Source": "done",
        "NearFailing": "failed",
        "behind": "not run",
        "far": "not run",
        "well": "done",
        "better": "done",
    }
    assert (ran.reasons("behind"), ran.reasons("far")) == (("NearFailing failed",), ("behind did not run",))
    assert (ran.result.state, ran.result.exit_code) == (RunState.FAILED, 1)
    assert ran.result.reason == "NearFailing failed: Node 'NearFailing' failed: ValueError: as it was told"
    (run,) = project.store.runs()
    assert (run.state, run.reason) == (RunState.FAILED, ran.result.reason)


def blocked(project: Project, **options: Any) -> Any:
    checked = Blocking(Source(values=(1, 500)))
    return project.run(NearDoubler(checked, id="behind"), NearDoubler(Source(id="aside"), id="beside", after=[checked]), **options)


def test_block_stops_the_run_with_exit_code_3_also_when_it_is_cached(project: Project) -> None:
    for state in ("done", "cached"):
        ran = blocked(project)
        assert ran.state("Source") == state
        assert (ran.state("Blocking"), ran.state("behind"), ran.state("beside")) == ("blocked", "not run", "not run")
        assert ran.reasons("beside") == ("the run is blocked by Blocking",)
        assert (ran.result.state, ran.result.exit_code) == (RunState.BLOCKED, 3)
        assert ran.result.reason == "Blocking: the largest number is 500, the limit is 100"
        assert project.executions(ran.result.run)["Blocking"].blocks


def test_block_stays_a_block_when_the_run_is_resumed(project: Project) -> None:
    first = blocked(project)
    again = blocked(project, resume=first.result.run)
    assert (again.state("Blocking"), again.result.exit_code) == ("blocked", 3)


def test_outputs_of_a_node_that_blocks_are_published_for_inspection(project: Project) -> None:
    assert (blocked(project).output("Blocking").path / "numbers.json").read_text() == "[1, 500]"


def chain() -> NearDoubler:
    return NearDoubler(NearDoubler(NearDoubler(Source(), id="a"), id="b"), id="c")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": ("b",)}, {"b": "done", "c": "done"}),
        ({"end": ("a",)}, {"Source": "cached", "a": "cached"}),
        ({"only": ("B",)}, {"b": "done"}),
        ({"start": ("a",), "end": ("b",)}, {"a": "cached", "b": "done"}),
    ],
)
def test_part_of_the_graph_takes_the_rest_from_the_latest_run(project: Project, options: Any, expected: dict[str, str]) -> None:
    project.run(chain())
    ran = project.run(chain(), settings={"b.factor": "10"}, **options)
    assert ran.states == expected
    if "c" in expected:
        assert (ran.output("c").path / "numbers.json").read_text() == "[40, 80, 120]"


def test_part_of_the_graph_that_never_ran_before_it_is_skipped_with_the_reason(project: Project) -> None:
    ran = project.run(chain(), only=("b",))
    assert ran.states == {"b": "skipped"}
    assert ran.reasons("b") == ("a is not part of this run, and no earlier run has made its outputs",)


def test_set_changes_a_parameter_of_the_run_and_its_key(project: Project) -> None:
    project.run(NearDoubler(Source()))
    ran = project.run(NearDoubler(Source()), settings={"neardoubler.factor": "7"})
    assert ran.reasons("NearDoubler") == ("factor is 7, was 2",)
    assert (ran.output("NearDoubler").path / "numbers.json").read_text() == "[7, 14, 21]"


def test_nothing_changed_is_said_and_starts_no_process(project: Project) -> None:
    project.run(Doubler(Source()))
    ran = project.run(Doubler(Source()))
    assert ran.result.reason == "nothing changed"
    assert not (project.root / "logs" / ran.result.run).exists()


def test_modules_are_warmed_in_the_order_in_which_nodes_need_them(project: Project) -> None:
    class First(Doubler):
        needs = ("numpy", "pyarrow")

    class Second(Doubler):
        needs = ("pyarrow", "pandas")

    class Near(NearDoubler):
        needs = ("never",)

    definition = project.definition(Second(First(Near(Source()))))
    info = run_info(definition, project.options(), "r")
    assert modules_to_warm(definition.pipeline, info) == ("numpy", "pyarrow", "pandas")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"only": ("Nothing",)}, "has no node 'Nothing'"),
        ({"rerun": ("sourc",)}, "Did you mean 'Source'?"),
        ({"settings": {"Source.value": "3"}}, "Did you mean 'values'?"),
        ({"runner": "remote"}, "Expected a runner of: local, beam. Received: 'remote'"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_made(project: Project, options: Any, expected: str) -> None:
    with pytest.raises(UsageError) as raised:
        project.run(Source(), **options)
    assert expected in str(raised.value)
    assert not project.root.exists()


def run_in_process(folder: Path, name: str, both: bool) -> None:
    """Runs a pipeline of which two nodes wait for the other process."""
    project = Project(folder)
    source = Source(id=f"source-{name}") if both else Source()
    other = "second" if name == "first" else "first"
    meeting = Meeting(source, id=name, folder=str(folder), other=other, cache=False)
    ran = project.run(NearDoubler(meeting.met), name=f"pipeline-{name}" if both else "fake")
    raise SystemExit(ran.result.exit_code)


@pytest.mark.parametrize("different", [False, True], ids=["same pipeline", "different pipelines"])
def test_two_runs_at_once_on_one_store_both_succeed(project: Project, different: bool) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=run_in_process, args=(project.folder, name, different)) for name in ("first", "second")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    runs = project.store.runs()
    assert [run.state for run in runs] == [RunState.DONE, RunState.DONE]
    for run in runs:
        assert [execution.state.succeeded for execution in project.store.executions_of_run(run.id)] == [True, True, True]
    known = {artifact.path for artifact in project.store.all_artifacts()}
    assert known == set(project.published())


def test_same_run_cannot_be_done_by_two_processes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.storage._LOCK_TRIES", 2)
    ran = project.run(NearFailing(Source()))
    with project.storage.vacant(ran.result.run), pytest.raises(UsageError, match="is going on in another process"):
        project.run(NearFailing(Source()), resume=ran.result.run)


def test_error_of_the_store_stops_the_other_nodes_and_ends_the_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source()
    real = MetadataStore.publish
    refused: list[int] = []

    def refuse_twice(self: MetadataStore, execution: int, *args: Any, **kwargs: Any) -> None:
        if self.executions([execution])[0].node == "broken" and len(refused) < 2:
            refused.append(execution)
            raise MetadataError("the store is gone")
        real(self, execution, *args, **kwargs)

    monkeypatch.setattr(MetadataStore, "publish", refuse_twice)
    with pytest.raises(MetadataError, match="the store is gone"):
        project.run(Sleeping(source, pids=str(project.folder / "pids")), NearDoubler(source, id="broken"))
    (run,) = project.store.runs()
    assert (run.state, run.reason) == (RunState.FAILED, "MetadataError: the store is gone")
    states = {execution.node: execution.state for execution in project.store.executions_of_run(run.id)}
    assert states == {"Source": ExecutionState.COMPLETE, "Sleeping": ExecutionState.CANCELED, "broken": ExecutionState.FAILED}
