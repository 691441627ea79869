"""The list of artifacts, the versions of models, schedules, and what a search finds."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.errors import CauceError, UsageError
from pipeline.extensions import destination
from pipeline.lineage.finding import Found, find
from pipeline.lineage.search import Hit, search
from pipeline.lineage.serving import ModelVersion
from pipeline.lineage.tables import Question
from pipeline.records import MANUAL_RUN
from pipeline.ui.plots import Plot, plot
from pipeline.ui.render import segment
from pipeline.ui.site import Site
from pipeline.wording import sentences

PER_PAGE = 100
_HITS = 30
_TICKS = 20
SCHEDULE_REPORTS = "pipeline.schedule.reports"


@dataclass(frozen=True)
class ArtifactRow:
    """An artifact in one line."""

    id: int
    type: str
    state: str
    producer: str
    run: str
    created: int
    size: int


@dataclass(frozen=True)
class ArtifactsView:
    """A page of the list of artifacts; `matching` is None where they were not counted."""

    rows: tuple[ArtifactRow, ...]
    matching: int | None
    page: int
    pages: int
    types: tuple[str, ...]
    type: str
    state: str
    where: str
    problem: str
    sort: str
    ascending: bool


def artifacts_view(
    site: Site, *, type_name: str = "", state: str = "", where: str = "", sort: str = "", order: str = "", page: int = 1
) -> ArtifactsView:
    """Returns one page of the artifacts.

    Args:
        site: The site.
        type_name: Only artifacts of this type; empty for all.
        state: Only artifacts in this state; empty for all.
        where: A condition as `cauce artifacts list --where` takes it.
        sort: `created`, `size`, `type`, or another field.
        order: `up` for the smallest first.
        page: Number of the page, from 1.
    """
    sort, ascending = sort or "created", order == "up"
    page = max(1, page)
    if not (type_name or where.strip() or ascending) and sort == "created":
        return _newest(site, state, page)
    source = site.tables().artifacts
    conditions = [f"type = `{type_name}`"] if _is_word(type_name) else []
    conditions += [f"state = {state}"] if _is_word(state) else []
    conditions += [f"({where})"] if where.strip() else []
    problem = ""
    try:
        table = source.answer(Question(" and ".join(conditions), f"{'' if ascending else '-'}{sort}", limit=page * PER_PAGE))
    except UsageError as error:
        problem = error.message
        table = source.answer(Question("", "-created", limit=page * PER_PAGE))
    pages = max(1, -(-table.total // PER_PAGE))
    page = min(page, pages)
    shown = site.store.artifacts(int(row.id) for row in table.rows[(page - 1) * PER_PAGE :])
    return ArtifactsView(
        rows=tuple(map(_artifact_row, shown)),
        matching=table.total,
        page=page,
        pages=pages,
        types=tuple(site.store.artifact_types()),
        type=type_name,
        state=state,
        where=where,
        problem=problem,
        sort=sort,
        ascending=ascending,
    )


def _newest(site: Site, state: str, page: int) -> ArtifactsView:
    """Returns a page of the newest artifacts, without looking at all that there are."""
    newest = site.store.all_artifacts(limit=page * PER_PAGE + 1)
    more = len(newest) > page * PER_PAGE
    shown = list(reversed(newest))[(page - 1) * PER_PAGE : page * PER_PAGE]
    return ArtifactsView(
        rows=tuple(_artifact_row(artifact) for artifact in shown if state in ("", artifact.state.value)),
        matching=None,
        page=page,
        pages=page + more,
        types=tuple(site.store.artifact_types()),
        type="",
        state=state,
        where="",
        problem="",
        sort="created",
        ascending=False,
    )


def _is_word(text: str) -> bool:
    return bool(text) and "`" not in text


def _artifact_row(artifact: Artifact) -> ArtifactRow:
    state = artifact.state.value
    run = _run_in(artifact.name)
    return ArtifactRow(artifact.id or 0, artifact.type_name, state, artifact.producer, run, artifact.created, artifact.size)


def _run_in(name: str) -> str:
    """Returns the run in the name that cauce gives to artifacts, `<pipeline>/<run>/...`; empty for other names."""
    parts = name.split("/")
    return parts[1] if len(parts) == 5 else ""


@dataclass(frozen=True)
class Rollback:
    """A version that a person made the served one again."""

    execution: int
    created: int
    destination: str
    restored: int
    served: int
    replaced: int
    reason: str


@dataclass(frozen=True)
class Destination:
    """A folder that models are served from.

    Attributes:
        path: The folder.
        versions: Its versions, newest first.
        served: The version that is served.
        rollbacks: What persons undid there, newest first.
        plots: The metrics over the versions.
        pinned: Why no other model is pushed there; None where one may be.
        withdrawn: Versions whose models were rolled back and are not pushed again, with the reasons.
        problem: Why neither is known; empty if both are.
    """

    path: str
    versions: tuple[ModelVersion, ...]
    served: ModelVersion | None
    rollbacks: tuple[Rollback, ...]
    plots: tuple[Plot, ...]
    pinned: str | None = None
    withdrawn: Mapping[int, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class ModelsView:
    """All folders that models are served from."""

    destinations: tuple[Destination, ...]


def models_view(site: Site) -> ModelsView:
    """Returns the versions of models over time, who serves what, and what was rolled back."""
    rollbacks = _rollbacks(site)
    found = []
    for folder, group in groupby(site.models(), key=lambda version: version.destination):
        versions = list(group)
        own = tuple(rollback for rollback in rollbacks if rollback.destination == str(folder))
        served = next((version for version in versions if version.served), None)
        shown = Destination(str(folder), tuple(reversed(versions)), served, own, _metrics_over(versions))
        found.append(_with_decisions(shown, folder))
    return ModelsView(tuple(found))


def _with_decisions(shown: Destination, folder: Path) -> Destination:
    """Returns a destination with what persons decided about it."""
    try:
        standing = destination().standing_of(folder)
    except CauceError as error:
        return replace(shown, problem=error.message)
    withdrawn = {one.version: one.reason for one in standing.withdrawn}
    return replace(shown, pinned=standing.pin.reason if standing.pin else None, withdrawn=withdrawn)


def _rollbacks(site: Site) -> list[Rollback]:
    done = [execution for execution in site.store.executions_of_run(MANUAL_RUN) if "restored_version" in execution.properties]
    return [
        Rollback(
            execution.id,
            execution.created,
            str(execution.properties.get("destination", "")),
            int(execution.properties.get("restored_version") or 0),
            int(execution.properties.get("served_version") or 0),
            int(execution.properties.get("replaced_version") or 0),
            sentences(execution.reasons),
        )
        for execution in reversed(done)
    ]


def _metrics_over(versions: Sequence[ModelVersion]) -> tuple[Plot, ...]:
    names = dict.fromkeys(name for version in versions for name in version.judgement.metrics)
    lines = [
        (name, [(float(version.number), version.judgement.metrics[name]) for version in versions if name in version.judgement.metrics])
        for name in names
    ]
    known = [(name, points) for name, points in lines if len(points) > 1]
    return (plot("Metrics over the versions", "version", "", known),) if known else ()


@dataclass(frozen=True)
class FoundHit:
    """What a search found, and its page."""

    hit: Hit
    address: str


@dataclass(frozen=True)
class SearchView:
    """What a search found.

    Attributes:
        text: What was looked for.
        hits: What was found.
        exact: The page of what the text names exactly, as `cauce why` and `cauce lineage` understand it; empty if it names nothing.
    """

    text: str
    hits: tuple[FoundHit, ...]
    exact: str


def search_view(site: Site, text: str) -> SearchView:
    """Returns what has a text in its id, name, path or digest, and what a path or id names."""
    text = text.strip()[:500]
    if not text:
        return SearchView("", (), "")
    exact = ""
    named = _named(site, text)
    if named is not None and named.artifact is not None:
        exact = f"/artifacts/{named.artifact.id}"
    elif named is not None and named.execution is not None:
        exact = f"/executions/{named.execution.id}"
    elif named is not None and named.node is not None and named.run is not None:
        exact = f"/runs/{segment(named.run.id)}/nodes/{segment(named.node.id)}"
    elif named is not None and named.run is not None:
        exact = f"/runs/{segment(named.run.id)}"
    hits = search(site.store, text, limit=_HITS, tables=site.tables())
    return SearchView(text, tuple(FoundHit(hit, _address(hit)) for hit in hits), exact)


def _named(site: Site, text: str) -> Found | None:
    """Returns what a text names exactly; None if it names nothing."""
    runs = [run for run in site.runs() if run.id.startswith(text)]
    if len(runs) == 1:
        return Found(run=runs[0])
    if not any(sign in text for sign in "/:.") and not text.isdecimal() and text not in ("latest", "-"):
        return None
    try:
        return find(site.store, text)
    except (UsageError, OSError, ValueError):
        return None


def _address(hit: Hit) -> str:
    match hit.kind:
        case "run":
            return f"/runs/{segment(hit.id)}"
        case "pipeline":
            return f"/runs?pipeline={segment(hit.id)}"
        case "artifact":
            return f"/artifacts/{hit.id}"
        case "execution":
            return f"/executions/{hit.id}"
        case "node":
            return f"/runs?where={segment(f'{hit.id}.seconds >= 0')}"
        case "code":
            return f"/code/{hit.id}"
    return ""


@dataclass(frozen=True)
class SchedulesView:
    """The schedules, as far as this installation has a scheduler.

    Attributes:
        available: Whether it has.
        schedules: What `cauce schedule list --json` prints, with the latest ticks.
        daemon: What `cauce schedule status --json` prints; None where that is not known.
        problem: Why they cannot be shown; empty if they can.
    """

    available: bool
    schedules: tuple[Mapping[str, Any], ...] = ()
    daemon: Mapping[str, Any] | None = None
    problem: str = ""


def schedules_view(site: Site) -> SchedulesView:
    """Returns the schedules with their next times and their ticks."""
    try:
        reports = importlib.import_module(SCHEDULE_REPORTS)
    except ImportError:
        return SchedulesView(False)
    try:
        known = reports.Reports(site.store.url)
        schedules = tuple(schedule.as_json() for schedule in known.schedules(latest=_TICKS))
        return SchedulesView(True, schedules, known.daemon().as_json())
    except CauceError as error:
        return SchedulesView(True, problem=str(error))
