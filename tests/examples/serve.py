"""Asks a served model for predictions with TensorFlow alone. Usage: `python -I serve.py FOLDER`, rows as JSON on stdin.

A row maps features to values; one that it does not have is missing. Prints JSON: `outputs`, by name, and the top-level `modules` loaded.
"""

import json
import sys

import tensorflow as tf


def example(row: dict[str, str | int | float]) -> bytes:
    """Returns a row as a serialized `tf.train.Example`."""
    features = {}
    for name, value in row.items():
        if isinstance(value, str):
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        elif isinstance(value, int):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        else:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return bytes(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def main() -> None:
    """Loads the model, and prints what it says about the rows."""
    serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]
    outputs = serve(**{name: tf.constant([example(row) for row in json.load(sys.stdin)])})
    answers = {name: [_plain(value) for value in values.numpy().tolist()] for name, values in outputs.items()}
    print(json.dumps({"outputs": answers, "modules": sorted({module.partition(".")[0] for module in sys.modules})}))  # noqa: T201


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


main()
