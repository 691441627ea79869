"""The devices that a training runs on: one, or all visible GPUs of this machine, each with a copy of the model."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from components.trainer.settings import Settings
from pipeline.errors import DefinitionError


@dataclass(frozen=True)
class Devices:
    """What a training runs on.

    Attributes:
        names: What each device is, for example `GPU:0 NVIDIA H100`.
        strategy: How the work is divided: `none` or `mirrored`.
        distributed: TensorFlow's strategy; None for one device.
    """

    names: tuple[str, ...]
    strategy: str
    distributed: Any = None

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Where model and optimizer must be made."""
        with self.distributed.scope() if self.distributed is not None else contextlib.nullcontext():
            yield


def devices_for(node: str, settings: Settings) -> Devices:
    """Returns the devices to train on: all visible GPUs, unless the node wants one; without a GPU all logical CPUs, usually one.

    Raises:
        DefinitionError: If `TF_CONFIG` names several machines, with which Keras 3 does not train.
    """
    import tensorflow as tf

    workers = _workers()
    if settings.distribute and workers > 1:
        raise DefinitionError(
            f"Node '{node}': TF_CONFIG names {workers} workers, and Keras 3 does not train on several machines "
            "with TensorFlow (see docs/training.md).",
            hint="Train on one machine: Trainer(..., distribute=False), or unset TF_CONFIG.",
        )
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = tf.config.list_logical_devices(kind)
    names = tuple(_described(gpu) for gpu in tf.config.list_physical_devices("GPU")) or tuple(f"CPU:{i}" for i in range(len(devices)))
    if settings.backend == "tensorflow" and settings.distribute and len(devices) > 1:
        return Devices(names, "mirrored", tf.distribute.MirroredStrategy([device.name for device in devices]))
    return Devices(names[:1] if len(names) > 1 or kind == "GPU" else ("CPU",), "none")


def _workers() -> int:
    """Returns how many machines `TF_CONFIG` names for training; 1 without it."""
    try:
        cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
        return max(len(cluster.get("chief", [])) + len(cluster.get("worker", [])), 1)
    except (ValueError, AttributeError, TypeError):
        return 1


def _described(gpu: Any) -> str:
    import tensorflow as tf

    name = tf.config.experimental.get_device_details(gpu).get("device_name", "")
    return f"{gpu.name.removeprefix('/physical_device:')} {name}".rstrip()
