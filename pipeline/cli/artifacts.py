"""`cauce artifacts list` and `cauce artifacts show`."""

from __future__ import annotations

from dataclasses import replace

import click
from rich.console import RenderableType
from rich.text import Text

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.cli.common import (
    Opened,
    Verbs,
    console,
    json_option,
    limit_of,
    limit_option,
    moment,
    open_store,
    print_json,
    size,
    store_options,
    table,
)
from pipeline.cli.lists import Asked, answer, list_options, print_table, values_as_json
from pipeline.cli.show import contents, problem_of, read_summary
from pipeline.errors import DataError
from pipeline.lineage.finding import check_type, find_artifact, run_of, runs_of
from pipeline.lineage.tables import Tables
from pipeline.metadata import MetadataStore
from pipeline.reports import artifact_as_json


@click.group(cls=Verbs)
def artifacts() -> None:
    """List artifacts, show what is inside one.

    \b
    Examples:
      cauce artifacts list --type Model
      cauce artifacts show latest:ExampleStatistics
    """


@artifacts.command("list")
@click.option("--type", "type_name", metavar="TYPE", help="Only artifacts of this type, for example Model.")
@click.option("--unused", is_flag=True, help="Only those that no execution has used; what nothing needs any more says cauce gc.")
@click.option("--larger-than", metavar="SIZE", help="Only larger ones, for example 100MB.")
@click.option("--older-than", metavar="AGE", help="Only older ones, for example 30d.")
@list_options
@limit_option("artifacts")
@store_options
@json_option
def list_artifacts(
    type_name: str | None,
    unused: bool,
    larger_than: str | None,
    older_than: str | None,
    where: tuple[str, ...],
    sort: str,
    columns: tuple[str, ...],
    as_csv: bool,
    fields: bool,
    limit: int | None,
    root: str | None,
    metadata: str | None,
    as_json: bool,
) -> None:
    """List artifacts, oldest first; those that meet a condition, in another order.

    Conditions know type, state, producer, run, created, age, size, used, digest and what producers say of artifacts, such as span; all of
    them: --fields.

    \b
    Examples:
      cauce artifacts list
      cauce artifacts list --type Model --limit 0
      cauce artifacts list --unused --larger-than 100MB --older-than 30d --sort -size
      cauce artifacts list --where "type = Examples and span >= 3"
    """
    opened = open_store(root, metadata)
    if type_name is not None:
        check_type(opened.store, type_name)
    conditions = [*where, *([f"size > {larger_than}"] if larger_than else []), *([f"age > {older_than}"] if older_than else [])]
    conditions += ["not used and state = LIVE"] if unused else []
    asked = Asked(tuple(conditions), sort, columns, as_csv, fields)
    if asked.plain:
        _list(opened, type_name, limit, as_json=as_json)
    else:
        typed = asked if type_name is None else replace(asked, where=(*conditions, f'type = "{type_name}"'))
        _answer(opened, typed, limit, as_json=as_json)


def _answer(opened: Opened, asked: Asked, limit: int | None, *, as_json: bool) -> None:
    """Prints the artifacts that were asked for."""
    found = answer(Tables(opened.store).artifacts, asked, limit, as_json=as_json)
    if found is None:
        return
    if as_json:
        known = {artifact.id: artifact for artifact in opened.store.artifacts(int(row.id) for row in found.rows)}
        print_json([{**artifact_as_json(known[int(row.id)]), "values": values_as_json(row)} for row in found.rows])
    elif found.rows:
        print_table(found, "artifact")
    else:
        click.echo("There are no such artifacts.", err=True)


def _list(opened: Opened, type_name: str | None, limit: int | None, *, as_json: bool) -> None:
    """Prints all artifacts, or those of a type."""
    store = opened.store
    wanted = limit_of(limit, as_json=as_json)
    found = store.all_artifacts(type_name, limit=None if wanted is None else wanted + 1)
    shown = found if wanted is None else found[-wanted:]
    if as_json:
        print_json([artifact_as_json(artifact) for artifact in shown])
        return
    if not found:
        click.echo(f"There are no artifacts{f' of type {type_name}' if type_name else ''} in {opened.settings.root_path}.", err=True)
        return
    runs = runs_of(store, shown)
    rows: list[list[RenderableType]] = [
        [
            str(artifact.id),
            artifact.type_name,
            _state(artifact),
            artifact.producer,
            runs.get(artifact.id or 0, ""),
            moment(artifact.created),
            size(artifact.size),
        ]
        for artifact in shown
    ]
    console().print(table(["id", "type", "state", "made by", "run", "created", "size"], rows, right=["id", "size"]))
    if len(shown) < len(found):
        click.echo(f"The last {len(shown)}. All of them: --limit 0", err=True)


@artifacts.command("show")
@click.argument("artifact_id", metavar="ID|PATH|latest:TYPE")
@store_options
@json_option
def show_artifact(artifact_id: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Show what is inside an artifact: statistics, schema, anomalies, metrics by slice, the verdict, ...

    It is named by its number, by the path of a file in it or in a served model, or as the latest of a type.

    \b
    Examples:
      cauce artifacts show 12
      cauce artifacts show latest:ModelBlessing
      cauce artifacts show serving/taxi/3
    """
    store = open_store(root, metadata).store
    artifact = find_artifact(store, artifact_id)
    problem = problem_of(artifact)
    summary, damaged = {}, None
    if artifact.path.is_dir():
        try:
            summary = read_summary(artifact)
        except DataError as error:
            damaged = str(error)
    if as_json:
        print_json({**artifact_as_json(artifact), "run": run_of(store, artifact), "problem": problem or damaged, "summary": summary})
        return
    _print(store, artifact, problem)
    screen = console()
    if damaged:
        screen.print(Text(damaged, style="red"))
    elif artifact.path.exists():
        for part in contents(artifact, summary):
            screen.print(part)


def _state(artifact: Artifact) -> Text:
    return Text(artifact.state.value, style="" if artifact.state is ArtifactState.LIVE else "yellow")


def _print(store: MetadataStore, artifact: Artifact, problem: str | None) -> None:
    screen = console()
    made = [f"made by {artifact.producer or '-'} in run {run_of(store, artifact) or '-'}", moment(artifact.created), size(artifact.size)]
    screen.print(Text.assemble((f"{artifact.type_name} {artifact.id}", "bold"), "  ", _state(artifact)))
    screen.print(Text(", ".join(made)))
    screen.print(Text(f"path   {artifact.path}\ndigest {artifact.digest or '-'}", style="dim"))
    told = {name: value for name, value in artifact.properties.items() if value != ""}
    if told:
        screen.print(Text("\n".join(f"{name}: {value}" for name, value in told.items()), style="dim"))
    if problem:
        screen.print(Text(problem, style="yellow"))
    screen.print()
