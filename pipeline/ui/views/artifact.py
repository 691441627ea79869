"""One artifact: where it came from, who uses it, what is inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.errors import DataError
from pipeline.lineage.graph import producers
from pipeline.records import EventKind, Execution
from pipeline.reports import node_state
from pipeline.storage import damage
from pipeline.ui.site import Site
from pipeline.ui.views.files import FileLine, files_of

_MOST_USES = 100
_OTHERS = 50
_COMPARED = ("ExampleStatistics", "Model", "ModelEvaluation", "PushedModel")
_TOLD_ELSEWHERE = {"split_names", "record_counts"}


@dataclass(frozen=True)
class Use:
    """An execution that made or used the artifact."""

    execution: int
    key: str
    node: str
    run: str
    state: str


@dataclass(frozen=True)
class Sibling:
    """Another artifact."""

    id: int
    type: str
    name: str
    created: int


@dataclass(frozen=True)
class ArtifactView:
    """An artifact.

    Attributes:
        artifact: The artifact.
        run: The run that made it; empty if that is not known.
        node: The node that made it.
        pipeline: The pipeline that made it.
        problem: What is wrong with its files; empty if nothing is.
        damaged: What is wrong with its summary; empty if nothing is.
        summary: Its summary.
        properties: What is recorded of it.
        uses: The executions that used it, newest first.
        uses_left_out: How many more there are.
        siblings: What the same execution made.
        files: Its files.
        all_files: Whether these are all.
        served: The folders in which it is served now.
        others: Artifacts of the same type and pipeline, newest first, for comparison.
    """

    artifact: Artifact
    run: str
    node: str
    pipeline: str
    problem: str
    damaged: str
    summary: Mapping[str, Any]
    properties: Mapping[str, Any]
    uses: tuple[Use, ...]
    uses_left_out: int
    siblings: tuple[Sibling, ...]
    files: tuple[FileLine, ...]
    all_files: bool
    served: tuple[str, ...]
    others: tuple[Sibling, ...]


def artifact_view(site: Site, id: int) -> ArtifactView:
    """Returns an artifact.

    Raises:
        NotThereError: If there is none with this number.
    """
    artifact = site.artifact(id)
    made_by = _maker(site, id)
    summary: Mapping[str, Any] = {}
    damaged = ""
    try:
        summary = site.summary(artifact)
    except DataError as error:
        damaged = str(error)
    files, all_files = files_of(artifact)
    uses, left_out = _uses(site, id)
    return ArtifactView(
        artifact=artifact,
        run=made_by.run if made_by else "",
        node=made_by.node if made_by else artifact.producer,
        pipeline=made_by.pipeline if made_by else "",
        problem=problem_of(artifact),
        damaged=damaged,
        summary=summary,
        properties={name: value for name, value in artifact.properties.items() if value != "" and name not in _TOLD_ELSEWHERE},
        uses=uses,
        uses_left_out=left_out,
        siblings=_siblings(site, made_by, id),
        files=files,
        all_files=all_files,
        served=_served(site, artifact),
        others=_others(site, artifact, made_by),
    )


def problem_of(artifact: Artifact) -> str:
    """Returns what is wrong with an artifact's files, in a sentence; empty if nothing is."""
    if artifact.state is ArtifactState.DELETED:
        return "It was removed by `cauce gc`; what is recorded of it stays."
    try:
        found = damage(artifact)
    except OSError as error:
        found = f"{artifact.path} cannot be read: {error.strerror}"
    return f"Its files are damaged: {found}." if found else ""


def _maker(site: Site, id: int) -> Execution | None:
    event = producers(site.store, [id]).get(id)
    found = site.store.executions([event.execution]) if event is not None else []
    return found[0] if found else None


def _uses(site: Site, id: int) -> tuple[tuple[Use, ...], int]:
    events = site.store.events_of_artifacts([id], EventKind.INPUT)
    shown = sorted(events, key=lambda event: -event.execution)[:_MOST_USES]
    known = {execution.id: execution for execution in site.store.executions(event.execution for event in shown)}
    uses = tuple(
        Use(event.execution, event.key, execution.node, execution.run, node_state(execution))
        for event in shown
        if (execution := known.get(event.execution)) is not None
    )
    return uses, len(events) - len(shown)


def _siblings(site: Site, made_by: Execution | None, id: int) -> tuple[Sibling, ...]:
    if made_by is None:
        return ()
    outputs = site.store.outputs_of(made_by.id)
    return tuple(sibling(found) for group in outputs.values() for found in group if found.id != id)


def sibling(artifact: Artifact) -> Sibling:
    """Returns an artifact in few words."""
    return Sibling(artifact.id or 0, artifact.type_name, artifact.name, artifact.created)


def _served(site: Site, artifact: Artifact) -> tuple[str, ...]:
    if artifact.type_name not in ("Model", "PushedModel"):
        return ()
    place = artifact.properties.get("pushed_destination")
    return tuple(
        str(version.path)
        for version in site.models()
        if version.served and (version.model == artifact.id or (place is not None and str(version.path) == place))
    )


def _others(site: Site, artifact: Artifact, made_by: Execution | None) -> tuple[Sibling, ...]:
    """Returns the latest artifacts of the same type that the same node of the same pipeline made."""
    if made_by is None or artifact.type_name not in _COMPARED:
        return ()
    executions = site.store.executions_of_node(made_by.pipeline, made_by.node, limit=_OTHERS)
    outputs = {event.artifact for event in site.store.events_of_executions(run.id for run in executions) if event.kind.is_output}
    found = site.store.artifacts(sorted(outputs - {artifact.id}, reverse=True))
    return tuple(sibling(other) for other in found if other.type_name == artifact.type_name)
