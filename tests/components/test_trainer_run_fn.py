"""Trainer with `run_fn`, as TFX's users write it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

from components.trainer import Trainer
from components.trainer.fn_args import data_accessor
from pipeline.artifacts import HyperParameters
from pipeline.errors import DefinitionError, StorageError, UserCodeError
from tests.components.weather import module, serialized, trained, transformed
from tests.harness import error_boundary, run

pytestmark = pytest.mark.tensorflow

REPOSITORY = Path(__file__).parents[2]

TFX_MODULE = """
from typing import List

import tensorflow as tf
import tensorflow_transform as tft
from components.trainer import DataAccessor, FnArgs
from tfx_bsl.tfxio import dataset_options

_LABEL_KEY = "rain"


def _serving_signature(model, tf_transform_output):
    model.tft_layer_inference = tf_transform_output.transform_features_layer()

    @tf.function(input_signature=[tf.TensorSpec(shape=[None], dtype=tf.string, name="examples")])
    def serve_tf_examples_fn(serialized_tf_example):
        raw_feature_spec = tf_transform_output.raw_feature_spec()
        raw_feature_spec.pop(_LABEL_KEY)
        raw_feature_spec.pop("sky")
        raw_features = tf.io.parse_example(serialized_tf_example, raw_feature_spec)
        transformed_features = model.tft_layer_inference(raw_features)
        return {"outputs": model({name: transformed_features[name] for name in ("pressure", "humidity")})}

    return serve_tf_examples_fn


def _input_fn(file_pattern: List[str], data_accessor: DataAccessor, tf_transform_output, batch_size: int) -> tf.data.Dataset:
    return data_accessor.tf_dataset_factory(
        file_pattern,
        dataset_options.TensorFlowDatasetOptions(batch_size=batch_size, label_key=_LABEL_KEY),
        tf_transform_output.transformed_metadata.schema,
    ).repeat()


def run_fn(fn_args: FnArgs):
    tf_transform_output = tft.TFTransformOutput(fn_args.transform_output)
    train_dataset = _input_fn(fn_args.train_files, fn_args.data_accessor, tf_transform_output, 32)
    eval_dataset = _input_fn(fn_args.eval_files, fn_args.data_accessor, tf_transform_output, 32)
    inputs = {name: tf.keras.layers.Input(name=name, shape=(1,), dtype=tf.float32) for name in ("pressure", "humidity")}
    output = tf.keras.layers.Dense(1, activation="sigmoid")(tf.keras.layers.concatenate(list(inputs.values())))
    model = tf.keras.Model(inputs, output)
    model.compile(loss="binary_crossentropy", optimizer=tf.keras.optimizers.Adam(0.05), metrics=[tf.keras.metrics.BinaryAccuracy()])
    keep = lambda features, label: ({name: features[name] for name in ("pressure", "humidity")}, label)
    tensorboard = tf.keras.callbacks.TensorBoard(log_dir=fn_args.model_run_dir, update_freq="epoch")
    model.fit(
        train_dataset.map(keep), steps_per_epoch=fn_args.train_steps, validation_data=eval_dataset.map(keep),
        validation_steps=fn_args.eval_steps, callbacks=[tensorboard], verbose=0,
    )
    tf.saved_model.save(model, fn_args.serving_model_dir, signatures={"serving_default": _serving_signature(model, tf_transform_output)})
"""

RECORD = """
ARGUMENTS = []

def run_fn(fn_args):
    ARGUMENTS.append(fn_args)
    import tensorflow as tf
    from tfx_bsl.tfxio import dataset_options
    options = dataset_options.RecordBatchesOptions(batch_size=10, num_epochs=1)
    batch = next(fn_args.data_accessor.record_batch_factory(fn_args.eval_files, options))
    assert batch.num_rows == 10
    module = tf.Module()
    module.keras = tf.Variable(tf.keras.__version__)
    tf.saved_model.save(module, fn_args.serving_model_dir)
"""


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return transformed(tmp_path_factory.mktemp("weather"))


def test_a_module_of_tfx_works_with_its_import_changed(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, TFX_MODULE, epochs=None, train_steps=80, eval_steps=3)
    saved = tf.saved_model.load(str(outputs["model"].path / "Format-Serving"))
    served = saved.signatures["serving_default"](examples=serialized(weather["raw"]))["outputs"].numpy()[:, 0]
    rain = tf.io.parse_example(serialized(weather["raw"]), {"rain": tf.io.FixedLenFeature([], tf.int64)})["rain"].numpy()
    assert ((served > 0.5) == rain).mean() > 0.85
    assert list(outputs["model_run"].path.glob("*/events.out.tfevents*"))
    for name in ("Model", "ModelRun"):
        summary = outputs["model" if name == "Model" else "model_run"].summary()
        assert summary["way"] == "run_fn"
        jsonschema.validate(summary, json.loads((REPOSITORY / f"schemas/summaries/{name}.json").read_text()))


def test_fn_args_hold_what_they_hold_in_tfx(tmp_path: Path, weather: dict[str, Any]) -> None:
    tuned = HyperParameters(tmp_path / "tuned")
    tuned.path.mkdir()
    (tuned.path / "best_hyperparameters.txt").write_text('{"values": {"units": 3}}')
    base = trained(tmp_path, weather, RECORD)
    inputs = {"hyperparameters": tuned, "base_model": base["model"]}
    outputs = trained(tmp_path, weather, RECORD, inputs=inputs, epochs=None, train_steps=7, eval_steps=5, custom_config={"a": 1})
    arguments = sys.modules[module(tmp_path, RECORD)].ARGUMENTS[-1]
    splits = weather["transformed"].path
    assert arguments.train_files == [str(splits / "Split-train" / "*")]
    assert arguments.eval_files == [str(splits / "Split-eval" / "*")]
    assert (arguments.train_steps, arguments.eval_steps) == (7, 5)
    assert arguments.transform_output == arguments.transform_graph_path == str(weather["graph"].path)
    assert arguments.schema_path == arguments.schema_file == str(weather["schema"].path / "schema.pbtxt")
    assert arguments.serving_model_dir == str(outputs["model"].path / "Format-Serving")
    assert arguments.model_run_dir == str(outputs["model_run"].path)
    assert arguments.base_model == str(base["model"].path / "Format-Serving")
    assert arguments.hyperparameters == {"values": {"units": 3}}
    assert arguments.custom_config == {"a": 1}
    assert Path(arguments.working_dir).is_dir()


def test_user_code_sees_keras_3(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, RECORD)
    saved = tf.saved_model.load(str(outputs["model"].path / "Format-Serving"))
    assert saved.keras.numpy().decode().startswith("3.")


def test_a_function_of_another_name_can_be_chosen(tmp_path: Path, weather: dict[str, Any]) -> None:
    from tests.components.weather import module

    name = module(tmp_path, RECORD.replace("def run_fn", "def fast_run_fn"))
    outputs = run(Trainer, tmp_path, inputs={"examples": [weather["transformed"]]}, module=f"{name}:fast_run_fn")
    assert outputs["model"].summary()["way"] == "run_fn"
    with pytest.raises(DefinitionError, match="has no function slow_run_fn"):
        run(Trainer, tmp_path, inputs={"examples": [weather["transformed"]]}, module=f"{name}:slow_run_fn")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def run_fn(fn_args): ...", "has saved no model. Expected a SavedModel in fn_args.serving_model_dir"),
        ("def run_fn(fn_args):\n    fn_args.nothing", r"user_\d+.py:2 run_fn raised AttributeError"),
    ],
)
def test_mistakes_in_run_fn_are_named(source: str, message: str, tmp_path: Path, weather: dict[str, Any]) -> None:
    with pytest.raises(UserCodeError, match=message), error_boundary(tmp_path):
        trained(tmp_path, weather, source)


def test_missing_files_are_noticed_before_training(tmp_path: Path, weather: dict[str, Any]) -> None:
    empty = type(weather["transformed"])(tmp_path / "empty")
    with pytest.raises(StorageError, match="Split-train holds no shard"):
        trained(tmp_path, weather, RECORD, inputs={"examples": [empty]})


def test_accessor_reads_as_tfx_does(weather: dict[str, Any]) -> None:
    files = [str(weather["transformed"].path / "Split-eval" / "*")]
    schema = tft.TFTransformOutput(str(weather["graph"].path)).transformed_metadata.schema
    options = tfxio.TensorFlowDatasetOptions(batch_size=150, num_epochs=1, shuffle=False, label_key="rain")
    features, label = next(iter(data_accessor().tf_dataset_factory(files, options, schema)))
    expected, rain = next(iter(tfxio.TFExampleRecord(files, schema=schema).TensorFlowDataset(options)))
    np.testing.assert_array_equal(label.numpy(), rain.numpy())
    assert set(features) == set(expected) == {"pressure", "humidity", "wind", "sky"}
