"""Anomalies in words: what was found in which split, with its counts, and the schema change that would accept it.

Reads the protocol buffers that TensorFlow Data Validation leaves; needs only `tensorflow_metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.feature_statistics import all_rows, feature_name
from components.schema_file import string_domain
from components.schema_review import SchemaChange

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

DATA_MISSING = "DATA_MISSING"
"""The kind of anomaly of a split without rows, beside those of `AnomalyInfo.Type`."""

_SEVERITIES = ("UNKNOWN", "WARNING", "ERROR")
_COUNTED_HERE = ("ENUM_TYPE_UNEXPECTED_STRING_VALUES", "SCHEMA_NEW_COLUMN")
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
        kinds: Names of `AnomalyInfo.Type`, or `DATA_MISSING`.
        severity: `WARNING` or `ERROR`.
        short: The short descriptions of TensorFlow Data Validation.
        description: Its descriptions.
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
        if schema_file is None:
            return f"{text} A schema that accepts it has: {snippet}"
        return f"{text} To accept it, type: cauce schema accept {schema_file} --feature {self.feature}  It writes: {snippet}"


@dataclass(frozen=True)
class Policy:
    """Which anomalies block the run.

    Attributes:
        fail_on: `ERROR`, `WARNING` (which means errors too), or kinds of anomaly.
        allow: Kinds that never block.
    """

    fail_on: Sequence[str]
    allow: Sequence[str]

    def blocks(self, severity: str, kinds: Sequence[str]) -> bool:
        """Returns whether an anomaly of these kinds blocks."""
        refused = [kind for kind in kinds if kind not in self.allow]
        levels = [_SEVERITIES.index(level) for level in self.fail_on if level in _SEVERITIES]
        is_severe = any(_SEVERITIES.index(severity) >= level for level in levels)
        return bool(refused) and (is_severe or any(kind in self.fail_on for kind in refused))


def find(
    split: str,
    anomalies: anomalies_pb2.Anomalies,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    changes: Mapping[str, Sequence[SchemaChange]],
    policy: Policy,
) -> list[Finding]:
    """Returns the findings of one split, in the order of their features."""
    whole = all_rows(statistics)
    if anomalies.data_missing:
        kinds = (DATA_MISSING,)
        return [Finding(split, "", kinds, "ERROR", "No rows", "", "0 rows", (), (), policy.blocks("ERROR", kinds))]
    features = {feature_name(feature): feature for feature in whole.features}
    found = []
    if anomalies.dataset_anomaly_info.reason:
        found.append(_finding(split, "", anomalies.dataset_anomaly_info, f"{int(whole.num_examples):,} rows", (), (), policy))
    for key in sorted(anomalies.anomaly_info):
        info = anomalies.anomaly_info[key]
        name = ".".join(info.path.step) or key
        feature = features.get(name)
        unexpected = _unexpected(feature, schema) if feature is not None else ()
        facts = _facts(feature, int(whole.num_examples), unexpected)
        found.append(_finding(split, name, info, facts, unexpected, tuple(changes.get(name, ())), policy))
    return found


def drift_measurements(anomalies: anomalies_pb2.Anomalies) -> list[dict[str, Any]]:
    """Returns all distances that were measured, above their threshold or not."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    name = anomalies_pb2.DriftSkewInfo.Measurement.Type.Name
    return [
        {"feature": ".".join(info.path.step), "kind": kind, "measure": name(one.type), "value": one.value, "threshold": one.threshold}
        for info in anomalies.drift_skew_info
        for kind, measurements in (("drift", info.drift_measurements), ("skew", info.skew_measurements))
        for one in measurements
    ]


def _finding(
    split: str,
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
    details = (reason.description.strip().rstrip(".") + "." for reason, kind in zip(info.reason, kinds) if kind not in _COUNTED_HERE)
    return Finding(split, name, kinds, severity, short, " ".join(details), facts, unexpected, changes, policy.blocks(severity, kinds))


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
        return f"in none of {rows:,} rows"
    stats = getattr(feature, kind)
    facts = [f"in {int(stats.common_stats.num_non_missing):,} of {rows:,} rows"]
    if kind == "num_stats":
        facts.append(f"{_number(stats.min)} to {_number(stats.max)}")
    facts += [f"{value.value!r} {value.count:,} times, {value.share:.2%}" for value in unexpected[:_SHOWN_VALUES]]
    if len(unexpected) > _SHOWN_VALUES:
        facts.append(f"and {len(unexpected) - _SHOWN_VALUES:,} more values")
    return "; ".join(facts)


def _number(value: float) -> str:
    return f"{int(value)}" if value.is_integer() else f"{value:.7g}"
