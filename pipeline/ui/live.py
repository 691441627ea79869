"""Tells a browser that a run has changed, as Server-Sent Events, until the run has ended."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pipeline.records import RunState
from pipeline.ui.site import NotThereError, Site
from pipeline.ui.views.files import log_folder

_LOOK_EVERY = 0.4
_TELL_EVERY = 1.0
_BEAT_EVERY = 15.0
_LONGEST = 6 * 3600.0


def changes(site: Site, run: str) -> StreamingResponse:
    """Returns the stream of a run's changes: `changed`, at most once a second, and `ended` at its end.

    Raises:
        NotThereError: If there is no such run.
    """
    site.run(run)
    return StreamingResponse(_follow(site, run), media_type="text/event-stream", headers={"cache-control": "no-store"})


async def _follow(site: Site, run: str) -> AsyncIterator[str]:
    known: Any = None
    began = told = beat = time.monotonic()
    yield "retry: 2000\n\n"
    while time.monotonic() - began < _LONGEST:
        now = time.monotonic()
        if now - told >= _TELL_EVERY:
            signs = await run_in_threadpool(_signs, site, run)
            if signs != known:
                known, told, beat = signs, now, now
                if await run_in_threadpool(_ended, site, run):
                    break
                yield "event: changed\ndata: {}\n\n"
            elif now - beat >= _BEAT_EVERY:
                beat = now
                yield ": nothing new\n\n"
        await asyncio.sleep(_LOOK_EVERY)
    yield "event: ended\ndata: {}\n\n"


def _ended(site: Site, run: str) -> bool:
    try:
        return site.run(run).state is not RunState.RUNNING
    except NotThereError:
        return True


def _signs(site: Site, run: str) -> Any:
    """Returns what is different whenever there is something new to see of a run: of its store, events and logs."""
    found: list[Any] = [site.version() or int(time.monotonic() / 2)]
    with suppress(OSError), os.scandir(log_folder(site, run)) as entries:
        found += sorted((entry.name, entry.stat(follow_symlinks=False).st_size) for entry in entries)
    return found
