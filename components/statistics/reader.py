"""Reads rows whose features and types are known beforehand, several times faster than a decoder that must find them out.

`tfx_bsl` finds names and types in each batch. An ExampleGen knows them from all rows and writes them into its summary; given them,
TensorFlow's own parser reads the same rows in C++ on all cores. It cannot tell an empty list from a missing value, so it is used
only where the summary says that there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.records import read_records, read_shards
from pipeline.artifacts import Artifact
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


Columns = Mapping[str, str]
"""Type of each feature: `int64`, `float32`, `bytes`, or `empty` where no row has a value."""

MAX_BATCH_ROWS = 1 << 14
_BATCH_BYTES = 32 << 20
_WORTH_ROWS = 1 << 15  # below, making the parser takes longer than what it saves


def known_columns(examples: Artifact, split: str) -> Columns | None:
    """Returns the columns of a split in the order of their names.

    None if they are not known exactly, if a row may hold an empty list or a sequence, or if the split is too small for it to matter.
    """
    columns = examples.summary().get("columns")
    if not columns or any(column.get("empty_lists") != 0 or column.get("sequence") for column in columns):
        return None
    if examples.record_counts.get(split, 0) < _WORTH_ROWS:
        return None
    return {str(column["name"]): str(column["type"]) for column in sorted(columns, key=lambda column: str(column["name"]))}


def batch_rows(examples: Artifact, split: str) -> int:
    """Returns how many rows of a split make a batch of about 32 MiB, at most 16,384."""
    size = examples.summary().get("splits", {}).get(split, {})
    mean = size.get("bytes", 0) / max(size.get("rows", 0), 1)
    return MAX_BATCH_ROWS if mean == 0 else max(1, min(MAX_BATCH_ROWS, int(_BATCH_BYTES / mean)))


def read_rows(files: Sequence[Path], columns: Columns | None, *, batch_rows: int = MAX_BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """Yields the rows of shards, in order, as batches of lists: large_list of int64, float32 or large_binary, or null.

    Raises:
        DataError: If a shard is cut off or damaged, or a row does not fit; it names file and record.
    """
    if columns is None:
        yield from read_shards(files, batch_rows=batch_rows)
        return
    import tensorflow as tf

    try:
        yield from _parsed(files, columns, batch_rows)
    except tf.errors.OpError as error:
        for file in files:
            for _ in read_records(file):
                pass
        reason = re.sub(r"\{\{.*?\}\} ?", "", error.message).partition("\n")[0]
        raise DataError(f"The rows in {files[0].parent} do not have the columns of their summary: {reason}") from error


def _parsed(files: Sequence[Path], columns: Columns, batch_rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import tensorflow as tf

    types = {"int64": tf.int64, "float32": tf.float32, "bytes": tf.string}
    wanted = {name: tf.io.RaggedFeature(types[kind], row_splits_dtype=tf.int64) for name, kind in columns.items() if kind != "empty"}

    def parse(records: tf.Tensor) -> Any:
        parsed = tf.io.parse_example(records, wanted) if wanted else {}
        return {name: (ragged.values, ragged.row_splits) for name, ragged in parsed.items()}, tf.size(records)

    rows = tf.data.TFRecordDataset([str(file) for file in files], "GZIP", buffer_size=1 << 20).batch(batch_rows)
    for parsed, count in rows.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(1):
        arrays = [_column(*parsed[name]) if name in parsed else pa.nulls(int(count)) for name in columns]
        yield pa.RecordBatch.from_arrays(arrays, list(columns))


def _column(values: Any, splits: Any) -> pa.Array:
    """Returns a ragged tensor as lists; a row without a value is null, and so is a batch without one, as `tfx_bsl` has it."""
    import pyarrow as pa

    flat, offsets = values.numpy(), splits.numpy()
    if len(flat) == 0:
        return pa.nulls(len(offsets) - 1)
    array = pa.array(flat.tolist(), pa.large_binary()) if flat.dtype == object else pa.array(flat)
    is_empty = offsets[1:] == offsets[:-1]
    if not is_empty.any():
        return pa.LargeListArray.from_arrays(pa.array(offsets), array)
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64(), mask=np.append(is_empty, False)), array)
