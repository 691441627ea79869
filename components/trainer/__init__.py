"""Trainer: trains a Keras model on examples, transformed already or while they are read, and exports it with its transform inside."""

from components.trainer.component import Trainer
from components.trainer.fn_args import DataAccessor, FnArgs
from components.trainer.model_context import ModelContext
from components.trainer.options import Checkpoints, LearningRate, Rule, Sequences, TensorBoard, Watch
from components.trainer.user_module import Steps
from components.trainer.watch.finding import Finding

__all__ = [
    "Checkpoints",
    "DataAccessor",
    "Finding",
    "FnArgs",
    "LearningRate",
    "ModelContext",
    "Rule",
    "Sequences",
    "Steps",
    "TensorBoard",
    "Trainer",
    "Watch",
]
