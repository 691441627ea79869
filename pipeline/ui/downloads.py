"""What is sent as it is: files of artifacts, logs, pictures and sounds; never as something that a browser would run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from pipeline.errors import DataError
from pipeline.ui.examples import media_of, media_type
from pipeline.ui.site import NotThereError, Site, number
from pipeline.ui.views.files import log_folder, pieces

BOUND = {"content-security-policy": "default-src 'none'; sandbox"}
"""Whatever such an answer holds: nothing of it runs, nothing is loaded, and it is no part of this site."""

_LAST_ROW = 200_000


def artifact_file(site: Site, request: Request) -> Response:
    """Sends a file of an artifact: pictures and sounds to be shown, anything else to be saved.

    Raises:
        NotThereError: If there is no such artifact or file.
    """
    artifact = site.artifact(number(request.path_params["id"], "an artifact"))
    path = request.path_params["path"]
    return _sent(pieces(artifact.path, path), path.rpartition("/")[2])


def whole_log(site: Site, request: Request) -> Response:
    """Sends the whole log of a node as text.

    Raises:
        NotThereError: If there is no such run, or it has no such log.
    """
    run = site.run(request.path_params["run"])
    log = pieces(log_folder(site, run.id), f"{request.path_params['node']}.log")
    first = next(log, b"")
    return StreamingResponse(chain([first], log), media_type="text/plain; charset=utf-8", headers=BOUND)


def example_value(site: Site, request: Request) -> Response:
    """Sends the picture or sound that a row holds.

    Raises:
        NotThereError: If there is none.
    """
    artifact = site.artifact(number(request.path_params["id"], "an artifact"))
    split, row = request.path_params["split"], number(request.path_params["row"], "a row")
    if split not in artifact.splits or "/" in split or row > _LAST_ROW:
        raise NotThereError(f"There is no row {row} of '{split}'.")
    try:
        data, kind = media_of(artifact.path / f"Split-{split}", row, request.path_params["feature"])
    except DataError as error:
        raise NotThereError(error.message) from error
    return Response(data, media_type=kind, headers=BOUND)


def execution_page(site: Site, request: Request) -> Response:
    """Leads to the page of an execution's node.

    Raises:
        NotThereError: If there is no such execution.
    """
    id = number(request.path_params["id"], "an execution")
    found = site.store.executions([id])
    if not found:
        raise NotThereError(f"There is no execution {id}.")
    return RedirectResponse(f"/runs/{quote(found[0].run, safe='')}/nodes/{quote(found[0].node, safe='')}")


def _sent(content: Iterator[bytes], name: str) -> Response:
    first = next(content, b"")
    kind = media_type(first)
    headers = dict(BOUND)
    if not kind:
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return StreamingResponse(chain([first], content), media_type=kind or "application/octet-stream", headers=headers)
