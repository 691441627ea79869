"""How three days of air and weather become a table of numbers, step by step."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL = "pm25"
HISTORY = "history"
LAST = "last"
STEPS, HORIZON = 72, 24
SKEWED = ("pm2.5", "Iws", "Is", "Ir")
EVEN = ("DEWP", "TEMP", "PRES")
WINDS = ("NW", "NE", "SE", "cv")
DAY, YEAR = 86_400.0, 365.2425 * 86_400.0


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns the history, float32 `[batch, 72, 15]`, the last measurement, and the 24 to forecast, in micrograms per cubic metre."""
    series = {name: inputs[f"history/{name}"] for name in (*SKEWED, *EVEN)}
    columns = [tft.scale_to_z_score(tf.math.log1p(series[name])) for name in SKEWED]
    columns += [tft.scale_to_z_score(series[name]) for name in EVEN]
    columns += [tf.cast(tf.equal(inputs["history/cbwd"], wind), tf.float32) for wind in WINDS]
    columns += phases(tf.reshape(inputs["window/origin"], [-1, 1]))
    return {
        HISTORY: tf.ensure_shape(tf.stack(columns, axis=2), (None, STEPS, len(columns))),
        LAST: series["pm2.5"][:, -1:],
        LABEL: inputs["horizon/pm2.5"],
    }


def phases(origin: tf.Tensor) -> list[tf.Tensor]:
    """Returns sine and cosine of the time of the day and of the year at each step; `origin` is the last one, in seconds."""
    seconds = origin - 3600 * tf.range(STEPS - 1, -1, -1, tf.int64)[tf.newaxis, :]
    angles = [2 * math.pi * tf.cast(tf.math.floormod(tf.cast(seconds, tf.float64), period) / period, tf.float32) for period in (DAY, YEAR)]
    return [function(angle) for angle in angles for function in (tf.sin, tf.cos)]
