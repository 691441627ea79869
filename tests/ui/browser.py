"""A headless Chromium, Debian's, that notes what goes wrong in a page and what it asks other hosts for."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from pipeline.ui.access import Access
from pipeline.ui.app import create_app
from pipeline.ui.server import listening
from pipeline.ui.site import Site

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Watched:
    """A page of the browser, with what it complained about and asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def assert_quiet(self, base: str) -> None:
        """Checks that nothing was complained about and no other host asked."""
        assert self.complaints == []
        assert self.asked_beside(base) == []

    def asked_beside(self, *known: str) -> list[str]:
        """Returns what it asked for at other addresses than those that begin like these."""
        return [url for url in self.requests if not url.startswith((*known, "data:"))]


@contextlib.contextmanager
def served(site: Site) -> Iterator[str]:
    """Serves a site on a free port of loopback; gives its address, without a slash at its end."""
    with listening("127.0.0.1", 0) as server:
        config = uvicorn.Config(create_app(site, Access()), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [server]}, daemon=True)
        thread.start()
        host, port = server.getsockname()
        socket.create_connection((host, port), 10).close()
        yield f"http://{host}:{port}"
        running.should_exit = True
        thread.join(10)


def size_of(page: Any) -> tuple[int, int]:
    """Returns the width of the document and of the window."""
    width, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    return int(width), int(window)


def report_address(file: Path) -> str:
    """Returns the address of a file."""
    return file.resolve().as_uri()
