"""The two sides of a comparison: a run with all its nodes, or a model with all that it was made from and judged by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.lineage.graph import Direction, walk
from pipeline.metadata import MetadataStore
from pipeline.records import Event, EventKind, Execution, ExecutionState, Run
from pipeline.reports import timestamp
from pipeline.resolution import latest_by_node

Place = tuple[str, str]
"""Node and name of an output."""

_MEASURED = {"Examples": "ExampleStatistics", "Model": "ModelEvaluation"}
"""By what results of its users an artifact is known."""

_USES = 200


@dataclass(frozen=True)
class Side:
    """One side.

    Attributes:
        name: What it is, `run 20260131-2359` or `Model 7`.
        kind: `run`, or the type of an artifact.
        id: Id of the run, or number of the artifact.
        pipeline: Name of the pipeline.
        created: When it began or was made: milliseconds since 1970-01-01 UTC.
        executions: The execution of each node.
        outputs: The artifacts of each output.
        environment: Digest by which the root folder keeps the versions of all packages; empty if they are not known.
    """

    name: str
    kind: str
    id: str
    pipeline: str
    created: int
    executions: Mapping[str, Execution] = field(default_factory=dict)
    outputs: Mapping[Place, tuple[Artifact, ...]] = field(default_factory=dict)
    environment: str = ""

    def of_type(self, type_name: str) -> dict[Place, Artifact]:
        """Returns the artifacts of a type by where they come from; of several at one place the last."""
        return {place: group[-1] for place, group in self.outputs.items() if group and group[-1].type_name == type_name}

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        return {"name": self.name, "kind": self.kind, "id": self.id, "pipeline": self.pipeline, "created": timestamp(self.created)}


def side_of_run(store: MetadataStore, run: Run) -> Side:
    """Returns a run as a side."""
    executions = latest_by_node(store.executions_of_run(run.id))
    environment = str(run.properties.get("environment", ""))
    outputs = _outputs(store, executions.values())
    return Side(f"run {run.id}", "run", run.id, run.pipeline, run.started, executions, outputs, environment)


def side_of_artifact(store: MetadataStore, artifact: Artifact) -> Side:
    """Returns an artifact as a side: what it was made from, and what judged it.

    A pushed model stands for the model that was pushed.
    """
    id = artifact.id or 0
    up = walk(store, [id], Direction.UP, limit=None)
    if artifact.type_name == "PushedModel":
        model = next((known for known in up.artifacts.values() if known.type_name == "Model"), None)
        if model is not None:
            return side_of_artifact(store, model)
    made = [up.executions[number] for number in sorted(up.executions)]
    executions = latest_by_node([*_readers(store, up.artifacts, made), *made])
    own = max(made, key=lambda execution: execution.id, default=None)
    return Side(
        f"{artifact.type_name} {id}",
        artifact.type_name,
        str(id),
        own.pipeline if own else "",
        artifact.created,
        executions,
        _outputs(store, executions.values()),
        str(own.properties.get("environment", "")) if own else "",
    )


def _readers(store: MetadataStore, artifacts: Mapping[int, Artifact], made: Iterable[Execution]) -> list[Execution]:
    """Returns the executions beside the way that made statistics of its examples, or evaluated its models.

    Those that took more than was on the way, such as the statistics of a later window, come first: a later one of the node counts.
    """
    known = {execution.id for execution in made}
    types = {id: artifact.type_name for id, artifact in artifacts.items() if artifact.type_name in _MEASURED}
    used: dict[int, set[str]] = defaultdict(set)
    for event in store.events_of_artifacts(types):
        if not event.kind.is_output and event.execution not in known and not event.key.startswith("baseline"):
            used[event.execution].add(_MEASURED[types[event.artifact]])
    uses = sorted(used)  # examples that never change may have been reused for years: the first and the latest runs tell it all
    uses = uses if len(uses) <= 2 * _USES else [*uses[:_USES], *uses[-_USES:]]
    events = [event for event in store.events_of_executions(uses) if event.kind.is_output]
    results = {artifact.id: artifact.type_name for artifact in store.artifacts(event.artifact for event in events)}
    wanted = {event.execution for event in events if results.get(event.artifact) in used[event.execution]}
    taken = [event for event in store.events_of_executions(wanted) if event.kind is EventKind.INPUT]
    on_the_way = {(event.execution, event.key) for event in taken if event.artifact in types}
    wider = {event.execution for event in taken if (event.execution, event.key) in on_the_way and event.artifact not in artifacts}
    found = [execution for execution in store.executions(sorted(wanted)) if execution.state is ExecutionState.COMPLETE]
    return sorted(found, key=lambda execution: (execution.id not in wider, execution.id))


def _outputs(store: MetadataStore, executions: Iterable[Execution]) -> dict[Place, tuple[Artifact, ...]]:
    nodes = {execution.id: execution.node for execution in executions}
    events: list[Event] = [event for event in store.events_of_executions(nodes) if event.kind.is_output]
    artifacts = {artifact.id: artifact for artifact in store.artifacts(event.artifact for event in events)}
    found: dict[Place, list[Artifact]] = defaultdict(list)
    for event in events:
        if event.artifact in artifacts:
            found[(nodes[event.execution], event.key)].append(artifacts[event.artifact])
    return {place: tuple(group) for place, group in found.items()}
