"""Splits on disk: `Split-<name>/data_tfrecord-0000i-of-0000n.gz`, TFRecord files of serialized `tf.train.Example`.

Rows come and go as Arrow RecordBatches; TensorFlow is not needed for either. A shard is written under a temporary name and
renamed when its split is complete, so that a shard which can be seen is whole. The same batches give the same bytes.
"""

from __future__ import annotations

import gzip
import re
import typing
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from components.example_encoder import as_bytes, encode_batch
from pipeline.artifacts import Artifact
from pipeline.errors import DataError, StorageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

DEFAULT_BATCH_ROWS = 4096
SEQUENCE_EXAMPLES = "FORMAT_TF_SEQUENCE_EXAMPLE"
"""The property `payload_format` of Examples whose records are `tf.train.SequenceExample`."""

SEQUENCES = "##SEQUENCE##"
"""The column that holds the sequences of SequenceExamples."""

SHARD_BYTES = 64 << 20
"""A shard without a given number of shards is closed at this size before compression."""

_READ_BYTES = 1 << 20
_SHARD_NAME = re.compile(r"data_tfrecord-(\d{5})-of-(\d{5})\.gz")
_GZIP_WINDOW = 31  # zlib: a gzip header and trailer, without a time
_MASK_DELTA = 0xA282EAD8  # masked CRC of the TFRecord format, see tensorflow/core/lib/hash/crc32c.h


def write_split(folder: Path, batches: Iterable[pa.RecordBatch], *, shards: int | None = None) -> int:
    """Writes all batches as one split and returns the number of records.

    Args:
        folder: The split's folder, `examples.split_path(name)`; it is made.
        batches: What `encode_batch` takes.
        shards: Number of files; None for one per 64 MiB before compression.
    """
    with SplitWriter(folder, shards=shards) as writer:
        for batch in batches:
            writer.write(encode_batch(batch))
    return writer.rows


class SplitWriter:
    """Writes serialized records as the shards of one split.

    With a given number of shards, record i goes to shard i modulo that number; without one, a shard is filled before the next
    is begun. Leaving the `with` block renames the shards, or removes them after an error.

    Example:
        with SplitWriter(examples.split_path("train")) as writer:
            writer.write(encode_batch(batch))
    """

    def __init__(self, folder: Path, *, shards: int | None = None) -> None:
        self._folder = folder
        self._fixed = shards
        self._shards: list[_Shard] = []
        self.rows = 0
        self.bytes = 0

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for _ in range(self._fixed or 1):
            self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                for shard in self._shards:
                    shard.close()
                for index, shard in enumerate(self._shards):
                    shard.path.rename(self._folder / shard_name(index, len(self._shards)))
        finally:
            for shard in self._shards:
                shard.discard()

    def write(self, records: Sequence[bytes] | pa.LargeBinaryArray) -> None:
        """Appends serialized `tf.train.Example`s: what `encode_batch` returns, or a list."""
        if not isinstance(records, Sequence):
            records = as_bytes(records)
        if self._fixed is None and self._shards[-1].bytes >= SHARD_BYTES:
            self._shards[-1].close()
            self._open()
        if len(self._shards) == 1 or self._fixed is None:
            self.bytes += self._shards[-1].write(records)
        else:
            for index, shard in enumerate(self._shards):
                self.bytes += shard.write(records[(index - self.rows) % self._fixed :: self._fixed])
        self.rows += len(records)

    def _open(self) -> None:
        self._shards.append(_Shard(self._folder / f".data_tfrecord-{len(self._shards):05d}.part"))


class _Shard:
    """One file that is being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self._file = path.open("wb")
        self._compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW)

    def write(self, records: Sequence[bytes]) -> int:
        framed = _frame(records)
        self.bytes += len(framed)
        self._file.write(self._compressor.compress(framed))
        return len(framed)

    def close(self) -> None:
        """Completes the file; a second call does nothing."""
        if not self._file.closed:
            self._file.write(self._compressor.flush())
            self._file.close()

    def discard(self) -> None:
        """Removes the file if it still has its temporary name."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def shard_name(index: int, count: int) -> str:
    """Returns the file name of shard `index` of `count`, as TFX names it."""
    return f"data_tfrecord-{index:05d}-of-{count:05d}.gz"


def shard_files(folder: Path) -> list[Path]:
    """Returns the shards of a split, in order.

    Raises:
        StorageError: If there is none, or not all of them.
    """
    found = {file.name: file for file in folder.glob("*.gz") if _SHARD_NAME.fullmatch(file.name)}
    if not found:
        raise StorageError(
            f"{folder} holds no shard of a split. Expected files such as {shard_name(0, 1)}.", hint="Run its node again: --rerun NODE"
        )
    count = int(next(iter(found)).removesuffix(".gz").rpartition("-")[2])
    expected = [shard_name(index, count) for index in range(count)]
    if sorted(found) != expected:
        wrong = sorted(set(expected).symmetric_difference(found))
        raise StorageError(f"{folder} does not hold exactly the {count} shards of a split. Missing or not expected: {', '.join(wrong)}.")
    return [found[name] for name in expected]


def read_split(folder: Path, *, batch_rows: int = DEFAULT_BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a split, `examples.split_path(name)`, in batches of at most `batch_rows`; see `read_shards`."""
    yield from read_shards(shard_files(folder), batch_rows=batch_rows)


def read_shards(files: Sequence[Path], *, batch_rows: int = DEFAULT_BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """Yields the rows of some shards, in bounded memory, as batches of lists: large_list of int64, float32 or large_binary.

    The types come from each batch: a feature without a value in a batch has the type null there.

    Raises:
        DataError: If a file is cut off or damaged, or a record is not a `tf.train.Example`; it names file and record.
    """
    for file in files:
        first = 0
        for records in read_records(file, batch_rows=batch_rows):
            yield decode_records(records, file=file, first=first)
            first += len(records)


def is_sequence_example(record: bytes) -> bool:
    """Tells whether a record is a `tf.train.SequenceExample` with a sequence: `tf.train.Example` has no field 2."""
    if record[:1] != b"\x0a":
        return record[:1] == b"\x12"
    length = shift = 0
    for place, byte in enumerate(record[1:11], 2):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return record[place + length : place + length + 1] == b"\x12"
    return False


def refuse_sequences(node: str, examples: Iterable[Artifact]) -> None:
    """Raises `DataError` where records are SequenceExamples, whose sequences a reader of `tf.train.Example` would lose without a word."""
    for artifact in examples:
        if artifact.properties.get("payload_format") == SEQUENCE_EXAMPLES:
            raise DataError(
                f"Node '{node}' reads tf.train.Example, and {artifact.producer or 'its input'} holds tf.train.SequenceExample.",
                hint="Write the sequences as features that are lists; StatisticsGen, SchemaGen and ExampleValidator read them as they are.",
            )


def decode_records(records: list[bytes], *, file: Path, first: int = 0) -> pa.RecordBatch:
    """Returns serialized `tf.train.Example`s as columns; `file` and the number of the first record are named in errors.

    Of `tf.train.SequenceExample`s the sequences are in one column, `##SEQUENCE##`, a struct of lists of lists, as TFX has it.

    Raises:
        DataError: If a record cannot be parsed, or does not have the types of the other records.
    """
    from tfx_bsl.coders import example_coder, sequence_example_coder

    if any(map(is_sequence_example, records)):
        decoder: Any = sequence_example_coder.SequenceExamplesToRecordBatchDecoder(SEQUENCES)
    else:
        decoder = example_coder.ExamplesToRecordBatchDecoder(None)
    try:
        return decoder.DecodeBatch(records)
    except RuntimeError as error:
        place, reason = _first_undecodable(decoder, records) or (None, error)
        where = f"records {first + 1} to {first + len(records)}" if place is None else f"record {first + place + 1}"
        hint = "Expected tf.train.Example, with one type for each feature."
        raise DataError(f"{file}, {where}: {reason}", hint=hint) from error


def _first_undecodable(decoder: Any, records: list[bytes]) -> tuple[int, RuntimeError] | None:
    """Returns the first record that cannot be decoded by itself, if there is one."""
    for index, record in enumerate(records):
        try:
            decoder.DecodeBatch([record])
        except RuntimeError as error:
            return index, error
    return None


def read_records(file: Path, *, batch_rows: int = DEFAULT_BATCH_ROWS) -> Iterator[list[bytes]]:
    """Yields the serialized records of a TFRecord file, compressed or not, in lists of at most `batch_rows`.

    Raises:
        DataError: If the file is cut off or a checksum is wrong; it names file and record.
    """
    with file.open("rb") as raw:
        stream = typing.cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if _is_compressed(raw, file) else raw
        pending = b""
        first = wanted = 0
        while chunk := _read_chunk(stream, max(_READ_BYTES, wanted), file, first):
            pending += chunk
            records, used, wanted = _unframe(pending, file, first)
            pending = pending[used:]
            for start in range(0, len(records), batch_rows):
                yield records[start : start + batch_rows]
            first += len(records)
        if pending:
            raise _cut_off(file, first)


def _is_compressed(raw: IO[bytes], file: Path) -> bool:
    """Tells by the first bytes: the length in front of a TFRecord has a checksum of its own."""
    head = raw.read(12)
    raw.seek(0)
    if not head or _is_length(head):
        return False
    if head.startswith(b"\x1f\x8b"):
        return True
    raise DataError(f"{file} is not a TFRecord file: it begins with {head!r}.", hint="Expected TFRecord, plain or compressed with gzip.")


def _is_length(head: bytes) -> bool:
    return len(head) == 12 and int(_masked_crcs([head[:8]])[0]) == int.from_bytes(head[8:], "little")


def _read_chunk(stream: IO[bytes], size: int, file: Path, first: int) -> bytes:
    try:
        return stream.read(size)
    except EOFError as error:
        raise _cut_off(file, first) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{file} is damaged after record {first}: {error}.", hint="Copy the file again.") from error


def _cut_off(file: Path, first: int) -> DataError:
    return DataError(f"{file} is cut off after record {first}.", hint="Copy the file again.")


def _frame(records: Sequence[bytes]) -> bytes:
    """Returns the records in TFRecord framing: length, masked CRC of the length, data, masked CRC of the data."""
    import numpy as np

    if not records:
        return b""
    lengths = np.fromiter(map(len, records), "<u8", len(records))
    distinct, places = np.unique(lengths, return_inverse=True)
    heads = np.empty(len(records), [("length", "<u8"), ("crc", "<u4")])
    heads["length"] = lengths
    heads["crc"] = _masked_crcs([length.tobytes() for length in distinct])[places]
    pieces = [b""] * (3 * len(records))
    pieces[0::3] = heads.view("V12").tolist()
    pieces[1::3] = records
    pieces[2::3] = _masked_crcs(records).astype("<u4").view("V4").tolist()
    return b"".join(pieces)


def _unframe(data: bytes, file: Path, first: int) -> tuple[list[bytes], int, int]:
    """Returns the whole records at the beginning of `data`, how many bytes they take, and how many the next one lacks."""
    import numpy as np

    records: list[bytes] = []
    sums: list[bytes] = []
    start, end, lacking = 0, len(data), 0
    while start + 16 <= end:
        stop = start + 12 + int.from_bytes(data[start : start + 8], "little")
        if stop + 4 > end:
            if not _is_length(data[start : start + 12]):
                raise DataError(
                    f"{file}, record {first + len(records) + 1}: its length has a wrong checksum.",
                    hint="Copy the file again; it is damaged.",
                )
            lacking = stop + 4 - end
            break
        records.append(data[start + 12 : stop])
        sums.append(data[stop : stop + 4])
        start = stop + 4
    wrong = np.flatnonzero(_masked_crcs(records) != np.frombuffer(b"".join(sums), "<u4"))
    if len(wrong):
        raise DataError(f"{file}, record {first + int(wrong[0]) + 1}: the checksum is wrong.", hint="Copy the file again; it is damaged.")
    return records, start, lacking


def _masked_crcs(values: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    import google_crc32c
    import numpy as np

    sums = np.fromiter(map(google_crc32c.value, values), np.uint32, len(values))
    return ((sums >> np.uint32(15)) | (sums << np.uint32(17))) + np.uint32(_MASK_DELTA)
