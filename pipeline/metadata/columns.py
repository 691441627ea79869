"""Whole columns of a store, for questions about all of its executions or artifacts.

ML Metadata hands out whole records: 50,000 artifacts with all that is known of them take it five seconds, while a question is about two or
three of their properties. Of a SQLite store the columns are read from the file itself, whose tables ML Metadata documents and keeps;
of any other store they are taken from the records. Both give the same answers.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
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

_TIMES = {"created": "create_time_since_epoch", "updated": "last_update_time_since_epoch"}
_STATES: Mapping[Kind, Any] = {"artifact": proto.Artifact.State, "execution": proto.Execution.State}
_INPUT = proto.Event.INPUT


class Columns(ABC):
    """Reads columns; each is a dictionary by number of the record, which lacks those that have no such value."""

    @abstractmethod
    def field(self, kind: Kind, name: str) -> dict[int, Property]:
        """Returns a column of `FIELDS`; times are milliseconds since 1970-01-01 UTC, states have ML Metadata's names."""

    @abstractmethod
    def property(self, kind: Kind, name: str) -> dict[int, Property]:
        """Returns the values of a property, of whichever type and whether declared or custom."""

    @abstractmethod
    def property_names(self, kind: Kind) -> set[str]:
        """Returns the names of all properties that a record has."""

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

    def field(self, kind: Kind, name: str) -> dict[int, Property]:
        table = kind.capitalize()
        if name == "type":
            return dict(self._rows(f"SELECT r.id, t.name FROM {table} r JOIN Type t ON t.id = r.type_id"))
        if name == "state":
            column = "state" if kind == "artifact" else "last_known_state"
            names = {number: state for state, number in _STATES[kind].items()}
            return {id: names.get(state, "UNKNOWN") for id, state in self._rows(f"SELECT id, coalesce({column}, 0) FROM {table}")}
        return dict(self._rows(f"SELECT id, {_TIMES.get(name, name)} FROM {table}"))

    def property(self, kind: Kind, name: str) -> dict[int, Property]:
        query = f"SELECT {kind}_id, coalesce(int_value, string_value, double_value) FROM {kind.capitalize()}Property WHERE name = ?"
        return {id: plain_wide(value) for id, value in self._rows(query, name) if value is not None}

    def property_names(self, kind: Kind) -> set[str]:
        return {name for (name,) in self._rows(f"SELECT DISTINCT name FROM {kind.capitalize()}Property")}

    def used(self) -> set[int]:
        return {id for (id,) in self._rows(f"SELECT DISTINCT artifact_id FROM Event WHERE type = {_INPUT}")}

    def _rows(self, query: str, *values: Property) -> list[Any]:
        try:
            with self._turn(), closing(sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", uri=True, timeout=60)) as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise MetadataError(f"The metadata store {self._file} cannot be read: {error}") from error


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

    def _records(self, kind: Kind) -> Sequence[Any]:
        return self._artifacts if kind == "artifact" else self._executions

    def field(self, kind: Kind, name: str) -> dict[int, Property]:
        if name == "state":
            state = "state" if kind == "artifact" else "last_known_state"
            return {record.id: _STATES[kind].Name(getattr(record, state)) for record in self._records(kind)}
        return {record.id: getattr(record, _TIMES.get(name, name)) for record in self._records(kind)}

    def property(self, kind: Kind, name: str) -> dict[int, Property]:
        found = ((record.id, plain_properties(record)) for record in self._records(kind))
        return {id: values[name] for id, values in found if name in values}

    def property_names(self, kind: Kind) -> set[str]:
        return {name for record in self._records(kind) for name in plain_properties(record)}

    def used(self) -> set[int]:
        return self._used()
