"""The data of the managed loop: which features there are, how they are parsed, and the serialized records of some splits.

Examples that are not transformed yet go through the transform graph while they are parsed.
"""

from __future__ import annotations

import dataclasses
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
_LEAST_SHUFFLED = 10_000


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

    def only(self, *names: str) -> Callable[[tf.Tensor], dict[str, Any]]:
        """Returns a function like `parse` that computes some features and no other: the label without decoding the image."""
        if self.transform is not None and not self.transformed:
            return self.transform.only(names)
        return dataclasses.replace(self, spec={name: self.spec[name] for name in names}).parse


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

    @property
    def shuffle_rows(self) -> int:
        """Among how many rows the next one is drawn: as many as are kept in memory, and at least 10,000."""
        fitting = 0 if self.size is None else int(self.rows * _CACHE_BYTES / max(self.size, 1))
        return max(_LEAST_SHUFFLED, fitting)

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
