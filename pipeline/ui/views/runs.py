"""The list of runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.errors import UsageError
from pipeline.lineage.tables import Question
from pipeline.outcome import NodeState
from pipeline.records import Execution, ExecutionState, Run, RunState
from pipeline.reports import node_state, run_seconds
from pipeline.resolution import latest_by_node
from pipeline.ui.site import Site

PER_PAGE = 50
_JUDGEMENTS = ("blessed", "not blessed")
SORTS: Mapping[str, Callable[[Run], Any]] = {
    "started": lambda run: (run.started, run.context),
    "duration": lambda run: run_seconds(run) or 0.0,
    "pipeline": lambda run: (run.pipeline, run.started),
    "state": lambda run: (run.state.value, run.started),
}


@dataclass(frozen=True)
class Mark:
    """A node in few pixels."""

    id: str
    state: str


@dataclass(frozen=True)
class Metric:
    """A model's headline metric."""

    name: str
    value: float
    baseline: float | None = None


@dataclass(frozen=True)
class RunRow:
    """A run in one line.

    Attributes:
        id: Its id.
        pipeline: Its pipeline.
        state: Its state.
        started: Milliseconds since 1970-01-01 UTC.
        seconds: How long it took; None while it runs.
        reason: Why it ended as it did.
        nodes: Its nodes in the order in which they began.
        metric: The first metric of its model on all rows, where there is one.
        verdict: What its last deciding node decided; empty where none did.
    """

    id: str
    pipeline: str
    state: str
    started: int
    seconds: float | None
    reason: str
    nodes: tuple[Mark, ...]
    metric: Metric | None
    verdict: str


@dataclass(frozen=True)
class RunsView:
    """A page of the list of runs, with what it was filtered and sorted by."""

    rows: tuple[RunRow, ...]
    total: int
    matching: int
    page: int
    pages: int
    pipelines: tuple[str, ...]
    states: tuple[str, ...]
    pipeline: str
    state: str
    text: str
    where: str
    problem: str
    sort: str
    ascending: bool


def runs_view(
    site: Site,
    *,
    pipeline: str = "",
    state: str = "",
    text: str = "",
    where: str = "",
    sort: str = "",
    order: str = "",
    page: int = 1,
    per_page: int = PER_PAGE,
) -> RunsView:
    """Returns one page of the runs.

    Args:
        site: The site.
        pipeline: Only runs of this pipeline; empty for all.
        state: Only runs in this state; empty for all.
        text: Only runs whose id, pipeline or reason has this text in it.
        where: A condition as `cauce runs list --where` takes it; see `pipeline.lineage.query`.
        sort: A name of `SORTS`, or a field as `--sort` takes it, such as `auc`; anything else is the first one.
        order: `up` for the smallest first.
        page: Number of the page, from 1.
        per_page: Runs on a page.
    """
    runs = site.runs()
    word = text.casefold()
    found = [
        run
        for run in runs
        if pipeline in ("", run.pipeline)
        and state in ("", run.state.value)
        and (not word or word in f"{run.id}\n{run.pipeline}\n{run.reason}".casefold())
    ]
    sort, ascending = sort or "started", order == "up"
    found, problem = _asked(site, found, where, sort, ascending=ascending)
    if problem and sort not in SORTS:
        sort = "started"
    if sort in SORTS:
        found.sort(key=SORTS[sort], reverse=not ascending)
    pages = max(1, -(-len(found) // per_page))
    page = min(max(page, 1), pages)
    shown = found[(page - 1) * per_page : page * per_page]
    return RunsView(
        rows=tuple(rows_of(site, shown)),
        total=len(runs),
        matching=len(found),
        page=page,
        pages=pages,
        pipelines=tuple(sorted({run.pipeline for run in runs})),
        states=tuple(known.value for known in RunState),
        pipeline=pipeline,
        state=state,
        text=text,
        where=where,
        problem=problem,
        sort=sort,
        ascending=ascending,
    )


def _asked(site: Site, runs: list[Run], where: str, sort: str, *, ascending: bool) -> tuple[list[Run], str]:
    """Returns those runs that meet a condition, sorted by a field that they do not tell themselves; or what is wrong with either."""
    if not where.strip() and sort in SORTS:
        return runs, ""
    field = "" if sort in SORTS else f"{'' if ascending else '-'}{sort}"
    try:
        table = site.tables().runs.answer(Question(where, field))
    except UsageError as error:
        return runs, error.message
    known = {run.id: run for run in runs}
    return [known[str(row.id)] for row in table.rows if row.id in known], ""


def rows_of(site: Site, runs: Sequence[Run]) -> list[RunRow]:
    """Returns the runs, each in one line."""
    executions = {run.id: latest_by_node(site.store.executions_of_run(run.id)) for run in runs}
    judging = {known.id: run for run, nodes in executions.items() for known in nodes.values() if known.verdict in _JUDGEMENTS}
    outputs = {event.artifact: judging[event.execution] for event in site.store.events_of_executions(judging) if event.kind.is_output}
    evaluations = {outputs[found.id or 0]: found for found in site.store.artifacts(outputs) if found.type_name == "ModelEvaluation"}
    return [_row(site, run, executions[run.id], evaluations.get(run.id)) for run in runs]


def _row(site: Site, run: Run, executions: Mapping[str, Execution], evaluation: Artifact | None) -> RunRow:
    verdicts = [known.verdict for known in executions.values() if known.verdict and known.state is not ExecutionState.CANCELED]
    waiting = "waits" if run.state is RunState.RUNNING else NodeState.NOT_RUN.value
    planned = planned_nodes(run)
    marks = [Mark(id, node_state(known)) for id, known in executions.items()]
    return RunRow(
        id=run.id,
        pipeline=run.pipeline,
        state=run.state.value,
        started=run.started,
        seconds=run_seconds(run),
        reason=run.reason,
        nodes=(*marks, *(Mark(id, waiting) for id in planned if id not in executions)),
        metric=headline(site.summary_or_none(evaluation)) if evaluation is not None else None,
        verdict=verdicts[-1] if verdicts else "",
    )


def planned_nodes(run: Run) -> list[str]:
    """Returns the nodes that a run is to run, in the order of the pipeline; empty where that is not recorded."""
    try:
        found = json.loads(str(run.properties.get("nodes") or "[]"))
    except ValueError:
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def headline(evaluation: Mapping[str, Any]) -> Metric | None:
    """Returns the first metric on all rows that is a number, of an evaluation's summary.

    Losses and counts of examples come last: they say little about how good a model is.
    """
    slices = evaluation.get("slices")
    overall = slices[0] if isinstance(slices, list) and slices and isinstance(slices[0], dict) else {}
    found = overall.get("metrics")
    metrics = found if isinstance(found, dict) else {}
    for name in sorted(metrics, key=lambda name: (_says_little(name), list(metrics).index(name))):
        values = metrics[name] if isinstance(metrics[name], dict) else {}
        value, baseline = (_number(values.get(side)) for side in ("candidate", "baseline"))
        if value is not None:
            return Metric(name, value, baseline)
    return None


def _says_little(name: str) -> bool:
    return "loss" in name.lower() or "count" in name.lower() or "calibration" in name.lower()


def _number(value: object) -> float | None:
    found = value.get("value") if isinstance(value, dict) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
