"""Which split a row belongs to."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from components.example_gen import CsvExampleGen
from components.records import read_records, read_split, shard_files
from pipeline.artifacts import Artifact
from pipeline.errors import DataError
from tests.harness import run

REPOSITORY = Path(__file__).parents[2]


def generate(project: Path, lines: list[str] | None = None, **parameters: Any) -> Artifact:
    if lines is not None:
        (project / "a.csv").write_text("\n".join(lines) + "\n")
    return run(CsvExampleGen, project, **{"input": "a.csv", **parameters})["examples"]


def values(examples: Artifact, split: str, column: str) -> list[Any]:
    return [row[column] and row[column][0] for batch in read_split(examples.split_path(split)) for row in batch.to_pylist()]


def raw(examples: Artifact) -> list[bytes]:
    files = [file for split in examples.splits for file in shard_files(examples.split_path(split))]
    return [record for file in files for records in read_records(file) for record in records]


@pytest.mark.tensorflow
def test_hash_chooses_the_split_that_tfx_chooses(tmp_path: Path) -> None:
    import tensorflow as tf

    examples = run(CsvExampleGen, tmp_path, project=REPOSITORY, input="data/taxi/span-1/*.csv", splits={"a": 5, "b": 3, "c": 2})["examples"]
    for split, buckets in (("a", range(5)), ("b", range(5, 8)), ("c", range(8, 10))):
        for record in tf.data.TFRecordDataset([str(file) for file in shard_files(examples.split_path(split))], "GZIP").as_numpy_iterator():
            serialized = tf.train.Example.FromString(record).SerializeToString(deterministic=True)
            assert int(hashlib.sha256(serialized).hexdigest(), 16) % 10 in buckets


@pytest.mark.tensorflow
@pytest.mark.parametrize("key", ["company", "trip_start_hour"])
def test_key_chooses_the_split_that_tfx_chooses(tmp_path: Path, key: str) -> None:
    import tensorflow as tf

    lines = (REPOSITORY / "data/taxi/span-1/trips.csv").read_text().splitlines()
    examples = generate(tmp_path, [line for line in lines if line.split(",")[14]][:3000], split_by=key)
    for split, buckets in (("train", (0, 1)), ("eval", (2,))):
        for record in tf.data.TFRecordDataset([str(file) for file in shard_files(examples.split_path(split))], "GZIP").as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature[key]
            assert int(hashlib.sha256(feature.SerializeToString(deterministic=True)).hexdigest(), 16) % 3 in buckets


def test_split_of_a_row_depends_on_the_row_alone(tmp_path: Path) -> None:
    lines = [f"{number},x{number}" for number in range(2000)]
    shuffled = random.Random(0).sample(lines, 1000)
    whole, part = (generate(tmp_path, ["n,s", *some]) for some in (lines, shuffled))
    assert set(values(part, "eval", "n")) == set(values(whole, "eval", "n")) & {int(line.split(",")[0]) for line in shuffled}


def test_weights_are_met(tmp_path: Path) -> None:
    examples = generate(tmp_path, ["n", *map(str, range(30_000))], splits={"train": 7, "eval": 2, "test": 1})
    assert examples.splits == ("train", "eval", "test")
    for split, share in (("train", 0.7), ("eval", 0.2), ("test", 0.1)):
        assert examples.record_counts[split] == pytest.approx(30_000 * share, rel=0.05)


def test_rows_with_the_same_key_are_in_one_split(tmp_path: Path) -> None:
    choose = random.Random(0)
    examples = generate(tmp_path, ["customer,n", *(f"c{choose.randrange(500)},{number}" for number in range(20_000))], split_by="customer")
    train, other = (set(values(examples, split, "customer")) for split in ("train", "eval"))
    assert not train & other
    assert len(train) + len(other) == 500
    assert sum(examples.record_counts.values()) == 20_000


def test_rows_without_a_key_are_counted_in_an_error(tmp_path: Path) -> None:
    lines = ["customer,n", *(f"{'' if number % 5 == 0 else number},{number}" for number in range(50_000))]
    with pytest.raises(DataError, match=r"split_by: 10,000 of 50,000 rows have no value in 'customer'"):
        generate(tmp_path, lines, split_by="customer")


@pytest.mark.parametrize("parameter", ["split_by", "stratify_by"])
def test_unknown_feature_is_an_error_with_a_guess(tmp_path: Path, parameter: str) -> None:
    with pytest.raises(DataError, match=r"split by 'custmer', and the input has no such column. Did you mean 'customer'\?"):
        generate(tmp_path, ["customer,n", "1,2"], **{parameter: "custmer"})


def test_floats_are_no_keys(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="split_by: feature 'x' holds floats"):
        generate(tmp_path, ["x", "1.5", "2"], split_by="x")


@pytest.mark.parametrize("weights", [{"train": 2, "eval": 1}, {"train": 70, "eval": 30}, {"a": 6, "b": 3, "c": 1}])
def test_each_class_has_the_exact_proportions(tmp_path: Path, weights: dict[str, int]) -> None:
    labels = ["rare"] * 7 + ["common"] * 40_001 + ["half"] * 20_000 + [""] * 50
    random.Random(0).shuffle(labels)
    lines = ["label,n", *(f"{label},{number}" for number, label in enumerate(labels))]
    examples = generate(tmp_path, lines, stratify_by="label", splits=weights)
    for split, weight in weights.items():
        found = Counter(values(examples, split, "label"))
        for label, count in Counter(labels).items():
            assert abs(found[label.encode() or None] - count * weight / sum(weights.values())) <= 1


def test_stratified_rows_keep_their_split_when_rows_are_added(tmp_path: Path) -> None:
    lines = ["label,n", *(f"{number % 3},{number}" for number in range(3000))]
    before = set(values(generate(tmp_path, lines[:1500], stratify_by="label"), "train", "n"))
    after = set(values(generate(tmp_path, lines, stratify_by="label"), "train", "n"))
    assert before == {number for number in after if number < 1499}


def test_label_with_too_many_values_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stratify_by: feature 'n' has more than 10,000 different values"):
        generate(tmp_path, ["n", *map(str, range(20_000))], stratify_by="n")


def test_files_can_give_the_splits(tmp_path: Path) -> None:
    (tmp_path / "train-1.csv").write_text("n,s\n1,a\n2,b\n")
    (tmp_path / "train-2.csv").write_text("n,s\n3,c\n")
    (tmp_path / "test.csv").write_text("n,s\n1.5,d\n")
    examples = generate(tmp_path, input={"train": "train-*.csv", "test": "test.csv"})
    assert (examples.splits, examples.record_counts) == (("train", "test"), {"train": 3, "test": 1})
    assert values(examples, "train", "n") == [1.0, 2.0, 3.0]
    assert values(examples, "test", "n") == [1.5]


def test_empty_split_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"Split 'eval' would be empty: none of the 1 rows belongs to it.\nGive more rows, another weight for it in splits="
    ):
        generate(tmp_path, ["n", "3"], splits={"train": 999_999, "eval": 1})


def test_records_are_divided_and_not_changed(tmp_path: Path) -> None:
    lines = ["n,s", *(f"{number},x" for number in range(100))]
    whole, divided = generate(tmp_path, lines, splits={"all": 1}), generate(tmp_path, lines)
    assert sorted(raw(divided)) == sorted(raw(whole))
