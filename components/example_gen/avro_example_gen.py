"""AvroExampleGen, and the reader of Avro container files."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.example_gen.base import DEFAULT_SPLITS, FileExampleGen, InputPattern, resolved
from components.example_gen.reading import Block, Rows
from components.example_gen.writing import OutputOptions, write_examples
from pipeline.artifacts import Examples
from pipeline.component import Output
from pipeline.context import Context
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from components.example_gen.inputs import InputFile

_BLOCK_ROWS = 4096
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_KINDS = {
    "boolean": "int64",
    "int": "int64",
    "long": "int64",
    "float": "float32",
    "double": "float32",
    "string": "bytes",
    "bytes": "bytes",
    "enum": "bytes",
    "fixed": "bytes",
    "null": "null",
}
_EXPECTED = "booleans, numbers, strings, bytes, enums, arrays of these, or unions of one of them with null"


class AvroExampleGen(FileExampleGen):
    """Reads Avro container files into splits of `tf.train.Example`.

    Booleans, ints and longs become int64, floats and doubles float32, strings, bytes, enums and fixed bytes, arrays of these the
    values of one feature; a null, in a union with null, is a missing value. A `decimal` becomes float32, a `date` the days since
    1970-01-01, a timestamp the microseconds since then, a time of day its microseconds, a `uuid` its text.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split and columns with type and missing values in its summary.

    Args:
        input: Pattern of the files, several patterns, or a dict of split to pattern; see `CsvExampleGen`.
        splits: Names and weights of the splits. Default: two of three rows in `train`, one in `eval`; see `CsvExampleGen`.
        split_by: A feature, integers or strings; rows with the same value are in one split. Default: None.
        stratify_by: A label; each of its classes is divided in the exact proportions. Default: None.
        span: The span to read, or a range of spans; see `CsvExampleGen`. Default: None, the latest that is complete.
        version: Number of the version within each span. Default: None, the latest that is complete.
        window: How many spans to read, up to `span`; see `CsvExampleGen`. Default: None, one.
        missing_spans: What becomes of a window that lacks a span: `error` or `allow`. Default: `error`.
        ready: When a span is complete: a marker's name, a pattern of markers, or seconds of quiet. Default: None, at once.
        shards: Files per split. Default: None, one per 64 MiB before compression.

    Raises:
        DataError: If a pattern matches nothing, a field has another type, the schemas of the files differ, a file has no rows, is cut
            off, damaged or changes meanwhile, or a split gets no row.

    Example:
        examples = AvroExampleGen(input="data/trips/*.avro", split_by="trip_start_timestamp")
    """

    needs = ("fastavro", "google_crc32c", "numpy", "pandas", "pyarrow.compute")
    libraries = ("fastavro", "pyarrow")

    def execute(
        self,
        context: Context,
        examples: Output[Examples],
        *,
        input: InputPattern,
        splits: dict[str, int] = DEFAULT_SPLITS,
        split_by: str | None = None,
        stratify_by: str | None = None,
        span: int | str | None = None,
        version: int | None = None,
        window: int | None = None,
        missing_spans: str = "error",
        ready: str | float | None = None,
        shards: int | None = None,
    ) -> None:
        """Reads the files and writes the splits."""
        found = resolved(input)
        context.progress(f"reading {found}")
        reader = AvroReader.open(found.files)
        write_examples(context, examples, found, reader, OutputOptions(splits, split_by, stratify_by, shards))


@dataclass(frozen=True)
class AvroReader:
    """The rows of Avro files that have the same fields.

    Attributes:
        kinds: Of each field: int64, float32, bytes or null, also as `list of` one.
    """

    kinds: Mapping[str, str]

    @classmethod
    def open(cls, files: tuple[InputFile, ...]) -> AvroReader:
        """Checks the schemas of all files.

        Raises:
            DataError: If one is no Avro file, or has a field of a type that features cannot have, or others than the first file.
        """
        first = _kinds_in(files[0].path)
        for file in files[1:]:
            other = _kinds_in(file.path)
            if other != first:
                wrong = sorted(name for name in {*first, *other} if first.get(name) != other.get(name))
                raise DataError(
                    f"{files[0].path} and {file.path} have different fields: "
                    + "; ".join(f"'{name}' is {first.get(name, 'missing')} and {other.get(name, 'missing')}" for name in wrong)
                    + "."
                )
        return cls(first)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the fields."""
        return tuple(self.kinds)

    def blocks(self, file: InputFile) -> Iterator[Block]:
        """Yields the rows of a file as they are stored."""
        import fastavro

        rows: list[dict[str, Any]] = []
        first = 0
        try:
            with file.path.open("rb") as stream:
                for row in fastavro.reader(stream):
                    rows.append(row)  # type: ignore[arg-type]  # the schema of the file is a record
                    if len(rows) == _BLOCK_ROWS:
                        yield Block(file, first, len(rows), rows)
                        first += len(rows)
                        rows = []
        except (EOFError, ValueError, TypeError, IndexError, KeyError, OSError, OverflowError, MemoryError) as error:
            hint = "Copy the file again; it is cut off or damaged."
            raise DataError(f"{file.path} cannot be read after row {first + len(rows):,}: {error}", hint=hint) from error
        if rows:
            yield Block(file, first, len(rows), rows)
        elif not first:
            raise DataError(f"{file.path} has no rows.", hint="Remove it, or write it again.")

    def decode(self, block: Block) -> Rows:
        """Returns the rows of a block with the types of features."""
        import pyarrow as pa

        try:
            arrays = [_column([row[name] for row in block.content], kind) for name, kind in self.kinds.items()]
        except (pa.ArrowException, AttributeError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{block.file.path}, rows {block.first + 1:,} to {block.first + block.rows:,}: {error}") from error
        return Rows(pa.RecordBatch.from_arrays(arrays, list(self.kinds)))


def _kinds_in(path: Path) -> dict[str, str]:
    """Returns the kind of each field of a file."""
    schema = _schema_of(path)
    if not isinstance(schema, Mapping) or schema.get("type") != "record":
        raise DataError(f"{path}: its rows are no records. Expected an Avro file with a schema of type record.")
    named: dict[str, Any] = {}
    kinds = {str(field["name"]): _kind(field["type"], named) for field in schema["fields"]}
    unknown = [f"'{name}' is {_shown(field['type'])}" for name, field in zip(kinds, schema["fields"]) if not kinds[name]]
    if unknown:
        raise DataError(f"{path}: {'; '.join(unknown)}. Expected {_EXPECTED}.", hint="Convert it before.")
    return kinds


def _schema_of(path: Path) -> Any:
    import fastavro
    from fastavro.schema import SchemaParseException

    try:
        with path.open("rb") as stream:
            return fastavro.reader(stream).writer_schema
    except (ValueError, EOFError, OSError, KeyError, TypeError, IndexError, SchemaParseException) as error:
        raise DataError(f"{path} is not an Avro file, or is damaged: {error}") from error


def _kind(declared: Any, named: dict[str, Any]) -> str:
    """Returns the kind of a type of Avro; empty for one that a feature cannot have. `named` gets the types that have names."""
    if isinstance(declared, list):
        members = [kind for kind in (_kind(member, named) for member in declared) if kind != "null"]
        return (members[0] if members else "null") if len(set(members)) < 2 else ""
    if isinstance(declared, Mapping):
        if declared["type"] == "array":
            inner = _kind(declared["items"], named)
            return f"list of {inner}" if inner in ("int64", "float32", "bytes") and _is_never_null(declared["items"]) else ""
        kind = "float32" if declared.get("logicalType") == "decimal" else _kind(declared["type"], named)
        if "name" in declared:
            named[str(declared["name"])] = kind
        return kind
    return _KINDS.get(declared) or named.get(declared, "")


def _is_never_null(declared: Any) -> bool:
    return not isinstance(declared, list) or "null" not in declared


def _shown(declared: Any) -> str:
    return str(declared["type"]) if isinstance(declared, Mapping) else str(declared)


def _column(values: Sequence[Any], kind: str) -> pa.Array:
    import pyarrow as pa

    inner = kind.removeprefix("list of ")
    if kind == "null":
        return pa.nulls(len(values))
    to_stored = _STORED[inner]
    values = [[to_stored(item) for item in value] if isinstance(value, list) else to_stored(value) for value in values]
    types = {"int64": pa.int64(), "float32": pa.float32(), "bytes": pa.large_binary()}
    return pa.array(values, pa.large_list(types[inner]) if kind != inner else types[inner])


def _as_bytes(value: Any) -> Any:
    return str(value).encode() if isinstance(value, str | uuid.UUID) else value


def _as_integer(value: Any) -> Any:
    """Returns a value of a logical type as what is stored: fastavro has made dates and times of it."""
    if isinstance(value, datetime.datetime):
        since = value - (_EPOCH if value.tzinfo is not None else _EPOCH.replace(tzinfo=None))
        return since // datetime.timedelta(microseconds=1)
    if isinstance(value, datetime.date):
        return (value - _EPOCH.date()).days
    if isinstance(value, datetime.time):
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    return int(value) if isinstance(value, bool) else value


def _as_float(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


_STORED: Mapping[str, Callable[[Any], Any]] = {"int64": _as_integer, "float32": _as_float, "bytes": _as_bytes}
