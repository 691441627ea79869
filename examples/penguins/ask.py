"""Asks the served model about one penguin, with TensorFlow and nothing of cauce: `python examples/penguins/ask.py`."""

import sys

import tensorflow as tf

PENGUIN = {
    "island": "Torgersen",
    "bill_length_mm": "39.1",
    "bill_depth_mm": "18.7",
    "flipper_length_mm": "NA",
    "body_mass_g": "3750",
    "sex": "male",
}

served = tf.saved_model.load("serving/penguins/1").signatures["serving_default"]
features = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()])) for name, value in PENGUIN.items()}
example = tf.train.Example(features=tf.train.Features(feature=features))
answer = served(examples=tf.constant([example.SerializeToString()]))
for name, probability in zip(answer["classes"].numpy()[0], answer["predictions"].numpy()[0], strict=True):
    sys.stdout.write(f"{name.decode():<10} {probability:.3f}\n")
