"""The devices that a training runs on: one, or all visible GPUs of this machine, each with a copy of the model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from components.trainer.settings import Settings


@dataclass(frozen=True)
class Devices:
    """What a training runs on.

    Attributes:
        names: What each device is, for example `GPU:0 NVIDIA H100`.
        strategy: How the work is divided: `none`, `mirrored` or `multi_worker`.
        distributed: TensorFlow's strategy; None for one device.
    """

    names: tuple[str, ...]
    strategy: str
    distributed: Any = None

    @property
    def counted(self) -> bool:
        """Whether batches can be counted as they are made: not where TensorFlow hands them to several devices."""
        return self.distributed is None

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Where model and optimizer must be made."""
        with self.distributed.scope() if self.distributed is not None else contextlib.nullcontext():
            yield


def devices_for(node: str, settings: Settings) -> Devices:
    """Returns the devices to train on: all visible GPUs, unless the node wants one."""
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    names = tuple(_described(gpu) for gpu in tf.config.list_physical_devices("GPU")) or ("CPU",)
    if settings.backend == "tensorflow" and settings.distribute and len(gpus) > 1:
        return Devices(names, "mirrored", tf.distribute.MirroredStrategy([gpu.name for gpu in gpus]))
    return Devices(names[:1], "none")


def _described(gpu: Any) -> str:
    import tensorflow as tf

    name = tf.config.experimental.get_device_details(gpu).get("device_name", "")
    return f"{gpu.name.removeprefix('/physical_device:')} {name}".rstrip()
