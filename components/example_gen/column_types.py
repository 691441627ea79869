"""Types of CSV columns, from their text: the rules of TFDV (`tfx_bsl.coders.csv_decoder`), on Arrow columns.

A value is an integer if Python's `int` reads it and it fits in 64 bits, a string if `int` reads it and it does not fit, else a
float if Python's `float` reads it, else a string. A column has the highest type of its values, and none if all are missing.
Arrow's parsers read the usual spellings; the few others (`+1`, ` 1`, `1_000`) are brought to it or left to Python.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_WHITESPACE = " \t\n\v\f\r"  # what Python's int and float ignore at both ends of bytes
_INT64_DIGITS = 19
_INT64_RANGE = range(-(1 << 63), 1 << 63)


class ColumnType(enum.IntEnum):
    """Types in the order in which they win."""

    EMPTY = 0
    INT = 1
    FLOAT = 2
    STRING = 3


def infer_type(values: pa.StringArray) -> ColumnType:
    """Returns the type of a column of text; missing values are null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.null_count == len(values):
        return ColumnType.EMPTY
    first = values[pc.index(values.is_valid(), True).as_py()].as_py()
    if _type_of_text(first) is ColumnType.STRING:
        return ColumnType.STRING
    for text in _spellings(values):
        if not _holds(text, b".eEnN"):  # no float is without one of these letters
            # Arrow reads 0x1F as an integer; Python does not.
            if not _holds(text, b"xX") and _parses(text, pa.int64()):
                return ColumnType.INT
        # Arrow reads nan(1) as a float; Python does not.
        elif not _holds(text, b"(") and _parses(text, pa.float64()):
            return _float_or_long_integer(text)
    return _type_of_distinct(values)


def convert(values: pa.StringArray, kind: ColumnType) -> pa.Array:
    """Returns a column of text as null, int64, float32 or string; its type must be what `infer_type` found, or higher."""
    import pyarrow as pa

    match kind:
        case ColumnType.EMPTY:
            return pa.nulls(len(values))
        case ColumnType.INT:
            return _numbers(values, kind)
        case ColumnType.FLOAT:
            return _numbers(values, kind).cast(pa.float32(), safe=False)
    return values


def _numbers(values: pa.StringArray, kind: ColumnType) -> pa.Array:
    import pyarrow as pa

    target = pa.int64() if kind is ColumnType.INT else pa.float64()
    for text in _spellings(values):
        try:
            return text.cast(target)
        except pa.ArrowInvalid:
            continue
    encoded = values.dictionary_encode()
    parse = int if kind is ColumnType.INT else float
    return pa.array([parse(text.encode()) for text in encoded.dictionary.to_pylist()], target).take(encoded.indices)


def _spellings(values: pa.StringArray) -> Iterator[pa.StringArray]:
    """Yields the values as they are, then without whitespace around them and without a plus in front."""
    import pyarrow.compute as pc

    yield values
    yield pc.replace_substring_regex(pc.utf8_trim(values, characters=_WHITESPACE), r"^\+([0-9.iInN])", r"\1")


def _parses(values: pa.StringArray, kind: pa.DataType) -> bool:
    import pyarrow as pa

    try:
        values.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _holds(values: pa.StringArray, letters: bytes) -> bool:
    """Tells whether any of the letters is anywhere in the text of a column."""
    import numpy as np

    ends = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
    text = values.buffers()[2].slice(int(ends[0]), int(ends[-1] - ends[0])).to_pybytes()
    return any(letter in text for letter in letters)


def _float_or_long_integer(values: pa.StringArray) -> ColumnType:
    """Integers beyond 64 bits make a column of strings, also among floats."""
    import pyarrow.compute as pc

    long = values.filter(pc.greater_equal(pc.binary_length(values), _INT64_DIGITS))
    integers = long.filter(pc.match_substring_regex(long, r"^\s*[+-]?[0-9]+\s*$"))
    return max(ColumnType.FLOAT, _type_of_distinct(integers))


def _type_of_distinct(values: pa.StringArray) -> ColumnType:
    highest = ColumnType.EMPTY
    for text in values.unique().drop_null().to_pylist():
        highest = max(highest, _type_of_text(text))
        if highest is ColumnType.STRING:
            break
    return highest


def _type_of_text(text: str) -> ColumnType:
    try:
        return ColumnType.INT if int(text.encode()) in _INT64_RANGE else ColumnType.STRING
    except ValueError:
        pass
    try:
        float(text.encode())
    except ValueError:
        return ColumnType.STRING
    return ColumnType.FLOAT
