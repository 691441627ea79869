"""Trainer: trains a Keras model on transformed examples and exports it with its transform inside."""

from components.trainer.component import Trainer
from components.trainer.fn_args import DataAccessor, FnArgs
from components.trainer.model_context import ModelContext

__all__ = ["DataAccessor", "FnArgs", "ModelContext", "Trainer"]
