"""Where the inputs of a node come from: the nodes before it in this run, or the history of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.channel import Channel
from pipeline.errors import ResolutionError
from pipeline.records import SKIPPED, Execution
from pipeline.storage import damage
from pipeline.wording import sentences

if TYPE_CHECKING:
    from pipeline.metadata import MetadataStore

_RECENT = 20
WAS_SKIPPED = " was skipped: "
ArtifactGroups = dict[str, tuple[Artifact, ...]]


def latest_by_node(executions: list[Execution]) -> dict[str, Execution]:
    """Returns the newest execution of each node; the list is oldest first."""
    return {execution.node: execution for execution in executions}


@dataclass(frozen=True)
class Missing:
    """Why a channel has no artifact."""

    channel: Channel
    reason: str


@dataclass(frozen=True)
class Pending(Missing):
    """A channel whose node has yet to run; only a plan meets it."""


class History:
    """Questions to the past of one pipeline, for drivers and resolvers.

    Args:
        store: The metadata store.
        pipeline: Name of the pipeline.
    """

    def __init__(self, store: MetadataStore, pipeline: str) -> None:
        self.store = store
        self.pipeline = pipeline

    def executions(self, node: str) -> Iterator[Execution]:
        """Yields the executions of a node that succeeded, newest first."""
        known: set[int] = set()
        for limit in (_RECENT, None):
            found = self.store.executions_of_node(self.pipeline, node, limit=limit)
            yield from (execution for execution in reversed(found) if execution.state.succeeded and execution.id not in known)
            if limit is None or len(found) < limit:
                return
            known.update(execution.id for execution in found)

    def artifacts(self, type_name: str, *, pipeline: str | None = None) -> Iterator[Artifact]:
        """Yields the LIVE artifacts of a type that a pipeline has (this one if none is named), newest first."""
        found = self.store.artifacts_of_pipeline(pipeline or self.pipeline)
        return (artifact for artifact in reversed(found) if artifact.type_name == type_name and artifact.state is ArtifactState.LIVE)

    def producer(self, artifact: Artifact) -> Execution | None:
        """Returns the execution that made an artifact; None if the store does not know it."""
        events = [event for event in self.store.events_of_artifacts([artifact.id or 0]) if event.kind.is_output]
        return next(iter(self.store.executions(sorted(event.execution for event in events))), None)

    def inputs_of(self, execution: Execution) -> ArtifactGroups:
        """Returns the inputs of an execution by key."""
        return self.store.inputs_of(execution.id)


class Resolution:
    """Finds the artifacts of channels for one run.

    Args:
        store: The metadata store.
        pipeline: Name of the pipeline.
        run: Id of the run.
        selected: Ids of the nodes that this run runs; others are taken from the latest run that has them.
    """

    def __init__(self, store: MetadataStore, pipeline: str, run: str, selected: frozenset[str]) -> None:
        self._store = store
        self._run = run
        self._selected = selected
        self.history = History(store, pipeline)

    def of_channel(self, channel: Channel) -> tuple[Artifact, ...] | Missing:
        """Returns the LIVE artifacts of a channel, or why there are none.

        Raises:
            ResolutionError: If they come from an earlier run and are damaged.
        """
        outputs = self.outputs_of(channel.node.id)
        if isinstance(outputs, str):
            return Missing(channel, outputs)
        live = tuple(artifact for artifact in outputs.get(channel.name, ()) if artifact.state is ArtifactState.LIVE)
        for artifact in live if channel.node.id not in self._selected else ():
            problem = damage(artifact)
            if problem:
                raise ResolutionError(
                    f"The output {channel} of the latest run is damaged: {problem}.",
                    hint=f"Make it again: --from {channel.node.id}",
                )
        return live[-channel.last if channel.last else 0 :] or Missing(channel, f"{channel} is empty")

    def require(self, channel: Channel, wanted: type[Artifact], node: str, input: str) -> tuple[Artifact, ...] | Missing:
        """Returns the artifacts of a channel, checked to be of the wanted type; the check matters for what a resolver found.

        Raises:
            ResolutionError: If one has another type.
        """
        found = self.of_channel(channel)
        for artifact in () if isinstance(found, Missing) else found:
            if artifact.type_name != wanted.TYPE_NAME and not isinstance(artifact, wanted):
                raise ResolutionError(
                    f"Node '{node}': input '{input}' expects {wanted.TYPE_NAME}. Received from {channel}: {artifact.type_name}."
                )
        return found

    def done(self, node: str) -> Execution | None:
        """Returns the execution by which this run has already done a node; None if it has not."""
        execution = latest_by_node(self._store.executions_of_run(self._run)).get(node)
        return execution if execution is not None and execution.state.succeeded else None

    def _why_nothing(self, node: str) -> str:
        """Returns why a node of this run has made nothing; what a skipped node was skipped for goes on to all that need it."""
        execution = latest_by_node(self._store.executions_of_run(self._run)).get(node)
        if execution is None or execution.verdict != SKIPPED:
            return f"{node} has made nothing in this run"
        reason = sentences(execution.reasons)
        return reason if WAS_SKIPPED in reason else f"{node}{WAS_SKIPPED}{reason}"

    def outputs_of(self, node: str) -> ArtifactGroups | str:
        """Returns the outputs of a node that count for this run, or why there are none."""
        if node in self._selected:
            execution = self.done(node)
            if execution is None:
                return self._why_nothing(node)
        else:
            execution = next(self.history.executions(node), None)
            if execution is None:
                return f"{node} is not part of this run, and no earlier run has made its outputs"
        return self._store.outputs_of(execution.id)
