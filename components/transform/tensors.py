"""Batches of a split as tensors and as Arrow: read, decompressed and parsed by TensorFlow, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError, UserCodeError

if TYPE_CHECKING:
    import pyarrow as pa
    import tensorflow as tf
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.tfxio.tensor_adapter import TensorAdapterConfig
    from tfx_bsl.tfxio.tensor_to_arrow import TensorsToRecordBatchConverter

Tensors = dict[str, Any]

_READ_BYTES = 8 << 20
_BATCHES_AT_ONCE = 2


def feature_spec(schema: schema_pb2.Schema) -> dict[str, Any]:
    """Returns how `tf.io.parse_example` parses the features of a schema, by name."""
    from tensorflow_transform.tf_metadata import schema_utils

    return dict(schema_utils.schema_as_feature_spec(schema).feature_spec)


def type_specs(schema: schema_pb2.Schema) -> dict[str, tf.TypeSpec]:
    """Returns the types of the tensors that a batch of parsed examples consists of, by name."""
    from tensorflow_transform import impl_helper

    return dict(impl_helper.get_type_specs_from_feature_specs(feature_spec(schema)))


def arrow_converter(schema: schema_pb2.Schema) -> TensorsToRecordBatchConverter:
    """Returns the converter from tensors to Arrow for the features of a schema."""
    from tensorflow_transform import impl_helper

    return impl_helper.make_tensor_to_arrow_converter(schema)


def adapter_config(schema: schema_pb2.Schema) -> TensorAdapterConfig:
    """Returns how TensorFlow Transform turns the batches of `record_batches` into tensors again."""
    from tfx_bsl.tfxio.tensor_adapter import TensorAdapterConfig

    converter = arrow_converter(schema)
    return TensorAdapterConfig(converter.arrow_schema(), converter.tensor_representations())


def record_batches(shard: str, *, serialized_schema: bytes, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a shard as Arrow batches; fit to be called by Beam.

    Raises:
        DataError: If the file is damaged, or a record does not fit the schema.
    """
    import tensorflow as tf
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = schema_pb2.Schema.FromString(serialized_schema)
    spec, converter = feature_spec(schema), arrow_converter(schema)
    for tensors in batches([shard], batch_rows, lambda records: tf.io.parse_example(records, spec)):
        yield converter.convert(tensors)


def batches(shards: Sequence[str | Path], batch_rows: int, function: Callable[[tf.Tensor], Any]) -> Iterator[Any]:
    """Yields what `function` makes of each batch of serialized records, in order, computed ahead in TensorFlow's own threads.

    Raises:
        DataError: If a file is damaged, or a record does not fit the schema.
        UserCodeError: If an operation of the transform fails, for example one that parses text.
    """
    import tensorflow as tf

    with _reading(shards):
        records = tf.data.TFRecordDataset([str(shard) for shard in shards], "GZIP", buffer_size=_READ_BYTES).batch(batch_rows)
        yield from records.map(function, num_parallel_calls=_BATCHES_AT_ONCE, deterministic=True).prefetch(_BATCHES_AT_ONCE)


@contextmanager
def _reading(shards: Sequence[str | Path]) -> Iterator[None]:
    import tensorflow as tf

    names = ", ".join(str(Path(*Path(shard).parts[-3:])) for shard in shards[:3]) + (", ..." if len(shards) > 3 else "")
    try:
        yield
    except tf.errors.DataLossError as error:
        raise DataError(f"{names} is damaged: {error.message}", hint="Run the node that made it again: --rerun NODE") from error
    except tf.errors.InvalidArgumentError as error:
        reason = re.sub(r"\{\{.*?\}\} ?", "", error.message).partition("\n")[0].strip()
        if "ParseExample" not in error.message:
            raise UserCodeError(f"preprocessing_fn cannot transform a batch of {names}: {reason}") from error
        raise DataError(
            f"{names}: a record does not fit the schema: {reason}",
            hint="A feature that may be missing has no `shape` in the schema; `cauce schema diff` compares data and schema.",
        ) from error
