"""The wide and deep model of TFX's taxi example: the same layers, loss and optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from features import BUCKET_COUNT, BUCKETS, CATEGORIES, DENSE, OUT_OF_VOCABULARY, VOCABULARY, VOCABULARY_SIZE
from keras import layers

if TYPE_CHECKING:
    from components.trainer import ModelContext

HIDDEN_UNITS = (100, 70, 48, 34)


def build_model(context: ModelContext) -> keras.Model:
    """Returns the compiled model; its output is the probability of a big tip."""
    sizes = dict.fromkeys(VOCABULARY, VOCABULARY_SIZE + OUT_OF_VOCABULARY) | dict.fromkeys(BUCKETS, BUCKET_COUNT) | CATEGORIES
    inputs = context.inputs([*DENSE, *sizes])
    deep = layers.concatenate([layers.Normalization(mean=0.0, variance=1.0)(inputs[name]) for name in DENSE])
    for units in HIDDEN_UNITS:
        deep = layers.Dense(units)(deep)
    wide = layers.concatenate([layers.CategoryEncoding(num_tokens=size)(inputs[name]) for name, size in sizes.items()])
    output = layers.Dense(1, activation="sigmoid")(layers.concatenate([deep, wide]))
    model = keras.Model(inputs, output)
    model.compile(optimizer=keras.optimizers.Adam(0.001), loss="binary_crossentropy", metrics=[keras.metrics.BinaryAccuracy()])
    return model
