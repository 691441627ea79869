"""A small data set whose labels can be learned, its schema and its transform, for the tests of the Trainer."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.trainer import Trainer
from components.transform import Transform
from pipeline.artifacts import Artifact, Schema
from tests.components.rows import write_examples
from tests.harness import Outputs, run

_REQUIRED = "presence { min_fraction: 1.0 } shape { dim { size: 1 } }"
_LABEL = _REQUIRED + ' not_in_environment: "SERVING"'
SCHEMA = f"""
default_environment: "TRAINING"
default_environment: "SERVING"
feature {{ name: "pressure" type: FLOAT {_REQUIRED} }}
feature {{ name: "humidity" type: FLOAT value_count {{ min: 1 max: 1 }} }}
feature {{ name: "wind" type: BYTES value_count {{ min: 1 max: 1 }} }}
feature {{ name: "rain" type: INT {_LABEL} }}
feature {{ name: "sky" type: BYTES {_LABEL} }}
"""

FEATURES = """
import tensorflow as tf
import tensorflow_transform as tft


def filled(values):
    return tf.sparse.to_dense(tf.SparseTensor(values.indices, values.values, [values.dense_shape[0], 1]))


def preprocessing_fn(inputs):
    return {
        "pressure": tft.scale_to_z_score(inputs["pressure"]),
        "humidity": tft.scale_to_0_1(filled(inputs["humidity"])),
        "wind": tft.compute_and_apply_vocabulary(filled(inputs["wind"]), num_oov_buckets=1, vocab_filename="wind"),
        "rain": inputs["rain"],
        "sky": tft.compute_and_apply_vocabulary(inputs["sky"], vocab_filename="sky"),
    }
"""

BINARY = """
import keras

MODELS = []


def build_model(context):
    inputs = context.inputs(["pressure", "humidity", "wind"])
    wind = keras.layers.CategoryEncoding(context.values("wind"))(inputs["wind"])
    hidden = keras.layers.concatenate([inputs["pressure"], inputs["humidity"], wind])
    hidden = keras.layers.Dense(8, activation="relu")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="binary_crossentropy", metrics=["accuracy"])
    MODELS.append(model)
    return model
"""

CLASSES = (
    BINARY.replace('Dense(1, activation="sigmoid")', 'Dense(len(context.classes), activation="softmax")')
    .replace('"binary_crossentropy"', '"sparse_categorical_crossentropy"')
    .replace('["accuracy"]', '["sparse_categorical_accuracy"]')
)


def table(rows: int, seed: int) -> pa.Table:
    """Rows in which low pressure and high humidity bring rain; some humidities and winds are missing."""
    random = np.random.default_rng(seed)
    pressure, humidity = random.normal(1013, 10, rows), random.uniform(0, 1, rows)
    sky = np.where(pressure > 1018, b"clear", np.where(humidity > 0.5, b"overcast", b"cloudy"))
    wind = [None if value == 3 else (b"north", b"south", b"west")[value] for value in random.integers(0, 4, rows)]
    return pa.table(
        {
            "pressure": pa.array(pressure, pa.float32()),
            "humidity": pa.array(np.where(random.uniform(0, 1, rows) < 0.1, None, humidity), pa.float32()),
            "wind": pa.array(wind, pa.binary()),
            "rain": pa.array(((1013 - pressure) / 10 + humidity > 0.5).astype(np.int64)),
            "sky": pa.array(sky.tolist(), pa.binary()),
        }
    )


def transformed(folder: Path) -> dict[str, Any]:
    """Raw examples, schema, transform graph and transformed examples of the weather."""
    folder.mkdir(exist_ok=True)
    raw = write_examples(folder / "examples", {"train": table(400, 1), "eval": table(150, 2)}, shards=2)
    schema = Schema(folder / "schema")
    schema.path.mkdir()
    (schema.path / "schema.pbtxt").write_text(SCHEMA)
    name = module(folder, FEATURES)
    outputs = run(Transform, folder, inputs={"examples": [raw], "schema": schema}, preprocessing_fn=f"{name}:preprocessing_fn")
    return {
        "raw": raw,
        "schema": schema,
        "graph": outputs["transform_graph"],
        "transformed": outputs["transformed_examples"],
    }


def module(folder: Path, source: str) -> str:
    """Writes a module, whose name is of its own for each source and test because modules stay loaded, and returns the name."""
    name = f"user_{zlib.crc32((source + os.environ.get('PYTEST_CURRENT_TEST', '')).encode())}"
    (folder / f"{name}.py").write_text(source)
    return name


def trained(
    tmp_path: Path, weather: Mapping[str, Any], source: str = BINARY, *, inputs: Mapping[str, Any] | None = None, **parameters: Any
) -> Outputs:
    """Runs the Trainer with a module of the given source on the transformed weather."""
    given = {"examples": [weather["transformed"]], "transform_graph": weather["graph"], "schema": weather["schema"]}
    given = {name: value for name, value in {**given, **(inputs or {})}.items() if value is not None}
    parameters = {"label": "rain", "epochs": 3, "batch_size": 32, **parameters}
    return run(Trainer, tmp_path, inputs=given, module=module(tmp_path, source), **parameters)


def history(outputs: Outputs) -> dict[str, list[float]]:
    """Loss and metrics of each evaluation."""
    found: dict[str, list[float]] = outputs["model_run"].summary()["history"]
    return found


def serialized(examples: Artifact, split: str = "eval") -> Any:
    """All records of a split, as a tensor."""
    import tensorflow as tf

    from components.records import shard_files

    files = [str(file) for file in shard_files(examples.split_path(split))]
    return next(iter(tf.data.TFRecordDataset(files, "GZIP").batch(10_000)))
