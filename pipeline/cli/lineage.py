"""`cauce lineage` and `cauce lineage export`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

import click

from pipeline.cli.common import json_option, open_store, print_json, store_options, terminal_width
from pipeline.errors import UsageError
from pipeline.lineage.finding import find_roots
from pipeline.lineage.formats import to_dot, to_mermaid
from pipeline.lineage.graph import LIMIT, Direction, Lineage
from pipeline.lineage.ingredients import Ingredients, ingredients
from pipeline.lineage.ledger import Ledger
from pipeline.lineage.openlineage import NAMESPACE, events_of
from pipeline.lineage.text import text_tree
from pipeline.reports import artifact_as_json, shortened
from pipeline.wording import size

_TITLES = {Direction.UP: "made from", Direction.DOWN: "used for"}
_NOTHING = {Direction.UP: "It is not known what it was made from.", Direction.DOWN: "Nothing was made from it."}
_GRAPHS = {"dot": to_dot, "mermaid": to_mermaid}
_DIGEST_WIDTH = 8
_VALUE_WIDTH = 60


class Naming(click.Group):
    """A group whose first word, where it is none of its verbs, is what the verb `show` is about."""

    default = "show"

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if args and not {args[0]} & {*self.commands, *context.help_option_names}:
            args = [self.default, *args]
        return super().parse_args(context, args)


@click.group(cls=Naming)
def lineage() -> None:
    """Show what an artifact was made from, and what was made from it: `cauce lineage NAME` is `cauce lineage show NAME`.

    \b
    Examples:
      cauce lineage serving/taxi/3 --up
      cauce lineage export latest
    """


@lineage.command("show")
@click.argument("name", metavar="ID|PATH|RUN")
@click.option("--up", is_flag=True, help="Only what it was made from.")
@click.option("--down", is_flag=True, help="Only what was made from it, down to what is served now.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", *_GRAPHS]), help="text (the default), json, dot for Graphviz, mermaid."
)
@click.option("--depth", type=click.IntRange(min=0), help="Stop after N generations; default: no limit.")
@click.option("--limit", type=click.IntRange(min=0), default=LIMIT, show_default=True, help="Stop after N executions; 0 for no limit.")
@store_options
@json_option
def show_lineage(
    name: str,
    up: bool,
    down: bool,
    form: str | None,
    depth: int | None,
    limit: int,
    root: str | None,
    metadata: str | None,
    as_json: bool,
) -> None:
    """Show what an artifact was made from (rows, files, schema, code, parameters), and what was made from it.

    It is named by its number, as latest:TYPE or span:N, or by the path of a file in it, of a served model, or of a file that it was read
    from. The id of a run, the start of one, or latest stands for the artifacts that the run ended in. Without --up or --down both
    are shown.

    \b
    Examples:
      cauce lineage show serving/taxi/3 --up
      cauce lineage show data/taxi/span-1/trips.csv --down
      cauce lineage show latest --format dot | dot -Tsvg > lineage.svg
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"Expected --json or --format {form}, not both.")
    opened = open_store(root, metadata)
    roots = find_roots(opened.store, name)
    directions = [direction for direction in Direction if up == down or (up if direction is Direction.UP else down)]
    ledger, ids = Ledger(opened.store, opened.storage), [artifact.id or 0 for artifact in roots]
    walks = [ledger.walk(ids, direction, limit=limit or None, depth=depth) for direction in directions]
    if as_json or form == "json":
        upwards = next((found for found in walks if found.direction is Direction.UP), None)
        made_of = {"made_of": ingredients(upwards).as_json()} if upwards is not None else {}
        walked = {found.direction.value: found.as_json() for found in walks}
        print_json({"roots": [artifact_as_json(root) for root in roots], **made_of, **walked})
    elif form is not None and form in _GRAPHS:
        click.echo(_GRAPHS[form](walks))
    else:
        _print(walks)


@lineage.command("export")
@click.argument("name", metavar="[RUN]", required=False)
@click.option("--all", "every", is_flag=True, help="All runs, oldest first.")
@click.option("--namespace", default=NAMESPACE, show_default=True, help="Namespace of jobs and of artifacts.")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write into this file. Default: stdout.")
@store_options
@json_option
def export_lineage(
    name: str | None, every: bool, namespace: str, output: Path | None, root: str | None, metadata: str | None, as_json: bool
) -> None:
    """Export runs as OpenLineage events, one JSON object a line, as Marquez and others read them.

    RUN is an id, the start of one, or latest (the default). With --json the events are one JSON array.

    \b
    Examples:
      cauce lineage export latest -o events.ndjson
      cauce lineage export --all --namespace prod
    """
    if every and name is not None:
        raise UsageError(f"Expected a run or --all, not both. Received: {name}")
    opened = open_store(root, metadata)
    ledger = Ledger(opened.store, opened.storage)
    runs = opened.store.runs() if every else [ledger.run(name or "latest")]
    events = [event for run in runs for event in events_of(opened.store, run, namespace=namespace)]
    text = json.dumps(events, indent=2) if as_json else "\n".join(json.dumps(event) for event in events)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}.") from error
    click.echo(f"{len(events):,} events in {output}", err=True)


def _print(walks: Sequence[Lineage]) -> None:
    width = terminal_width()
    for number, found in enumerate(walks):
        title = _TITLES[found.direction] + ("" if found.executions else ": nothing")
        lines = list(text_tree(found, width=width)) if found.executions or len(walks) == 1 else []
        if found.direction is Direction.UP:
            lines = [*_made_of(ingredients(found), width), *lines]
        click.echo("\n".join([*([""] if number else []), *([title] if len(walks) > 1 else []), *lines]))
        if len(walks) == 1 and not found.executions:
            click.echo(_NOTHING[found.direction], err=True)


def _made_of(made_of: Ingredients, width: int | None) -> list[str]:
    """Returns what something was made of in a line each; nothing where the tree says it all."""
    if not (made_of.files or made_of.schemas or made_of.code):
        return []
    lines = [("rows", f"{artifact.type_name} {artifact.id}: {_counts(artifact.record_counts)}") for artifact in made_of.examples]
    lines += [("file", f"{file.name}  {size(file.size)}  sha256 {file.sha256[:_DIGEST_WIDTH]}") for file in made_of.files]
    lines += [
        ("schema", f"Schema {artifact.id}: {artifact.properties.get('schema_file') or artifact.path}") for artifact in made_of.schemas
    ]
    lines += [("code", f"{file}@{digest[:_DIGEST_WIDTH]}") for file, digest in made_of.code]
    lines += [("parameters", f"{node}: {_values(values)}") for node, values in made_of.parameters.items()]
    lines += [("libraries", ", ".join(f"{name} {version}" for name, version in made_of.libraries))] if made_of.libraries else []
    lines += [("decided", f"{decided.node}: {decided.verdict}") for decided in made_of.decisions]
    shown = []
    for place, (title, text) in enumerate(lines):
        repeated = place > 0 and lines[place - 1][0] == title
        line = f"{'' if repeated else title:<12}{text}"
        shown += textwrap.wrap(line, width, subsequent_indent=" " * 12, break_on_hyphens=False) if width and len(line) > width else [line]
    return [*shown, ""]


def _counts(counts: dict[str, int]) -> str:
    return f"{sum(counts.values()):,} ({', '.join(f'{split} {count:,}' for split, count in counts.items())})" if counts else "not counted"


def _values(values: object) -> str:
    found = dict(values) if isinstance(values, dict) else {}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}
    return " ".join(f"{name}={shortened(text, _VALUE_WIDTH)}" for name, text in texts.items())
