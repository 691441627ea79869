"""Which address shows what: each page is made from a view, and its JSON, at the same address with `.json`, is that view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from pipeline.ui.inside import inside
from pipeline.ui.plots import Plot, plot
from pipeline.ui.site import NotThereError, Site, number
from pipeline.ui.views.activity import Activities, NodeActivity
from pipeline.ui.views.artifact import artifact_view
from pipeline.ui.views.compare import compare_view
from pipeline.ui.views.files import shown_text
from pipeline.ui.views.lineage import DEPTHS, lineage_view
from pipeline.ui.views.lists import artifacts_view, models_view, schedules_view, search_view
from pipeline.ui.views.node import node_view
from pipeline.ui.views.run import RunView, run_view
from pipeline.ui.views.runs import runs_view


@dataclass(frozen=True)
class Page:
    """What an address shows.

    Attributes:
        template: Name of the template.
        title: Title of the page.
        view: What it shows, and its JSON.
        section: The address in the navigation that it belongs to.
        values: Further values for the template.
    """

    template: str
    title: str
    view: Any
    section: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shared:
    """What makes pages: the site, and what runs have told."""

    site: Site
    activities: Activities


Make = Callable[[Shared, Request], Page]


def runs_page(shared: Shared, request: Request) -> Page:
    """The list of runs."""
    pipeline, state, text, where, sort, order = _asked(request, "pipeline", "state", "text", "where", "sort", "order")
    view = runs_view(
        shared.site, pipeline=pipeline, state=state, text=text, where=where, sort=sort, order=order, page=_page_number(request)
    )
    return Page("runs.html", "Runs", view, "/runs")


def run_page(shared: Shared, request: Request) -> Page:
    """One run."""
    view = run_view(shared.site, shared.activities, request.path_params["run"])
    return Page("run.html", f"Run {view.id} of {view.pipeline}", view, "/runs", {"live_plots": live_plots(view)})


def node_page(shared: Shared, request: Request) -> Page:
    """One node of a run."""
    view = node_view(shared.site, shared.activities, request.path_params["run"], request.path_params["node"])
    plots = plots_of(view.activity) if view.activity is not None else []
    return Page("node.html", f"{view.node} in run {view.run}", view, "/runs", {"told_plots": plots})


def artifacts_page(shared: Shared, request: Request) -> Page:
    """The list of artifacts."""
    kind, state, where, sort, order = _asked(request, "type", "state", "where", "sort", "order")
    view = artifacts_view(shared.site, type_name=kind, state=state, where=where, sort=sort, order=order, page=_page_number(request))
    return Page("artifacts.html", "Artifacts", view, "/artifacts")


def artifact_page(shared: Shared, request: Request) -> Page:
    """One artifact."""
    view = artifact_view(shared.site, number(request.path_params["id"], "an artifact"))
    found = inside(shared.site, view, request.query_params)
    return Page("artifact.html", f"{view.artifact.type_name} {view.artifact.id}", view, "/artifacts", {"inside": found})


def file_page(shared: Shared, request: Request) -> Page:
    """A file of an artifact, as text."""
    artifact = shared.site.artifact(number(request.path_params["id"], "an artifact"))
    path = request.query_params.get("path", "")
    text, cut = shown_text(artifact.path, path)
    view = {"artifact": artifact.id, "type": artifact.type_name, "path": path, "text": text, "cut": cut}
    return Page("file.html", path, view, "/artifacts")


def lineage_page(shared: Shared, request: Request) -> Page:
    """The lineage of an artifact."""
    query = request.query_params
    wanted = query.get("depth", "")
    view = lineage_view(
        shared.site,
        number(request.path_params["id"], "an artifact"),
        direction=query.get("direction", ""),
        depth=min(max(int(wanted), 1), DEPTHS[-1]) if wanted.isdecimal() and len(wanted) < 4 else 3,
        opened=[number(text, "an artifact") for text in query.get("open", "").split(",") if text][:50],
    )
    return Page("lineage.html", f"Lineage of {view.artifact.type_name} {view.artifact.id}", view, "/artifacts", {"depths": DEPTHS})


def compare_page(shared: Shared, request: Request) -> Page:
    """Runs or models side by side."""
    view = compare_view(shared.site, request.query_params.getlist("run"))
    return Page("compare.html", "Compare", view, "/runs")


def models_page(shared: Shared, request: Request) -> Page:
    """The versions of models."""
    return Page("models.html", "Models", models_view(shared.site), "/models")


def schedules_page(shared: Shared, request: Request) -> Page:
    """The schedules."""
    return Page("schedules.html", "Schedules", schedules_view(shared.site), "/schedules")


def search_page(shared: Shared, request: Request) -> Page:
    """What a search finds."""
    view = search_view(shared.site, request.query_params.get("q", ""))
    return Page("search.html", f"Search: {view.text}" if view.text else "Search", view, "/search")


def code_page(shared: Shared, request: Request) -> Page:
    """A text of user code as it was when it ran, by its digest."""
    digest = request.path_params["digest"]
    text = shared.site.storage.kept_code(digest) if digest.isalnum() and digest.isascii() else None
    if text is None:
        raise NotThereError(f"The code {digest[:16]} is not kept here any more.")
    return Page("code.html", f"Code {digest[:8]}", {"digest": digest, "text": text}, "/runs")


def live_plots(view: RunView) -> dict[str, list[Plot]]:
    """Returns the plots of what the nodes that work have told, by node."""
    return {node.id: plots_of(node.activity) for node in view.nodes if node.activity is not None and node.activity.series}


def plots_of(activity: NodeActivity) -> list[Plot]:
    """Returns plots of what a node has told over its steps: one of losses, one of all else."""
    lines = [(series.name, list(zip(series.steps, series.values))) for series in activity.series if len(series.steps) > 1]
    losses = [line for line in lines if "loss" in line[0]]
    others = [line for line in lines if "loss" not in line[0]]
    return [plot(title, "step", "", found) for title, found in (("Loss", losses), ("Metrics", others)) if found]


def _asked(request: Request, *names: str) -> list[str]:
    return [request.query_params.get(name, "") for name in names]


def _page_number(request: Request) -> int:
    text = request.query_params.get("page", "")
    return int(text) if text.isdecimal() and len(text) < 7 else 1


PAGES: Mapping[str, Make] = {
    "/runs": runs_page,
    "/runs/{run}": run_page,
    "/runs/{run}/nodes/{node}": node_page,
    "/artifacts": artifacts_page,
    "/artifacts/{id}": artifact_page,
    "/artifacts/{id}/lineage": lineage_page,
    "/artifacts/{id}/text": file_page,
    "/code/{digest}": code_page,
    "/compare": compare_page,
    "/models": models_page,
    "/schedules": schedules_page,
    "/search": search_page,
}
