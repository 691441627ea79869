"""A bidirectional LSTM over the words of a message."""

from __future__ import annotations

import keras
from features import WORDS

from components.trainer import ModelContext

EMBEDDING = 64
UNITS = 32


def build_model(context: ModelContext) -> keras.Model:
    """Returns the compiled model; its output is the probability of spam, the rarer of the two classes and so the second."""
    inputs = context.inputs([WORDS])
    known = len(context.vocabulary(WORDS)) + 2  # 0 is no word, and the last one all that are not known
    hidden = keras.layers.Embedding(known, EMBEDDING)(inputs[WORDS])
    hidden = keras.layers.SpatialDropout1D(0.3)(hidden)
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True))(hidden)
    hidden = keras.layers.Dropout(0.4)(keras.layers.GlobalMaxPooling1D()(hidden))
    spam = keras.layers.Dense(1, activation="sigmoid")(hidden)
    model = keras.Model(inputs, spam)
    model.compile(
        optimizer="adam",
        loss="binary_crossentropy",
        metrics=[keras.metrics.Precision(name="precision"), keras.metrics.Recall(name="recall")],
    )
    return model
