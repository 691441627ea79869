"""What the node's parameters make of the optimizer that the user compiled the model with, and of the arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from components.trainer.checkpoint import copied
from components.trainer.learning_rate import inner_optimizer, set_learning_rate
from components.trainer.options import Precision
from components.trainer.settings import Settings
from pipeline.errors import UserCodeError

if TYPE_CHECKING:
    import keras


@contextmanager
def arithmetic(precision: Precision) -> Iterator[None]:
    """Makes the layers that are built inside compute in a precision; the weights are float32 in any case."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def configure_optimizer(model: keras.Model, settings: Settings, steps: int) -> None:
    """Sets the learning rate, clipping, accumulation and moving average of the node, before the optimizer is built.

    Raises:
        UserCodeError: If the optimizer is built already.
    """
    optimizer = inner_optimizer(model)
    set_learning_rate(model, settings.learning_rate, steps)
    changes: dict[str, Any] = {}
    if settings.gradient_clipping is not None:
        changes |= {"clipnorm": None, "clipvalue": None, "global_clipnorm": settings.gradient_clipping}
    if settings.accumulation_steps > 1:
        changes["gradient_accumulation_steps"] = settings.accumulation_steps
    if settings.ema is not None:
        changes |= {"use_ema": True, "ema_momentum": settings.ema, "ema_overwrite_frequency": None}
    if changes and optimizer.built:
        raise UserCodeError(
            f"The optimizer of the model has its variables already, so {', '.join(sorted(changes))} cannot be set.",
            hint="Do not call optimizer.build or model.fit in build_model.",
        )
    for name, value in changes.items():
        setattr(optimizer, name, value)


def compute_in_float32(model: keras.Model) -> None:
    """Makes a trained model compute in float32, so that it can be served anywhere."""
    for layer in model._flatten_layers():
        if layer.compute_dtype != layer.variable_dtype:
            layer.dtype_policy = "float32"


def averaged_variables(model: keras.Model) -> list[Any]:
    """Returns the values of all variables of the model, the trainable ones averaged where the optimizer averages them."""
    averages = _averages(model)
    return [copied(averages.get(id(variable), variable)) for variable in model.variables]


class Averages:
    """Puts the moving averages of the weights into the model while it is evaluated.

    Args:
        model: The model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._kept: list[tuple[Any, Any]] = []

    def use(self) -> None:
        """Puts the averages into the model; without averages it does nothing."""
        averages = _averages(self._model)
        trained = [variable for variable in self._model.trainable_variables if id(variable) in averages]
        self._kept = [(variable, copied(variable)) for variable in trained]
        for variable in trained:
            variable.assign(copied(averages[id(variable)]))

    def put_back(self) -> None:
        """Puts the weights back that are being trained."""
        for variable, value in self._kept:
            variable.assign(value)
        self._kept = []


def _averages(model: keras.Model) -> dict[int, Any]:
    optimizer = inner_optimizer(model)
    if not getattr(optimizer, "use_ema", False) or not optimizer.built:
        return {}
    return {
        id(variable): average
        for variable, average in zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
    }
