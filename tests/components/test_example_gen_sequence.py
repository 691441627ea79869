"""ImportExampleGen on tf.train.SequenceExample, and what its records are downstream."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from components.example_gen import ImportExampleGen
from components.records import SplitWriter, is_sequence_example, read_records, read_split, refuse_sequences, shard_files
from pipeline.artifacts import Artifact
from pipeline.errors import DataError
from tests.harness import run

REPOSITORY = Path(__file__).parents[2]
SEQUENCES = REPOSITORY / "tests/data/sequence_example.tfrecord.gz"
PAYLOAD = "FORMAT_TF_SEQUENCE_EXAMPLE"


def records(examples: Artifact, split: str) -> list[bytes]:
    return [record for file in shard_files(examples.split_path(split)) for some in read_records(file) for record in some]


def sequence(number: int, steps: list[list[int]]) -> bytes:
    import tensorflow as tf

    context = {"id": tf.train.Feature(int64_list={"value": [number]}), "a": tf.train.Feature(bytes_list={"value": [b"x"]})}
    lists = {"step": tf.train.FeatureList(feature=[tf.train.Feature(int64_list={"value": step}) for step in steps])}
    return bytes(
        tf.train.SequenceExample(
            context=tf.train.Features(feature=context), feature_lists=tf.train.FeatureLists(feature_list=lists)
        ).SerializeToString()
    )


@pytest.fixture
def made(tmp_path: Path) -> Artifact:
    with SplitWriter(tmp_path / "given", shards=2) as writer:
        writer.write([sequence(number, [[number], [], [number, 7]] if number % 5 else []) for number in range(300)])
    return run(ImportExampleGen, tmp_path, input="given/*.gz", payload_format=PAYLOAD)["examples"]


@pytest.mark.tensorflow
def test_records_are_copied_and_go_where_tfx_puts_them(made: Artifact) -> None:
    import tensorflow as tf

    assert made.properties["payload_format"] == PAYLOAD
    assert sum(made.record_counts.values()) == 300
    for split, buckets in (("train", (0, 1)), ("eval", (2,))):
        for record in records(made, split):
            serialized = tf.train.SequenceExample.FromString(record).SerializeToString(deterministic=True)
            assert int(hashlib.sha256(serialized).hexdigest(), 16) % 3 in buckets


@pytest.mark.tensorflow
def test_columns_and_rows_hold_the_sequences(made: Artifact) -> None:
    columns = {column["name"]: column for column in made.summary()["columns"]}
    assert (columns["id"]["type"], columns["id"].get("sequence")) == ("int64", None)
    assert (columns["##SEQUENCE##/step"]["type"], columns["##SEQUENCE##/step"]["sequence"]) == ("int64", True)
    rows = [row for batch in read_split(made.split_path("train")) for row in batch.to_pylist()]
    (row,) = [row for row in rows if row["id"] == rows[0]["id"]]
    number = row["id"][0]
    assert row["##SEQUENCE##"]["step"] == ([[number], [], [number, 7]] if number % 5 else [])


@pytest.mark.tensorflow
def test_statistics_schema_and_anomalies_speak_of_sequences(made: Artifact, tmp_path: Path) -> None:
    from components.example_validator import ExampleValidator
    from components.schema.component import SchemaGen
    from components.statistics.component import StatisticsGen

    statistics = run(StatisticsGen, tmp_path, inputs={"examples": made})["statistics"]
    features = {feature["name"]: feature for feature in statistics.summary()["splits"]["train"]["features"]}
    assert features["##SEQUENCE##"]["type"] == "STRUCT"
    values = sum(len(step) for record in records(made, "train") for step in steps_of(record))
    assert features["##SEQUENCE##.step"]["values"] == values
    schema = run(SchemaGen, tmp_path, inputs={"statistics": statistics})["schema"]
    assert "struct_domain" in (schema.path / "schema.pbtxt").read_text()
    verdict = run(ExampleValidator, tmp_path, inputs={"statistics": statistics, "schema": schema}).context.verdict
    assert verdict is not None
    assert verdict.kind == "valid"


def steps_of(record: bytes) -> list[Any]:
    import tensorflow as tf

    lists = tf.train.SequenceExample.FromString(record).feature_lists.feature_list
    return [feature.int64_list.value for feature in lists["step"].feature] if "step" in lists else []


def test_readers_of_examples_refuse_sequences(tmp_path: Path) -> None:
    made = run(ImportExampleGen, tmp_path, input=str(SEQUENCES), payload_format=PAYLOAD, splits={"all": 1})["examples"]
    with pytest.raises(DataError, match=r"Node 'Transform' reads tf.train.Example, and its input holds tf.train.SequenceExample"):
        refuse_sequences("Transform", [made])


def test_the_wrong_format_is_an_error_that_names_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"holds tf.train.SequenceExample. Expected tf.train.Example.\nGive payload_format='{PAYLOAD}'"):
        run(ImportExampleGen, tmp_path, input=str(SEQUENCES))
    with pytest.raises(DataError, match=r"holds no tf.train.SequenceExample with a sequence.\nLeave out payload_format="):
        run(ImportExampleGen, tmp_path, input=f"{REPOSITORY}/tests/data/tfrecord/*", payload_format=PAYLOAD)


@pytest.mark.parametrize(
    ("record", "expected"),
    [(b"", False), (b"\x0a\x00", False), (b"\x0a\x00\x12\x00", True), (b"\x12\x00", True), (b"\x0a\x02ab\x12", True), (b"\x0a\x81", False)],
)
def test_a_sequence_is_told_by_its_second_field(record: bytes, expected: bool) -> None:
    assert is_sequence_example(record) is expected
