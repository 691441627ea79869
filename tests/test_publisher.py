"""The publisher makes a result true, or leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.artifacts import ArtifactState
from pipeline.errors import ExecutionError, MetadataError, StorageError
from pipeline.hashing import digest_tree
from pipeline.metadata import MetadataStore
from pipeline.records import EventKind, ExecutionState
from tests.fakes import Maybe, NearDoubler, NearFailing, Source
from tests.project import Project


def nothing_is_left(project: Project, node: str) -> bool:
    return not list((project.root / "artifacts" / "fake" / node).glob("*/*")) and not list((project.root / "staging").iterdir())


def test_published_artifact_has_digest_size_name_and_producer(project: Project) -> None:
    ran = project.run(NearDoubler(Source()))
    execution = project.executions(ran.result.run)["NearDoubler"]
    (artifact,) = project.store.outputs_of(execution.id)["doubled"]
    assert artifact.path == project.root / "artifacts" / "fake" / "NearDoubler" / "doubled" / f"{ran.result.run}.{execution.id}"
    assert artifact.digest == digest_tree(artifact.path)
    assert (artifact.size, artifact.state, artifact.producer) == (9, ArtifactState.LIVE, "NearDoubler")
    assert artifact.name == f"fake/{ran.result.run}/NearDoubler/doubled/{execution.id}"
    assert not (project.root / "staging" / f"{ran.result.run}.{execution.id}").exists()


def test_execution_records_rows_reasons_parameters_and_time(project: Project) -> None:
    execution = project.executions(project.run(NearDoubler(Source())).result.run)["NearDoubler"]
    assert execution.state is ExecutionState.COMPLETE
    assert (execution.reasons, execution.parameters) == (("it has not run before",), {"factor": 2})
    assert execution.properties["rows_read"] == 3
    assert execution.properties["rows_written"] == '{"all": 3}'
    assert execution.seconds > 0
    assert execution.peak_memory == 0


def test_lost_rows_are_refused_and_nothing_is_published(project: Project) -> None:
    ran = project.run(NearFailing(Source(), how="lose"))
    error = ran.result["NearFailing"].error
    assert isinstance(error, ExecutionError)
    assert str(error) == "Node 'NearFailing' read 3 records, wrote 2, dropped 0: 1 are missing. Nothing was published."
    assert nothing_is_left(project, "NearFailing")
    assert project.executions(ran.result.run)["NearFailing"].state is ExecutionState.FAILED


def test_empty_output_is_refused_and_nothing_is_published(project: Project) -> None:
    ran = project.run(NearFailing(Source(), how="empty"))
    error = ran.result["NearFailing"].error
    assert isinstance(error, StorageError)
    assert str(error) == "Output 'result' (FakeNumbers) is empty: its executor wrote no file into it."
    assert nothing_is_left(project, "NearFailing")


def test_optional_output_may_stay_empty_and_has_then_no_artifact(project: Project) -> None:
    ran = project.run(Maybe(Source(), keep=False))
    assert ran.state("Maybe") == "done"
    assert ran.result["Maybe"].outputs == {}
    assert project.store.outputs_of(project.executions(ran.result.run)["Maybe"].id) == {}
    assert nothing_is_left(project, "Maybe")
    again = project.run(Maybe(Source(), keep=False))
    assert again.state("Maybe") == "cached"
    verdict = again.result["Maybe"].verdict
    assert verdict is not None
    assert (verdict.kind, verdict.reasons) == ("dropped", ("as it was told",))


def test_cache_hit_is_recorded_with_the_old_outputs_and_where_they_came_from(project: Project) -> None:
    first = project.run(NearDoubler(Source()))
    second = project.run(NearDoubler(Source()))
    original = project.executions(first.result.run)["NearDoubler"]
    hit = project.executions(second.result.run)["NearDoubler"]
    assert (hit.state, hit.properties["cached_from"], hit.properties["rows_read"]) == (ExecutionState.CACHED, original.id, 3)
    outputs = [event for event in project.store.events_of_executions([hit.id]) if event.kind is EventKind.OUTPUT]
    assert [event.artifact for event in outputs] == [first.output("NearDoubler").id]
    (artifact,) = project.store.outputs_of(hit.id)["doubled"]
    assert (artifact.digest, artifact.properties) == (first.output("NearDoubler").digest, first.output("NearDoubler").properties)


def test_failure_is_recorded_with_its_error_and_keeps_its_log(project: Project) -> None:
    ran = project.run(NearFailing(Source()))
    execution = project.executions(ran.result.run)["NearFailing"]
    assert (execution.error, execution.properties["error_type"]) == (
        "Node 'NearFailing' failed: ValueError: as it was told",
        "ExecutionError",
    )
    assert "ValueError: as it was told" in Path(execution.log).read_text()
    assert ran.result["NearFailing"].log == execution.log


def test_store_that_fails_when_the_result_is_recorded_leaves_no_files(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real = MetadataStore.publish

    def fail_once(self: MetadataStore, execution: int, state: ExecutionState, *args: object, **kwargs: object) -> None:
        if state is ExecutionState.COMPLETE and self.executions([execution])[0].node == "NearDoubler":
            raise MetadataError("the store is full")
        real(self, execution, state, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(MetadataStore, "publish", fail_once)
    ran = project.run(NearDoubler(Source()))
    assert ran.state("NearDoubler") == "failed"
    assert nothing_is_left(project, "NearDoubler")


def test_store_that_fails_after_it_has_recorded_the_result_loses_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real = MetadataStore.publish

    def fail_late(self: MetadataStore, execution: int, state: ExecutionState, *args: object, **kwargs: object) -> None:
        real(self, execution, state, *args, **kwargs)  # type: ignore[arg-type]
        if state is ExecutionState.COMPLETE and self.executions([execution])[0].node == "NearDoubler":
            raise MetadataError("the connection was lost")

    monkeypatch.setattr(MetadataStore, "publish", fail_late)
    ran = project.run(NearDoubler(Source()))
    monkeypatch.undo()
    assert ran.state("NearDoubler") == "failed"
    assert project.executions(ran.result.run)["NearDoubler"].state is ExecutionState.COMPLETE
    again = project.run(NearDoubler(Source()), resume=ran.result.run)
    assert again.states == {"Source": "done", "NearDoubler": "done"}
    assert again.reasons("NearDoubler") == ("done by this run before it was resumed",)
    assert len(project.published()) == 2
