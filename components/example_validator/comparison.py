"""The distances of a split from earlier data (drift) and from served requests (skew), each with what changed and how sure it is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from components.example_validator.chance import LEVEL, PERMUTATION, SAMPLES, Chance, chance_of
from components.example_validator.distance import JENSEN_SHANNON, L_INFINITY, Categories, Change, Numbers, distributions
from components.statistics.files import all_rows, feature_name

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

    Statistics: TypeAlias = statistics_pb2.DatasetFeatureStatisticsList

DRIFT, SKEW = "drift", "skew"
_MEASURES = {L_INFINITY: "L-infinity distance", JENSEN_SHANNON: "Jensen-Shannon divergence"}
_NEVER_BY_CHANCE = 0.01
_SHOWN_LABELS = 5


@dataclass(frozen=True)
class Baseline:
    """What the statistics are compared with.

    Attributes:
        kind: `drift` or `skew`.
        statistics: By split of the current data.
        span: Its span; None where it has none.
        span_name: What the span is called where its pattern names a time, such as `2011-02`; else None.
    """

    kind: str
    statistics: Mapping[str, Statistics]
    span: int | None
    span_name: str | None = None

    @property
    def name(self) -> str:
        """What a person calls it."""
        if self.kind == SKEW:
            return "the served requests"
        return "the earlier data" if self.span is None else f"span {self.span_name or self.span}"

    def as_json(self) -> dict[str, Any]:
        """Returns what the summary holds of it."""
        rows = {split: int(all_rows(statistics).num_examples) for split, statistics in self.statistics.items()}
        return {"kind": self.kind, "span": self.span, "rows": rows}


@dataclass(frozen=True)
class Comparison:
    """One distance.

    Attributes:
        feature: Name of the feature.
        kind: `drift` or `skew`.
        measure: Name of `DriftSkewInfo.Measurement.Type`.
        value: The distance, as TensorFlow Data Validation measured it.
        threshold: What the schema allows.
        against: What it was compared with, in words.
        values_before: Values that the baseline's distribution rests on.
        values_now: Values that this one rests on.
        chance: What chance alone makes of it; None where it cannot be said.
        changed: The values whose shares changed most.
        note: What to know of the measure; empty if nothing.
    """

    feature: str
    kind: str
    measure: str
    value: float
    threshold: float
    against: str
    values_before: float = 0.0
    values_now: float = 0.0
    chance: Chance | None = None
    changed: tuple[Change, ...] = ()
    note: str = ""

    @property
    def exceeds(self) -> bool:
        """Whether it is above its threshold."""
        return self.value > self.threshold

    @property
    def sentence(self) -> str:
        """Distance, threshold, what changed most, and how sure that is."""
        text = f"The {_MEASURES.get(self.measure, self.measure)} from {self.against} is {self.value:.3g}, above {self.threshold:g}"
        text += f": {', '.join(map(str, self.changed))}." if self.changed else "."
        if self.chance is None:
            return f"{text} {self.note}".rstrip()
        return f"{text} {_by_chance(self.chance, self)}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """Returns what the summary holds of it."""
        names = ("feature", "kind", "measure", "value", "threshold", "values_before", "values_now", "note")
        return {name: getattr(self, name) for name in names} | {
            "exceeds": self.exceeds,
            "chance": None if self.chance is None else dataclasses.asdict(self.chance),
            "changed": [dataclasses.asdict(change) for change in self.changed],
        }


def _by_chance(chance: Chance, comparison: Comparison) -> str:
    """Returns how sure a distance is, in words."""
    counts = f"{comparison.values_before:,.0f} and {comparison.values_now:,.0f} values"
    often = "less than 0.1%" if chance.p_value <= 1 / (1 + SAMPLES) else f"{chance.p_value:.1%}"
    if chance.method == PERMUTATION:
        text = f"With {counts} chance alone makes {chance.expected:.2g} on average, and as much as this in {often} of all cases."
        if comparison.threshold < chance.upper:
            text += f" The threshold is within chance, which stays below {chance.upper:.2g} in {LEVEL:.0%}."
        return text
    text = (
        f"The shares of values up to a bound differ by at least {chance.observed:.1%}; with {counts} chance alone makes "
        f"{chance.expected:.1%} on average, and as much as this in {often} of all cases."
    )
    if chance.p_value > 1 - LEVEL:
        text += " The values as a whole have hardly changed: a few far-off ones move the buckets that the divergence rests on."
    return text


def compare(anomalies: anomalies_pb2.Anomalies, split: str, current: Statistics, baselines: list[Baseline]) -> tuple[Comparison, ...]:
    """Returns all distances that TensorFlow Data Validation measured in a split, above their threshold or not."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    measure_name = anomalies_pb2.DriftSkewInfo.Measurement.Type.Name
    now = _features(current)
    before = {baseline.kind: (baseline, _features(baseline.statistics[split])) for baseline in baselines}
    found = []
    for info in anomalies.drift_skew_info:
        for kind, measurements in ((DRIFT, info.drift_measurements), (SKEW, info.skew_measurements)):
            if kind not in before:
                continue
            baseline, features = before[kind]
            name = ".".join(info.path.step)
            pair = (features.get(name), now.get(name))
            measured = ((measure_name(one.type), one.value, one.threshold) for one in measurements)
            found += [_comparison(name, kind, baseline.name, *pair, *one) for one in measured]
    return tuple(found)


def _comparison(feature: str, kind: str, against: str, before: Any, now: Any, measure: str, value: float, threshold: float) -> Comparison:
    found = distributions(before, now) if before is not None and now is not None else None
    plain = Comparison(feature, kind, measure, value, threshold, against)
    if found is None:
        return dataclasses.replace(plain, note="The values are not comparable one by one, so nothing is said of chance.")
    sized = dataclasses.replace(plain, values_before=found.totals[0], values_now=found.totals[1], changed=found.changes())
    if isinstance(found, Numbers) and measure != JENSEN_SHANNON:
        return dataclasses.replace(sized, note=NOT_OF_NUMBERS)
    return dataclasses.replace(sized, chance=chance_of(value, measure, found, samples=SAMPLES))


NOT_OF_NUMBERS = (
    "This distance is one of texts and always 0 for numbers: use jensen_shannon_divergence, or int_domain { is_categorical: true } "
    "and StatisticsGen(examples, schema)."
)
"""Said of a threshold that can never be exceeded."""


def with_label_comparator(schema: schema_pb2.Schema, label: str, threshold: float, current: Statistics) -> schema_pb2.Schema:
    """Returns the schema with a bound on the drift of the label, where it has none; L-infinity for texts, else Jensen-Shannon."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    changed = schema_pb2.Schema()
    changed.CopyFrom(schema)
    feature = next((one for one in changed.feature if one.name == label), None)
    if feature is None or feature.HasField("drift_comparator"):
        return schema
    statistics = _features(current).get(label)
    is_text = statistics is not None and statistics.WhichOneof("stats") == "string_stats"
    comparator = feature.drift_comparator
    (comparator.infinity_norm if is_text else comparator.jensen_shannon_divergence).threshold = threshold
    return changed


def lost_labels(label: str, split: str, current: Statistics, baseline: Baseline | None) -> str:
    """Returns, in words, the values of the label that the baseline has and this split has not, if that is no chance; else nothing.

    A value with the share p among n independent rows is missing with the probability `(1 - p) ** n`.
    """
    if baseline is None:
        return ""
    before, now = _features(baseline.statistics[split]).get(label), _features(current).get(label)
    found = distributions(before, now) if before is not None and now is not None else None
    if not isinstance(found, Categories):
        return ""
    shares, total = found.before / found.before.sum(), found.totals[1]
    lost = {
        name: (share, math.exp(total * math.log1p(-share)) if share < 1 else 0.0)
        for name, share, count in zip(found.labels, shares.tolist(), found.now.tolist(), strict=True)
        if count == 0 and share > 0
    }
    sure = {name: share for name, (share, chance) in lost.items() if chance < _NEVER_BY_CHANCE}
    if not sure:
        return ""
    shown = [f"{name!r} had {share:.1%}" for name, share in sorted(sure.items(), key=lambda item: -item[1])[:_SHOWN_LABELS]]
    rest = f" and {len(sure) - len(shown)} more" if len(sure) > len(shown) else ""
    return f"In {baseline.name} {', '.join(shown)}{rest}. Of {total:,.0f} rows, chance would leave none in less than 1% of all cases."


def _features(statistics: Statistics) -> dict[str, Any]:
    return {feature_name(feature): feature for feature in all_rows(statistics).features}
