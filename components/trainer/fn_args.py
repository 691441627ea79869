"""The arguments of a TFX user's `run_fn`: the names and meanings of `tfx.components.FnArgs`, so that only the import changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    import tensorflow as tf
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.tfxio.dataset_options import RecordBatchesOptions, TensorFlowDatasetOptions


@dataclass(frozen=True)
class DataAccessor:
    """Reads examples, however they are stored.

    Attributes:
        tf_dataset_factory: `(file_patterns, TensorFlowDatasetOptions, schema) -> tf.data.Dataset`.
        record_batch_factory: `(file_patterns, RecordBatchesOptions, schema) -> iterator of RecordBatch`.
        data_view_decode_fn: Always None; there for modules that look at it.
    """

    tf_dataset_factory: Callable[..., Any]
    record_batch_factory: Callable[..., Any]
    data_view_decode_fn: Callable[..., Any] | None = None


@dataclass
class FnArgs:
    """What `run_fn` gets.

    Attributes:
        working_dir: A folder for temporary files.
        train_files: Patterns of the files to train on.
        eval_files: Patterns of the files to evaluate on.
        train_steps: Number of training steps; None if the node does not say.
        eval_steps: Number of evaluation steps; None if the node does not say.
        schema_path: The file of the schema; None without one.
        schema_file: The same.
        transform_graph_path: The folder for `tensorflow_transform.TFTransformOutput`; None without one.
        transform_output: The same.
        data_accessor: Reads the files.
        serving_model_dir: Where to save the model.
        eval_model_dir: Where to save a model for evaluation only; hardly used.
        model_run_dir: Where to write TensorBoard logs.
        base_model: The folder of a model to start from; None without one.
        hyperparameters: The hyperparameters as a dict; None without them.
        custom_config: The node's `custom_config`.
    """

    working_dir: str | None = None
    train_files: list[str] = field(default_factory=list)
    eval_files: list[str] = field(default_factory=list)
    train_steps: int | None = None
    eval_steps: int | None = None
    schema_path: str | None = None
    schema_file: str | None = None
    transform_graph_path: str | None = None
    transform_output: str | None = None
    data_accessor: DataAccessor | None = None
    serving_model_dir: str | None = None
    eval_model_dir: str | None = None
    model_run_dir: str | None = None
    base_model: str | None = None
    hyperparameters: Mapping[str, Any] | None = None
    custom_config: Mapping[str, Any] | None = None


def data_accessor() -> DataAccessor:
    """Returns the accessor of TFRecord files of `tf.train.Example`, which is TFX's own."""
    return DataAccessor(_tf_dataset, _record_batches)


def _tf_dataset(file_pattern: Sequence[str], options: TensorFlowDatasetOptions, schema: schema_pb2.Schema | None = None) -> tf.data.Dataset:
    from tfx_bsl.public import tfxio

    return tfxio.TFExampleRecord(list(file_pattern), schema=schema).TensorFlowDataset(options)


def _record_batches(
    file_pattern: Sequence[str], options: RecordBatchesOptions, schema: schema_pb2.Schema | None = None
) -> Iterator[pa.RecordBatch]:
    from tfx_bsl.public import tfxio

    batches: Iterator[pa.RecordBatch] = tfxio.TFExampleRecord(list(file_pattern), schema=schema).RecordBatches(options)
    return batches
