"""What artifacts were made from, and what was made from them, as far as the metadata store knows.

The graph is walked breadth-first over events, a generation at a time, so that a walk costs a few queries however wide it is.
This module resolves no names and writes no text.
"""

from __future__ import annotations

import enum
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.display import preformatted, titled
from pipeline.metadata import MetadataStore
from pipeline.records import Event, EventKind, Execution, ExecutionState
from pipeline.reports import artifact_as_json, execution_as_json

LIMIT = 500
"""Executions after which a walk stops, unless it is told otherwise."""


class Direction(enum.Enum):
    """Which way to walk."""

    UP = "up"
    DOWN = "down"


@dataclass
class Lineage:
    """A part of the lineage graph.

    Attributes:
        direction: Which way it was walked.
        roots: Numbers of the artifacts that it begins with.
        artifacts: All artifacts by number.
        executions: All executions by number.
        events: The edges between them: one OUTPUT for each artifact whose origin is known, and the inputs.
        complete: False if the walk stopped at its limit, or its depth.
        served: Folders of the served versions, by number of the artifact that is served there now; empty unless somebody looked.
        frontier: Numbers of the artifacts at which the walk stopped; a walk from them goes on.
    """

    direction: Direction
    roots: tuple[int, ...]
    artifacts: dict[int, Artifact] = field(default_factory=dict)
    executions: dict[int, Execution] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    complete: bool = True
    served: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    frontier: tuple[int, ...] = ()

    def _repr_html_(self) -> str:
        from pipeline.lineage.text import text_tree  # it draws what this module walks

        title = "made from" if self.direction is Direction.UP else "used for"
        return titled(title, preformatted("\n".join(text_tree(self))))

    def as_json(self) -> dict[str, Any]:
        """Returns what `cauce lineage --json` prints of one direction."""
        return {
            "direction": self.direction.value,
            "roots": list(self.roots),
            "complete": self.complete,
            "frontier": list(self.frontier),
            "served": [{"artifact": id, "uri": uri} for id, uris in sorted(self.served.items()) for uri in uris],
            "artifacts": [artifact_as_json(self.artifacts[id]) for id in sorted(self.artifacts)],
            "executions": [execution_as_json(self.executions[id]) for id in sorted(self.executions)],
            "events": [
                {"execution": event.execution, "artifact": event.artifact, "kind": event.kind.value, "key": event.key, "index": event.index}
                for event in self.events
            ],
        }


def walk(
    store: MetadataStore, roots: Iterable[int], direction: Direction, *, limit: int | None = LIMIT, depth: int | None = None
) -> Lineage:
    """Walks from artifacts up to all that they were made from, or down to all that was made from them.

    Args:
        store: The metadata store.
        roots: Numbers of artifacts.
        direction: Which way.
        limit: Executions after which the walk stops; None for no limit.
        depth: Generations after which it stops; None for no limit.
    """
    lineage = Lineage(direction, tuple(dict.fromkeys(roots)))
    step = _walk_up if direction is Direction.UP else _walk_down
    step(store, lineage, limit, depth)
    ids = dict.fromkeys((*lineage.roots, *(event.artifact for event in lineage.events)))
    lineage.artifacts = {artifact.id or 0: artifact for artifact in store.artifacts(ids)}
    return lineage


def producers(store: MetadataStore, artifacts: Iterable[int]) -> dict[int, Event]:
    """Returns for each artifact the event of its origin: the first execution that had it as its output; later ones reused it."""
    found: dict[int, Event] = {}
    for event in store.events_of_artifacts(artifacts, EventKind.OUTPUT):
        if event.artifact not in found or event.execution < found[event.artifact].execution:
            found[event.artifact] = event
    return found


def belongs(execution: Execution, used: Event, made: Event) -> bool:
    """Returns whether an execution made one artifact of another: where its work falls into portions, both must be of one portion."""
    portioned = json.loads(str(execution.properties.get("portioned") or "{}"))
    apart = used.key in portioned.get("inputs", ()) and made.key in portioned.get("outputs", ())
    return not apart or used.index == made.index


def _walk_up(store: MetadataStore, lineage: Lineage, limit: int | None, depth: int | None) -> None:
    seen = set(lineage.roots)
    waiting = list(lineage.roots)
    inputs: dict[int, list[Event]] = defaultdict(list)
    edges: dict[Event, None] = {}
    for generation in itertools.count():
        origins = producers(store, waiting)
        if generation == depth:
            _stop(lineage, [event for event in origins.values() if event.execution not in lineage.executions])
        if generation == depth or not waiting:
            break
        new = _admitted(lineage, (event.execution for event in origins.values()), limit)
        lineage.executions |= {execution.id: execution for execution in store.executions(new)}
        for event in store.events_of_executions(new):
            if event.kind is EventKind.INPUT:
                inputs[event.execution].append(event)
        made = [event for event in origins.values() if event.execution in lineage.executions]
        used = [use for event in made for use in inputs[event.execution] if belongs(lineage.executions[event.execution], use, event)]
        edges |= dict.fromkeys((*made, *used))
        waiting = [id for id in dict.fromkeys(event.artifact for event in used) if id not in seen]
        seen.update(waiting)
    lineage.events = list(edges)


def _walk_down(store: MetadataStore, lineage: Lineage, limit: int | None, depth: int | None) -> None:
    """Follows uses, but only those after the execution by which an artifact was reached.

    After a cache hit has reached an artifact of an earlier run, what that run made of it does not count.
    """
    since = dict.fromkeys(lineage.roots, 0)
    edges: dict[Event, None] = {}
    waiting = list(lineage.roots)
    for generation in itertools.count():
        uses = [event for event in store.events_of_artifacts(waiting, EventKind.INPUT) if event.execution > since[event.artifact]]
        if generation == depth:
            users = store.executions({event.execution for event in uses} - set(lineage.executions))
            working = {user.id for user in users if user.state is ExecutionState.COMPLETE}
            _stop(lineage, [event for event in uses if event.execution in working])
        if generation == depth or not uses:
            break
        by_user: dict[int, list[Event]] = defaultdict(list)
        for use in uses:
            by_user[use.execution].append(use)
        again = [id for id in by_user if "portioned" in (lineage.executions[id].properties if id in lineage.executions else ())]
        users = [user for user in store.executions([*_admitted(lineage, by_user, limit), *again]) if user.state.succeeded]
        made: dict[int, list[Event]] = defaultdict(list)
        for event in store.events_of_executions(user.id for user in users):
            if event.kind is EventKind.OUTPUT:
                made[event.execution].append(event)
        waiting = []
        for user in sorted(users, key=lambda user: (user.state is ExecutionState.CACHED, user.id)):
            own = [event for event in made[user.id] if any(belongs(user, use, event) for use in by_user[user.id])]
            reached = [event for event in own if event.execution < since.get(event.artifact, event.execution + 1)]
            if reached or not (made[user.id] or user.state is ExecutionState.CACHED):
                lineage.executions[user.id] = user
                since |= {event.artifact: event.execution for event in reached}
                edges |= dict.fromkeys(reached)
                waiting += [event.artifact for event in reached]
        edges |= dict.fromkeys(event for event in uses if event.execution in lineage.executions)
        waiting = list(dict.fromkeys(waiting))
    lineage.events = list(edges)


def _stop(lineage: Lineage, further: Sequence[Event]) -> None:
    """Notes that a walk stops at its depth, and where there is more."""
    lineage.frontier = tuple(dict.fromkeys(event.artifact for event in further))
    lineage.complete = lineage.complete and not lineage.frontier


def _admitted(lineage: Lineage, executions: Iterable[int], limit: int | None) -> list[int]:
    """Returns those executions that are new, oldest first, as many as the limit leaves; notes where it cuts some off."""
    new = sorted(id for id in set(executions) if id not in lineage.executions)
    room = len(new) if limit is None else max(limit - len(lineage.executions), 0)
    lineage.complete = lineage.complete and len(new) <= room
    return new[:room]
