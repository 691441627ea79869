"""Strategies of the Resolver: each asks the history of a pipeline for artifacts, and says why it selected those."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.example_gen.spans import listed
from components.rollbacks import withdrawals_of
from pipeline.artifacts import Artifact, ArtifactState, Property
from pipeline.errors import DefinitionError
from pipeline.records import EventKind
from pipeline.resolution import ArtifactGroups, History
from pipeline.storage import damage

_RANGE = re.compile(r"(\d*)\s*\.\.\s*(\d*)|(\d+)")


@dataclass(frozen=True)
class Query:
    """What a Resolver is asked for.

    Attributes:
        artifact_type: Name of the type; empty where the strategy knows it.
        pipeline: Name of the pipeline to search; None for the Resolver's own.
        node: Id of the node that made the artifact; None for any.
        where: Properties that it must have.
        span: Which spans, `first..last` or one.
        window: How many spans.
        config: What else a strategy of the user's takes.
    """

    artifact_type: str = ""
    pipeline: str | None = None
    node: str | None = None
    where: Mapping[str, Property] = field(default_factory=dict)
    span: str | None = None
    window: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    def candidates(self, history: History) -> Iterator[Artifact]:
        """Yields the LIVE artifacts that fit type, pipeline, node and properties, newest first."""
        for artifact in history.artifacts(self.artifact_type, pipeline=self.pipeline):
            if self.node in (None, artifact.producer) and all(artifact.properties.get(name) == value for name, value in self.where.items()):
                yield artifact

    def __str__(self) -> str:
        return f"{self.artifact_type or 'artifact'}{self.conditions}"

    @property
    def conditions(self) -> str:
        """Node and properties, as they follow a noun."""
        properties = ", ".join(f"{name}={value!r}" for name, value in self.where.items())
        return (f" made by {self.node}" if self.node else "") + (f" with {properties}" if properties else "")

    @property
    def ends(self) -> tuple[int | None, int | None]:
        """The first and the last span of `span`; None where an end is open.

        Raises:
            DefinitionError: If it is no range.
        """
        match = _RANGE.fullmatch((self.span or "").strip())
        if match is None:
            raise DefinitionError(f"span expects a range such as '3..7', '3..' or '..7', or a number. Received: {self.span!r}")
        first, last, one = match.groups()
        return (int(one), int(one)) if one else (int(first) if first else None, int(last) if last else None)


@dataclass(frozen=True)
class Selection:
    """What a strategy selected, and why; a strategy of the user's returns one.

    Attributes:
        artifacts: The artifacts of the output `artifact`, in order; empty to select nothing.
        reason: Why these, or why none; one sentence without a full stop.
        groups: Artifacts by output, for strategies with outputs of their own.
    """

    artifacts: Sequence[Artifact]
    reason: str
    groups: ArtifactGroups = field(default_factory=dict)

    @property
    def by_output(self) -> ArtifactGroups:
        """The artifacts by output."""
        return {**self.groups, **({"artifact": tuple(self.artifacts)} if self.artifacts else {})}


Strategy = Callable[[History, Query], Selection]


def latest_artifact(history: History, query: Query) -> Selection:
    """Selects the newest usable artifact that fits."""
    artifact, passed = first_usable(query.candidates(history))
    if artifact is None:
        return Selection((), f"'{query.pipeline or history.pipeline}' has no {query} yet{passed}")
    owner = query.pipeline or history.pipeline
    return Selection((artifact,), f"{query.artifact_type} {artifact.id} is the latest of '{owner}'{query.conditions}{passed}")


def latest_blessed_model(history: History, query: Query) -> Selection:
    """Selects the model that was blessed last, also where that blessing was a cache hit, with its blessing.

    A model that was rolled back is passed over, until a rollback makes it the served one again.
    """
    withdrawn = withdrawals_of(history, query.pipeline)
    found = history.artifacts("ModelBlessing", pipeline=query.pipeline)
    blessed = {artifact.id or 0: artifact for artifact in found if artifact.properties.get("blessed") == 1}
    last_execution = dict.fromkeys(blessed, 0)
    for event in history.store.events_of_artifacts(blessed):
        if event.kind is EventKind.OUTPUT:  # that a Resolver selected one is no blessing
            last_execution[event.artifact] = max(last_execution[event.artifact], event.execution)
    passed = ""
    for number in sorted(blessed, key=last_execution.__getitem__, reverse=True):
        blessing = blessed[number]
        model, why_not = first_usable(history.store.artifacts([int(blessing.properties.get("current_model_id", 0))]))
        rolled_back = None if model is None else withdrawn.reason(model)
        if model is not None and rolled_back is not None:
            passed += f"; model {model.id} was passed over: it was rolled back ({rolled_back})"
        elif model is not None:
            groups: ArtifactGroups = {"model": (model,), "blessing": (blessing,)}
            return Selection((), f"model {model.id} was blessed last (blessing {number}){passed}", groups)
        passed += why_not
    return Selection((), f"no model of '{query.pipeline or history.pipeline}' has been blessed yet{passed}")


def span_range(history: History, query: Query) -> Selection:
    """Selects one artifact for each span of a range: that of the highest version, of equals the newest."""
    first, last = query.ends
    spans, passed = _by_span(history, query)
    found = [number for number in sorted(spans) if (first is None or number >= first) and (last is None or number <= last)]
    if not found:
        known = f"; there are spans {listed(map(str, sorted(spans)))}" if spans else ""
        return Selection((), f"'{query.pipeline or history.pipeline}' has no {query} of spans {query.span}{known}{passed}")
    wanted = range(found[0] if first is None else first, (found[-1] if last is None else last) + 1)
    missing = [number for number in wanted if number not in spans]
    lacking = f"; spans {listed(map(str, missing))} are missing" if missing else ""
    return Selection([spans[number] for number in found], f"spans {listed(map(str, found))} are those of {query.span}{lacking}{passed}")


def rolling_window(history: History, query: Query) -> Selection:
    """Selects one artifact for each of the last spans that there are, as many as the window has."""
    spans, passed = _by_span(history, query)
    found = sorted(spans)[-(query.window or 1) :]
    if not found:
        return Selection((), f"'{query.pipeline or history.pipeline}' has no {query} with a span yet{passed}")
    short = f" of {query.window}" if len(found) < (query.window or 1) else ""
    return Selection([spans[number] for number in found], f"spans {listed(map(str, found))} are the last {len(found)}{short}{passed}")


STRATEGIES: Mapping[str, Strategy] = {
    "latest_artifact": latest_artifact,
    "latest_blessed_model": latest_blessed_model,
    "span_range": span_range,
    "rolling_window": rolling_window,
}


def _by_span(history: History, query: Query) -> tuple[dict[int, Artifact], str]:
    """Returns the usable artifact of each span, and a word on those that were passed over."""
    grouped: dict[int, list[Artifact]] = {}
    for artifact in query.candidates(history):
        if "span" in artifact.properties:
            grouped.setdefault(int(artifact.properties["span"]), []).append(artifact)
    spans, passed = {}, ""
    for number, artifacts in sorted(grouped.items()):
        newest_first = sorted(artifacts, key=lambda one: (int(one.properties.get("version", -1)), one.id or 0), reverse=True)
        usable, why_not = first_usable(newest_first)
        passed += why_not
        if usable is not None:
            spans[number] = usable
    return spans, passed


def first_usable(artifacts: Iterable[Artifact]) -> tuple[Artifact | None, str]:
    """Returns the first artifact whose files are there, and a word on those that were passed over."""
    passed: list[str] = []
    for artifact in artifacts:
        problem = damage(artifact) if artifact.state is ArtifactState.LIVE else "it was removed"
        if problem is None:
            return artifact, "".join(f"; {text}" for text in passed)
        passed.append(f"{artifact.type_name} {artifact.id} was passed over: {problem}")
    return None, "".join(f"; {text}" for text in passed)
