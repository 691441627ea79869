"""How a penguin becomes numbers: the same for training and serving."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL = "species"
MEASUREMENTS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
VOCABULARIES = ("island", "sex")


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns the transformed features and the label of a batch of penguins."""
    outputs = {name: filled(tft.scale_to_z_score(as_float(inputs[name]))) for name in MEASUREMENTS}
    for name in VOCABULARIES:
        outputs[name] = tft.compute_and_apply_vocabulary(filled(inputs[name]), num_oov_buckets=1, vocab_filename=name)
    outputs[LABEL] = tft.compute_and_apply_vocabulary(inputs[LABEL], vocab_filename=LABEL)
    return outputs


def as_float(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor | tf.SparseTensor:
    """Returns the values as 32-bit floats."""
    return tf.cast(values, tf.float32)


def filled(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """Returns one value per row: where it is missing 0, which is the mean of a z-score, or the empty string."""
    if isinstance(values, tf.SparseTensor):
        one_column = tf.SparseTensor(values.indices, values.values, [values.dense_shape[0], 1])
        values = tf.sparse.to_dense(one_column)
    return tf.reshape(values, [-1])
