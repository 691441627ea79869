"""OpenLineage events, as the classes that the OpenLineage project generates from its specification read them."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.generated import (
    base,
    dataset_version_dataset,
    datasource_dataset,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
)
from openlineage.client.serde import Serde

from pipeline.lineage.openlineage import PRODUCER, events_of
from tests.fakes import FileSource, NearFailing, Source
from tests.light import Halver
from tests.models import modelling
from tests.project import Project

CLASSES: dict[str, Any] = {
    "processing_engine": processing_engine_run.ProcessingEngineRunFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "dataSource": datasource_dataset.DatasourceDatasetFacet,
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
}


def facet(name: str, values: dict[str, Any]) -> Any:
    """Returns a facet as the generated class of its name holds it; one of our own as it is, with what each facet must have."""
    given = {key: value for key, value in values.items() if not key.startswith("_")}
    if name.startswith("cauce_"):
        assert values["_producer"] == PRODUCER
        assert values["_schemaURL"].startswith("urn:cauce:facets:")
        return values
    if name == "parent":
        return parent_run.ParentRunFacet(run=parent_run.Run(**given["run"]), job=parent_run.Job(**given["job"]))
    if name == "schema":
        return schema_dataset.SchemaDatasetFacet(fields=[schema_dataset.SchemaDatasetFacetFields(**field) for field in given["fields"]])
    return CLASSES[name](**given)


def facets(values: dict[str, Any]) -> dict[str, Any]:
    return {name: facet(name, value) for name, value in values.items()}


def read(event: dict[str, Any]) -> dict[str, Any]:
    """Returns what is left of an event that was read into the generated classes and written again."""
    known = RunEvent(
        eventType=RunState[event["eventType"]],
        eventTime=event["eventTime"],
        run=Run(event["run"]["runId"], facets=facets(event["run"]["facets"])),
        job=Job(event["job"]["namespace"], event["job"]["name"], facets=facets(event["job"]["facets"])),
        inputs=[InputDataset(one["namespace"], one["name"], facets=facets(one["facets"])) for one in event["inputs"]],
        outputs=[
            OutputDataset(one["namespace"], one["name"], facets=facets(one["facets"]), outputFacets=facets(one.get("outputFacets", {})))
            for one in event["outputs"]
        ],
        producer=event["producer"],
    )
    return dict(Serde.to_dict(known))


def filled(value: Any) -> Any:
    """Returns a value without what is empty, which the classes leave out."""
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items() if item not in ({}, [], None, "")}
    return [filled(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def produced_by_us() -> Any:
    before = base.PRODUCER
    base.set_producer(PRODUCER)
    yield
    base.set_producer(before)


def events(project: Project, run: str) -> list[dict[str, Any]]:
    return list(events_of(project.store, project.store.run(run)))


def test_events_are_what_the_specification_says(project: Project) -> None:
    project.run(*modelling())
    runs = [project.run(*modelling()).result.run, project.run(NearFailing(Source())).result.run]
    for event in (event for run in runs for event in events(project, run)):
        assert filled(read(event)) == filled(event)


def test_each_run_starts_and_ends_once_within_its_parent(project: Project) -> None:
    run = project.run(*modelling()).result.run
    found = events(project, run)
    kinds: dict[str, list[str]] = {}
    for event in found:
        kinds.setdefault(event["run"]["runId"], []).append(event["eventType"])
    assert Counter(map(tuple, kinds.values())) == {("START", "COMPLETE"): 7}
    assert (found[0]["job"]["name"], found[-1]["job"]["name"]) == ("fake", "fake")
    parents = {event["run"]["facets"]["parent"]["run"]["runId"] for event in found[1:-1]}
    assert parents == {found[0]["run"]["runId"]}
    assert uuid.UUID(found[0]["run"]["runId"]).version == 5
    assert events(project, run) == found


def test_the_output_of_one_node_is_the_input_of_the_next_with_its_version(project: Project) -> None:
    run = project.run(Halver(Source())).result.run
    made, used = (
        next(
            one for event in events(project, run) if event["job"]["name"] == job and event["eventType"] == "COMPLETE" for one in event[side]
        )
        for job, side in (("fake.Source", "outputs"), ("fake.Halver", "inputs"))
    )
    assert (made["namespace"], made["name"]) == (used["namespace"], used["name"]) == ("cauce", "fake.Source.numbers")
    (artifact, _) = project.store.all_artifacts()
    assert made["facets"]["version"]["datasetVersion"] == used["facets"]["version"]["datasetVersion"] == artifact.digest
    assert made["outputFacets"]["outputStatistics"]["size"] == artifact.size


def test_rows_columns_and_served_models_are_told(project: Project) -> None:
    run = project.run(*modelling()).result.run
    outputs = [one for event in events(project, run) if event["eventType"] == "COMPLETE" for one in event["outputs"]]
    examples = next(one for one in outputs if one["name"] == "fake.Reading.examples")
    assert examples["outputFacets"]["outputStatistics"]["rowCount"] == 10
    assert examples["facets"]["schema"]["fields"] == [{"name": "fare", "type": "FLOAT"}]
    assert ("file", str(project.folder / "serving/fake/1")) in {(one["namespace"], one["name"]) for one in outputs}


def test_a_failure_is_a_failure_with_its_message(project: Project) -> None:
    run = project.run(Halver(NearFailing(Source()))).result.run
    failed = [event for event in events(project, run) if event["eventType"] == "FAIL"]
    assert [event["job"]["name"] for event in failed] == ["fake.NearFailing", "fake"]
    assert all("as it was told" in event["run"]["facets"]["errorMessage"]["message"] for event in failed)


def test_a_run_that_goes_on_has_not_ended(project: Project) -> None:
    project.store.begin_run("fake", "going", {"started": 1_000})
    project.store.register("fake", "going", "n", "tests.N", {}, {})
    assert [event["eventType"] for event in events(project, "going")] == ["START", "START"]


def test_reasons_and_verdicts_stand_in_a_facet_of_our_own(project: Project) -> None:
    project.write("numbers.txt", "1 2")
    run = project.run(FileSource(file="numbers.txt")).result.run
    facts = events(project, run)[2]["run"]["facets"]["cauce_execution"]
    assert (facts["state"], facts["reasons"]) == ("done", ["it has not run before"])
