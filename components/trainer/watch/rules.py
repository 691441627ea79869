"""What every rule of the watch is, and the rules on gradients, activations and weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from components.trainer.watch.finding import Finding
from components.trainer.watch.tried import Tried, advice


@dataclass(frozen=True)
class Look:
    """What one look at the model saw; a value that is not known is not there.

    Attributes:
        step: Training steps done.
        gradients: Norm of the gradient of the loss by each layer's weights; 0 for a layer that no gradient reaches.
        dead: Share of each ReLU layer's units that are 0 for all rows.
        movement: By which share of their norm each layer's weights have changed per step since the last look.
        class_losses: Mean loss and number of rows of each class.
    """

    step: int
    gradients: Mapping[str, float] = field(default_factory=dict)
    dead: Mapping[str, float] = field(default_factory=dict)
    movement: Mapping[str, float] = field(default_factory=dict)
    class_losses: Mapping[str, tuple[float, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Rounds:
    """The evaluations so far.

    Attributes:
        step: Training steps done.
        loss: Training loss of each round.
        evaluated: Loss on the evaluation splits after each round; empty without them.
        monitor: Name of the monitored value.
        monitored: The monitored value of each round; empty where it is not there.
        larger_is_better: Whether the monitored value is better when it is larger.
    """

    step: int
    loss: Sequence[float]
    evaluated: Sequence[float]
    monitor: str
    monitored: Sequence[float]
    larger_is_better: bool


class WatchRule:
    """One rule: its name, its own threshold, and what it makes of what is seen. By default it makes nothing of it.

    Args:
        threshold: The bound; None for the rule's own.
        tried: What the training does already, which is no advice then.
    """

    name: ClassVar[str]
    default: ClassVar[float | None] = None
    looks_at: ClassVar[Literal["loss", "model", "rounds", "input"]] = "model"
    passing: ClassVar[bool] = False
    """Whether it tells of a moment, and so counts even where it is not seen again."""

    def __init__(self, threshold: float | None = None, tried: Tried | None = None) -> None:
        self.threshold = self.default if threshold is None else threshold
        self.tried = tried or Tried()
        self.looked = False

    def at_look(self, look: Look) -> Iterator[Finding]:
        """Yields what is wrong with the model."""
        yield from ()

    def at_round(self, rounds: Rounds) -> Iterator[Finding]:
        """Yields what is wrong with the course of the training."""
        yield from ()

    def _bound(self) -> float:
        return self.threshold if self.threshold is not None else math.inf

    def _finding(self, step: int, layer: str | None, value: float, text: str, advice: str) -> Finding:
        return Finding(self.name, step, layer, value if math.isfinite(value) else None, self.threshold, text, advice)


class ExplodingGradients(WatchRule):
    """The gradient of a layer is very long, or no number."""

    name = "exploding_gradients"
    default = 1_000.0
    passing = True

    def at_look(self, look: Look) -> Iterator[Finding]:
        """Yields each layer whose gradient's norm is above the threshold."""
        for layer, norm in look.gradients.items():
            self.looked = True
            if not norm <= self._bound():
                clipped = ", before it is clipped" if self.tried.clipping else ""
                text = f"The gradient of layer '{layer}' has the norm {norm:.3g} at step {look.step}{clipped}; bound: {self._bound():g}."
                remedies = {"gradient_clipping=1.0": self.tried.clipping, "a lower learning rate": False, "scaled features": False}
                yield self._finding(look.step, layer, norm, text, advice(remedies))


class VanishingGradients(WatchRule):
    """Next to nothing of the gradient reaches a layer."""

    name = "vanishing_gradients"
    default = 1e-6

    def at_look(self, look: Look) -> Iterator[Finding]:
        """Yields each layer whose gradient, as a share of the longest, is below the threshold."""
        longest = max(look.gradients.values(), default=0.0)
        if not 0 < longest < math.inf:
            return
        for layer, norm in look.gradients.items():
            self.looked = True
            if norm / longest < self._bound():
                reached = "no gradient" if norm == 0 else f"a gradient with the norm {norm:.3g}"
                text = f"Layer '{layer}' gets {reached} at step {look.step}, and the longest gradient has {longest:.3g}."
                remedy = "Try residual connections, normalization or ReLU; or is the layer not connected to the loss?"
                yield self._finding(look.step, layer, norm / longest, text, remedy)


class DeadRelus(WatchRule):
    """Units of a layer are 0 whatever the input, and so learn nothing any more."""

    name = "dead_relus"
    default = 0.9

    def at_look(self, look: Look) -> Iterator[Finding]:
        """Yields each layer of which a larger share than the threshold is dead."""
        for layer, share in look.dead.items():
            self.looked = True
            if share > self._bound():
                text = f"{share:.0%} of the ReLU units of layer '{layer}' are 0 for all rows looked at, at step {look.step}."
                yield self._finding(look.step, layer, share, text, "Lower the learning rate, or use leaky_relu, elu or gelu.")


class WeightsDoNotMove(WatchRule):
    """The weights of a layer that is to be trained stay what they are."""

    name = "weights_do_not_move"
    default = 1e-8

    def at_look(self, look: Look) -> Iterator[Finding]:
        """Yields each layer whose weights changed by a smaller share per step than the threshold."""
        for layer, share in look.movement.items():
            self.looked = True
            if share < self._bound():
                text = f"The weights of layer '{layer}' changed by {share:.2g} of their size per step up to step {look.step}."
                yield self._finding(look.step, layer, share, text, "Raise the learning rate, or freeze the layer (trainable = False).")


class ClassLoss(WatchRule):
    """The model does far worse on one class than on the others, and worse than guessing."""

    name = "class_loss"
    default = 3.0
    _LEAST_ROWS = 5

    def at_look(self, look: Look) -> Iterator[Finding]:
        """Yields each class whose mean loss is above the threshold times that of all rows."""
        rows = sum(count for _, count in look.class_losses.values())
        if not rows:
            return
        self.looked = True
        mean = sum(loss * count for loss, count in look.class_losses.values()) / rows
        guessing = math.log(max(len(look.class_losses), 2))
        for name, (loss, count) in look.class_losses.items():
            if count >= self._LEAST_ROWS and loss > self._bound() * mean and loss > guessing:
                text = (
                    f"The loss of class '{name}' is {loss:.3g} at step {look.step}, {loss / mean:.1f} times that of all rows, "
                    f"and guessing would give {guessing:.3g}."
                )
                remedies = {
                    "class_weights='balanced'": self.tried.class_weights,
                    "more rows of the class": False,
                    "a look at its labels": False,
                }
                yield self._finding(look.step, name, loss / mean, text, advice(remedies))


LOOKING_RULES = (ExplodingGradients, VanishingGradients, DeadRelus, WeightsDoNotMove, ClassLoss)
