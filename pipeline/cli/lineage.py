"""`cauce lineage`."""

from __future__ import annotations

import click

from pipeline.cli.common import json_option, open_store, print_json, store_options
from pipeline.errors import UsageError
from pipeline.lineage import LIMIT, Direction, text_tree, to_dot, walk
from pipeline.lineage.finding import find_roots
from pipeline.reports import artifact_as_json

_TITLES = {Direction.UP: "made from", Direction.DOWN: "used for"}


@click.command()
@click.argument("name", metavar="ID|PATH|RUN")
@click.option("--up", is_flag=True, help="Only what it was made from.")
@click.option("--down", is_flag=True, help="Only what was made from it.")
@click.option("--format", "form", type=click.Choice(["text", "json", "dot"]), help="text (the default), json, or dot for Graphviz.")
@click.option("--limit", type=click.IntRange(min=0), default=LIMIT, show_default=True, help="Stop after N executions; 0 for no limit.")
@store_options
@json_option
def lineage(name: str, up: bool, down: bool, form: str | None, limit: int, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Show what an artifact was made from, and what was made from it.

    It is named by its number, as latest:TYPE, or by the path of a file in it or in a served model. The id of a run, the start of
    one, or latest stands for the artifacts that the run ended in. Without --up or --down both are shown.

    \b
    Examples:
      cauce lineage serving/taxi/3 --up
      cauce lineage 1 --down
      cauce lineage latest --format dot | dot -Tsvg > lineage.svg
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"Expected --json or --format {form}, not both.")
    store = open_store(root, metadata).store
    roots = find_roots(store, name)
    directions = [direction for direction in Direction if up == down or (up if direction is Direction.UP else down)]
    walks = [walk(store, [artifact.id or 0 for artifact in roots], direction, limit=limit or None) for direction in directions]
    if as_json or form == "json":
        print_json({"roots": [artifact_as_json(root) for root in roots], **{found.direction.value: found.as_json() for found in walks}})
    elif form == "dot":
        click.echo(to_dot(walks))
    else:
        for number, found in enumerate(walks):
            title = _TITLES[found.direction] + ("" if found.executions else ": nothing")
            lines = text_tree(found) if found.executions or len(walks) == 1 else ()
            click.echo("\n".join([*([""] if number else []), *([title] if len(walks) > 1 else []), *lines]))
