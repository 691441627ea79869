"""Examples and small served models for the tests of the evaluator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.records import write_split
from pipeline.artifacts import Examples, Model

SPECIES = ("Adelie", "Chinstrap", "Gentoo")


def make_columns(rows: int, seed: int = 1) -> dict[str, Any]:
    """Returns columns with numbers, text, missing values, several values per row, and labels that follow from them with noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2)).astype(np.float32)
    score = x[:, 0] - 0.5 * x[:, 1]
    return {
        "x1": x[:, 0],
        "x2": x[:, 1],
        "hour": [None if hour == 5 else int(hour) for hour in random.integers(0, 6, rows)],
        "payment": random.choice(["Cash", "Card", "Prcard"], rows, p=[0.6, 0.3, 0.1]),
        "tags": [list(random.choice(["new", "old", "new"], count)) for count in random.integers(0, 3, rows)],
        "importance": random.integers(1, 5, rows).astype(np.float32),
        "tip": (score + random.normal(size=rows) > 0).astype(np.int64),
        "amount": (100 + 20 * score + random.normal(size=rows)).astype(np.float32),
        "species": np.array(SPECIES)[np.clip(np.digitize(score + random.normal(scale=0.5, size=rows), [-0.5, 0.5]), 0, 2)],
    }


def make_examples(folder: Path, columns: dict[str, Any], *, shards: int = 2, split: str = "eval") -> Examples:
    """Writes columns as one split."""
    folder.mkdir(parents=True, exist_ok=True)
    examples = Examples(folder)
    examples.set_splits([split])
    write_split(examples.split_path(split), [_batch(columns)], shards=shards)
    return examples


def _batch(columns: dict[str, Any]) -> pa.RecordBatch:
    arrays = []
    for values in columns.values():
        lists = [None if value is None else list(value) if isinstance(value, list) else [value] for value in values]
        flat = [item for value in lists if value for item in value]
        kinds = {"i": pa.int64(), "f": pa.float32(), "U": pa.large_binary()}
        kind = kinds[np.asarray(flat).dtype.kind]
        encoded = [None if value is None else [item.encode() if isinstance(item, str) else item for item in value] for value in lists]
        arrays.append(pa.array(encoded, pa.large_list(kind)))
    return pa.RecordBatch.from_arrays(arrays, list(columns))


def save_model(
    folder: Path, predict: Callable[[Any, Any], dict[str, Any]], transform: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> Model:
    """Saves a served model.

    Args:
        folder: Where to save it.
        predict: Returns the outputs for x1 and x2, `(rows,)` each.
        transform: Returns transformed features for all features.
    """
    import tensorflow as tf

    numbers = {"x1": tf.io.FixedLenFeature([], tf.float32), "x2": tf.io.FixedLenFeature([], tf.float32)}
    everything = numbers | {
        "hour": tf.io.FixedLenFeature([], tf.int64, -1),
        "tip": tf.io.FixedLenFeature([], tf.int64),
        "amount": tf.io.FixedLenFeature([], tf.float32),
        "species": tf.io.FixedLenFeature([], tf.string),
    }
    module = tf.Module()
    signature = [tf.TensorSpec([None], tf.string, name="examples")]

    def serve(examples: Any) -> dict[str, Any]:
        parsed = tf.io.parse_example(examples, numbers)
        return predict(parsed["x1"], parsed["x2"])

    def transform_features(examples: Any) -> dict[str, Any]:
        return transform(tf.io.parse_example(examples, everything)) if transform else {}

    module.serve = tf.function(serve, input_signature=signature)
    signatures = {"serving_default": module.serve}
    if transform:
        module.transform = tf.function(transform_features, input_signature=signature)
        signatures["transform_features"] = module.transform
    tf.saved_model.save(module, str(folder / "Format-Serving"), signatures=signatures)
    return Model(folder, digest=folder.name)


def logistic(first: float, second: float) -> Callable[[Any, Any], dict[str, Any]]:
    """A binary classifier."""
    import tensorflow as tf

    return lambda x1, x2: {"probability": tf.sigmoid(first * x1 + second * x2)[:, None]}


def linear(first: float, second: float) -> Callable[[Any, Any], dict[str, Any]]:
    """A regression."""
    return lambda x1, x2: {"outputs": 100 + first * x1 + second * x2}


def softmax(scale: float, *, classes: bool) -> Callable[[Any, Any], dict[str, Any]]:
    """A classifier of species; it tells its classes if asked to."""
    import tensorflow as tf

    def predict(x1: Any, x2: Any) -> dict[str, Any]:
        score = x1 - 0.5 * x2
        outputs = {"scores": tf.nn.softmax(tf.stack([-score, 0.3 - score * score, score], axis=1) * scale)}
        if classes:
            outputs["classes"] = tf.repeat(tf.constant([SPECIES]), tf.shape(x1)[0], axis=0)
        return outputs

    return predict
