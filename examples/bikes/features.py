"""How an hour becomes numbers: calendar and weather, and nothing that is known only when the hour is over.

`casual` and `registered` are the two parts of the label. A model that saw them would be perfect here and useless when serving.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL = "cnt"
DENSE = ("temp", "atemp", "hum", "windspeed")
CATEGORIES = {"yr": 2, "season": 5, "mnth": 13, "hr": 24, "weekday": 7, "holiday": 2, "workingday": 2, "weathersit": 5}
"""Features that are small whole numbers already, and how many values each can have."""

OF_THE_YEAR = ("yr", "season", "mnth")
"""Those that a window of a few months cannot tell anything about: the next month has values that were not there yet."""


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns the transformed features and the label of a batch of hours."""
    outputs = {name: tft.scale_to_z_score(inputs[name]) for name in DENSE}
    for name, values in CATEGORIES.items():
        outputs[name] = tf.clip_by_value(inputs[name], 0, values - 1)
    outputs[LABEL] = tf.cast(inputs[LABEL], tf.float32)
    return outputs


def preprocessing_fn_of_months(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns the same without what only a whole year can teach."""
    return {name: feature for name, feature in preprocessing_fn(inputs).items() if name not in OF_THE_YEAR}
