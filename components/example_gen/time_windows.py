"""Windows of history and horizon over a `TimeTable`: which there are, which split each belongs to, and their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.example_gen.time_table import TimeTable, stamp
from pipeline.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Numbers = npt.NDArray[np.int64]

_SECOND = 1_000_000


@dataclass(frozen=True)
class WindowSpec:
    """What a window holds.

    Attributes:
        history: Steps that are known.
        horizon: Steps to forecast.
        targets: Columns to forecast; their horizon is given.
        features: Columns of which the history is given.
        known: Columns that are known in advance; history and horizon are given.
        static: Columns that do not change within a series.
        stride: Steps between the beginnings of two windows.
        across_gaps: Whether a window may hold a gap.
        drop_missing: Whether a window that lacks a value of its history is left out.
        fill: How many missing values in a row are replaced by the last one before them, in the history.
    """

    history: int
    horizon: int
    targets: tuple[str, ...]
    features: tuple[str, ...]
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    stride: int = 1
    across_gaps: bool = False
    drop_missing: bool = True
    fill: int = 0

    @property
    def length(self) -> int:
        """Steps of a window."""
        return self.history + self.horizon


@dataclass(frozen=True)
class Windows:
    """The windows of a table.

    Attributes:
        starts: The first row of each, those of no split left out.
        splits: The number of the split of each.
        dropped: Windows of no split, by reason.
    """

    starts: Numbers
    splits: Numbers
    dropped: Counter[str]


def check_columns(table: TimeTable, spec: WindowSpec) -> None:
    """Raises `DataError` if a column is missing, or one to forecast is text."""
    import numpy as np

    for name in (*spec.targets, *spec.features, *spec.known, *spec.static):
        if name not in table.columns:
            raise DataError(f"The table has no column '{name}'.{did_you_mean(name, table.columns)}")
    for name in spec.targets:
        if not isinstance(table.columns[name], np.ndarray):
            values = table.columns[name].drop_null().to_pylist()
            text = next((value for value in values if not _is_number(value)), "")
            raise DataError(
                f"target: column '{name}' holds text, such as {text!r}.",
                hint="Name what stands for a missing value with missing_values=('', 'NA', ...), or another column.",
            )


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def borders_by_weight(table: TimeTable, weights: Sequence[int]) -> list[int]:
    """Returns the times at which splits begin, all but the first, so that the rows are divided in the proportions of the weights."""
    import numpy as np

    ordered = np.sort(table.times)
    cuts = np.cumsum(weights)[:-1] * len(ordered) // sum(weights)
    return [int(ordered[cut]) for cut in cuts.tolist()]


def find_windows(table: TimeTable, spec: WindowSpec, borders: Sequence[int]) -> Windows:
    """Returns the windows that are whole, and the split in which the whole horizon of each lies.

    The history of a window may reach back over a border: what was before is known when a forecast is made. A horizon may not,
    else a later split would hold what an earlier one was trained on.
    """
    import numpy as np

    starts = np.concatenate([np.arange(low, high - spec.length + 1, spec.stride) for low, high in zip(table.bounds, table.bounds[1:])])
    starts = starts.astype(np.int64)
    dropped: Counter[str] = Counter()

    def keep(is_good: Any, reason: str) -> None:
        nonlocal starts
        lost = int(len(starts) - is_good.sum())
        if lost:
            dropped[reason] += lost
            starts = starts[is_good]

    if not spec.across_gaps:
        keep(table.runs[starts] == table.runs[starts + spec.length - 1], "gap in time")
    first, last = starts + spec.history, starts + spec.length - 1
    times = np.array(borders, np.int64)
    splits = np.searchsorted(times, table.times[first], side="right")
    inside = splits == np.searchsorted(times, table.times[last], side="right")
    keep(inside, "horizon across a border")
    splits = splits[inside]
    before = starts
    keep(_complete(table, (*spec.targets, *spec.known), starts + spec.history, spec.horizon), "no value to forecast")
    if spec.drop_missing:
        keep(_complete(table, (*spec.features, *spec.known), starts, spec.history, spec.fill), "missing value in the history")
    return Windows(starts, splits[np.isin(before, starts)], dropped)


def _complete(table: TimeTable, names: Sequence[str], first: Numbers, length: int, fill: int = 0) -> Any:
    """Tells for each range of rows whether all values of the columns are there."""
    import numpy as np

    complete = np.ones(len(first), bool)
    for name in dict.fromkeys(names):
        missing = _missing(history_values(table, name, fill) if fill else table.columns[name])
        counts = np.append(0, np.cumsum(missing))
        complete &= counts[first + length] == counts[first]
    return complete


def _missing(values: Any) -> Any:
    import numpy as np

    if isinstance(values, np.ndarray):
        return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    return values.is_null().to_numpy(zero_copy_only=False)


def history_values(table: TimeTable, name: str, fill: int) -> Any:
    """Returns a column with up to `fill` missing values in a row replaced by the last one before them, within a run."""
    import numpy as np

    values = table.columns[name]
    if not fill or not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        return values
    rows = np.arange(len(values))
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, rows))
    usable = (last >= 0) & (rows - last <= fill)
    usable &= table.runs[np.maximum(last, 0)] == table.runs
    return np.where(usable, values[np.maximum(last, 0)], values)


def window_batch(table: TimeTable, spec: WindowSpec, series: Sequence[str], starts: Numbers) -> pa.RecordBatch:
    """Returns the windows that begin at some rows as columns; see `TimeSeriesExampleGen` for their names."""
    import numpy as np
    import pyarrow as pa

    columns: dict[str, pa.Array] = {}
    for name in dict.fromkeys((*spec.features, *spec.known)):
        columns[f"history/{name}"] = _lists(history_values(table, name, spec.fill), starts, spec.history)
    for name in dict.fromkeys((*spec.targets, *spec.known)):
        columns[f"horizon/{name}"] = _lists(table.columns[name], starts + spec.history, spec.horizon)
    for name in dict.fromkeys((*series, *spec.static)):
        columns[name] = _single(table.columns[name], starts)
    for name, place in (("first", 0), ("origin", spec.history - 1), ("last", spec.length - 1)):
        columns[f"window/{name}"] = pa.array(np.floor_divide(table.times[starts + place], _SECOND))
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _lists(values: Any, starts: Numbers, length: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    places = (starts[:, None] + np.arange(length)).ravel()
    offsets = pa.array(np.arange(len(starts) + 1, dtype=np.int64) * length)
    if isinstance(values, np.ndarray):
        return pa.LargeListArray.from_arrays(offsets, pa.array(values[places].astype(np.float32)))
    return pa.LargeListArray.from_arrays(offsets, values.take(pa.array(places)).fill_null(""))


def _single(values: Any, rows: Numbers) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    if not isinstance(values, np.ndarray):
        return values.take(pa.array(rows))
    return pa.array(values[rows], from_pandas=True)


def described(table: TimeTable, borders: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """Returns what a summary says of the table: series, step, and from when to when each split goes."""
    edges = [int(table.times.min()), *borders]
    return {
        "rows": len(table.times),
        "series": len(table.bounds) - 1,
        "step": table.step,
        "begins": {name: stamp(edge) for name, edge in zip(names, edges, strict=True)},
        "ends": stamp(int(table.times.max())),
    }
