"""How a recording becomes a picture of its sound: a log-mel spectrogram, computed inside the transform and so inside the served model."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL = "label"
SPECTROGRAM = "spectrogram"
SAMPLE_RATE = 8_000
SAMPLES = 8_000
"""One second; longer recordings are cut, shorter ones end in silence."""
FRAME, STEP, MELS = 256, 128, 40
FRAMES = 1 + (SAMPLES - FRAME) // STEP


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns spectrograms, float32 `[batch, frames, mels]`, and the label of a batch of encoded recordings."""
    encoded = tf.reshape(inputs["audio/encoded"], [-1])
    samples = tf.map_fn(decoded, encoded, fn_output_signature=tf.TensorSpec([SAMPLES], tf.float32))
    quiet = log_mel(samples)
    level = tf.reduce_mean(quiet, axis=[1, 2], keepdims=True)  # how loud the recording is says nothing about the digit
    return {
        SPECTROGRAM: tft.scale_to_z_score(quiet - level, elementwise=True),
        LABEL: tft.compute_and_apply_vocabulary(inputs[LABEL], vocab_filename=LABEL),
    }


def decoded(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the samples of one WAV file, from -1 to 1."""
    samples, _ = tf.audio.decode_wav(encoded, desired_channels=1, desired_samples=SAMPLES)
    return tf.ensure_shape(tf.squeeze(samples, axis=1), (SAMPLES,))


def log_mel(samples: tf.Tensor) -> tf.Tensor:
    """Returns the logarithm of the energy per frame and mel band, `[batch, frames, mels]`."""
    spectrum = tf.abs(tf.signal.stft(samples, FRAME, STEP, FRAME))
    mel = tf.signal.linear_to_mel_weight_matrix(MELS, FRAME // 2 + 1, SAMPLE_RATE, 80.0, 3_800.0)
    return tf.ensure_shape(tf.math.log(tf.tensordot(spectrum, mel, 1) + 1e-3), (None, FRAMES, MELS))
