"""The best round: which one it was, its weights, and when to stop waiting for a better one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.trainer.moment import Listener, Moment, StopTraining
from pipeline.errors import UserCodeError, did_you_mean
from pipeline.wording import counted

if TYPE_CHECKING:
    import keras

_LARGER_IS_BETTER = ("acc", "auc", "precision", "recall", "f1", "fbeta", "r2", "iou")


class Improvement:
    """Compares the monitored value with the best so far.

    Args:
        monitor: Name of the value.

    Attributes:
        best: The best value; None before the first.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.best: float | None = None
        self._largest: bool | None = None

    def improved(self, moment: Moment) -> bool:
        """Tells whether the round's value is the best, and keeps it then; a value that is no number never is.

        Raises:
            UserCodeError: If there is no value of that name.
        """
        if self.monitor not in moment.logs:
            raise UserCodeError(f"There is no value '{self.monitor}' to monitor.{did_you_mean(self.monitor, moment.logs)}")
        if self._largest is None:
            self._largest = larger_is_better(moment.model, self.monitor)
        value = moment.logs[self.monitor]
        if math.isnan(value) or (self.best is not None and not (value > self.best if self._largest else value < self.best)):
            return False
        self.best = value
        return True


def larger_is_better(model: keras.Model, monitor: str) -> bool:
    """Tells the direction of a metric: as the metric itself says, else by its usual name; of a loss the smaller is better."""
    name = monitor.removeprefix("val_")
    if name.endswith("loss"):
        return False
    flat = [inner for metric in model.metrics for inner in getattr(metric, "metrics", [metric])]
    direction = next((getattr(metric, "_direction", None) for metric in flat if metric.name == name), None)
    return direction == "up" if direction is not None else any(word in name.lower() for word in _LARGER_IS_BETTER)


class EarlyStopping(Listener):
    """Keeps the weights of the best round, and ends training when none was better for some rounds.

    Args:
        improvement: Tells whether a round was better than all before.
        patience: Rounds to wait for a better one.
        averaged: Returns the weights that are evaluated: the moving average of them, where there is one.

    Attributes:
        best_round: The best round, from 1; 0 before the first.
        weights: The values of all variables after that round.
    """

    def __init__(self, improvement: Improvement, patience: int, averaged: Any) -> None:
        self._improvement = improvement
        self._patience = patience
        self._averaged = averaged
        self.best_round = 0
        self.weights: Sequence[Any] | None = None

    def round_done(self, moment: Moment) -> None:
        """Keeps the weights, or counts.

        Raises:
            StopTraining: If it has waited long enough.
        """
        if self._improvement.improved(moment):
            self.best_round = moment.round + 1
            self.weights = self._averaged(moment.model)
        elif moment.round + 1 - self.best_round >= self._patience:
            raise StopTraining(
                f"{self._improvement.monitor} has not been better than in round {self.best_round} for {counted(self._patience, 'round')}"
            )

    def training_ended(self, model: keras.Model) -> None:
        """Gives the model the weights of the best round."""
        if self.weights is not None:
            for variable, value in zip(model.variables, self.weights, strict=True):
                variable.assign(value)

    def state(self) -> dict[str, Any]:
        """Returns the best round and value; the checkpoint keeps the weights."""
        return {"best_round": self.best_round, "best": self._improvement.best}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes what `state` returned."""
        self.best_round, self._improvement.best = state["best_round"], state["best"]
