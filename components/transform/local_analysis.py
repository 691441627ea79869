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
from typing import TYPE_CHECKING, Any

from components.transform.analyzer_cache import Entries, read_cache, write_cache
from components.transform.lazy import (
    Accumulator,
    Batch,
    CombinerAccumulator,
    Lazy,
    Phase,
    Rows,
    Stream,
    TokenCounts,
    TokenWeights,
    merged,
    summed,
)
from components.transform.preprocessing import Analysis
from components.transform.tensors import batches, feature_spec, type_specs

if TYPE_CHECKING:
    import tensorflow as tf

Values = tuple[Any, ...]
_WORD = re.compile(r"(?=[A-Z])")


class UnknownOperationError(Exception):
    """An operation that only Beam can do; the message names it."""


def analyze_locally(analysis: Analysis) -> None:
    """Runs all analyzers and writes `transform_fn/` and `transformed_metadata/`.

    Where an analyzer cache is kept, that of each new dataset is written first; then all are taken as they were written, so that the
    result does not depend on which of them were there.

    Raises:
        UnknownOperationError: If there is an analyzer that only Beam can do; nothing was written then.
    """
    analysis.scratch.mkdir(parents=True, exist_ok=True)
    caches = {dataset.key: read_cache(dataset.folder) for dataset in analysis.datasets if dataset.is_done}
    new = [dataset for dataset in analysis.datasets if not dataset.is_done]
    if new:
        evaluation = _evaluate(analysis, caches)
        for dataset in new:
            caches[dataset.key] = evaluation.new_entries(dataset.key)
            write_cache(dataset.folder, dataset.key, caches[dataset.key])
    evaluation = _evaluate(analysis, caches)
    _publish(evaluation.graph.get()[0].save(), evaluation.assets, analysis.output)


@dataclass(frozen=True)
class _Evaluation:
    """TFT's graph of operations, ready to be computed.

    Attributes:
        graph: The user's function with the results of all analyzers.
        assets: Names of vocabularies and their files.
        entries: The encoded accumulators of the datasets without a cache, by dataset and by key.
    """

    graph: Lazy
    assets: Mapping[str, str]
    entries: Mapping[str, Mapping[bytes, Lazy]]

    def new_entries(self, key: str) -> Entries:
        """Returns the analyzer cache of a dataset that has none yet."""
        return {name: value.get() for name, value in self.entries.get(key, {}).items()}


def _evaluate(analysis: Analysis, caches: Mapping[str, Entries]) -> _Evaluation:
    """Returns the evaluation of the user's function; nothing is computed yet."""
    import tensorflow as tf
    from tensorflow_transform import annotators, graph_tools, nodes
    from tensorflow_transform.beam import analysis_graph_builder, analyzer_cache

    types, spec = type_specs(analysis.schema), feature_spec(analysis.schema)
    graph, inputs, outputs = trace(analysis)
    assets = annotators.get_asset_annotations(graph)
    annotators.clear_asset_annotations(graph)
    fingerprint = graph_tools.get_analyzers_fingerprint(graph, inputs)
    known = {analyzer_cache.DatasetKey(key): analyzer_cache.DatasetCache(entries, None) for key, entries in caches.items()}
    keys = [analyzer_cache.DatasetKey(dataset.key) for dataset in analysis.datasets]
    future, new, _ = analysis_graph_builder.build(graph, inputs, outputs, keys, cache_dict=known if keys else None)
    shards = {dataset.key: dataset.shards for dataset in analysis.datasets}

    def rows(key: Any, function: Callable[[Batch], Batch]) -> Iterable[Batch]:
        files = shards.get(key.key, analysis.shards)
        return batches(files, analysis.batch_rows, lambda records: function(tf.io.parse_example(records, spec)))

    make_graph = functools.partial(PreprocessingGraph, analysis.preprocess, types, analysis.scratch, fingerprint)
    visitor = nodes.Traverser(AnalyzerVisitor(analysis.scratch, make_graph, rows, caches))
    entries = {key.key: {name: visitor.visit_value_node(node) for name, node in own.items()} for key, own in (new or {}).items()}
    return _Evaluation(visitor.visit_value_node(future), assets, entries)


def trace(analysis: Analysis) -> tuple[tf.Graph, Any, Any]:
    """Returns the user's function as a graph with its inputs and outputs."""
    from tensorflow_transform import impl_helper

    types = type_specs(analysis.schema)
    traced: tuple[tf.Graph, Any, Any] = impl_helper.trace_preprocessing_function(
        analysis.preprocess, types, use_tf_compat_v1=False, base_temp_dir=str(analysis.scratch)
    )
    return traced


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
        rows: The rows to analyze, of all datasets or of one.
        caches: The analyzer caches by dataset.
    """

    def __init__(
        self, scratch: Path, make_graph: Callable[..., PreprocessingGraph], rows: Callable[..., Any], caches: Mapping[str, Entries]
    ) -> None:
        self._scratch = scratch
        self._make_graph = make_graph
        self._rows = rows
        self._caches = caches
        self._modules: dict[int, Any] = {}  # a module's tables live as long as it does

    def visit(self, operation: Any, inputs: Values) -> Values:
        """Returns the values of an operation."""
        method = getattr(self, _WORD.sub("_", type(operation).__name__).lower(), None)
        if method is None:
            raise UnknownOperationError(operation.label)
        values = method(operation, *inputs)
        return values if isinstance(values, tuple) else (values,)

    def validate_value(self, value: Any) -> None:
        """Accepts every value; `nodes.Traverser` asks."""

    def _extract_input_for_saved_model(self, operation: Any) -> Rows:
        """The rows are the same for all phases."""
        return functools.partial(self._rows, operation.dataset_key)

    def _create_saved_model(self, operation: Any, *bindings: Lazy) -> Lazy:
        import tensorflow as tf
        from tensorflow_transform.beam import impl

        signature = operation.output_signature
        names = {key: tensor.name for key, tensor in signature.items()} if _all(tf.Tensor, signature.values()) else {}

        def create() -> list[PreprocessingGraph]:
            results = impl._get_tensor_replacement_map(None, *(binding.get()[0] for binding in bindings))
            return [self._make_graph(results=results, names=names)]

        return Lazy(create)

    def _apply_saved_model(self, operation: Any, graph: Lazy, rows: Rows) -> Stream:
        def make_function() -> Callable[[Batch], Batch]:
            if id(graph) not in self._modules:
                self._modules[id(graph)] = graph.get()[0].trace()
            function: Callable[[Batch], Batch] = self._modules[id(graph)].transform_fn
            return function

        return Stream(Phase(make_function, rows), lambda batch: batch)

    def _extract_from_dict(self, operation: Any, value: Stream | Lazy) -> Stream | Lazy:
        keys = operation.keys
        return value.map(lambda values: tuple(values[key] for key in keys) if isinstance(keys, tuple) else values[keys])

    def _flatten(self, operation: Any, *values: Lazy) -> Lazy:
        return Lazy(lambda: [element for value in values for element in value.get()])

    def _encode_cache(self, operation: Any, value: Lazy) -> Lazy:
        return value.map(operation.coder.encode_cache)

    def _decode_cache(self, operation: Any) -> Lazy:
        encoded = self._caches[operation.dataset_key.key][operation.cache_key]
        return Lazy(lambda: [operation.coder.decode_cache(item) for item in encoded])

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
        return Lazy(lambda: [(count, token) for token, count in summed(counts.get()).items()])

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
