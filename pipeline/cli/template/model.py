"""Three species by four measurements: a small network."""

from __future__ import annotations

import keras
from features import MEASUREMENTS, VOCABULARIES

from components.trainer import ModelContext

HIDDEN_UNITS = 16
LEARNING_RATE = 0.01


def build_model(context: ModelContext) -> keras.Model:
    """Returns the compiled model; its outputs are the probabilities of the species."""
    inputs = context.inputs([*MEASUREMENTS, *VOCABULARIES])
    encoded = [keras.layers.CategoryEncoding(context.values(name))(inputs[name]) for name in VOCABULARIES]
    hidden = keras.layers.concatenate([*(inputs[name] for name in MEASUREMENTS), *encoded])
    hidden = keras.layers.Dense(HIDDEN_UNITS, activation="relu")(hidden)
    species = keras.layers.Dense(len(context.classes), activation="softmax")(hidden)
    model = keras.Model(inputs, species)
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    return model
