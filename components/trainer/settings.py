"""What the two ways of training have in common: the parameters of the node, and its artifacts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.trainer.options import Backend, Checkpoints, LearningRate, Precision, Sequences, TensorBoard, Watch
from pipeline.artifacts import Examples, HyperParameters, Model, ModelRun, Schema, TransformGraph
from pipeline.errors import DataError

SERVING_FOLDER = "Format-Serving"
WEIGHTS_FILE = "Format-Keras/model.weights.h5"


@dataclass(frozen=True)
class Settings:
    """The parameters of the node; see `Trainer`."""

    module: str
    label: str | None
    classes: tuple[str, ...] | None
    train_splits: tuple[str, ...]
    eval_splits: tuple[str, ...]
    train_steps: int | None
    eval_steps: int | None
    epochs: int | None
    steps_per_evaluation: int | None
    batch_size: int
    shuffle_rows: int | None
    sequences: Sequences | None
    seed: int
    learning_rate: LearningRate
    early_stopping_patience: int | None
    monitor: str
    class_weights: Mapping[str, float] | str | None
    sample_weights: str | None
    accumulation_steps: int
    gradient_clipping: float | None
    ema: float | None
    precision: Precision
    jit_compile: bool
    deterministic: bool
    backend: Backend
    distribute: bool
    checkpoints: Checkpoints | None
    watch: Watch
    tensorboard: TensorBoard
    custom_config: Mapping[str, Any]


@dataclass(frozen=True)
class Artifacts:
    """The inputs and outputs of the node; see `Trainer`."""

    examples: list[Examples]
    transform_graph: TransformGraph | None
    schema: Schema | None
    base_model: Model | None
    hyperparameters: HyperParameters | None
    model: Model
    model_run: ModelRun

    def tuned(self) -> dict[str, Any] | None:
        """Returns the hyperparameters as they were written; None without them."""
        return _read_hyperparameters(self.hyperparameters.path) if self.hyperparameters is not None else None

    def tuned_values(self) -> Mapping[str, Any]:
        """Returns the values of the hyperparameters by name; empty without them. Keras Tuner writes them below `values`."""
        tuned = self.tuned() or {}
        values: Mapping[str, Any] = tuned.get("values", tuned)
        return values


def _read_hyperparameters(path: Path) -> dict[str, Any]:
    """Returns the hyperparameters of a folder: the one JSON file in it, as TFX's Tuner writes it.

    Raises:
        DataError: If there is not exactly one file, or it is no JSON object.
    """
    files = [file for file in sorted(path.glob("*.txt")) + sorted(path.glob("*.json")) if file.name != "summary.json"]
    if len(files) != 1:
        raise DataError(f"{path} must hold one JSON file of hyperparameters. Found: {', '.join(file.name for file in files) or 'none'}.")
    try:
        values = json.loads(files[0].read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{files[0]} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise DataError(f"{files[0]}: expected a JSON object. Received: {type(values).__name__}")
    return values
