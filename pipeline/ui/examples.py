"""The first rows of a split, read without TensorFlow: TFRecord files of serialized `tf.train.Example`.

A shard is unpacked as far as the wanted rows lie, never further than a bound, and never a record larger than a bound. The message
type is made from the few fields that it has, in a pool of its own, so that TensorFlow's, where it is loaded, is not disturbed.
"""

from __future__ import annotations

import codecs
import gzip
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import IO, Any

from pipeline.errors import DataError
from pipeline.ui.views.files import opened

MOST_BYTES = 256 << 20
"""Bytes that are unpacked at most to reach a row."""

LARGEST_RECORD = 32 << 20
_MASK_DELTA = 0xA282EAD8  # masked CRC of the TFRecord format, see tensorflow/core/lib/hash/crc32c.h
_SHOWN_VALUES = 8
_SHOWN_CHARACTERS = 200

# What the files that people put into examples begin with; SVG is not among them, for it can hold scripts.
_SIGNATURES: tuple[tuple[bytes, int, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"BM", 0, "image/bmp"),
    (b"WAVE", 8, "audio/wav"),
    (b"fLaC", 0, "audio/flac"),
    (b"OggS", 0, "audio/ogg"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
)


@dataclass(frozen=True)
class Cell:
    """What a row has for a feature.

    Attributes:
        text: The first values as text; None where the row lacks the feature.
        more: How many further values there are.
        media: `image/png`, `audio/wav`, ...: the only value is such a file; else empty.
        size: Bytes of the file.
    """

    text: str | None
    more: int = 0
    media: str = ""
    size: int = 0


@dataclass(frozen=True)
class Rows:
    """Some rows of a split.

    Attributes:
        features: Names of the features, sorted.
        rows: The number of each row, from 0, and its cells, one for each feature.
    """

    features: tuple[str, ...]
    rows: tuple[tuple[int, tuple[Cell, ...]], ...]


def rows_of(split: Path, start: int, count: int) -> Rows:
    """Returns rows of a split.

    Args:
        split: The folder of the split.
        start: The first row, from 0.
        count: How many.

    Raises:
        DataError: If a file is damaged, or the rows lie too far behind.
    """
    found = [(start + number, _parsed(record)) for number, record in enumerate(islice(records(split), start, start + count))]
    features = tuple(sorted({name for _, row in found for name in row}))
    return Rows(features, tuple((number, tuple(_cell(row.get(name)) for name in features)) for number, row in found))


def media_of(split: Path, row: int, feature: str) -> tuple[bytes, str]:
    """Returns the file that a row holds as its only value of a feature, and its media type.

    Raises:
        DataError: If there is none that can be shown.
    """
    record = next(islice(records(split), row, row + 1), None)
    values = _parsed(record).get(feature) if record is not None else None
    if values and len(values) == 1 and isinstance(values[0], bytes) and (kind := media_type(values[0])):
        return values[0], kind
    raise DataError(f"Row {row} holds no picture or sound in '{feature}'.")


def media_type(data: bytes) -> str:
    """Returns the media type of a picture or sound by its first bytes; empty for anything else."""
    return next((kind for sign, at, kind in _SIGNATURES if len(data) > 64 and data[at : at + len(sign)] == sign), "")


def records(split: Path) -> Iterator[bytes]:
    """Yields the records of a split, shard by shard.

    Raises:
        DataError: If a file is damaged, or more would have to be unpacked than is allowed.
    """
    left = MOST_BYTES
    for shard in sorted(path.name for path in split.glob("data_tfrecord-*")):
        with opened(split, shard) as packed:
            stream: IO[bytes] = gzip.GzipFile(fileobj=packed) if shard.endswith(".gz") else packed  # type: ignore[assignment]
            for record in _framed(stream, f"{split.name}/{shard}"):
                left -= len(record)
                if left < 0:
                    raise DataError(f"These rows lie more than {MOST_BYTES >> 20} MiB behind the beginning; only rows before can be shown.")
                yield record


def _framed(stream: IO[bytes], name: str) -> Iterator[bytes]:
    from google_crc32c import value as crc

    def masked(data: bytes) -> int:
        found = crc(data)
        return int(((found >> 15) | (found << 17)) + _MASK_DELTA) & 0xFFFFFFFF

    number = 0
    try:
        while head := stream.read(12):
            length, check = struct.unpack("<QI", head)
            if masked(head[:8]) != check:
                raise DataError(f"{name} is damaged at record {number}: its length has another checksum.")
            if length > LARGEST_RECORD:
                raise DataError(f"{name}: record {number} has {length:,} bytes; at most {LARGEST_RECORD:,} are read.")
            record, tail = stream.read(length), stream.read(4)
            if len(record) < length or len(tail) < 4 or masked(record) != struct.unpack("<I", tail)[0]:
                raise DataError(f"{name} is damaged at record {number}: it is cut off, or has another checksum.")
            yield record
            number += 1
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{name} is damaged after {number} records: {error}") from error


def _parsed(record: bytes) -> Mapping[str, list[Any]]:
    """Returns the values of a serialized `tf.train.Example` by feature."""
    from google.protobuf.message import DecodeError

    try:
        example = _example_type().FromString(record)
    except DecodeError as error:
        raise DataError(f"A record is no tf.train.Example: {error}") from error
    found = {}
    for entry in example.features.feature:
        kind = entry.value.WhichOneof("kind")
        found[entry.key] = list(getattr(entry.value, kind).value) if kind else []
    return found


@cache
def _example_type() -> Any:
    """Returns the message type `Example`; its maps are read as the entries that they are on the wire, in their order.

    Its fields: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="cauce/example.proto", package="cauce", syntax="proto3")

    def message(name: str, *fields: tuple[str, int, Any, str, bool]) -> Any:
        made = file.message_type.add(name=name)
        for label, number, kind, of, repeated in fields:
            several = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            made.field.add(name=label, number=number, type=kind, type_name=of or None, label=several)
        return made

    message("BytesList", ("value", 1, field.TYPE_BYTES, "", True))
    message("FloatList", ("value", 1, field.TYPE_FLOAT, "", True))
    message("Int64List", ("value", 1, field.TYPE_INT64, "", True))
    feature = message(
        "Feature",
        ("bytes_list", 1, field.TYPE_MESSAGE, ".cauce.BytesList", False),
        ("float_list", 2, field.TYPE_MESSAGE, ".cauce.FloatList", False),
        ("int64_list", 3, field.TYPE_MESSAGE, ".cauce.Int64List", False),
    )
    feature.oneof_decl.add(name="kind")
    for member in feature.field:
        member.oneof_index = 0
    message("Entry", ("key", 1, field.TYPE_STRING, "", False), ("value", 2, field.TYPE_MESSAGE, ".cauce.Feature", False))
    message("Features", ("feature", 1, field.TYPE_MESSAGE, ".cauce.Entry", True))
    message("Example", ("features", 1, field.TYPE_MESSAGE, ".cauce.Features", False))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("cauce.Example"))


def _cell(values: list[Any] | None) -> Cell:
    if not values:
        return Cell(None)
    if len(values) == 1 and isinstance(values[0], bytes) and (kind := media_type(values[0])):
        return Cell("", media=kind, size=len(values[0]))
    shown = ", ".join(_text(value) for value in values[:_SHOWN_VALUES])
    if len(shown) > _SHOWN_CHARACTERS:
        shown = shown[: _SHOWN_CHARACTERS - 1] + "…"
    return Cell(shown, max(0, len(values) - _SHOWN_VALUES))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.7g}"
    if not isinstance(value, bytes):
        return str(value)
    beginning = value[: 4 * _SHOWN_CHARACTERS]
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(beginning, final=len(beginning) == len(value))
    except UnicodeDecodeError:
        return f"{len(value):,} bytes"
