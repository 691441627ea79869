"""What is wrong with the data of a split, in words and numbers, and whether it blocks the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.example_validator.comparison import Comparison
from components.schema.file import string_domain
from components.schema.review import SchemaChange
from components.statistics.files import all_rows, feature_name

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

DATA_MISSING = "DATA_MISSING"
"""The kind of anomaly of a split without rows, beside those of `AnomalyInfo.Type`."""

LABEL_VALUES_MISSING = "LABEL_VALUES_MISSING"
"""The kind of anomaly of a label some of whose earlier values have no rows any more, more of them than chance would take away."""

DISTANCE_KINDS = {
    "COMPARATOR_L_INFTY_HIGH": "L_INFTY",
    "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH": "JENSEN_SHANNON_DIVERGENCE",
    "COMPARATOR_NORMALIZED_ABSOLUTE_DIFFERENCE_HIGH": "NORMALIZED_ABSOLUTE_DIFFERENCE",
}

_SEVERITIES = ("UNKNOWN", "WARNING", "ERROR")
_COUNTED_HERE = ("ENUM_TYPE_UNEXPECTED_STRING_VALUES", "SCHEMA_NEW_COLUMN", *DISTANCE_KINDS)
_SHOWN_VALUES = 10


@dataclass(frozen=True)
class Unexpected:
    """A value that the schema does not list, how often it occurs, and its share of all values of the feature."""

    value: str
    count: int
    share: float


@dataclass(frozen=True)
class Finding:
    """All anomalies of one feature in one split.

    Attributes:
        split: The split.
        feature: Name of the feature; empty for the data set as a whole.
        kinds: Names of `AnomalyInfo.Type`, `DATA_MISSING` or `LABEL_VALUES_MISSING`.
        severity: `WARNING` or `ERROR`.
        short: The short descriptions of TensorFlow Data Validation.
        description: Its descriptions; of a distance what changed most, and how sure that is.
        facts: Counts of the feature in the split, in words.
        unexpected: Values that the schema does not list, most frequent first.
        changes: What would make the schema accept the feature.
        blocks: Whether the finding blocks the run.
    """

    split: str
    feature: str
    kinds: tuple[str, ...]
    severity: str
    short: str
    description: str
    facts: str
    unexpected: tuple[Unexpected, ...]
    changes: tuple[SchemaChange, ...]
    blocks: bool

    def sentence(self, schema_file: str | None) -> str:
        """Returns the finding for a person: place, what, counts, and how to accept it."""
        place = f"Split '{self.split}', feature '{self.feature}'" if self.feature else f"Split '{self.split}'"
        text = f"{place}: {self.short} ({self.facts})." + (f" {self.description}" if self.description else "")
        if not self.changes:
            return text
        snippet = " ".join(change.snippet for change in self.changes)
        verb = "writes" if any(change.before for change in self.changes) else "adds"
        if schema_file is None:
            return f"{text} A schema that accepts it has: {snippet}"
        return f"{text} To accept it, type: cauce schema accept {schema_file} --feature {self.feature}  It {verb}: {snippet}"


@dataclass(frozen=True)
class Policy:
    """Which anomalies block the run.

    Attributes:
        fail_on: `ERROR`, `WARNING` (which means errors too), or kinds of anomaly.
        allow: Kinds that never block.
        min_confidence: A distance above its threshold does not block where chance makes one as large in more than a share of
            `1 - min_confidence` of all cases; None where the threshold alone decides.
    """

    fail_on: Sequence[str]
    allow: Sequence[str]
    min_confidence: float | None = None

    def blocks(self, severity: str, kinds: Sequence[str]) -> bool:
        """Returns whether an anomaly of these kinds blocks."""
        refused = [kind for kind in kinds if kind not in self.allow]
        levels = [_SEVERITIES.index(level) for level in self.fail_on if level in _SEVERITIES]
        is_severe = any(_SEVERITIES.index(severity) >= level for level in levels)
        return bool(refused) and (is_severe or any(kind in self.fail_on for kind in refused))

    def is_sure(self, comparison: Comparison) -> bool:
        """Returns whether a distance counts, by what chance makes of it."""
        if self.min_confidence is None or comparison.chance is None:
            return True
        return comparison.chance.p_value <= 1 - self.min_confidence


@dataclass(frozen=True)
class Observed:
    """What is known of one split.

    Attributes:
        name: The split.
        anomalies: The anomalies of TensorFlow Data Validation.
        statistics: Its statistics.
        comparisons: All distances that were measured.
        rows_before: Rows of the same split in the earlier data; None where it was not compared.
        lost_labels: In words, the label's values that have no rows any more, if that is no chance.
        label: Name of the label; empty where it was not named.
    """

    name: str
    anomalies: anomalies_pb2.Anomalies
    statistics: statistics_pb2.DatasetFeatureStatisticsList
    comparisons: tuple[Comparison, ...] = ()
    rows_before: int | None = None
    lost_labels: str = ""
    label: str = ""

    @property
    def rows(self) -> int:
        """Its rows."""
        return int(all_rows(self.statistics).num_examples)


def find(split: Observed, schema: schema_pb2.Schema, changes: Mapping[str, Sequence[SchemaChange]], policy: Policy) -> list[Finding]:
    """Returns the findings of one split, in the order of their features."""
    anomalies = split.anomalies
    if anomalies.data_missing:
        kinds = (DATA_MISSING,)
        return [Finding(split.name, "", kinds, "ERROR", "No rows", "", "0 rows", (), (), policy.blocks("ERROR", kinds))]
    features = {feature_name(feature): feature for feature in all_rows(split.statistics).features}
    found = []
    if anomalies.dataset_anomaly_info.reason:
        before = "" if split.rows_before is None else f", {split.rows_before:,} before"
        found.append(_finding(split, "", anomalies.dataset_anomaly_info, f"{split.rows:,} rows{before}", (), (), policy))
    for key in sorted(anomalies.anomaly_info):
        info = anomalies.anomaly_info[key]
        name = ".".join(info.path.step) or key
        feature = features.get(name)
        unexpected = _unexpected(feature, schema) if feature is not None else ()
        facts = _facts(feature, split.rows, unexpected)
        found.append(_finding(split, name, info, facts, unexpected, tuple(changes.get(name, ())), policy))
    if split.lost_labels:
        found.append(_lost_labels(split, _facts(features.get(split.label), split.rows, ()), policy))
    return found


def _lost_labels(split: Observed, facts: str, policy: Policy) -> Finding:
    kinds = (LABEL_VALUES_MISSING,)
    blocks = policy.blocks("ERROR", kinds)
    return Finding(split.name, split.label, kinds, "ERROR", "Values of the label are gone", split.lost_labels, facts, (), (), blocks)


def _finding(
    split: Observed,
    name: str,
    info: anomalies_pb2.AnomalyInfo,
    facts: str,
    unexpected: tuple[Unexpected, ...],
    changes: tuple[SchemaChange, ...],
    policy: Policy,
) -> Finding:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    kinds = tuple(anomalies_pb2.AnomalyInfo.Type.Name(reason.type) for reason in info.reason)
    severity = anomalies_pb2.AnomalyInfo.Severity.Name(info.severity)
    short = "; ".join(dict.fromkeys(reason.short_description for reason in info.reason)) or info.short_description
    details = [reason.description.strip().rstrip(".") + "." for reason, kind in zip(info.reason, kinds) if kind not in _COUNTED_HERE]
    apart = [one for one in split.comparisons if one.feature == name and one.exceeds]
    judged = [kind for kind in kinds if kind not in DISTANCE_KINDS]
    judged += [kind for kind, measure in DISTANCE_KINDS.items() if any(one.measure == measure and policy.is_sure(one) for one in apart)]
    details += [one.sentence for one in apart]
    if len(judged) < len(kinds) and policy.min_confidence is not None:
        details.append(f"So it may be chance, and does not count: min_confidence is {policy.min_confidence:g}.")
    short = f"{short}, of the label" if name and name == split.label else short
    blocks = policy.blocks(severity, judged)
    return Finding(split.name, name, kinds, severity, short, " ".join(details), facts, unexpected, changes, blocks)


def _unexpected(feature: statistics_pb2.FeatureNameStatistics, schema: schema_pb2.Schema) -> tuple[Unexpected, ...]:
    """Returns the values that the feature's domain does not list, as far as the statistics list values."""
    declared = next((one for one in schema.feature if one.name == feature_name(feature)), None)
    domain = string_domain(declared, schema) if declared is not None else None
    if domain is None or not feature.HasField("string_stats"):
        return ()
    strings, allowed = feature.string_stats, set(domain.value)
    total = max(int(strings.common_stats.tot_num_values), 1)
    buckets = [bucket for bucket in strings.rank_histogram.buckets if bucket.label not in allowed]
    return tuple(Unexpected(bucket.label, int(bucket.sample_count), bucket.sample_count / total) for bucket in buckets)


def _facts(feature: statistics_pb2.FeatureNameStatistics | None, rows: int, unexpected: Sequence[Unexpected]) -> str:
    kind = feature.WhichOneof("stats") if feature is not None else None
    if feature is None or kind is None:
        return f"present in none of {rows:,} rows"
    stats = getattr(feature, kind)
    facts = [f"present in {int(stats.common_stats.num_non_missing):,} of {rows:,} rows"]
    if kind == "num_stats":
        facts.append(f"{_number(stats.min)} to {_number(stats.max)}")
    facts += [f"{value.value!r} in {value.count:,}, {value.share:.2%}" for value in unexpected[:_SHOWN_VALUES]]
    if len(unexpected) > _SHOWN_VALUES:
        facts.append(f"and {len(unexpected) - _SHOWN_VALUES:,} more values")
    return "; ".join(facts)


def _number(value: float) -> str:
    return f"{int(value)}" if value.is_integer() else f"{value:.7g}"


def as_json(finding: Finding) -> dict[str, object]:
    """Returns a finding as the summary holds it."""
    return dataclasses.asdict(finding)
