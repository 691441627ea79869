"""How a picture becomes a tensor."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL = "label"
IMAGE = "image"
SIDE = 32


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns images, float32 `[batch, 32, 32, 3]` from -1 to 1, and the label of a batch of encoded pictures."""
    encoded = tf.reshape(inputs["image/encoded"], [-1])
    images = tf.map_fn(decoded, encoded, fn_output_signature=tf.TensorSpec([SIDE, SIDE, 3], tf.float32))
    return {IMAGE: images, LABEL: tft.compute_and_apply_vocabulary(inputs["label"], vocab_filename=LABEL)}


def decoded(encoded: tf.Tensor) -> tf.Tensor:
    """Returns one picture."""
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(tf.cast(image, tf.float32) / 127.5 - 1.0, (SIDE, SIDE, 3))
