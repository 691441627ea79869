"""A recurrent network that corrects the simplest forecast, "it stays as it is"."""

from __future__ import annotations

import keras
from features import HISTORY, HORIZON, LAST

from components.trainer import ModelContext

UNITS = 64
UNIT = 100.0
"""Micrograms per cubic metre that the network counts as one."""


def build_model(context: ModelContext) -> keras.Model:
    """Returns the compiled model; its outputs are the next 24 hours."""
    inputs = context.inputs([HISTORY, LAST])
    hidden = keras.layers.Dropout(0.2)(keras.layers.GRU(UNITS)(inputs[HISTORY]))
    change = keras.layers.Dense(HORIZON)(keras.layers.Dense(UNITS, activation="relu")(hidden))
    same = keras.layers.Flatten()(keras.layers.RepeatVector(HORIZON)(inputs[LAST]))
    forecast = keras.layers.Add()([same, keras.layers.Rescaling(UNIT)(change)])
    model = keras.Model(inputs, forecast)
    model.compile(optimizer="adam", loss=squared_error, metrics=[keras.metrics.RootMeanSquaredError(name="rmse")])
    return model


def squared_error(truth: keras.KerasTensor, forecast: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the mean squared error per row, in units that keep gradients small."""
    return keras.losses.mean_squared_error(truth / UNIT, forecast / UNIT)
