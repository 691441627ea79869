"""`cauce search`."""

from __future__ import annotations

import click
from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import console, json_option, moment, open_store, print_json, store_options, table
from pipeline.lineage.search import search as find_anything

_SHOWN = 10


@click.command()
@click.argument("text")
@click.option("--limit", type=click.IntRange(min=1), default=_SHOWN, show_default=True, help="How many of each kind.")
@store_options
@json_option
def search(text: str, limit: int, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Find whatever has TEXT in its id, name, path or digest: pipelines, runs, nodes, executions, artifacts, user code.

    \b
    Examples:
      cauce search trips.csv
      cauce search 3f2a9c81
    """
    found = find_anything(open_store(root, metadata).store, text, limit=limit)
    if as_json:
        print_json([hit.as_json() for hit in found])
        return
    if not found:
        click.echo(f"Nothing has '{text}' in its id, name, path or digest.", err=True)
        return
    rows: list[list[RenderableType]] = [[hit.kind, Text(hit.id, style="bold"), hit.title, hit.where, moment(hit.created)] for hit in found]
    console().print(table(["kind", "id", "what", "found in", "when"], rows))
