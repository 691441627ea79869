"""Which rows belong to which slice, for many rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.evaluator.rows import Column, Rows
from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Indices = npt.NDArray[np.int64]

SliceKey = tuple[tuple[str, str | int | float], ...]
"""As in TFMA: pairs of feature and value, in the order of the features; empty for all rows."""


@dataclass(frozen=True)
class Groups:
    """Rows by slice: `rows[starts[i]:starts[i + 1]]` are the rows of `keys[i]`."""

    keys: list[SliceKey]
    rows: Indices
    starts: Indices


@dataclass(frozen=True)
class _Codes:
    """For each entry, a row and the number of its value."""

    rows: Indices
    codes: Indices
    values: list[SliceKey]


def group_rows(spec: Any, rows: Rows) -> Groups:
    """Returns the rows of each slice that a `SlicingSpec` asks for; a row counts once per slice, and in none without a value."""
    import numpy as np

    if not spec.feature_keys and not spec.feature_values:
        return Groups([()], np.arange(rows.count), np.zeros(1, np.int64))
    found: _Codes | None = None
    for name in sorted((*spec.feature_keys, *spec.feature_values)):
        codes = _codes(name, rows.features[name])
        if name in spec.feature_values:
            codes = _only(codes, name, spec.feature_values[name])
        found = codes if found is None else _crossed(found, codes)
    return _grouped(found)


def _codes(name: str, column: Column) -> _Codes:
    import numpy as np
    import pyarrow as pa

    encoded = pa.array(column.values).dictionary_encode()
    values: list[SliceKey] = [((name, _as_text(name, value)),) for value in encoded.dictionary.to_pylist()]
    return _Codes(column.rows, encoded.indices.to_numpy().astype(np.int64), values)


def _as_text(name: str, value: Any) -> str | int | float:
    if not isinstance(value, bytes):
        return value  # type: ignore[no-any-return]
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"Cannot slice by '{name}': its value {value!r} is not UTF-8 text.") from error


def _only(codes: _Codes, name: str, wanted: str) -> _Codes:
    """Keeps one value, which the specification holds as text; the slice bears it as a number if it reads as one."""
    import numpy as np

    matching = [number for number, value in enumerate(codes.values) if str(value[0][1]) == wanted or value[0][1] == _as_number(wanted)]
    kept = np.isin(codes.codes, matching)
    return _Codes(codes.rows[kept], np.zeros(int(kept.sum()), np.int64), [((name, _as_number(wanted)),)])


def _as_number(text: str) -> str | int | float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _crossed(left: _Codes, right: _Codes) -> _Codes:
    """Pairs each value of a row on the left with each value of the same row on the right; rows are in order on both sides."""
    import numpy as np

    first = np.searchsorted(right.rows, left.rows, "left")
    repeats = np.searchsorted(right.rows, left.rows, "right") - first
    starts = np.repeat(np.cumsum(repeats) - repeats, repeats)
    there = np.repeat(first, repeats) + np.arange(len(starts)) - starts
    pairs, codes = np.unique(np.repeat(left.codes, repeats) * len(right.values) + right.codes[there], return_inverse=True)
    values = [left.values[pair // len(right.values)] + right.values[pair % len(right.values)] for pair in pairs.tolist()]
    return _Codes(np.repeat(left.rows, repeats), codes.reshape(-1), values)


def _grouped(codes: _Codes | None) -> Groups:
    import numpy as np

    if codes is None or not len(codes.rows):
        return Groups([], np.zeros(0, np.int64), np.zeros(0, np.int64))
    span = int(codes.rows[-1]) + 1
    entries = np.unique(codes.codes * span + codes.rows)
    numbers, starts = np.unique(entries // span, return_index=True)
    return Groups([codes.values[number] for number in numbers.tolist()], entries % span, starts)
