"""What a training does already, so that no advice of the watch names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.trainer.learning_rate import inner_optimizer
from components.trainer.preparation import Preparation
from components.trainer.settings import Settings
from components.trainer.stepwise import served_model

if TYPE_CHECKING:
    import keras

_CLIPPING = ("global_clipnorm", "clipnorm", "clipvalue")


@dataclass(frozen=True)
class Tried:
    """What is set, by the node or in the user's module.

    Attributes:
        clipping: Whether gradients are clipped.
        early_stopping: Whether the weights of the best round are kept.
        scheduled: Whether the learning rate changes.
        class_weights: Whether classes have weights.
        augments: Whether training rows are augmented.
        decays: Whether weights decay.
        drops: Whether the model has a layer that drops values.
        transforms: Whether rows are transformed while they are read.
    """

    clipping: bool = False
    early_stopping: bool = False
    scheduled: bool = False
    class_weights: bool = False
    augments: bool = False
    decays: bool = False
    drops: bool = False
    transforms: bool = False

    @classmethod
    def of(cls, settings: Settings, model: keras.Model, prepared: Preparation) -> Tried:
        """Returns what is set for a model that is compiled."""
        optimizer, source = inner_optimizer(model), prepared.source
        return cls(
            clipping=any(getattr(optimizer, name, None) is not None for name in _CLIPPING),
            early_stopping=settings.early_stopping_patience is not None,
            scheduled=settings.learning_rate.schedule != "constant" or not hasattr(optimizer._learning_rate, "assign"),
            class_weights=bool(settings.class_weights),
            augments=prepared.maker.augment is not None,
            decays=bool(optimizer.weight_decay),
            drops=any("dropout" in type(layer).__name__.lower() for layer in served_model(model)._flatten_layers()),
            transforms=source.transform is not None and not source.transformed,
        )


def advice(remedies: Mapping[str, bool], otherwise: str = "") -> str:
    """Returns the remedies, each with whether it is tried already, as a sentence; where all are, another one."""
    left = [remedy for remedy, tried in remedies.items() if not tried] or [otherwise]
    return f"Try {', '.join(left[:-1])}{' or ' if len(left) > 1 else ''}{left[-1]}."
