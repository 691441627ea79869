"""The managed loop: fits a compiled Keras model, stops early, watches the loss, and writes its history.

It knows nothing of files and artifacts but the folder for its logs.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ExecutionError, UserCodeError, did_you_mean

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

HISTORY_FILE = "history.json"
_EXPONENTIAL_END = 0.01
_SECONDS_BETWEEN_REPORTS = 0.3
_SMALL_MODEL = 1_000_000
_STEPS_AT_ONCE = 10

Report = Callable[..., None]


@dataclass(frozen=True)
class Plan:
    """How long to train, and how.

    Attributes:
        rounds: How often the model is evaluated; a round is what Keras calls an epoch.
        steps_per_round: Training steps between two evaluations.
        monitor: The value that says which round was best.
        patience: Rounds without improvement after which training ends with the best weights; None to train to the end.
        learning_rate: Replaces that of the model's optimizer, unless None.
        schedule: How the learning rate changes, see `Trainer`.
        jit_compile: Whether XLA compiles the step.
    """

    rounds: int
    steps_per_round: int
    monitor: str
    patience: int | None
    learning_rate: float | None
    schedule: str | None
    jit_compile: bool

    @property
    def steps(self) -> int:
        """Training steps in all."""
        return self.rounds * self.steps_per_round


@dataclass(frozen=True)
class History:
    """What became of each round.

    Attributes:
        metrics: Values by name, one per round; None where the value is no number.
        best_round: The round whose weights the model has, from 1; the last one without early stopping.
    """

    metrics: dict[str, list[float | None]]
    best_round: int


def fit(
    model: keras.Model, training: tf.data.Dataset, evaluation: tf.data.Dataset | None, plan: Plan, *, logs: Path, report: Report
) -> History:
    """Trains the model, which then has the weights of the best round (with early stopping) or of the last.

    Raises:
        UserCodeError: If the monitored value is none of the model's metrics.
        ExecutionError: If the loss is not a finite number.
    """
    import keras

    model.jit_compile = plan.jit_compile
    model.steps_per_execution = _steps_at_once(model, plan.steps_per_round)
    set_learning_rate(model, plan)
    callbacks: list[Any] = [_watch(report, plan), keras.callbacks.TensorBoard(str(logs), write_graph=False)]
    stopping = None
    if plan.patience is not None:
        stopping = keras.callbacks.EarlyStopping(plan.monitor, patience=plan.patience, restore_best_weights=True)
        callbacks.append(stopping)
    if plan.schedule == "plateau":
        callbacks.append(keras.callbacks.ReduceLROnPlateau(plan.monitor, factor=0.5, patience=2))
    fitted = model.fit(
        training,
        epochs=plan.rounds,
        steps_per_epoch=plan.steps_per_round,
        validation_data=evaluation,
        callbacks=callbacks,
        shuffle=False,  # the data are shuffled already, and Keras would warn
        verbose=0,
    )
    metrics = {name: [_number(value) for value in values] for name, values in fitted.history.items()}
    best = stopping.best_epoch + 1 if stopping is not None and stopping.best is not None else len(metrics["loss"])
    (logs / HISTORY_FILE).write_text(
        json.dumps({"metrics": metrics, "best_round": best}, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    return History(metrics, best)


def set_learning_rate(model: keras.Model, plan: Plan) -> None:
    """Gives the model's optimizer the learning rate and the schedule of the plan; without either it keeps its own."""
    if plan.learning_rate is not None:
        model.optimizer.learning_rate = plan.learning_rate
    if plan.schedule is not None and plan.schedule != "plateau":
        model.optimizer.learning_rate = _decay(plan.schedule, float(model.optimizer.learning_rate), plan.steps)


def _decay(kind: str, base: float, steps: int) -> Any:
    import keras

    schedules = keras.optimizers.schedules
    match kind:
        case "cosine":
            return schedules.CosineDecay(base, steps)
        case "linear":
            return schedules.PolynomialDecay(base, steps, end_learning_rate=0.0)
    return schedules.ExponentialDecay(base, steps, _EXPONENTIAL_END)


def _number(value: Any) -> float | None:
    """Returns a value as JSON can hold it."""
    return float(value) if math.isfinite(value) else None


def _steps_at_once(model: keras.Model, steps: int) -> int:
    """Returns how many steps run in one call of TensorFlow: for small models the calls cost more than the steps."""
    if model.steps_per_execution != 1 or not model.built or model.count_params() > _SMALL_MODEL:
        return int(model.steps_per_execution)
    return max(count for count in range(1, _STEPS_AT_ONCE + 1) if steps % count == 0)


def _watch(report: Report, plan: Plan) -> Any:
    """Returns the callback that reports progress and stops at a loss that is no number."""
    import keras

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._round = 0
            self._next_report = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._round = epoch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = time.monotonic()
            if now >= self._next_report:
                self._next_report = now + _SECONDS_BETWEEN_REPORTS
                step = self._round * plan.steps_per_round + batch + 1
                report("training", step=step, steps=plan.steps, loss=round(self._finite(logs, step), 5))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            step = (epoch + 1) * plan.steps_per_round
            self._finite(logs, step)
            values = {name: round(float(value), 5) for name, value in (logs or {}).items() if name != "learning_rate"}
            report("evaluated", step=step, steps=plan.steps, **values)
            if (plan.patience is not None or plan.schedule == "plateau") and plan.monitor not in (logs or {}):
                raise UserCodeError(f"There is no value '{plan.monitor}' to monitor.{did_you_mean(plan.monitor, logs or {})}")

        def _finite(self, logs: Any, step: int) -> float:
            loss = float(logs["loss"])
            if not math.isfinite(loss):
                raise ExecutionError(
                    f"The loss is {loss} at step {step} of {plan.steps}.",
                    hint="Usual causes: a learning rate that is too high, features that are not scaled or hold NaN, a division by 0.",
                )
            return loss

    return Watch()
