"""Rules that ask for a new model, and how they are combined: `NewData() & (DriftAbove() | ModelOlderThan(days=30))`.

A rule looks at `Facts` and answers with a sentence. It knows neither the store nor files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from components.evaluator.threshold import Threshold
from pipeline.errors import DataError, DefinitionError, did_you_mean

_DAY, _HOUR = 24.0, 1.0


@dataclass(frozen=True)
class Data:
    """Some rows that a model may be trained on."""

    digest: str
    rows: int
    span: int | None
    span_name: str | None = None


@dataclass(frozen=True)
class Facts:
    """What the rules look at.

    Attributes:
        data: The data that are there now.
        trained_on: Digests of the data that the last model was trained on.
        last_model: Its number; None if no model was trained yet.
        champion: Number of the champion; None if there is none.
        age: Hours since the champion, or without one the last model, was made.
        anomalies: The summary of the anomalies; None if they were not given.
        metrics: Metrics of the champion on the new data, from the summary of an evaluation; None if there is none.
        blessed_metrics: The same from when the champion was blessed.
        rows: Rows that the champion was evaluated on.
    """

    data: tuple[Data, ...] = ()
    trained_on: frozenset[str] = frozenset()
    last_model: int | None = None
    champion: int | None = None
    age: float | None = None
    anomalies: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None
    blessed_metrics: Mapping[str, Any] | None = None
    rows: int | None = None

    @property
    def model(self) -> str:
        """What a person calls the model that is there."""
        return f"model {self.last_model if self.champion is None else self.champion}"


@dataclass(frozen=True)
class Opinion:
    """What one rule says.

    Attributes:
        rule: The rule in words.
        holds: Whether it asks for training.
        text: What is so, with numbers.
    """

    rule: str
    holds: bool
    text: str


@dataclass(frozen=True)
class Rule:
    """Base of the rules; `|` and `&` combine them."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Inputs of the `RetrainingPolicy` that it cannot do without."""

    def judge(self, facts: Facts) -> tuple[bool, tuple[Opinion, ...]]:
        """Returns whether it asks for training, and what each single rule in it says."""
        opinion = self.opinion(facts)
        return opinion.holds, (opinion,)

    def opinion(self, facts: Facts) -> Opinion:
        """Returns what the rule says; single rules write it."""
        raise NotImplementedError(f"{type(self).__name__} does not define opinion")

    def parts(self) -> Iterator[Rule]:
        """Yields the single rules in it."""
        yield self

    def __or__(self, other: Rule) -> Rule:
        return _Either((self, other))

    def __and__(self, other: Rule) -> Rule:
        return _Both((self, other))


@dataclass(frozen=True)
class _Combined(Rule):
    rules: tuple[Rule, ...]
    word: ClassVar[str] = ""

    def __str__(self) -> str:
        return f" {self.word} ".join(f"({rule})" if isinstance(rule, _Combined) else str(rule) for rule in self.rules)

    def parts(self) -> Iterator[Rule]:
        for rule in self.rules:
            yield from rule.parts()

    def _all(self, facts: Facts) -> tuple[list[bool], tuple[Opinion, ...]]:
        judged = [rule.judge(facts) for rule in self.rules]
        return [holds for holds, _ in judged], tuple(opinion for _, opinions in judged for opinion in opinions)


@dataclass(frozen=True)
class _Either(_Combined):
    word: ClassVar[str] = "or"

    def judge(self, facts: Facts) -> tuple[bool, tuple[Opinion, ...]]:
        held, opinions = self._all(facts)
        return any(held), opinions


@dataclass(frozen=True)
class _Both(_Combined):
    word: ClassVar[str] = "and"

    def judge(self, facts: Facts) -> tuple[bool, tuple[Opinion, ...]]:
        held, opinions = self._all(facts)
        return all(held), opinions


@dataclass(frozen=True)
class Always(Rule):
    """Asks for training each time."""

    def __str__(self) -> str:
        return "always"

    def opinion(self, facts: Facts) -> Opinion:
        return Opinion(str(self), True, "the policy is to train always")


@dataclass(frozen=True)
class NewData(Rule):
    """Asks for training where there are data that the last model was not trained on.

    Attributes:
        rows: How many such rows there must be. Default: 1.
    """

    rows: int = 1

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise DefinitionError(f"NewData: rows expects 1 or more. Received: {self.rows}")

    def __str__(self) -> str:
        return "new data" if self.rows == 1 else f"{self.rows:,} new rows"

    def opinion(self, facts: Facts) -> Opinion:
        if facts.last_model is None:
            return Opinion(str(self), True, "no model has been trained yet")
        new = [data for data in facts.data if data.digest not in facts.trained_on]
        count = sum(data.rows for data in new)
        what = (
            f"{count:,} rows{_spans(new)} are new since model {facts.last_model}"
            if new
            else f"no data are new since model {facts.last_model}"
        )
        enough = bool(new) and count >= self.rows
        return Opinion(str(self), enough, what if enough or not new else f"{what}, fewer than {self.rows:,}")


@dataclass(frozen=True)
class ModelOlderThan(Rule):
    """Asks for training where the champion (without one: the last model) is older than this; days and hours are added.

    Attributes:
        days: Days. Default: 0.
        hours: Hours. Default: 0.
    """

    days: float = 0.0
    hours: float = 0.0

    def __post_init__(self) -> None:
        if self.days < 0 or self.hours < 0 or self.days + self.hours == 0:
            raise DefinitionError(f"ModelOlderThan expects more than nothing. Received: days={self.days}, hours={self.hours}")

    def __str__(self) -> str:
        return f"model older than {_duration(self.days * _DAY + self.hours)}"

    def opinion(self, facts: Facts) -> Opinion:
        limit = self.days * _DAY + self.hours
        if facts.age is None:
            return Opinion(str(self), True, "there is no model yet")
        is_old = facts.age > limit
        text = f"{facts.model} is {_duration(facts.age)} old, {'more' if is_old else 'not more'} than {_duration(limit)}"
        return Opinion(str(self), is_old, text)


@dataclass(frozen=True)
class DriftAbove(Rule):
    """Asks for training where a feature has drifted: the distance that the ExampleValidator measured is above a threshold.

    Attributes:
        threshold: The threshold. Default: None, that of the schema.
        features: Only these features. Default: all that have a comparator in the schema.
        kind: `drift`, from earlier data, or `skew`, from served requests. Default: `drift`.
        confidence: How sure it must be: chance makes as much in at most `1 - confidence` of all cases. Default: 0.95; 0 for any.
    """

    threshold: float | None = None
    features: tuple[str, ...] = ()
    kind: str = "drift"
    confidence: float = 0.95
    needs: ClassVar[tuple[str, ...]] = ("anomalies",)

    def __post_init__(self) -> None:
        if isinstance(self.features, str):
            raise DefinitionError(f"DriftAbove: features expects a list of names. Received: {self.features!r}")
        object.__setattr__(self, "features", tuple(self.features))
        if self.kind not in ("drift", "skew"):
            raise DefinitionError(
                f"DriftAbove: kind expects 'drift' or 'skew'. Received: {self.kind!r}.{did_you_mean(self.kind, ['drift', 'skew'])}"
            )
        if not 0 <= self.confidence < 1:
            raise DefinitionError(f"DriftAbove: confidence expects 0 or more, and less than 1. Received: {self.confidence}")

    def __str__(self) -> str:
        where = f" of {', '.join(self.features)}" if self.features else ""
        return f"{self.kind}{where} above {'its threshold' if self.threshold is None else f'{self.threshold:g}'}"

    def opinion(self, facts: Facts) -> Opinion:
        measured = [
            (split, one)
            for split, found in (facts.anomalies or {}).get("splits", {}).items()
            for one in found["drift"]
            if one["kind"] == self.kind and (not self.features or one["feature"] in self.features)
        ]
        if not measured:
            return Opinion(str(self), False, f"no {self.kind} was measured")
        above = [(split, one) for split, one in measured if one["value"] > self._bound(one)]
        sure = [(split, one) for split, one in above if self._is_sure(one)]
        split, most = max(sure or above or measured, key=lambda item: item[1]["value"] / max(self._bound(item[1]), 1e-9))
        text = f"'{most['feature']}' in {split} has a {self.kind} of {most['value']:.3g}"
        text += f", {'above' if above else 'not above'} {self._bound(most):g}"
        if most["chance"] is not None:
            text += f" (chance makes as much in {most['chance']['p_value']:.1%} of all cases)"
        text += f", and {len(sure) - 1} more" if len(sure) > 1 else ""
        return Opinion(str(self), bool(sure), text if sure or not above else f"{text}, which is not sure enough")

    def _bound(self, one: Mapping[str, Any]) -> float:
        return float(one["threshold"] if self.threshold is None else self.threshold)

    def _is_sure(self, one: Mapping[str, Any]) -> bool:
        return one["chance"] is None or self.confidence == 0 or one["chance"]["p_value"] <= 1 - self.confidence


@dataclass(frozen=True)
class ChampionWorse(Rule):
    """Asks for training where the champion is worse on the new data than it should be.

    Attributes:
        metric: Name of a metric of the `ChampionCheck`.
        than: The value that it should keep.
        by: By how much it may be worse than when it was blessed. One of both is given.
        sure: Whether the whole 95 % confidence interval must be worse, where there is one. Default: False.
    """

    metric: str
    than: float | None = None
    by: float | None = None
    sure: bool = False
    needs: ClassVar[tuple[str, ...]] = ("champion", "champion_evaluation")

    def __post_init__(self) -> None:
        Threshold(self.metric, not_worse_than_baseline_by=0)  # checks that there is such a metric, and that one way is better
        if (self.than is None) == (self.by is None):
            raise DefinitionError(f"ChampionWorse('{self.metric}'): give than or by. Received: than={self.than}, by={self.by}")
        if self.by is not None and self.by < 0:
            raise DefinitionError(f"ChampionWorse('{self.metric}'): by expects 0 or more. Received: {self.by}")

    def __str__(self) -> str:
        return f"champion's {self.metric} worse {f'than {self.than:g}' if self.than is not None else f'by {self.by:g} than when blessed'}"

    def opinion(self, facts: Facts) -> Opinion:
        if facts.champion is None:
            return Opinion(str(self), True, "there is no champion yet")
        if facts.metrics is None:
            return Opinion(str(self), False, f"{facts.model} was not evaluated on the new data")
        now = _metric(self.metric, facts.metrics)
        sign = 1 if Threshold(self.metric, not_worse_than_baseline_by=0).higher_is_better else -1
        bound, beside = self.than, ""
        if self.by is not None:
            before = None if facts.blessed_metrics is None else _metric(self.metric, facts.blessed_metrics, required=False)
            if before is None or before["value"] is None:
                return Opinion(str(self), False, f"{facts.model} has no {self.metric} from when it was blessed")
            bound, beside = before["value"] - sign * self.by, f" ({before['value']:.5g} when it was blessed)"
        if now["value"] is None or bound is None:
            return Opinion(str(self), True, f"{self.metric} of {facts.model} on the new data is not a number")
        best = now.get("upper" if sign > 0 else "lower")
        judged = best if self.sure and best is not None else now["value"]
        worse = sign * judged < sign * bound
        interval = f" (95 %: {now['lower']:.5g} to {now['upper']:.5g})" if now.get("lower") is not None else ""
        rows = "" if facts.rows is None else f" {facts.rows:,}"
        text = f"{self.metric} of {facts.model} on the{rows} new rows is {now['value']:.5g}{interval}, "
        return Opinion(str(self), worse, f"{text}{'worse' if worse else 'not worse'} than {bound:.5g}{beside}")


def _metric(name: str, metrics: Mapping[str, Any], *, required: bool = True) -> Mapping[str, Any]:
    """Returns the champion's value; TFMA writes the names of classes in lower case with underscores."""
    plain = {found.removesuffix(" (weighted)").replace("_", "").lower(): values for found, values in metrics.items()}
    values = plain.get(name.lower())
    if values is None:
        if required:
            raise DataError(
                f"The evaluation of the champion has no {name}. It has: {', '.join(metrics) or 'none'}.",
                hint="Add it to the metrics of the ChampionCheck.",
            )
        return {"value": None}
    return dict(values.get("candidate", {"value": None}))


def _spans(data: Sequence[Data]) -> str:
    found = sorted({(one.span, one.span_name or str(one.span)) for one in data if one.span is not None})
    if not found:
        return ""
    spans = [name for _, name in found]
    named = ", ".join(spans) if len(spans) <= 3 else f"{spans[0]} to {spans[-1]}"
    return f" of span{'s' if len(spans) > 1 else ''} {named}"


def _duration(hours: float) -> str:
    return f"{hours / _DAY:.3g} days" if hours >= 2 * _DAY else f"{hours:.3g} hours"
