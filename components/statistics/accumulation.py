"""Statistics in the making: rows are added to it, and the saved states of other rows; a result can be taken at any time.

The combiners of TensorFlow Data Validation do the arithmetic, and their accumulators can be merged; values are counted by
`value_counts`. A saved state is both: so the statistics of a window of spans are merged from those of its spans.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.statistics.files import ALL_ROWS
from components.statistics.value_counts import ValueCounter, read_counts, write_counts
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import statistics_pb2

STATE_FILE, COUNTS_FILE = "state.pickle", "counts.arrow"
_BATCH_ROWS = 1 << 14
_BATCH_BYTES = 20 << 20


class Accumulation:
    """The statistics of some rows, and of each slice of them, in the making.

    Args:
        options: The options; `sample_rate` is not looked at.
        temp: A folder for counts that do not fit into memory.
    """

    def __init__(self, options: tfdv.StatsOptions, temp: Path) -> None:
        self._options = options
        self._temp = temp
        self._slicers = list(options.experimental_slice_functions or ())
        self._slices: dict[str, _SliceAccumulator] = {}
        self._slice(ALL_ROWS)

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds rows."""
        self._slice(ALL_ROWS).add(batch)
        for slicer in self._slicers:
            for name, part in slicer(batch):
                self._slice(name).add(part)

    def save(self, folder: Path) -> None:
        """Writes the state into a folder: accumulators as pickle, as Beam sends them, and counts of values as Arrow."""
        states = {name: accumulator.state() for name, accumulator in self._slices.items()}
        keys = [(name, path) for name, (_, counters) in states.items() for path in counters]
        write_counts(folder / COUNTS_FILE, (states[name][1][path] for name, path in keys))
        saved = {"states": {name: accumulators for name, (accumulators, _) in states.items()}, "counters": keys}
        (folder / STATE_FILE).write_bytes(pickle.dumps(saved, protocol=pickle.HIGHEST_PROTOCOL))

    def add_saved(self, folder: Path) -> None:
        """Adds the rows behind a state that `save` has written with the same options.

        Raises:
            DataError: If the state is damaged.
            TypeError: If a feature has another type in it.
        """
        try:
            saved = pickle.loads((folder / STATE_FILE).read_bytes())
        except (OSError, pickle.UnpicklingError, EOFError, AttributeError) as error:
            raise DataError(f"The state of the statistics in {folder} cannot be read: {error}", hint="Make it again: --no-cache") from error
        for name, accumulators in saved["states"].items():
            self._slice(name).merge(accumulators)
        for number, counts in read_counts(folder / COUNTS_FILE):
            name, path = saved["counters"][number]
            self._slice(name).counter(path).add_counts(counts)

    def result(self) -> statistics_pb2.DatasetFeatureStatisticsList:
        """Returns the statistics of all rows, and of each slice."""
        from tensorflow_metadata.proto.v0 import statistics_pb2

        result = statistics_pb2.DatasetFeatureStatisticsList()
        for name in [ALL_ROWS, *sorted(self._slices.keys() - {ALL_ROWS})]:
            dataset = self._slices[name].result()
            dataset.name = name if self._slicers else ""
            result.datasets.append(dataset)
        return result

    def _slice(self, name: str) -> _SliceAccumulator:
        if name not in self._slices:
            self._slices[name] = _SliceAccumulator(self._options, self._temp / ("all" if not self._slices else str(len(self._slices))))
        return self._slices[name]


class _SliceAccumulator:
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

    def state(self) -> tuple[list[Any], dict[Any, ValueCounter]]:
        """Returns the accumulators of TensorFlow Data Validation's combiners, and the counts of values by feature."""
        self._flush()
        compacted = [generator.compact(state) for generator, state in zip(self._generators, self._states, strict=True)]
        return compacted, self._counters

    def merge(self, states: Sequence[Any]) -> None:
        """Adds accumulators of the same combiners, which are used up."""
        self._flush()
        pairs = zip(self._generators, self._states, states, strict=True)
        self._states = [generator.merge_accumulators([mine, other]) for generator, mine, other in pairs]

    def counter(self, path: Any) -> ValueCounter:
        """Returns the counts of the values of a feature."""
        return self._counters.setdefault(path, ValueCounter(self._temp / str(len(self._counters))))

    def result(self) -> statistics_pb2.DatasetFeatureStatistics:
        from tensorflow_metadata.proto.v0 import statistics_pb2
        from tfx_bsl.statistics import merge_util

        states, _ = self.state()
        parts = [generator.extract_output(state) for generator, state in zip(self._generators, states, strict=True)]
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
            self.counter(path).add(values, weights)

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
