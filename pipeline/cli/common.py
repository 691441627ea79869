"""What commands share: opening the store, finding things by what a person types, printing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console, RenderableType
from rich.table import Table

from pipeline.config import Settings, load_settings
from pipeline.errors import did_you_mean
from pipeline.lineage.finding import NO_RUNS as NO_RUNS
from pipeline.lineage.finding import find_run as find_run
from pipeline.metadata import EMPTY, MetadataStore
from pipeline.recovery import recover
from pipeline.storage import Storage
from pipeline.wording import counted as counted
from pipeline.wording import duration as duration
from pipeline.wording import moment as moment
from pipeline.wording import size as size

F = TypeVar("F", bound=Callable[..., Any])
PIPE_WIDTH = 1_000
"""Width where the output is not a terminal: a row of a table is a line, whatever it holds."""

SHOWN = 20
_WHOLE = ("id", "run")
"""Columns that no terminal breaks: people copy what stands there."""


@dataclass(frozen=True)
class Opened:
    """Settings, and the store and root folder that they name."""

    settings: Settings
    store: MetadataStore
    storage: Storage


class Verbs(click.Group):
    """A group of verbs on one noun; without a verb it lists."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in context.help_option_names):
            args = ["list", *args]
        return super().parse_args(context, args)

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands:
            raise click.UsageError(f"There is no command '{args[0]}'.{did_you_mean(args[0], self.commands)}", context)
        return super().resolve_command(context, args)


def store_options(command: F) -> F:
    """Adds `--root` and `--metadata`."""
    command = click.option("--metadata", metavar="URL", help="Metadata store: sqlite:///PATH, postgresql://... or mysql://...")(command)
    return click.option("--root", metavar="DIR", help="Root folder of artifacts; default: cauce_root in the project.")(command)


def limit_option(what: str) -> Callable[[F], F]:
    """Adds `--limit`; without it a person sees the last 20, and a script all."""
    return click.option("--limit", type=click.IntRange(min=0), help=f"Only the last N {what}; 0 for all. Default: 20, with --json all.")


def limit_of(limit: int | None, *, as_json: bool) -> int | None:
    """Returns how many items to print; None for all."""
    return (None if as_json else SHOWN) if limit is None else limit or None


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


def console(*, stderr: bool = False) -> Console:
    """Returns a console; it respects NO_COLOR, and wraps no line where the output is not a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    # Without markup and emoji: a value such as `[red]` or `:key:` is data.
    return Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if stream.isatty() else PIPE_WIDTH,
        soft_wrap=not stream.isatty(),
    )


def terminal_width() -> int | None:
    """Returns the width of the terminal; None where the output is none."""
    return console().width if sys.stdout.isatty() else None


def print_json(value: Any) -> None:
    """Prints a value as JSON on stdout."""
    click.echo(json.dumps(value, indent=2, default=str))


def table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]], *, right: Sequence[str] = ()) -> Table:
    """Returns a table without lines; the columns named in `right` are numbers. Without names it has no header."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, show_header=any(columns))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold", no_wrap=column in _WHOLE)
    for row in rows:
        made.add_row(*row)
    return made
