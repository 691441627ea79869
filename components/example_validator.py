"""ExampleValidator: do the data keep what the schema promises, and if not, may the run go on?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.record_issues import IssueKind
from components.record_verdicts import RecordFinding, extremes_in, judge_records
from components.schema.file import read_schema_of, string_domain
from components.schema.inference import propose_schema
from components.schema.review import SchemaChange, diff
from components.statistics.files import all_rows, chosen_splits, feature_name, read_statistics
from pipeline.artifacts import ExampleAnomalies, ExampleStatistics, Schema
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError, did_you_mean

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

    Anomalies = Mapping[str, anomalies_pb2.Anomalies]
    Statistics = Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]

ANOMALIES_FILE = "SchemaDiff.pb"
DATA_MISSING = "DATA_MISSING"
"""The kind of anomaly of a split without rows, beside those of `AnomalyInfo.Type`."""

_SEVERITIES = ("UNKNOWN", "WARNING", "ERROR")
_COUNTED_HERE = ("ENUM_TYPE_UNEXPECTED_STRING_VALUES", "SCHEMA_NEW_COLUMN")
_SHOWN_VALUES = 10


class ExampleValidator(Component):
    """Compares statistics with a schema, and with earlier or serving statistics, and stops the run where that was not agreed.

    The anomalies are those of `tfdv.validate_statistics`, and are published whether they block the run or not. By default each
    error blocks: what is in a curated schema was put there on purpose, thresholds of drift and skew too, and a harmless
    difference is accepted for good with the command that the reason names.

    What the ExampleGen found in single records is judged too, all of it as a warning: `BAD_RECORD`, `UNUSUAL_RECORD`, `EMPTY_CLASS`,
    `OTHER_FILE`, `DUPLICATE_RECORD`, `LEAKED_RECORD` (equal records in different splits), `DUPLICATE_TIME`, `TIME_GAP`. To stop at a
    leak: `fail_on=["ERROR", "LEAKED_RECORD"]`.

    Inputs:
        statistics: The statistics to check.
        schema: The schema.
        baseline_statistics: Of earlier data, for features with a `drift_comparator`; optional.
        serving_statistics: Of served requests, for features with a `skew_comparator`; optional. Of both, the split of the same
            name is compared, or the only one.

    Outputs:
        anomalies: `Split-<name>/SchemaDiff.pb`, and `summary.json` (`schemas/summaries/ExampleAnomalies.json`).

    Args:
        exclude_splits: Splits to leave out. Default: none.
        environment: The schema's environment that the data come from, such as `SERVING`, where a label may be missing. Default:
            None, one that has all features.
        fail_on: What blocks the run: `ERROR`, `WARNING` (errors too), kinds of anomaly such as `SCHEMA_MISSING_COLUMN` or
            `DATA_MISSING` (a split without rows) or `LEAKED_RECORD`; empty for nothing, as in TFX. Default: `ERROR`.
        allow: Kinds of anomaly that never block, such as `SCHEMA_NEW_COLUMN`. Default: none.

    Raises:
        DataError: If statistics or schema are damaged, or there is no such environment or split.

    Example:

        validator = ExampleValidator(statistics, schema, allow=["SCHEMA_NEW_COLUMN"])
    """

    needs = ("tensorflow_data_validation",)
    libraries = ("tensorflow-data-validation",)

    def validate(self) -> None:
        """Checks the names of anomalies."""
        kinds = set(self.parameters["fail_on"]) - {"ERROR", "WARNING"} | set(self.parameters["allow"])
        unknown = sorted(kinds - set(_kinds())) if kinds else []
        if unknown:
            raise DefinitionError(f"Node '{self.id}': there is no kind of anomaly '{unknown[0]}'.{did_you_mean(unknown[0], _kinds())}")

    def execute(
        self,
        context: Context,
        statistics: Input[ExampleStatistics],
        schema: Input[Schema],
        anomalies: Output[ExampleAnomalies],
        baseline_statistics: Input[ExampleStatistics] | None = None,
        serving_statistics: Input[ExampleStatistics] | None = None,
        *,
        exclude_splits: tuple[str, ...] = (),
        environment: str | None = None,
        fail_on: tuple[str, ...] = ("ERROR",),
        allow: tuple[str, ...] = (),
    ) -> None:
        """Writes the anomalies of each split and decides."""
        import tensorflow_data_validation as tfdv

        splits = chosen_splits("statistics", statistics.splits, exclude_splits)
        expected = read_schema_of(schema)
        _check_environment(environment, expected)
        current = {split: read_statistics(statistics, split) for split in splits}
        found = {
            split: tfdv.validate_statistics(
                current[split],
                expected,
                environment=environment,
                previous_statistics=_counterpart(baseline_statistics, split, "baseline_statistics"),
                serving_statistics=_counterpart(serving_statistics, split, "serving_statistics"),
            )
            for split in splits
        }
        policy, told = Policy(fail_on, allow), statistics.summary()
        findings = _findings(found, current, expected, policy, extremes_in(told))
        records = judge_records(told, splits, policy.blocks)
        schema_file = str(schema.properties["schema_file"]) if "schema_file" in schema.properties else None
        _write(anomalies, found, current, findings, records, schema_file)
        if "span" in statistics.properties:
            anomalies.properties["span"] = statistics.properties["span"]
        _decide(context, current, findings, records, schema_file)


def _kinds() -> list[str]:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    return [DATA_MISSING, *map(str, IssueKind), *anomalies_pb2.AnomalyInfo.Type.keys()]


def _check_environment(environment: str | None, schema: schema_pb2.Schema) -> None:
    known = list(schema.default_environment)
    if environment is not None and environment not in known:
        raise DataError(f"The schema has no default_environment '{environment}'.{did_you_mean(environment, known)}")


def _counterpart(statistics: ExampleStatistics | None, split: str, name: str) -> statistics_pb2.DatasetFeatureStatisticsList | None:
    """Returns the statistics that a split is compared with: those of the same name, or the only ones."""
    if statistics is None:
        return None
    if split not in statistics.splits and len(statistics.splits) != 1:
        raise DataError(f"{name} has no split '{split}' to compare with. It has: {', '.join(statistics.splits)}.")
    return read_statistics(statistics, split if split in statistics.splits else statistics.splits[0])


def _findings(
    found: Anomalies, current: Statistics, schema: schema_pb2.Schema, policy: Policy, extremes: Mapping[str, str]
) -> list[Finding]:
    known = [statistics for statistics in current.values() if all_rows(statistics).features]
    changes: dict[str, list[Any]] = {}
    if any(anomalies.anomaly_info for anomalies in found.values()):
        for change in diff(propose_schema(schema, known), schema):
            changes.setdefault(change.feature, []).append(change)
    findings = [finding for split in found for finding in find(split, found[split], current[split], schema, changes, policy)]
    return [
        dataclasses.replace(finding, facts=f"{finding.facts}; {extremes[finding.feature]}") if finding.feature in extremes else finding
        for finding in findings
    ]


def _write(
    output: ExampleAnomalies,
    found: Anomalies,
    current: Statistics,
    findings: Sequence[Finding],
    records: Sequence[RecordFinding],
    schema_file: str | None,
) -> None:
    output.set_splits(list(found))
    blocked = any(finding.blocks for finding in findings) or any(finding.blocks for finding in records)
    summary: dict[str, Any] = {"blocked": blocked, "schema_file": schema_file, "splits": {}}
    if records:
        summary["records"] = [finding.to_json() for finding in records]
    for split, anomalies in found.items():
        folder = output.split_path(split)
        folder.mkdir()
        (folder / ANOMALIES_FILE).write_bytes(anomalies.SerializeToString(deterministic=True))
        summary["splits"][split] = {
            "rows": int(all_rows(current[split]).num_examples),
            "anomalies": [dataclasses.asdict(finding) for finding in findings if finding.split == split],
            "drift": drift_measurements(anomalies),
        }
    changes = dict.fromkeys(change for finding in findings for change in finding.changes)
    summary["changes"] = [dataclasses.asdict(change) for change in changes]
    output.properties["anomalies"] = len(findings) + len(records)
    output.write_summary(summary)


def _decide(
    context: Context, current: Statistics, findings: Sequence[Finding], records: Sequence[RecordFinding], schema_file: str | None
) -> None:
    """Blocks the run with a reason for each finding that blocks, or says what was looked at."""
    told = [(finding.blocks, finding.sentence(schema_file)) for finding in findings]
    told += [(finding.blocks, finding.sentence()) for finding in records]
    blocking = [sentence for blocks, sentence in told if blocks]
    if blocking:
        context.decide("blocked", blocking, blocks=True)
        return
    rows = sum(int(all_rows(statistics).num_examples) for statistics in current.values())
    verdict = (
        "1 anomaly, which does not block" if len(told) == 1 else f"{len(told)} anomalies, none of which blocks" if told else "no anomalies"
    )
    context.decide("valid", [f"{rows:,} rows in {', '.join(current)}: {verdict}."] + [sentence for _, sentence in told])


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
