"""Computes what TensorFlow Data Validation computes, from batches: in this process, or as a Beam pipeline on a user's runner.

Its Beam pipeline costs a second before it sees a row, most of it in stages that move single values. On the local runner its
combiners are fed directly, and values are counted by `value_counts`; the results are the same.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from components.records import shard_files
from components.statistics.accumulation import Accumulation
from components.statistics.files import STATISTICS_FILE
from components.statistics.reader import MAX_BATCH_ROWS, Columns, batch_rows, known_columns, read_rows
from pipeline.artifacts import Artifact

if TYPE_CHECKING:
    import apache_beam
    import pyarrow as pa
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import statistics_pb2

    Slicer = Callable[[pa.RecordBatch], Iterator[tuple[str, pa.RecordBatch]]]


def compute_statistics(
    batches: Iterable[pa.RecordBatch],
    options: tfdv.StatsOptions,
    *,
    temp: Path,
    report: Callable[[int], None] = lambda rows: None,
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns the statistics of all rows, and of each slice; see `accumulate`."""
    return accumulate(batches, options, temp=temp, report=report).result()


def accumulate(
    batches: Iterable[pa.RecordBatch],
    options: tfdv.StatsOptions,
    *,
    temp: Path,
    report: Callable[[int], None] = lambda rows: None,
) -> Accumulation:
    """Returns the statistics of all rows, and of each slice, in a state to which more can be added.

    Args:
        batches: Rows; they are merged into larger batches, so that their size matters little.
        options: The options; `sample_rate` is not looked at.
        temp: A folder for counts that do not fit into memory.
        report: Called with the number of rows so far.
    """
    accumulation = Accumulation(options, temp)
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        accumulation.add(batch)
        report(rows)
    return accumulation


def build_beam(pipeline: apache_beam.Pipeline, label: str, rows: Rows, folder: Path, options: tfdv.StatsOptions) -> None:
    """Adds the computation of one split to a Beam pipeline; its elements are batches, its result is `FeatureStats.pb` in `folder`."""
    import apache_beam as beam
    import tensorflow_data_validation as tfdv

    _ = (
        pipeline
        | f"{label} shards" >> beam.Create([dataclasses.replace(rows, files=(file,)) for file in rows.files])
        | f"{label} spread" >> beam.Reshuffle()
        | f"{label} read" >> beam.FlatMap(Rows.read)
        | f"{label} statistics" >> tfdv.GenerateStatistics(options)
        | f"{label} write" >> tfdv.WriteStatisticsToBinaryFile(str(folder / STATISTICS_FILE))
    )


@dataclass(frozen=True)
class Rows:
    """Rows to look at; plain data that can be sent to a worker.

    Attributes:
        files: The shards.
        columns: What is known of their columns.
        batch_rows: Rows per batch.
        features: The features to keep; empty for all.
        sample_rate: The share of rows to keep; None for all. TensorFlow Data Validation draws whole batches; here rows are drawn,
            and the same ones each time.
    """

    files: tuple[Path, ...]
    columns: Columns | None = None
    batch_rows: int = MAX_BATCH_ROWS
    features: tuple[str, ...] = ()
    sample_rate: float | None = None

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Returns the rows of several artifacts together; what is known of their columns counts where all say the same."""
        first = parts[0]
        same = all(part.columns == first.columns for part in parts)
        files = tuple(file for part in parts for file in part.files)
        return dataclasses.replace(first, files=files, columns=first.columns if same else None)

    def read(self) -> Iterator[pa.RecordBatch]:
        """Yields the rows in batches."""
        import pyarrow as pa
        from tfx_bsl.arrow import table_util

        first = self.files[0]
        random = np.random.default_rng(zlib.crc32(f"{first.parent.name}/{first.name}".encode()))
        for batch in read_rows(self.files, self.columns, batch_rows=self.batch_rows):
            if self.features:
                found = dict(zip(batch.schema.names, batch.columns, strict=True))
                empty = pa.nulls(batch.num_rows)  # the rows count, whether they have one of the features or not
                batch = pa.RecordBatch.from_arrays([found.get(name, empty) for name in self.features], list(self.features))
            if self.sample_rate is not None:
                batch = table_util.RecordBatchTake(batch, pa.array(np.flatnonzero(random.random(batch.num_rows) < self.sample_rate)))
            yield batch


def rows_of(examples: Artifact, split: str, features: tuple[str, ...], sample_rate: float | None) -> Rows:
    """Returns the rows of a split to look at."""
    files = tuple(shard_files(examples.split_path(split)))
    return Rows(files, known_columns(examples, split), batch_rows(examples, split), features, sample_rate)


def slicers_of(slices: Sequence[str | Sequence[str]]) -> list[Slicer]:
    """Returns a slicer for each feature, and for each crossing of features."""
    return [_slicer([item] if isinstance(item, str) else list(item)) for item in slices]


def _slicer(features: list[str]) -> Slicer:
    """Returns the slicer of TensorFlow Data Validation, made safe for batches in which no row has one of the features."""
    import pyarrow as pa
    import tensorflow_data_validation as tfdv

    by_value = tfdv.experimental_get_feature_value_slicer(dict.fromkeys(features))

    def slicer(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        present = {field.name for field in batch.schema if not pa.types.is_null(field.type)}
        if present.issuperset(features):
            yield from by_value(batch)

    return slicer
