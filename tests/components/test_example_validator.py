"""ExampleValidator, compared with TensorFlow Data Validation itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.example_gen.csv_example_gen import CsvExampleGen
from components.example_validator import ExampleValidator
from components.schema.component import ImportSchema, SchemaGen
from components.schema.file import parse_schema
from components.schema.review import accept, changes_of
from components.statistics.component import StatisticsGen
from components.statistics.files import read_statistics
from pipeline.artifacts import Artifact, ExampleStatistics, Schema
from pipeline.errors import DataError, DefinitionError
from tests.components.rows import SCHEMAS, documented_example, taxi, write_examples
from tests.harness import Outputs, run

pytestmark = pytest.mark.tensorflow

STRICT = (SCHEMAS / "taxi.pbtxt").read_text().replace("min: 0 max: 23", "min: 6 max: 20").replace('  value: "No Charge"\n', "")


@pytest.fixture(scope="module")
def statistics(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("trips")
    return run(StatisticsGen, folder, inputs={"examples": taxi(folder / "examples")})["statistics"]


def statistics_of(tmp_path: Path, splits: dict[str, Any]) -> Artifact:
    tmp_path.mkdir(exist_ok=True)
    return run(StatisticsGen, tmp_path, inputs={"examples": write_examples(tmp_path / "rows", splits)})["statistics"]


def validated(tmp_path: Path, statistics: Artifact, schema: str, inputs: dict[str, Artifact] | None = None, **parameters: Any) -> Outputs:
    (tmp_path / "mine.pbtxt").write_text(schema)
    imported = run(ImportSchema, tmp_path, schema_file="mine.pbtxt")["schema"]
    return run(ExampleValidator, tmp_path, inputs={"statistics": statistics, "schema": imported, **(inputs or {})}, **parameters)


def anomalies_of(outputs: Outputs, split: str = "train") -> anomalies_pb2.Anomalies:
    return anomalies_pb2.Anomalies.FromString((outputs["anomalies"].path / f"Split-{split}" / "SchemaDiff.pb").read_bytes())


def verdict_of(outputs: Outputs) -> Any:
    assert outputs.context.verdict is not None
    return outputs.context.verdict


def test_data_that_keep_the_schema_are_valid(statistics: Artifact, tmp_path: Path) -> None:
    outputs = validated(tmp_path, statistics, (SCHEMAS / "taxi.pbtxt").read_text())
    verdict = verdict_of(outputs)
    assert (verdict.kind, verdict.blocks) == ("valid", False)
    assert verdict.reasons == ("2,000 rows in train, eval: no anomalies.",)
    assert outputs["anomalies"].summary()["blocked"] is False


def test_anomalies_are_those_of_tfdv_for_each_split(statistics: ExampleStatistics, tmp_path: Path) -> None:
    outputs = validated(tmp_path, statistics, STRICT)
    for split in ("train", "eval"):
        expected = tfdv.validate_statistics(read_statistics(statistics, split), parse_schema(STRICT))
        assert expected.anomaly_info
        assert anomalies_of(outputs, split) == expected


def test_the_summary_is_as_documented(statistics: Artifact, tmp_path: Path) -> None:
    summary = validated(tmp_path, statistics, STRICT)["anomalies"].summary()
    jsonschema.validate(summary, json.loads((SCHEMAS / "summaries" / "ExampleAnomalies.json").read_text()))
    assert summary["splits"]["train"]["rows"] == 1400


def test_a_blocked_run_says_feature_split_reason_counts_and_what_would_accept_it(statistics: ExampleStatistics, tmp_path: Path) -> None:
    outputs = validated(tmp_path, statistics, STRICT, exclude_splits=("eval",))
    verdict = verdict_of(outputs)
    assert (verdict.kind, verdict.blocks) == ("blocked", True)
    reason = next(reason for reason in verdict.reasons if "payment_type" in reason)
    buckets = next(
        feature for feature in read_statistics(statistics, "train").datasets[0].features if feature.path.step[0] == "payment_type"
    ).string_stats.rank_histogram.buckets
    count = int(next(bucket.sample_count for bucket in buckets if bucket.label == "No Charge"))
    assert reason == (
        "Split 'train', feature 'payment_type': Unexpected string values (present in 1,400 of 1,400 rows; "
        f"'No Charge' in {count}, {count / 1400:.2%}). "
        "To accept it, type: cauce schema accept mine.pbtxt --feature payment_type  "
        'It adds: string_domain { name: "payment_type" value: "No Charge" }'
    )


def test_accepting_the_changes_that_the_anomalies_propose_makes_the_data_valid(statistics: Artifact, tmp_path: Path) -> None:
    outputs = validated(tmp_path, statistics, STRICT + 'feature { name: "driver" type: INT presence { min_count: 1 } }')
    changes = changes_of(outputs["anomalies"].summary())
    assert {(change.feature, change.what) for change in changes} == {
        ("driver", "missing feature"),
        ("payment_type", "values"),
        ("trip_start_hour", "range"),
    }
    accept(tmp_path / "mine.pbtxt", changes)
    assert verdict_of(validated(tmp_path, statistics, (tmp_path / "mine.pbtxt").read_text())).kind == "valid"


def test_only_features_with_an_anomaly_get_a_change(statistics: Artifact, tmp_path: Path) -> None:
    """When serving, a missing label is no anomaly, and so nobody is told to accept that it is missing."""
    schema = STRICT.replace('name: "tips"', 'name: "label"')
    outputs = validated(tmp_path, statistics, schema, environment="SERVING", allow=("SCHEMA_NEW_COLUMN",))
    features = {change.feature for change in changes_of(outputs["anomalies"].summary())}
    assert features == {"payment_type", "trip_start_hour", "tips"}


@pytest.mark.parametrize(
    ("parameters", "blocks"),
    [
        ({}, True),
        ({"fail_on": ()}, False),
        ({"fail_on": ("WARNING",)}, True),
        ({"fail_on": ("SCHEMA_MISSING_COLUMN",)}, False),
        ({"fail_on": ("ENUM_TYPE_UNEXPECTED_STRING_VALUES",)}, True),
        ({"allow": ("ENUM_TYPE_UNEXPECTED_STRING_VALUES",)}, True),
        ({"allow": ("ENUM_TYPE_UNEXPECTED_STRING_VALUES", "INT_TYPE_SMALL_INT", "INT_TYPE_BIG_INT")}, False),
    ],
)
def test_what_blocks_is_chosen(statistics: Artifact, tmp_path: Path, parameters: dict[str, Any], blocks: bool) -> None:
    outputs = validated(tmp_path, statistics, STRICT, **parameters)
    verdict = verdict_of(outputs)
    assert verdict.blocks is blocks
    assert verdict.kind == ("blocked" if blocks else "valid")
    assert outputs["anomalies"].properties["anomalies"] == 4
    assert outputs["anomalies"].summary()["blocked"] is blocks
    if not blocks:
        assert verdict.reasons[0] == "2,000 rows in train, eval: 4 anomalies, none of which blocks."
        assert any("'No Charge'" in reason for reason in verdict.reasons[1:])


def test_a_missing_label_is_an_anomaly_in_training_and_none_when_serving(tmp_path: Path) -> None:
    schema = """
        feature { name: "x" type: INT presence { min_fraction: 1.0 min_count: 1 } }
        feature { name: "label" type: INT presence { min_fraction: 1.0 min_count: 1 } not_in_environment: "SERVING" }
        default_environment: "TRAINING" default_environment: "SERVING"
    """
    statistics = statistics_of(tmp_path / "served", {"requests": {"x": [1, 2, 3]}})
    assert verdict_of(validated(tmp_path, statistics, schema, environment="SERVING")).kind == "valid"
    for environment in (None, "TRAINING"):
        verdict = verdict_of(validated(tmp_path, statistics, schema, environment=environment))
        assert verdict.reasons[0].startswith("Split 'requests', feature 'label': Column dropped (present in none of 3 rows).")
    with pytest.raises(DataError, match=r"no default_environment 'SERVIN'\. Did you mean 'SERVING'"):
        validated(tmp_path, statistics, schema, environment="SERVIN")


def test_drift_and_skew_are_those_of_tfdv(tmp_path: Path) -> None:
    schema = """
        feature { name: "color" type: BYTES drift_comparator { infinity_norm { threshold: 0.1 } } }
        feature { name: "size" type: FLOAT skew_comparator { jensen_shannon_divergence { threshold: 0.05 } } }
    """
    sizes = pa.array(range(100), pa.float32())
    now = statistics_of(tmp_path / "now", {"train": {"color": [b"red"] * 80 + [b"blue"] * 20, "size": sizes}})
    past = statistics_of(tmp_path / "past", {"train": {"color": [b"red"] * 20 + [b"blue"] * 80, "size": sizes}})
    served = statistics_of(tmp_path / "served", {"requests": {"color": [b"red"] * 100, "size": pa.array([1.0] * 100, pa.float32())}})
    outputs = validated(tmp_path, now, schema, {"baseline_statistics": past, "serving_statistics": served})
    expected = tfdv.validate_statistics(
        read_statistics(now, "train"),
        parse_schema(schema),
        previous_statistics=read_statistics(past, "train"),
        serving_statistics=read_statistics(served, "requests"),
    )
    assert anomalies_of(outputs) == expected
    drift = {(one["feature"], one["kind"], one["measure"]): one for one in outputs["anomalies"].summary()["splits"]["train"]["drift"]}
    assert drift["color", "drift", "L_INFTY"]["value"] == pytest.approx(0.6)
    assert ("size", "skew", "JENSEN_SHANNON_DIVERGENCE") in drift
    assert [reason.partition(":")[0] for reason in verdict_of(outputs).reasons] == [
        "Split 'train', feature 'color'",
        "Split 'train', feature 'size'",
    ]
    assert verdict_of(validated(tmp_path, now, schema)).kind == "valid"


def test_a_baseline_without_the_split_is_refused(statistics: Artifact, tmp_path: Path) -> None:
    baseline = statistics_of(tmp_path / "past", {"a": {"x": [1]}, "b": {"x": [1]}})
    with pytest.raises(DataError, match=r"baseline_statistics has no split 'train' to compare with\. It has: a, b"):
        validated(tmp_path, statistics, STRICT, {"baseline_statistics": baseline})


def test_a_split_without_rows_blocks(tmp_path: Path) -> None:
    statistics = statistics_of(tmp_path / "now", {"train": {"x": [1]}, "eval": pa.table({"x": pa.array([], pa.int64())})})
    schema = 'feature { name: "x" type: INT }'
    verdict = verdict_of(validated(tmp_path, statistics, schema))
    assert verdict.reasons == ("Split 'eval': No rows (0 rows).",)
    assert verdict.blocks
    assert not verdict_of(validated(tmp_path, statistics, schema, allow=("DATA_MISSING",))).blocks


def test_too_few_rows_are_an_anomaly_of_the_data_set(tmp_path: Path) -> None:
    statistics = statistics_of(tmp_path / "now", {"train": {"x": [1, 2]}})
    past = statistics_of(tmp_path / "past", {"train": {"x": [1] * 100}})
    schema = """
        feature { name: "x" type: INT }
        dataset_constraints { num_examples_drift_comparator { min_fraction_threshold: 0.5 } }
    """
    outputs = validated(tmp_path, statistics, schema, {"baseline_statistics": past})
    assert anomalies_of(outputs).dataset_anomaly_info.reason
    assert verdict_of(outputs).reasons[0].startswith("Split 'train': ")
    assert "2 rows" in verdict_of(outputs).reasons[0]


def test_an_inferred_schema_has_no_file_to_accept_anything_in(statistics: Artifact, tmp_path: Path) -> None:
    schema = run(SchemaGen, tmp_path, inputs={"statistics": statistics})["schema"]
    other = statistics_of(tmp_path / "other", {"train": {"fare": [b"a lot"]}})
    outputs = run(ExampleValidator, tmp_path, inputs={"statistics": other, "schema": schema})
    reason = next(reason for reason in verdict_of(outputs).reasons if "'fare'" in reason)
    assert 'A schema that accepts it has: feature { name: "fare" type: BYTES }' in reason
    assert "cauce schema accept" not in reason


def test_damaged_statistics_and_schemas_are_named(statistics: Artifact, tmp_path: Path) -> None:
    (tmp_path / "schema.pbtxt").write_text("feature {\n  nam")
    with pytest.raises(DataError, match=r"schema\.pbtxt, line 2"):
        run(ExampleValidator, tmp_path, inputs={"statistics": statistics, "schema": Schema(tmp_path)})
    damaged = statistics_of(tmp_path / "damaged", {"train": {"x": [1]}})
    (damaged.path / "Split-train" / "FeatureStats.pb").write_bytes(b"\xff\xff")
    with pytest.raises(DataError, match=r"FeatureStats\.pb is damaged"):
        validated(tmp_path, damaged, STRICT)


def test_names_of_anomalies_are_checked_when_the_node_is_built() -> None:
    statistics = StatisticsGen(CsvExampleGen(input="trips.csv"))
    schema = SchemaGen(statistics)
    with pytest.raises(DefinitionError, match=r"no kind of anomaly 'SCHEMA_NEW_COLUM'\. Did you mean 'SCHEMA_NEW_COLUMN'"):
        ExampleValidator(statistics, schema, allow=["SCHEMA_NEW_COLUM"])
    with pytest.raises(DefinitionError, match="no kind of anomaly 'ERRROR'"):
        ExampleValidator(statistics, schema, fail_on=["ERRROR"])
    assert ExampleValidator(statistics, schema, fail_on=["DATA_MISSING", "WARNING"]).parameters["fail_on"] == ("DATA_MISSING", "WARNING")


def test_the_documented_example_runs() -> None:
    statistics = StatisticsGen(CsvExampleGen(input="trips.csv"))
    names: dict[str, Any] = {"statistics": statistics, "schema": SchemaGen(statistics), "ExampleValidator": ExampleValidator}
    exec(documented_example(ExampleValidator), names)
    assert names["validator"].anomalies.type.TYPE_NAME == "ExampleAnomalies"
