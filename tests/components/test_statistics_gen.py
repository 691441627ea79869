"""StatisticsGen, compared with TensorFlow Data Validation itself."""

from __future__ import annotations

import gzip
import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx_bsl.arrow import table_util

from components.example_gen.csv_example_gen import CsvExampleGen
from components.records import shard_files
from components.statistics.component import StatisticsGen
from components.statistics.engine import compute_statistics
from components.statistics.reader import known_columns, read_rows
from components.statistics.value_counts import ValueCounter
from pipeline.artifacts import Artifact, Examples, Schema
from pipeline.errors import DataError, DefinitionError
from tests.components.rows import DATA, SCHEMAS, documented_example, read_csv, taxi, write_examples
from tests.harness import run

pytestmark = pytest.mark.tensorflow

Statistics = statistics_pb2.DatasetFeatureStatisticsList


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return taxi(tmp_path_factory.mktemp("trips"), shards=2)


def computed(artifact: Artifact, split: str = "train") -> Any:
    return Statistics.FromString((artifact.path / f"Split-{split}" / "FeatureStats.pb").read_bytes())


def expected(examples: Examples, split: str = "train", **options: Any) -> Any:
    """What TFDV's own Beam pipeline gives for a split."""
    return tfdv.generate_statistics_from_tfrecord(str(examples.split_path(split) / "*"), stats_options=tfdv.StatsOptions(**options))


def assert_same(ours: Any, theirs: Any, *, rel: float = 1e-9) -> None:
    """Both have the same content; means and deviations, which come from sums, may differ in the last digits."""
    assert len(ours.datasets) == len(theirs.datasets)
    for mine in ours.datasets:
        other = next(dataset for dataset in theirs.datasets if dataset.name == mine.name)
        assert mine.num_examples == other.num_examples
        assert mine.weighted_num_examples == pytest.approx(other.weighted_num_examples)
        features = {tuple(feature.path.step): feature for feature in other.features}
        assert sorted(features) == sorted(tuple(feature.path.step) for feature in mine.features)
        for feature in mine.features:
            _assert_same_message(feature, features[tuple(feature.path.step)], "/".join(feature.path.step), rel)


def _assert_same_message(mine: Any, other: Any, where: str, rel: float) -> None:
    assert {field.name for field, _ in mine.ListFields()} == {field.name for field, _ in other.ListFields()}, where
    for field, value in mine.ListFields():
        place, theirs = f"{where}.{field.name}", getattr(other, field.name)
        many = not hasattr(value, "ListFields") and hasattr(value, "__len__") and not isinstance(value, str | bytes)
        for one, another in zip(value, theirs, strict=True) if many else [(value, theirs)]:
            if hasattr(one, "ListFields"):
                _assert_same_message(one, another, place, rel)
            elif isinstance(one, float):
                assert one == pytest.approx(another, rel=rel, abs=1e-12, nan_ok=True), place
            else:
                assert one == another, place


def test_statistics_are_those_of_tfdv_for_each_split(trips: Examples, tmp_path: Path) -> None:
    outputs = run(StatisticsGen, tmp_path, inputs={"examples": trips})
    assert outputs["statistics"].splits == ("train", "eval")
    for split in ("train", "eval"):
        assert_same(computed(outputs["statistics"], split), expected(trips, split))


def test_the_comparison_notices_another_number(trips: Examples, tmp_path: Path) -> None:
    ours = computed(run(StatisticsGen, tmp_path, inputs={"examples": trips})["statistics"])
    theirs = expected(trips)
    next(feature for feature in theirs.datasets[0].features if feature.path.step[0] == "company").string_stats.unique += 1
    with pytest.raises(AssertionError, match="company"):
        assert_same(ours, theirs)


def test_options_mean_what_they_mean_in_tfdv(trips: Examples, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "num_top_values": 3,
        "frequency_threshold": 5,
        "num_rank_histogram_buckets": 4,
        "num_values_histogram_buckets": 5,
        "num_histogram_buckets": 7,
        "num_quantiles_histogram_buckets": 4,
        "epsilon": 0.05,
    }
    outputs = run(StatisticsGen, tmp_path, inputs={"examples": trips}, exclude_splits=("eval",), **options)
    assert outputs["statistics"].splits == ("train",)
    assert not (outputs["statistics"].path / "Split-eval").exists()
    assert_same(computed(outputs["statistics"]), expected(trips, **options))


def test_semantic_domains_are_those_of_tfdv(trips: Examples, tmp_path: Path) -> None:
    def domains(statistics: Any) -> list[tuple[str, str]]:
        features = statistics.datasets[0].features
        return sorted(
            (feature.path.step[0], stat.str) for feature in features for stat in feature.custom_stats if stat.name == "domain_info"
        )

    outputs = run(StatisticsGen, tmp_path, inputs={"examples": trips}, enable_semantic_domain_stats=True, exclude_splits=("eval",))
    theirs = expected(trips, enable_semantic_domain_stats=True)
    assert ("company", "natural_language_domain {}") in domains(theirs)
    assert domains(computed(outputs["statistics"])) == domains(theirs)


def test_weights_mean_what_they_mean_in_tfdv(trips: Examples, tmp_path: Path) -> None:
    features = ("company", "payment_type", "fare", "trip_start_hour")
    outputs = run(
        StatisticsGen,
        tmp_path,
        inputs={"examples": trips},
        feature_allowlist=features,
        weight_feature="fare",
        weighted_frequency_threshold=100.0,
        per_feature_weight_override={"company": "trip_start_hour"},
    )
    theirs = expected(
        trips,
        feature_allowlist=list(features),
        weight_feature="fare",
        weighted_frequency_threshold=100.0,
        per_feature_weight_override={tfdv.FeaturePath(["company"]): "trip_start_hour"},
    )
    assert_same(computed(outputs["statistics"]), theirs, rel=1e-6)  # TFDV adds weights up in single precision


def test_rows_without_any_of_the_allowed_features_count(trips: Examples, tmp_path: Path) -> None:
    outputs = run(StatisticsGen, tmp_path, inputs={"examples": trips}, feature_allowlist=("nowhere",))
    (feature,) = outputs["statistics"].summary()["splits"]["train"]["features"]
    assert outputs["statistics"].record_counts == {"train": 1400, "eval": 600}
    assert (feature["name"], feature["present"], feature["missing"]) == ("nowhere", 0, 1400)


def test_slices_are_those_of_tfdv(trips: Examples, tmp_path: Path) -> None:
    slices, features = ["payment_type", ["trip_start_day", "company"]], ("payment_type", "trip_start_day", "company", "fare")
    outputs = run(StatisticsGen, tmp_path, inputs={"examples": trips}, slices=slices, feature_allowlist=features, exclude_splits=("eval",))
    slicers = [
        tfdv.experimental_get_feature_value_slicer({"payment_type": None}),
        tfdv.experimental_get_feature_value_slicer({"trip_start_day": None, "company": None}),
    ]
    # TFDV takes a batch without any company for a slice "company_None", so that small batches give it slices of their own.
    theirs = expected(trips, experimental_slice_functions=slicers, feature_allowlist=list(features), desired_batch_size=2000)
    assert len(theirs.datasets) > 20
    assert_same(computed(outputs["statistics"]), theirs)
    summary = outputs["statistics"].summary()["splits"]["train"]
    assert summary["rows"] == 1400
    assert sum(rows for name, rows in summary["slices"].items() if name.startswith("payment_type")) == 1400


def test_a_schema_makes_integers_categories_and_strings_bytes(trips: Examples, tmp_path: Path) -> None:
    text = """
        feature { name: "trip_start_hour" type: INT int_domain { min: 0 max: 23 is_categorical: true } }
        feature { name: "company" type: BYTES image_domain {} }
    """
    (tmp_path / "schema.pbtxt").write_text(text)
    outputs = run(StatisticsGen, tmp_path, inputs={"examples": trips, "schema": Schema(tmp_path)}, exclude_splits=("eval",))
    assert_same(computed(outputs["statistics"]), expected(trips, schema=text_format.Parse(text, schema_pb2.Schema())))
    features = {feature["name"]: feature for feature in outputs["statistics"].summary()["splits"]["train"]["features"]}
    assert features["trip_start_hour"]["strings"]["unique"] == 24
    assert features["company"]["bytes"]["max"] > 0


def test_a_runner_of_the_user_gets_the_same_results_from_beam(trips: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"slices": ["payment_type"], "feature_allowlist": ("payment_type", "company", "fare", "pickup_census_tract")}
    local = run(StatisticsGen, tmp_path, inputs={"examples": trips}, **options)["statistics"]
    monkeypatch.setattr("components.statistics.spans.LOCAL_RUNNERS", ())
    remote = run(StatisticsGen, tmp_path, inputs={"examples": trips}, **options)["statistics"]
    for split in ("train", "eval"):
        assert_same(computed(local, split), computed(remote, split))
    assert local.record_counts == remote.record_counts == {"train": 1400, "eval": 600}


def test_a_sample_is_about_its_share_of_the_rows_and_always_the_same(trips: Examples, tmp_path: Path) -> None:
    first = run(StatisticsGen, tmp_path, inputs={"examples": trips}, sample_rate=0.5)
    second = run(StatisticsGen, tmp_path, inputs={"examples": trips}, sample_rate=0.5)
    rows = first["statistics"].record_counts
    assert 0.4 * 1400 < rows["train"] < 0.6 * 1400
    assert (first["statistics"].path / "summary.json").read_bytes() == (second["statistics"].path / "summary.json").read_bytes()
    assert first.context.rows is not None
    assert first.context.rows.dropped == {"not sampled": 2000 - sum(rows.values())}
    assert first.context.rows.missing == 0


def test_results_are_the_same_bytes_each_time(trips: Examples, tmp_path: Path) -> None:
    first, second = (run(StatisticsGen, tmp_path, inputs={"examples": trips})["statistics"] for _ in range(2))
    for file in ("Split-train/FeatureStats.pb", "Split-eval/FeatureStats.pb", "summary.json"):
        assert (first.path / file).read_bytes() == (second.path / file).read_bytes()


@pytest.mark.filterwarnings("ignore:invalid value encountered")  # of TFDV, for infinities
def test_lists_missing_values_and_odd_numbers_are_counted_as_tfdv_counts_them(tmp_path: Path) -> None:
    rows = {
        "lists": pa.array([[1, 2], [], None, [3]] * 50, pa.list_(pa.int64())),
        "floats": pa.array([[float("nan")], [float("inf")], [-float("inf")], [0.0]] * 50, pa.list_(pa.float32())),
        "texts": pa.array([[b"\xff\xfe"], [b"a", b"b"], [b""], None] * 50, pa.list_(pa.binary())),
        "nothing": pa.nulls(200),
    }
    examples = write_examples(tmp_path / "odd", {"train": rows})
    outputs = run(StatisticsGen, tmp_path, inputs={"examples": examples})
    assert_same(computed(outputs["statistics"]), expected(examples))
    json.loads((outputs["statistics"].path / "summary.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_known_columns_are_read_to_the_same_batches(tmp_path: Path) -> None:
    (tmp_path / "trips.csv").write_bytes((DATA / "taxi" / "span-1" / "trips.csv").read_bytes())
    examples = run(CsvExampleGen, tmp_path, input="trips.csv")["examples"]
    files = shard_files(examples.split_path("train"))
    assert known_columns(examples, "train") is None, "the parser is not worth it for so few rows"
    examples.set_record_counts(dict.fromkeys(examples.splits, 1_000_000))
    columns = known_columns(examples, "train")
    assert columns is not None
    fast, slow = (table_util.MergeRecordBatches(list(read_rows(files, known, batch_rows=1000))) for known in (columns, None))
    assert fast.num_rows == slow.num_rows == examples.summary()["splits"]["train"]["rows"] > 9_000
    assert fast.equals(slow)


@pytest.mark.parametrize(
    "columns", [[{"name": "x", "type": "int64", "missing": 0, "empty_lists": 1}], [{"name": "x", "type": "int64"}], None]
)
def test_columns_with_empty_lists_or_an_unknown_number_are_not_known(tmp_path: Path, columns: Any) -> None:
    examples = write_examples(tmp_path, {"train": {"x": [1]}})
    examples.set_record_counts({"train": 1_000_000})
    examples.write_summary({"columns": columns})
    assert known_columns(examples, "train") is None


def test_damaged_rows_are_named_by_either_reader(trips: Examples, tmp_path: Path) -> None:
    whole = shard_files(trips.split_path("train"))[0].read_bytes()
    file = tmp_path / "data_tfrecord-00000-of-00001.gz"
    for content, message in ((whole[: len(whole) // 2], "cut off"), (b"not a shard at all", "not a TFRecord file")):
        file.write_bytes(content)
        for columns in (None, {"fare": "float32"}):
            with pytest.raises(DataError, match=rf"{file.name}.*{message}"):
                list(read_rows([file], columns))


def test_a_type_that_does_not_fit_is_an_error(trips: Examples) -> None:
    with pytest.raises(DataError, match=r"do not have the columns of their summary.*fare"):
        list(read_rows(shard_files(trips.split_path("train")), {"fare": "int64"}))


def test_fewer_rows_than_were_written_are_an_error(tmp_path: Path) -> None:
    examples = write_examples(tmp_path / "rows", {"train": {"x": [1, 2, 3]}})
    examples.set_record_counts({"train": 4})
    with pytest.raises(DataError, match="holds 3 rows, and 4 were written"):
        run(StatisticsGen, tmp_path, inputs={"examples": examples})


def test_rows_without_features_and_a_split_without_rows_are_counted(tmp_path: Path) -> None:
    examples = write_examples(tmp_path / "rows", {"train": pa.table({"x": pa.array([], pa.int64())})})
    with gzip.open(shard_files(examples.split_path("train"))[0], "rb") as file:
        assert file.read() == b""
    outputs = run(StatisticsGen, tmp_path, inputs={"examples": examples})
    assert outputs["statistics"].record_counts == {"train": 0}
    assert outputs["statistics"].summary() == {"splits": {"train": {"rows": 0, "features": [], "slices": {}}}}
    assert_same(computed(outputs["statistics"]), expected(examples))


def test_splits_that_do_not_exist_or_are_all_excluded_are_refused(trips: Examples, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"exclude_splits names 'evil'; the examples have the splits: train, eval"):
        run(StatisticsGen, tmp_path, inputs={"examples": trips}, exclude_splits=("evil",))
    with pytest.raises(DataError, match=r"No split is left. The examples have: train, eval"):
        run(StatisticsGen, tmp_path, inputs={"examples": trips}, exclude_splits=("train", "eval"))


def test_the_summary_is_as_documented_and_needs_no_tensorflow(trips: Examples, tmp_path: Path) -> None:
    summary = run(StatisticsGen, tmp_path, inputs={"examples": trips})["statistics"].summary()
    jsonschema.validate(summary, json.loads((SCHEMAS / "summaries" / "ExampleStatistics.json").read_text()))
    features = {feature["name"]: feature for feature in summary["splits"]["train"]["features"]}
    fares = read_csv(DATA / "taxi" / "span-1" / "trips.csv").slice(0, 1400).column("fare").to_numpy()
    assert features["fare"]["numeric"]["mean"] == pytest.approx(float(fares.astype(np.float64).mean()))
    assert features["fare"]["numeric"]["max"] == fares.max()
    assert sum(bucket["count"] for bucket in features["fare"]["numeric"]["histogram"]) == pytest.approx(1400)
    assert features["payment_type"]["strings"]["top_values"][0]["value"] == "Cash"
    assert features["company"]["missing"] + features["company"]["present"] == 1400


def test_parameters_are_checked_when_the_node_is_built(trips: Examples) -> None:
    examples = CsvExampleGen(input="trips.csv")
    for parameters, message in (
        ({"sample_rate": 0.0}, "sample_rate must be above 0"),
        ({"weight_feature": "fare", "feature_allowlist": ["tips"]}, "must hold the features to weigh and to slice by: 'fare'"),
        ({"slices": ["tips", ["fare", "tips"]], "feature_allowlist": ["tips"]}, "must hold .* slice by: 'fare'"),
    ):
        with pytest.raises(DefinitionError, match=message):
            StatisticsGen(examples, **parameters)


def test_the_documented_example_runs() -> None:
    names: dict[str, Any] = {"examples": CsvExampleGen(input="trips.csv"), "StatisticsGen": StatisticsGen}
    exec(documented_example(StatisticsGen), names)
    assert names["statistics"].parameters["num_top_values"] == 10


def test_values_that_do_not_fit_into_memory_are_counted_exactly(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    held, spilled = ValueCounter(tmp_path / "held"), ValueCounter(tmp_path / "spilled", memory_bytes=1 << 16)
    counts: dict[bytes, int] = {}
    for _ in range(12):
        numbers = np.concatenate([random.zipf(1.2, 10_000) % 1_000_000, random.integers(0, 1_000_000, 10_000)])
        batch = [b"value-%d" % number for number in numbers]
        for value in batch:
            counts[value] = counts.get(value, 0) + 1
        for counter in (held, spilled):
            counter.add(pa.array(batch, pa.large_binary()))
    top = sorted(((count, value) for value, count in counts.items()), reverse=True)[:50]
    assert list((tmp_path / "spilled").iterdir())
    assert not (tmp_path / "held").exists()
    for counter in (held, spilled):
        found = counter.result(50)
        assert found is not None
        distinct, by_count, by_weight = found
        assert distinct == len(counts)
        assert list(zip(by_count.sums[:, 0].astype(int).tolist(), by_count.values.to_pylist())) == top
        assert by_weight.values.to_pylist() == [value for _, value in top]


def test_integers_spill_too(tmp_path: Path) -> None:
    counter = ValueCounter(tmp_path / "spilled", memory_bytes=1 << 16)
    for start in range(0, 400_000, 50_000):
        counter.add(pa.array(np.arange(start, start + 50_000) % 300_000))
    found = counter.result(3)
    assert found is not None
    assert found[0] == 300_000
    assert found[1].values.to_pylist() == [99_999, 99_998, 99_997]


def test_batches_are_forgotten_once_they_are_counted(trips: Examples, tmp_path: Path) -> None:
    made: list[weakref.ref[pa.RecordBatch]] = []
    most = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal most
        (batch, *_) = read_rows(shard_files(trips.split_path("train")), None)
        for _ in range(200):
            copy = table_util.RecordBatchTake(batch, pa.array(range(batch.num_rows)))
            made.append(weakref.ref(copy))
            yield copy
            del copy
            most = max(most, sum(reference() is not None for reference in made))

    result = compute_statistics(batches(), tfdv.StatsOptions(), temp=tmp_path)
    assert result.datasets[0].num_examples == 200 * 700
    assert 1 < most < 50


def test_rows_without_a_slicing_feature_are_in_no_slice_of_it(tmp_path: Path) -> None:
    rows = {"company": [None, b"a"] * 50, "hour": list(range(2)) * 50}
    examples = write_examples(tmp_path / "rows", {"train": rows}, shards=2)
    outputs = run(StatisticsGen, tmp_path, inputs={"examples": examples}, slices=["company", ["company", "hour"]])
    assert outputs["statistics"].summary()["splits"]["train"]["slices"] == {"company_a": 50, "company_a_hour_1": 50}
