"""Transform, compared with TensorFlow Transform run by Beam."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam
import jsonschema
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

from components.importer import Importer
from components.records import read_split, shard_files
from components.transform import Transform
from components.transform.analysis import analyze
from components.transform.apply import ShardJob, apply_transform
from components.transform.preprocessing import Analysis, Preprocessing
from components.transform.tensors import feature_spec
from pipeline.artifacts import Artifact, Schema
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError, UserCodeError
from tests.components.rows import documented_example, write_examples
from tests.harness import Outputs, error_boundary, run

pytestmark = pytest.mark.tensorflow

REPOSITORY = Path(__file__).parents[2]
REMOTE = ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",)
"""Names the local runner in a way that Transform does not know, so that Beam gets all the work."""

SCHEMA = """
feature { name: "amount" type: FLOAT presence { min_fraction: 1.0 } shape { dim { size: 1 } } }
feature { name: "count" type: INT presence { min_fraction: 1.0 } shape { dim { size: 1 } } }
feature { name: "color" type: BYTES value_count { min: 1 max: 1 } }
feature { name: "words" type: BYTES }
"""


def rows(number: int, seed: int) -> pa.Table:
    """Rows with outliers, missing values and lists of several values."""
    random = np.random.default_rng(seed)
    colors = [None if random.random() < 0.2 else f"color {int(value)}".encode() for value in random.exponential(5, number)]
    words = [[f"word{int(word)}".encode() for word in random.exponential(4, int(size))] for size in random.integers(0, 5, number)]
    return pa.table(
        {
            "amount": pa.array(random.lognormal(0, 2, number), pa.float32()),
            "count": pa.array(random.integers(-5, 50, number), pa.int64()),
            "color": pa.array(colors, pa.binary()),
            "words": pa.array(words, pa.list_(pa.binary())),
        }
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("inputs")
    examples = write_examples(folder / "examples", {"train": rows(500, 1), "eval": rows(200, 2)}, shards=2)
    schema = Schema(folder / "schema")
    schema.path.mkdir()
    (schema.path / "schema.pbtxt").write_text(SCHEMA)
    return {"examples": [examples], "schema": schema}


def reference_of(source: str) -> str:
    """A module name of its own for each source and test: modules stay loaded."""
    return f"features_{zlib.crc32((source + os.environ['PYTEST_CURRENT_TEST']).encode())}:preprocessing_fn"


def transform(tmp_path: Path, inputs: Mapping[str, Any], source: str, **parameters: Any) -> Outputs:
    """Runs Transform with a `features.py` of the given source."""
    reference = reference_of(source)
    (tmp_path / f"{reference.partition(':')[0]}.py").write_text("import tensorflow as tf\nimport tensorflow_transform as tft\n\n" + source)
    return run(Transform, tmp_path, inputs=dict(inputs), preprocessing_fn=reference, **parameters)


def dense(values: Any) -> Any:
    return tf.sparse.to_dense(values) if isinstance(values, tf.SparseTensor) else values


USUAL = '''
def preprocessing_fn(inputs):
    """Analyzers that need no Beam, in one phase."""
    amount, count, color, words = inputs["amount"], inputs["count"], inputs["color"], inputs["words"]
    both = tf.concat([amount, tf.cast(count, tf.float32)], 1)
    return {
        "scaled": tft.scale_to_z_score(amount),
        "unit": tft.scale_to_0_1(count),
        "bucket": tft.bucketize(amount, 7),
        "sum": amount / tf.cast(tft.sum(count), tf.float32),
        "spread": tf.cast(tft.max(count) - tft.min(count), tf.float32) + amount,
        "pca": tf.matmul(both, tft.pca(both, 1, tf.float32)),
        "color": tft.compute_and_apply_vocabulary(color, vocab_filename="color", top_k=8, num_oov_buckets=2),
        "words": tft.compute_and_apply_vocabulary(words, vocab_filename="words", frequency_threshold=30, store_frequency=True),
        "count": tft.compute_and_apply_vocabulary(count, vocab_filename="count", default_value=-7),
        "heavy": tft.apply_vocabulary(count, tft.vocabulary(count, weights=amount, vocab_filename="heavy", top_k=5)),
        "nothing": tft.compute_and_apply_vocabulary(count, vocab_filename="nothing", frequency_threshold=10000),
    }
'''

PHASES = '''
def preprocessing_fn(inputs):
    """Each analyzer looks at the result of one before it."""
    scaled = tft.scale_to_z_score(inputs["amount"])
    bucket = tft.bucketize(tf.clip_by_value(scaled, -1.0, 1.0), 4)
    index = tft.compute_and_apply_vocabulary(tf.strings.as_string(bucket), vocab_filename="buckets")
    return {"index": index, "again": tft.scale_to_0_1(tf.cast(index, tf.float32) * scaled)}
'''

TWO_PHASES = """
def preprocessing_fn(inputs):
    scaled = tft.scale_to_z_score(inputs["amount"])
    return {"bucket": tft.bucketize(tf.clip_by_value(scaled, -1.0, 1.0), 4), "color": inputs["color"]}
"""

ONLY_BEAM = '''
def preprocessing_fn(inputs):
    """Analyzers of which some are left to Beam."""
    key = tf.strings.as_string(inputs["count"][:, 0] % 3)
    label = tf.cast(inputs["amount"][:, 0] > 1, tf.int64)
    return {
        "scaled": tft.scale_to_z_score(inputs["amount"]),
        "per_key": tft.scale_to_z_score_per_key(inputs["amount"][:, 0], key),
        "informative": tft.compute_and_apply_vocabulary(inputs["count"][:, 0], labels=label, top_k=5, vocab_filename="informative"),
        "shuffled": tft.compute_and_apply_vocabulary(inputs["color"], fingerprint_shuffle=True, vocab_filename="shuffled"),
    }
'''


def by_tft(tmp_path: Path, inputs: Mapping[str, Any], preprocessing_fn: Callable[..., Any], runner: Any) -> tft.TFTransformOutput:
    """The transform graph as TensorFlow Transform itself makes it, with Beam and its own reader."""
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    source = tfxio.TFExampleRecord(str(inputs["examples"][0].split_path("train") / "*.gz"), schema=schema)
    with beam.Pipeline(runner=runner()) as pipeline, tft_beam.Context(temp_dir=str(tmp_path / "tmp")):
        data = pipeline | source.BeamSource()
        graph = (data, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(preprocessing_fn)
        _ = graph | tft_beam.WriteTransformFn(str(tmp_path / "tft"))
    return tft.TFTransformOutput(str(tmp_path / "tft"))


def records(examples: Artifact, split: str) -> Any:
    """All serialized records of a split, in order."""
    files = [str(file) for file in shard_files(examples.split_path(split))]
    return next(iter(tf.data.TFRecordDataset(files, "GZIP").batch(10_000)))


def raw(examples: Artifact, split: str) -> dict[str, Any]:
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    return tf.io.parse_example(records(examples, split), feature_spec(schema))


def assert_equal(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert set(actual) == set(expected)
    for name, value in expected.items():
        one, other = (dense(values).numpy() for values in (actual[name], value))
        if one.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.mark.parametrize(
    ("source", "runner", "local"),
    [
        (USUAL, FnApiRunner, True),
        (PHASES, BundleBasedDirectRunner, True),  # FnApiRunner of Beam 2.72 fails at the third phase of analyzers
        (ONLY_BEAM, FnApiRunner, False),
    ],
    ids=["usual", "phases", "only beam"],
)
def test_results_are_those_of_tensorflow_transform(
    source: str, runner: Any, local: bool, tmp_path: Path, inputs: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cauce")
    outputs = transform(tmp_path, inputs, source)
    expected = by_tft(tmp_path, inputs, outputs.context.load(reference_of(source)), runner)
    assert ("Beam runs the analyzers" in caplog.text) is not local
    ours = tft.TFTransformOutput(str(outputs["transform_graph"].path))
    for split in ("train", "eval"):
        transformed = tf.io.parse_example(records(outputs["transformed_examples"], split), ours.transformed_feature_spec())
        assert_equal(transformed, expected.transform_features_layer()(raw(inputs["examples"][0], split)))
    assert ours.transformed_metadata.schema == expected.transformed_metadata.schema
    assets = {file.name: file.read_bytes() for file in Path(expected.transform_savedmodel_dir, "assets").glob("*")}
    assert assets == {file.name: file.read_bytes() for file in Path(ours.transform_savedmodel_dir, "assets").glob("*")}


def test_graph_has_the_layout_of_tfx(tmp_path: Path, inputs: dict[str, Any]) -> None:
    path = transform(tmp_path, inputs, USUAL)["transform_graph"].path
    assert {item.name for item in path.iterdir()} == {"transform_fn", "transformed_metadata", "metadata", "summary.json"}
    output = tft.TFTransformOutput(str(path))
    assert output.raw_feature_spec() == feature_spec(text_format.Parse(SCHEMA, schema_pb2.Schema()))
    assert output.vocabulary_by_name("color")[0] == b"color 0"
    assert output.num_buckets_for_transformed_feature("bucket") == 7


def test_summary_says_what_the_analyzers_found(tmp_path: Path, inputs: dict[str, Any]) -> None:
    outputs = transform(tmp_path, inputs, USUAL)
    summary = outputs["transform_graph"].summary()
    jsonschema.validate(summary, json.loads((REPOSITORY / "schemas/summaries/TransformGraph.json").read_text()))
    assert summary["inputs"] == ["amount", "color", "count", "words"]
    features = {feature["name"]: feature for feature in summary["features"]}
    assert features["bucket"] == {
        "name": "bucket", "dtype": "int64", "kind": "FixedLenFeature", "shape": [1], "domain": [0, 6], "categorical": True
    }  # fmt: skip
    vocabularies = {vocabulary["name"]: vocabulary for vocabulary in summary["vocabularies"]}
    assert vocabularies["color"]["size"] == 8
    assert vocabularies["color"]["first"][0] == "color 0"
    amounts = np.concatenate(raw(inputs["examples"][0], "train")["amount"].numpy())
    assert summary["values"]["scale_to_z_score_sub_y"] == pytest.approx(float(amounts.mean()), rel=1e-4)
    examples = outputs["transformed_examples"]
    jsonschema.validate(examples.summary(), json.loads((REPOSITORY / "schemas/summaries/Examples.json").read_text()))
    assert {split: counts["rows"] for split, counts in examples.summary()["splits"].items()} == {"train": 500, "eval": 200}


def test_each_row_comes_out_once(tmp_path: Path, inputs: dict[str, Any]) -> None:
    outputs = transform(tmp_path, inputs, PHASES, batch_rows=64)
    assert outputs.context.rows is not None
    assert outputs.context.rows.read == 700
    assert outputs.context.rows.missing == 0
    assert outputs["transformed_examples"].record_counts == {"train": 500, "eval": 200}
    assert [file.name for file in shard_files(outputs["transformed_examples"].split_path("train"))] == [
        "data_tfrecord-00000-of-00002.gz",
        "data_tfrecord-00001-of-00002.gz",
    ]


def test_several_examples_are_taken_together(tmp_path: Path, inputs: dict[str, Any]) -> None:
    more = write_examples(tmp_path / "more", {"train": rows(50, 3), "eval": rows(20, 4)})
    more.properties["span"] = 7
    outputs = transform(tmp_path, {**inputs, "examples": [*inputs["examples"], more]}, PHASES)
    assert outputs["transformed_examples"].record_counts == {"train": 550, "eval": 220}
    assert outputs["transformed_examples"].properties["span"] == 7
    amounts = np.concatenate([raw(examples, "train")["amount"].numpy() for examples in (*inputs["examples"], more)])
    assert outputs["transform_graph"].summary()["values"]["scale_to_z_score_sub_y"] == pytest.approx(float(amounts.mean()), rel=1e-4)


def test_splits_to_analyze_and_to_transform_can_be_chosen(tmp_path: Path, inputs: dict[str, Any]) -> None:
    outputs = transform(tmp_path, inputs, PHASES, analyze_splits=("eval",), transform_splits=("train",))
    amounts = raw(inputs["examples"][0], "eval")["amount"].numpy()
    assert outputs["transform_graph"].summary()["values"]["scale_to_z_score_sub_y"] == pytest.approx(float(amounts.mean()), rel=1e-4)
    assert outputs["transformed_examples"].record_counts == {"train": 500}


def test_nothing_is_written_without_materialize(tmp_path: Path, inputs: dict[str, Any]) -> None:
    outputs = transform(tmp_path, inputs, PHASES, materialize=False)
    assert list(outputs["transformed_examples"].path.iterdir()) == []
    assert (outputs["transform_graph"].path / "transform_fn" / "saved_model.pb").is_file()


def test_custom_config_reaches_a_function_that_takes_it(tmp_path: Path, inputs: dict[str, Any]) -> None:
    source = "def preprocessing_fn(inputs, custom_config):\n    return {custom_config['name']: inputs['amount']}\n"
    outputs = transform(tmp_path, inputs, source, custom_config={"name": "chosen"})
    assert [feature["name"] for feature in outputs["transform_graph"].summary()["features"]] == ["chosen"]


def test_another_runner_gives_the_same_rows(tmp_path: Path, inputs: dict[str, Any]) -> None:
    local = transform(tmp_path, inputs, TWO_PHASES)
    context = Context("p", "r", "Transform", 1, tmp_path, tmp_path, tmp_path / "temp", tmp_path / "state", beam_args=REMOTE)
    graph, output = tmp_path / "graph", tmp_path / "output"
    for folder in (context.temp, graph, output):
        folder.mkdir()
    function = context.load(reference_of(TWO_PHASES))
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    (examples,) = inputs["examples"]
    train = tuple(shard_files(examples.split_path("train")))
    preprocess = Preprocessing(function, "Transform", "features", {})
    analyze(context, Analysis(train, schema, preprocess, graph, context.temp / "tft", 128))
    jobs = [ShardJob(file, output / file.name) for file in train]
    assert apply_transform(context, graph, {"train": jobs}, batch_rows=128)["train"].rows == 500
    assert [file.name for file in output.iterdir() if file.name.startswith(".")] == []
    spec = tft.TFTransformOutput(str(graph)).transformed_feature_spec()
    files = [str(file) for file in shard_files(output)]
    by_beam = tf.io.parse_example(next(iter(tf.data.TFRecordDataset(files, "GZIP").batch(1000))), spec)
    assert_equal(by_beam, tf.io.parse_example(records(local["transformed_examples"], "train"), spec))


FRESH = """
import sys
from pathlib import Path
from components.transform import Transform
from pipeline.artifacts import Examples, Schema
from pipeline.hashing import digest_tree
from tests.harness import run

folder, examples, schema = map(Path, sys.argv[1:4])
artifact = Examples(examples)
artifact.set_splits(["train", "eval"])
outputs = run(Transform, folder, inputs={"examples": [artifact], "schema": Schema(schema)}, preprocessing_fn="features")
print(*(digest_tree(outputs[name].path) for name in ("transform_graph", "transformed_examples")))
"""


def test_equal_inputs_give_equal_bytes_in_every_process(tmp_path: Path, inputs: dict[str, Any]) -> None:
    digests = set()
    for number in range(2):
        folder = tmp_path / f"place-{number}"
        folder.mkdir()
        (folder / "features.py").write_text("import tensorflow as tf\nimport tensorflow_transform as tft\n" + PHASES)
        arguments = [str(folder), str(inputs["examples"][0].path), str(inputs["schema"].path)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run([sys.executable, "-c", FRESH, *arguments], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout.splitlines()[-1])
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def preprocessing_fn(inputs):\n    return {'x': inputs['amuont']}\n", "asks for the feature 'amuont'.*Did you mean 'amount'"),
        (
            "def preprocessing_fn(inputs):\n    raise ValueError('too bad')\n",
            r"_\d+.py:5 preprocessing_fn raised ValueError: too bad",
        ),
        ("def preprocessing_fn(inputs):\n    return [inputs['amount']]\n", "must return a non-empty dict.*list"),
        ("def preprocessing_fn(inputs):\n    return {}\n", "must return a non-empty dict"),
        ("def preprocessing_fn(inputs):\n    return {'x': 3}\n", "'x': 3 of type int"),
        ("def preprocessing_fn(inputs):\n    return {'x': inputs['amount'][:5]}\n", "makes 5 rows of 250"),
        ("def preprocessing(inputs):\n    return inputs\n", "has no function 'preprocessing_fn'. Did you mean 'preprocessing'"),
    ],
)
def test_mistakes_in_user_code_are_named(source: str, message: str, tmp_path: Path, inputs: dict[str, Any]) -> None:
    with pytest.raises((UserCodeError, DefinitionError), match=message), error_boundary(tmp_path):
        transform(tmp_path, inputs, source)


def test_operation_that_fails_on_the_data_is_not_called_a_wrong_record(tmp_path: Path, inputs: dict[str, Any]) -> None:
    source = "def preprocessing_fn(inputs):\n    return {'x': tf.strings.to_number(tf.strings.as_string(inputs['amount']) + ' km')}\n"
    with pytest.raises(UserCodeError, match=r"preprocessing_fn cannot transform a batch of .*data_tfrecord-.*convert string: .* km"):
        transform(tmp_path, inputs, source)


def test_record_without_a_required_feature_is_an_error_that_names_file_and_feature(tmp_path: Path, inputs: dict[str, Any]) -> None:
    lacking = write_examples(tmp_path / "lacking", {"train": rows(20, 5).drop(["amount"])})
    with pytest.raises(DataError, match=r"data_tfrecord-00000-of-00001.gz: a record does not fit the schema.*amount"):
        transform(tmp_path, {**inputs, "examples": [lacking]}, PHASES)


def test_damaged_shard_is_an_error_that_names_the_file(tmp_path: Path, inputs: dict[str, Any]) -> None:
    damaged = write_examples(tmp_path / "damaged", {"train": rows(2000, 5)})
    (shard,) = shard_files(damaged.split_path("train"))
    shard.write_bytes(shard.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"Split-train/data_tfrecord-00000-of-00001.gz is damaged"):
        transform(tmp_path, {**inputs, "examples": [damaged]}, PHASES)


def test_rows_to_analyze_must_exist(tmp_path: Path, inputs: dict[str, Any]) -> None:
    empty = write_examples(tmp_path / "empty", {"train": rows(0, 5), "eval": rows(5, 6)})
    with pytest.raises(DataError, match="no rows to analyze: train"):
        transform(tmp_path, {**inputs, "examples": [empty]}, PHASES)


def test_examples_with_different_splits_are_refused(tmp_path: Path, inputs: dict[str, Any]) -> None:
    other = write_examples(tmp_path / "other", {"train": rows(5, 5), "test": rows(5, 6)})
    with pytest.raises(DataError, match="different splits: train, eval and train, test"):
        transform(tmp_path, {**inputs, "examples": [*inputs["examples"], other]}, PHASES)


def test_an_empty_split_stays_empty(tmp_path: Path, inputs: dict[str, Any]) -> None:
    half = write_examples(tmp_path / "half", {"train": rows(30, 5), "eval": rows(0, 6)})
    outputs = transform(tmp_path, {**inputs, "examples": [half]}, PHASES)
    assert outputs["transformed_examples"].record_counts == {"train": 30, "eval": 0}
    assert list(read_split(outputs["transformed_examples"].split_path("eval"))) == []


def test_parameters_are_checked_when_the_node_is_built() -> None:
    examples, schema = Importer(source="e", artifact_type="Examples"), Importer(source="s", artifact_type="Schema")
    with pytest.raises(DefinitionError, match="analyze_splits is empty"):
        Transform(examples, schema, analyze_splits=())
    with pytest.raises(DefinitionError, match="batch_rows must be at least 1"):
        Transform(examples, schema, batch_rows=0)


def test_example_in_the_docstring_runs(tmp_path: Path) -> None:
    definition, features = documented_example(Transform).split("# features.py\n")
    assert "Transform(examples, schema" in definition
    table = pa.table({"temp": pa.array([0.1, 0.5, 0.9], pa.float32()), "hr": pa.array([1, 2, 3], pa.int64())})
    schema = Schema(tmp_path / "schema")
    schema.path.mkdir()
    shape = "presence { min_fraction: 1.0 } shape { dim { size: 1 } }"
    (schema.path / "schema.pbtxt").write_text(f'feature {{ name: "temp" type: FLOAT {shape} }} feature {{ name: "hr" type: INT {shape} }}')
    examples = write_examples(tmp_path / "examples", {"train": table, "eval": table})
    outputs = transform(tmp_path, {"examples": [examples], "schema": schema}, features)
    spec = tft.TFTransformOutput(str(outputs["transform_graph"].path)).transformed_feature_spec()
    values = tf.io.parse_example(records(outputs["transformed_examples"], "eval"), spec)
    np.testing.assert_allclose(values["temperature"].numpy()[:, 0], [-1.2247, 0, 1.2247], atol=1e-3)
    assert values["hour"].numpy().tolist() == [[1], [2], [3]]
