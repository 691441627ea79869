"""What groups the Trainer's parameters: plain frozen dataclasses, checked when they are made, without any heavy library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

from pipeline.errors import DefinitionError

Action = Literal["warn", "stop", "hook", "off"]
Schedule = Literal["constant", "linear", "cosine", "exponential", "plateau"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
Backend = Literal["tensorflow", "jax"]


def _at_least(owner: str, least: float, **values: float | None) -> None:
    for name, value in values.items():
        if value is not None and value < least:
            raise DefinitionError(f"{owner}: {name} must be at least {least:g}. Received: {value}")


@dataclass(frozen=True)
class LearningRate:
    """How fast to learn, and how that changes.

    Attributes:
        value: The highest rate. Default: None, for that of the model's optimizer.
        schedule: `linear` or `cosine` decay to `end` at the last step, `exponential` decay to `end`, `plateau` (multiplied by `factor`
            after `patience` evaluations without improvement), or `constant`. Default: `constant`.
        warmup_steps: Steps in which the rate rises from 0 in a straight line; the schedule begins after them. Default: 0.
        end: The rate at the last step, as a share of `value`. Default: None, for 0; with `exponential` for 0.01.
        factor: What `plateau` multiplies the rate by. Default: 0.5.
        patience: Evaluations without improvement that `plateau` waits for. Default: 2.

    Raises:
        DefinitionError: If a value is out of its range, or `plateau` is to warm up.

    Example:
        LearningRate(0.01, schedule="cosine", warmup_steps=500)
    """

    value: float | None = None
    schedule: Schedule = "constant"
    warmup_steps: int = 0
    end: float | None = None
    factor: float = 0.5
    patience: int = 2

    def __post_init__(self) -> None:
        _at_least("LearningRate", 0, value=self.value, warmup_steps=self.warmup_steps, end=self.end)
        _at_least("LearningRate", 1, patience=self.patience)
        if not 0 < self.factor < 1:
            raise DefinitionError(f"LearningRate: factor must lie between 0 and 1. Received: {self.factor}")
        if self.schedule == "exponential" and self.end == 0:
            raise DefinitionError("LearningRate: an exponential schedule never reaches 0. Expected end > 0, for example 0.01.")
        if self.schedule == "plateau" and self.warmup_steps:
            raise DefinitionError("LearningRate: the schedule 'plateau' takes no warmup_steps. Expected another schedule, or none.")


@dataclass(frozen=True)
class Sequences:
    """How features of varying length become dense tensors, padded to the longest row of a batch.

    Attributes:
        features: The features to pad. Default: empty, for all of varying length.
        padding: What fills the end of a short row; texts are filled with `""`. Vocabularies count from 0: let `preprocessing_fn` add 1 to
            their indices if 0 is to mean "nothing", as `Embedding(mask_zero=True)` takes it. Default: 0.
        longest: Values after this one are cut off. Default: None, for no limit.
        buckets: Lengths at which to divide rows into buckets; a batch then has rows of one bucket, so that little is padded. The
            length of a row is that of its longest feature in `features`. Default: empty, for no buckets.

    Raises:
        DefinitionError: If the buckets do not ascend, or a value is out of its range.

    Example:
        Sequences(longest=200, buckets=(20, 50, 100))
    """

    features: tuple[str, ...] = ()
    padding: float = 0
    longest: int | None = None
    buckets: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _at_least("Sequences", 1, longest=self.longest)
        if any(low >= high for low, high in zip((0, *self.buckets), self.buckets, strict=False)):
            raise DefinitionError(f"Sequences: buckets must be lengths that ascend from 1. Received: {self.buckets}")


@dataclass(frozen=True)
class Checkpoints:
    """When to keep what a killed training needs to go on: weights, optimizer, place in the data, random state, best weights.

    The last checkpoint lies in the node's state folder, survives a retry and `cauce resume`, and goes when the node is done.

    Attributes:
        every_steps: Training steps between two checkpoints. Default: None, for one after each evaluation.
        seconds: Two checkpoints are at least so far apart, so that short rounds are not slowed down; 0 for no such limit. It does not count
            where `every_steps` is given. Default: 20.

    Raises:
        DefinitionError: If a value is out of its range.
    """

    every_steps: int | None = None
    seconds: float = 20.0

    def __post_init__(self) -> None:
        _at_least("Checkpoints", 1, every_steps=self.every_steps)
        _at_least("Checkpoints", 0, seconds=self.seconds)


@dataclass(frozen=True)
class Rule:
    """What one rule of the training watch does.

    Attributes:
        action: `warn` records what it found, `stop` makes the node fail with the reason, `hook` calls the watch's hook, `off` turns it off.
            Default: `warn`.
        threshold: The bound. Default: None, for the rule's own.
    """

    action: Action = "warn"
    threshold: float | None = None


@dataclass(frozen=True)
class Watch:
    """The training watch: what is looked at while a model trains, and what happens when something is wrong.

    Attributes:
        every_steps: Training steps between two looks at gradients, activations and weights. Default: None: as often as it costs at most
            2 % of the time; a training of a few seconds is not looked at in this way.
        not_finite: The loss is infinite or no number; layers whose weights are so are named. Default: stops the training.
        exploding_gradients: The norm of a layer's gradient is above the threshold (1,000).
        vanishing_gradients: The norm of a layer's gradient, as a share of the largest layer's, is below the threshold (1e-6).
        dead_relus: The share of a layer's ReLU units that are 0 for all rows looked at is above the threshold (0.9).
        weights_do_not_move: The weights of a layer changed by a smaller share per step than the threshold (1e-8).
        overfitting: The loss on the evaluation splits is above its minimum, and above the training loss, by more than the threshold (0.2)
            as a share of that minimum, and rising for three evaluations.
        plateau: The monitored value has not improved for the threshold's number of evaluations (10).
        class_loss: The mean loss of one class is above the threshold (3) times that of all rows, and worse than guessing.
        slow_input: The share of looks at which no batch was ready is above the threshold (0.5).
        hook: A function of the user's module, `on_finding(finding, model)`, for rules with the action `hook`. It may change the model (its
            learning rate, for example), or return `"stop"` to make the node fail; see `Finding`. Default: `on_finding`.

    Raises:
        DefinitionError: If `every_steps` is out of its range.

    Example:
        Watch(every_steps=100, exploding_gradients=Rule("stop", threshold=50.0), plateau=Rule("off"))
    """

    every_steps: int | None = None
    not_finite: Rule = Rule("stop")
    exploding_gradients: Rule = Rule()
    vanishing_gradients: Rule = Rule()
    dead_relus: Rule = Rule()
    weights_do_not_move: Rule = Rule()
    overfitting: Rule = Rule()
    plateau: Rule = Rule()
    class_loss: Rule = Rule()
    slow_input: Rule = Rule()
    hook: str = "on_finding"

    def __post_init__(self) -> None:
        _at_least("Watch", 1, every_steps=self.every_steps)

    @classmethod
    def only_finite(cls) -> Watch:
        """Returns a watch that looks at nothing but whether the loss is a finite number."""
        names = [field.name for field in fields(cls) if isinstance(field.default, Rule) and field.name != "not_finite"]
        off: dict[str, Any] = {name: Rule("off") for name in names}
        return cls(**off)

    def rules(self) -> Iterator[tuple[str, Rule]]:
        """Yields each rule with its name, in order."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Rule):
                yield field.name, value


@dataclass(frozen=True)
class TensorBoard:
    """What the TensorBoard logs hold besides the loss and metrics of each evaluation.

    Attributes:
        histograms: Evaluations between two histograms of all weights; 0 for none. Default: 0.
        graph: Whether the graph of the training step is written. Default: False.
        profile: First and last training step to profile. Default: None.

    Raises:
        DefinitionError: If the steps to profile do not ascend.
    """

    histograms: int = 0
    graph: bool = False
    profile: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _at_least("TensorBoard", 0, histograms=self.histograms)
        if self.profile is not None and not 1 <= self.profile[0] <= self.profile[1]:
            raise DefinitionError(f"TensorBoard: profile expects its first and last step, from 1. Received: {self.profile}")
