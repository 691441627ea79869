"""One training for the benchmark, in a process of its own: `python training.py KIND SIDE FOLDER`, which prints seconds per round.

Printed are wall time and processor time of each round but the first; on a busy machine only the second can be compared.

KIND is `cnn`, `rnn` or `pictures`; SIDE is `managed` (the Trainer as it comes), `unwatched` (the same without its watch), `bare` (Keras'
`fit` as one would write it by hand: the same model, rows, batches, shuffling and evaluation), or `model` (for memory: the model alone,
on a batch that is already there).
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components import Trainer, Transform
from components.records import write_split
from pipeline.artifacts import Examples, Model, ModelRun, Schema, TransformGraph
from pipeline.context import Context, Progress

BATCH = 64
PICTURE = 224


Instant = tuple[float, float]


def _now() -> Instant:
    return time.perf_counter(), time.process_time()


@dataclass(frozen=True)
class Kind:
    """What is trained on.

    Attributes:
        feature: Name of the model's input.
        shape: Its shape.
        rows: Rows to train on; a fifth of them is evaluated on.
        epochs: Passes.
    """

    feature: str
    shape: tuple[int, ...]
    rows: int
    epochs: int


KINDS = {
    "cnn": Kind("pixels", (24, 24, 3), 6_400, 7),
    "rnn": Kind("series", (48, 8), 6_400, 7),
    "pictures": Kind("pixels", (PICTURE, PICTURE, 3), 1_920, 1),
}
MODEL = """
import keras


def build_model(context):
    return model(context.inputs())


def model(inputs):
    if "series" in inputs:
        hidden = keras.layers.GRU(96)(inputs["series"])
    else:
        hidden = inputs["pixels"]
        for filters in (16, 32):
            hidden = keras.layers.MaxPooling2D()(keras.layers.Conv2D(filters, 3, activation="relu")(hidden))
        hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    made = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(hidden))
    made.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return made
"""
FEATURES = f"""
import tensorflow as tf
import tensorflow_transform as tft


def decoded(jpeg):
    return tf.ensure_shape(tf.cast(tf.io.decode_jpeg(jpeg, channels=3), tf.float32) / 255.0, ({PICTURE}, {PICTURE}, 3))


def preprocessing_fn(inputs):
    spec = tf.TensorSpec(({PICTURE}, {PICTURE}, 3), tf.float32)
    images = tf.map_fn(decoded, inputs["image"][:, 0], fn_output_signature=spec)
    means = tft.mean(tf.reduce_mean(images, axis=[1, 2]), reduce_instance_dims=False)
    return {{"pixels": images - means, "label": inputs["label"]}}
"""


def examples(folder: Path, kind: Kind, *, encoded: bool) -> tuple[Examples, Schema]:
    """Returns rows and their schema, made if they are not there."""
    made, schema = Examples(folder / "examples"), Schema(folder / "schema")
    splits = {"train": kind.rows, "eval": kind.rows // 5}
    if not schema.path.exists():
        for number, (split, rows) in enumerate(splits.items()):
            write_split(made.path / f"Split-{split}", _batches(kind, rows, number, encoded=encoded), shards=2)
        sizes = {split: sum(file.stat().st_size for file in made.split_path(split).iterdir()) for split in splits}
        columns = [{"name": "image", "content": "image"}] if encoded else []
        made.write_summary(
            {"splits": {split: {"bytes": size} for split, size in sizes.items()}, "columns": columns}
        )  # as an ExampleGen does
        schema.path.mkdir()
        (schema.path / "schema.pbtxt").write_text(_schema(kind, encoded=encoded))
    made.set_splits(list(splits))
    made.set_record_counts(splits)
    return made, schema


def _batches(kind: Kind, rows: int, seed: int, *, encoded: bool) -> Any:
    random = np.random.default_rng(seed)
    for start in range(0, rows, 320):
        count = min(320, rows - start)
        label = pa.array(random.integers(0, 10, count))
        if encoded:
            yield pa.RecordBatch.from_pydict({"image": pa.array([_jpeg(random) for _ in range(count)], pa.binary()), "label": label})
        else:
            values = random.normal(size=(count, int(np.prod(kind.shape)))).astype("float32")
            offsets = pa.array(np.arange(0, values.size + 1, values.shape[1], dtype="int32"))
            lists = pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))
            yield pa.RecordBatch.from_pydict({kind.feature: lists, "label": label})


def _jpeg(random: np.random.Generator) -> bytes:
    import tensorflow as tf

    small = random.integers(0, 255, (14, 14, 3))
    return bytes(tf.io.encode_jpeg(tf.cast(tf.image.resize(small, (PICTURE, PICTURE)), tf.uint8)).numpy())


def _schema(kind: Kind, *, encoded: bool) -> str:
    def feature(name: str, type_: str, shape: tuple[int, ...]) -> str:
        dims = " ".join(f"dim {{ size: {size} }}" for size in shape)
        return f'feature {{ name: "{name}" type: {type_} presence {{ min_fraction: 1.0 }} shape {{ {dims} }} }}\n'

    first = feature("image", "BYTES", (1,)) if encoded else feature(kind.feature, "FLOAT", kind.shape)
    return first + feature("label", "INT", (1,))


def managed(folder: Path, kind: Kind, *, encoded: bool, watch: bool) -> list[Instant]:
    """Trains with the Trainer, of pictures with a Transform before it; returns when each round ended."""
    rows, schema = examples(folder, kind, encoded=encoded)
    (folder / "model.py").write_text(MODEL)
    (folder / "features.py").write_text(FEATURES)
    ends: list[Instant] = []

    def hear(progress: Progress) -> None:
        if progress.message == "evaluated":
            ends.append(_now())

    context = Context("bench", "run", "Trainer", 1, folder, folder, folder / ".temp", folder / ".state", report=hear)
    outputs = {"transform_graph": TransformGraph(folder / "graph"), "transformed_examples": Examples(folder / "transformed")}
    results = {"model": Model(folder / "trained"), "model_run": ModelRun(folder / "run")}
    for place in (context.temp, context.state, *(artifact.path for artifact in (*outputs.values(), *results.values()))):
        place.mkdir(parents=True, exist_ok=True)
    if encoded:
        object.__new__(Transform).execute(context, examples=[rows], schema=schema, materialize=False, updated_analyzer_cache=[], **outputs)
    graph = outputs["transform_graph"] if encoded else None
    given = {"examples": [rows], "transform_graph": graph, "schema": schema, **results}
    object.__new__(Trainer).execute(context, label="label", epochs=kind.epochs, batch_size=BATCH, watch=watch, **given)
    return ends


def bare(folder: Path, kind: Kind) -> list[Instant]:
    """Trains as one would by hand; returns when each round ended."""
    import keras
    import tensorflow as tf

    rows, _ = examples(folder, kind, encoded=False)
    spec = {kind.feature: tf.io.FixedLenFeature(kind.shape, tf.float32), "label": tf.io.FixedLenFeature((1,), tf.int64)}

    def parse(records: Any) -> Any:
        features = tf.io.parse_example(records, spec)
        return {kind.feature: features[kind.feature]}, features["label"]

    def data(split: str) -> Any:
        files = [str(file) for file in sorted(rows.split_path(split).glob("*.gz"))]
        return tf.data.TFRecordDataset(files, "GZIP", buffer_size=8 << 20).cache()

    train = data("train").shuffle(10_000, seed=0).batch(BATCH).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    evaluation = data("eval").batch(BATCH).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    ends: list[Instant] = []
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(_now()))
    _built(folder, kind).fit(train, epochs=kind.epochs, validation_data=evaluation, callbacks=[clock], verbose=0)
    return ends


def model_alone(folder: Path, kind: Kind) -> list[Instant]:
    """Trains on one batch that is already there, for the memory that the model itself takes."""
    import tensorflow as tf

    batch = {kind.feature: np.zeros((BATCH, *kind.shape), "float32")}, np.zeros((BATCH, 1), "int64")
    model = _built(folder, kind)
    model.fit(tf.data.Dataset.from_tensors(batch).repeat(20), epochs=1, verbose=0)
    return []


def _built(folder: Path, kind: Kind) -> Any:
    import keras

    file = folder / "bare_model.py"
    file.write_text(MODEL)
    loaded = importlib.util.spec_from_file_location("bare_model", file)
    assert loaded is not None and loaded.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(module)
    keras.utils.set_random_seed(0)
    return module.model({kind.feature: keras.Input(kind.shape, name=kind.feature)})


def main(name: str, side: str, folder: Path) -> None:
    """Trains once and prints the seconds of each round but the first, in which the graph is built."""
    folder.mkdir(parents=True, exist_ok=True)
    kind, encoded = KINDS[name], name == "pictures"
    sides: dict[str, Callable[[], list[Instant]]] = {
        "managed": lambda: managed(folder, kind, encoded=encoded, watch=True),
        "unwatched": lambda: managed(folder, kind, encoded=encoded, watch=False),
        "bare": lambda: bare(folder, kind),
        "model": lambda: model_alone(folder, kind),
    }
    ends = sides[side]()
    rounds = [(later[0] - earlier[0], later[1] - earlier[1]) for earlier, later in itertools.pairwise(ends)]
    print(json.dumps({"seconds": [wall for wall, _ in rounds], "cpu_seconds": [cpu for _, cpu in rounds]}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
