"""What TFX's taxi example makes of its columns, and nothing else: the same work for the comparison."""

from __future__ import annotations

from typing import Any

DENSE = ("trip_miles", "fare", "trip_seconds")
VOCABULARY = ("payment_type", "company")
VOCABULARY_SIZE, OUT_OF_VOCABULARY = 1000, 10
BUCKETS = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
BUCKET_COUNT = 10
CATEGORIES = {"trip_start_hour": 24, "trip_start_day": 31, "trip_start_month": 13}
PASSED_ON = ("pickup_census_tract", "dropoff_census_tract", "pickup_community_area", "dropoff_community_area")
LABEL = "big_tip"


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Scales, buckets, numbers the words, and marks trips whose tip was more than a fifth of the fare."""
    import tensorflow as tf
    import tensorflow_transform as tft

    filled = {name: _filled(value) for name, value in inputs.items()}
    outputs = {name: tft.scale_to_z_score(filled[name]) for name in DENSE}
    for name in VOCABULARY:
        outputs[name] = tft.compute_and_apply_vocabulary(filled[name], top_k=VOCABULARY_SIZE, num_oov_buckets=OUT_OF_VOCABULARY)
    outputs |= {name: tft.bucketize(filled[name], BUCKET_COUNT) for name in BUCKETS}
    # `pickup_census_tract` has one value in all 15,002 rows; an inferred schema deprecates it where the training split has none.
    outputs |= {name: filled[name] for name in (*CATEGORIES, *PASSED_ON) if name in filled}
    fare, tips = filled["fare"], filled["tips"]
    big = tf.cast(tf.greater(tips, fare * 0.2), tf.int64)
    outputs[LABEL] = tf.where(tf.math.is_nan(fare), tf.zeros_like(big), big)
    return outputs


def _filled(value: Any) -> Any:
    """Returns a vector in which missing values are 0 or empty."""
    import tensorflow as tf

    if not isinstance(value, tf.sparse.SparseTensor):
        return value
    default = "" if value.dtype == tf.string else 0
    column = tf.SparseTensor(value.indices, value.values, [value.dense_shape[0], 1])
    return tf.squeeze(tf.sparse.to_dense(column, default), axis=1)
