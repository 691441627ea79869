"""Reads CSV files as Arrow RecordBatches, in two passes: the first finds the columns' types, the second reads the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from components.example_gen.column_types import ColumnType, convert, infer_type
from components.example_gen.csv_faults import describe_failure, find_broken_row, has_line_break
from components.example_gen.csv_format import CsvFormat, read_columns
from components.example_gen.reading import Block, Rows, in_order
from components.example_gen.spreading import map_items
from pipeline.context import Context
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from components.example_gen.inputs import InputFile

_BLOCK_BYTES = 2 << 20
_LARGEST_BLOCK_BYTES = 1 << 30


@dataclass(frozen=True)
class CsvReader:
    """The rows of CSV files that have the same columns; a column has one type over all files.

    Attributes:
        form: How the files are written.
        types: Type of each column, by name.
        block_bytes: Size of a block; a row must fit into it.
    """

    form: CsvFormat
    types: Mapping[str, ColumnType]
    block_bytes: int = _BLOCK_BYTES

    @classmethod
    def open(cls, context: Context, files: tuple[InputFile, ...], form: CsvFormat) -> CsvReader:
        """Checks the headers, and finds the types of the columns in all rows.

        Raises:
            DataError: If a file has no rows, or one with too few or too many fields, an open quote, or an undecodable byte.
        """
        columns = read_columns(files, form)
        scans = map_items(context, "scan", partial(_scan, form=form, columns=columns), files)
        types = {name: max(scan.types[name] for scan in scans) for name in columns}
        return cls(form, types, max(scan.block_bytes for scan in scans))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.types)

    def blocks(self, file: InputFile) -> Iterator[Block]:
        """Yields the rows of a file as columns of text."""
        rows = 0
        for batch in _batches(file, self.form, self.columns, self.block_bytes):
            yield Block(file, rows, batch.num_rows, batch)
            rows += batch.num_rows

    def decode(self, block: Block) -> Rows:
        """Returns the rows of a block with their types."""
        import pyarrow as pa

        arrays = [convert(values, kind) for values, kind in zip(block.content.columns, self.types.values(), strict=True)]
        return Rows(pa.RecordBatch.from_arrays(arrays, list(self.columns)))


@dataclass(frozen=True)
class _Scan:
    """What the first pass found in one file."""

    types: dict[str, ColumnType]
    block_bytes: int


def _scan(file: InputFile, *, form: CsvFormat, columns: tuple[str, ...]) -> _Scan:
    """Reads a file once, with blocks that are large enough for its longest row."""
    block_bytes = _BLOCK_BYTES
    while True:
        try:
            return _scan_blocks(file, form, columns, block_bytes)
        except _RowTooLongError:
            block_bytes *= 8


def _scan_blocks(file: InputFile, form: CsvFormat, columns: tuple[str, ...], block_bytes: int) -> _Scan:
    types = dict.fromkeys(columns, ColumnType.EMPTY)

    def infer(batch: pa.RecordBatch) -> tuple[list[ColumnType], pa.RecordBatch]:
        known = tuple(types.values())
        return [kind if kind is ColumnType.STRING else infer_type(values) for values, kind in zip(batch.columns, known, strict=True)], batch

    last = None
    for found, batch in in_order(infer, _batches(file, form, columns, block_bytes)):
        types.update({name: max(types[name], kind) for name, kind in zip(columns, found, strict=True)})
        last = batch if batch.num_rows else last
    if last is None:
        raise DataError(f"{file.path} has no rows: it holds nothing but {'blank lines' if form.column_names else 'a header'}.")
    # A quote that is never closed makes one field of all that follows, in the last column of the last row.
    if has_line_break(last.column(last.num_columns - 1)[-1].as_py() or ""):
        broken = find_broken_row(file.path, form, columns)
        if broken is not None:
            raise broken
    return _Scan(types, block_bytes)


def _batches(file: InputFile, form: CsvFormat, columns: tuple[str, ...], block_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a file as columns of text; an empty field is null."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        with csv.open_csv(
            str(file.path),
            csv.ReadOptions(block_size=block_bytes, column_names=form.column_names, encoding="utf8" if form.is_utf8 else form.encoding),
            csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True),
            csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), null_values=[""], strings_can_be_null=True),
        ) as reader:
            yield from reader
    except (pa.ArrowInvalid, OSError, UnicodeError) as error:
        if "Empty CSV file" in str(error):
            return
        if "straddling object" in str(error) and block_bytes < _LARGEST_BLOCK_BYTES:
            raise _RowTooLongError from error
        raise describe_failure(file.path, form, columns, str(error)) from error


class _RowTooLongError(Exception):
    """A row does not fit into a block."""
