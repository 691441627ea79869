"""What the lists of runs, executions and artifacts share: conditions, order, columns, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import console, limit_of, table
from pipeline.cli.show.cells import number
from pipeline.errors import UsageError
from pipeline.lineage.query import Value
from pipeline.lineage.tables import Question, Row, Source, Table
from pipeline.reports import shortened, timestamp
from pipeline.wording import counted, duration, moment, size

F = TypeVar("F", bound=Callable[..., Any])
TIMES = ("created", "started", "ended", "updated")
_SIZES, _DURATIONS = ("size", "memory"), ("seconds", "age")
_WIDTH = 60


@dataclass(frozen=True)
class Asked:
    """What a person wants of a list.

    Attributes:
        where: Conditions, all of which must hold.
        sort: Fields to sort by.
        columns: Further columns to show.
        csv: Whether to print CSV.
        fields: Whether to print the names of the fields and nothing else.
    """

    where: tuple[str, ...] = ()
    sort: str = ""
    columns: tuple[str, ...] = ()
    csv: bool = False
    fields: bool = False

    @property
    def plain(self) -> bool:
        """Whether nothing is asked but to list."""
        return self == Asked()

    def question(self, limit: int | None, *, as_json: bool) -> Question:
        """Returns the question to a table; a script, which CSV is for too, gets all rows."""
        where = " and ".join(f"({part})" for part in self.where if part.strip())
        return Question(where, self.sort, self.columns, limit_of(limit, as_json=as_json or self.csv))


def list_options(command: F) -> F:
    """Adds `--where`, `--sort`, `--column` (as `columns`), `--csv` (as `as_csv`) and `--fields`."""
    for option in (
        click.option("--fields", is_flag=True, help="Print the fields that --where, --sort and --column know, and nothing else."),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with all fields unless --column names some."),
        click.option("--column", "columns", metavar="FIELD", multiple=True, help="Show this field too; may be repeated."),
        click.option("--sort", metavar="FIELD,...", default="", help="Sort by these fields; -FIELD puts the largest first."),
        click.option("--where", metavar="CONDITION", multiple=True, help="Only those that meet it: 'auc > 0.9 and learning_rate < 0.001'."),
    ):
        command = option(command)
    return command


def answer(source: Source, asked: Asked, limit: int | None, *, as_json: bool) -> Table | None:
    """Returns what was asked for; prints it and returns None where that is the names of the fields, or CSV.

    Raises:
        UsageError: For a condition, an order or a column that cannot be.
    """
    if asked.csv and as_json:
        raise UsageError("Expected --csv or --json, not both.")
    if asked.fields:
        click.echo("\n".join(source.readers))
        return None
    if not asked.csv:
        return source.answer(asked.question(limit, as_json=as_json))
    columns = asked.columns or tuple(name for name in source.readers if name != "id")
    found = source.answer(Question(asked.question(limit, as_json=True).where, asked.sort, columns, limit or None))
    click.echo(_as_csv(found), nl=False)
    return None


def print_table(found: Table, noun: str) -> None:
    """Prints a table for a person, and how many rows there are besides."""
    columns = list(found.columns)
    rows = [[Text(str(row.id), style="bold"), *(cell(name, row.values.get(name)) for name in columns)] for row in found.rows]
    console().print(table(["id", *columns], rows, right=_right(found)))
    if len(found.rows) < found.total:
        click.echo(f"{len(found.rows)} of {counted(found.total, noun)}. All of them: --limit 0", err=True)


def cell(name: str, value: Value | None) -> RenderableType:
    """Returns a value as a person reads it."""
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if name in TIMES:
            return moment(int(value))
        return size(value) if name in _SIZES else duration(float(value)) if name in _DURATIONS else number(value)
    return shortened(value, _WIDTH)


def values_as_json(row: Row) -> dict[str, Any]:
    """Returns the values of a row, times as ISO 8601."""
    return {name: timestamp(int(value)) if name in TIMES and not isinstance(value, str) else value for name, value in row.values.items()}


def _right(found: Table) -> Sequence[str]:
    def numeric(name: str) -> bool:
        values = [row.values[name] for row in found.rows if name in row.values]
        return (
            name not in TIMES and bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        )

    return [name for name in found.columns if numeric(name)]


def _as_csv(found: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", *found.columns])
    for row in found.rows:
        values: Mapping[str, Any] = values_as_json(row)
        writer.writerow([row.id, *(_in_csv(values.get(name)) for name in found.columns)])
    return text.getvalue()


def _in_csv(value: Any) -> Any:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value
