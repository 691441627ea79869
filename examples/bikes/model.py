"""Rides per hour: a network over the weather and the calendar, trained as a Poisson regression."""

from __future__ import annotations

import keras
from features import CATEGORIES, DENSE

from components.trainer import ModelContext

HIDDEN_UNITS = (128, 64)
LEARNING_RATE = 0.003


def build_model(context: ModelContext) -> keras.Model:
    """Returns the compiled model; its output is the expected number of rides, which is never negative."""
    categories = {name: values for name, values in CATEGORIES.items() if name in context.features}
    inputs = context.inputs([*DENSE, *categories])
    encoded = [keras.layers.CategoryEncoding(values)(inputs[name]) for name, values in categories.items()]
    hidden = keras.layers.concatenate([*(inputs[name] for name in DENSE), *encoded])
    for units in HIDDEN_UNITS:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    rides = keras.layers.Dense(1, activation="exponential")(hidden)
    model = keras.Model(inputs, rides)
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss="poisson",
        metrics=[
            keras.metrics.RootMeanSquaredError(name="rmse"),
            keras.metrics.MeanAbsoluteError(name="mae"),
            keras.metrics.R2Score(name="r2"),
        ],
    )
    return model
