"""Learning rates that change with the step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

    from components.trainer.loop import Plan

LEARNING_RATE_SCHEDULES = ("cosine", "linear", "exponential", "plateau")
"""To zero along a cosine, to zero along a line, to a hundredth by a constant factor, or halved when there is no progress."""

_EXPONENTIAL_END = 0.01


def set_learning_rate(model: keras.Model, plan: Plan) -> None:
    """Gives the model's optimizer the learning rate and the schedule of the plan; without either it keeps its own."""
    if plan.learning_rate is not None:
        model.optimizer.learning_rate = plan.learning_rate
    if plan.schedule not in (None, "plateau") or plan.warmup_steps:
        base = float(model.optimizer.learning_rate)
        model.optimizer.learning_rate = _schedule(plan.schedule, base, plan.steps, plan.warmup_steps)


def _schedule(kind: str | None, base: float, steps: int, warmup: int) -> Any:
    import keras

    decay = _decay(kind, base, max(steps - warmup, 1))

    class WarmUp(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        """Rises from zero, then decays."""

        def __call__(self, step: Any) -> Any:
            step = keras.ops.cast(step, "float32")
            return keras.ops.where(step < warmup, base * (step + 1) / warmup, decay(keras.ops.maximum(step - warmup, 0)))

        def get_config(self) -> dict[str, Any]:
            return {"kind": kind, "base": base, "steps": steps, "warmup": warmup}

    return WarmUp() if warmup else decay


def _decay(kind: str | None, base: float, steps: int) -> Any:
    import keras

    schedules = keras.optimizers.schedules
    match kind:
        case "cosine":
            return schedules.CosineDecay(base, steps)
        case "linear":
            return schedules.PolynomialDecay(base, steps, end_learning_rate=0.0)
        case "exponential":
            return schedules.ExponentialDecay(base, steps, _EXPONENTIAL_END)
    return lambda step: base
