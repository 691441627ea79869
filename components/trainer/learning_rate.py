"""The learning rate of the model's optimizer: schedules with a warm-up, and the halving at a plateau."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from components.trainer.moment import Listener, Moment
from components.trainer.options import LearningRate
from components.trainer.stopping import Improvement

if TYPE_CHECKING:
    import keras

_EXPONENTIAL_END = 0.01


def inner_optimizer(model: keras.Model) -> Any:
    """Returns the optimizer that changes the weights: the one inside of Keras' loss scaling, where there is that."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def set_learning_rate(model: keras.Model, rate: LearningRate, steps: int) -> None:
    """Gives the optimizer the rate and the schedule; without either it keeps its own."""
    optimizer = inner_optimizer(model)
    scheduled = rate.schedule in ("linear", "cosine", "exponential") or rate.warmup_steps > 0
    if not scheduled and rate.value is None:
        return
    base = float(optimizer.learning_rate) if rate.value is None else rate.value
    changeable = hasattr(optimizer._learning_rate, "assign")
    if scheduled or not changeable:
        optimizer.learning_rate = _schedule(rate, base, steps)
    else:
        optimizer.learning_rate = base


def learning_rate_at(rate: LearningRate, base: float, step: Any, steps: int, ops: Any) -> Any:
    """Returns the rate of a step, a number or a float tensor.

    Args:
        rate: The schedule.
        base: The highest rate.
        step: Steps done.
        steps: Steps in all.
        ops: `keras.ops`, or `numpy` with numbers.
    """
    warm = rate.warmup_steps
    share = ops.clip((step - warm) / max(steps - warm, 1), 0.0, 1.0)
    end = rate.end if rate.end is not None else _EXPONENTIAL_END if rate.schedule == "exponential" else 0.0
    match rate.schedule:
        case "linear":
            factor = 1.0 - (1.0 - end) * share
        case "cosine":
            factor = end + (1.0 - end) * 0.5 * (1.0 + ops.cos(math.pi * share))
        case "exponential":
            factor = ops.exp(math.log(end) * share)
        case _:
            factor = 1.0 + 0.0 * share
    rising = ops.clip((step + 1.0) / warm, 0.0, 1.0) if warm else 1.0
    return base * factor * rising


def _schedule(rate: LearningRate, base: float, steps: int) -> Any:
    import keras

    class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            return learning_rate_at(rate, base, keras.ops.cast(step, "float32"), steps, keras.ops)

        def get_config(self) -> dict[str, Any]:
            return {}

    return Schedule()


class Plateau(Listener):
    """Multiplies the learning rate by a factor after some rounds without improvement.

    Args:
        rate: Factor and patience.
        improvement: Tells whether a round was better than all before.
    """

    def __init__(self, rate: LearningRate, improvement: Improvement) -> None:
        self._rate = rate
        self._improvement = improvement
        self._waited = 0

    def round_done(self, moment: Moment) -> None:
        """Lowers the rate where it is time."""
        if self._improvement.improved(moment):
            self._waited = 0
            return
        self._waited += 1
        if self._waited >= self._rate.patience:
            self._waited = 0
            optimizer = inner_optimizer(moment.model)
            optimizer.learning_rate = float(optimizer.learning_rate) * self._rate.factor

    def state(self) -> dict[str, Any]:
        """Returns how long it has waited, and the best value."""
        return {"waited": self._waited, "best": self._improvement.best}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes what `state` returned; the rate itself is among the optimizer's variables."""
        self._waited, self._improvement.best = state["waited"], state["best"]
