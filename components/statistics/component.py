"""StatisticsGen: what the values of each feature look like, split by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from components.portioned import ExamplesDriver, common_splits
from components.schema.contents import contents_of, with_contents
from components.schema.file import read_schema_of
from components.statistics.files import chosen_splits
from components.tensorflow_setup import use_cpu_only
from pipeline.artifacts import Examples, ExampleStatistics, Schema
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DefinitionError


class StatisticsGen(Component):
    """Computes the statistics of TensorFlow Data Validation for each split.

    On the local runner the rows are counted in this process, with the results of its Beam pipeline; with `--runner` of another
    kind among the `beam_args` that pipeline runs there, on batches of rows.

    Several examples, such as the spans of a window, are counted one by one, and what was counted is kept: of a window that moves, only
    the new span is read. The statistics of the window are merged from it: counts, means, deviations, extremes, distinct values and top
    values are those of all rows together, quantiles have the error `epsilon` as they always do.
    Of pictures and sounds the sizes are looked at, not the bytes. What the ExampleGen says of single records (bad ones, equal ones,
    gaps in time) goes on in the summary, where ExampleValidator finds it.

    Inputs:
        examples: The rows; one or more, with the same splits.
        schema: Tells which integers are categories, which strings are images, which features are sparse or weighted; optional.

    Outputs:
        statistics: `Split-<name>/FeatureStats.pb`, and `summary.json` (`schemas/summaries/ExampleStatistics.json`); of all examples.
        span_statistics: The same for each of several examples, in their order; none for one that stands alone.

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

    driver = ExamplesDriver
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
        examples: Input[list[Examples]],
        statistics: Output[ExampleStatistics],
        span_statistics: Output[list[ExampleStatistics]],
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

        from components.statistics.engine import slicers_of
        from components.statistics.spans import Selection, write_statistics

        use_cpu_only()
        splits = chosen_splits("examples", common_splits(examples), exclude_splits)
        contents = {name: kind for one in examples for name, kind in contents_of(one.summary()).items()}
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
        write_statistics(context, examples, statistics, span_statistics, Selection(tuple(splits), feature_allowlist, sample_rate), options)
