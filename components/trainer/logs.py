"""TensorBoard logs: loss and metrics of each evaluation, and histograms, graph and profile where they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.trainer.options import TensorBoard


def tensorboard_callbacks(folder: Path, wanted: TensorBoard) -> list[Any]:
    """Returns Keras' callback that writes below `folder`: `train/`, `validation/`, and `plugins/` for profiles."""
    import keras

    return [
        keras.callbacks.TensorBoard(
            str(folder),
            histogram_freq=wanted.histograms,
            write_graph=wanted.graph,
            profile_batch=wanted.profile or 0,
        )
    ]
