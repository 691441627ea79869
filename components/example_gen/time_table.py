"""A table with a time column, as sorted columns: series behind one another, each in the order of time, with its gaps.

The table is held in memory, 4 to 8 bytes per number; windows are made from it piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from components.record_issues import MOST_LISTED, Issue, IssueKind
from pipeline.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Numbers = npt.NDArray[np.int64]

PARTS = ("year", "month", "day", "hour", "minute", "second")
UNITS = ("s", "ms", "us", "ns")
CALENDAR_STEPS = {"month": 1, "quarter": 3, "year": 12}
_MONTH_DAYS = (28, 31)
_SECOND, _DAY = 1_000_000, 86_400_000_000  # times are microseconds since 1970-01-01


@dataclass(frozen=True)
class TimeColumns:
    """Where the times and the series of a table stand.

    Attributes:
        time: The column with the time, or the columns with year, month, day, hour, minute and second, as far as there are.
        series: The columns that name the series; none for a table of one.
        time_format: Format of `strptime`, or the unit of numbers; None for ISO 8601, or seconds where the column has numbers.
        step: Time between two rows, `1h`, or a step of the calendar; None to find out.
        on_bad_record: What becomes of rows without a time that can be read, and of further rows with the same time.
    """

    time: tuple[str, ...]
    series: tuple[str, ...] = ()
    time_format: str | None = None
    step: str | None = None
    on_bad_record: Literal["fail", "skip"] = "fail"


@dataclass(frozen=True)
class TimeTable:
    """The rows, sorted by series and time.

    Attributes:
        columns: The columns; numbers with NaN for what is missing, text as Arrow array.
        times: Of each row, in microseconds since 1970-01-01.
        bounds: Number of the first row of each series, and at the end that of all rows.
        runs: Of each row the number of its run: rows of one series that follow one another without a gap.
        step: The step, in words.
        issues: Bad rows, equal times, gaps.
        dropped: Rows of the table that were left out.
    """

    columns: Mapping[str, Any]
    times: Numbers
    bounds: Numbers
    runs: Numbers
    step: str
    issues: tuple[Issue, ...]
    dropped: int

    def series_names(self, names: Sequence[str]) -> list[str]:
        """Returns the name of each series."""
        rows = self.bounds[:-1].tolist()
        return ["/".join(str(_text(self.columns[name][row])) for name in names) or "the series" for row in rows]


def _text(value: Any) -> Any:
    value = value.as_py() if hasattr(value, "as_py") else value.item() if hasattr(value, "item") else value
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


def build_table(table: pa.Table, files: Sequence[tuple[int, str]], where: TimeColumns) -> TimeTable:
    """Sorts a table and looks for what is wrong with its times.

    Args:
        table: The rows as they were read.
        files: Number of the first row of each file, and its name.
        where: The columns.

    Raises:
        DataError: If a column is missing, or rows have no time or the same time and these are to fail.
    """
    import numpy as np

    for name in (*where.time, *where.series):
        if name not in table.column_names:
            raise DataError(f"The table has no column '{name}'.{did_you_mean(name, table.column_names)}")
    places = _Places(files)
    times, is_bad = parse_times([table[name] for name in where.time], where)
    series = _series_numbers(table, where.series)
    kept = np.flatnonzero(~is_bad)
    order = kept[np.lexsort((kept, times[kept], series[kept]))]
    same = np.append(False, (np.diff(times[order]) == 0) & (np.diff(series[order]) == 0))
    issues = [*_bad_times(table, where, np.flatnonzero(is_bad), places), *_same_times(order, same, times, places)]
    if where.on_bad_record == "fail" and issues:
        raise DataError(
            f"{issues[0].text}\n" + "\n".join(f"  {record}" for record in issues[0].records[:10]),
            hint="Correct the rows, or leave them out with on_bad_record='skip', which counts and lists them.",
        )
    order = order[~same]
    if not len(order):
        raise DataError("No row of the table has a time that can be read.", hint="Check time= and time_format=.")
    times, series = times[order], series[order]
    bounds = np.append(np.flatnonzero(np.append(True, np.diff(series) != 0)), len(order))
    columns = {name: _values(table[name], order) for name in table.column_names}
    made = TimeTable(columns, times, bounds, np.zeros(0, np.int64), "", tuple(issues), int(is_bad.sum() + same.sum()))
    return _with_runs(made, where)


def parse_times(columns: Sequence[pa.ChunkedArray], where: TimeColumns) -> tuple[Numbers, Any]:
    """Returns the times in microseconds since 1970-01-01, and which of them cannot be read."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    values = [column.to_pandas() for column in columns]
    is_number = pa.types.is_integer(columns[0].type)
    if len(values) > 1:
        numbers = {part: pd.to_numeric(value, errors="coerce") for part, value in zip(PARTS, values, strict=False)}
        found = pd.to_datetime({"month": 1, "day": 1, **numbers}, errors="coerce")
    elif is_number and (where.time_format is None or where.time_format in UNITS):
        found = pd.to_datetime(values[0], unit=where.time_format or "s", errors="coerce")
    else:
        text = values[0].map(lambda value: value.decode() if isinstance(value, bytes) else value if value is None else str(value))
        found = pd.to_datetime(text, format=where.time_format, errors="coerce", utc=True)
    stamps = pd.Series(found).to_numpy(dtype="datetime64[ns]")
    return stamps.astype("datetime64[us]").astype(np.int64), np.isnat(stamps)


def _series_numbers(table: pa.Table, names: Sequence[str]) -> Numbers:
    """Returns the number of the series of each row, in the order in which they appear first."""
    import numpy as np

    numbers = np.zeros(table.num_rows, np.int64)
    for name in names:
        codes = table[name].combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False) + 1
        numbers = numbers * (int(codes.max(initial=0)) + 1) + codes
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    ranks = np.empty(len(first), np.int64)
    ranks[np.argsort(first)] = np.arange(len(first))
    return ranks[inverse]


def _values(column: pa.ChunkedArray, order: Numbers) -> Any:
    import pyarrow as pa

    array = column.combine_chunks() if column.num_chunks else pa.array([], column.type)
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    array = array.take(pa.array(order))
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_null(array.type):
        if array.null_count == 0 and pa.types.is_integer(array.type):
            return array.to_numpy()
        return array.cast(pa.float64()).to_numpy(zero_copy_only=False).astype("float32")
    return array


def _with_runs(table: TimeTable, where: TimeColumns) -> TimeTable:
    """Finds the step, the gaps, and the runs between them."""
    import dataclasses

    import numpy as np

    inner = np.ones(len(table.times) - 1, bool)
    inner[table.bounds[1:-1] - 1] = False
    differences = np.diff(table.times)
    step, lengths = _steps(table.times, differences, inner, where.step)
    follows = np.isclose(lengths, 1.0, atol=1e-6) & inner
    broken = np.flatnonzero(inner & ~follows)
    runs = np.append(0, np.cumsum(~follows))
    issues = [*table.issues, *_gap_issue(table, broken, lengths, step, where)]
    return dataclasses.replace(table, runs=runs, step=step, issues=tuple(issues))


def _steps(times: Numbers, differences: Numbers, inner: Any, given: str | None) -> tuple[str, Any]:
    """Returns the step in words, and each difference in steps."""
    import numpy as np
    import pandas as pd

    known = differences[inner]
    step = given
    if step is None and len(np.unique(known)) > 1 and (known >= _MONTH_DAYS[0] * _DAY).all():
        days, counts = np.unique(known // _DAY, return_counts=True)
        step = "month" if _MONTH_DAYS[0] <= days[np.argmax(counts)] <= _MONTH_DAYS[1] else None
    if step in CALENDAR_STEPS:
        months = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        return step, np.diff(months) / CALENDAR_STEPS[step]
    if step is not None:
        length = pd.Timedelta(step).value // 1000
    elif len(known):
        distinct, counts = np.unique(known, return_counts=True)
        length = int(distinct[np.argmax(counts)])
    else:
        length = _SECOND
    return _duration(length), differences / length


def _duration(microseconds: int) -> str:
    for name, size in (("d", _DAY), ("h", _DAY // 24), ("min", 60 * _SECOND), ("s", _SECOND), ("ms", 1000)):
        if microseconds % size == 0:
            return f"{microseconds // size}{name}"
    return f"{microseconds}us"


def stamp(time: int) -> str:
    """Returns a time in words."""
    import numpy as np

    return str(np.datetime64(int(time), "us").astype("datetime64[s]"))


def _gap_issue(table: TimeTable, broken: Numbers, lengths: Any, step: str, where: TimeColumns) -> Iterator[Issue]:
    import numpy as np

    if not len(broken):
        return
    names = table.series_names(where.series)
    series = np.searchsorted(table.bounds, broken, side="right") - 1
    records = []
    for row, number in list(zip(broken.tolist(), series.tolist(), strict=True))[:MOST_LISTED]:
        place = f"{names[number]}: " if where.series else ""
        records.append(f"{place}{stamp(table.times[row])} to {stamp(table.times[row + 1])}, {lengths[row]:.6g} steps")
    lost = int(np.floor(np.maximum(lengths[broken] - 1, 0)).sum())
    count = len(broken)
    text = f"{count:,} gap{'s' * (count > 1)} in time: {lost:,} step{'s' * (lost != 1)} of {step} missing."
    yield Issue(IssueKind.TIME_GAP, text, count, tuple(records))


class _Places:
    """Names rows by file and number."""

    def __init__(self, files: Sequence[tuple[int, str]]) -> None:
        self._files = files

    def name(self, row: int) -> str:
        """Returns `a.csv, row 7`."""
        first, file = max((item for item in self._files if item[0] <= row), key=lambda item: item[0])
        return f"{file}, row {row - first + 1:,}"


def _bad_times(table: pa.Table, where: TimeColumns, rows: Numbers, places: _Places) -> Iterator[Issue]:
    if not len(rows):
        return
    records = []
    for row in rows[:MOST_LISTED].tolist():
        values = [_text(table[name][row]) for name in where.time]
        records.append(f"{places.name(row)}: {'-'.join(map(str, values))}")
    count = len(rows)
    yield Issue(IssueKind.BAD_RECORD, f"{count:,} row{'s' * (count > 1)} without a time that can be read.", count, tuple(records))


def _same_times(order: Numbers, same: Any, times: Numbers, places: _Places) -> Iterator[Issue]:
    import numpy as np

    found = np.flatnonzero(same)
    if not len(found):
        return
    records = [
        f"{places.name(int(order[at]))} = {places.name(int(order[at - 1]))}: {stamp(times[order[at]])}" for at in found[:MOST_LISTED]
    ]
    count = len(found)
    text = f"{count:,} row{'s' * (count > 1)} with the time of an earlier row of the series."
    yield Issue(IssueKind.DUPLICATE_TIME, text, count, tuple(records))


def check_constant(table: TimeTable, names: Sequence[str], series: Sequence[str]) -> None:
    """Raises `DataError` if a static column changes within a series."""
    import numpy as np

    for name in names:
        values = table.columns[name]
        codes = (
            values if isinstance(values, np.ndarray) else values.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
        )
        changes = np.flatnonzero((codes[1:] != codes[:-1]) & ~(np.isnan(codes[1:].astype(float)) & np.isnan(codes[:-1].astype(float))))
        wrong = np.setdiff1d(changes, table.bounds[1:-1] - 1)
        if len(wrong):
            owner = int(np.searchsorted(table.bounds, wrong[0], side="right")) - 1
            place = f"{table.series_names(series)[owner]}, at {stamp(table.times[wrong[0] + 1])}"
            raise DataError(
                f"static: column '{name}' changes within {place}.",
                hint="Name it in known= (known in advance) or features= (known up to the present).",
            )
