"""What the training watch found; without any heavy library, since the user's hook and the terminal read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a training, as the watch's hook gets it and `summary.json` of ModelRun lists it.

    Attributes:
        rule: Name of the rule, for example `exploding_gradients`.
        step: Training step at which it was first seen.
        layer: The layer, or for `class_loss` the class; None where there is none.
        value: What was seen; None if it is no number.
        threshold: The rule's bound; None for a rule without one.
        text: What is so, in a sentence, with step, layer and value.
        advice: What usually helps, in a sentence.
    """

    rule: str
    step: int
    layer: str | None
    value: float | None
    threshold: float | None
    text: str
    advice: str
