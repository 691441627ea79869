"""TimeSeriesExampleGen: a table with a time column becomes windows of history and horizon, split by time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from components.example_gen.account import Account
from components.example_gen.base import DEFAULT_SPLITS, FileExampleGen, InputPattern, resolved
from components.example_gen.csv_example_gen import CsvReader
from components.example_gen.csv_files import CsvFormat
from components.example_gen.parquet_example_gen import ParquetReader
from components.example_gen.reading import Block, FilesReader, Reader, Rows
from components.example_gen.time_table import CALENDAR_STEPS, PARTS, TimeColumns, TimeTable, build_table, check_constant, parse_times
from components.example_gen.time_windows import WindowSpec, borders_by_weight, check_columns, described, find_windows, window_batch
from components.example_gen.writing import OutputOptions, write_examples
from components.record_issues import Issue, IssueKind
from pipeline.artifacts import Examples
from pipeline.component import Output
from pipeline.context import Context
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from components.example_gen.inputs import InputFile

MISSING_VALUES = ("", "NA", "NaN", "nan", "null", "NULL")
_BLOCK_BYTES = 8 << 20


class TimeSeriesExampleGen(FileExampleGen):
    """Reads tables with a time column, CSV or Parquet, and writes windows: some steps of history, and the steps to forecast.

    A window becomes one record: `history/<column>` and `horizon/<column>` (lists of float32, or of bytes for text), the columns that
    name its series and the static ones, and `window/first`, `window/origin` (the last step that is known), `window/last` as seconds
    since 1970-01-01 UTC. Rows may be in any order. A window never goes over a gap in time unless asked, gaps and equal times are
    reported. Splits are periods of time, one after the other: a window belongs to the one in which its whole horizon lies; one
    whose horizon crosses a border belongs to none. Windows that are left out are counted by reason.

    The table is held in memory as columns, the windows are not.

    Each span is a table of its own: its history begins with its first row, so that `history + horizon - 1` windows are lost where two
    spans meet, and weights of splits divide each span, so that the last part of an old span is older than the first part of a new
    one. Judge a model of several spans on the newest: `Evaluator(examples.newest(), ...)`. Where no window may be lost, name all files
    without `{SPAN}`; they are then read again each time.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; windows per split and left out, gaps and borders in its summary.

    Args:
        input: Pattern of the files, or several patterns; see `CsvExampleGen`. Files named `.parquet` are read as Parquet.
        time: The column with the time (ISO 8601, or seconds since 1970-01-01 UTC), or the columns with year, month, day, hour,
            minute and second, as many as there are. A time without a zone is taken for UTC.
        history: Steps of history in a window.
        horizon: Steps to forecast.
        target: The column to forecast, or several.
        series: The column that names the series a row belongs to, or several. Default: None, the table is one series.
        features: Columns of which the history is given. Default: None, all with numbers that are neither time, series, static nor known.
        known: Columns that are known in advance, such as holidays; their history and horizon are given. Default: none.
        static: Columns that do not change within a series. Default: none.
        stride: Steps between the beginnings of two windows. Default: 1.
        splits: Names and weights of the splits, in the order of time. Default: two of three rows in `train`, then one in `eval`.
        borders: Times at which the splits begin, all but the first, instead of the weights: `("2014-01-01",)`. Default: None.
        across_gaps: Whether a window may go over a gap in time. Default: False.
        drop_missing: Whether windows that lack a value in their history are left out; else it is NaN (text: empty). Windows that lack
            one to forecast always are. Default: True.
        fill: How many missing values in a row are replaced by the last one before them, in the history only. Default: 0.
        step: Time between two rows, such as `1h`, or `month`, `quarter`, `year`. Default: None, the most frequent one.
        time_format: Format of the time as for `strptime`, or for numbers `s`, `ms`, `us`, `ns`. Default: None, ISO 8601 or seconds.
        on_bad_record: What becomes of rows without a time that can be read, and of further rows of a series with the same time:
            `fail` names them, `skip` leaves them out, counted and listed. Default: `fail`.
        missing_values: Texts that stand for a missing value. Default: an empty field, `NA`, `NaN`, `nan`, `null`, `NULL`.
        span: The span to read, or a range of spans; see `CsvExampleGen`. Default: None, the latest that is complete.
        version: Number of the version within each span. Default: None, the latest that is complete.
        window: How many spans to read, up to `span`; see `CsvExampleGen`. No window of time crosses from one to the next. Default: None,
            one.
        missing_spans: What becomes of a window that lacks a span: `error` or `allow`. Default: `error`.
        ready: When a span is complete: a marker's name, a pattern of markers, or seconds of quiet. Default: None, at once.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        delimiter: One character between fields of CSV files. Default: a comma.
        encoding: Encoding of CSV files. Default: UTF-8.

    Raises:
        DataError: If a pattern matches nothing, a file cannot be read or changes meanwhile, a column is missing or has text where
            numbers are needed, a static column changes, rows are bad (with `fail`), or a split gets no window.

    Example:
        examples = TimeSeriesExampleGen(
            input="data/air_quality/*.csv", time=("year", "month", "day", "hour"), history=72, horizon=24, stride=6, target="pm2.5"
        )
    """

    needs = ("google_crc32c", "numpy", "pandas", "pyarrow.compute", "pyarrow.csv", "pyarrow.parquet")
    libraries = ("pandas", "pyarrow")

    def validate(self) -> None:
        """Checks the parameters."""
        values = self.parameters
        if isinstance(values["input"], Mapping):
            raise self._error("input: the splits are periods of time; give a pattern, and splits= or borders=.")
        super().validate()
        for name in ("history", "horizon", "stride"):
            if values[name] < 1:
                raise self._error(f"{name} must be 1 or more. Received: {values[name]}")
        if values["fill"] < 0:
            raise self._error(f"fill must be 0 or more. Received: {values['fill']}")
        if not values["target"] or not values["time"] or len(_names(values["time"])) > len(PARTS):
            raise self._error(f"time and target name columns, time at most {len(PARTS)} ({', '.join(PARTS)}).")
        if values["borders"] is not None and len(values["borders"]) != len(values["splits"]) - 1:
            raise self._error(
                f"borders: {len(values['splits'])} splits have {len(values['splits']) - 1} borders. Received: {values['borders']!r}"
            )
        self._check_step(values["step"])

    def _check_step(self, step: str | None) -> None:
        if step is None or step in CALENDAR_STEPS:
            return
        import re

        if not re.fullmatch(r"[1-9]\d*\s*(d|D|h|H|min|s|ms|us)", step):
            raise self._error(f"step must be such as '1h', '15min', '1d', or one of {', '.join(CALENDAR_STEPS)}. Received: {step!r}")

    def execute(
        self,
        context: Context,
        examples: Output[Examples],
        *,
        input: InputPattern,
        time: str | tuple[str, ...],
        history: int,
        horizon: int,
        target: str | tuple[str, ...],
        series: str | tuple[str, ...] | None = None,
        features: tuple[str, ...] | None = None,
        known: tuple[str, ...] = (),
        static: tuple[str, ...] = (),
        stride: int = 1,
        splits: dict[str, int] = DEFAULT_SPLITS,
        borders: tuple[str, ...] | None = None,
        across_gaps: bool = False,
        drop_missing: bool = True,
        fill: int = 0,
        step: str | None = None,
        time_format: str | None = None,
        on_bad_record: Literal["fail", "skip"] = "fail",
        missing_values: tuple[str, ...] = MISSING_VALUES,
        span: int | str | None = None,
        version: int | None = None,
        window: int | None = None,
        missing_spans: str = "error",
        ready: str | float | None = None,
        shards: int | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
    ) -> None:
        """Reads the table and writes the windows."""
        found = resolved(input)
        context.progress(f"reading {found}")
        rows: Reader
        if all(file.name.endswith(".parquet") for file in found.files):
            rows = ParquetReader.open(found.files, None)
        else:
            rows = CsvReader.open(context, found.files, CsvFormat(delimiter, encoding, missing_values=missing_values))
        where = TimeColumns(_names(time), _names(series), time_format, step, on_bad_record)
        spec = WindowSpec(history, horizon, _names(target), features or (), known, static, stride, across_gaps, drop_missing, fill)
        reader = WindowReader(rows, where, spec, splits, borders, all_features=features is None)
        write_examples(context, examples, found, reader, OutputOptions(splits, shards=shards))


def _names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


@dataclass(frozen=True)
class WindowReader(FilesReader):
    """The windows over the rows of all files together.

    Attributes:
        rows: Reads the rows.
        where: The columns of times and series.
        spec: What a window holds.
        splits: Weights of the splits, in the order of time.
        borders: The times at which they begin, all but the first; None to take the weights.
        all_features: Whether all columns with numbers are features.
    """

    rows: Reader
    where: TimeColumns
    spec: WindowSpec
    splits: Mapping[str, int]
    borders: tuple[str, ...] | None
    all_features: bool
    columns: None = None

    @property
    def contents(self) -> Mapping[str, str]:
        """Returns nothing: the features are numbers and text."""
        return {}

    def portions(self, files: Sequence[InputFile]) -> list[tuple[InputFile, ...]]:
        """Returns all files, as a window may begin in one and end in another."""
        return [tuple(files)]

    def compares(self, file: InputFile) -> bool:
        """Returns False: the files are compared when they have been read."""
        return False

    def blocks(self, file: InputFile) -> Iterator[Block]:
        """Yields the windows over the rows of one file."""
        return self.blocks_of((file,))

    def blocks_of(self, files: Sequence[InputFile]) -> Iterator[Block]:
        """Yields some windows at a time."""
        table = self._table(files)
        spec = self._chosen(table)
        check_columns(table, spec)
        check_constant(table, spec.static, self.where.series)
        borders = self._borders(table)
        windows = find_windows(table, spec, borders)
        account = Account(dropped=windows.dropped, issues=[*table.issues, *self._short(table, spec)])
        account.time_series = described(table, borders, list(self.splits))
        yield Block(files[0], 0, windows.dropped.total(), (table, spec, windows.starts[:0], windows.splits[:0], account))
        size = max(1, _BLOCK_BYTES // (8 * spec.length * max(1, len(spec.features) + len(spec.known) + len(spec.targets))))
        for first in range(0, len(windows.starts), size):
            starts, splits = windows.starts[first : first + size], windows.splits[first : first + size]
            yield Block(files[0], first, len(starts), (table, spec, starts, splits, None))

    def decode(self, block: Block) -> Rows:
        """Returns the values of some windows."""
        table, spec, starts, splits, account = block.content
        return Rows(window_batch(table, spec, self.where.series, starts), splits=splits, account=account)

    def _table(self, files: Sequence[InputFile]) -> TimeTable:
        import pyarrow as pa

        batches: list[pa.RecordBatch] = []
        firsts, rows = [], 0
        for file in files:
            firsts.append((rows, file.name))
            for block in self.rows.blocks(file):
                batches.append(self.rows.decode(block).batch)
                rows += block.rows
        return build_table(pa.Table.from_batches(batches), firsts, self.where)

    def _chosen(self, table: TimeTable) -> WindowSpec:
        """Returns what a window holds, with the columns that are features by default."""
        import dataclasses

        import numpy as np

        if not self.all_features:
            return self.spec
        others = {*self.where.time, *self.where.series, *self.spec.static, *self.spec.known}
        names = tuple(name for name, values in table.columns.items() if name not in others and isinstance(values, np.ndarray))
        return dataclasses.replace(self.spec, features=names)

    def _borders(self, table: TimeTable) -> list[int]:
        import pyarrow as pa

        if self.borders is None:
            return borders_by_weight(table, tuple(self.splits.values()))
        if not self.borders:
            return []
        times, is_bad = parse_times([pa.chunked_array([list(self.borders)])], TimeColumns(("borders",)))
        if is_bad.any() or (times[1:] <= times[:-1]).any():
            raise DataError(f"borders must be times, ISO 8601, one after the other. Received: {', '.join(self.borders)}.")
        return [int(time) for time in times]

    def _short(self, table: TimeTable, spec: WindowSpec) -> Iterator[Issue]:
        import numpy as np

        short = np.flatnonzero(np.diff(table.bounds) < spec.length)
        if len(short):
            names = table.series_names(self.where.series)
            records = tuple(names[number] for number in short[:100].tolist())
            text = f"{len(short):,} series {'are' if len(short) > 1 else 'is'} shorter than a window of {spec.length} steps."
            yield Issue(IssueKind.UNUSUAL_RECORD, text, len(short), records)
