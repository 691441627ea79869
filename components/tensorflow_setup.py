"""How a node's process uses TensorFlow: which devices, which Keras."""

from __future__ import annotations

import importlib


def use_cpu_only() -> None:
    """Leaves the GPUs of this process untouched, for nodes that gain nothing from one."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        try:
            tf.config.set_visible_devices([], "GPU")
        except RuntimeError:
            return  # the process has used them already


def grow_gpu_memory() -> int:
    """Makes TensorFlow take GPU memory as it needs it; returns the number of GPUs."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            break  # the process has used them already
    return len(gpus)


def prefer_keras_3() -> None:
    """Makes `tf.keras` Keras 3 for user code; importing `tensorflow_transform` makes it Keras 2."""
    import tensorflow as tf

    tf.keras = importlib.import_module("keras._tf_keras.keras")
