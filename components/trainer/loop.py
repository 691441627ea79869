"""The managed loop: drives Keras' `fit` from any step on and tells the listeners what happens.

Training goes on in the middle of a round where a checkpoint was written there: the rest of that round is a `fit` of its own, whose
metrics go on from the checkpoint, and all further rounds are another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.trainer.checkpoint import Saved, all_variables, copied, restore
from components.trainer.learning_rate import inner_optimizer
from components.trainer.moment import Listener, Moment, Plan, StopTraining
from components.trainer.optimization import Averages
from components.trainer.progress import Pace

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_SMALL_MODEL = 1_000_000
_STEPS_AT_ONCE = 10
ALL_STEPS = "all steps are done"


@dataclass
class Loop:
    """What one training needs.

    Attributes:
        model: The compiled model.
        batches: Returns the batches to train on from a step on, without end.
        evaluation: The batches to evaluate; None for no evaluation.
        plan: How long to train.
        listeners: Who hears of it, in order.
        callbacks: Keras' own callbacks besides.
        track_rate: Whether the learning rate changes, and so belongs to the history.
        pace: How fast it was, when it has ended.
    """

    model: keras.Model
    batches: Callable[[int], tf.data.Dataset]
    evaluation: tf.data.Dataset | None
    plan: Plan
    listeners: Sequence[Listener]
    callbacks: Sequence[Any] = ()
    track_rate: bool = False
    pace: Pace | None = None

    def run(self, saved: Saved | None = None) -> str:
        """Trains, from a checkpoint on if there is one, and returns why it ended."""
        self.pace = self.pace or Pace()
        step = saved.step if saved is not None else 0
        if saved is not None and step:
            self.model._symbolic_build(data_batch=next(iter(self.batches(step).take(1))))
            restore(self.model, saved)
        for listener in self.listeners:
            listener.training_begins(self.model)
        plan, ended = self.plan, ""
        done = step % plan.steps_per_round
        if done:
            ended = self._fit(step, step // plan.steps_per_round + 1, plan.steps_per_round - done, saved)
            step += plan.steps_per_round - done
        if not ended and step < plan.steps:
            ended = self._fit(step, plan.rounds, plan.steps_per_round, None)
        for listener in self.listeners:
            listener.training_ended(self.model)
        return ended or ALL_STEPS

    def _fit(self, step: int, rounds: int, steps_per_round: int, saved: Saved | None) -> str:
        """Trains some rounds, all of so many steps, and returns why it ended early; empty if it did not."""
        adapter = _adapter(self, step, rounds < self.plan.rounds, saved)
        self.model.fit(
            self.batches(step),
            initial_epoch=step // self.plan.steps_per_round,
            epochs=rounds,
            steps_per_epoch=steps_per_round,
            validation_data=self.evaluation,
            callbacks=[adapter, *self.callbacks],
            shuffle=False,  # the data are shuffled already, and Keras would warn
            verbose=0,
        )
        return str(adapter.ended)


def steps_at_once(model: keras.Model, steps: int) -> int:
    """Returns how many steps run in one call of TensorFlow: for small models the calls cost more than the steps.

    Args:
        model: The model.
        steps: The number must divide this one, so that training can stop where a round ends or something is to be looked at.
    """
    if model.steps_per_execution != 1 or not model.built or model.count_params() > _SMALL_MODEL:
        return int(model.steps_per_execution)
    return max(count for count in range(1, _STEPS_AT_ONCE + 1) if steps % count == 0)


def _adapter(loop: Loop, start: int, goes_on: bool, saved: Saved | None) -> Any:
    """Returns the callback that makes Keras' events moments.

    Args:
        loop: The training.
        start: Steps done when `fit` begins.
        goes_on: Whether another `fit` follows.
        saved: The checkpoint from which the first round goes on in its middle.
    """
    import keras

    plan, pace, averages = loop.plan, loop.pace or Pace(), Averages(loop.model)

    class Adapter(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.ended = ""
            self._began = start
            self._step = start
            self._round = 0
            self._kept: list[Any] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._round = epoch
            self._began = max(epoch * plan.steps_per_round, start)
            if saved is not None:
                _restore_metrics(loop.model, saved)
            pace.go()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self._step = self._began + batch + 1
            moment = Moment(self._step, self._round, logs or {}, loop.model)
            for listener in loop.listeners:
                listener.steps_done(moment)

        def on_test_begin(self, logs: Any = None) -> None:
            pace.stop(self._step - self._began)
            averages.use()

        def on_test_end(self, logs: Any = None) -> None:
            averages.put_back()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            pace.stop(self._step - self._began)
            values = dict(logs or {})
            if loop.track_rate:
                values["learning_rate"] = float(inner_optimizer(loop.model).learning_rate)
            moment = Moment(self._step, epoch, values, loop.model)
            try:
                for listener in loop.listeners:
                    listener.round_done(moment)
            except StopTraining as reason:
                self.ended = str(reason)
                loop.model.stop_training = True
            if goes_on and not self.ended:  # `fit` ends by putting the averages into the model, which is to be trained on
                self._kept = [copied(variable) for variable in loop.model.trainable_variables]

        def on_train_end(self, logs: Any = None) -> None:
            for variable, value in zip(loop.model.trainable_variables, self._kept, strict=False):
                variable.assign(value)

    return Adapter()


def _restore_metrics(model: keras.Model, saved: Saved) -> None:
    """Gives the metrics their values in the middle of a round; Keras has reset them."""
    metrics = {id(variable) for variable in model.metrics_variables}
    for variable, value in zip(all_variables(model), saved.variables, strict=True):
        if id(variable) in metrics:
            variable.assign(value)
