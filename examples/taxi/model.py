"""A wide and deep model: a linear one over the categories beside a network over the numbers."""

from __future__ import annotations

import keras
from features import BUCKETED, CATEGORIES, DENSE, VOCABULARIES

from components.trainer import ModelContext

HIDDEN_UNITS = (100, 70, 48, 34)
LEARNING_RATE = 0.001


def build_model(context: ModelContext) -> keras.Model:
    """Returns the compiled model; its output is the probability of a big tip."""
    sizes = {name: context.values(name) for name in VOCABULARIES + BUCKETED} | CATEGORIES
    inputs = context.inputs([*DENSE, *sizes])
    deep = keras.layers.concatenate([inputs[name] for name in DENSE])
    for units in HIDDEN_UNITS:
        deep = keras.layers.Dense(units, activation="relu")(deep)
    wide = linear({name: inputs[name] for name in sizes}, sizes)
    logit = keras.layers.Add()([keras.layers.Dense(1)(deep), wide])
    model = keras.Model(inputs, keras.layers.Activation("sigmoid")(logit))
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss="binary_crossentropy",
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy")],
    )
    return model


def linear(categories: dict[str, keras.KerasTensor], sizes: dict[str, int]) -> keras.KerasTensor:
    """Returns the sum of a weight for each category: a one-hot encoding and a dense layer, without the zeros.

    All weights are one table, in which each feature has a range of rows of its own.
    """
    first_rows = [sum(list(sizes.values())[:index]) for index in range(len(sizes))]
    rows = keras.layers.concatenate(list(categories.values())) + keras.ops.array([first_rows], "int64")
    weights = keras.layers.Embedding(sum(sizes.values()), 1, embeddings_initializer="zeros", name="wide")(rows)
    return keras.ops.sum(weights, axis=1)
