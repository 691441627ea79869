"""The SavedModel that the Trainer exports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from components.example_encoder import as_bytes, encode_batch
from pipeline.errors import UserCodeError
from tests.components.weather import BINARY, CLASSES, module, serialized, trained, transformed

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return transformed(tmp_path_factory.mktemp("weather"))


def signatures(outputs: Any) -> Any:
    saved = tf.saved_model.load(str(outputs["model"].path / "Format-Serving"))
    signatures.kept = saved  # type: ignore[attr-defined]  # its variables live as long as it does
    return saved.signatures


def examples(**columns: Any) -> tf.Tensor:
    """Serialized examples of one row, or of several."""
    return tf.constant(as_bytes(encode_batch(pa.RecordBatch.from_pydict(columns))))


def features(weather: dict[str, Any], split: str = "eval") -> dict[str, tf.Tensor]:
    spec = tft.TFTransformOutput(str(weather["graph"].path)).transformed_feature_spec()
    parsed: dict[str, tf.Tensor] = tf.io.parse_example(serialized(weather["transformed"], split), spec)
    return parsed


def test_served_predictions_are_those_of_the_trained_model(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather)
    model = sys.modules[module(tmp_path, BINARY)].MODELS[-1]
    expected = model.predict({name: features(weather)[name] for name in ("pressure", "humidity", "wind")}, verbose=0)
    served = signatures(outputs)["serving_default"](examples=serialized(weather["raw"]))
    assert set(served) == {"predictions"}
    np.testing.assert_allclose(served["predictions"].numpy(), expected, rtol=1e-5, atol=1e-6)


def test_transform_features_gives_what_transform_wrote(tmp_path: Path, weather: dict[str, Any]) -> None:
    transform = signatures(trained(tmp_path, weather, epochs=1))["transform_features"]
    made, expected = transform(examples=serialized(weather["raw"])), features(weather)
    assert set(made) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(made[name].numpy(), values.numpy(), rtol=1e-6, err_msg=name)


def test_label_and_optional_features_may_be_missing_when_serving(tmp_path: Path, weather: dict[str, Any]) -> None:
    serve = signatures(trained(tmp_path, weather, epochs=1))["serving_default"]
    whole = {"pressure": pa.array([1000.0], pa.float32()), "humidity": pa.array([0.0], pa.float32()), "wind": [b""]}
    with_label = serve(examples=examples(**whole, rain=[1], sky=[b"clear"]))["predictions"].numpy()
    np.testing.assert_array_equal(serve(examples=examples(**whole))["predictions"].numpy(), with_label)
    np.testing.assert_allclose(serve(examples=examples(pressure=whole["pressure"]))["predictions"].numpy(), with_label, rtol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="pressure"):
        serve(examples=examples(humidity=whole["humidity"]))


def test_any_number_of_examples_is_served(tmp_path: Path, weather: dict[str, Any]) -> None:
    serve = signatures(trained(tmp_path, weather, epochs=1))["serving_default"]
    for number in (0, 1, 7):
        assert serve(examples=serialized(weather["raw"])[:number])["predictions"].shape == (number, 1)


def test_classes_have_their_names(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, CLASSES, label="sky", epochs=15)
    served = signatures(outputs)["serving_default"](examples=serialized(weather["raw"]))
    classes = outputs["model"].summary()["classes"]
    assert [name.decode() for name in served["classes"].numpy()[3]] == classes
    best = served["predictions"].numpy().argmax(axis=1)
    assert [name.decode() for name in served["predicted_class"].numpy()] == [classes[index] for index in best]
    label = np.array([classes[index] for index in features(weather)["sky"].numpy()[:, 0]])
    assert (served["predicted_class"].numpy().astype(str) == label).mean() > 0.8


@pytest.mark.parametrize("outputs", [1, 4])
def test_outputs_that_are_not_the_classes_are_refused_before_training(outputs: int, tmp_path: Path, weather: dict[str, Any]) -> None:
    source = CLASSES.replace("len(context.classes)", str(outputs))
    with pytest.raises(UserCodeError, match=f"has {outputs} outputs, and the label has 3 classes"):
        trained(tmp_path, weather, source, label="sky")
    assert not list(tmp_path.rglob("history.json"))


def test_one_output_can_have_two_classes(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, classes=("dry", "wet"))
    served = signatures(outputs)["serving_default"](examples=serialized(weather["raw"]))
    wet = served["predictions"].numpy()[:, 0] > 0.5
    assert served["predicted_class"].numpy().tolist() == np.where(wet, b"wet", b"dry").tolist()
    assert outputs["model"].summary()["classes"] == ["dry", "wet"]


def test_outputs_keep_the_names_that_a_model_gives_them(tmp_path: Path, weather: dict[str, Any]) -> None:
    source = (
        BINARY.replace('keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))', "Two(inputs, hidden)")
        + """

def Two(inputs, hidden):
    probability = keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden)
    model = keras.Model(inputs, {"probability": probability, "hidden": hidden})
    model.compile_ = model.compile
    model.compile = lambda **values: model.compile_(optimizer="adam", loss={"probability": "binary_crossentropy", "hidden": None})
    return model
"""
    )
    served = signatures(trained(tmp_path, weather, source, epochs=1))["serving_default"](examples=serialized(weather["raw"]))
    assert {name: values.shape[1] for name, values in served.items()} == {"probability": 1, "hidden": 8}


def test_a_model_cannot_need_what_is_missing_when_serving(tmp_path: Path, weather: dict[str, Any]) -> None:
    source = BINARY.replace("    inputs = ", "    extra = keras.Input((1,), name='sky')\n    inputs = ").replace(
        'inputs["humidity"], wind]', 'inputs["humidity"], wind, extra]'
    )
    source = source.replace("keras.Model(inputs, ", "keras.Model({**inputs, 'sky': extra}, ")
    with pytest.raises(
        UserCodeError, match=r"has the inputs sky, which are no features. Features: \w+, \w+, \w+\.\n.*missing when serving"
    ):
        trained(tmp_path, weather, source, epochs=1)


def test_tables_of_the_models_own_layers_are_saved(tmp_path: Path, weather: dict[str, Any]) -> None:
    source = """
import keras

def build_model(context):
    inputs = context.inputs(["sky"])
    index = keras.layers.StringLookup(vocabulary=["clear", "cloudy", "overcast"], output_mode="one_hot")(inputs["sky"])
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(index))
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="binary_crossentropy")
    return model
"""
    schema = weather["schema"].path / "schema.pbtxt"
    served_always = tmp_path / "schema"
    served_always.mkdir()
    (served_always / "schema.pbtxt").write_text(schema.read_text().replace('not_in_environment: "SERVING"', ""))
    inputs = {"examples": [weather["raw"]], "transform_graph": None, "schema": type(weather["schema"])(served_always)}
    serve = signatures(trained(tmp_path, weather, source, inputs=inputs, epochs=5))["serving_default"]
    clear, overcast = serve(examples=examples(sky=[b"clear", b"overcast"]))["predictions"].numpy()[:, 0]
    assert clear < 0.4 < overcast
