"""`tf.train.SequenceExample`: features of a whole record (its context), and features that have a list of values in each step.

Wire format: `tensorflow/core/example/example.proto`; there, `SequenceExample` has the context in field 1, which is where `Example` has
its features, and the sequences in field 2.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.example_gen.reading import Block, Rows
from components.example_gen.splitting import digests_of
from components.records import SEQUENCES, decode_records, is_sequence_example, read_records
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from components.example_gen.inputs import InputFile

_LABELS = {"optional": 1, "repeated": 3}


@dataclass(frozen=True)
class SequenceReader:
    """The SequenceExamples of TFRecord files; their features are known when all records were read."""

    columns: None = None

    def blocks(self, file: InputFile) -> Iterator[Block]:
        """Yields the records of a file."""
        first = 0
        found = False
        for records in read_records(file.path):
            found = found or any(map(is_sequence_example, records))
            yield Block(file, first, len(records), records)
            first += len(records)
        if first == 0:
            raise DataError(f"{file.path} has no records.", hint="Remove it, or write it again.")
        if not found:
            raise DataError(f"{file.path} holds no tf.train.SequenceExample with a sequence.", hint="Leave out payload_format=.")

    def decode(self, block: Block) -> Rows:
        """Returns the features of some records, sequences as lists of lists, and the records themselves."""
        batch = decode_records(block.content, file=block.file.path, first=block.first)
        digests = digests_of([_canonical(record, block, number) for number, record in enumerate(block.content)])
        return Rows(_flat(batch), block.content, digests)


def _flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the columns of the context, and behind them those of the sequences."""
    import pyarrow as pa

    columns = {name: values for name, values in zip(batch.schema.names, batch.columns, strict=True) if name != SEQUENCES}
    place = batch.schema.get_field_index(SEQUENCES)
    if place >= 0:
        sequences = batch.column(place)
        for field, values in zip(sequences.type, sequences.flatten(), strict=True):
            name = f"{SEQUENCES}/{field.name}"
            columns[name] = values
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _canonical(record: bytes, block: Block, number: int) -> bytes:
    """Returns a record with its features in the order of their names, from which TFX takes the hash that chooses the split."""
    from google.protobuf.message import DecodeError

    try:
        return bytes(_message().FromString(record).SerializeToString(deterministic=True))
    except DecodeError as error:
        raise DataError(
            f"{block.file.path}, record {block.first + number + 1}: {error}", hint="Expected tf.train.SequenceExample."
        ) from error


@functools.cache
def _message() -> Any:
    """Returns the class of the message, built from its description, as TensorFlow takes seconds to import."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="cauce_sequence_example.proto", package="cauce", syntax="proto3")

    def add(name: str, *fields: tuple[str, int, str, int, str]) -> None:
        message = file.message_type.add(name=name)
        for field, number, label, kind, type_name in fields:
            message.field.add(
                name=field, number=number, label=_LABELS[label], type=kind, type_name=f".cauce.{type_name}" if type_name else None
            )

    def add_map(owner: str, value: str, field: str) -> None:
        message = file.message_type.add(name=owner)
        entry = message.nested_type.add(name=f"{field.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_LABELS["optional"], type=kinds.TYPE_STRING)
        entry.field.add(name="value", number=2, label=_LABELS["optional"], type=kinds.TYPE_MESSAGE, type_name=f".cauce.{value}")
        message.field.add(
            name=field, number=1, label=_LABELS["repeated"], type=kinds.TYPE_MESSAGE, type_name=f".cauce.{owner}.{entry.name}"
        )

    add("BytesList", ("value", 1, "repeated", kinds.TYPE_BYTES, ""))
    add("FloatList", ("value", 1, "repeated", kinds.TYPE_FLOAT, ""))
    add("Int64List", ("value", 1, "repeated", kinds.TYPE_INT64, ""))
    add("Feature", *((name, number, "optional", kinds.TYPE_MESSAGE, kind) for name, number, kind in _FEATURE))
    feature = file.message_type[-1]
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    add_map("Features", "Feature", "feature")
    add("FeatureList", ("feature", 1, "repeated", kinds.TYPE_MESSAGE, "Feature"))
    add_map("FeatureLists", "FeatureList", "feature_list")
    sequences = ("feature_lists", 2, "optional", kinds.TYPE_MESSAGE, "FeatureLists")
    add("SequenceExample", ("context", 1, "optional", kinds.TYPE_MESSAGE, "Features"), sequences)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("cauce.SequenceExample"))


_FEATURE = (("bytes_list", 1, "BytesList"), ("float_list", 2, "FloatList"), ("int64_list", 3, "Int64List"))
