"""A convolutional network for the digits of sign language, and how its training pictures are varied."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from features import IMAGE, SIDE

from components.trainer import ModelContext

FILTERS = (16, 32, 64, 128)
SHIFT = 6
"""Pixels by which a picture is moved at most."""


def augment(features: dict[str, Any], label: Any, seed: Any) -> tuple[dict[str, Any], Any]:
    """Returns the picture mirrored, moved and with another contrast: a left hand shows the same digit as a right one."""
    image = tf.image.stateless_random_flip_left_right(features[IMAGE], seed)
    padded = tf.pad(image, [[SHIFT, SHIFT], [SHIFT, SHIFT], [0, 0]], mode="REFLECT")
    moved = tf.image.stateless_random_crop(padded, (SIDE, SIDE, 3), seed + 1)
    return {IMAGE: tf.image.stateless_random_contrast(moved, 0.8, 1.25, seed + 2)}, label


def build_model(context: ModelContext) -> keras.Model:
    """Returns the compiled model; its outputs are the probabilities of the digits."""
    inputs = context.inputs([IMAGE])
    hidden = inputs[IMAGE]
    for filters in FILTERS:
        hidden = keras.layers.MaxPooling2D()(convolution(filters, convolution(filters, hidden)))
    hidden = keras.layers.Dropout(0.4)(keras.layers.GlobalAveragePooling2D()(hidden))
    digits = keras.layers.Dense(len(context.classes), activation="softmax")(hidden)
    model = keras.Model(inputs, digits)
    model.compile(
        optimizer=keras.optimizers.AdamW(weight_decay=1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    return model


def convolution(filters: int, inputs: Any) -> Any:
    """Returns a convolution of 3 by 3, normalised and rectified."""
    hidden = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(inputs)
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(hidden))
