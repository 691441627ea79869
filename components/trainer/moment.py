"""What the managed loop tells while it trains, and who listens: progress, best weights, checkpoints, the watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

Report = Callable[..., None]


@dataclass(frozen=True)
class Plan:
    """How long to train.

    Attributes:
        rounds: How often the model is evaluated; a round is what Keras calls an epoch.
        steps_per_round: Training steps between two evaluations.
        batch_size: Rows per step.
        monitor: The value that says which round was best.
        rounds_are_epochs: Whether a round is a pass over the training data.
    """

    rounds: int
    steps_per_round: int
    batch_size: int
    monitor: str = "val_loss"
    rounds_are_epochs: bool = True

    @property
    def steps(self) -> int:
        """Training steps in all."""
        return self.rounds * self.steps_per_round


@dataclass(frozen=True)
class Moment:
    """Where a training is.

    Attributes:
        step: Training steps done, from the beginning of the whole training.
        round: The round that is being trained, from 0.
        logs: Mean loss and metrics since the round began, by Keras' names; with the values of the evaluation when the round ends.
        model: The model.
    """

    step: int
    round: int
    logs: Mapping[str, float]
    model: keras.Model


class Listener:
    """Hears of a training, and by default does nothing. What it must know after a crash it gives to the checkpoint."""

    def training_begins(self, model: keras.Model) -> None:
        """The model is built, and its optimizer has its variables."""

    def steps_done(self, moment: Moment) -> None:
        """One or a few steps are done."""

    def round_done(self, moment: Moment) -> None:
        """A round is done and evaluated."""

    def training_ended(self, model: keras.Model) -> None:
        """All rounds are done, or training was stopped."""

    def state(self) -> dict[str, Any]:
        """Returns what to keep in a checkpoint, as JSON can hold it."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes what `state` returned."""


class StopTraining(Exception):  # noqa: N818 - as StopIteration, it is no error
    """Training is to end here, as planned by a listener; the message is the reason."""
