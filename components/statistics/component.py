"""StatisticsGen: what the values of each feature look like, split by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from components.schema.contents import contents_of, with_contents
from components.schema.file import read_schema_of
from components.statistics.files import STATISTICS_FILE, chosen_splits, read_statistics, summarise_statistics
from components.tensorflow_setup import use_cpu_only
from pipeline.artifacts import Examples, ExampleStatistics, Schema
from pipeline.beam import LOCAL_RUNNERS, runner_name
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError

if TYPE_CHECKING:
    import tensorflow_data_validation as tfdv

    from components.statistics.engine import Rows


class StatisticsGen(Component):
    """Computes the statistics of TensorFlow Data Validation for each split.

    On the local runner the rows are counted in this process, with the results of its Beam pipeline; with `--runner` of another
    kind among the `beam_args` that pipeline runs there, on batches of rows.

    Of pictures and sounds the sizes are looked at, not the bytes. What the ExampleGen says of single records (bad ones, equal ones,
    gaps in time) goes on in the summary, where ExampleValidator finds it.

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
        crossings = [[item] if isinstance(item, str) else item for item in self.parameters["slices"]]
        needed = {weight, *(self.parameters["per_feature_weight_override"] or {}).values()}.union(*crossings) - {None}
        if rate is not None and not 0 < rate <= 1:
            raise DefinitionError(f"Node '{self.id}': sample_rate must be above 0 and at most 1. Received: {rate}")
        if allowed and not needed.issubset(allowed):
            lacking = ", ".join(map(repr, sorted(needed.difference(allowed))))
            raise DefinitionError(f"Node '{self.id}': feature_allowlist must hold the features to weigh and to slice by: {lacking}.")

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

        from components.statistics.engine import rows_of, slicers_of

        use_cpu_only()
        splits = chosen_splits("examples", examples.splits, exclude_splits)
        contents = contents_of(examples.summary())
        overrides = {tfdv.FeaturePath([name]): weight for name, weight in (per_feature_weight_override or {}).items()}
        options = tfdv.StatsOptions(
            schema=with_contents(read_schema_of(schema) if schema is not None else None, contents),
            experimental_slice_functions=slicers_of(slices) or None,
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
        rows = {split: rows_of(examples, split, feature_allowlist, sample_rate) for split in splits}
        compute = _compute_here if runner_name(context.beam_args) in LOCAL_RUNNERS else _compute_on_beam
        compute(context, rows, statistics, options)
        _finish(context, examples, statistics, is_sampled=sample_rate is not None)


def _compute_here(context: Context, rows: Mapping[str, Rows], statistics: ExampleStatistics, options: tfdv.StatsOptions) -> None:
    from components.statistics.engine import compute_statistics

    for split, chosen in rows.items():

        def report(done: int, split: str = split) -> None:
            context.progress(f"split {split}", rows=done)

        result = compute_statistics(chosen.read(), options, temp=context.temp / split, report=report)
        (statistics.split_path(split) / STATISTICS_FILE).write_bytes(result.SerializeToString(deterministic=True))


def _compute_on_beam(context: Context, rows: Mapping[str, Rows], statistics: ExampleStatistics, options: tfdv.StatsOptions) -> None:
    from components.statistics.engine import build_beam

    with context.beam() as pipeline:
        for split, chosen in rows.items():
            build_beam(pipeline, f"{context.node} {split}", chosen, statistics.split_path(split), options)


def _finish(context: Context, examples: Examples, statistics: ExampleStatistics, *, is_sampled: bool) -> None:
    """Writes the summary, and the balance of rows."""
    summaries = {split: summarise_statistics(read_statistics(statistics, split)) for split in statistics.splits}
    told = examples.summary()
    carried = {name: told[name] for name in ("extremes", "issues") if told.get(name)}
    contents = contents_of(told)
    statistics.write_summary({"splits": summaries, **carried, **({"contents": contents} if contents else {})})
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
