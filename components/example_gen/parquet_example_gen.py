"""ParquetExampleGen, and the reader of Parquet files: row group by row group, with the types that features can have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.example_gen.base import DEFAULT_SPLITS, FileExampleGen, InputPattern, resolved
from components.example_gen.reading import Block, Rows
from components.example_gen.writing import OutputOptions, write_examples
from pipeline.artifacts import Examples
from pipeline.component import Output
from pipeline.context import Context
from pipeline.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from components.example_gen.inputs import InputFile

_BATCH_ROWS = 8192
_EXPECTED = "integers, booleans, floats, strings, binaries, or lists of these"


class ParquetExampleGen(FileExampleGen):
    """Reads Parquet files into splits of `tf.train.Example`.

    Integers and booleans become int64, floats float32, strings and binaries bytes, lists of these the values of one feature; a null
    is a missing value.

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
        columns: Names of the columns to read. Default: None, all of them.

    Raises:
        DataError: If a pattern matches nothing, a column has another type, the columns of the files differ, a file has no rows, is
            damaged or changes meanwhile, or a split gets no row.

    Example:
        examples = ParquetExampleGen(input="data/trips/*.parquet", split_by="company", columns=("company", "fare", "tips"))
    """

    needs = ("google_crc32c", "numpy", "pandas", "pyarrow.compute", "pyarrow.parquet")
    libraries = ("pyarrow",)

    def validate(self) -> None:
        """Checks the parameters."""
        super().validate()
        columns = self.parameters["columns"]
        if columns is not None and (not columns or len(set(columns)) < len(columns)):
            raise self._error(f"columns must be different and not empty. Received: {columns!r}")

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
        columns: tuple[str, ...] | None = None,
    ) -> None:
        """Reads the files and writes the splits."""
        found = resolved(input)
        context.progress(f"reading {found}")
        reader = ParquetReader.open(found.files, columns)
        write_examples(context, examples, found, reader, OutputOptions(splits, split_by, stratify_by, shards))


@dataclass(frozen=True)
class ParquetReader:
    """The rows of Parquet files that have the same columns.

    Attributes:
        columns: Names of the columns that are read.
    """

    columns: tuple[str, ...]

    @classmethod
    def open(cls, files: tuple[InputFile, ...], columns: tuple[str, ...] | None) -> ParquetReader:
        """Checks the columns of all files.

        Raises:
            DataError: If a column is missing, has a type that features cannot have, or another one than in the first file.
        """
        kinds = {file.path: _kinds_in(file.path, columns) for file in files}
        (first, expected), *others = kinds.items()
        for path, found in others:
            if list(found.items()) != list(expected.items()):
                raise _different_columns(first, expected, path, found)
        return cls(tuple(expected))

    def blocks(self, file: InputFile) -> Iterator[Block]:
        """Yields the rows of a file as they are stored."""
        import pyarrow as pa

        rows = 0
        try:
            for batch in _open(file.path).iter_batches(_BATCH_ROWS, columns=list(self.columns)):
                yield Block(file, rows, batch.num_rows, batch)
                rows += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file.path} cannot be read: {error}", hint="Copy the file again; it is damaged.") from error

    def decode(self, block: Block) -> Rows:
        """Returns the rows of a block with the types of features."""
        import pyarrow as pa

        arrays = []
        for name in self.columns:
            try:
                arrays.append(_as_feature(block.content.column(block.content.schema.get_field_index(name))))
            except pa.ArrowInvalid as error:
                raise DataError(f"{block.file.path}, column '{name}': {error}") from error
        return Rows(pa.RecordBatch.from_arrays(arrays, list(self.columns)))


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path)


def _kinds_in(path: Path, columns: Sequence[str] | None) -> dict[str, str]:
    """Returns the kind of each column of a file."""
    import pyarrow as pa

    try:
        file = _open(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a Parquet file, or is damaged: {error}") from error
    schema: pa.Schema = file.schema_arrow
    if len(set(schema.names)) < len(schema.names):
        raise DataError(f"{path} has several columns of one name: {', '.join(schema.names)}")
    for name in columns or ():
        if name not in schema.names:
            raise DataError(f"{path} has no column '{name}'.{did_you_mean(name, schema.names)}")
    kinds = {name: _kind(schema.field(name).type) for name in columns or schema.names}
    unknown = [f"'{name}' is {schema.field(name).type}" for name, kind in kinds.items() if not kind]
    if unknown:
        raise DataError(
            f"{path}: {'; '.join(unknown)}. Expected {_EXPECTED}.", hint="Convert it, or name the columns to read with columns=(...)."
        )
    if file.metadata.num_rows == 0:
        raise DataError(f"{path} has no rows.", hint="Remove it, or write it again.")
    return kinds


def _kind(kind: pa.DataType) -> str:
    """Returns int64, float32, bytes or null, also as list; empty for a type that a feature cannot have."""
    import pyarrow as pa

    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = _kind(kind.value_type)
        return f"list of {inner}" if inner in ("int64", "float32", "bytes") else ""
    if types.is_dictionary(kind):
        return _kind(kind.value_type)
    if types.is_null(kind):
        return "null"
    if types.is_integer(kind) or types.is_boolean(kind):
        return "int64"
    if types.is_float32(kind) or types.is_float64(kind):
        return "float32"
    text = types.is_string(kind) or types.is_large_string(kind)
    return "bytes" if text or types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind) else ""


def _as_feature(column: pa.Array) -> pa.Array:
    """Returns a column as int64, float32 or binary, or as large_list of these."""
    import numpy as np
    import pyarrow as pa

    kind = _kind(column.type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kind.startswith("list"):
        import pyarrow.compute as pc

        offsets = np.zeros(len(column) + 1, np.int64)
        np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False), out=offsets[1:])
        missing = np.append(column.is_null().to_numpy(zero_copy_only=False), False)
        return pa.LargeListArray.from_arrays(pa.array(offsets, mask=missing), _as_feature(column.flatten()))
    if kind == "int64":
        return column.cast(pa.int64())
    if kind == "float32":
        return column.cast(pa.float32(), safe=False)
    return column.cast(pa.binary()) if pa.types.is_fixed_size_binary(column.type) else column


def _different_columns(path: Path, kinds: dict[str, str], other_path: Path, other: dict[str, str]) -> DataError:
    both = [name for name in kinds if name in other and kinds[name] != other[name]]
    parts = [f"'{name}' is {kinds[name]} and {other[name]}" for name in both]
    parts += [f"only {path.name} has '{name}'" for name in kinds if name not in other]
    parts += [f"only {other_path.name} has '{name}'" for name in other if name not in kinds]
    return DataError(f"{path} and {other_path} have different columns: {'; '.join(parts) or 'the same in another order'}.")
