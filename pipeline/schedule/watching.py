"""Looks for what does not come by the clock: spans, files, artifacts, drift, the age of a model.

What a trigger has seen is its cursor, a JSON text that is recorded together with the ticks that it gave: nothing is seen twice, and
what comes while no daemon is at work is seen by the next one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.errors import CauceError, DataError
from pipeline.lineage import producers
from pipeline.metadata import MetadataStore
from pipeline.schedule.journal import Look
from pipeline.schedule.model import NewTick, Schedule
from pipeline.schedule.triggers import ArtifactMade, Drift, FileChanged, ModelAge, SpanArrived, Trigger, span_text

_PRINT = 16
_SHOWN = 3
_PAGE = 100
_WATCHED = 4
_PART = re.compile(r"[{*?\[]")


class Span(Protocol):
    """A version of a span, as the components know it."""

    @property
    def span(self) -> int: ...

    @property
    def version(self) -> int | None: ...

    @property
    def name(self) -> str: ...

    @property
    def ready(self) -> bool: ...

    @property
    def reason(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def files(self) -> tuple[Path, ...]: ...


class ListSpans(Protocol):
    """Lists the spans of a pattern, in order; `components.example_gen.spans.available` is one."""

    def __call__(self, value: Any, project: Path, *, ready: str | float | None, now: float | None) -> Sequence[Span]: ...


@dataclass
class Watcher:
    """Looks at triggers that are not of the clock.

    Attributes:
        list_spans: Lists the spans of a pattern.
        store: Opens the metadata store.
    """

    list_spans: ListSpans
    store: Callable[[], MetadataStore]

    def begin(self, trigger: Trigger, now: int) -> str:
        """Returns the cursor of a trigger that has just been made: what is there already makes no tick.

        A model that is too old already makes one, for its age is no event.
        """
        match trigger:
            case SpanArrived():
                return json.dumps({_place(span): span.fingerprint[:_PRINT] for span in self._spans(trigger, now) if span.ready})
            case FileChanged():
                return json.dumps(_file_state(trigger.path))
            case ArtifactMade() | Drift():
                newest = self.store().all_artifacts(limit=1)
                return json.dumps(newest[-1].id if newest else 0)
            case _:
                return "null"

    def look(self, schedule: Schedule, trigger: Trigger, cursor: str, now: int) -> Look:
        """Looks at a trigger."""
        try:
            match trigger:
                case SpanArrived():
                    return self._look_for_spans(schedule, trigger, cursor, now)
                case FileChanged():
                    return _look_at_file(schedule, trigger, cursor, now)
                case ArtifactMade():
                    return self._look_for_artifacts(schedule, trigger, cursor, now)
                case Drift():
                    return self._look_for_drift(schedule, trigger, cursor, now)
                case ModelAge():
                    return self._look_at_age(schedule, trigger, cursor, now)
        except (CauceError, OSError) as error:
            return Look(schedule.id, trigger.key, cursor, problem=f"{error}".replace("\n", " "))
        return Look(schedule.id, trigger.key, cursor)

    def _spans(self, trigger: SpanArrived, now: int) -> Sequence[Span]:
        return self.list_spans(trigger.pattern, Path(trigger.project), ready=trigger.ready, now=now / 1000)

    def _look_for_spans(self, schedule: Schedule, trigger: SpanArrived, cursor: str, now: int) -> Look:
        seen: dict[str, str] = json.loads(cursor) or {}
        spans = self._spans(trigger, now)
        new = [span for span in spans if span.ready and seen.get(_place(span)) != span.fingerprint[:_PRINT]]
        waiting = [span for span in spans if not span.ready and seen.get(_place(span)) != span.fingerprint[:_PRINT]]
        problem = f"span {waiting[-1].name} is not complete: {waiting[-1].reason}" if waiting else ""
        if not spans:
            problem = f"nothing matches {trigger.text} in {trigger.project}"
        # A span that is written to again keeps its old entry until it is complete: then it differs.
        there = {_place(span) for span in spans}
        kept = {place: mark for place, mark in seen.items() if place in there}
        made = json.dumps({**kept, **{_place(span): span.fingerprint[:_PRINT] for span in new}})
        ticks = tuple(_span_ticks(schedule, trigger, new, seen, now))
        soon = bool(waiting) and not isinstance(trigger.ready, str)
        return Look(schedule.id, trigger.key, made, ticks, problem, soon, _folders(trigger, spans[-_WATCHED:]))

    def _newer(self, cursor: str, type: str) -> tuple[list[Artifact], int]:
        """Returns the LIVE artifacts of a type that came after the cursor, and the new cursor."""
        store, last, limit = self.store(), int(json.loads(cursor) or 0), _PAGE
        while True:
            found = store.all_artifacts(limit=limit)
            if len(found) < limit or (found[0].id or 0) <= last:
                break
            limit *= 4
        newer = [artifact for artifact in found if (artifact.id or 0) > last]
        newest = max((artifact.id or 0 for artifact in newer), default=last)
        return [artifact for artifact in newer if artifact.type_name == type and artifact.state is ArtifactState.LIVE], newest

    def _of_pipeline(self, artifacts: Sequence[Artifact], pipeline: str) -> list[Artifact]:
        store = self.store()
        made = producers(store, [artifact.id or 0 for artifact in artifacts])
        own = {execution.id for execution in store.executions(event.execution for event in made.values()) if execution.pipeline == pipeline}
        return [artifact for artifact in artifacts if artifact.id in made and made[artifact.id].execution in own]

    def _look_for_artifacts(self, schedule: Schedule, trigger: ArtifactMade, cursor: str, now: int) -> Look:
        found, newest = self._newer(cursor, trigger.type)
        found = self._of_pipeline(found, trigger.pipeline)
        ticks: tuple[NewTick, ...] = ()
        if found:
            more = f", the newest of {len(found)}" if len(found) > 1 else ""
            cause = f"{trigger.type} {found[-1].id} of '{trigger.pipeline}' is new{more}"
            ticks = (NewTick(f"{trigger.key}|{found[-1].id}", trigger.key, now, cause),)
        return Look(schedule.id, trigger.key, json.dumps(newest), ticks)

    def _look_for_drift(self, schedule: Schedule, trigger: Drift, cursor: str, now: int) -> Look:
        found, newest = self._newer(cursor, "ExampleAnomalies")
        found = self._of_pipeline(found, trigger.pipeline)
        ticks: tuple[NewTick, ...] = ()
        said = _drift(found[-1]) if found else ""
        if said:
            ticks = (NewTick(f"{trigger.key}|{found[-1].id}", trigger.key, now, f"'{trigger.pipeline}' found drift: {said}"),)
        return Look(schedule.id, trigger.key, json.dumps(newest), ticks)

    def _look_at_age(self, schedule: Schedule, trigger: ModelAge, cursor: str, now: int) -> Look:
        pushed = [artifact for artifact in self.store().all_artifacts("PushedModel") if artifact.state is ArtifactState.LIVE]
        own = self._of_pipeline(pushed, trigger.pipeline)
        if not own:
            return Look(schedule.id, trigger.key, cursor, problem=f"'{trigger.pipeline}' has pushed no model yet")
        newest = own[-1]
        times = int((now - newest.created) // (trigger.seconds * 1000))
        seen = json.loads(cursor) or [0, 0]
        if times < 1 or seen == [newest.id, times]:
            return Look(schedule.id, trigger.key, cursor)
        due = newest.created + round(times * trigger.seconds * 1000)
        cause = f"the pushed model {newest.id} of '{trigger.pipeline}' is older than {span_text(times * trigger.seconds)}"
        ticks = (NewTick(f"{trigger.key}|{newest.id}.{times}", trigger.key, due, cause),)
        return Look(schedule.id, trigger.key, json.dumps([newest.id, times]), ticks)


def _place(span: Span) -> str:
    return str(span.span) if span.version is None else f"{span.span}.{span.version}"


def _folders(trigger: SpanArrived, newest: Sequence[Span]) -> tuple[str, ...]:
    """Returns the folders in which something new is expected: that of the pattern's fixed part, and those of the newest spans."""
    value = trigger.pattern
    groups = list(value.values()) if isinstance(value, dict) else [value]
    texts = [text for group in groups for text in ([group] if isinstance(group, str) else group)]
    found: dict[Path, None] = {}
    for text in texts:
        parts = Path(text).parts
        fixed = next((place for place, part in enumerate(parts) if _PART.search(part)), len(parts) - 1)
        base = Path(trigger.project, *parts[:fixed])
        found[base] = None
        for span in newest:
            for file in span.files:
                if file.is_relative_to(base):
                    found |= dict.fromkeys(folder for folder in file.parents if folder.is_relative_to(base))
    return tuple(str(folder) for folder in found)


def _span_ticks(schedule: Schedule, trigger: SpanArrived, new: Sequence[Span], seen: dict[str, str], now: int) -> list[NewTick]:
    """Returns a tick for each new span, where each is run by itself; else one for the newest, which the runs of a pipeline take."""
    if not new:
        return []
    causes = [f"span {span.name} {'was written again' if _place(span) in seen else 'is new'}" for span in new]
    causes = [cause if span.version is None else f"{cause}, version {span.version}" for cause, span in zip(causes, new, strict=True)]
    keys = [f"{trigger.key}|{_place(span)}@{span.fingerprint[:_PRINT]}" for span in new]
    if not schedule.span_nodes:
        cause = "; ".join(reversed(causes[-1 - _SHOWN :])) + (f"; and {len(new) - 1 - _SHOWN} more" if len(new) > _SHOWN + 1 else "")
        return [NewTick(keys[-1], trigger.key, now, cause)]
    ticks = []
    for key, cause, span in zip(keys, causes, new, strict=True):
        settings = {f"{node}.span": str(span.span) for node in schedule.span_nodes}
        ticks.append(NewTick(key, trigger.key, now, cause, ordered=True, settings=settings))
    return ticks


def _file_state(path: str) -> list[int] | None:
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return None
    return [found.st_mtime_ns, found.st_size, found.st_ino]


def _look_at_file(schedule: Schedule, trigger: FileChanged, cursor: str, now: int) -> Look:
    seen, found, paths = json.loads(cursor), _file_state(trigger.path), (trigger.path,)
    if found is None or found == seen:
        # A file that is gone is forgotten: the next one there is new, even if it is the same.
        return Look(schedule.id, trigger.key, json.dumps(found), problem="" if found else f"there is no {trigger.path}", folders=paths)
    age = now / 1000 - found[0] / 1e9
    if 0 <= age < trigger.settle:
        problem = f"{trigger.path} was written {age:.1f} s ago, and may not be complete"
        return Look(schedule.id, trigger.key, cursor, problem=problem, soon=True, folders=paths)
    cause = f"{trigger.path} {'has changed' if seen else 'is there'}"
    tick = NewTick(f"{trigger.key}|{found[0]}.{found[1]}.{found[2]}", trigger.key, now, cause)
    return Look(schedule.id, trigger.key, json.dumps(found), (tick,), folders=paths)


def _drift(anomalies: Artifact) -> str:
    """Returns the distances over their thresholds in a few words; empty if there are none."""
    try:
        splits: dict[str, Any] = anomalies.summary().get("splits", {})
    except DataError:
        return ""
    over = [
        f"{measure['feature']} {measure['value']:.3g} (at most {measure['threshold']:.3g})"
        for split in splits.values()
        for measure in split.get("drift", ())
        if measure.get("exceeds", measure["value"] > measure["threshold"])
    ]
    return ", ".join(over[:_SHOWN]) + (f" and {len(over) - _SHOWN} more" if len(over) > _SHOWN else "")
