"""Reads JSON lines as columns: one object per line, its fields features. Arrow parses them; Python looks only where that fails."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.example_gen.inputs import InputFile
from components.example_gen.reading import Block, Rows
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
INT, FLOAT, TEXT, TRUTH = "int64", "float32", "text", "truth value"

_BLOCK_BYTES = 4 << 20
_EMPTY = "empty"


@dataclass(frozen=True)
class Kind:
    """The type of a feature: `int64`, `float32`, `text` or `truth value`, one or a list of them."""

    of: str
    is_list: bool = False

    def __str__(self) -> str:
        return f"a list of {self.of}" if self.is_list else self.of


def is_json(file: InputFile) -> bool:
    """Tells by its name whether a file holds JSON lines."""
    return file.path.name.endswith(SUFFIXES)


@dataclass(frozen=True)
class JsonReader:
    """The rows of JSON lines.

    Attributes:
        kinds: Features with their types, in the order in which they were found.
        unwrap: Objects whose fields are features themselves.
    """

    kinds: tuple[tuple[str, Kind], ...]
    unwrap: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(name for name, _ in self.kinds)

    def blocks(self, file: InputFile) -> Iterator[Block]:
        """Yields the lines of a file in pieces."""
        for first, rows, content in _pieces(file.path):
            yield Block(file, first, rows, content)

    def decode(self, block: Block) -> Rows:
        """Returns the features of some lines."""
        import pyarrow as pa

        table = _flat(_parse(block.content, block.file.path, block.first, self._explicit()), self.unwrap, block.file.path)
        columns = [_converted(table, name, kind) for name, kind in self.kinds]
        return Rows(pa.RecordBatch.from_arrays(columns, list(self.columns)))

    def _explicit(self) -> pa.Schema:
        """What Arrow is told of the types: a whole number is read as one also where no piece shows a fraction, a time stays text."""
        import pyarrow as pa

        known = {INT: pa.int64(), FLOAT: pa.float64(), TEXT: pa.string(), TRUTH: pa.bool_(), _EMPTY: pa.null()}
        plain = [(name, pa.list_(known[kind.of]) if kind.is_list else known[kind.of]) for name, kind in self.kinds]
        # The fields of unwrapped objects may also stand beside them; Arrow takes both where they occur.
        inner = [pa.field(name, pa.struct(plain)) for name in self.unwrap]
        return pa.schema([*inner, *plain])


def find_kinds(files: Iterable[InputFile], unwrap: Sequence[str], wanted: Mapping[str, str]) -> tuple[tuple[str, Kind], ...]:
    """Reads all lines once and returns the features with their types.

    Args:
        files: The files.
        unwrap: Objects whose fields are features themselves.
        wanted: Types that a schema gives by feature; a whole number becomes a float where it says so.

    Raises:
        DataError: If a line is no JSON object, or a feature has different types.
    """
    found: dict[str, Kind] = {}
    for file in files:
        for first, _, content in _pieces(file.path):
            table = _flat(_parse(content, file.path, first, None), unwrap, file.path)
            for name, column in zip(table.schema.names, table.columns, strict=True):
                kind = _kind_of(name, column.type, file.path)
                found[name] = kind if name not in found else _common(name, found[name], kind, file.path)
    return tuple((name, _as_wanted(name, kind, wanted.get(name))) for name, kind in found.items())


def _as_wanted(name: str, kind: Kind, wanted: str | None) -> Kind:
    if wanted is None or wanted == kind.of or kind.of == _EMPTY or (kind.of, wanted) == (TRUTH, INT):
        return kind
    if (kind.of, wanted) == (INT, FLOAT):
        return Kind(FLOAT, kind.is_list)
    raise DataError(f"Feature '{name}' is {kind} in the logs, and {wanted} in the schema.", hint="Log what the model was asked, unchanged.")


def _kind_of(name: str, kind: pa.DataType, path: Path) -> Kind:
    import pyarrow as pa

    if pa.types.is_list(kind):
        inner = _kind_of(name, kind.value_type, path)
        if inner.is_list:
            raise DataError(f"{path}: feature '{name}' holds lists of lists. Expected a value or a list of values.")
        return Kind(inner.of, True)
    if pa.types.is_null(kind):
        return Kind(_EMPTY)
    if pa.types.is_boolean(kind):
        return Kind(TRUTH)
    if pa.types.is_integer(kind):
        return Kind(INT)
    if pa.types.is_floating(kind):
        return Kind(FLOAT)
    if pa.types.is_string(kind) or pa.types.is_timestamp(kind):
        return Kind(TEXT)
    raise DataError(
        f"{path}: '{name}' is an object. Expected a value or a list of values.",
        hint=f"If its fields are features, name it: unwrap=['{name}'].",
    )


def _common(name: str, one: Kind, other: Kind, path: Path) -> Kind:
    if one.of == _EMPTY and not one.is_list:
        return other
    if other.of == _EMPTY and not other.is_list:
        return one
    kinds = {one.of, other.of} - {_EMPTY}
    if one.is_list != other.is_list or (len(kinds) > 1 and kinds != {INT, FLOAT}):
        raise DataError(f"{path}: feature '{name}' is {other}, and was {one} before.", hint="Log it with one type.")
    return Kind(FLOAT if len(kinds) > 1 else next(iter(kinds), _EMPTY), one.is_list)


def _pieces(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yields the number of the lines before a piece, that of its rows, and its lines; empty lines are left out."""
    first = rows = 0
    lines: list[bytes] = []
    size = 0
    number = 0
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    line = b"\n"
                else:
                    rows += 1
                lines.append(line if line.endswith(b"\n") else line + b"\n")
                size += len(line)
                if size >= _BLOCK_BYTES:
                    yield first, rows, b"".join(lines)
                    first, rows, size, lines = number, 0, 0, []
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read after line {number}: {error}.", hint="Copy the file again.") from error
    if rows:
        yield first, rows, b"".join(lines)


def _parse(content: bytes, path: Path, first: int, explicit: pa.Schema | None) -> pa.Table:
    import pyarrow as pa
    from pyarrow import json as arrow_json

    options = arrow_json.ParseOptions(explicit_schema=explicit)
    compact = b"\n".join(line for line in content.split(b"\n") if line.strip()) + b"\n"
    try:
        read = arrow_json.ReadOptions(block_size=len(compact) + 1, use_threads=False)
        return arrow_json.read_json(pa.BufferReader(compact), read_options=read, parse_options=options)
    except pa.ArrowInvalid as error:
        raise _explained(content, path, first, str(error)) from error


def _explained(content: bytes, path: Path, first: int, reason: str) -> DataError:
    """Returns an error that names the first line that is no JSON object, or else what Arrow says."""
    lines = content.rstrip(b"\n").split(b"\n")
    for number, line in enumerate(lines, first + 1):
        if not line.strip():
            continue
        try:
            parsed: Any = json.loads(line)
        except ValueError as error:
            is_last = number == first + len(lines)
            hint = "If it is still being written, wait for it: ready=60, or ready='_SUCCESS'." if is_last else "Mend or remove the line."
            return DataError(f"{path}, line {number} is no JSON: {error}.", hint=hint)
        if not isinstance(parsed, dict):
            return DataError(
                f"{path}, line {number} is no object: {line[:60].decode(errors='replace')}.", hint='Expected {"feature": value}.'
            )
    return DataError(f"{path}: {reason}.", hint="Log each feature with one type.")


def _flat(table: pa.Table, unwrap: Sequence[str], path: Path) -> pa.Table:
    """Returns the table with the fields of the objects to unwrap as columns of their own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns: dict[str, Any] = {}
    for name, column in zip(table.schema.names, table.combine_chunks().columns, strict=True):
        values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        values = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
        if name not in unwrap or not pa.types.is_struct(values.type):
            parts = {name: values}
        else:
            parts = {field.name: pc.struct_field(values, [index]) for index, field in enumerate(values.type)}
        for part, found in parts.items():
            known = columns.get(part)
            if known is not None and known.null_count < len(known) and found.null_count < len(found):
                raise DataError(f"{path}: feature '{part}' is both in an object to unwrap and beside it.", hint="Log it once.")
            columns[part] = found if known is None or known.null_count == len(known) else known
    return pa.table(columns)


def _converted(table: pa.Table, name: str, kind: Kind) -> pa.Array:
    """Returns a column with the type of the feature; all missing where no line of this piece has it."""
    import pyarrow as pa

    index = table.schema.get_field_index(name)
    if index < 0 or kind.of == _EMPTY:
        return pa.nulls(table.num_rows)
    column = table.column(index).combine_chunks()
    column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_null(column.type):
        return pa.nulls(table.num_rows)
    target = {INT: pa.int64(), FLOAT: pa.float32(), TEXT: pa.string(), TRUTH: pa.int64()}[kind.of]
    return column.cast(pa.list_(target) if kind.is_list else target, safe=False)
