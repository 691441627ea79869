"""SchemaGen, compared with TensorFlow Data Validation itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.example_gen.csv_example_gen import CsvExampleGen
from components.schema.component import SchemaGen
from components.schema.file import read_schema
from components.schema.review import accept, changes_of
from components.statistics.component import StatisticsGen
from components.statistics.files import read_statistics
from pipeline.artifacts import Artifact, ExampleStatistics
from pipeline.errors import DataError
from tests.components.rows import DATA, SCHEMAS, as_statistics, documented_example, read_csv, taxi, write_examples
from tests.harness import run

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def statistics(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("trips")
    return run(StatisticsGen, folder, inputs={"examples": taxi(folder / "examples")})["statistics"]


def statistics_of(tmp_path: Path, rows: dict[str, Any]) -> Artifact:
    return run(StatisticsGen, tmp_path, inputs={"examples": write_examples(tmp_path / "rows", rows)})["statistics"]


def inferred(tmp_path: Path, statistics: Artifact, **parameters: Any) -> schema_pb2.Schema:
    schema = run(SchemaGen, tmp_path, inputs={"statistics": statistics}, **parameters)["schema"]
    return text_format.Parse((schema.path / "schema.pbtxt").read_text(), schema_pb2.Schema())


def test_the_schema_is_that_of_tfdv_over_all_splits(statistics: ExampleStatistics, tmp_path: Path) -> None:
    train, rest = (read_statistics(statistics, split) for split in ("train", "eval"))
    expected = tfdv.update_schema(tfdv.infer_schema(train), rest)
    assert expected != tfdv.infer_schema(train)
    assert inferred(tmp_path, statistics) == expected
    assert inferred(tmp_path, statistics, exclude_splits=("eval",)) == tfdv.infer_schema(train)


def test_parameters_mean_what_they_mean_in_tfdv(statistics: ExampleStatistics, tmp_path: Path) -> None:
    train = read_statistics(statistics, "train")
    for shape, size in ((False, 100), (True, 4)):
        expected = tfdv.infer_schema(train, infer_feature_shape=shape, max_string_domain_size=size)
        parameters = {"infer_feature_shape": shape, "max_string_domain_size": size, "exclude_splits": ("eval",)}
        assert inferred(tmp_path, statistics, **parameters) == expected != tfdv.infer_schema(train)


def test_the_same_statistics_give_the_same_bytes(statistics: Artifact, tmp_path: Path) -> None:
    first, second = (run(SchemaGen, tmp_path, inputs={"statistics": statistics})["schema"] for _ in range(2))
    for name in ("schema.pbtxt", "summary.json"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()
    jsonschema.validate(first.summary(), json.loads((SCHEMAS / "summaries" / "Schema.json").read_text()))


def test_the_schema_is_that_of_all_rows_where_there_are_slices(statistics: Artifact, tmp_path: Path) -> None:
    sliced = run(StatisticsGen, tmp_path, inputs={"examples": taxi(tmp_path / "examples")}, slices=["payment_type"])["statistics"]
    assert inferred(tmp_path, sliced) == inferred(tmp_path, statistics)


def test_a_curated_file_wins_and_the_differences_are_listed(statistics: Artifact, tmp_path: Path) -> None:
    text = (SCHEMAS / "taxi.pbtxt").read_text().replace("min: 0 max: 23", "min: 6 max: 20").replace('  value: "Unknown"\n', "")
    (tmp_path / "mine.pbtxt").write_text(text)
    schema = run(SchemaGen, tmp_path, inputs={"statistics": statistics}, curated="mine.pbtxt")["schema"]
    assert (schema.path / "schema.pbtxt").read_text() == text
    assert schema.properties["schema_file"] == "mine.pbtxt"
    jsonschema.validate(schema.summary(), json.loads((SCHEMAS / "summaries" / "Schema.json").read_text()))
    assert [change.text for change in changes_of(schema.summary())] == [
        "'trip_start_hour': the data have 0 to 23, the schema says 6 to 20.",
        "'payment_type' has values that the schema does not list: 'Unknown'.",
    ]


def test_accepting_what_was_listed_leaves_no_difference_and_no_anomaly(statistics: ExampleStatistics, tmp_path: Path) -> None:
    file = tmp_path / "mine.pbtxt"
    file.write_text("""
        feature { name: "fare" type: INT presence { min_fraction: 1.0 } shape { dim { size: 1 } } int_domain { min: 0 max: 9 } }
        feature { name: "company" type: BYTES presence { min_fraction: 1.0 } shape { dim { size: 1 } } }
        feature { name: "payment_type" type: BYTES string_domain { name: "paid" value: "Cash" } }
        feature { name: "pickup_census_tract" type: INT presence { min_count: 1 } shape { dim { size: 1 } } }
        feature { name: "trip_start_hour" type: INT value_count { min: 2 max: 2 } int_domain { min: 5 } }
        feature { name: "driver" type: INT presence { min_count: 1 } }
    """)
    schema = run(SchemaGen, tmp_path, inputs={"statistics": statistics}, curated="mine.pbtxt")["schema"]
    changes = changes_of(schema.summary())
    kinds = {change.what for change in changes}
    assert kinds == {"new feature", "missing feature", "type", "presence", "shape", "range", "values"}
    accept(file, changes)
    again = run(SchemaGen, tmp_path, inputs={"statistics": statistics}, curated="mine.pbtxt")["schema"]
    assert changes_of(again.summary()) == []
    for split in ("train", "eval"):
        assert not tfdv.validate_statistics(read_statistics(statistics, split), read_schema(file)).anomaly_info


def test_a_feature_that_one_split_lacks_becomes_optional_and_not_deprecated(tmp_path: Path) -> None:
    statistics = statistics_of(tmp_path, {"train": {"x": [1, 2], "y": [1, 2]}, "eval": {"x": [3, 4]}})
    (tmp_path / "mine.pbtxt").write_text("""
        feature { name: "x" type: INT presence { min_count: 1 } }
        feature { name: "y" type: INT presence { min_count: 1 } }
    """)
    schema = run(SchemaGen, tmp_path, inputs={"statistics": statistics}, curated="mine.pbtxt")["schema"]
    assert [(change.feature, change.what) for change in changes_of(schema.summary())] == [("y", "presence")]


def test_a_new_feature_does_not_take_the_list_of_values_of_another(tmp_path: Path) -> None:
    statistics = statistics_of(tmp_path, {"train": {"old": [b"a"] * 50, "new": [b"b"] * 50}})
    (tmp_path / "mine.pbtxt").write_text("""
        feature { name: "old" type: BYTES domain: "new" }
        string_domain { name: "new" value: "a" }
    """)
    schema = run(SchemaGen, tmp_path, inputs={"statistics": statistics}, curated="mine.pbtxt")["schema"]
    (change,) = changes_of(schema.summary())
    assert (change.feature, change.what) == ("new", "new feature")
    assert "domain" not in change.after


def test_the_content_of_the_curated_file_is_part_of_the_key(tmp_path: Path) -> None:
    examples = CsvExampleGen(input="trips.csv")
    (tmp_path / "mine.pbtxt").write_text('feature { name: "x" type: INT }')
    node = SchemaGen(StatisticsGen(examples), curated="mine.pbtxt")
    assert SchemaGen.driver().prepare(SchemaGen(StatisticsGen(examples)), {}, tmp_path).parts == ()
    before = SchemaGen.driver().prepare(node, {}, tmp_path).parts
    (tmp_path / "mine.pbtxt").write_text('feature { name: "x" type: FLOAT }')
    assert SchemaGen.driver().prepare(node, {}, tmp_path).parts != before


@pytest.mark.parametrize(
    ("name", "file"), [("taxi", "taxi/span-1/trips.csv"), ("bikes", "bikes/hour.csv"), ("penguins", "penguins/penguins.csv")]
)
def test_the_curated_schemas_accept_their_data(tmp_path: Path, name: str, file: str) -> None:
    statistics = statistics_of(tmp_path, {"all": read_csv(DATA / file)})
    schema = run(SchemaGen, tmp_path, inputs={"statistics": statistics}, curated=str(SCHEMAS / f"{name}.pbtxt"))["schema"]
    assert changes_of(schema.summary()) == []


def test_statistics_without_features_are_refused_and_empty_splits_are_passed_over(tmp_path: Path) -> None:
    empty = pa.table({"x": pa.array([], pa.int64())})
    nothing = statistics_of(tmp_path / "a", {"train": empty})
    with pytest.raises(DataError, match="No schema can be inferred: the statistics of train hold no feature"):
        run(SchemaGen, tmp_path, inputs={"statistics": nothing})
    some = statistics_of(tmp_path / "b", {"train": empty, "eval": {"x": [1, 2]}})
    assert [feature.name for feature in inferred(tmp_path, some).feature] == ["x"]


@pytest.mark.parametrize(
    ("content", "message"), [(b"\xff\xff\xff", "is damaged: it is not a Dataset"), (b"", "is damaged: it holds the statistics of no")]
)
def test_damaged_statistics_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    statistics = as_statistics(tmp_path, {"train": statistics_pb2.DatasetFeatureStatisticsList()})
    file = tmp_path / "Split-train" / "FeatureStats.pb"
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"Split-train/FeatureStats\.pb {message}"):
        run(SchemaGen, tmp_path, inputs={"statistics": statistics})
    file.unlink()
    with pytest.raises(DataError, match=r"The statistics of split 'train' are missing"):
        run(SchemaGen, tmp_path, inputs={"statistics": statistics})


def test_the_documented_example_runs() -> None:
    names: dict[str, Any] = {"statistics": StatisticsGen(CsvExampleGen(input="trips.csv")), "SchemaGen": SchemaGen}
    exec(documented_example(SchemaGen), names)
    assert names["schema"].schema.type.TYPE_NAME == "Schema"
