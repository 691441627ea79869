"""The driver decides, and gives its reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact, Examples
from pipeline.component import Component, Input, Output
from pipeline.driver import Action, Decision, RunInfo, driver_of
from pipeline.errors import DataError, ResolutionError
from pipeline.metadata import component_name
from pipeline.records import EventKind
from pipeline.resolution import Resolution
from tests.fakes import Adder, Blocking, Doubler, FileSource, Latest, LatestDriver, Maybe, NearDoubler, NearFailing, Source
from tests.project import Project


class SelectingDriver(LatestDriver):
    """Selects the newest numbers as something whose type is known only when it runs."""

    def resolve(self, node: Component, history: Any) -> Any:
        selected, why = super().resolve(node, history)
        return {"found": selected["numbers"]}, why


class Selecting(Component):
    """Selects an artifact of any type."""

    driver = SelectingDriver

    def execute(self, context: Any, found: Output[Artifact] | None) -> None: ...


class Reading(Component):
    """Needs examples."""

    def execute(self, context: Any, examples: Input[Examples]) -> None: ...


def decide(project: Project, node: Any, selected: tuple[str, ...]) -> Decision:
    """Asks the driver of a node in a run that has done nothing yet."""
    info = RunInfo("fake", "new-run", project.folder, None, (project.folder,), frozenset(selected))
    resolution = Resolution(project.store, "fake", "new-run", info.selected)
    return driver_of(node).decide(node, info, resolution, project.store, project.storage)


def test_decision_holds_inputs_parameters_and_key(project: Project) -> None:
    made = project.run(Source()).output("Source")
    decision = decide(project, NearDoubler(Source(), factor=5), ("NearDoubler",))
    assert (decision.action, decision.reasons, decision.parameters) == (Action.RUN, ("it has not run before",), {"factor": 5})
    assert [artifact.id for artifact in decision.inputs["numbers"]] == [made.id]
    assert decision.key is not None


def test_deciding_changes_nothing(project: Project) -> None:
    project.run(Source())
    before = [execution.id for execution in project.store.executions_of_node("fake", "NearDoubler")]
    decide(project, NearDoubler(Source()), ("NearDoubler",))
    assert [execution.id for execution in project.store.executions_of_node("fake", "NearDoubler")] == before == []


def test_needed_input_that_nobody_has_made_skips_the_node(project: Project) -> None:
    decision = decide(project, NearDoubler(Source()), ("Source", "NearDoubler"))
    assert (decision.action, decision.reasons) == (Action.SKIP, ("Source has made nothing in this run",))
    decision = decide(project, NearDoubler(Source()), ("NearDoubler",))
    assert decision.reasons == ("Source is not part of this run, and no earlier run has made its outputs",)


def test_unmet_condition_skips_the_node_with_the_value(project: Project) -> None:
    ran = project.run(NearDoubler(source := Source(), when=source.numbers.property("total") > 6))
    assert ran.states == {"Source": "done", "NearDoubler": "skipped"}
    assert ran.reasons("NearDoubler") == ("the condition Source.numbers.total > 6 does not hold (it is 6)",)
    assert ran.result.exit_code == 0


def test_skip_passes_to_those_that_need_the_output_and_not_to_those_that_can_do_without(project: Project) -> None:
    source = Source()
    skipped = NearDoubler(source, when=source.numbers.property("total") == 0)
    needs = Blocking(skipped)
    can_do_without = Adder(source, skipped)
    ran = project.run(needs, can_do_without)
    assert ran.states == {"Source": "done", "NearDoubler": "skipped", "Blocking": "skipped", "Adder": "done"}
    assert ran.reasons("Blocking") == ("NearDoubler was skipped: the condition Source.numbers.total == 0 does not hold (it is 6)",)
    assert (ran.output("Adder").path / "numbers.json").read_text() == "[1, 2, 3]"


def test_condition_on_an_output_that_is_missing_skips(project: Project) -> None:
    empty = Maybe(Source(), keep=False)
    ran = project.run(NearDoubler(Source(id="other"), when=empty.kept.property("x") > 1))
    assert ran.reasons("NearDoubler") == ("its condition cannot be judged: Maybe.kept is empty",)


def test_condition_that_raises_fails_its_node_only(project: Project) -> None:
    source = Source()
    broken = NearDoubler(source, id="broken", when=source.numbers.satisfies(lambda artifact: artifact.properties["absent"] == 1, "x"))
    ran = project.run(broken, NearDoubler(source, id="well"))
    assert ran.states == {"Source": "done", "broken": "failed", "well": "done"}
    assert ran.reasons("broken") == ("Node 'broken' failed: KeyError: 'absent'",)
    assert "Traceback" in Path(ran.result["broken"].log).read_text()


def test_driver_of_a_component_resolves_parameters_and_records_notes(project: Project) -> None:
    project.write("numbers.txt", "4 5")
    ran = project.run(FileSource(file="numbers.txt"))
    execution = project.executions(ran.result.run)["FileSource"]
    assert execution.parameters == {"file": str(project.folder / "numbers.txt")}
    assert execution.properties["span"] == 4


def test_error_of_a_driver_fails_its_node_and_is_recorded(project: Project) -> None:
    ran = project.run(NearDoubler(FileSource(file="missing.txt")), Source())
    assert ran.states == {"FileSource": "failed", "NearDoubler": "not run", "Source": "done"}
    assert isinstance(ran.result["FileSource"].error, DataError)
    execution = project.executions(ran.result.run)["FileSource"]
    assert (execution.state.value, execution.error) == ("FAILED", f"{project.folder}/missing.txt is missing")
    assert ran.result.exit_code == 1


def test_selection_from_history_is_recorded_as_an_internal_output(project: Project) -> None:
    made = project.run(Source(), name="fake").output("Source")
    ran = project.run(NearDoubler(Latest()), name="fake")
    assert ran.state("NearDoubler") == "done"
    assert ran.reasons("Latest") == (f"the newest is {made.name}",)
    execution = project.executions(ran.result.run)["Latest"]
    (event,) = project.store.events_of_executions([execution.id])
    assert (event.kind, event.artifact, event.key) == (EventKind.INTERNAL_OUTPUT, made.id, "numbers")


def test_selection_of_nothing_skips_what_needs_it(project: Project) -> None:
    ran = project.run(NearDoubler(Latest()))
    assert ran.reasons("Latest") == ("the newest is none",)
    assert (ran.state("NearDoubler"), ran.reasons("NearDoubler")) == ("skipped", ("Latest.numbers is empty",))


def test_artifact_of_another_type_than_declared_is_refused_where_it_is_resolved(project: Project) -> None:
    project.run(Source())
    ran = project.run(Reading(Selecting().found))
    assert ran.states == {"Selecting": "selected", "Reading": "failed"}
    assert ran.reasons("Reading") == ("Node 'Reading': input 'examples' expects Examples. Received from Selecting.found: FakeNumbers.",)


def test_execution_type_is_the_class_path() -> None:
    assert component_name(Doubler) == "tests.fakes.Doubler"


def test_reason_after_a_failure_is_not_that_it_never_ran(project: Project) -> None:
    marker = project.folder / "marker"
    project.run(NearFailing(Source(), marker=str(marker)))
    assert project.run(NearFailing(Source(), marker=str(marker))).reasons("NearFailing") == ("it has not succeeded yet",)


def test_damaged_input_of_an_earlier_run_is_refused_with_the_way_out(project: Project) -> None:
    made = project.run(NearDoubler(Source())).output("Source")
    (made.path / "numbers.json").unlink()
    ran = project.run(NearDoubler(Source(), factor=7), only=("NearDoubler",))
    error = ran.result["NearDoubler"].error
    assert isinstance(error, ResolutionError)
    assert str(error) == (
        f"The output Source.numbers of the latest run is damaged: {made.path} has 0 bytes, and 9 were published.\n"
        "Make it again: --from Source"
    )
