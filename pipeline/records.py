"""Executions, runs and events as the engine sees them, free of protocol buffers."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.artifacts import Property
from pipeline.display import facts, titled
from pipeline.wording import moment

MANUAL_RUN = "manual"
"""Id of the run to which the executions belong that a person does by hand, such as a rollback; it is not listed among the runs."""


SKIPPED = "skipped"
"""The verdict of an execution that records why a node did not run."""


class ExecutionState(enum.Enum):
    """States of an execution, with ML Metadata's names."""

    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    CACHED = "CACHED"
    CANCELED = "CANCELED"

    @property
    def succeeded(self) -> bool:
        """Whether the outputs are there."""
        return self in (ExecutionState.COMPLETE, ExecutionState.CACHED)


class RunState(enum.Enum):
    """States of a run."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"


class EventKind(enum.Enum):
    """How an execution and an artifact are connected, with ML Metadata's names."""

    INPUT = "INPUT"
    OUTPUT = "OUTPUT"
    INTERNAL_OUTPUT = "INTERNAL_OUTPUT"

    @property
    def is_output(self) -> bool:
        """Whether the artifact came from the execution."""
        return self is not EventKind.INPUT


@dataclass(frozen=True)
class Event:
    """An edge of the lineage graph."""

    execution: int
    artifact: int
    kind: EventKind
    key: str
    index: int


@dataclass(frozen=True)
class Execution:
    """One life of a node, as recorded.

    Attributes:
        id: Number in the store.
        component: Name of the execution type: the component's class path.
        state: Its state.
        created: Milliseconds since 1970-01-01 UTC.
        updated: The same, of the last change.
        properties: Everything else, as recorded; the properties of this class read the common ones.
    """

    id: int
    component: str
    state: ExecutionState
    created: int
    updated: int
    properties: Mapping[str, Property] = field(default_factory=dict)

    def _text(self, name: str) -> str:
        return str(self.properties.get(name, ""))

    def _list(self, name: str) -> tuple[Any, ...]:
        return tuple(json.loads(self._text(name) or "[]"))

    @property
    def node(self) -> str:
        """Id of the node."""
        return self._text("node")

    @property
    def run(self) -> str:
        """Id of the run."""
        return self._text("run")

    @property
    def pipeline(self) -> str:
        """Name of the pipeline."""
        return self._text("pipeline")

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it ran, was cached or was skipped."""
        return self._list("reasons")

    @property
    def verdict(self) -> str:
        """What the node decided; empty if it decides nothing."""
        return self._text("verdict")

    @property
    def verdict_reasons(self) -> tuple[str, ...]:
        """Why it decided so."""
        return self._list("verdict_reasons")

    @property
    def blocks(self) -> bool:
        """Whether its verdict stops the run."""
        return bool(self.properties.get("blocks", 0))

    @property
    def error(self) -> str:
        """What went wrong; empty if nothing did."""
        return self._text("error")

    @property
    def log(self) -> str:
        """Path of the log file; empty if there is none."""
        return self._text("log")

    @property
    def seconds(self) -> float:
        """How long the node took, with deciding and publishing."""
        return float(self.properties.get("seconds", 0.0))

    @property
    def peak_memory(self) -> int:
        """The most bytes that its process held; 0 where it had none of its own."""
        return int(self.properties.get("peak_memory", 0))

    @property
    def key(self) -> str:
        """The cache key; empty if it has none."""
        return self._text("cache_key")

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters, as JSON values."""
        return dict(json.loads(self._text("parameters") or "{}"))


@dataclass(frozen=True)
class Run:
    """One run of a pipeline, as recorded.

    Attributes:
        id: The run's id, for example `20260131-235959-3f2a`.
        pipeline: Name of the pipeline.
        state: Its state.
        started: Milliseconds since 1970-01-01 UTC.
        ended: The same; 0 while it runs.
        properties: Everything else, as recorded.
        context: Number of its context in the store.
    """

    id: str
    pipeline: str
    state: RunState
    started: int
    ended: int
    properties: Mapping[str, Property]
    context: int

    @property
    def reason(self) -> str:
        """Why it ended as it did."""
        return str(self.properties.get("reason", ""))

    def _repr_html_(self) -> str:
        seconds = f"{(self.ended - self.started) / 1000:.1f} s" if self.ended else "goes on"
        told = [("state", self.state.value), ("because", self.reason), ("started", moment(self.started)), ("took", seconds)]
        return titled(f"run {self.id} of {self.pipeline}", facts([*told, ("definition", self.properties.get("definition"))]))
