"""Whole columns of a store, for questions about all of its executions or artifacts.

ML Metadata hands out whole records: 50,000 artifacts with all that is known of them take it five seconds, while a question is about two or
three of their properties. Of a SQLite store the columns are read from the file itself, whose tables ML Metadata documents and keeps;
of any other store they are taken from the records. Both give the same answers.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ml_metadata.proto import metadata_store_pb2 as proto

from pipeline.artifacts import Property
from pipeline.errors import MetadataError
from pipeline.metadata.conversion import plain_properties, plain_wide

Kind = Literal["artifact", "execution"]
FIELDS: Mapping[Kind, tuple[str, ...]] = {
    "artifact": ("type", "name", "uri", "state", "created"),
    "execution": ("type", "state", "created", "updated"),
}
"""The columns that every record has, besides its properties."""

_BATCH = 500
_TIMES = {"created": "create_time_since_epoch", "updated": "last_update_time_since_epoch"}
_STATES: Mapping[Kind, Any] = {"artifact": proto.Artifact.State, "execution": proto.Execution.State}
_INPUT = proto.Event.INPUT


class Columns(ABC):
    """Reads columns; each is a dictionary by number of the record, which lacks those that have no such value."""

    @abstractmethod
    def field(self, kind: Kind, name: str, ids: Sequence[int] | None = None) -> dict[int, Property]:
        """Returns a column of `FIELDS`, of these records or all; times are milliseconds since 1970 UTC, states are ML Metadata's."""

    @abstractmethod
    def property(self, kind: Kind, name: str, ids: Sequence[int] | None = None) -> dict[int, Property]:
        """Returns the values of a property, of these records or all, of whichever type and whether declared or custom."""

    @abstractmethod
    def property_names(self, kind: Kind) -> set[str]:
        """Returns the names of all properties that a record has."""

    @abstractmethod
    def holding(self, kind: Kind, name: str, text: str, *, start: bool = False) -> list[int]:
        """Returns the records that have a text in a field or property, or at its start, without regard to the case of ASCII letters."""

    @abstractmethod
    def used(self) -> set[int]:
        """Returns the numbers of the artifacts that some execution took as its input."""


class FileColumns(Columns):
    """The columns of a SQLite file.

    Args:
        file: The file.
        turn: Waits until no other process works with the file.
    """

    def __init__(self, file: Path, turn: Callable[[], Any]) -> None:
        self._file = file
        self._turn = turn

    def field(self, kind: Kind, name: str, ids: Sequence[int] | None = None) -> dict[int, Property]:
        table = kind.capitalize()
        if name == "type":
            types = dict(self._rows("SELECT id, name FROM Type"))
            return {id: types[type] for id, type in self._rows_of(f"SELECT id, type_id FROM {table} WHERE true", "id", ids)}
        if name == "state":
            names = {number: state for state, number in _STATES[kind].items()}
            rows = self._rows_of(f"SELECT id, coalesce({_column(kind, name)}, 0) FROM {table} WHERE true", "id", ids)
            return {id: names.get(state, "UNKNOWN") for id, state in rows}
        column = _column(kind, name)
        return dict(self._rows_of(f"SELECT id, {column} FROM {table} WHERE {column} IS NOT NULL", "id", ids))

    def property(self, kind: Kind, name: str, ids: Sequence[int] | None = None) -> dict[int, Property]:
        value = "coalesce(int_value, string_value, double_value)"
        query = f"SELECT {kind}_id, {value} FROM {kind.capitalize()}Property WHERE name = ? AND {value} IS NOT NULL"
        rows = self._rows_of(query, f"{kind}_id", ids, name)
        return {id: plain_wide(value) if type(value) is float else value for id, value in rows}

    def property_names(self, kind: Kind) -> set[str]:
        return {name for (name,) in self._rows(f"SELECT DISTINCT name FROM {kind.capitalize()}Property")}

    def holding(self, kind: Kind, name: str, text: str, *, start: bool = False) -> list[int]:
        table = kind.capitalize()
        pattern = text.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"
        like = f"LIKE '{'' if start else '%'}' || ? ESCAPE '!'"
        if name == "type":
            query, values = f"SELECT r.id FROM {table} r JOIN Type t ON t.id = r.type_id WHERE t.name {like}", [pattern]
        elif name in FIELDS[kind]:
            query, values = f"SELECT id FROM {table} WHERE {_column(kind, name)} {like}", [pattern]
        else:
            query, values = f"SELECT {kind}_id FROM {table}Property WHERE name = ? AND string_value {like}", [name, pattern]
        return sorted(id for (id,) in self._rows(query, *values))

    def used(self) -> set[int]:
        return {id for (id,) in self._rows(f"SELECT DISTINCT artifact_id FROM Event WHERE type = {_INPUT}")}

    def _rows_of(self, query: str, column: str, ids: Sequence[int] | None, *values: Property) -> list[Any]:
        """Returns the rows of a query, or only those of some records."""
        if ids is None:
            return self._rows(query, *values)
        parts = [list(ids[place : place + _BATCH]) for place in range(0, len(ids), _BATCH)]
        return [row for part in parts for row in self._rows(f"{query} AND {column} IN ({','.join('?' * len(part))})", *values, *part)]

    def _rows(self, query: str, *values: Property) -> list[Any]:
        try:
            with self._turn(), closing(sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", uri=True, timeout=60)) as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise MetadataError(f"The metadata store {self._file} cannot be read: {error}") from error


def _column(kind: Kind, name: str) -> str:
    return _TIMES.get(name, "last_known_state" if (kind, name) == ("execution", "state") else name)


class RecordColumns(Columns):
    """The columns of any store, taken from its records, which are read once.

    Args:
        records: Returns all records of a kind.
        used: Returns what `used` returns.
    """

    def __init__(self, records: Callable[[Kind], Sequence[Any]], used: Callable[[], set[int]]) -> None:
        self._read = records
        self._used = used

    @cached_property
    def _artifacts(self) -> Sequence[Any]:
        return self._read("artifact")

    @cached_property
    def _executions(self) -> Sequence[Any]:
        return self._read("execution")

    def _records(self, kind: Kind, ids: Sequence[int] | None = None) -> Iterator[Any]:
        wanted = None if ids is None else set(ids)
        records = self._artifacts if kind == "artifact" else self._executions
        return (record for record in records if wanted is None or record.id in wanted)

    def field(self, kind: Kind, name: str, ids: Sequence[int] | None = None) -> dict[int, Property]:
        values = ((record.id, getattr(record, _column(kind, name))) for record in self._records(kind, ids))
        return {id: _STATES[kind].Name(value) if name == "state" else value for id, value in values if value != "" or name != "name"}

    def property(self, kind: Kind, name: str, ids: Sequence[int] | None = None) -> dict[int, Property]:
        found = ((record.id, plain_properties(record)) for record in self._records(kind, ids))
        return {id: values[name] for id, values in found if name in values}

    def property_names(self, kind: Kind) -> set[str]:
        return {name for record in self._records(kind) for name in plain_properties(record)}

    def holding(self, kind: Kind, name: str, text: str, *, start: bool = False) -> list[int]:
        column = self.field(kind, name) if name in FIELDS[kind] else self.property(kind, name)
        texts = {id: value.lower() for id, value in column.items() if isinstance(value, str)}
        return sorted(id for id, value in texts.items() if (value.startswith(text.lower()) if start else text.lower() in value))

    def used(self) -> set[int]:
        return self._used()
