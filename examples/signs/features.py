"""How a photograph of a hand becomes a tensor; the same graph runs in training and in the served model."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL = "label"
IMAGE = "image"
SIDE = 64


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns images, float32 `[batch, 64, 64, 3]` from 0 to 1, and the label of a batch of encoded pictures."""
    encoded = tf.reshape(inputs["image/encoded"], [-1])
    images = tf.map_fn(decoded, encoded, fn_output_signature=tf.TensorSpec([SIDE, SIDE, 3], tf.float32))
    return {IMAGE: images, LABEL: tft.compute_and_apply_vocabulary(inputs["label"], vocab_filename=LABEL)}


def decoded(encoded: tf.Tensor) -> tf.Tensor:
    """Returns one picture, JPEG, PNG, BMP or GIF, at the size that the model takes."""
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(tf.image.resize(image, (SIDE, SIDE)) / 255.0, (SIDE, SIDE, 3))
