"""ImportExampleGen."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.example_encoder import as_bytes, encode_batch
from components.example_gen import CsvExampleGen, ImportExampleGen
from components.records import SplitWriter, read_records, read_split, shard_files
from pipeline.artifacts import Artifact
from pipeline.errors import DataError
from tests.harness import run

REPOSITORY = Path(__file__).parents[2]


def write(folder: Path, name: str, records: list[bytes], *, compressed: bool = True) -> None:
    with SplitWriter(folder / "packed", shards=1) as writer:
        writer.write(records)
    (packed,) = shard_files(folder / "packed")
    (folder / name).write_bytes(packed.read_bytes() if compressed else gzip.decompress(packed.read_bytes()))


def encoded(**columns: Any) -> list[bytes]:
    arrays = [values if isinstance(values, pa.Array) else pa.array(values) for values in columns.values()]
    return as_bytes(encode_batch(pa.RecordBatch.from_arrays(arrays, list(columns))))


def generate(project: Path, **parameters: Any) -> Artifact:
    return run(ImportExampleGen, project, **{"input": "*.tfrecord*", "splits": {"all": 1}, **parameters})["examples"]


def raw(examples: Artifact, split: str = "all") -> list[bytes]:
    return [record for file in shard_files(examples.split_path(split)) for records in read_records(file) for record in records]


def test_records_of_the_sample_are_copied_unchanged(tmp_path: Path) -> None:
    made = run(ImportExampleGen, tmp_path, project=REPOSITORY, input="tests/data/tfrecord/*.gz", splits={"all": 1})
    source = [record for file in shard_files(REPOSITORY / "tests/data/tfrecord") for records in read_records(file) for record in records]
    assert raw(made["examples"]) == source
    assert made.context.rows is not None
    assert (made.context.rows.read, dict(made.context.rows.written)) == (300, {"all": 300})


def test_summary_describes_the_features(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", encoded(n=[1, None], x=pa.array([0.5, 1.0], pa.float32()), s=[["a"], []]))
    described = {column.pop("name"): column for column in generate(tmp_path).summary()["columns"]}
    assert described == {
        "n": {"type": "int64", "missing": 1, "empty_lists": 0},
        "x": {"type": "float32", "missing": 0, "empty_lists": 0},
        "s": {"type": "bytes", "missing": 0, "empty_lists": 1},
    }


def test_feature_that_some_records_lack_is_missing_in_them(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", encoded(n=[1]) + encoded(m=[2]) + [b""])
    assert {column["name"]: column["missing"] for column in generate(tmp_path).summary()["columns"]} == {"m": 2, "n": 2}


def test_plain_and_compressed_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", encoded(n=[1, 2]), compressed=False)
    write(tmp_path, "b.tfrecord.gz", encoded(n=[3]))
    (batch,) = read_split(generate(tmp_path).split_path("all"))
    assert batch.column(0).to_pylist() == [[1], [2], [3]]


def test_imported_rows_get_the_splits_that_they_have_as_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,s\n" + "".join(f"{number},x{number % 7}\n" for number in range(3000)))
    as_csv = run(CsvExampleGen, tmp_path, input="a.csv")["examples"]
    write(tmp_path, "a.tfrecord", raw(as_csv, "eval") + raw(as_csv, "train"))
    imported = generate(tmp_path, splits={"train": 2, "eval": 1})
    for split in ("train", "eval"):
        assert sorted(raw(imported, split)) == sorted(raw(as_csv, split))


@pytest.mark.tensorflow
def test_order_of_the_features_in_a_record_does_not_change_its_split(tmp_path: Path) -> None:
    from tfx_bsl.coders import example_coder

    columns = {f"feature_{index}": pa.array([[number] for number in range(500)], pa.large_list(pa.int64())) for index in range(8)}
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    unordered = example_coder.RecordBatchToExamplesEncoder().encode(batch)
    assert unordered != as_bytes(encode_batch(batch))
    splits = []
    for records in (unordered, as_bytes(encode_batch(batch))):
        write(tmp_path, "a.tfrecord", records)
        (evaluated,) = read_split(generate(tmp_path, splits={"train": 2, "eval": 1}).split_path("eval"))
        splits.append(evaluated.column(0).to_pylist())
    assert splits[0] == splits[1]


def test_keys_that_some_records_lack_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", encoded(key=["a", "b"]) + encoded(other=[1]))
    with pytest.raises(DataError, match="1 of 3 rows have no value in 'key'"):
        generate(tmp_path, split_by="key")


def test_files_can_give_the_splits(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", encoded(n=[1, 2]))
    write(tmp_path, "b.tfrecord", encoded(n=[3]))
    examples = run(ImportExampleGen, tmp_path, input={"train": "a.tfrecord", "eval": "b.tfrecord"})["examples"]
    assert examples.record_counts == {"train": 2, "eval": 1}


def test_record_that_is_no_example_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", [*encoded(n=list(range(5000))), b"\x0a\xffnonsense"])
    with pytest.raises(DataError, match=r"a.tfrecord, record 5001: .*Unable to parse"):
        generate(tmp_path)


def test_sequence_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sequence_example.tfrecord.gz holds tf.train.SequenceExample"):
        run(ImportExampleGen, tmp_path, project=REPOSITORY, input="tests/data/sequence_example.tfrecord.gz")


def test_file_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", encoded(n=list(range(100))), compressed=False)
    (tmp_path / "a.tfrecord").write_bytes((tmp_path / "a.tfrecord").read_bytes()[:-7])
    with pytest.raises(DataError, match=r"a.tfrecord is cut off after record 99"):
        generate(tmp_path)
    assert not list(tmp_path.glob("execution-*/examples/**/*.gz"))


@pytest.mark.parametrize("second", [["x"], pa.array([0.5], pa.float32())])
def test_feature_with_two_types_is_an_error_that_names_it(tmp_path: Path, second: Any) -> None:
    write(tmp_path, "a.tfrecord", encoded(n=[1]))
    write(tmp_path, "b.tfrecord", encoded(n=second))
    with pytest.raises(DataError, match=r"Feature 'n' is int64 in some records and (bytes|float32) in others"):
        generate(tmp_path)


def test_two_types_in_one_file_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", encoded(n=[1]) + encoded(n=["x"]))
    with pytest.raises(DataError, match=r"a.tfrecord, records 1 to 2"):
        generate(tmp_path)


def test_file_without_records_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord.gz", [])
    with pytest.raises(DataError, match=r"a.tfrecord.gz has no records"):
        generate(tmp_path)


@pytest.mark.parametrize("parameter", ["split_by", "stratify_by"])
def test_feature_that_no_record_has_cannot_choose_the_split(parameter: str, tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", encoded(company=["a", "b", "c"]))
    with pytest.raises(DataError, match=r"split by 'compny', and the input has no such column. Did you mean 'company'"):
        generate(tmp_path, splits={"train": 1}, **{parameter: "compny"})


def test_records_without_the_feature_that_chooses_the_split_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", encoded(company=["a", "b"]))
    write(tmp_path, "b.tfrecord", encoded(other=["a", "b", "c"]))
    with pytest.raises(DataError, match="3 of 5 rows have no value in 'company'"):
        generate(tmp_path, splits={"train": 1}, split_by="company")
