"""One run: its graph, its time line, what ran and why, how far it is, and the decisions that led to its verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.records import Run, RunState
from pipeline.reports import RUNNING, NodeReport, node_state, nodes_of_run, run_seconds, short_parameters
from pipeline.ui.graph import Drawing, draw
from pipeline.ui.site import Site
from pipeline.ui.views.activity import Activities, NodeActivity
from pipeline.ui.views.files import Tail, tail_of
from pipeline.ui.views.runs import Metric, headline, planned_nodes

_LOG_BYTES = 6_000
_NARROW = 420.0
_SETTLED = ("waits", "not run")


@dataclass(frozen=True)
class Link:
    """An artifact in few words."""

    key: str
    id: int
    type: str
    state: str


@dataclass(frozen=True)
class NodeLine:
    """A node of a run in a table.

    Attributes:
        id: Its id.
        component: Its component; empty if it has not begun.
        state: A value of `NodeState`, `running` or `waits`.
        seconds: How long it took, or has taken; None if it has not begun.
        memory: The most bytes that its process held; 0 where it had none of its own.
        verdict: What it decided.
        verdict_reasons: Why.
        reasons: Why it ran, was reused or was skipped.
        error: What went wrong.
        rows: Records that it read, wrote and dropped.
        parameters: Those that were given, in a line.
        outputs: What it made or reused.
        activity: How far it is.
    """

    id: str
    component: str
    state: str
    seconds: float | None
    memory: int
    verdict: str
    verdict_reasons: tuple[str, ...]
    reasons: tuple[str, ...]
    error: str
    rows: Mapping[str, Any] | None
    parameters: str
    outputs: tuple[Link, ...]
    activity: NodeActivity | None


@dataclass(frozen=True)
class Bar:
    """The life of an execution on the time line, in seconds after the run's start."""

    node: str
    state: str
    start: float
    seconds: float


@dataclass(frozen=True)
class Timeline:
    """The executions of a run over time."""

    seconds: float
    bars: tuple[Bar, ...]
    ticks: tuple[float, ...]


@dataclass(frozen=True)
class RunView:
    """A run.

    Attributes:
        id: Its id.
        pipeline: Its pipeline.
        state: Its state.
        reason: Why it ended as it did.
        started: Milliseconds since 1970-01-01 UTC.
        ended: The same; 0 while it runs.
        seconds: How long it took, or has taken.
        rows: Records of the data that it read from files, by split.
        metric: The headline metric of its model.
        settings: Parameters that were set for it.
        properties: All else that is recorded of it.
        nodes: Its nodes.
        wide: The graph from left to right.
        narrow: The graph from top to bottom, for narrow screens.
        timeline: The executions over time.
        logs: The ends of the logs of the nodes that run, or failed.
        neighbours: The runs of the same pipeline before and after it.
    """

    id: str
    pipeline: str
    state: str
    reason: str
    started: int
    ended: int
    seconds: float
    rows: Mapping[str, int]
    metric: Metric | None
    settings: Mapping[str, Any]
    properties: Mapping[str, Any]
    nodes: tuple[NodeLine, ...]
    wide: Drawing
    narrow: Drawing
    timeline: Timeline
    logs: tuple[Tail, ...]
    neighbours: tuple[str | None, str | None]

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.state == RunState.RUNNING.value

    @property
    def by_id(self) -> Mapping[str, NodeLine]:
        """The nodes by their ids."""
        return {node.id: node for node in self.nodes}

    @property
    def decisions(self) -> tuple[NodeLine, ...]:
        """The nodes that decided something, in order."""
        return tuple(node for node in self.nodes if node.verdict)


def run_view(site: Site, activities: Activities, id: str) -> RunView:
    """Returns a run.

    Raises:
        NotThereError: If there is none with this id.
    """
    run = site.run(id)
    reports = _in_order(run, nodes_of_run(site.store, run))
    told = activities.of(run.id)
    ids = {id for report in reports for group in (*(report.inputs or {}).values(), *(report.outputs or {}).values()) for id in group}
    artifacts = {artifact.id or 0: artifact for artifact in site.store.artifacts(ids)}
    lines = tuple(_line(report, artifacts, told.get(report.id)) for report in reports)
    edges = edges_of(run, reports)
    names = [report.id for report in reports]
    seconds = run_seconds(run)
    return RunView(
        id=run.id,
        pipeline=run.pipeline,
        state=run.state.value,
        reason=run.reason,
        started=run.started,
        ended=run.ended,
        seconds=seconds if seconds is not None else time.time() - run.started / 1000,
        rows=_rows_read(reports, artifacts),
        metric=_metric(site, reports, artifacts),
        settings=_object(run.properties.get("settings")),
        properties=dict(run.properties),
        nodes=lines,
        wide=draw(names, edges),
        narrow=draw(names, edges, width=150.0, gap=12.0, between=30.0, down=True),
        timeline=_timeline(site, run),
        logs=_logs(site, run, reports),
        neighbours=_neighbours(site, run),
    )


def _in_order(run: Run, reports: Sequence[NodeReport]) -> list[NodeReport]:
    """Returns the nodes in the order of the pipeline, where it is recorded."""
    planned = {name: place for place, name in enumerate(planned_nodes(run))}
    return sorted(reports, key=lambda report: planned.get(report.id, len(planned)))


def edges_of(run: Run, reports: Sequence[NodeReport]) -> list[tuple[str, str]]:
    """Returns which node waits for which: as recorded when the run began, and else by the artifacts that were handed on."""
    recorded = _object(run.properties.get("graph"))
    if recorded:
        return [(str(source), name) for name, sources in recorded.items() if isinstance(sources, list) for source in sources]
    made = {id: report.id for report in reports for group in (report.outputs or {}).values() for id in group}
    uses = [(id, report.id) for report in reports for group in (report.inputs or {}).values() for id in group]
    return [(made[id], user) for id, user in uses if id in made]


def _line(report: NodeReport, artifacts: Mapping[int, Artifact], activity: NodeActivity | None) -> NodeLine:
    known = report.execution
    shown = report.as_json()
    running = report.state == RUNNING
    seconds = None if known is None else time.time() - known.created / 1000 if running else known.seconds
    return NodeLine(
        id=report.id,
        component=report.component,
        state=report.state,
        seconds=seconds,
        memory=(known.peak_memory if known else 0) or (activity.memory if activity and running else 0),
        verdict=known.verdict if known and shown["verdict"] else "",
        verdict_reasons=known.verdict_reasons if known else (),
        reasons=report.reasons,
        error=known.error if known else "",
        rows=shown["rows"],
        parameters=short_parameters(known, 400) if known else "",
        outputs=links(report.outputs, artifacts),
        activity=activity,
    )


def links(groups: Mapping[str, Sequence[int]] | None, artifacts: Mapping[int, Artifact]) -> tuple[Link, ...]:
    """Returns artifacts in few words, by their keys."""
    return tuple(
        Link(key, id, artifacts[id].type_name, artifacts[id].state.value)
        for key, ids in (groups or {}).items()
        for id in ids
        if id in artifacts
    )


def _rows_read(reports: Sequence[NodeReport], artifacts: Mapping[int, Artifact]) -> dict[str, int]:
    found: dict[str, int] = {}
    for report in reports:
        for link in links(report.outputs, artifacts):
            artifact = artifacts[link.id]
            if artifact.type_name == "Examples" and "input_fingerprint" in artifact.properties:
                for split, count in artifact.record_counts.items():
                    found[split] = found.get(split, 0) + count
    return found


def _metric(site: Site, reports: Sequence[NodeReport], artifacts: Mapping[int, Artifact]) -> Metric | None:
    outputs = [artifacts[link.id] for report in reports for link in links(report.outputs, artifacts)]
    evaluations = [artifact for artifact in outputs if artifact.type_name == "ModelEvaluation"]
    return headline(site.summary_or_none(evaluations[-1])) if evaluations else None


def _timeline(site: Site, run: Run) -> Timeline:
    now = time.time() * 1000
    executions = site.store.executions_of_run(run.id)
    bars = []
    for execution in executions:
        state = node_state(execution)
        seconds = (now - execution.created) / 1000 if state == RUNNING else execution.seconds
        bars.append(Bar(execution.node, state, max(0.0, (execution.created - run.started) / 1000), max(0.0, seconds)))
    if not bars:
        return Timeline(0.0, (), ())
    length = max([bar.start + bar.seconds for bar in bars] + [(run.ended - run.started) / 1000 if run.ended else 0.0])
    return Timeline(length, tuple(bars), _ticks(length))


def _ticks(length: float) -> tuple[float, ...]:
    """Returns about five round numbers from 0 to a length."""
    if length <= 0:
        return ()
    steps = [*(base * scale for scale in (0.01, 0.1, 1) for base in (1, 2, 5)), 10, 20, 30]
    steps += [60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400, 7 * 86_400]
    step = next((step for step in sorted(steps) if length / step <= 6), 30 * 86_400)
    return tuple(round(number * step, 3) for number in range(int(length / step) + 1))


def _logs(site: Site, run: Run, reports: Sequence[NodeReport]) -> tuple[Tail, ...]:
    wanted = [report.id for report in reports if report.state in (RUNNING, "failed")]
    return tuple(tail for node in wanted if (tail := tail_of(site, run.id, node, _LOG_BYTES)) is not None)


def _neighbours(site: Site, run: Run) -> tuple[str | None, str | None]:
    ids = [other.id for other in site.runs() if other.pipeline == run.pipeline]
    at = ids.index(run.id) if run.id in ids else 0
    return (ids[at - 1] if at else None, ids[at + 1] if at + 1 < len(ids) else None)


def _object(text: object) -> dict[str, Any]:
    try:
        found = json.loads(str(text or "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
