"""The analyzers of the taxi example: scales, vocabularies, quantiles."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

SCALED = ("trip_miles", "fare", "trip_seconds")
VOCABULARIES = ("payment_type", "company")
BUCKETED = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns the transformed features of a batch of trips."""
    outputs = {name: tft.scale_to_z_score(tf.cast(_filled(inputs[name]), tf.float32)) for name in SCALED}
    for name in VOCABULARIES:
        outputs[name] = tft.compute_and_apply_vocabulary(_filled(inputs[name]), top_k=1000, num_oov_buckets=10, vocab_filename=name)
    return outputs | {name: tft.bucketize(_filled(inputs[name]), 10) for name in BUCKETED}


def _filled(values: Any) -> Any:
    """Returns one value per row, 0 or the empty string where it is missing."""
    if not isinstance(values, tf.SparseTensor):
        return values
    column = tf.SparseTensor(values.indices, values.values, [values.dense_shape[0], 1])
    return tf.sparse.to_dense(column, default_value="" if values.dtype == tf.string else 0)
