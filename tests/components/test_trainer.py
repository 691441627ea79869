"""Trainer with `build_model`: the managed loop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from components.importer import Importer
from components.trainer import ModelContext, Trainer
from components.trainer.data import Split
from components.trainer.learning_rate import set_learning_rate
from components.trainer.loop import Loop
from components.trainer.moment import Plan
from components.trainer.options import LearningRate
from components.trainer.progress import Reporting
from components.transform import Transform
from pipeline.artifacts import Examples, HyperParameters, Schema
from pipeline.errors import DataError, DefinitionError, ExecutionError, UserCodeError
from tests.components.rows import documented_example, write_examples
from tests.components.weather import BINARY, CLASSES, history, module, trained, transformed
from tests.harness import error_boundary, run

pytestmark = pytest.mark.tensorflow

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return transformed(tmp_path_factory.mktemp("weather"))


def weights(outputs: Any) -> list[Any]:
    saved = tf.saved_model.load(str(outputs["model"].path / "Format-Serving"))
    return [variable.numpy() for variable in saved.variables_]


def test_model_learns_and_summaries_say_how(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, epochs=15)
    model, model_run = outputs["model"].summary(), outputs["model_run"].summary()
    assert model["metrics"]["val_accuracy"] > 0.9
    assert model["label"] == "rain"
    assert model["raw_features"] == ["humidity", "pressure", "wind"]
    assert model_run["steps"] == 15 * 13
    for name, summary in (("Model", model), ("ModelRun", model_run)):
        jsonschema.validate(summary, json.loads((REPOSITORY / f"schemas/summaries/{name}.json").read_text()))
    written = json.loads((outputs["model_run"].path / "logs" / "history.json").read_text())
    assert written == {"metrics": model_run["history"], "best_round": 15}


def test_classes_are_those_of_the_labels_vocabulary(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, CLASSES, label="sky", epochs=15)
    assert sorted(outputs["model"].summary()["classes"]) == ["clear", "cloudy", "overcast"]
    assert outputs["model"].summary()["metrics"]["val_sparse_categorical_accuracy"] > 0.8


def test_equal_seeds_give_equal_weights(tmp_path: Path, weather: dict[str, Any]) -> None:
    first, same, other = (weights(trained(tmp_path, weather, seed=seed)) for seed in (5, 5, 6))
    assert all(np.array_equal(one, two) for one, two in zip(first, same, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


FRESH = """
import sys
from pathlib import Path
from pipeline.artifacts import Examples, TransformGraph
from pipeline.hashing import digest_tree
from tests.components.weather import trained

folder, examples, graph = map(Path, sys.argv[1:4])
artifact = Examples(examples)
artifact.set_splits(["train", "eval"])
artifact.properties["transformed"] = 1
outputs = trained(folder, {"transformed": artifact, "graph": TransformGraph(graph), "schema": None}, epochs=2)
print(digest_tree(outputs["model"].path))
"""


def test_equal_training_gives_equal_bytes_in_every_process(tmp_path: Path, weather: dict[str, Any]) -> None:
    digests = set()
    for number in range(2):
        folder = tmp_path / f"place-{number}"
        folder.mkdir()
        arguments = [str(folder), str(weather["transformed"].path), str(weather["graph"].path)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run([sys.executable, "-c", FRESH, *arguments], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout.splitlines()[-1])
    assert len(digests) == 1


def test_steps_are_divided_by_evaluations(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, epochs=None, train_steps=40, steps_per_evaluation=20, eval_steps=2)
    assert outputs["model_run"].summary()["steps"] == 40
    assert len(history(outputs)["val_loss"]) == 2
    once = trained(tmp_path, weather, epochs=None, train_steps=40)
    assert len(history(once)["val_loss"]) == 1


def test_early_stopping_keeps_the_best_weights(tmp_path: Path, weather: dict[str, Any]) -> None:
    source = BINARY.replace("Adam(0.02)", "SGD(8.0)")
    outputs = trained(tmp_path, weather, source, epochs=40, early_stopping_patience=2)
    losses = history(outputs)["val_loss"]
    best = outputs["model_run"].summary()["best_round"]
    assert best == int(np.argmin(losses)) + 1 == len(losses) - 2
    saved = sys.modules[module(tmp_path, source)].MODELS[-1]
    evaluated = saved.evaluate(evaluation(weather), verbose=0, return_dict=True)
    assert evaluated["loss"] == pytest.approx(min(losses), rel=1e-5)
    assert outputs["model"].summary()["metrics"]["val_loss"] == min(losses)


def evaluation(weather: dict[str, Any]) -> tf.data.Dataset:
    """The transformed eval split as one batch of features and label."""
    import tensorflow_transform as tft

    from tests.components.weather import serialized

    spec = tft.TFTransformOutput(str(weather["graph"].path)).transformed_feature_spec()
    features = tf.io.parse_example(serialized(weather["transformed"]), spec)
    label = features.pop("rain")
    return tf.data.Dataset.from_tensors(({name: features[name] for name in ("pressure", "humidity", "wind")}, label))


def test_raw_examples_are_transformed_while_they_are_read(tmp_path: Path, weather: dict[str, Any]) -> None:
    materialized = trained(tmp_path, weather)
    on_the_fly = trained(tmp_path, weather, inputs={"examples": [weather["raw"]]})
    for name, values in history(materialized).items():
        assert history(on_the_fly)[name] == pytest.approx(values, rel=1e-5)


def test_a_subclassed_model_gets_all_features(tmp_path: Path, weather: dict[str, Any]) -> None:
    source = """
import keras

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = keras.layers.Dense(1, activation="sigmoid")

    def call(self, features):
        return self.last(keras.ops.concatenate([features["pressure"], features["humidity"]], axis=1))

def build_model(context):
    model = Own()
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="binary_crossentropy", metrics=["accuracy"])
    return model
"""
    outputs = trained(tmp_path, weather, source, epochs=10)
    assert history(outputs)["val_accuracy"][-1] > 0.8


def test_a_model_without_transform_takes_raw_features(tmp_path: Path, weather: dict[str, Any]) -> None:
    source = """
import keras

def build_model(context):
    inputs = context.inputs(["pressure"])
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Rescaling(0.1, -101.3)(inputs["pressure"])))
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="binary_crossentropy", metrics=["accuracy"])
    return model
"""
    outputs = trained(tmp_path, weather, source, inputs={"examples": [weather["raw"]], "transform_graph": None}, epochs=10)
    assert history(outputs)["val_accuracy"][-1] > 0.8
    assert outputs["model"].summary()["raw_features"] == ["pressure"]


def test_base_model_gives_the_weights_to_start_from(tmp_path: Path, weather: dict[str, Any]) -> None:
    base = trained(tmp_path, weather)
    again = trained(tmp_path, weather, inputs={"base_model": base["model"]}, learning_rate=0.0, epochs=1)
    assert all(np.array_equal(one, two) for one, two in zip(weights(base), weights(again), strict=True))
    with pytest.raises(UserCodeError, match=r"weights of the base model .* do not fit"):
        trained(tmp_path, weather, BINARY.replace("Dense(8", "Dense(9"), inputs={"base_model": base["model"]})


def test_hyperparameters_and_config_reach_build_model(tmp_path: Path, weather: dict[str, Any]) -> None:
    tuned = HyperParameters(tmp_path / "tuned")
    tuned.path.mkdir()
    (tuned.path / "best_hyperparameters.txt").write_text(json.dumps({"space": [], "values": {"units": 3}}))
    source = BINARY.replace("Dense(8", 'Dense(context.hyperparameters["units"] + context.custom_config["more"]')
    outputs = trained(tmp_path, weather, source, inputs={"hyperparameters": tuned}, custom_config={"more": 2}, epochs=1)
    assert outputs["model"].summary()["parameters"] == (6 + 1) * 5 + (5 + 1)


def test_context_describes_features_and_vocabularies(tmp_path: Path, weather: dict[str, Any]) -> None:
    trained(
        tmp_path,
        weather,
        BINARY.replace("MODELS = []", "MODELS = []\nCONTEXTS = []").replace("inputs = ", "CONTEXTS.append(context)\n    inputs = ", 1),
        epochs=1,
    )
    context: ModelContext = next(m for name, m in sys.modules.items() if name.startswith("user_") and hasattr(m, "CONTEXTS")).CONTEXTS[-1]
    assert set(context.features) == {"pressure", "humidity", "wind"}
    assert set(context.vocabulary("wind")) == {"north", "south", "west"}
    assert context.values("wind") == 4
    assert (context.train_rows, context.train_steps, context.batch_size) == (400, 13, 32)
    assert context.inputs(["wind"])["wind"].shape == (None, 1)
    with pytest.raises(UserCodeError, match=r"no feature 'winds'. Did you mean 'wind'"):
        context.inputs(["winds"])
    with pytest.raises(UserCodeError, match="no vocabulary 'rain'"):
        context.vocabulary("rain")
    with pytest.raises(UserCodeError, match="'sky' has values from -1"):
        context.values("sky")
    with pytest.raises(UserCodeError, match="no feature 'sky'"):
        context.inputs(["sky"])


def test_tensorboard_logs_are_written(tmp_path: Path, weather: dict[str, Any]) -> None:
    model_run = trained(tmp_path, weather, epochs=1)["model_run"]
    assert len(list(model_run.path.glob("logs/*/events.out.tfevents*"))) == 2


def tiny() -> tuple[keras.Model, tf.data.Dataset]:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    return model, tf.data.Dataset.from_tensors(([[1.0]], [[2.0]])).repeat()


def test_progress_is_reported_a_few_times_per_second() -> None:
    model, data = tiny()
    plan = Plan(rounds=2, steps_per_round=50, batch_size=1)
    reports: list[tuple[str, dict[str, Any]]] = []
    reporting = Reporting(lambda message, **fields: reports.append((message, fields)), plan)
    Loop(model, lambda step: data, None, plan, [reporting]).run()
    training = [fields for message, fields in reports if message == "training"]
    assert 1 <= len(training) <= 20
    assert training[0]["steps"] == 100
    assert training[0]["epoch"] == "1/2"
    assert training[-1].keys() >= {"step", "loss", "cpu", "memory"}
    assert [fields["step"] for message, fields in reports if message == "evaluated"] == [50, 100]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (LearningRate(schedule="cosine"), [0.1, 0.05, 0.0]),
        (LearningRate(schedule="linear", end=0.5), [0.1, 0.075, 0.05]),
        (LearningRate(schedule="exponential"), [0.1, 0.01, 0.001]),
        (LearningRate(0.2), [0.2, 0.2, 0.2]),
        (LearningRate(), [0.1, 0.1, 0.1]),
        (LearningRate(warmup_steps=100), [0.001, 0.051, 0.1]),
        (LearningRate(1.0, schedule="linear", warmup_steps=50), [0.02, 1.0, 0.0]),
    ],
)
def test_learning_rate_follows_its_schedule(rate: LearningRate, expected: list[float]) -> None:
    model, _ = tiny()
    set_learning_rate(model, rate, 100)
    made = model.optimizer._learning_rate
    values = [
        float(made(step)) if isinstance(made, keras.optimizers.schedules.LearningRateSchedule) else float(made) for step in (0, 50, 100)
    ]
    np.testing.assert_allclose(values, expected, atol=1e-7)


def test_plateau_halves_the_learning_rate(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, learning_rate=LearningRate(0.0, schedule="plateau"), epochs=4)
    assert "learning_rate" in history(outputs)
    with pytest.raises(UserCodeError, match=r"no value 'val_acuracy' to monitor. Did you mean 'val_accuracy'"):
        trained(tmp_path, weather, learning_rate=LearningRate(schedule="plateau"), monitor="val_acuracy")


def test_a_loss_that_is_no_number_stops_training(tmp_path: Path, weather: dict[str, Any]) -> None:
    source = BINARY.replace('loss="binary_crossentropy"', "loss=lambda truth, made: keras.ops.log(made - 2)")
    with pytest.raises(ExecutionError, match=r"The loss is nan at step \d+ of 39"):
        trained(tmp_path, weather, source)


OTHER_INPUT = """
import keras

def build_model(context):
    value = keras.Input((1,), name="other")
    model = keras.Model(value, keras.layers.Dense(1)(value))
    model.compile(loss="mse")
    return model
"""


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("def train(context): ...", DefinitionError, "has no function run_fn, build_trainer, build_model"),
        ("def build_model(context): return 3", UserCodeError, "must return a compiled keras.Model.*3 of type builtins.int"),
        ("def build_model(context): return context.nothing", UserCodeError, r"user_\d+.py:1 build_model raised AttributeError"),
        (BINARY.replace("    model.compile", "    # model.compile"), UserCodeError, "is not compiled"),
        (
            BINARY.replace('inputs["wind"])\n', 'keras.Input((1,), name="x"))\n'),
            UserCodeError,
            r"user_\d+.py:\d+ build_model raised ValueError",
        ),
        (OTHER_INPUT, UserCodeError, "has the inputs other, which are no features"),
        (BINARY.replace('"accuracy"', '"nonsense"'), ExecutionError, "failed: ValueError.*nonsense"),
        ("import nothing_of_that_name", UserCodeError, "ModuleNotFoundError"),
    ],
)
def test_mistakes_in_user_code_are_named(source: str, kind: type[Exception], message: str, tmp_path: Path, weather: dict[str, Any]) -> None:
    with pytest.raises(kind, match=message), error_boundary(tmp_path):
        trained(tmp_path, weather, source)


def test_label_must_be_there(tmp_path: Path, weather: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"the transformed examples have no label 'rian'. Did you mean 'rain'"):
        trained(tmp_path, weather, label="rian")
    with pytest.raises(DefinitionError, match="'label' is needed"):
        trained(tmp_path, weather, label=None)


@pytest.mark.parametrize(("size", "kept"), [(1 << 20, True), (1 << 40, False)])
def test_rows_stay_in_memory_only_where_they_are_small_before_compression(
    size: int, kept: bool, tmp_path: Path, weather: dict[str, Any]
) -> None:
    examples = Examples(tmp_path / "examples")
    shutil.copytree(weather["transformed"].path, examples.path)
    examples.set_splits(["train"])
    examples.write_summary({"splits": {"train": {"rows": 400, "bytes": size}}})
    records = Split.of("Trainer", [examples], ["train"]).records()
    assert len(list(records)) == 400
    shutil.rmtree(examples.path)
    if kept:
        assert len(list(records)) == 400
    else:
        with pytest.raises(tf.errors.NotFoundError):
            list(records)


def test_rows_must_be_there(tmp_path: Path, weather: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="has no split 'trian'"):
        trained(tmp_path, weather, train_splits=("trian",))
    with pytest.raises(DefinitionError, match="needs a transform graph or a schema"):
        trained(tmp_path, weather, inputs={"transform_graph": None, "schema": None})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"train_steps": 10, "epochs": 1}, "either train_steps or epochs"),
        ({"train_steps": 10, "steps_per_evaluation": 3}, "must divide train_steps"),
        ({"epochs": 2, "steps_per_evaluation": 3}, "must divide train_steps"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"precision": "float16"}, "expects .*'mixed_bfloat16'"),
        ({"class_weights": "balance"}, "or 'balanced'"),
        ({"ema": 1.0}, "ema must lie between 0 and 1"),
        ({"gradient_clipping": 0.0}, "gradient_clipping must be above 0"),
        ({"accumulation_steps": 0}, "accumulation_steps must be at least 1"),
        ({"trian_steps": 5}, "Did you mean 'train_steps'"),
    ],
)
def test_parameters_are_checked_when_the_node_is_built(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Trainer(Importer(source="e", artifact_type="Examples"), **parameters)


def test_example_in_the_docstring_runs(tmp_path: Path) -> None:
    definition, source = documented_example(Trainer).split("# model.py\n")
    assert 'label="rides"' in definition
    hours = np.arange(48)
    columns = {"temp": pa.array(np.sin(hours), pa.float32()), "hr": pa.array(hours % 24), "rides": pa.array(hours * 2.0, pa.float32())}
    shape = "presence { min_fraction: 1.0 } shape { dim { size: 1 } }"
    schema = Schema(tmp_path / "schema")
    schema.path.mkdir()
    kinds = {"temp": "FLOAT", "hr": "INT", "rides": "FLOAT"}
    (schema.path / "schema.pbtxt").write_text(
        "\n".join(f'feature {{ name: "{name}" type: {kind} {shape} }}' for name, kind in kinds.items())
    )
    features = documented_example(Transform).split("# features.py\n")[1].replace('inputs["hr"],', 'inputs["hr"], "rides": inputs["rides"],')
    examples = write_examples(tmp_path / "examples", {"train": pa.table(columns), "eval": pa.table(columns)})
    made = run(Transform, tmp_path, inputs={"examples": [examples], "schema": schema}, preprocessing_fn=module(tmp_path, features))
    inputs = {"examples": [made["transformed_examples"]], "transform_graph": made["transform_graph"]}
    outputs = run(Trainer, tmp_path, inputs=inputs, module=module(tmp_path, source), label="rides", train_steps=100)
    assert (outputs["model"].path / "Format-Serving" / "saved_model.pb").is_file()
