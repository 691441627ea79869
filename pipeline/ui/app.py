"""The application: addresses, answers, and what becomes of errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.resources import files
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from pipeline.errors import CauceError, UsageError
from pipeline.metadata import redacted
from pipeline.ui.access import Access, Guard
from pipeline.ui.downloads import artifact_file, example_value, execution_page, whole_log
from pipeline.ui.live import changes
from pipeline.ui.pages import PAGES, Make, Shared
from pipeline.ui.render import as_json, html
from pipeline.ui.site import NotThereError, Site
from pipeline.ui.views.activity import Activities

NAVIGATION = (("Runs", "/runs"), ("Models", "/models"), ("Artifacts", "/artifacts"), ("Schedules", "/schedules"))
log = logging.getLogger("cauce.ui")
Endpoint = Callable[[Request], Response]


def create_app(site: Site, access: Access | None = None) -> Starlette:
    """Returns the application.

    Args:
        site: What it shows.
        access: Who may see it; by default a browser on this machine.
    """
    shared = Shared(site, Activities(site))
    routes: list[BaseRoute] = [
        Route("/", lambda request: RedirectResponse("/runs")),
        Mount("/static", StaticFiles(directory=str(files("pipeline.ui") / "static"))),
        Route("/runs/{run}/changes", lambda request: changes(site, request.path_params["run"])),
        Route("/runs/{run}/nodes/{node}/log", lambda request: whole_log(site, request)),
        Route("/executions/{id}", lambda request: execution_page(site, request)),
        Route("/artifacts/{id}/files/{path:path}", lambda request: artifact_file(site, request)),
        Route("/artifacts/{id}/values/{split}/{row}/{feature:path}", lambda request: example_value(site, request)),
    ]
    for address, make in PAGES.items():
        routes.append(Route(f"{address}.json", _json(shared, make)))
        routes.append(Route(address, _html(shared, make)))
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(Guard, access=access or Access()),
            Middleware(GZipMiddleware, minimum_size=2_000),
        ],
        exception_handlers={HTTPException: _problem(site), CauceError: _problem(site), Exception: _problem(site)},
    )


def _json(shared: Shared, make: Make) -> Endpoint:
    def answer(request: Request) -> Response:
        return JSONResponse(as_json(make(shared, request).view))

    return answer


def _html(shared: Shared, make: Make) -> Endpoint:
    def answer(request: Request) -> Response:
        page = make(shared, request)
        query = f"?{request.url.query}" if request.url.query else ""
        json_address = f"{request.url.path}.json{query}"
        text = html(
            page.template,
            view=page.view,
            title=page.title,
            section=page.section,
            json_address=json_address,
            **page.values,
            **_frame(shared.site, request),
        )
        return Response(text, media_type="text/html")

    return answer


def _frame(site: Site, request: Request) -> dict[str, object]:
    """Returns what every page's frame needs."""

    def address(**changed: object) -> str:
        """Returns this page's address with some of its parameters changed, or taken away by None."""
        query = {**request.query_params, **changed}
        kept = {name: value for name, value in query.items() if value is not None}
        return f"{request.url.path}?{urlencode(kept)}" if kept else request.url.path

    return {
        "navigation": NAVIGATION,
        "where": redacted(site.store.url),
        "address": address,
        "href": lambda target: target,
        "offline": False,
        "query": request.query_params.get("q", ""),
    }


def _problem(site: Site) -> Callable[[Request, Exception], Response]:
    """Returns what answers to errors: a page, or JSON where that was asked; of what nobody foresaw, nothing leaves this process."""

    def answer(request: Request, error: Exception) -> Response:
        status, title, message, hint = _told(error)
        if request.url.path.endswith(".json"):
            return JSONResponse({"status": status, "error": message, "hint": hint}, status_code=status)
        text = html(
            "problem.html", status=status, title=title, message=message, hint=hint, section="", json_address="", **_frame(site, request)
        )
        return Response(text, status_code=status, media_type="text/html")

    return answer


def _told(error: Exception) -> tuple[int, str, str, str]:
    """Returns status, title, message and next step of an error."""
    match error:
        case NotThereError():
            return 404, "Not there", error.message, error.hint or ""
        case UsageError():
            return 400, "That cannot be shown", error.message, error.hint or ""
        case CauceError():
            return 503, "That cannot be read now", error.message, error.hint or ""
        case HTTPException(status_code=404):
            return 404, "Not there", "There is no such page.", ""
        case HTTPException():
            return error.status_code, "That cannot be shown", str(error.detail), ""
    log.error("A page could not be made.", exc_info=error)
    return 500, "That went wrong", "The page could not be made. What went wrong stands in the terminal of `cauce ui`.", ""
