"""`cauce executions list`: every life of every node, by code, library, parameter, verdict."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.common import Verbs, json_option, limit_option, open_store, print_json, store_options
from pipeline.cli.lists import Asked, answer, list_options, print_table, values_as_json
from pipeline.errors import UsageError, did_you_mean
from pipeline.hashing import digest_file
from pipeline.lineage.ledger import Ledger
from pipeline.lineage.tables import Source
from pipeline.reports import execution_as_json


@click.group(cls=Verbs)
def executions() -> None:
    """List executions: each time that a node worked, was reused, was skipped or failed.

    \b
    Examples:
      cauce executions list --library tensorflow=2.16.2
      cauce executions list --code examples/taxi/features.py
    """


@executions.command("list")
@click.option("--code", metavar="FILE|DIGEST", help="Only those that used this code: a file as it is now, or the start of a digest.")
@click.option("--library", metavar="NAME[=VERSION]", help="Only those that ran with this library, or this version of it.")
@list_options
@limit_option("executions")
@store_options
@json_option
def list_executions(
    code: str | None,
    library: str | None,
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
    """List executions, oldest first.

    Conditions know parameters (train_steps), measures (auc), code.FILE, library.NAME, node, state, verdict, seconds, memory, age; all of
    them: --fields.

    \b
    Examples:
      cauce executions list --code examples/taxi/features.py
      cauce executions list --library tensorflow=2.16.2 --where "node = Trainer"
      cauce executions list --where "state = failed and age < 7d" --column error
    """
    opened = open_store(root, metadata)
    ledger = Ledger(opened.store, opened.storage)
    source = ledger.tables.executions
    conditions = [*where, *([_with_code(source, code)] if code else []), *([_with_library(ledger, source, library)] if library else [])]
    found = answer(source, Asked(tuple(conditions), sort, columns, as_csv, fields), limit, as_json=as_json)
    if found is None:
        return
    if as_json:
        known = {execution.id: execution for execution in opened.store.executions(int(row.id) for row in found.rows)}
        print_json([{**execution_as_json(known[int(row.id)]), "values": values_as_json(row)} for row in found.rows])
        return
    if not found.rows:
        click.echo("There are no such executions.", err=True)
        return
    print_table(found, "execution")


def _with_code(source: Source, text: str) -> str:
    """Returns the condition that a file, or the start of a digest, stands for.

    Raises:
        UsageError: If it is neither.
    """
    path = Path(text)
    digest = digest_file(path) if path.is_file() else text.rpartition("@")[2].lower()
    columns = [name for name in source.readers if name.startswith("code.")]
    using = [name for name in columns if any(str(value).startswith(digest) for value in source.column(name).values())]
    if using:
        digests = {str(value) for name in using for value in source.column(name).values() if str(value).startswith(digest)}
        return " or ".join(f'`{name}` = "{value}"' for name in using for value in sorted(digests))
    if f"code.{text}" in columns:
        return f"not `code.{text}` is none"
    if path.is_file():
        raise UsageError(f"No execution used {path} as it is now.", hint=f"Any version of it: cauce executions list --code {path.name}")
    raise UsageError(f"No execution used the code '{text}'.{did_you_mean(text, [name.removeprefix('code.') for name in columns])}")


def _with_library(ledger: Ledger, source: Source, text: str) -> str:
    """Returns the condition that `NAME` or `NAME=VERSION` stands for."""
    name, _, version = text.replace("==", "=").partition("=")
    name = name.strip().lower().replace("_", "-")
    versions = ledger.tables.package(name, ledger.storage)
    source.add(f"library.{name}", versions)
    return f'`library.{name}` = "{version.strip()}"' if version else f"not `library.{name}` is none"
