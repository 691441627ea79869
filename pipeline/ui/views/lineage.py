"""The lineage of an artifact as a graph: some generations up and down, and further where a person asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.lineage.graph import Direction, Lineage
from pipeline.records import Event, Execution
from pipeline.reports import node_state
from pipeline.ui.graph import Drawing, draw
from pipeline.ui.site import Site

MOST_EXECUTIONS = 300
DEPTHS = (1, 2, 3, 5, 8, 20)
_USUAL_DEPTH = 3


@dataclass(frozen=True)
class Thing:
    """A node of the graph: an artifact, or an execution.

    Attributes:
        id: `a12` or `e7`.
        kind: `artifact` or `execution`.
        number: Its number.
        name: Type of the artifact, or node of the execution.
        note: What else to know in few words.
        state: Its state.
        address: Its page.
        root: Whether the graph begins with it.
        more: Whether there is more behind it that is not shown.
        served: Whether it is served now.
    """

    id: str
    kind: str
    number: int
    name: str
    note: str
    state: str
    address: str
    root: bool = False
    more: bool = False
    served: bool = False


@dataclass(frozen=True)
class LineageView:
    """The lineage of an artifact.

    Attributes:
        artifact: The artifact.
        direction: `up`, `down` or `both`.
        depth: How many generations are shown.
        opened: Artifacts behind which more was asked for.
        things: The nodes of the graph.
        edges: Pairs of their ids, from what was made from to what was made.
        keys: The name of the input or output of each edge.
        drawing: The graph.
        complete: Whether nothing is left out.
    """

    artifact: Artifact
    direction: str
    depth: int
    opened: tuple[int, ...]
    things: tuple[Thing, ...]
    edges: tuple[tuple[str, str], ...]
    keys: tuple[str, ...]
    drawing: Drawing
    complete: bool

    @property
    def by_id(self) -> Mapping[str, Thing]:
        """The nodes by their ids."""
        return {thing.id: thing for thing in self.things}


def lineage_view(site: Site, id: int, *, direction: str = "both", depth: int = _USUAL_DEPTH, opened: Sequence[int] = ()) -> LineageView:
    """Returns the lineage of an artifact.

    Args:
        site: The site.
        id: Number of the artifact.
        direction: `up` to what it was made from, `down` to what was made from it; anything else is both.
        depth: Generations to show.
        opened: Artifacts behind which one more generation is shown.

    Raises:
        NotThereError: If there is no such artifact.
    """
    artifact = site.artifact(id)
    direction = direction if direction in ("up", "down") else "both"
    ways = [way for way in Direction if direction in ("both", way.value)]
    walks = [site.ledger.walk([id], way, limit=MOST_EXECUTIONS, depth=depth) for way in ways]
    for way in ways:
        # What was opened hangs on what is shown: another walk begins at its edge.
        walks += [site.ledger.walk([further], way, limit=MOST_EXECUTIONS, depth=1) for further in opened if _at_edge(walks, further, way)]
    artifacts = {number: found for walk in walks for number, found in walk.artifacts.items()}
    executions = {number: found for walk in walks for number, found in walk.executions.items()}
    events = list(dict.fromkeys(event for walk in walks for event in walk.events))
    edge = {number for walk in walks for number in walk.frontier} - {number for number in opened if _is_shown(walks, number)}
    served = {number for walk in walks for number in walk.served}
    things = [
        *(_artifact(found, root=number == id, more=number in edge, served=number in served) for number, found in sorted(artifacts.items())),
        *(_execution(found) for _, found in sorted(executions.items())),
    ]
    edges = tuple(_edge(event) for event in events)
    return LineageView(
        artifact=artifact,
        direction=direction,
        depth=depth,
        opened=tuple(opened),
        things=tuple(things),
        edges=edges,
        keys=tuple(event.key for event in events),
        drawing=draw([thing.id for thing in things], edges, width=184.0, height=38.0, gap=12.0, between=40.0),
        complete=all(walk.complete for walk in walks[: len(ways)]) or not edge,
    )


def _at_edge(walks: Sequence[Lineage], number: int, way: Direction) -> bool:
    return any(number in walk.frontier for walk in walks if walk.direction is way)


def _is_shown(walks: Sequence[Lineage], number: int) -> bool:
    return any(number in walk.roots for walk in walks)


def _edge(event: Event) -> tuple[str, str]:
    artifact, execution = f"a{event.artifact}", f"e{event.execution}"
    return (execution, artifact) if event.kind.is_output else (artifact, execution)


def _artifact(artifact: Artifact, *, root: bool, more: bool, served: bool) -> Thing:
    counts = artifact.record_counts
    note = f"{artifact.id}"
    if served:
        note += " · served now"
    elif counts:
        note += f" · {sum(counts.values()):,} rows"
    elif artifact.type_name == "ModelBlessing":
        note += " · blessed" if artifact.properties.get("blessed") else " · not blessed"
    state = "LIVE" if artifact.state is ArtifactState.LIVE else artifact.state.value
    address = f"/artifacts/{artifact.id}"
    return Thing(f"a{artifact.id}", "artifact", artifact.id or 0, artifact.type_name, note, state, address, root, more, served)


def _execution(execution: Execution) -> Thing:
    note = execution.run if len(execution.run) < 24 else f"{execution.run[:22]}…"
    return Thing(f"e{execution.id}", "execution", execution.id, execution.node, note, node_state(execution), f"/executions/{execution.id}")
