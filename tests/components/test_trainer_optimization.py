"""What the node makes of the model's optimizer and arithmetic, and the user's own training step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer import LearningRate
from components.trainer.optimization import arithmetic
from pipeline.errors import DefinitionError, UserCodeError
from tests.components.pictures import CNN, pictures, seen
from tests.components.weather import BINARY, history, module, serialized, trained, transformed

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return transformed(tmp_path_factory.mktemp("weather"))


def weights(outputs: Any) -> list[Any]:
    saved = tf.saved_model.load(str(outputs["model"].path / "Format-Serving"))
    return [variable.numpy() for variable in saved.variables_]


def model(folder: Path, source: str = BINARY) -> Any:
    return sys.modules[module(folder, source)].MODELS[-1]


def test_accumulated_steps_change_the_weights_as_one_step_of_all_their_rows(tmp_path: Path, weather: dict[str, Any]) -> None:
    source = BINARY.replace("Adam(0.02)", "SGD(0.5)")
    large = trained(tmp_path, weather, source, epochs=None, train_steps=6, batch_size=40)
    small = trained(tmp_path, weather, source, epochs=None, train_steps=12, batch_size=20, accumulation_steps=2)
    other = trained(tmp_path, weather, source, epochs=None, train_steps=12, batch_size=20)
    for one, two in zip(weights(large), weights(small), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    assert not np.allclose(weights(large)[0], weights(other)[0], atol=1e-3)


def test_clipped_gradients_move_the_weights_no_further(tmp_path: Path, weather: dict[str, Any]) -> None:
    source = BINARY.replace("Adam(0.02)", "SGD(1.0, clipnorm=100.0)").replace("MODELS.append(model)", "MODELS.append(model.get_weights())")
    after = weights(trained(tmp_path, weather, source, epochs=None, train_steps=1, gradient_clipping=0.01))
    moved = sum(float(np.square(new - old).sum()) for new, old in zip(after, model(tmp_path, source), strict=True)) ** 0.5
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_the_average_of_the_weights_is_evaluated_and_exported(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, BINARY.replace("0.02", "0.5"), epochs=2, ema=0.95, early_stopping_patience=3)
    plain = trained(tmp_path, weather, BINARY.replace("0.02", "0.5"), epochs=2)
    assert not np.allclose(weights(outputs)[0], weights(plain)[0], atol=1e-3)
    served = tf.saved_model.load(str(outputs["model"].path / "Format-Serving")).signatures["serving_default"]
    made = served(examples=serialized(weather["raw"]))["predictions"].numpy()
    rain = tf.io.parse_example(serialized(weather["raw"]), {"rain": tf.io.FixedLenFeature([1], tf.int64)})["rain"].numpy()
    loss = float(np.mean(-np.log(np.where(rain == 1, made, 1 - made))))
    best = outputs["model_run"].summary()["best_round"]
    assert loss == pytest.approx(history(outputs)["val_loss"][best - 1], rel=1e-3)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_in_16_bits_and_exports_32(precision: str, tmp_path: Path) -> None:
    given = pictures(tmp_path)
    source = CNN.replace("import keras\n", "import keras\nMODELS = []\n").replace(
        "    return model", "    MODELS.append(model)\n    return model"
    )
    outputs = seen(tmp_path, given, source, precision=precision, epochs=4)
    assert history(outputs)["val_accuracy"][-1] > 0.9
    assert keras.config.dtype_policy().name == "float32"
    built = model(tmp_path, source)
    assert isinstance(built.optimizer, keras.optimizers.LossScaleOptimizer) == (precision == "mixed_float16")
    saved = tf.saved_model.load(str(outputs["model"].path / "Format-Serving"))
    functions = [
        saved.signatures["serving_default"].graph,
        *(f.graph for f in saved.signatures["serving_default"].graph._functions.values() if hasattr(f, "graph")),
    ]
    kinds = {tensor.dtype for graph in functions for operation in graph.get_operations() for tensor in operation.outputs}
    assert not kinds & {tf.float16, tf.bfloat16}
    assert outputs["model_run"].summary()["precision"] == precision


def test_layers_built_in_mixed_precision_compute_in_16_bits() -> None:
    with arithmetic("mixed_bfloat16"):
        layer = keras.layers.Dense(1)
    assert (layer.compute_dtype, layer.variable_dtype) == ("bfloat16", "float32")
    assert keras.layers.Dense(1).compute_dtype == "float32"


def test_xla_gives_the_same_model(tmp_path: Path, weather: dict[str, Any]) -> None:
    plain, compiled = (trained(tmp_path, weather, epochs=2, jit_compile=value) for value in (False, True))
    for name, values in history(plain).items():
        np.testing.assert_allclose(history(compiled)[name], values, rtol=1e-3, err_msg=name)


STEPS = """
import keras
import tensorflow as tf


class Training:
    def __init__(self, context):
        inputs = context.inputs(["pressure", "humidity"])
        hidden = keras.layers.concatenate(list(inputs.values()))
        self.model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
        self.optimizer = keras.optimizers.Adam(0.05)

    def loss(self, features, label, training):
        return tf.reduce_mean(keras.losses.binary_crossentropy(label, self.model(features, training=training)))

    def train_step(self, features, label, weights):
        with tf.GradientTape() as tape:
            loss = self.loss(features, label, True)
        self.optimizer.apply(tape.gradient(loss, self.model.trainable_variables), self.model.trainable_variables)
        return {"loss": loss, "twice": 2 * loss}

    def test_step(self, features, label, weights):
        return {"loss": self.loss(features, label, False)}


def build_trainer(context):
    return Training(context)
"""


def test_the_users_own_step_is_trained_watched_and_exported_like_any_other(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, STEPS, epochs=8, early_stopping_patience=3, learning_rate=LearningRate(schedule="cosine"))
    values = history(outputs)
    assert set(values) == {"loss", "twice", "val_loss", "learning_rate"}
    np.testing.assert_allclose(values["twice"], 2 * np.array(values["loss"]), rtol=1e-5)
    assert values["val_loss"][-1] < 0.6 * values["val_loss"][0]
    assert outputs["model"].summary()["way"] == outputs["model_run"].summary()["way"] == "build_trainer"
    served = tf.saved_model.load(str(outputs["model"].path / "Format-Serving")).signatures["serving_default"]
    assert served(examples=serialized(weather["raw"]))["predictions"].shape == (150, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("def train_step", "def step"), "Missing or of another kind: train_step"),
        (
            ('return {"loss": loss, "twice": 2 * loss}', "return loss"),
            r"Training.train_step must return scalars by name, 'loss' among them",
        ),
    ],
)
def test_mistakes_in_build_trainer_are_named(change: tuple[str, str], message: str, tmp_path: Path, weather: dict[str, Any]) -> None:
    with pytest.raises(UserCodeError, match=message):
        trained(tmp_path, weather, STEPS.replace(*change))


@pytest.mark.parametrize(
    "make",
    [
        lambda: LearningRate(schedule="plateau", warmup_steps=5),
        lambda: LearningRate(schedule="exponential", end=0.0),
        lambda: LearningRate(-1.0),
        lambda: LearningRate(factor=1.0),
    ],
)
def test_learning_rates_are_checked_when_they_are_made(make: Any) -> None:
    with pytest.raises(DefinitionError, match="LearningRate"):
        make()
