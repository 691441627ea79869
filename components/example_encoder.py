"""Serializes Arrow columns as `tf.train.Example`, column by column and always to the same bytes.

`tfx_bsl`'s encoder writes the features of a record in an order that differs from call to call, so equal data would get unequal
digests and land in other splits. Here features are written in the order of their names, which is what
`SerializeToString(deterministic=True)` writes; `tfx_bsl` is used only for nested lists, which need a schema.

Wire format: https://protobuf.dev/programming-guides/encoding/ and `tensorflow/core/example/{example,feature}.proto`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Integers = npt.NDArray[np.int64]

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = b"\x0a", b"\x12", b"\x1a"
_FIRST_FIELD, _SECOND_FIELD = b"\x0a", b"\x12"  # tags of the length-delimited fields 1 and 2
_NO_VALUE = -1
_TABLE_SIZE = 1 << 16


def encode_batch(batch: pa.RecordBatch, serialized_schema: bytes | None = None) -> pa.LargeBinaryArray:
    """Returns one serialized `tf.train.Example` per row.

    Args:
        batch: Columns of int64, float32, binary or string (also their large variants), of lists of these, or of type null. A null
            row becomes a feature without a value, as in TFX.
        serialized_schema: A serialized `tensorflow_metadata` Schema; needed for columns of nested lists only.

    Raises:
        DataError: If a column has another type.
    """
    import numpy as np

    if any(_is_list(field.type) and _is_list(field.type.value_type) for field in batch.schema):
        return _encode_nested(batch, serialized_schema)
    pieces = [_binary_array(b"", np.zeros(batch.num_rows + 1, np.int64))]
    for name in sorted(batch.schema.names, key=str.encode):
        kind, lengths, payload = _encoded_values(name, batch.column(batch.schema.get_field_index(name)))
        pieces += [_table(lengths, _entry_head(name, kind)), payload]
    features = _joined(*pieces)
    return _joined(_lengths_before(features), features)


def encode_feature(name: str, column: pa.Array) -> pa.LargeBinaryArray:
    """Returns one serialized `tf.train.Feature` per row; it is empty for a row without a value."""
    kind, lengths, payload = _encoded_values(name, column)
    return _joined(_table(lengths, lambda length: _feature_head(kind, length)), payload)


def as_bytes(values: pa.LargeBinaryArray) -> list[bytes]:
    """Returns the values of a large binary array without nulls; several times faster than `to_pylist`."""
    data, ends = _data_and_ends(values)
    if data is None:
        return [b""] * len(values)
    first = int(ends[0])
    body = data.slice(first, int(ends[-1]) - first).to_pybytes()
    return [body[start:stop] for start, stop in itertools.pairwise((ends - first).tolist())]


def _encode_nested(batch: pa.RecordBatch, serialized_schema: bytes | None) -> pa.LargeBinaryArray:
    import pyarrow as pa
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.coders import example_coder

    schema = schema_pb2.Schema.FromString(serialized_schema) if serialized_schema is not None else None
    return pa.array(example_coder.RecordBatchToExamplesEncoder(schema).encode(batch), pa.large_binary())


def _encoded_values(name: str, column: pa.Array) -> tuple[bytes, Integers, pa.LargeBinaryArray]:
    """Returns the kind of list, the length of each row's payload or -1 for none, and the payloads."""
    import numpy as np
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return b"", np.full(len(column), _NO_VALUE), _binary_array(b"", np.zeros(len(column) + 1, np.int64))
    counts = column.value_lengths().fill_null(0) if _is_list(column.type) else column.is_valid()
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(counts.to_numpy(zero_copy_only=False), out=offsets[1:])
    kind, data, ends = _payload(name, column.flatten() if _is_list(column.type) else column.drop_null() if column.null_count else column)
    ends = ends[offsets]
    lengths = np.diff(ends)
    if column.null_count:
        lengths[column.is_null().to_numpy(zero_copy_only=False)] = _NO_VALUE
    return kind, lengths, _binary_array(data, ends)


def _payload(name: str, values: pa.Array) -> tuple[bytes, Any, Integers]:
    """Returns the kind of list, the encoded values behind one another, and where each begins and ends."""
    import numpy as np
    import pyarrow as pa

    kind = values.type
    if values.null_count:
        raise DataError(f"Feature '{name}' has a list with a null in it. Expected lists of values.")
    if pa.types.is_float32(kind):
        return _FLOAT_LIST, values.to_numpy().astype("<f4", order="C", copy=False), np.arange(len(values) + 1, dtype=np.int64) * 4
    if pa.types.is_int64(kind):
        return _INT64_LIST, *_varints(values.to_numpy().view(np.uint64))
    if kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary()):
        values = values.cast(pa.large_binary())
        data, ends = _data_and_ends(_joined(_lengths_before(values), values))
        return _BYTES_LIST, data or b"", ends
    raise DataError(f"Feature '{name}' has the Arrow type {kind}. Expected int64, float32, binary or string, or lists of these.")


def _feature_head(kind: bytes, length: int) -> bytes:
    """Returns what stands before the payload in a Feature; the numbers of a list are packed."""
    if length == _NO_VALUE:
        return b""
    packed = b"" if kind == _BYTES_LIST or length == 0 else _FIRST_FIELD + _varint(length)
    return kind + _varint(len(packed) + length) + packed


def _entry_head(name: str, kind: bytes) -> Callable[[int], bytes]:
    """Returns what stands before the payload in the map of features: lengths and key, and the Feature's own head."""
    key = _FIRST_FIELD + _varint(len(name.encode())) + name.encode()

    def head(length: int) -> bytes:
        feature = _feature_head(kind, length)
        rest = max(length, 0)
        value = _SECOND_FIELD + _varint(len(feature) + rest) + feature
        return _FIRST_FIELD + _varint(len(key) + len(value) + rest) + key + value

    return head


def _lengths_before(values: pa.LargeBinaryArray) -> Any:
    """Returns what stands before each value in a field with the number 1."""
    import numpy as np

    return _table(np.diff(_data_and_ends(values)[1]), lambda length: _FIRST_FIELD + _varint(length))


def _table(numbers: Integers, function: Callable[[int], bytes]) -> Any:
    """Returns `function` of each number, as an array or as one scalar; it is called once for each distinct number."""
    import numpy as np
    import pyarrow as pa

    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    if low == high:
        return pa.scalar(function(low), pa.large_binary())
    if high - low < _TABLE_SIZE:
        distinct = np.flatnonzero(np.bincount(numbers - low)) + low
        places = np.zeros(high - low + 1, np.int64)
        places[distinct - low] = np.arange(len(distinct))
        indices = places[numbers - low]
    else:
        distinct, indices = np.unique(numbers, return_inverse=True)
    return pa.array([function(number) for number in distinct.tolist()], pa.large_binary()).take(pa.array(indices))


def _varints(values: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint8], Integers]:
    """Returns the varints of all values behind one another, and where each begins and ends."""
    import numpy as np

    lengths = np.ones(len(values), np.int64)
    width = 1
    while width < 10 and (longer := values >= np.uint64(1 << 7 * width)).any():
        lengths += longer
        width += 1
    ends = np.zeros(len(values) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    shifts = np.arange(width, dtype=np.uint64) * np.uint64(7)
    groups = ((values[:, None] >> shifts) & np.uint64(0x7F)).astype(np.uint8) | np.uint8(0x80)
    groups[np.arange(len(values)), lengths - 1] &= np.uint8(0x7F)
    return groups[np.arange(width) < lengths[:, None]], ends


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _joined(*pieces: Any) -> pa.LargeBinaryArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.large_binary()))


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _binary_array(data: Any, ends: Integers) -> pa.LargeBinaryArray:
    import pyarrow as pa

    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])


def _data_and_ends(values: pa.LargeBinaryArray) -> tuple[Any, Integers]:
    """Returns the data of a large binary array without nulls, and where each value begins and ends."""
    import numpy as np

    _, offsets, data = values.buffers()
    if len(values) == 0 or offsets is None:
        return None, np.zeros(len(values) + 1, np.int64)
    return data, np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
