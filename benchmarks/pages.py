"""Times the pages of `cauce ui` over HTTP, and in a browser where Debian's Chromium is installed."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PAGES = {
    "runs": "/runs",
    "runs by a measure": "/runs?where=auc+%3E+0.9&sort=auc",
    "run": "/runs/run-000500",
    "node": "/runs/run-000500/nodes/Node9",
    "artifacts": "/artifacts",
    "artifacts by size": "/artifacts?type=Examples&sort=size",
    "artifact": "/artifacts/25000",
    "lineage": "/artifacts/48000/lineage?depth=20",
    "models": "/models",
    "comparison": "/compare?run=run-000100&run=run-000900",
    "search": "/search?q=" + "44444".zfill(64),
}
"""Pages of the store that `store.py` makes."""


@dataclass
class Visit:
    """How long a page took, each time it was asked for: to its first byte, to its last, and until a browser had shown it all."""

    first_byte: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)


def visits(cauce: Path, root: Path, times: int) -> dict[str, Visit]:
    """Returns the times of each page of a server that has answered each once."""
    found = {name: Visit() for name in PAGES}
    with _server(cauce, root) as place:
        for number in range(times + 1):
            for name, address in PAGES.items():
                first_byte, whole = _fetched(place, address)
                if number:
                    found[name].first_byte.append(first_byte)
                    found[name].whole.append(whole)
        chromium = shutil.which("chromium")
        if chromium:
            for name, seconds in _shown(chromium, place, times).items():
                found[name].shown = seconds
    return found


def first_visit(cauce: Path, root: Path) -> float:
    """Returns the seconds from the start of the command to the last byte of the list of runs."""
    started = time.perf_counter()
    with _server(cauce, root) as place:
        _fetched(place, PAGES["runs"])
        return time.perf_counter() - started


@contextmanager
def _server(cauce: Path, root: Path) -> Iterator[str]:
    """Serves a root folder; gives host and port."""
    command = [str(cauce), "ui", "--port", "0", "--root", str(root), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        told = "".join(iter(process.stdout.readline, "}\n")) + "}" if process.stdout else ""
        yield urlsplit(json.loads(told)["address"]).netloc
    finally:
        process.terminate()
        process.wait(20)


def _fetched(place: str, address: str) -> tuple[float, float]:
    connection = http.client.HTTPConnection(place, timeout=60)
    connection.connect()
    started = time.perf_counter()
    connection.request("GET", address, headers={"accept-encoding": "gzip"})
    answer = connection.getresponse()
    first_byte = time.perf_counter() - started
    answer.read()
    whole = time.perf_counter() - started
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{address} answered {answer.status}.")
    return first_byte, whole


def _shown(chromium: str, place: str, times: int) -> dict[str, list[float]]:
    """Returns the seconds until a browser has shown each page, with what the page needs."""
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        for name, address in PAGES.items():
            for number in range(times + 1):
                started = time.perf_counter()
                page.goto(f"http://{place}{address}", wait_until="load")
                if number:
                    found.setdefault(name, []).append(time.perf_counter() - started)
        browser.close()
    return found
