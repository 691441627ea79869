"""Where inputs come from: nodes of this run, earlier runs for nodes that are not selected, history for resolvers."""

from __future__ import annotations

from pipeline.resolution import History, Missing, Resolution
from tests.fakes import Doubler, Maybe, NearDoubler, NearFailing, Source
from tests.project import Project


def resolution(project: Project, run: str, *selected: str) -> Resolution:
    return Resolution(project.store, "fake", run, frozenset(selected))


def test_selected_node_counts_only_with_what_it_made_in_this_run(project: Project) -> None:
    source = Source()
    ran = project.run(source)
    assert isinstance(resolution(project, "other", "Source").of_channel(source.numbers), Missing)
    (found,) = resolution(project, ran.result.run, "Source").of_channel(source.numbers)  # type: ignore[misc]
    assert found.id == ran.output("Source").id


def test_other_node_counts_with_its_latest_success_cached_or_not(project: Project) -> None:
    first = project.run(Source(values=(1,))).output("Source")
    second = project.run(Source(values=(2,))).output("Source")
    (found,) = resolution(project, "new").of_channel(Source().numbers)  # type: ignore[misc]
    assert found.id == second.id
    project.run(Source(values=(1,)))
    (found,) = resolution(project, "new").of_channel(Source().numbers)  # type: ignore[misc]
    assert found.id == first.id


def test_failed_execution_is_passed_over(project: Project) -> None:
    marker = project.folder / "marker"
    marker.touch()
    good = project.run(NearFailing(Source(), marker=str(marker))).output("NearFailing")
    marker.unlink()
    project.run(NearFailing(Source(), marker=str(marker)), rerun=("NearFailing",))
    (found,) = resolution(project, "new").of_channel(NearFailing(Source()).result)  # type: ignore[misc]
    assert found.id == good.id


def test_output_that_was_left_empty_is_missing_by_its_name(project: Project) -> None:
    project.run(Maybe(Source(), keep=False))
    missing = resolution(project, "new").of_channel(Maybe(Source()).kept)
    assert isinstance(missing, Missing)
    assert missing.reason == "Maybe.kept is empty"


def test_other_pipelines_do_not_count(project: Project) -> None:
    project.run(Source(), name="other")
    assert isinstance(resolution(project, "new").of_channel(Source().numbers), Missing)


def test_history_yields_executions_and_artifacts_newest_first_with_their_origin(project: Project) -> None:
    made = [project.run(NearDoubler(Source(), factor=factor)).output("NearDoubler") for factor in (2, 3)]
    history = History(project.store, "fake")
    executions = list(history.executions("NearDoubler"))
    assert [execution.parameters["factor"] for execution in executions] == [3, 2]
    artifacts = list(history.artifacts("FakeNumbers"))
    assert [artifact.id for artifact in artifacts][:1] == [made[1].id]
    producer = history.producer(made[0])
    assert producer is not None
    assert producer.id == executions[1].id
    assert [artifact.name.split("/")[2] for artifact in history.inputs_of(producer)["numbers"]] == ["Source"]
    assert list(history.executions("Doubler")) == []
    assert list(history.artifacts("Model")) == []
    assert list(History(project.store, "other").artifacts("FakeNumbers")) == []


def test_node_of_another_component_with_the_same_id_counts_by_id(project: Project) -> None:
    made = project.run(NearDoubler(Source(), id="twice")).output("twice")
    (found,) = resolution(project, "new").of_channel(Doubler(Source(), id="twice").doubled)  # type: ignore[misc]
    assert found.id == made.id
