"""Small pictures with a bright half, as JPEG, and short texts: raw examples that are transformed while they are read."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.trainer import Trainer
from components.transform import Transform
from pipeline.artifacts import Artifact, Schema
from tests.components.rows import write_examples
from tests.components.weather import module
from tests.harness import Outputs, run

SIZE = 12
_BYTES = "type: BYTES presence { min_fraction: 1.0 } shape { dim { size: 1 } }"
_SCHEMA = f"""
default_environment: "TRAINING"
default_environment: "SERVING"
feature {{ name: "image" {_BYTES} }}
feature {{ name: "side" {_BYTES} not_in_environment: "SERVING" }}
"""

FEATURES = f"""
import tensorflow as tf
import tensorflow_transform as tft


def decoded(jpeg):
    image = tf.io.decode_jpeg(jpeg, channels=3)
    return tf.ensure_shape(tf.image.convert_image_dtype(image, tf.float32), ({SIZE}, {SIZE}, 3))


def preprocessing_fn(inputs):
    images = tf.map_fn(decoded, inputs["image"][:, 0], fn_output_signature=tf.TensorSpec(({SIZE}, {SIZE}, 3), tf.float32))
    return {{"pixels": images, "side": tft.compute_and_apply_vocabulary(inputs["side"], vocab_filename="side")}}
"""

CNN = """
import keras
import tensorflow as tf


def augment(features, label, seed):
    return {"pixels": tf.image.stateless_random_flip_up_down(features["pixels"], seed)}, label


def build_model(context):
    inputs = context.inputs()
    hidden = keras.layers.Conv2D(4, 3, activation="relu", name="edges")(inputs["pixels"])
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(0.1)(keras.layers.Flatten()(hidden))
    outputs = keras.layers.Dense(len(context.classes), activation="softmax", dtype="float32")(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@functools.cache
def picture(side: bytes, seed: int) -> bytes:
    """A JPEG that is bright on one side."""
    import tensorflow as tf

    random = np.random.default_rng(seed)
    pixels = random.integers(0, 120, (SIZE, SIZE, 3))
    half = slice(0, SIZE // 2) if side == b"left" else slice(SIZE // 2, SIZE)
    pixels[:, half] += 80
    return bytes(tf.io.encode_jpeg(tf.constant(pixels, tf.uint8)).numpy())


def pictures(folder: Path) -> dict[str, Artifact]:
    """Examples of pictures, their schema, and the graph of a transform that writes no rows."""

    def rows(count: int, first: int) -> dict[str, list[bytes]]:
        sides = [b"left" if index % 3 else b"right" for index in range(count)]
        return {"image": [picture(side, first + index) for index, side in enumerate(sides)], "side": sides}

    raw = write_examples(folder / "pictures", {"train": rows(120, 0), "eval": rows(45, 1000)})
    schema = Schema(folder / "picture-schema")
    schema.path.mkdir()
    (schema.path / "schema.pbtxt").write_text(_SCHEMA)
    name = module(folder, FEATURES)
    outputs = run(Transform, folder, inputs={"examples": [raw], "schema": schema}, preprocessing_fn=name, materialize=False)
    return {"raw": raw, "schema": schema, "graph": outputs["transform_graph"], "transformed": outputs["transformed_examples"]}


def seen(folder: Path, given: Mapping[str, Any], source: str = CNN, **parameters: Any) -> Outputs:
    """Trains on the pictures."""
    inputs = {"examples": [given["raw"]], "transform_graph": given["graph"]}
    inputs |= parameters.pop("inputs", {})
    return run(
        Trainer, folder, inputs=inputs, module=module(folder, source), **{"label": "side", "epochs": 2, "batch_size": 16, **parameters}
    )


TEXT_SCHEMA = """
feature { name: "words" type: INT }
feature { name: "many" type: INT presence { min_fraction: 1.0 } shape { dim { size: 1 } } }
feature { name: "weight" type: FLOAT presence { min_fraction: 1.0 } shape { dim { size: 1 } } }
"""

RNN = """
import keras


def build_model(context):
    inputs = context.inputs(["words"])
    embedded = keras.layers.Embedding(10, 4, mask_zero=True)(inputs["words"])
    outputs = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GRU(4)(embedded))
    model = keras.Model(inputs, outputs)
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="binary_crossentropy", metrics=["accuracy"])
    return model
"""


def texts(folder: Path) -> dict[str, Artifact]:
    """Examples with sequences of 1 to 30 numbers; the label is whether they are large ones."""
    random = np.random.default_rng(7)

    def rows(count: int) -> pa.Table:
        many = random.integers(0, 2, count).tolist()
        words = [random.integers(1 + 2 * label, 8 + 2 * label, random.integers(1, 31)).tolist() for label in many]
        weight = pa.array([2.0 if label else 1.0 for label in many], pa.float32())
        return pa.table({"words": pa.array(words, pa.list_(pa.int64())), "many": pa.array(many, pa.int64()), "weight": weight})

    schema = Schema(folder / "text-schema")
    schema.path.mkdir()
    (schema.path / "schema.pbtxt").write_text(TEXT_SCHEMA)
    return {"raw": write_examples(folder / "texts", {"train": rows(200), "eval": rows(80)}), "schema": schema}
