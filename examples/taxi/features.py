"""How a taxi trip becomes numbers: the same for training and serving."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL = "big_tip"
DENSE = ("trip_miles", "fare", "trip_seconds")
VOCABULARIES = ("payment_type", "company", "pickup_census_tract", "dropoff_census_tract")
BUCKETED = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
CATEGORIES = {
    "trip_start_hour": 24,
    "trip_start_day": 8,
    "trip_start_month": 13,
    "pickup_community_area": 78,
    "dropoff_community_area": 78,
}
"""Features that are small whole numbers already, and how many values each can have; 0 also stands for a missing one."""

VOCABULARY_SIZE = 1000
UNKNOWN_BUCKETS = 10
BUCKETS = 10
BIG_TIP = 0.2


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns the transformed features and the label of a batch of trips."""
    outputs = {}
    for name in DENSE:
        outputs[name] = tft.scale_to_z_score(tf.cast(filled(inputs[name]), tf.float32))
    for name in VOCABULARIES:
        outputs[name] = tft.compute_and_apply_vocabulary(
            filled(inputs[name]), top_k=VOCABULARY_SIZE, num_oov_buckets=UNKNOWN_BUCKETS, vocab_filename=name
        )
    for name in BUCKETED:
        outputs[name] = tft.bucketize(filled(inputs[name]), BUCKETS)
    for name, values in CATEGORIES.items():
        outputs[name] = tf.clip_by_value(filled(inputs[name]), 0, values - 1)
    tips, fare = filled(inputs["tips"]), filled(inputs["fare"])
    outputs[LABEL] = tf.cast(tips > fare * BIG_TIP, tf.int64)
    return outputs


def filled(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """Returns one value per row, 0 or the empty string where it is missing."""
    if isinstance(values, tf.SparseTensor):
        one_column = tf.SparseTensor(values.indices, values.values, [values.dense_shape[0], 1])
        values = tf.sparse.to_dense(one_column)
    return tf.reshape(values, [-1])
