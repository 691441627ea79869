"""What commands share: opening the store, finding things by what a person types, printing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from pipeline.config import Settings, load_settings
from pipeline.errors import UsageError, did_you_mean
from pipeline.metadata import EMPTY, MetadataStore
from pipeline.records import Run
from pipeline.recovery import recover
from pipeline.storage import Storage

F = TypeVar("F", bound=Callable[..., Any])
PAGE_WIDTH = 140


@dataclass(frozen=True)
class Opened:
    """Settings, and the store and root folder that they name."""

    settings: Settings
    store: MetadataStore
    storage: Storage


def store_options(command: F) -> F:
    """Adds `--root` and `--metadata`."""
    command = click.option("--metadata", metavar="URL", help="Metadata store: sqlite:///PATH, postgresql://... or mysql://...")(command)
    return click.option("--root", metavar="DIR", help="Root folder of artifacts; default: cauce_root in the project.")(command)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (its schema is in schemas/).")


def open_store(root: str | None, metadata: str | None, *, start: Path | None = None) -> Opened:
    """Opens store and root for reading; where there is no store yet, an empty one. Marks runs whose process is gone."""
    settings = load_settings(start or Path.cwd(), {"root": root, "metadata": metadata})
    storage = Storage(settings.root_path, create=False)
    url = settings.metadata_url
    file = Path(url.removeprefix("sqlite://"))
    opened = Opened(settings, MetadataStore(EMPTY if url.startswith("sqlite:") and not file.exists() else url), storage)
    recover(opened.store, storage)
    return opened


def find_run(store: MetadataStore, text: str | None) -> Run:
    """Returns the run that `latest`, `-`, an id or the start of one names.

    Raises:
        UsageError: If there is none, or more than one.
    """
    runs = store.runs()
    if not runs:
        raise UsageError("There are no runs yet.", hint="Start one: cauce run PATH")
    if text in (None, "latest", "-"):
        return runs[-1]
    found = [run for run in runs if run.id == text] or [run for run in runs if run.id.startswith(text or "")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"'{text}' names {len(found)} runs: {', '.join(run.id for run in found[:5])}.", hint="Type more of the id.")
    raise UsageError(
        f"There is no run '{text}'.{did_you_mean(text or '', [run.id for run in runs[-20:]])}", hint="See them: cauce runs list"
    )


def console(*, stderr: bool = False) -> Console:
    """Returns a console; it respects NO_COLOR, and is wide where the output is not a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else PAGE_WIDTH, soft_wrap=not stream.isatty())


def print_json(value: Any) -> None:
    """Prints a value as JSON on stdout."""
    click.echo(json.dumps(value, indent=2, default=str))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> Table:
    """Returns a table without lines; the columns named in `right` are numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def moment(milliseconds: int) -> str:
    """Returns a time in the local zone, to the second; `-` for none."""
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(sep=" ", timespec="seconds") if milliseconds else "-"


def duration(seconds: float) -> str:
    """Returns `0.31 s`, `12.4 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """Returns bytes as `512 B`, `15.4 MB`."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
