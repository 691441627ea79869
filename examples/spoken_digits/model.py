"""A small convolutional network over spectrograms."""

from __future__ import annotations

import keras
from features import FRAMES, MELS, SPECTROGRAM

from components.trainer import ModelContext

FILTERS = (24, 48, 96)


def build_model(context: ModelContext) -> keras.Model:
    """Returns the compiled model; its outputs are the probabilities of the digits."""
    inputs = context.inputs([SPECTROGRAM])
    hidden = keras.layers.Reshape((FRAMES, MELS, 1))(inputs[SPECTROGRAM])
    hidden = keras.layers.RandomTranslation(0.1, 0.05, fill_mode="nearest")(hidden)  # sooner or later, higher or lower
    hidden = keras.layers.GaussianNoise(0.3)(hidden)
    for filters in FILTERS:
        hidden = keras.layers.Dropout(0.15)(keras.layers.MaxPooling2D()(convolution(filters, hidden)))
    hidden = keras.layers.GlobalAveragePooling2D()(convolution(128, hidden))
    digits = keras.layers.Dense(len(context.classes), activation="softmax")(keras.layers.Dropout(0.3)(hidden))
    model = keras.Model(inputs, digits)
    model.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    return model


def convolution(filters: int, inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Returns a convolution of 3 by 3, normalised and rectified."""
    hidden = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(inputs)
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(hidden))
