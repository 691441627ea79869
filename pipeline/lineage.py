"""Lineage: what an artifact was made from, and what was made from it, as far as the metadata store knows.

The graph is walked breadth-first over events, a generation at a time, so that a walk costs a few queries however wide it is.
This module prints nothing and resolves no names; `text_tree` and `to_dot` return text.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.driver import NEVER_RUN
from pipeline.metadata import MetadataStore
from pipeline.records import Event, EventKind, Execution, ExecutionState
from pipeline.reports import artifact_as_json, code_of, execution_as_json, short_name, short_parameters, shortened

LIMIT = 1_000
"""Executions after which a walk stops, unless it is told otherwise."""

_DETAILS_WIDTH = 100
_DIGEST_WIDTH = 8


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
        complete: False if the walk stopped at its limit.
    """

    direction: Direction
    roots: tuple[int, ...]
    artifacts: dict[int, Artifact] = field(default_factory=dict)
    executions: dict[int, Execution] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    complete: bool = True

    def as_json(self) -> dict[str, Any]:
        """Returns what `cauce lineage --json` prints of one direction."""
        return {
            "direction": self.direction.value,
            "roots": list(self.roots),
            "complete": self.complete,
            "artifacts": [artifact_as_json(self.artifacts[id]) for id in sorted(self.artifacts)],
            "executions": [execution_as_json(self.executions[id]) for id in sorted(self.executions)],
            "events": [
                {"execution": event.execution, "artifact": event.artifact, "kind": event.kind.value, "key": event.key, "index": event.index}
                for event in self.events
            ],
        }


def walk(store: MetadataStore, roots: Iterable[int], direction: Direction, *, limit: int | None = LIMIT) -> Lineage:
    """Walks from artifacts up to all that they were made from, or down to all that was made from them.

    Args:
        store: The metadata store.
        roots: Numbers of artifacts.
        direction: Which way.
        limit: Executions after which the walk stops; None for no limit.
    """
    lineage = Lineage(direction, tuple(dict.fromkeys(roots)))
    step = _walk_up if direction is Direction.UP else _walk_down
    step(store, lineage, limit)
    ids = dict.fromkeys((*lineage.roots, *(event.artifact for event in lineage.events)))
    lineage.artifacts = {artifact.id or 0: artifact for artifact in store.artifacts(ids)}
    return lineage


def producers(store: MetadataStore, artifacts: Iterable[int]) -> dict[int, Event]:
    """Returns for each artifact the event of its origin: the first execution that had it as its output; later ones reused it."""
    found: dict[int, Event] = {}
    for event in store.events_of_artifacts(artifacts):
        if event.kind is EventKind.OUTPUT and (event.artifact not in found or event.execution < found[event.artifact].execution):
            found[event.artifact] = event
    return found


def _walk_up(store: MetadataStore, lineage: Lineage, limit: int | None) -> None:
    seen = set(lineage.roots)
    waiting = list(lineage.roots)
    while waiting:
        origins = producers(store, waiting)
        new = _admitted(lineage, (event.execution for event in origins.values()), limit)
        lineage.executions |= {execution.id: execution for execution in store.executions(new)}
        lineage.events += [event for event in origins.values() if event.execution in lineage.executions]
        inputs = [event for event in store.events_of_executions(new) if event.kind is EventKind.INPUT]
        lineage.events += inputs
        waiting = [id for id in dict.fromkeys(event.artifact for event in inputs) if id not in seen]
        seen.update(waiting)


def _walk_down(store: MetadataStore, lineage: Lineage, limit: int | None) -> None:
    """Follows uses, but only those after the execution by which an artifact was reached.

    After a cache hit has reached an artifact of an earlier run, what that run made of it does not count.
    """
    since = dict.fromkeys(lineage.roots, 0)
    edges: dict[Event, None] = {}
    waiting = list(lineage.roots)
    while waiting:
        uses = [
            event
            for event in store.events_of_artifacts(waiting)
            if event.kind is EventKind.INPUT and event.execution > since[event.artifact]
        ]
        users = [user for user in store.executions(_admitted(lineage, (event.execution for event in uses), limit)) if user.state.succeeded]
        made: dict[int, list[Event]] = defaultdict(list)
        for event in store.events_of_executions(user.id for user in users):
            if event.kind is EventKind.OUTPUT:
                made[event.execution].append(event)
        waiting = []
        for user in sorted(users, key=lambda user: (user.state is ExecutionState.CACHED, user.id)):
            reached = [event for event in made[user.id] if event.execution < since.get(event.artifact, event.execution + 1)]
            if reached or not (made[user.id] or user.state is ExecutionState.CACHED):
                lineage.executions[user.id] = user
                since |= {event.artifact: event.execution for event in reached}
                edges |= dict.fromkeys(reached)
                waiting += [event.artifact for event in reached]
        edges |= dict.fromkeys(event for event in uses if event.execution in lineage.executions)
        waiting = list(dict.fromkeys(waiting))
    lineage.events = list(edges)


def _admitted(lineage: Lineage, executions: Iterable[int], limit: int | None) -> list[int]:
    """Returns those executions that are new, oldest first, as many as the limit leaves; notes where it cuts some off."""
    new = sorted(id for id in set(executions) if id not in lineage.executions)
    room = len(new) if limit is None else max(limit - len(lineage.executions), 0)
    lineage.complete = lineage.complete and len(new) <= room
    return new[:room]


@dataclass(frozen=True)
class _Place:
    """A line of the tree: an artifact and the execution that leads to it, or an execution that made nothing."""

    label: str
    artifact: int | None
    execution: int | None


def text_tree(lineage: Lineage) -> Iterator[str]:
    """Yields the lines of a tree for each root; what has been shown is only referred to."""
    origin = {event.artifact: event.execution for event in lineage.events if event.kind is EventKind.OUTPUT}
    upwards = lineage.direction is Direction.UP
    below = _inputs_below(lineage, origin) if upwards else _uses_below(lineage)
    shown: set[tuple[int | None, int | None]] = set()
    described: set[int | None] = set()
    for root in lineage.roots:
        waiting = [("", "", _Place("", root, origin.get(root) if upwards else None))]
        while waiting:
            indent, branch, place = waiting.pop()
            # Upwards an execution with two outputs has its inputs below the first of them only.
            mark = (None, place.execution) if upwards and place.execution is not None else (place.artifact, None)
            repeated = mark in shown
            yield f"{indent}{branch}{_describe(lineage, place, repeated=repeated, briefly=place.execution in described)}"
            described.add(place.execution)
            if repeated or place.artifact is None:
                continue
            shown.add(mark)
            children = below(place.artifact)
            deeper = indent + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
            waiting += reversed([(deeper, "└─ " if child is children[-1] else "├─ ", child) for child in children])
    if not lineage.complete:
        yield "… there is more; to see all of it: --limit 0"


def _inputs_below(lineage: Lineage, origin: Mapping[int, int]) -> Callable[[int], list[_Place]]:
    inputs: dict[int, list[Event]] = defaultdict(list)
    for event in lineage.events:
        if event.kind is EventKind.INPUT:
            inputs[event.execution].append(event)

    def below(artifact: int) -> list[_Place]:
        events = inputs[origin[artifact]] if artifact in origin else []
        return [_Place(f"{event.key}: ", event.artifact, origin.get(event.artifact)) for event in events]

    return below


def _uses_below(lineage: Lineage) -> Callable[[int], list[_Place]]:
    uses: dict[int, list[Event]] = defaultdict(list)
    outputs: dict[int, list[Event]] = defaultdict(list)
    for event in lineage.events:
        if event.kind is EventKind.INPUT:
            uses[event.artifact].append(event)
        else:
            outputs[event.execution].append(event)

    def below(artifact: int) -> list[_Place]:
        places = []
        for use in sorted(uses[artifact], key=lambda use: use.execution):
            made = outputs[use.execution]
            places += [_Place(f"{use.key} → {event.key}: ", event.artifact, event.execution) for event in made]
            places += [] if made else [_Place(f"{use.key} → ", None, use.execution)]
        return places

    return below


def _describe(lineage: Lineage, place: _Place, *, repeated: bool, briefly: bool) -> str:
    artifact = lineage.artifacts.get(place.artifact or 0)
    execution = lineage.executions.get(place.execution or 0)
    parts = [_named(artifact)] if artifact is not None else []
    if repeated:
        parts.append("(above)")
    elif execution is not None:
        parts.append(_made_by(execution, briefly=briefly))
    return place.label + "  ".join(parts)


def _named(artifact: Artifact) -> str:
    counts = ", ".join(f"{split} {count:,}" for split, count in artifact.record_counts.items())
    removed = ", removed" if artifact.state is ArtifactState.DELETED else ""
    return f"{artifact.type_name} {artifact.id}{removed}{f' ({counts} rows)' if counts else ''}"


def _made_by(execution: Execution, *, briefly: bool) -> str:
    component = short_name(execution.component)
    name = execution.node if execution.node.lower() == component.lower() else f"{execution.node} ({component})"
    head = f"{name} {'reused in' if execution.state is ExecutionState.CACHED else 'in'} run {execution.run}"
    if briefly:
        return head
    code = ", ".join(f"{file}@{digest[:_DIGEST_WIDTH]}" for file, digest in code_of(execution).items())
    reasons = shortened("; ".join(reason for reason in execution.reasons if reason != NEVER_RUN), _DETAILS_WIDTH)
    return " · ".join(text for text in (head, execution.verdict, short_parameters(execution, _DETAILS_WIDTH), code, reasons) if text)


def to_dot(walks: Sequence[Lineage]) -> str:
    """Returns the graph in the language of Graphviz: artifacts are ellipses, executions boxes."""
    artifacts = {id: artifact for lineage in walks for id, artifact in lineage.artifacts.items()}
    executions = {id: execution for lineage in walks for id, execution in lineage.executions.items()}
    events = dict.fromkeys(event for lineage in walks for event in lineage.events)
    roots = {root for lineage in walks for root in lineage.roots}
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for id, artifact in sorted(artifacts.items()):
        bold = ", style=bold" if id in roots else ""
        lines.append(f"  a{id} [label={_quoted(f'{artifact.type_name} {id}')}{bold}];")
    for id, execution in sorted(executions.items()):
        lines.append(f"  e{id} [shape=box, label={_quoted(f'{execution.node}{chr(10)}{execution.run}')}];")
    for event in events:
        edge = f"e{event.execution} -> a{event.artifact}" if event.kind.is_output else f"a{event.artifact} -> e{event.execution}"
        lines.append(f"  {edge} [label={_quoted(event.key)}];")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
