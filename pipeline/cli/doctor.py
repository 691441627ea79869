"""`cauce doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import console, counted, json_option, print_json, size, store_options, table
from pipeline.config import Settings, load_settings
from pipeline.errors import CauceError
from pipeline.metadata import MetadataStore, redacted
from pipeline.records import RunState
from pipeline.storage import Storage

LIBRARIES = (
    "apache-beam",
    "ml-metadata",
    "tensorflow",
    "keras",
    "tensorflow-data-validation",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "tfx-bsl",
    "pyarrow",
    "numpy",
    "protobuf",
)
PYTHONS = ((3, 11), (3, 12), (3, 13))
_ENOUGH_DISK = 2e9
_STYLES = {"ok": "green", "warning": "yellow", "error": "red"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: `ok`, `warning` or `error`.
        detail: What was found.
        hint: What to do about it; empty if nothing is to be done.
    """

    name: str
    state: str
    detail: str
    hint: str = ""


@click.command()
@store_options
@json_option
def doctor(root: str | None, metadata: str | None, as_json: bool) -> int:
    """Check Python, the libraries, the metadata store, the root folder, free disk, leftovers and GPUs. Imports none of the libraries.

    It leaves with code 1 if something is wrong.

    \b
    Example:
      cauce doctor
    """
    settings = load_settings(Path.cwd(), {"root": root, "metadata": metadata})
    checks = [_python(), *_libraries(), *_root(settings), _store(settings), _gpu()]
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        rows: list[list[RenderableType]] = [
            [check.name, Text(check.state, style=_STYLES[check.state]), check.detail, check.hint] for check in checks
        ]
        console().print(table(["check", "", "found", "to do"], rows))
    return int(any(check.state == "error" for check in checks))


def _python() -> Check:
    supported = sys.version_info[:2] in PYTHONS
    hint = "" if supported else f"Use Python {', '.join(f'{major}.{minor}' for major, minor in PYTHONS)}."
    return Check("python", "ok" if supported else "error", f"{platform.python_version()} at {sys.executable}", hint)


def _libraries() -> Iterator[Check]:
    for name in LIBRARIES:
        try:
            yield Check(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Check(name, "error", "is not installed", "pip install cauce")


def _root(settings: Settings) -> Iterator[Check]:
    root = settings.root_path
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    if not there.is_dir():
        yield Check("root folder", "error", f"{there} is a file", "Name another one: --root or CAUCE_ROOT.")
        return
    if not os.access(there, os.W_OK | os.X_OK):
        yield Check("root folder", "error", f"{there} cannot be written", "Change its rights, or name another one: --root or CAUCE_ROOT.")
    else:
        yield Check("root folder", "ok", f"{root}{'' if root.exists() else ' (made by the first run)'}, from {settings.root.origin}")
    free = shutil.disk_usage(there).free
    yield Check("free disk", "ok" if free > _ENOUGH_DISK else "warning", size(free), "" if free > _ENOUGH_DISK else "Make room: cauce gc")
    yield _leftovers(root)


def _leftovers(root: Path) -> Check:
    """Looks for staging folders; those of running executions are no leftovers, which the check of the store tells apart."""
    found = list(root.glob("staging/*"))
    if not found:
        return Check("leftovers", "ok", "none")
    return Check("leftovers", "warning", f"{counted(len(found), 'folder')} in {root / 'staging'}", "Unless a run goes on: cauce gc --apply")


def _store(settings: Settings) -> Check:
    url = settings.metadata_url
    if url.startswith("sqlite:") and not Path(url.removeprefix("sqlite://")).exists():
        return Check("metadata store", "ok", f"{redacted(url)} (made by the first run)")

    def look() -> Check:
        Storage(settings.root_path, create=False)
        runs = MetadataStore(url).runs()
        latest = {run.pipeline: run for run in runs}
        stopped = [run.id for run in latest.values() if run.state is RunState.INTERRUPTED]
        detail = f"{redacted(url)}: {counted(len(runs), 'run')} of {counted(len(latest), 'pipeline')}"
        detail += f", {len(stopped)} interrupted" if stopped else ""
        return Check("metadata store", "warning" if stopped else "ok", detail, f"cauce resume {stopped[-1]}" if stopped else "")

    return _guarded("metadata store", look)


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except CauceError as error:
        return Check(name, "error", error.message, error.hint or "")


def _gpu() -> Check:
    found = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    return Check("gpu", "ok", ", ".join(found) if found else "none; training runs on the processor")
