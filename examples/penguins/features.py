"""How a penguin becomes numbers. The measurements are text in the data, `NA` where a bird was not measured."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL = "species"
MEASUREMENTS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
VOCABULARIES = ("island", "sex")


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns the transformed features and the label of a batch of penguins."""
    outputs = {name: scaled(inputs[name]) for name in MEASUREMENTS}
    for name in VOCABULARIES:
        outputs[name] = tft.compute_and_apply_vocabulary(inputs[name], num_oov_buckets=1, vocab_filename=name)
    outputs[LABEL] = tft.compute_and_apply_vocabulary(inputs[LABEL], vocab_filename=LABEL)
    return outputs


def scaled(text: tf.Tensor) -> tf.Tensor:
    """Returns the number as its distance from the mean in standard deviations, 0 where there is none."""
    missing = tf.equal(text, "NA")
    numbers = tf.where(missing, float("nan"), tf.strings.to_number(tf.where(missing, "0", text)))
    return tf.where(missing, 0.0, tft.scale_to_z_score(numbers))  # the mean and the variance leave out NaN
