"""What a run would do, without doing it: each node's decision, asked of its driver."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.artifacts import Artifact
from pipeline.channel import Channel
from pipeline.definition import Pipeline
from pipeline.driver import Action, Decision, RunInfo, driver_of
from pipeline.metadata import MetadataStore
from pipeline.records import Execution
from pipeline.resolution import ArtifactGroups, Missing, Pending, Resolution
from pipeline.storage import Storage


@dataclass(frozen=True)
class PlannedNode:
    """What would become of a node."""

    node: str
    component: str
    decision: Decision


class _PlannedResolution(Resolution):
    """Takes the outputs of nodes from their planned decisions."""

    def __init__(self, store: MetadataStore, run: RunInfo) -> None:
        super().__init__(store, run.pipeline, run.run, run.selected)
        self.decisions: dict[str, Decision] = {}

    def of_channel(self, channel: Channel) -> tuple[Artifact, ...] | Missing:
        decision = self.decisions.get(channel.node.id)
        if decision is not None and decision.action in (Action.RUN, Action.WAIT):
            return Pending(channel, f"{channel.node.id} has to run first")
        return super().of_channel(channel)

    def outputs_of(self, node: str) -> ArtifactGroups | str:
        decision = self.decisions.get(node)
        return super().outputs_of(node) if decision is None else decision.outputs

    def done(self, node: str) -> Execution | None:
        return None


def plan(pipeline: Pipeline, run: RunInfo, store: MetadataStore, storage: Storage) -> list[PlannedNode]:
    """Returns the decision for each selected node, in order.

    A node behind one that runs waits: whether it runs depends on whether that output is different.

    Raises:
        CauceError: What a driver would raise: a wrong path, damaged input.
    """
    resolution = _PlannedResolution(store, run)
    planned = []
    for node in pipeline.nodes:
        if node.id in run.selected:
            decision = driver_of(node).decide(node, run, resolution, store, storage)
            resolution.decisions[node.id] = decision
            planned.append(PlannedNode(node.id, type(node).__name__, decision))
    return planned
