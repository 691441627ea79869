"""The Transform component: its inputs, outputs and parameters, and the order of its work."""

from __future__ import annotations

from typing import Any

from components.portioned import ExamplesDriver, common_splits
from pipeline.artifacts import Examples, Schema, TransformCache, TransformGraph
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DefinitionError


class Transform(Component):
    """Applies the user's `preprocessing_fn` to all rows, after the full pass of TensorFlow Transform (TFT) that it asks for.

    The analyzers (vocabularies, means, quantiles, ...) look at `analyze_splits`; their results become constants of a
    TensorFlow graph that transforms the examples here and travels inside the served model. With the local runner both is done in
    this process, with the results of TFT; with `--runner` of another kind among the `beam_args`, and for analyzers that are not
    usual ones (mutual information, per key, your own), Beam does it.

    Inputs:
        examples: One or more, with the same splits; their rows are taken together.
        schema: Says which features there are, with which types, and which may be missing.

    Outputs:
        transform_graph: `transform_fn/`, `transformed_metadata/` and `metadata/`, which `tensorflow_transform.TFTransformOutput` reads,
            and `summary.json` (`schemas/summaries/TransformGraph.json`).
        transformed_examples: The transformed splits; empty with `materialize=False`.
        updated_analyzer_cache: For each of several examples, in their order, what the analyzers accumulated over it, as TFT keeps it;
            none for one that stands alone. A window that moves analyzes only its new span.

    Args:
        preprocessing_fn: `module:function` of `preprocessing_fn(inputs)` or `preprocessing_fn(inputs, custom_config)`, which maps raw
            tensors by name to transformed tensors by name, a row for a row. Default: `features:preprocessing_fn`.
        materialize: Whether the transformed examples are written. False for images, which the Trainer transforms while it reads them.
            Default: True.
        analyze_splits: The splits that the analyzers look at. Default: `("train",)`.
        transform_splits: The splits to write. Default: None, for all.
        custom_config: Handed to a `preprocessing_fn` that has this argument. Default: None, for an empty dict.
        batch_rows: Rows that are handled at once; fewer for very wide rows. Default: 4096.

    Raises:
        UserCodeError: If `preprocessing_fn` raises, asks for a feature that the schema does not have, returns something else than tensors,
            or makes more or fewer rows than it gets.
        DataError: If the splits differ or are empty, a shard is damaged, or a record does not fit the schema.

    Example:
        # definition.py
        transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn")

        # features.py
        import tensorflow_transform as tft

        def preprocessing_fn(inputs):
            return {
                "temperature": tft.scale_to_z_score(inputs["temp"]),
                "hour": inputs["hr"],
            }
    """

    driver = ExamplesDriver
    needs = ("tensorflow", "tensorflow_transform.beam", "apache_beam.runners.portability.fn_api_runner")
    libraries = ("tensorflow", "tensorflow-transform", "tfx-bsl")
    user_code = ("preprocessing_fn",)

    def validate(self) -> None:
        """Checks the splits and the size of a batch."""
        if not self.parameters["analyze_splits"]:
            raise DefinitionError(f"Node '{self.id}': analyze_splits is empty. Expected at least one split, for example ('train',).")
        if self.parameters["batch_rows"] < 1:
            raise DefinitionError(f"Node '{self.id}': batch_rows must be at least 1. Received: {self.parameters['batch_rows']}")

    def execute(
        self,
        context: Context,
        examples: Input[list[Examples]],
        schema: Input[Schema],
        transform_graph: Output[TransformGraph],
        transformed_examples: Output[Examples] | None,
        updated_analyzer_cache: Output[list[TransformCache]],
        *,
        preprocessing_fn: str = "features:preprocessing_fn",
        materialize: bool = True,
        analyze_splits: tuple[str, ...] = ("train",),
        transform_splits: tuple[str, ...] | None = None,
        custom_config: dict[str, Any] | None = None,
        batch_rows: int = 4096,
    ) -> None:
        """Analyzes, writes the transform graph, and transforms the splits."""
        from components.records import refuse_sequences
        from components.schema.file import read_schema_of
        from components.tensorflow_setup import use_cpu_only
        from components.transform.analysis import analyze
        from components.transform.apply import check_rows, datasets_of, describe_caches, load_transform, materialize_splits, shards_of
        from components.transform.preprocessing import Analysis, Preprocessing
        from components.transform.summary import summarize_transform

        use_cpu_only()
        refuse_sequences(context.node, examples)
        splits = common_splits(examples)
        check_rows(examples, analyze_splits)
        function = context.load(preprocessing_fn, default="preprocessing_fn")
        preprocess = Preprocessing(function, context.node, preprocessing_fn, custom_config or {})
        shards = tuple(shards_of(examples, analyze_splits))
        graph = transform_graph.path
        context.progress("analyzing")
        datasets = datasets_of(examples, updated_analyzer_cache, analyze_splits)
        analyze(context, Analysis(shards, read_schema_of(schema), preprocess, graph, context.temp / "tft", batch_rows, datasets))
        describe_caches(datasets, updated_analyzer_cache)
        transform_graph.write_summary(summarize_transform(load_transform(graph)))
        if materialize and transformed_examples is not None:
            chosen = splits if transform_splits is None else transform_splits
            materialize_splits(context, examples, graph, transformed_examples, chosen, batch_rows=batch_rows)
