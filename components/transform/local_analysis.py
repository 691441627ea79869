"""The analyzers of TensorFlow Transform (TFT) without Beam, for the local runner.

TFT turns the analyzers of a `preprocessing_fn` into a graph of operations, and each operation into a Beam transform. For a few
thousand rows most of the time is Beam's, and every token of a vocabulary is an element of its own. Here the same graph is
evaluated directly: all analyzers of a phase see each batch once, and TFT's own combiners do the arithmetic. Known are the
operations of the usual analyzers; for any other `UnknownOperationError` is raised before any work, and Beam does it all.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.transform.lazy import Accumulator, Batch, CombinerAccumulator, Lazy, Phase, Rows, Stream, TokenCounts, TokenWeights, merged
from components.transform.preprocessing import Analysis
from components.transform.tensors import batches, feature_spec, type_specs

Values = tuple[Any, ...]
_WORD = re.compile(r"(?=[A-Z])")


class UnknownOperationError(Exception):
    """An operation that only Beam can do; the message names it."""


def analyze_locally(analysis: Analysis) -> None:
    """Runs all analyzers and writes `transform_fn/` and `transformed_metadata/`.

    Raises:
        UnknownOperationError: If there is an analyzer that only Beam can do; nothing was written then.
    """
    import tensorflow as tf
    from tensorflow_transform import annotators, graph_tools, impl_helper, nodes
    from tensorflow_transform.beam import analysis_graph_builder

    scratch = analysis.scratch
    scratch.mkdir(parents=True, exist_ok=True)
    types, spec = type_specs(analysis.schema), feature_spec(analysis.schema)
    graph, inputs, outputs = impl_helper.trace_preprocessing_function(
        analysis.preprocess, types, use_tf_compat_v1=False, base_temp_dir=str(scratch)
    )
    assets = annotators.get_asset_annotations(graph)
    annotators.clear_asset_annotations(graph)
    fingerprint = graph_tools.get_analyzers_fingerprint(graph, inputs)
    future, _, _ = analysis_graph_builder.build(graph, inputs, outputs, [], cache_dict=None)

    def rows(function: Callable[[Batch], Batch]) -> Iterable[Batch]:
        return batches(analysis.shards, analysis.batch_rows, lambda records: function(tf.io.parse_example(records, spec)))

    make_graph = functools.partial(PreprocessingGraph, analysis.preprocess, types, scratch, fingerprint)
    (last_graph,) = nodes.Traverser(AnalyzerVisitor(scratch, make_graph, rows)).visit_value_node(future).get()
    _publish(last_graph.save(), assets, analysis.output)


def _publish(saved_model: Path, assets: Mapping[str, str], output: Path) -> None:
    """Moves the saved transform to where `TFTransformOutput` looks for it, as TFT's `WriteTransformFn` does."""
    import tensorflow_transform as tft
    from tensorflow_transform import impl_helper

    metadata = output / tft.TFTransformOutput.TRANSFORMED_METADATA_DIR
    shutil.move(saved_model / impl_helper.METADATA_DIR_NAME, metadata)
    shutil.move(saved_model, output / tft.TFTransformOutput.TRANSFORM_FN_DIR)
    if assets:
        (metadata / tft.TFTransformOutput.ASSET_MAP).write_text(json.dumps(assets), encoding="utf-8")


@dataclass(frozen=True)
class PreprocessingGraph:
    """The user's function as a TensorFlow graph in which some analyzers have their results.

    Attributes:
        preprocess: The user's function.
        specs: Types of its inputs.
        scratch: Folder for temporary files.
        fingerprint: What TFT compares to notice a function that is not deterministic.
        results: Results of analyzers, by the name of the tensor that stands for them.
        names: The tensors that the analyzers of the next phase need, by key; empty for the last graph, which has all outputs.
    """

    preprocess: Callable[[Mapping[str, Any]], dict[str, Any]]
    specs: Mapping[str, Any]
    scratch: Path
    fingerprint: Mapping[str, Any]
    results: Mapping[str, Any]
    names: Mapping[str, str]

    def save(self) -> Path:
        """Writes the graph and the schema of its outputs and returns the folder."""
        from tensorflow_transform.beam import impl

        folder: str = impl._create_v2_saved_model(
            self.results, str(self.scratch), self.preprocess, self.specs, self.fingerprint, self.names, None
        )
        return Path(folder)

    def trace(self) -> Any:
        """Returns a module with the method `transform_fn`, which must be kept while that is used."""
        import tensorflow as tf
        from tensorflow_transform import graph_context, impl_helper
        from tensorflow_transform.saved import saved_transform_io_v2

        module = tf.Module()
        context = graph_context.TFGraphContext(module, str(self.scratch), self.results)
        traced = impl_helper.get_traced_transform_fn(self.preprocess, self.specs, context, output_keys_to_name_map=self.names)
        saved_transform_io_v2.trace_and_update_module(module, traced, "transform_fn", strip_control_dependencies=False)
        return module


class AnalyzerVisitor:
    """Visits TFT's operations; the value of one is `Lazy`, or a `Stream` where it belongs to each batch.

    Each method implements the operation of its name, in snake case, as `tensorflow_transform.beam.{impl,analyzer_impls}` do with Beam.

    Args:
        scratch: Folder for temporary files.
        make_graph: Returns the graph for some results and names, see `PreprocessingGraph`.
        rows: The rows to analyze.
    """

    def __init__(self, scratch: Path, make_graph: Callable[..., PreprocessingGraph], rows: Rows) -> None:
        self._scratch = scratch
        self._make_graph = make_graph
        self._rows = rows

    def visit(self, operation: Any, inputs: Values) -> Values:
        """Returns the values of an operation."""
        method = getattr(self, _WORD.sub("_", type(operation).__name__).lower(), None)
        if method is None:
            raise UnknownOperationError(operation.label)
        values = method(operation, *inputs)
        return values if isinstance(values, tuple) else (values,)

    def validate_value(self, value: Any) -> None:
        """Accepts every value; `nodes.Traverser` asks."""

    def _extract_input_for_saved_model(self, operation: Any) -> None:
        """The rows are the same for all phases."""

    def _create_saved_model(self, operation: Any, *bindings: Lazy) -> Lazy:
        import tensorflow as tf
        from tensorflow_transform.beam import impl

        signature = operation.output_signature
        names = {key: tensor.name for key, tensor in signature.items()} if _all(tf.Tensor, signature.values()) else {}

        def create() -> list[PreprocessingGraph]:
            results = impl._get_tensor_replacement_map(None, *(binding.get()[0] for binding in bindings))
            return [self._make_graph(results=results, names=names)]

        return Lazy(create)

    def _apply_saved_model(self, operation: Any, graph: Lazy, rows: None) -> Stream:
        modules: list[Any] = []  # a module's tables live as long as it does

        def make_function() -> Callable[[Batch], Batch]:
            modules.append(graph.get()[0].trace())
            function: Callable[[Batch], Batch] = modules[0].transform_fn
            return function

        return Stream(Phase(make_function, self._rows), lambda batch: batch)

    def _extract_from_dict(self, operation: Any, value: Stream | Lazy) -> Stream | Lazy:
        keys = operation.keys
        return value.map(lambda values: tuple(values[key] for key in keys) if isinstance(keys, tuple) else values[keys])

    def _flatten(self, operation: Any, *values: Lazy) -> Lazy:
        return Lazy(lambda: [element for value in values for element in value.get()])

    def _add_key(self, operation: Any, value: Lazy) -> Lazy:
        return value.map(lambda element: (operation.key, element))

    def _cacheable_combine_accumulate(self, operation: Any, stream: Stream) -> Lazy:
        return stream.accumulate(CombinerAccumulator(operation.combiner))

    def _cacheable_combine_merge(self, operation: Any, accumulators: Lazy) -> Lazy:
        return Lazy(lambda: [merged(accumulators.get(), operation.combiner)])

    def _packed_combine_accumulate(self, operation: Any, stream: Stream) -> Lazy:
        def inputs(keys: tuple[str, ...]) -> Callable[[Batch], Values]:
            return lambda batch: tuple(batch[key] for key in keys)

        accumulated = {
            packed.label: stream.map(inputs(packed.keys)).accumulate(CombinerAccumulator(packed.combiner)) for packed in operation.combiners
        }
        return Lazy(lambda: [{label: value.get()[0] for label, value in accumulated.items()}])

    def _packed_combine_merge(self, operation: Any, keyed: Lazy) -> Lazy:
        def merge() -> list[dict[str, Any]]:
            by_key: dict[str, list[Any]] = {}
            for key, accumulator in keyed.get():
                by_key.setdefault(key, []).append(accumulator)
            return [{packed.label: merged(by_key.get(packed.keys[0], []), packed.combiner) for packed in operation.combiners}]

        return Lazy(merge)

    def _extract_combine_merge_outputs(self, operation: Any, outputs: Lazy) -> Values:
        def output(index: int) -> Lazy:
            return outputs.map(lambda values: values[index])

        return tuple(output(index) for index in range(operation.num_outputs))

    _extract_packed_combine_merge_outputs = _extract_combine_merge_outputs

    def _create_tensor_binding(self, operation: Any, value: Lazy) -> Lazy:
        from tensorflow_transform.beam import impl

        return value.map(
            lambda element: impl._TensorBinding(element, operation.tensor_name, operation.dtype_enum, operation.is_asset_filepath)
        )

    def _vocabulary_accumulate(self, operation: Any, stream: Stream) -> Lazy:
        from tensorflow_transform import analyzers

        orders = analyzers._VocabOrderingType
        known: dict[Any, Callable[[], Accumulator]] = {orders.FREQUENCY: TokenCounts, orders.WEIGHTED_FREQUENCY: TokenWeights}
        if operation.vocab_ordering_type not in known:
            raise UnknownOperationError(operation.label)
        return stream.accumulate(known[operation.vocab_ordering_type]())

    def _vocabulary_merge(self, operation: Any, counts: Lazy) -> Lazy:
        return counts.map(lambda pair: (pair[1], pair[0]))

    def _vocabulary_count(self, operation: Any, counts: Lazy) -> Lazy:
        import numpy as np

        return Lazy(lambda: [np.int64(max(len(counts.get()), 1))])

    def _vocabulary_prune(self, operation: Any, counts: Lazy) -> Lazy:
        import tensorflow as tf
        from tensorflow_transform.beam import analyzer_impls

        if operation.key_fn is not None:
            raise UnknownOperationError(operation.label)

        def prune() -> list[Any]:
            kept = [pair for pair in counts.get() if pair[0] >= operation.frequency_threshold]
            if operation.input_dtype != tf.string.name:
                kept = [(count, str(term).encode()) for count, term in kept]
            if operation.top_k is None:
                return kept
            largest = sorted(kept, reverse=True)[: operation.top_k]
            return list(analyzer_impls.maybe_add_empty_vocabulary_dummy(largest, operation.input_dtype))

        return Lazy(prune)

    def _vocabulary_order_and_write(self, operation: Any, counts: Lazy, *reserved: Lazy) -> Lazy:
        import numpy as np
        from tensorflow_transform.beam import analyzer_impls

        if reserved or operation.fingerprint_shuffle or operation.file_format != "text":
            raise UnknownOperationError(operation.label)

        def write() -> list[Any]:
            ordered = analyzer_impls.maybe_add_empty_vocabulary_dummy(sorted(counts.get(), reverse=True), operation.input_dtype)
            lines = (
                (b"%s %s" % (str(count).encode(), term) for count, term in ordered)
                if operation.store_frequency
                else (term for _, term in ordered)
            )
            file = self._scratch / operation.vocab_filename
            file.write_bytes(b"".join(line + b"\n" for line in lines))
            return [np.array(str(file))]

        return Lazy(write)


def _all(kind: type[Any], values: Iterable[Any]) -> bool:
    return all(isinstance(value, kind) for value in values)
