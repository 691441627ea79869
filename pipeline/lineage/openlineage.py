"""Runs as OpenLineage events (https://openlineage.io, specification 2-0-2), so that Marquez and others can read them.

A pipeline is a job, and so is each of its nodes, `taxi.Trainer`; a run and its executions are their runs. An output of a node,
`taxi.Trainer.model`, is a dataset whose version is the digest of the content; input files and served models are datasets by their
paths. What OpenLineage has no words for, such as reasons and verdicts, stands in a facet of our own.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pipeline.artifacts import Artifact
from pipeline.errors import DataError
from pipeline.metadata import MetadataStore
from pipeline.records import Event, Execution, ExecutionState, Run, RunState
from pipeline.reports import code_of, input_files, libraries_of, node_state, timestamp
from pipeline.version import __version__

NAMESPACE = "cauce"
FILES = "file"
PRODUCER = f"urn:cauce:{__version__}"
_SPECIFICATION = "https://openlineage.io/spec"
_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cauce:runs")
_FACETS = {
    "parent": "1-2-0/ParentRunFacet",
    "processing_engine": "1-1-1/ProcessingEngineRunFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
    "dataSource": "1-0-1/DatasourceDatasetFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
}
_RUN_ENDS = {RunState.DONE: "COMPLETE", RunState.FAILED: "FAIL", RunState.BLOCKED: "ABORT", RunState.INTERRUPTED: "ABORT"}
_ENDS = {
    ExecutionState.COMPLETE: "COMPLETE",
    ExecutionState.CACHED: "COMPLETE",
    ExecutionState.FAILED: "FAIL",
    ExecutionState.CANCELED: "ABORT",
}


def events_of(store: MetadataStore, run: Run, *, namespace: str = NAMESPACE) -> Iterator[dict[str, Any]]:
    """Yields the events of a run: its start, start and end of each execution, its end; what goes on has no end yet.

    Args:
        store: The metadata store.
        run: The run.
        namespace: Namespace of jobs and of the outputs of nodes.
    """
    pipeline = _Job(namespace, run.pipeline, "PIPELINE", _uuid(run.id), {})
    yield pipeline.event("START", run.started, {"cauce_run": _own("run", {"id": run.id, "state": run.state.value})})
    executions = store.executions_of_run(run.id)
    events: dict[int, list[Event]] = defaultdict(list)
    for event in store.events_of_executions(execution.id for execution in executions):
        events[event.execution].append(event)
    ids = {event.artifact for group in events.values() for event in group}
    artifacts = {artifact.id or 0: artifact for artifact in store.artifacts(sorted(ids))}
    for execution in executions:
        yield from _events_of_execution(pipeline, execution, events[execution.id], artifacts)
    if run.state in _RUN_ENDS:
        facets = {"cauce_run": _own("run", {"id": run.id, "state": run.state.value, "reason": run.reason})}
        error = {"errorMessage": _facet("errorMessage", {"message": run.reason, "programmingLanguage": "PYTHON"})}
        yield pipeline.event(_RUN_ENDS[run.state], run.ended or run.started, facets | (error if run.state is RunState.FAILED else {}))


class _Job:
    """A job and one run of it.

    Args:
        namespace: Namespace of the job, and of the datasets that it makes.
        name: Its name.
        kind: `PIPELINE` or `NODE`.
        run: UUID of the run.
        facets: Facets of each event of the run.
    """

    def __init__(self, namespace: str, name: str, kind: str, run: str, facets: Mapping[str, Any]) -> None:
        self.namespace = namespace
        self.name = name
        self.run = run
        engine = _facet("processing_engine", {"version": __version__, "name": "cauce"})
        self._facets = {"processing_engine": engine, **facets}
        self._type = _facet("jobType", {"processingType": "BATCH", "integration": "CAUCE", "jobType": kind})

    def event(
        self, kind: str, time: int, facets: Mapping[str, Any], inputs: Sequence[dict[str, Any]] = (), outputs: Sequence[dict[str, Any]] = ()
    ) -> dict[str, Any]:
        return {
            "eventType": kind,
            "eventTime": timestamp(time or 1),
            "run": {"runId": self.run, "facets": {**self._facets, **facets}},
            "job": {"namespace": self.namespace, "name": self.name, "facets": {"jobType": self._type}},
            "inputs": list(inputs),
            "outputs": list(outputs),
            "producer": PRODUCER,
            "schemaURL": f"{_SPECIFICATION}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        }

    def as_parent(self) -> dict[str, Any]:
        return _facet("parent", {"run": {"runId": self.run}, "job": {"namespace": self.namespace, "name": self.name}})


def _events_of_execution(
    pipeline: _Job, execution: Execution, events: list[Event], artifacts: Mapping[int, Artifact]
) -> Iterator[dict[str, Any]]:
    run = _uuid(f"{execution.run}/{execution.node}/{execution.id}")
    job = _Job(pipeline.namespace, f"{execution.pipeline}.{execution.node}", "NODE", run, {"parent": pipeline.as_parent()})
    known = [event for event in events if event.artifact in artifacts]
    inputs = [_dataset(pipeline.namespace, artifacts[event.artifact]) for event in known if not event.kind.is_output]
    inputs += [_file(file.path, file.sha256) for file in input_files(execution).values()]
    yield job.event("START", execution.created, {"cauce_execution": _own("execution", _facts(execution))}, inputs)
    if execution.state not in _ENDS:
        return
    made = [artifacts[event.artifact] for event in known if event.kind.is_output]
    outputs = [_dataset(pipeline.namespace, artifact, output=True) for artifact in made]
    pushed = (artifact.properties.get("pushed_destination") for artifact in made)
    outputs += [_file(str(destination), "") for destination in pushed if destination]
    facets = {"cauce_execution": _own("execution", _facts(execution))}
    if execution.error:
        facets["errorMessage"] = _facet("errorMessage", {"message": execution.error, "programmingLanguage": "PYTHON"})
    yield job.event(_ENDS[execution.state], execution.updated, facets, inputs, outputs)


def _facts(execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.id,
        "component": execution.component,
        "state": node_state(execution),
        "reasons": list(execution.reasons),
        "verdict": execution.verdict,
        "verdictReasons": list(execution.verdict_reasons),
        "parameters": execution.parameters,
        "code": code_of(execution),
        "libraries": libraries_of(execution),
    }


def _dataset(namespace: str, artifact: Artifact, *, output: bool = False) -> dict[str, Any]:
    parts = artifact.name.split("/")
    name = f"{parts[0]}.{parts[2]}.{parts[3]}" if len(parts) == 5 else artifact.uri
    facets = {
        "dataSource": _facet("dataSource", {"name": artifact.producer or artifact.type_name, "uri": _uri(artifact.uri)}),
        "version": _facet("version", {"datasetVersion": artifact.digest or str(artifact.id)}),
        "cauce_artifact": _own("artifact", {"id": artifact.id, "type": artifact.type_name, "name": artifact.name}),
    }
    fields = _fields(artifact)
    facets |= {"schema": _facet("schema", {"fields": fields})} if fields else {}
    dataset: dict[str, Any] = {"namespace": namespace, "name": name, "facets": facets}
    if output:
        rows = {"rowCount": sum(artifact.record_counts.values())} if artifact.record_counts else {}
        statistics = {**rows, "size": artifact.size, "fileCount": artifact.files}
        dataset["outputFacets"] = {"outputStatistics": _facet("outputStatistics", statistics)}
    return dataset


def _fields(artifact: Artifact) -> list[dict[str, Any]]:
    """Returns name and type of the columns of Examples, as far as their summary is there."""
    if artifact.type_name != "Examples":
        return []
    try:
        columns = artifact.summary().get("columns", ())
    except DataError:
        return []
    return [{"name": str(column.get("name", "")), "type": str(column.get("type", ""))} for column in columns]


def _file(path: str, digest: str) -> dict[str, Any]:
    facets = {"dataSource": _facet("dataSource", {"name": FILES, "uri": _uri(path)})}
    facets |= {"version": _facet("version", {"datasetVersion": digest})} if digest else {}
    return {"namespace": FILES, "name": path, "facets": facets}


def _uri(path: str) -> str:
    return path if "://" in path else f"file://{quote(path)}"


def _facet(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    version, _, schema = _FACETS[name].partition("/")
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPECIFICATION}/facets/{version}/{schema}.json#/$defs/{schema}", **values}


def _own(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a facet of our own."""
    return {"_producer": PRODUCER, "_schemaURL": f"urn:cauce:facets:{name}:1", **values}


def _uuid(text: str) -> str:
    return str(uuid.uuid5(_IDS, text))
