"""The data of the managed loop: which features there are, and batches of them by tf.data.

Rows are read and decompressed, shuffled as serialized records, and parsed a batch at a time, all in TensorFlow's own threads.
Examples that are not transformed yet go through the transform graph on the way.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.records import shard_files
from components.schema.file import read_schema_of
from components.trainer.settings import Artifacts
from components.transform.apply import TransformGraphReader, load_transform
from components.transform.tensors import feature_spec
from pipeline.artifacts import Examples
from pipeline.errors import DataError, DefinitionError, did_you_mean

if TYPE_CHECKING:
    import tensorflow as tf
    from tensorflow_metadata.proto.v0 import schema_pb2

_READ_BYTES = 8 << 20
_CACHE_BYTES = 256 << 20
"""Up to this size before compression, splits are read once and kept in memory, as serialized records."""


@dataclass(frozen=True)
class FeatureSource:
    """The features of the examples, and how a batch of serialized examples becomes tensors.

    Attributes:
        spec: How each feature is parsed, by name, the label included.
        domains: Lowest and highest value of features with a bounded integer domain.
        raw_schema: The schema of the examples that the served model takes.
        transform: The transform graph; None if the model takes raw features.
        transformed: Whether the examples on disk are transformed already.
    """

    spec: Mapping[str, Any]
    domains: Mapping[str, tuple[int, int]]
    raw_schema: schema_pb2.Schema
    transform: TransformGraphReader | None
    transformed: bool

    def parse(self, records: tf.Tensor) -> dict[str, Any]:
        """Returns the features of a batch of serialized examples."""
        import tensorflow as tf

        if self.transform is not None and not self.transformed:
            return self.transform.transform_examples(records)
        parsed: dict[str, Any] = tf.io.parse_example(records, dict(self.spec))
        return parsed


def feature_source(node: str, artifacts: Artifacts) -> FeatureSource:
    """Returns the features of the examples.

    Raises:
        DefinitionError: If there is neither a transform graph nor a schema.
    """
    transform = load_transform(artifacts.transform_graph.path) if artifacts.transform_graph is not None else None
    schema = read_schema_of(artifacts.schema) if artifacts.schema is not None else None
    described = transform.transformed_schema if transform is not None else schema
    if described is None:
        raise DefinitionError(
            f"Node '{node}': the Trainer needs a transform graph or a schema to know the features.",
            hint="Trainer(transform.transformed_examples, transform.transform_graph, ...) or Trainer(examples, schema=schema, ...)",
        )
    domains = {
        feature.name: (int(feature.int_domain.min), int(feature.int_domain.max))
        for feature in described.feature
        if feature.HasField("int_domain") and feature.int_domain.HasField("max")
    }
    raw_schema = transform.output.raw_metadata.schema if transform is not None else described
    transformed = all(artifact.properties.get("transformed") for artifact in artifacts.examples)
    return FeatureSource(feature_spec(described), domains, raw_schema, transform, transformed)


def check_label(node: str, label: str | None, source: FeatureSource) -> str:
    """Returns the label if the features have it.

    Raises:
        DefinitionError: If no label is given.
        DataError: If there is no feature of that name.
    """
    if label is None:
        raise DefinitionError(f"Node '{node}': the parameter 'label' is needed for build_model.", hint="Trainer(..., label='NAME')")
    if label not in source.spec:
        kind = "transformed examples" if source.transform is not None else "examples"
        raise DataError(f"Node '{node}': the {kind} have no label '{label}'.{did_you_mean(label, source.spec)}")
    return label


@dataclass(frozen=True)
class Split:
    """The files of one or more splits.

    Attributes:
        files: The shards, in order.
        rows: Number of records.
        size: Bytes before compression; None where the summary of the examples does not say.
    """

    files: tuple[Path, ...]
    rows: int
    size: int | None

    @classmethod
    def of(cls, node: str, examples: Sequence[Examples], names: Sequence[str]) -> Split:
        """Returns some splits of some examples as one.

        Raises:
            DataError: If they have no rows.
        """
        files = tuple(file for artifact in examples for name in names for file in shard_files(artifact.split_path(name)))
        counts = [artifact.record_counts.get(name) for artifact in examples for name in names]
        rows = sum(count for count in counts if count is not None) if None not in counts else _count(files)
        if rows == 0:
            raise DataError(f"Node '{node}': there are no rows in {', '.join(names)} of {examples[0].name or examples[0].path}.")
        sizes = [artifact.summary().get("splits", {}).get(name, {}).get("bytes") for artifact in examples for name in names]
        return cls(files, rows, None if None in sizes else sum(sizes))

    def records(self, limit: int = -1) -> tf.data.Dataset:
        """Returns the serialized records, all or the first ones, kept in memory from the second pass on if they are few."""
        import tensorflow as tf

        records = tf.data.TFRecordDataset([str(file) for file in self.files], "GZIP", buffer_size=_READ_BYTES).take(limit)
        return records.cache() if self.size is not None and self.size <= _CACHE_BYTES else records


def _count(files: Sequence[Path]) -> int:
    import numpy as np
    import tensorflow as tf

    records = tf.data.TFRecordDataset([str(file) for file in files], "GZIP", buffer_size=_READ_BYTES)
    return int(records.batch(4096).reduce(np.int64(0), lambda total, batch: total + tf.size(batch, tf.int64)))


Batch = Callable[[Any], tuple[Any, Any]]


def batch_function(source: FeatureSource, label: str, inputs: Sequence[str]) -> Batch:
    """Returns what makes features and label of a batch of serialized examples."""
    needed = dataclasses.replace(source, spec={name: source.spec[name] for name in (*inputs, label)})

    def to_batch(records: tf.Tensor) -> tuple[dict[str, Any], Any]:
        features = needed.parse(records)
        return {name: features[name] for name in inputs}, features[label]

    return to_batch


def training_data(split: Split, to_batch: Batch, *, batch_size: int, shuffle_rows: int, seed: int, whole_batches: bool) -> tf.data.Dataset:
    """Returns endless shuffled batches.

    Args:
        whole_batches: Whether batches run across the end of a pass over the data; otherwise each pass ends with a shorter batch.
    """
    import tensorflow as tf

    records = split.records().shuffle(min(shuffle_rows, split.rows), seed=seed)
    records = records.repeat().batch(batch_size) if whole_batches else records.batch(batch_size).repeat()
    return records.map(to_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def evaluation_data(split: Split, to_batch: Batch, *, batch_size: int, steps: int | None) -> tf.data.Dataset:
    """Returns the batches of one pass in order, or the first `steps` of them."""
    import tensorflow as tf

    every = math.ceil(split.rows / batch_size)
    count = every if steps is None else min(steps, every)
    # Keras warns at the end of data whose length it does not know.
    records = split.records(count * batch_size).batch(batch_size).apply(tf.data.experimental.assert_cardinality(count))
    return records.map(to_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
