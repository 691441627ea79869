"""CsvExampleGen, and the reader of CSV files: the first pass finds the types of the columns, the second reads the rows."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from components.example_gen.base import DEFAULT_SPLITS, FileExampleGen, InputPattern, resolved
from components.example_gen.column_types import ColumnType, convert, infer_type
from components.example_gen.csv_files import CsvFormat, describe_failure, find_broken_row, has_line_break, read_columns
from components.example_gen.reading import Block, Rows, in_order
from components.example_gen.writing import OutputOptions, write_examples
from components.spreading import map_items
from pipeline.artifacts import Examples
from pipeline.component import Output
from pipeline.context import Context
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from components.example_gen.inputs import InputFile

_BLOCK_BYTES = 2 << 20
_LARGEST_BLOCK_BYTES = 1 << 30


class CsvExampleGen(FileExampleGen):
    """Reads CSV files, also compressed ones (`.csv.gz`), into splits of `tf.train.Example`.

    The type of a column comes from all its rows, by TFDV's rules: int64 if all values are integers of 64 bits, float32 if all are
    numbers, else bytes. An empty field is a missing value; a column without any value has no type.

    The files are read in this process, in bounded memory; with `--runner` of another kind among the `beam_args` each file is a task
    of that runner, but all of them are one with `stratify_by` or `shards`.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split and columns with type and missing values in its summary.

    Args:
        input: Pattern of the files, relative to the project: `*`, `?`, `[...]`, `**`; `{SPAN}` (or `{YYYY}`, `{MM}`, `{DD}`) and
            `{VERSION}` stand for numbers, of which the latest is read. A tuple of patterns reads all their files. A dict of split
            to pattern says which files belong to which split. All files must have the same columns.
        splits: Names and weights of the splits. Default: two of three rows in `train`, one in `eval`. A row's split comes from a
            hash of its content, so it does not depend on the other rows, and is the one that TFX chooses.
        split_by: A feature, integers or strings, whose hash is taken instead, so that rows with the same value are in one split;
            rows without a value are an error. Default: None.
        stratify_by: A label: each of its classes is divided in the exact proportions of `splits`, in the order of the rows; rows
            without a value are a class of their own. Default: None.
        span: The span to read: its number, or its time as the paths have it (`"2024-02-29"`); a negative number counts from the
            latest, -1. `"1..12"`, `"2024-01..-1"`: a range. Default: None, the latest that is complete.
        version: Number of the version within each span, in the same way. Default: None, the latest that is complete.
        window: How many spans to read: `span` and those before it, an artifact each. Spans that were read before, alone or in another
            window, are not read again. Default: None, one.
        missing_spans: What becomes of a window or range that lacks a span: `error`, or `allow` to go on without it. Default: `error`.
        ready: When a span is complete: if its folder holds a file of this name (`"_SUCCESS"`), if a file matches this pattern
            (`"data/{SPAN}.done"`), or if its files have not been written for so many seconds. Default: None, at once.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        column_names: Names of the columns of files without a header. Default: None, the first row is the header.
        delimiter: One character between fields. Default: a comma.
        encoding: Encoding of the files. Default: UTF-8, with or without a byte order mark.
        quoting: Whether quotes around a field keep delimiters and line breaks in it. False for texts in which a quote is a letter
            like any other, as in many TSV files. Default: True.
        missing_values: Texts that stand for a missing value, such as `("", "NA")`. Default: an empty field only.

    Raises:
        DataError: If a pattern matches nothing; a row has too few or too many fields, or cannot be decoded (file and line are
            named); headers have empty or repeated names or differ; a file has no rows or changes meanwhile; a split gets no row.

    Example:
        examples = CsvExampleGen(input="data/taxi/span-{SPAN}/*.csv", splits={"train": 2, "eval": 1})
    """

    needs = ("google_crc32c", "numpy", "pandas", "pyarrow.compute", "pyarrow.csv")
    libraries = ("pyarrow",)

    def validate(self) -> None:
        """Checks the parameters."""
        super().validate()
        values = self.parameters
        if len(values["delimiter"]) != 1 or values["delimiter"] in '"\r\n' or not values["delimiter"].isascii():
            raise self._error(
                f"delimiter must be one ASCII character, and neither a quote nor a line break. Received: {values['delimiter']!r}"
            )
        try:
            codecs.lookup(values["encoding"])
        except LookupError as error:
            raise self._error(f"encoding={values['encoding']!r} is unknown.") from error
        names = values["column_names"]
        if names is not None and (not names or not all(names) or len(set(names)) < len(names)):
            raise self._error(f"column_names must be different and not empty. Received: {names!r}")

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
        column_names: tuple[str, ...] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
        quoting: bool = True,
        missing_values: tuple[str, ...] = ("",),
    ) -> None:
        """Reads the files and writes the splits."""
        found = resolved(input)
        context.progress(f"reading {found}")
        reader = CsvReader.open(context, found.files, CsvFormat(delimiter, encoding, column_names, quoting, missing_values))
        write_examples(context, examples, found, reader, OutputOptions(splits, split_by, stratify_by, shards))


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
            csv.ParseOptions(delimiter=form.delimiter, quote_char='"' if form.quoting else False, newlines_in_values=form.quoting),
            csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), null_values=list(form.missing_values), strings_can_be_null=True
            ),
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
