"""The JAX backend: the same modules train, in a process of their own, and the same SavedModel comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.trainer import Trainer
from pipeline.errors import ExecutionError
from tests.components.pictures import pictures, seen, texts
from tests.components.weather import serialized

pytest.importorskip("jax")
pytestmark = pytest.mark.tensorflow

PROGRAM = """
import json, sys
from pathlib import Path
import keras
keras.config.disable_traceback_filtering()
from components.trainer import Checkpoints, Sequences, Trainer, Watch
from pipeline.artifacts import Examples, Schema, TransformGraph
from tests.components.pictures import CNN, RNN
from tests.components.weather import module, serialized
from tests.harness import run

folder, images, graph, texts, schema = map(Path, sys.argv[1:6])


def artifact(path):
    found = Examples(path)
    found.set_splits(["train", "eval"])
    return found


def trained(source, label, given, **parameters):
    return run(Trainer, folder, inputs=given, module=module(folder, source), label=label, backend="jax", epochs=6,
               checkpoints=Checkpoints(every_steps=5), watch=Watch(every_steps=10), seed=3, **parameters)


pictures = trained(CNN, "side", {"examples": [artifact(images)], "transform_graph": TransformGraph(graph)}, batch_size=15,
                   ema=0.5, gradient_clipping=5.0)
words = trained(RNN, "many", {"examples": [artifact(texts)], "schema": Schema(schema)}, batch_size=20,
                sequences=Sequences(longest=8, buckets=(3,)))
outputs = {"pictures": pictures, "words": words}
print(json.dumps({name: [str(made["model"].path), made["model_run"].summary()] for name, made in outputs.items()}))
"""


def test_pictures_and_sequences_are_trained_and_exported(tmp_path: Path) -> None:
    import tensorflow as tf

    images, words = pictures(tmp_path), texts(tmp_path)
    arguments = [tmp_path, images["raw"].path, images["graph"].path, words["raw"].path, words["schema"].path]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name, given, metric in (("pictures", images, 0.9), ("words", words, 0.75)):
        path, summary = made[name]
        assert summary["backend"] == "jax"
        assert summary["history"]["val_accuracy"][-1] > metric, name
        assert {rule["rule"]: rule["state"] for rule in summary["watch"]["rules"]}["exploding_gradients"] == "quiet"
        saved = tf.saved_model.load(str(Path(path) / "Format-Serving"))
        served = saved.signatures["serving_default"](examples=serialized(given["raw"]))
        assert right(served["predictions"].numpy(), given) == pytest.approx(summary["history"]["val_accuracy"][-1], abs=0.03)
        assert saved.signatures["serving_default"](examples=serialized(given["raw"])[:1])["predictions"].shape[0] == 1
    again = seen(tmp_path, images, epochs=1)
    assert again["model_run"].summary()["backend"] == "tensorflow"


def right(predictions: Any, given: dict[str, Any]) -> float:
    """The share of rows whose label is predicted."""
    import tensorflow as tf

    records = serialized(given["raw"])
    if "graph" in given:
        label = tf.io.parse_example(records, {"side": tf.io.FixedLenFeature([1], tf.string)})["side"].numpy()[:, 0] == b"right"
        return float(np.mean(predictions.argmax(axis=1) == label))
    label = tf.io.parse_example(records, {"many": tf.io.FixedLenFeature([1], tf.int64)})["many"].numpy()
    return float(np.mean((predictions > 0.5) == label))


def test_a_process_with_another_backend_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExecutionError, match=r"has the backend 'tensorflow' in this process\. Expected: 'jax'"):
        seen(tmp_path, pictures(tmp_path), backend="jax")


def test_the_executors_process_is_told_the_backend() -> None:
    assert Trainer.environment({"backend": "jax"}) == {"KERAS_BACKEND": "jax"}
    assert Trainer.environment({"backend": "tensorflow"}) == {}
