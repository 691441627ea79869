"""Asks the served model about pictures, with TensorFlow and nothing of cauce: `python examples/signs/ask.py PICTURE...`."""

import sys
from pathlib import Path

import tensorflow as tf

latest = max(Path("serving/signs").iterdir(), key=lambda version: int(version.name) if version.name.isdigit() else -1)
served = tf.saved_model.load(str(latest)).signatures["serving_default"]
for name in sys.argv[1:]:
    picture = tf.train.Feature(bytes_list=tf.train.BytesList(value=[Path(name).read_bytes()]))
    example = tf.train.Example(features=tf.train.Features(feature={"image/encoded": picture}))
    answer = served(examples=tf.constant([example.SerializeToString()]))
    score = float(tf.reduce_max(answer["predictions"]))
    sys.stdout.write(f"{name}: {answer['predicted_class'].numpy()[0].decode()} ({score:.3f})\n")
