"""A table beside the files: a CSV whose column `path` names them, and whose other columns are features."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.example_gen.archives import is_archive, read_members
from components.example_gen.column_types import ColumnType, convert, infer_type
from components.example_gen.files_reader import FileKind, Table
from components.record_issues import printable
from pipeline.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from components.example_gen.inputs import InputFile

PATH = "path"
_TYPES = {ColumnType.INT: "int64", ColumnType.FLOAT: "float32", ColumnType.STRING: "bytes", ColumnType.EMPTY: "bytes"}


def load_table(files: Sequence[InputFile], name: str, kind: FileKind) -> Table:
    """Reads all tables of a name that are among the files, and finds out which of the files that they name do not exist.

    Raises:
        DataError: If there is none, one cannot be read, has no column `path` or names a file twice, or two have different columns.
    """
    import pyarrow as pa

    names: set[str] = set()
    tables: list[tuple[str, pa.Table]] = []
    for file in files:
        for place, content in _contents(file, name):
            names.add(place)
            if content is not None:
                tables.append((place, _read(place, content, kind)))
    if not tables:
        csvs = [posixpath.basename(place) for place in names if place.endswith((".csv", ".tsv"))]
        raise DataError(f"table: there is no '{name}' among the {len(names):,} files of the input.{did_you_mean(name, csvs)}")
    (first, table), *others = tables
    for place, other in others:
        if other.column_names != table.column_names:
            raise DataError(
                f"{first} and {place} have different columns: {', '.join(table.column_names)} and {', '.join(other.column_names)}."
            )
    whole = pa.concat_tables([one for _, one in tables]).combine_chunks()
    paths = [path for place, one in tables for path in _paths(place, one)]
    kinds = {column: infer_type(_flat(whole[column])) for column in whole.column_names if column != PATH}
    columns = [_as_values(convert(_flat(whole[column]), found)) for column, found in kinds.items()]
    rows = dict(zip(paths, zip(*columns, strict=True) if columns else ((),) * len(paths), strict=True))
    return Table({column: _TYPES[found] for column, found in kinds.items()}, rows, name, tuple(path for path in rows if path not in names))


def _contents(file: InputFile, name: str) -> Iterator[tuple[str, bytes | None]]:
    """Yields the names of a file, or of the members of an archive, with the content of tables."""
    if is_archive(file.name):
        wanted = read_members(file.path, lambda member: posixpath.basename(member) == name, set())
        yield from ((printable(f"{file.name}/{member}"), content) for member, content in wanted)
    else:
        yield printable(file.name), Path(file.path).read_bytes() if posixpath.basename(file.name) == name else None


def _read(place: str, content: bytes, kind: FileKind) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    try:
        names = csv.read_csv(pa.BufferReader(content)).column_names
        options = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True)
        table = csv.read_csv(pa.BufferReader(content), convert_options=options)
    except pa.ArrowInvalid as error:
        raise DataError(f"{place} cannot be read as CSV: {error}") from error
    if PATH not in names:
        raise DataError(f"{place} has no column '{PATH}', which names the files.{did_you_mean(PATH, names)}")
    taken = sorted({*kind.fields, kind.content} & set(names))
    if taken or len(set(names)) < len(names):
        raise DataError(f"{place}: the columns must have different names, and none of {kind.noun}'s own. Received: {', '.join(names)}")
    return table


def _paths(place: str, table: pa.Table) -> list[str]:
    """Returns the names of the files of a table, as the input names them."""
    folder = posixpath.dirname(place)
    paths = [posixpath.normpath(posixpath.join(folder, path or "")) for path in table[PATH].to_pylist()]
    seen: dict[str, int] = {}
    for row, path in enumerate(paths, 2):
        if path in seen:
            raise DataError(f"{place}, line {row}: '{path}' is named in line {seen[path]} already.", hint="Keep one of the rows.")
        seen[path] = row
    return paths


def _flat(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    return pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)


def _as_values(column: pa.Array) -> list[Any]:
    return [value.encode() if isinstance(value, str) else value for value in column.to_pylist()]
