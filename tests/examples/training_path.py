"""Compares an exported model with the training path of an example: `python training_path.py DEFINITION`, artifacts as JSON on stdin.

The training path is what the Trainer feeds and evaluates: the batches of its own reader, and the Keras model with the weights that were
saved. The exported one gets serialized examples that hold nothing but what the model needs: a JPEG, a text, a WAV, a history. Prints
JSON: `trained` and `served`, scores by row, `classes` by row if there are some, and `features`, the names of what was served.
"""

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.tensorflow_setup import prefer_keras_3
from components.trainer.options import Checkpoints, LearningRate, TensorBoard, Watch
from components.trainer.preparation import prepare
from components.trainer.settings import SERVING_FOLDER, WEIGHTS_FILE, Artifacts, Settings
from components.trainer.user_module import load_user_module
from pipeline.artifacts import Examples, Model, ModelRun, Schema, TransformGraph
from pipeline.context import Context
from pipeline.loading import load_definition

ROWS = 8


def artifact(kind: type[Any], known: dict[str, Any]) -> Any:
    """Returns an artifact with what was recorded of it."""
    return kind(Path(known["uri"]), properties=dict(known["properties"]))


def records(examples: Examples) -> list[bytes]:
    """Returns the first records of the eval split."""
    shards = [str(shard) for shard in sorted(examples.split_path("eval").glob("*.gz"))]
    return list(tf.data.TFRecordDataset(shards, "GZIP").take(ROWS).as_numpy_iterator())


def narrowed(record: bytes, names: list[str]) -> bytes:
    """Returns a record with some of its features."""
    whole, part = tf.train.Example.FromString(record), tf.train.Example()
    for name in names:
        part.features.feature[name].CopyFrom(whole.features.feature[name])
    return bytes(part.SerializeToString())


def main() -> None:
    """Asks both paths."""
    prefer_keras_3()
    definition = load_definition(Path(sys.argv[1]))
    known = json.load(sys.stdin)
    node = next(node for node in definition.pipeline.nodes if type(node).__name__ == "Trainer")
    raw, model = artifact(Examples, known["raw"]), artifact(Model, known["model"])
    inputs = [artifact(Examples, known["trained_on"])]
    graph, schema = artifact(TransformGraph, known["graph"]), artifact(Schema, known["schema"])
    artifacts = Artifacts(inputs, graph, schema, None, None, model, ModelRun(model.path))
    plain = {"learning_rate": LearningRate(), "checkpoints": Checkpoints(), "watch": Watch(), "tensorboard": TensorBoard()}
    settings = Settings(**{**node.parameters, **plain, "custom_config": node.parameters["custom_config"] or {}})
    folder = Path(known["folder"])
    context = Context("test", "run", node.id, 0, definition.project, definition.file.parent, folder, folder)
    module = load_user_module(context, settings.module)
    prepared = prepare(node.id, module, artifacts, settings)
    network = module.function(prepared.model_context)
    network.load_weights(model.path / WEIGHTS_FILE)
    features, *_ = prepared.fed_with(tuple(network.input)).maker.evaluation(tf.constant(records(inputs[0])))
    needed = model.summary()["raw_features"]
    served = tf.saved_model.load(str(model.path / SERVING_FOLDER)).signatures["serving_default"]
    answer = served(examples=tf.constant([narrowed(record, needed) for record in records(raw)]))
    said = {
        "trained": network(features, training=False).numpy().tolist(),
        "served": answer["predictions"].numpy().tolist(),
        "classes": [[name.decode() for name in row] for row in answer["classes"].numpy()] if "classes" in answer else [],
        "predicted": [name.decode() for name in answer["predicted_class"].numpy()] if "predicted_class" in answer else [],
        "features": needed,
    }
    sys.stdout.write(json.dumps(said))


main()
