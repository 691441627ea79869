"""The full pass of TensorFlow Transform (TFT): analyzers over all rows, and the transform graph that results."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.spreading import uses_beam
from components.transform.analyzer_cache import read_cache, write_cache
from components.transform.local_analysis import UnknownOperationError, analyze_locally, trace
from components.transform.preprocessing import Analysis
from components.transform.tensors import adapter_config, record_batches
from pipeline.context import Context
from pipeline.errors import CauceError
from pipeline.hashing import digest_tree

if TYPE_CHECKING:
    import apache_beam as beam

TRANSFORM_FN, RAW_METADATA = "transform_fn", "metadata"


def analyze(context: Context, analysis: Analysis) -> None:
    """Runs all analyzers and writes `transform_fn/`, `transformed_metadata/` and `metadata/`.

    The local runner's work is done here, with the same result, except for analyzers that only Beam can do.

    Raises:
        UserCodeError: If `preprocessing_fn` returns something else than tensors.
        DataError: If a shard is damaged, or a record does not fit the schema.
    """
    import tensorflow_transform as tft
    from tensorflow_transform.tf_metadata import metadata_io

    metadata_io.write_metadata(tft.DatasetMetadata(analysis.schema), str(analysis.output / RAW_METADATA))
    if uses_beam(context) or not _done_locally(context, analysis):
        _analyze_by_beam(context, analysis)
    make_stable(analysis.output / TRANSFORM_FN, analysis.scratch)
    shutil.rmtree(analysis.scratch, ignore_errors=True)


def _done_locally(context: Context, analysis: Analysis) -> bool:
    try:
        analyze_locally(analysis)
    except UnknownOperationError as error:
        context.log.info("Beam runs the analyzers, because of %s", error)
        return False
    return True


def _analyze_by_beam(context: Context, analysis: Analysis) -> None:
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam

    schema = analysis.schema.SerializeToString(deterministic=True)
    read = functools.partial(record_batches, serialized_schema=schema, batch_rows=analysis.batch_rows)
    shards = [str(shard) for shard in analysis.shards]
    with _own_errors(), context.beam() as pipeline, tft_beam.Context(temp_dir=str(analysis.scratch)):
        if analysis.datasets:
            transform = _analyze_with_cache(pipeline, analysis, read)
        else:
            rows = pipeline | "Shards" >> beam.Create(shards) | "Read" >> beam.FlatMap(read)
            transform = (rows, adapter_config(analysis.schema)) | "Analyze" >> tft_beam.AnalyzeDataset(analysis.preprocess)
        _ = transform | "Write" >> tft_beam.WriteTransformFn(str(analysis.output))


def _analyze_with_cache(pipeline: beam.Pipeline, analysis: Analysis, read: Callable[[str], Any]) -> Any:
    """Returns the transform function to come; of the datasets that have a cache only those rows are read that it does not stand for."""
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.beam import analyzer_cache

    keys = {analyzer_cache.DatasetKey(dataset.key): dataset for dataset in analysis.datasets}
    entries = {key: read_cache(dataset.folder) for key, dataset in keys.items() if dataset.is_done}
    known = {key: analyzer_cache.DatasetCache(own, None) for key, own in entries.items()}
    needed = _keys_to_read(analysis, list(keys), known)
    rows = {
        key: pipeline
        | f"Shards {key.key}" >> beam.Create([str(shard) for shard in dataset.shards])
        | f"Read {key.key}" >> beam.FlatMap(read)
        if key in needed
        else None
        for key, dataset in keys.items()
    }
    caches = {
        key: analyzer_cache.DatasetCache(
            {name: pipeline | f"Cache {key.key} {number}" >> beam.Create(items) for number, (name, items) in enumerate(own.items())}, None
        )
        for key, own in entries.items()
    }
    transform, made = (rows, caches, adapter_config(analysis.schema)) | "Analyze" >> tft_beam.AnalyzeDatasetWithCache(
        analysis.preprocess, pipeline=pipeline
    )
    for key, dataset in keys.items():
        if dataset.is_done:
            continue
        if key in made:
            _ = {key: made[key]} | f"Keep {key.key}" >> analyzer_cache.WriteAnalysisCacheToFS(pipeline, str(dataset.folder), [key])
        else:
            write_cache(dataset.folder, dataset.key, {})
    return transform


def _keys_to_read(analysis: Analysis, keys: Sequence[Any], known: Mapping[Any, Any]) -> set[Any]:
    """Returns the datasets whose rows some analyzer has to see, as TFT's `get_analysis_dataset_keys` does.

    That one traces the function without a folder of its own, so that its lookup tables get the names of those of other functions.
    """
    from tensorflow_transform import nodes
    from tensorflow_transform.beam import analysis_graph_builder

    found: set[Any] = set()
    future, _, side_effects = analysis_graph_builder.build(*trace(analysis), keys, known)
    visitor = nodes.Traverser(analysis_graph_builder._InspectVisitor(found))
    for node in (future, *side_effects):
        visitor.visit_value_node(node)
    return set(keys) if any(key.is_flattened_dataset_key() for key in found) else found


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raises the error of cauce behind those of Beam, which wraps it into its own several times."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, CauceError):
            cause = cause.__cause__ or cause.__context__
        if cause is None or cause is error:
            raise
        raise cause from error


def make_stable(saved_model: Path, scratch: Path) -> None:
    """Makes equal transforms equal bytes.

    TFT names its lookup tables after its temporary folder. Tables of one name are one table within a process, so the new name is
    the digest of all vocabularies: equal only where the content is. The fingerprint file is optional, holds a digest of the old
    bytes, and is removed.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    file = saved_model / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    old, new = str(scratch).encode(), digest_tree(saved_model / "assets").encode()
    for graph in model.meta_graphs:
        functions = (node for function in graph.graph_def.library.function for node in function.node_def)
        for node in (*graph.graph_def.node, *functions):
            if "shared_name" in node.attr:
                node.attr["shared_name"].s = node.attr["shared_name"].s.replace(old, new)
    file.write_bytes(model.SerializeToString(deterministic=True))
    (saved_model / "fingerprint.pb").unlink(missing_ok=True)
