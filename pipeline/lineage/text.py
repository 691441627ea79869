"""A lineage as a tree of text."""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.driver import NEVER_RUN
from pipeline.lineage.graph import Direction, Lineage, belongs
from pipeline.records import MANUAL_RUN, Event, EventKind, Execution, ExecutionState
from pipeline.reports import code_of, short_name, short_parameters, shortened

_DETAILS_WIDTH = 100
_DIGEST_WIDTH = 8
_LEAST_ROOM = 30
_OBVIOUS = re.compile(f"{re.escape(NEVER_RUN)}$|(the )?input \\w+ (changed|is new)$|its cache is off")
"""Reasons that the tree itself shows, or that tell nothing of what was made."""


@dataclass(frozen=True)
class _Place:
    """A line of the tree: an artifact and the execution that leads to it, or an execution that made nothing."""

    label: str
    artifact: int | None
    execution: int | None


def text_tree(lineage: Lineage, *, width: int | None = None) -> Iterator[str]:
    """Yields the lines of a tree for each root; what has been shown is only referred to.

    Args:
        lineage: What was walked.
        width: Columns after which a line goes on below, under its own text; None for no limit.
    """
    origin = {event.artifact: event for event in lineage.events if event.kind is EventKind.OUTPUT}
    upwards = lineage.direction is Direction.UP
    below = _inputs_below(lineage, origin) if upwards else _uses_below(lineage)
    shown: set[tuple[int | None, int | None]] = set()
    described: set[int | None] = set()
    for root in lineage.roots:
        waiting = [("", "", _Place("", root, _execution(origin, root) if upwards else None))]
        while waiting:
            indent, branch, place = waiting.pop()
            # Upwards an execution with two outputs has its inputs below the first of them only.
            mark = (None, place.execution) if upwards and place.execution is not None else (place.artifact, None)
            repeated = mark in shown
            told = _describe(lineage, place, repeated=repeated, briefly=place.execution in described)
            children = [] if repeated or place.artifact is None else below(place.artifact)
            deeper = indent + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
            yield from _folded(told, indent + branch, deeper + ("│  " if children else "   "), width)
            described.add(place.execution)
            if repeated or place.artifact is None:
                continue
            shown.add(mark)
            waiting += reversed([(deeper, "└─ " if child is children[-1] else "├─ ", child) for child in children])
    if not lineage.complete:
        yield "… there is more; to see all of it: --limit 0"


def _folded(text: str, first: str, further: str, width: int | None) -> list[str]:
    """Returns a text as lines of at most `width` columns, each after the branches of the tree that pass by."""
    room = max((width or 0) - len(further), _LEAST_ROOM)
    if width is None or len(first) + len(text) <= width:
        return [first + text]
    return textwrap.wrap(first + text, room + len(further), subsequent_indent=further, drop_whitespace=True, break_on_hyphens=False)


def _execution(origin: Mapping[int, Event], artifact: int) -> int | None:
    """Returns the execution that made an artifact; None if it is not known."""
    return origin[artifact].execution if artifact in origin else None


def _inputs_below(lineage: Lineage, origin: Mapping[int, Event]) -> Callable[[int], list[_Place]]:
    inputs: dict[int, list[Event]] = defaultdict(list)
    for event in lineage.events:
        if event.kind is EventKind.INPUT:
            inputs[event.execution].append(event)

    def below(artifact: int) -> list[_Place]:
        made = origin.get(artifact)
        events = [use for use in inputs[made.execution] if belongs(lineage.executions[made.execution], use, made)] if made else []
        return [_Place(f"{event.key}: ", event.artifact, _execution(origin, event.artifact)) for event in events]

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
            made = [event for event in outputs[use.execution] if belongs(lineage.executions[use.execution], use, event)]
            places += [_Place(f"{use.key} → {event.key}: ", event.artifact, event.execution) for event in made]
            places += [] if outputs[use.execution] else [_Place(f"{use.key} → ", None, use.execution)]
        return places

    return below


def _describe(lineage: Lineage, place: _Place, *, repeated: bool, briefly: bool) -> str:
    artifact = lineage.artifacts.get(place.artifact or 0)
    execution = lineage.executions.get(place.execution or 0)
    served = lineage.served.get(place.artifact or 0, ()) if not repeated else ()
    parts = [_named(artifact) + "".join(f", served now at {path}" for path in served)] if artifact is not None else []
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
    if execution.run == MANUAL_RUN:
        return " · ".join((f"{execution.node} by hand", *execution.verdict_reasons))
    head = f"{name} {'reused in' if execution.state is ExecutionState.CACHED else 'in'} run {execution.run}"
    if briefly:
        return head
    code = ", ".join(f"{file}@{digest[:_DIGEST_WIDTH]}" for file, digest in code_of(execution).items())
    reasons = shortened("; ".join(reason for reason in execution.reasons if not _OBVIOUS.match(reason)), _DETAILS_WIDTH)
    return " · ".join(text for text in (head, execution.verdict, short_parameters(execution, _DETAILS_WIDTH), code, reasons) if text)
