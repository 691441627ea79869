"""The rules on the course of a training: the loss is no number, overfitting, plateau, an input pipeline slower than the model."""

from __future__ import annotations

from collections.abc import Iterator

from components.trainer.watch.finding import Finding
from components.trainer.watch.rules import Rounds, WatchRule
from components.trainer.watch.tried import advice
from pipeline.wording import counted

_RISING = 3


class NotFinite(WatchRule):
    """The loss is infinite or no number."""

    name = "not_finite"
    looks_at = "loss"
    passing = True

    def at_loss(self, step: int, steps: int, loss: float, layers: tuple[str, ...]) -> Finding:
        """Returns the finding for a loss that is not finite.

        Args:
            step: Training steps done.
            steps: Training steps in all.
            loss: The loss.
            layers: Layers with weights that are no numbers.
        """
        text = f"The loss is {loss} at step {step} of {steps}."
        if layers:
            text += f" Weights that are no numbers: {', '.join(layers[:3])}{', ...' if len(layers) > 3 else ''}."
        causes = "Usual causes: a learning rate that is too high, features that are not scaled or hold NaN, a division by 0."
        return self._finding(step, layers[0] if layers else None, loss, text, causes)


class Overfitting(WatchRule):
    """The model learns the training rows by heart."""

    name = "overfitting"
    looks_at = "rounds"
    default = 0.2

    def at_round(self, rounds: Rounds) -> Iterator[Finding]:
        """Yields a finding where the evaluation loss has risen for three rounds, away from its minimum and from the training loss."""
        values = rounds.evaluated
        if len(values) <= _RISING:
            return
        self.looked = True
        last, least = values[-1], min(values)
        rising = all(later > earlier for earlier, later in zip(values[-_RISING - 1 :], values[-_RISING:], strict=False))
        gap = (last - least) / abs(least) if least else 0.0
        if rising and gap > self._bound() and last > rounds.loss[-1]:
            best = values.index(least) + 1
            text = f"The evaluation loss is {last:.4g} at step {rounds.step}, {gap:.0%} above its minimum of {least:.4g} in round {best}."
            remedies = {
                "early_stopping_patience (it keeps the best round)": self.tried.early_stopping,
                "augmentation": self.tried.augments,
                "dropout": self.tried.drops,
                "weight decay": self.tried.decays,
                "more rows": False,
            }
            yield self._finding(rounds.step, None, gap, text, advice(remedies))


class Plateau(WatchRule):
    """The monitored value does not get better."""

    name = "plateau"
    looks_at = "rounds"
    default = 10.0

    def at_round(self, rounds: Rounds) -> Iterator[Finding]:
        """Yields a finding where the best round is longer ago than the threshold."""
        values = rounds.monitored
        if not values:
            return
        self.looked = True
        best = max(values) if rounds.larger_is_better else min(values)
        since = len(values) - 1 - values.index(best)
        if since > self._bound():
            text = f"{rounds.monitor} has not been better than {best:.4g} for {counted(since, 'round')} at step {rounds.step}."
            remedies = {"early_stopping_patience": self.tried.early_stopping, "LearningRate(schedule='plateau')": self.tried.scheduled}
            yield self._finding(rounds.step, None, float(since), text, advice(remedies, "fewer epochs, other features or a larger model"))


class SlowInput(WatchRule):
    """The model waits for its data."""

    name = "slow_input"
    looks_at = "input"
    default = 0.5
    LEAST_LOOKS = 10

    def at_looks(self, step: int, waited: int, looks: int, seconds: float) -> Iterator[Finding]:
        """Yields a finding where no batch was ready at more than the threshold's share of looks."""
        if looks < self.LEAST_LOOKS:
            return
        self.looked = True
        share = waited / looks
        if share > self._bound():
            text = (
                f"No batch was ready at {share:.0%} of {looks} looks in {seconds:.0f} s, up to step {step}: the model waits for its data."
            )
            remedies = {
                "Transform(..., materialize=True)": not self.tried.transforms,
                "a cheaper preprocessing_fn": not self.tried.transforms,
                "a cheaper augment": not self.tried.augments,
                "larger batches": False,
                "more cores": False,
            }
            yield self._finding(step, None, share, text, advice(remedies))


COURSE_RULES = (NotFinite, Overfitting, Plateau, SlowInput)
