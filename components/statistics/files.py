"""`FeatureStats.pb` files: read with clear errors, written, and summarised for readers without TensorFlow.

Needs only the protocol buffers of `tensorflow_metadata`; knows nothing of how statistics are computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import Artifact
from pipeline.errors import DataError

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2

STATISTICS_FILE = "FeatureStats.pb"
ALL_ROWS = "All Examples"
"""The name that TensorFlow Data Validation gives to the statistics of all rows where there are slices."""


def read_statistics(artifact: Artifact, split: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Reads the statistics of a split.

    Raises:
        DataError: If the artifact has no such split, or its file is missing or damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_metadata.proto.v0 import statistics_pb2

    file = artifact.split_path(split) / STATISTICS_FILE
    hint = f"Run its node again: --rerun {artifact.producer or 'StatisticsGen'}"
    if not file.is_file():
        raise DataError(f"The statistics of split '{split}' are missing: {file}", hint=hint)
    try:
        statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
    except DecodeError as error:
        raise DataError(f"{file} is damaged: it is not a DatasetFeatureStatisticsList ({error}).", hint=hint) from error
    if not statistics.datasets:
        raise DataError(f"{file} is damaged: it holds the statistics of no data set.", hint=hint)
    return statistics


def chosen_splits(kind: str, splits: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Returns the splits that are not excluded.

    Raises:
        DataError: If none is left, or one to exclude does not exist.
    """
    unknown = sorted(set(exclude) - set(splits))
    if unknown:
        raise DataError(f"exclude_splits names {', '.join(map(repr, unknown))}; the {kind} have the splits: {', '.join(splits) or 'none'}.")
    chosen = [split for split in splits if split not in exclude]
    if not chosen:
        raise DataError(f"No split is left. The {kind} have: {', '.join(splits) or 'none'}. Excluded: {', '.join(exclude) or 'none'}.")
    return chosen


def all_rows(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> statistics_pb2.DatasetFeatureStatistics:
    """Returns the statistics of all rows, leaving those of slices out."""
    return next((dataset for dataset in statistics.datasets if dataset.name == ALL_ROWS), statistics.datasets[0])


def feature_name(feature: statistics_pb2.FeatureNameStatistics) -> str:
    """Returns a feature's name; the steps of a nested one are joined with dots."""
    return ".".join(feature.path.step) or feature.name


def summarise_statistics(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, Any]:
    """Returns what a reader shows of one split; the layout is in `schemas/summaries/ExampleStatistics.json`."""
    whole = all_rows(statistics)
    return {
        "rows": int(whole.num_examples),
        "features": [_summarise_feature(feature, int(whole.num_examples)) for feature in whole.features],
        "slices": {dataset.name: int(dataset.num_examples) for dataset in statistics.datasets if dataset is not whole},
    }


def _summarise_feature(feature: statistics_pb2.FeatureNameStatistics, rows: int) -> dict[str, Any]:
    from tensorflow_metadata.proto.v0 import statistics_pb2

    kind = feature.WhichOneof("stats")
    common = getattr(feature, kind).common_stats if kind else statistics_pb2.CommonStatistics()
    summary: dict[str, Any] = {
        "name": feature_name(feature),
        "type": statistics_pb2.FeatureNameStatistics.Type.Name(feature.type),
        "present": int(common.num_non_missing),
        "missing": rows - int(common.num_non_missing),
        "values": int(common.tot_num_values),
        "min_values_per_row": int(common.min_num_values),
        "max_values_per_row": int(common.max_num_values),
    }
    if kind == "num_stats" and common.num_non_missing:
        summary["numeric"] = _summarise_numbers(feature.num_stats)
    if kind == "string_stats" and common.num_non_missing:
        summary["strings"] = _summarise_strings(feature.string_stats)
    if kind == "bytes_stats" and common.num_non_missing:
        sizes = feature.bytes_stats
        summary["bytes"] = {"mean": _finite(sizes.avg_num_bytes), "min": int(sizes.min_num_bytes), "max": int(sizes.max_num_bytes)}
    return summary


def _summarise_numbers(numbers: statistics_pb2.NumericStatistics) -> dict[str, Any]:
    from tensorflow_metadata.proto.v0 import statistics_pb2

    kinds = statistics_pb2.Histogram
    shown = {histogram.type: histogram for histogram in numbers.histograms}
    equal_width, quantiles = shown.get(kinds.STANDARD), shown.get(kinds.QUANTILES)
    full = list(quantiles.buckets) if quantiles else []
    return {
        "mean": _finite(numbers.mean),
        "std": _finite(numbers.std_dev),
        "min": _finite(numbers.min),
        "median": _finite(numbers.median),
        "max": _finite(numbers.max),
        "zeros": int(numbers.num_zeros),
        "not_a_number": int(equal_width.num_nan) if equal_width else 0,
        "histogram": [
            {"low": _finite(bucket.low_value), "high": _finite(bucket.high_value), "count": bucket.sample_count}
            for bucket in (equal_width.buckets if equal_width else ())
        ],
        "quantiles": [_finite(bucket.low_value) for bucket in full] + [_finite(bucket.high_value) for bucket in full[-1:]],
    }


def _summarise_strings(strings: statistics_pb2.StringStatistics) -> dict[str, Any]:
    summary = {
        "unique": int(strings.unique),
        "mean_length": _finite(strings.avg_length),
        "top_values": [{"value": top.value, "count": top.frequency} for top in strings.top_values],
    }
    ranked = strings.rank_histogram.buckets
    if len(ranked) > len(strings.top_values):  # what a comparison with other data needs
        summary["values"] = [{"value": bucket.label, "count": bucket.sample_count} for bucket in ranked]
    return summary


def _finite(number: float) -> float | None:
    """JSON has no infinity and no NaN."""
    return number if math.isfinite(number) else None
