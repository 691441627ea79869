"""Splits on disk, and the encoding of records."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tfx_bsl.coders import example_coder

from components.example_encoder import as_bytes, encode_batch, encode_feature
from components.records import SplitWriter, decode_records, read_records, read_split, shard_files, shard_name, write_split
from pipeline.errors import DataError, StorageError


def hostile_batch() -> pa.RecordBatch:
    """One row per oddity: missing values, empty lists, extreme numbers, long and empty strings."""
    numbers = [[0], None, [], [-1, 127, 128, 2**63 - 1, -(2**63)], [300] * 200]
    columns = {
        "ints": pa.array(numbers, pa.large_list(pa.int64())),
        "floats": pa.array([[1.5], None, [], [float("nan"), float("inf"), -0.0], [0.1] * 50], pa.list_(pa.float32())),
        "texts": pa.array([["a"], None, [], ["", "ü", "x" * 300], ["y" * 70_000]], pa.large_list(pa.large_binary())),
        "scalar_int": pa.array([1, None, -5, 2**40, 0], pa.int64()),
        "scalar_float": pa.array([1.0, None, 2.5, -1e30, 0.0], pa.float32()),
        "scalar_text": pa.array(["a", None, "", "zürich", "\x00"], pa.string()),
        "nothing": pa.nulls(5),
        "Zeta": pa.array([1, 2, 3, 4, 5], pa.int64()),
        "ä": pa.array([None] * 5, pa.int64()),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def as_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same columns as the lists that tfx_bsl wants."""
    arrays = [
        pa.array([None if value is None else [value] for value in column.to_pylist()], pa.large_list(_list_type(column.type)))
        if not isinstance(column, pa.ListArray | pa.LargeListArray)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names)


def _list_type(kind: pa.DataType) -> pa.DataType:
    return pa.large_binary() if pa.types.is_string(kind) else pa.int64() if pa.types.is_null(kind) else kind


def batch_of(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def numbers(count: int, start: int = 0) -> pa.RecordBatch:
    return batch_of(n=pa.array(range(start, start + count), pa.int64()))


def flat(folder: Path) -> list[int]:
    return [row[0] for batch in read_split(folder) for row in batch.column(0).to_pylist()]


def test_encoder_agrees_with_the_one_of_tfx_bsl() -> None:
    batch = hostile_batch()
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    theirs = decoder.DecodeBatch(example_coder.RecordBatchToExamplesEncoder().encode(as_lists(batch)))
    ours = decoder.DecodeBatch(as_bytes(encode_batch(batch)))
    assert repr(ours.to_pydict()) == repr({name: theirs.to_pydict()[name] for name in ours.schema.names})
    assert sorted(ours.schema.names) == sorted(batch.schema.names)


@pytest.mark.tensorflow
def test_records_are_what_deterministic_serialization_writes() -> None:
    import tensorflow as tf

    for batch in (hostile_batch(), hostile_batch().slice(1, 3), numbers(3), batch_of()):
        for record in as_bytes(encode_batch(batch)):
            assert tf.train.Example.FromString(record).SerializeToString(deterministic=True) == record


@pytest.mark.tensorflow
def test_encoded_feature_is_a_serialized_feature() -> None:
    import tensorflow as tf

    batch = hostile_batch()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        examples = [tf.train.Example.FromString(record) for record in as_bytes(encode_batch(batch))]
        expected = [example.features.feature[name].SerializeToString(deterministic=True) for example in examples]
        assert as_bytes(encode_feature(name, column)) == expected


@pytest.mark.tensorflow
def test_tensorflow_reads_the_shards(tmp_path: Path) -> None:
    import tensorflow as tf

    write_split(tmp_path, [hostile_batch()] * 3, shards=2)
    records = tf.data.TFRecordDataset([str(file) for file in shard_files(tmp_path)], "GZIP").as_numpy_iterator()
    assert sorted(records) == sorted(as_bytes(encode_batch(hostile_batch())) * 3)


def test_order_of_the_columns_does_not_change_the_bytes() -> None:
    batch = hostile_batch()
    turned = pa.RecordBatch.from_arrays(batch.columns[::-1], batch.schema.names[::-1])
    assert encode_batch(batch).equals(encode_batch(turned))


def test_slices_of_a_batch_give_the_same_records() -> None:
    batch = hostile_batch()
    sliced = [record for start in range(5) for record in as_bytes(encode_batch(batch.slice(start, 1)))]
    assert sliced == as_bytes(encode_batch(batch))


def test_values_of_very_different_lengths_are_encoded() -> None:
    batch = batch_of(text=pa.array([b"", b"x" * 200_000, b"y"], pa.binary()))
    decoded = decode_records(as_bytes(encode_batch(batch)), file=Path("none"))
    assert decoded.column(0).to_pylist() == [[b""], [b"x" * 200_000], [b"y"]]


def test_nested_lists_are_encoded_with_their_schema() -> None:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = text_format.Parse(
        """
        feature { name: "value" type: INT } feature { name: "length" type: INT }
        tensor_representation_group { key: "" value { tensor_representation { key: "ragged" value { ragged_tensor {
          feature_path { step: "value" } partition { row_length: "length" } } } } } }
        """,
        schema_pb2.Schema(),
    )
    batch = batch_of(ragged=pa.array([[[1, 2], [3]], [[4]]], pa.large_list(pa.large_list(pa.int64()))))
    records = as_bytes(encode_batch(batch, schema.SerializeToString()))
    decoded = decode_records(records, file=Path("none"))
    assert decoded.to_pydict() == {"length": [[2, 1], [1]], "value": [[1, 2, 3], [4]]}


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (pa.array([1, 2], pa.int32()), "'x' has the Arrow type int32"),
        (pa.array([True, False]), "'x' has the Arrow type bool"),
        (pa.array([[1, None]], pa.list_(pa.int64())), "'x' has a list with a null"),
    ],
)
def test_columns_that_cannot_be_encoded_are_named(column: pa.Array, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        encode_batch(batch_of(x=column))


def test_split_has_the_layout_of_tfx(tmp_path: Path) -> None:
    assert write_split(tmp_path / "Split-train", [numbers(10)], shards=3) == 10
    names = [f"data_tfrecord-0000{index}-of-00003.gz" for index in range(3)]
    assert sorted(path.name for path in (tmp_path / "Split-train").iterdir()) == names


def test_record_i_goes_to_shard_i_modulo_their_number(tmp_path: Path) -> None:
    write_split(tmp_path, [numbers(4), numbers(1, 4), numbers(5, 5)], shards=3)
    read = [
        [row[0] for batch in read_records(file) for row in decode_records(batch, file=file).column(0).to_pylist()]
        for file in shard_files(tmp_path)
    ]
    assert read == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]


def test_more_shards_than_records_leave_empty_shards(tmp_path: Path) -> None:
    write_split(tmp_path, [numbers(1)], shards=3)
    assert len(shard_files(tmp_path)) == 3
    assert flat(tmp_path) == [0]


def test_large_split_becomes_several_shards_in_the_order_of_the_rows(tmp_path: Path) -> None:
    large = [batch_of(n=pa.array([index], pa.int64()), text=pa.array([b"x" * (40 << 20)])) for index in range(4)]
    write_split(tmp_path, large)
    assert len(shard_files(tmp_path)) == 2
    assert flat(tmp_path) == [0, 1, 2, 3]


def test_equal_rows_give_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_split(tmp_path / name, [hostile_batch(), numbers(3)], shards=2)
    for first, second in zip(shard_files(tmp_path / "a"), shard_files(tmp_path / "b"), strict=True):
        assert first.read_bytes() == second.read_bytes()
        assert first.read_bytes()[4:8] == b"\0\0\0\0"  # gzip's time


def test_shards_are_not_visible_before_the_split_is_complete(tmp_path: Path) -> None:
    with SplitWriter(tmp_path, shards=2) as writer:
        writer.write(encode_batch(numbers(1000)))
        with pytest.raises(StorageError, match="holds no shard"):
            shard_files(tmp_path)
    assert (writer.rows, len(shard_files(tmp_path))) == (1000, 2)


def test_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), SplitWriter(tmp_path) as writer:
        writer.write(encode_batch(numbers(10)))
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_rows_come_back_in_order_and_in_small_batches(tmp_path: Path) -> None:
    write_split(tmp_path, [numbers(5000), numbers(5000, 5000)])
    batches = list(read_split(tmp_path, batch_rows=999))
    assert max(batch.num_rows for batch in batches) == 999
    assert [row[0] for batch in batches for row in batch.column(0).to_pylist()] == list(range(10_000))


def test_record_longer_than_the_read_buffer_is_read(tmp_path: Path) -> None:
    text = np.random.default_rng(0).bytes(3 << 20)
    write_split(tmp_path, [batch_of(text=pa.array([text, b"short"]))])
    assert [row for batch in read_split(tmp_path) for row in batch.column(0).to_pylist()] == [[text], [b"short"]]


def test_reading_does_not_hold_the_whole_split(tmp_path: Path) -> None:
    write_split(tmp_path, [batch_of(text=pa.array([b"x" * 10_000] * 1000))] * 6)
    tracemalloc.start()
    try:
        assert sum(batch.num_rows for batch in read_split(tmp_path, batch_rows=100)) == 6000
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_missing_shard_is_named(tmp_path: Path) -> None:
    write_split(tmp_path, [numbers(3)], shards=3)
    (tmp_path / shard_name(1, 3)).unlink()
    with pytest.raises(StorageError, match=r"00001-of-00003"):
        shard_files(tmp_path)


def plain(folder: Path, count: int = 100) -> Path:
    """A TFRecord file without compression."""
    write_split(folder / "packed", [numbers(count)])
    file = folder / "plain.tfrecord"
    file.write_bytes(gzip.decompress(shard_files(folder / "packed")[0].read_bytes()))
    return file


def records_in(file: Path) -> int:
    return sum(map(len, read_records(file)))


def test_uncompressed_records_are_read(tmp_path: Path) -> None:
    assert records_in(plain(tmp_path)) == 100


def test_file_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    file = plain(tmp_path)
    packed = shard_files(tmp_path / "packed")[0]
    file.write_bytes(file.read_bytes()[:-20])
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(DataError, match="is cut off after record 99"):
        records_in(file)
    with pytest.raises(DataError, match="is cut off after record"):
        records_in(packed)


@pytest.mark.parametrize(("place", "problem"), [(14, "checksum is wrong"), (2, "length has a wrong checksum")])
def test_damaged_record_is_named_by_its_number(tmp_path: Path, place: int, problem: str) -> None:
    file = plain(tmp_path)
    data = bytearray(file.read_bytes())
    size = len(data) // 100
    data[50 * size + place] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(DataError, match=f"record 51: .*{problem}"):
        records_in(file)


def test_damaged_compression_is_an_error(tmp_path: Path) -> None:
    write_split(tmp_path, [batch_of(text=pa.array([np.random.default_rng(0).bytes(100_000)]))])
    file = shard_files(tmp_path)[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(DataError, match=str(file)):
        records_in(file)


def test_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"a,b\n1,2\n3,4\n5,6\n")
    with pytest.raises(DataError, match="is not a TFRecord file"):
        records_in(file)


def test_record_that_is_no_example_is_named(tmp_path: Path) -> None:
    with SplitWriter(tmp_path) as writer:
        writer.write([*as_bytes(encode_batch(numbers(4))), b"nonsense"])
    with pytest.raises(DataError, match="record 5"):
        list(read_split(tmp_path))


def test_neither_writing_nor_reading_loads_tensorflow(tmp_path: Path) -> None:
    code = f"""
import sys, pathlib, pyarrow as pa
from components.records import read_split, write_split
folder = pathlib.Path({str(tmp_path)!r})
write_split(folder, [pa.RecordBatch.from_arrays([pa.array([1, 2])], ["n"])])
assert sum(batch.num_rows for batch in read_split(folder)) == 2
print([name for name in ("tensorflow", "apache_beam") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
