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
from typing import TYPE_CHECKING, Any

import numpy as np

from components.records import shard_files
from components.statistics.files import ALL_ROWS, STATISTICS_FILE
from components.statistics.reader import MAX_BATCH_ROWS, Columns, batch_rows, known_columns, read_rows
from components.statistics.value_counts import ValueCounter
from pipeline.artifacts import Artifact

if TYPE_CHECKING:
    import apache_beam
    import pyarrow as pa
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import statistics_pb2

    Slicer = Callable[[pa.RecordBatch], Iterator[tuple[str, pa.RecordBatch]]]

_BATCH_ROWS = 1 << 14
_BATCH_BYTES = 20 << 20


def compute_statistics(
    batches: Iterable[pa.RecordBatch],
    options: tfdv.StatsOptions,
    *,
    temp: Path,
    report: Callable[[int], None] = lambda rows: None,
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns the statistics of all rows, and of each slice.

    Args:
        batches: Rows; they are merged into larger batches, so that their size matters little.
        options: The options; `sample_rate` is not looked at.
        temp: A folder for counts that do not fit into memory.
        report: Called with the number of rows so far.
    """
    from tensorflow_metadata.proto.v0 import statistics_pb2

    accumulators = {ALL_ROWS: _Accumulator(options, temp / "all")}
    slicers = list(options.experimental_slice_functions or ())
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        accumulators[ALL_ROWS].add(batch)
        for slicer in slicers:
            for name, part in slicer(batch):
                if name not in accumulators:
                    accumulators[name] = _Accumulator(options, temp / str(len(accumulators)))
                accumulators[name].add(part)
        report(rows)
    result = statistics_pb2.DatasetFeatureStatisticsList()
    for name in [ALL_ROWS, *sorted(accumulators.keys() - {ALL_ROWS})]:
        dataset = accumulators[name].result()
        dataset.name = name if slicers else ""
        result.datasets.append(dataset)
    return result


class _Accumulator:
    """The statistics of one slice in the making."""

    def __init__(self, options: tfdv.StatsOptions, temp: Path) -> None:
        self._options = options
        self._temp = temp
        self._generators = _combiners(options)
        self._states = [generator.create_accumulator() for generator in self._generators]
        self._counters: dict[Any, ValueCounter] = {}
        self._pending: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch) -> None:
        self._pending.append(batch)
        large = sum(batch.num_rows for batch in self._pending) >= _BATCH_ROWS
        if large or sum(batch.nbytes for batch in self._pending) >= _BATCH_BYTES:
            self._flush()

    def result(self) -> statistics_pb2.DatasetFeatureStatistics:
        from tensorflow_metadata.proto.v0 import statistics_pb2
        from tfx_bsl.statistics import merge_util

        self._flush()
        parts = [
            generator.extract_output(generator.compact(state)) for generator, state in zip(self._generators, self._states, strict=True)
        ]
        parts.append(self._top_values())
        merged = merge_util.merge_dataset_feature_statistics(parts).datasets
        return merged[0] if merged else statistics_pb2.DatasetFeatureStatistics()

    def _flush(self) -> None:
        from tfx_bsl.arrow import table_util

        if not self._pending:
            return
        batch = self._pending[0] if len(self._pending) == 1 else table_util.MergeRecordBatches(self._pending)
        self._pending = []
        self._states = [generator.add_input(state, batch) for generator, state in zip(self._generators, self._states, strict=True)]
        for path, values, weights in _categorical_values(batch, self._options):
            counter = self._counters.setdefault(path, ValueCounter(self._temp / str(len(self._counters))))
            counter.add(values, weights)

    def _top_values(self) -> statistics_pb2.DatasetFeatureStatistics:
        """Returns the number of distinct values, the top values and the rank histogram of each feature that has them."""
        from tensorflow_data_validation.utils import top_k_uniques_stats_util as util
        from tensorflow_metadata.proto.v0 import statistics_pb2

        options, dataset = self._options, statistics_pb2.DatasetFeatureStatistics()
        weighted = bool(options.example_weight_map.all_weight_features())
        for path, counter in self._counters.items():
            found = counter.result(max(options.num_top_values, options.num_rank_histogram_buckets))
            if found is None:
                continue
            distinct, by_count, by_weight = found
            counts = map(util.FeatureValueCount, by_count.values.to_pylist(), by_count.sums[:, 0].astype(int).tolist())
            weights = map(util.FeatureValueCount, by_weight.values.to_pylist(), by_weight.sums[:, 1].tolist())
            feature = util.make_feature_stats_proto_topk_uniques(
                feature_path=path,
                num_top_values=options.num_top_values,
                num_rank_histogram_buckets=options.num_rank_histogram_buckets,
                num_unique=distinct,
                value_count_list=list(counts),
                weighted_value_count_list=list(weights) if weighted else None,
                frequency_threshold=options.frequency_threshold,
                weighted_frequency_threshold=options.weighted_frequency_threshold,
            )
            dataset.features.append(feature)
        return dataset


def _combiners(options: tfdv.StatsOptions) -> list[Any]:
    """Returns the generators of the options, without the one that estimates top values."""
    from tensorflow_data_validation.statistics import stats_impl
    from tensorflow_data_validation.statistics.generators import top_k_uniques_sketch_stats_generator as sketch

    generators = stats_impl.get_generators(options, in_memory=True)
    for generator in generators:
        generator.setup()
    return [generator for generator in generators if not isinstance(generator, sketch.TopKUniquesSketchStatsGenerator)]


def _categorical_values(batch: pa.RecordBatch, options: tfdv.StatsOptions) -> Iterator[tuple[Any, pa.Array, Any]]:
    """Yields path, values and weights of the features that get top values: strings, and integers that the schema calls categorical."""
    from tensorflow_data_validation.arrow import arrow_util
    from tensorflow_data_validation.utils import schema_util, stats_util
    from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
    from tfx_bsl.arrow import array_util

    schema = options.schema or schema_pb2.Schema()
    binary = frozenset(schema_util.get_bytes_features(schema))
    numbers = schema_util.get_categorical_numeric_feature_types(schema)
    kinds = statistics_pb2.FeatureNameStatistics
    for path, array, weights in arrow_util.enumerate_arrays(
        batch, example_weight_map=options.example_weight_map, enumerate_leaves_only=True
    ):
        kind = stats_util.get_feature_type_from_arrow_type(path, array.type)
        is_categorical = kind == kinds.STRING or (kind == kinds.INT and numbers.get(path) == schema_pb2.INT)
        if is_categorical and path not in binary:
            values, parents = array_util.flatten_nested(array, weights is not None)
            yield path, values, weights[parents] if weights is not None else None


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
