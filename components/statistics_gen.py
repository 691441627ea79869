"""StatisticsGen: what the values of each feature look like, split by split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from components.column_reader import batch_rows, known_columns
from components.feature_statistics import STATISTICS_FILE, chosen_splits, read_statistics, summarise_statistics
from components.records import shard_files
from components.schema_file import read_schema_of
from components.statistics_engine import Rows, build_beam, compute_statistics
from components.tensorflow_setup import use_cpu_only
from pipeline.artifacts import Examples, ExampleStatistics, Schema
from pipeline.beam import LOCAL_RUNNERS, runner_name
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError

if TYPE_CHECKING:
    import pyarrow as pa
    import tensorflow_data_validation as tfdv


class StatisticsGen(Component):
    """Computes the statistics of TensorFlow Data Validation for each split.

    On the local runner the rows are counted in this process, with the results of its Beam pipeline; with `--runner` of another
    kind among the `beam_args` that pipeline runs there, on batches of rows.

    Inputs:
        examples: The rows.
        schema: Tells which integers are categories, which strings are images, which features are sparse or weighted; optional.

    Outputs:
        statistics: `Split-<name>/FeatureStats.pb`, and `summary.json` (`schemas/summaries/ExampleStatistics.json`).

    Args:
        exclude_splits: Splits to leave out. Default: none.
        slices: Features whose values slice the rows: `["payment_type", ["trip_start_day", "trip_start_hour"]]`; each item, a
            feature or a crossing of features, adds the statistics of each of its values to those of all rows. Default: none.
        feature_allowlist: The features to look at. Default: all.
        sample_rate: Share of the rows to look at, above 0 and at most 1; the sample is the same each time. Default: None, all rows.
        weight_feature: A numeric feature that holds the weight of a row; adds weighted statistics. Default: None.
        per_feature_weight_override: For a feature, another weight feature. Default: None.
        num_top_values: How many of the most frequent values of a string feature are listed. Default: 20.
        frequency_threshold: How often a value must occur to be listed. Default: 1.
        weighted_frequency_threshold: How much a value must weigh to be listed with weights. Default: 1.
        num_rank_histogram_buckets: Buckets of the rank histogram of a string feature. Default: 1000.
        num_values_histogram_buckets: Buckets of the histogram of values per row. Default: 10.
        num_histogram_buckets: Equally wide buckets of the histogram of a numeric feature. Default: 10.
        num_quantiles_histogram_buckets: Equally full buckets of the histogram of a numeric feature. Default: 10.
        epsilon: Error that quantiles may have, as a share of the values. Default: 0.01.
        enable_semantic_domain_stats: Whether to look for text, images and times in strings. Default: False.

    Raises:
        DataError: If a shard or the schema is damaged, or no split is left.

    Example:

        statistics = StatisticsGen(examples, slices=["payment_type"], num_top_values=10)
    """

    needs = ("tensorflow_data_validation",)
    libraries = ("tensorflow-data-validation", "tfx-bsl")

    def validate(self) -> None:
        """Checks the options against one another."""
        rate, weight, allowed = (self.parameters[name] for name in ("sample_rate", "weight_feature", "feature_allowlist"))
        if rate is not None and not 0 < rate <= 1:
            raise DefinitionError(f"Node '{self.id}': sample_rate must be above 0 and at most 1. Received: {rate}")
        if allowed and weight and weight not in allowed:
            raise DefinitionError(f"Node '{self.id}': feature_allowlist must hold the weight_feature '{weight}'.")

    def execute(
        self,
        context: Context,
        examples: Input[Examples],
        statistics: Output[ExampleStatistics],
        schema: Input[Schema] | None = None,
        *,
        exclude_splits: tuple[str, ...] = (),
        slices: Sequence[str | Sequence[str]] = (),
        feature_allowlist: tuple[str, ...] = (),
        sample_rate: float | None = None,
        weight_feature: str | None = None,
        per_feature_weight_override: Mapping[str, str] | None = None,
        num_top_values: int = 20,
        frequency_threshold: int = 1,
        weighted_frequency_threshold: float = 1.0,
        num_rank_histogram_buckets: int = 1000,
        num_values_histogram_buckets: int = 10,
        num_histogram_buckets: int = 10,
        num_quantiles_histogram_buckets: int = 10,
        epsilon: float = 0.01,
        enable_semantic_domain_stats: bool = False,
    ) -> None:
        """Writes the statistics of each split."""
        import tensorflow_data_validation as tfdv

        use_cpu_only()
        splits = chosen_splits("examples", examples.splits, exclude_splits)
        overrides = {tfdv.FeaturePath([name]): weight for name, weight in (per_feature_weight_override or {}).items()}
        options = tfdv.StatsOptions(
            schema=read_schema_of(schema) if schema is not None else None,
            experimental_slice_functions=_slicers(slices) or None,
            weight_feature=weight_feature,
            per_feature_weight_override=overrides or None,
            num_top_values=num_top_values,
            frequency_threshold=frequency_threshold,
            weighted_frequency_threshold=weighted_frequency_threshold,
            num_rank_histogram_buckets=num_rank_histogram_buckets,
            num_values_histogram_buckets=num_values_histogram_buckets,
            num_histogram_buckets=num_histogram_buckets,
            num_quantiles_histogram_buckets=num_quantiles_histogram_buckets,
            epsilon=epsilon,
            enable_semantic_domain_stats=enable_semantic_domain_stats,
        )
        statistics.set_splits(splits)
        for split in splits:
            statistics.split_path(split).mkdir()
        rows = {split: _rows(examples, split, feature_allowlist, sample_rate) for split in splits}
        compute = _compute_here if runner_name(context.beam_args) in LOCAL_RUNNERS else _compute_on_beam
        compute(context, rows, statistics, options)
        _finish(context, examples, statistics, is_sampled=sample_rate is not None)


def _rows(examples: Examples, split: str, features: tuple[str, ...], sample_rate: float | None) -> Rows:
    files = tuple(shard_files(examples.split_path(split)))
    return Rows(files, known_columns(examples, split), batch_rows(examples, split), features, sample_rate)


def _slicers(slices: Sequence[str | Sequence[str]]) -> list[Callable[[pa.RecordBatch], Iterator[tuple[str, pa.RecordBatch]]]]:
    return [_slicer([item] if isinstance(item, str) else list(item)) for item in slices]


def _slicer(features: list[str]) -> Callable[[pa.RecordBatch], Iterator[tuple[str, pa.RecordBatch]]]:
    """Returns the slicer of TensorFlow Data Validation, made safe for batches in which no row has one of the features."""
    import pyarrow as pa
    import tensorflow_data_validation as tfdv

    by_value = tfdv.experimental_get_feature_value_slicer(dict.fromkeys(features))

    def slicer(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        present = {field.name for field in batch.schema if not pa.types.is_null(field.type)}
        if present.issuperset(features):
            yield from by_value(batch)

    return slicer


def _compute_here(context: Context, rows: Mapping[str, Rows], statistics: ExampleStatistics, options: tfdv.StatsOptions) -> None:
    for split, chosen in rows.items():

        def report(done: int, split: str = split) -> None:
            context.progress(f"split {split}", rows=done)

        result = compute_statistics(chosen.read(), options, temp=context.temp / split, report=report)
        (statistics.split_path(split) / STATISTICS_FILE).write_bytes(result.SerializeToString(deterministic=True))


def _compute_on_beam(context: Context, rows: Mapping[str, Rows], statistics: ExampleStatistics, options: tfdv.StatsOptions) -> None:
    with context.beam() as pipeline:
        for split, chosen in rows.items():
            build_beam(pipeline, f"{context.node} {split}", chosen, statistics.split_path(split), options)


def _finish(context: Context, examples: Examples, statistics: ExampleStatistics, *, is_sampled: bool) -> None:
    """Writes the summary, and the balance of rows."""
    summaries = {split: summarise_statistics(read_statistics(statistics, split)) for split in statistics.splits}
    statistics.write_summary({"splits": summaries})
    rows = {split: int(summary["rows"]) for split, summary in summaries.items()}
    statistics.set_record_counts(rows)
    if "span" in examples.properties:
        statistics.properties["span"] = examples.properties["span"]
    counted = {split: count for split, count in examples.record_counts.items() if split in rows}
    for split, count in counted.items():
        if rows[split] != count and not is_sampled:
            raise DataError(
                f"{examples.split_path(split)} holds {rows[split]:,} rows, and {count:,} were written.",
                hint=f"Write it again: --rerun {examples.producer}",
            )
    if counted:
        read = sum(counted.values())
        context.count_rows(read, rows, {"not sampled": read - sum(rows.values())} if is_sampled else None)
