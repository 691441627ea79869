"""A residual network (He et al., 2015, in the pre-activation form of 2016), and how its training pictures are varied."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from features import IMAGE, SIDE

from components.trainer import ModelContext

SHIFT = 4
HOLE = 8
"""Side of the square that is cut out of each training picture (DeVries and Taylor, 2017)."""


def augment(features: dict[str, Any], label: Any, seed: Any) -> tuple[dict[str, Any], Any]:
    """Returns the picture mirrored, moved by up to four pixels, and with a square cut out."""
    image = tf.image.stateless_random_flip_left_right(features[IMAGE], seed)
    padded = tf.pad(image, [[SHIFT, SHIFT], [SHIFT, SHIFT], [0, 0]], mode="REFLECT")
    moved = tf.image.stateless_random_crop(padded, (SIDE, SIDE, 3), seed + 1)
    corner = tf.random.stateless_uniform([2, 1], seed + 2, 0, SIDE - HOLE, tf.int32)
    place = tf.range(SIDE)[tf.newaxis, :]
    rows, columns = tf.unstack(tf.logical_and(place >= corner, place < corner + HOLE))
    hole = tf.logical_and(rows[:, tf.newaxis], columns[tf.newaxis, :])[:, :, tf.newaxis]
    return {IMAGE: tf.where(hole, 0.0, moved)}, label


def build_model(context: ModelContext) -> keras.Model:
    """Returns the compiled model, as wide and deep as `custom_config` says; its outputs are the probabilities of the classes."""
    filters, blocks = context.custom_config.get("filters", 64), context.custom_config.get("blocks", 2)
    inputs = context.inputs([IMAGE])
    hidden = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(inputs[IMAGE])
    for stage in range(3):
        for block in range(blocks):
            hidden = residual(hidden, filters * 2**stage, stride=2 if stage and not block else 1)
    hidden = keras.layers.GlobalAveragePooling2D()(activated(hidden))
    # In mixed precision the probabilities are still computed in single precision.
    classes = keras.layers.Dense(len(context.classes), activation="softmax", dtype="float32")(keras.layers.Dropout(0.2)(hidden))
    model = keras.Model(inputs, classes)
    model.compile(
        optimizer=keras.optimizers.SGD(momentum=0.9, nesterov=True, weight_decay=5e-4),
        loss="sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    return model


def residual(inputs: Any, filters: int, *, stride: int) -> Any:
    """Returns a residual block of two convolutions."""
    before = activated(inputs)
    same = inputs.shape[-1] == filters and stride == 1
    shortcut = inputs if same else keras.layers.Conv2D(filters, 1, strides=stride, use_bias=False)(before)
    hidden = keras.layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(before)
    hidden = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(activated(hidden))
    return keras.layers.Add()([shortcut, hidden])


def activated(inputs: Any) -> Any:
    """Returns the inputs, normalised and rectified."""
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(inputs))
